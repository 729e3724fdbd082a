//! Who holds a lock, told as it is. A process id means little by itself: in another container the same number is
//! another process, and what is written in the lock's file may be of an owner that has ended. So the kernel's table of
//! locks counts first, which has the processes that are visible from here; then what the owner wrote, as far as it is
//! of this machine and this container.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::file_id::FileId;
use super::names::companion;

/// What an owner writes into its lock's file: a line for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Card {
    pid: u32,
    /// In which its number counts; empty where the system doesn't tell.
    pid_namespace: String,
    /// Another one on each machine, and after each start of it.
    boot: String,
    host: String,
}

/// More than a card has.
const CARD_BYTES_MAX: u64 = 1_024;

impl Card {
    fn own() -> Self {
        let first_line = |path: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.lines().next().unwrap_or_default().to_owned()
        };
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self {
            pid: std::process::id(),
            pid_namespace: namespace.to_string_lossy().into_owned(),
            boot: first_line("/proc/sys/kernel/random/boot_id"),
            host: first_line("/proc/sys/kernel/hostname"),
        }
    }

    fn read(file: &mut File) -> Option<Self> {
        let mut text = String::new();
        file.rewind().ok()?;
        file.take(CARD_BYTES_MAX).read_to_string(&mut text).ok()?;
        let mut lines = text.lines().map(str::trim);
        let pid = lines.next()?.parse().ok()?;
        let mut next = || lines.next().unwrap_or_default().to_owned();
        Some(Self { pid, pid_namespace: next(), boot: next(), host: next() })
    }
}

/// Writes into a lock's file whose it is now.
pub(super) fn sign(file: &mut File) -> std::io::Result<()> {
    let Card { pid, pid_namespace, boot, host } = Card::own();
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{pid}\n{pid_namespace}\n{boot}\n{host}\n")
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// This process, by another copy of the package.
    ThisProcess,
    /// A process that is visible from here.
    Process { pid: u32 },
    /// A process of another container of this machine.
    Container { host: String, pid: u32 },
    /// A process of another machine.
    Machine { host: String, pid: u32 },
    /// One that doesn't say.
    Unknown,
}

impl Holder {
    /// Of the lock on an outbox's `-lock` file.
    pub(super) fn of_lock(file: &mut File) -> Self {
        if let Some(pid) = FileId::of(file).ok().and_then(|id| listed("FLOCK", id)) {
            return Self::visible(pid);
        }
        Card::read(file).map_or(Self::Unknown, |card| Self::of_card(&card, &Card::own()))
    }

    /// Of SQLite's own locks on an outbox, which other programs take.
    pub(super) fn of_database(store: &Path) -> Self {
        let files = [companion(store, "-shm"), store.into()];
        let mut pids = files.iter().filter_map(|path| listed("POSIX", FileId::at(path).ok()?));
        pids.next().map_or(Self::Unknown, Self::visible)
    }

    /// With the name of its program, where that is known.
    pub(super) fn with_program(&self) -> String {
        let program = self.pid().and_then(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok());
        program.map_or_else(|| self.to_string(), |name| format!("{self} ({})", name.trim().escape_default()))
    }

    fn of_card(card: &Card, own: &Card) -> Self {
        let (host, pid) = (card.host.clone(), card.pid);
        let same = |theirs: &str, ours: &str| theirs.is_empty() || ours.is_empty() || theirs == ours;
        if !same(&card.boot, &own.boot) {
            Self::Machine { host, pid }
        } else if !same(&card.pid_namespace, &own.pid_namespace) {
            Self::Container { host, pid }
        } else if Path::new("/proc/self").exists() && !Path::new(&format!("/proc/{pid}")).exists() {
            // It has ended, and whoever holds the lock now doesn't say who it is.
            Self::Unknown
        } else {
            Self::visible(pid)
        }
    }

    fn visible(pid: u32) -> Self {
        if pid == std::process::id() {
            return Self::ThisProcess;
        }
        Self::Process { pid }
    }

    /// Its number, where it is one that can be looked up from here.
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Self::ThisProcess => Some(std::process::id()),
            Self::Process { pid } => Some(*pid),
            Self::Container { .. } | Self::Machine { .. } | Self::Unknown => None,
        }
    }

    /// What to do about it.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::ThisProcess => "load one copy of spillway, or give this sender a store of its own",
            Self::Container { .. } => {
                "stop that container first, or give this sender a store of its own; \
                 with \"?wait=10s\" after the path it waits for the other to close"
            }
            Self::Machine { .. } => {
                "close the sender there first, or give this one a store of its own, on a disk of its own"
            }
            Self::Process { .. } | Self::Unknown => {
                "close the other sender first, or give this one a store of its own; \
                 with \"?wait=10s\" after the path it waits for the other to close"
            }
        }
    }
}

impl Display for Holder {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThisProcess => write!(out, "another copy of spillway in this process ({})", std::process::id()),
            Self::Process { pid } => write!(out, "process {pid}"),
            Self::Container { host, pid } => write!(out, "another container ({host:?}, where it is process {pid})"),
            Self::Machine { host, pid } => write!(out, "another machine ({host:?}, where it is process {pid})"),
            Self::Unknown => write!(out, "another process"),
        }
    }
}

/// The visible process that holds a lock of this kind on a file, alone rather than shared, by the kernel's table
/// (proc(5)):
/// `1: FLOCK  ADVISORY  WRITE 1234 08:02:5678 0 EOF`. Who waits for one has `->` behind its number. SQLite's are ours,
/// too.
fn listed(kind: &str, file: FileId) -> Option<u32> {
    let table = fs::read_to_string("/proc/locks").ok()?;
    let place = file.in_lock_table()?;
    let others = |pid: &u32| *pid > 0 && (kind == "FLOCK" || *pid != std::process::id());
    let holder = |line: &str, modes: &[&str]| -> Option<u32> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = fields.get(1) == Some(&kind) && fields.get(5) == Some(&&*place);
        let pid = fields.get(4).filter(|_| is_it && modes.contains(&fields[3]))?.parse().ok();
        pid.filter(others)
    };
    let first = |modes: &[&str]| table.lines().find_map(|line| holder(line, modes));
    first(&["WRITE"]).or_else(|| first(&["READ"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(pid: u32, pid_namespace: &str, boot: &str) -> Card {
        Card { pid, pid_namespace: pid_namespace.into(), boot: boot.into(), host: "web-1".into() }
    }

    #[test]
    fn a_process_id_counts_where_it_was_given() {
        let own = card(1, "pid:[1]", "a");
        let told = |other: &Card| Holder::of_card(other, &own);
        assert_eq!(told(&card(1, "pid:[2]", "a")), Holder::Container { host: "web-1".into(), pid: 1 });
        assert_eq!(told(&card(1, "pid:[1]", "b")), Holder::Machine { host: "web-1".into(), pid: 1 });
        assert_eq!(told(&card(std::process::id(), "pid:[1]", "a")), Holder::ThisProcess);
        // A card of an earlier version has its number alone.
        assert_eq!(told(&card(std::process::id(), "", "")), Holder::ThisProcess);
        for (holder, text) in [(told(&card(7, "pid:[2]", "a")), "container"), (told(&card(7, "", "b")), "machine")] {
            assert!(holder.to_string().contains(text) && holder.pid().is_none(), "{holder}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_process_that_has_ended_wrote_names_nobody() {
        let own = Card::own();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(Holder::of_card(&Card { pid, ..own.clone() }, &own), Holder::Unknown);
        let mut file = tempfile::tempfile().unwrap();
        sign(&mut file).unwrap();
        assert_eq!(Card::read(&mut file), Some(own));
    }
}
