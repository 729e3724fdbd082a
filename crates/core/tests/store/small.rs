//! A small disk: whatever was accepted before it was full is sent, although nothing else can be written to it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use spillway_core::error::StoreErrorKind;
use spillway_core::store::Change;
use spillway_core::store::file::{Durability, Options};

use crate::fixture::*;

/// A file system of so many bytes, until it is dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount(bytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={bytes},mode=0700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(directory.path());
        mount.output().is_ok_and(|out| out.status.success()).then_some(Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Another program takes all that is free.
    fn fill(&self) {
        let mut file = fs::File::create(self.path().join("other")).unwrap();
        for bytes in [65_536, 4_096, 1] {
            while file.write_all(&vec![1; bytes]).is_ok() {}
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

const NOT_RUN: &str = "small disks: not run: only root can mount, and not in every container";
const MEGABYTE: u64 = 1 << 20;

/// Inserts until one is refused; the numbers of those that were accepted.
fn accept(fixture: &mut Fixture, bytes: usize, at_once: u64) -> Vec<u64> {
    let (at, mut next) = (fixture.now(), 1);
    while fixture.refused.is_empty() {
        let last = next + at_once;
        let changes = (next..last).map(|seq| Change::Insert {
            entry_id: u32::try_from(seq).unwrap(),
            record: Box::new(sized(seq, at, bytes)),
        });
        fixture.store.apply(changes.collect());
        next = last;
        fixture.until(|fixture| fixture.kept.len() + fixture.refused.len() == usize::try_from(last - 1).unwrap());
    }
    fixture.kept.iter().map(|entry_id| u64::from(*entry_id)).collect()
}

/// All leave and end, one of ten as a dead letter, with what each costs to write.
fn send(fixture: &mut Fixture, accepted: &[u64], at_once: usize) {
    let at = fixture.now();
    let mut up_to = fixture.up_to;
    for some in accepted.chunks(at_once) {
        let left = some.iter().map(|seq| depart(*seq, at));
        let ended = some.iter().map(|seq| if seq % 10 == 0 { bury(*seq, at) } else { deliver(*seq, at) });
        for changes in [left.collect::<Vec<_>>(), ended.collect()] {
            up_to += changes.len() as u64;
            fixture.store.apply(changes);
            fixture.settled(up_to);
        }
    }
}

/// New messages are accepted again, some time.
fn until_accepted(fixture: &mut Fixture) {
    for seq in 1_000_000.. {
        fixture.until(|fixture| fixture.restored == fixture.degraded.len());
        fixture.store.apply(vec![insert(seq, fixture.now()), deliver(seq, fixture.now())]);
        let is_it = |entry_id: Option<&u32>| entry_id.is_some_and(|entry_id| u64::from(*entry_id) == seq);
        fixture
            .until(|fixture| is_it(fixture.kept.last()) || is_it(fixture.refused.last().map(|(entry_id, _)| entry_id)));
        if is_it(fixture.kept.last()) {
            return;
        }
    }
}

#[allow(clippy::print_stderr, reason = "a test that can't run here must not pass silently")]
fn not_run() {
    eprintln!("{NOT_RUN}");
}

#[test]
fn whatever_a_small_disk_accepts_is_sent_although_it_is_full() {
    let Some(_) = Disk::mount(MEGABYTE) else {
        return not_run();
    };
    for (megabytes, bytes, at_once, durability) in [
        (8, 3_000, 1, Durability::ProcessCrash),
        (8, 900, 200, Durability::PowerLoss),
        (8, 500_000, 1, Durability::PowerLoss),
        (16, 3_000, 200, Durability::PowerLoss),
        (16, 20_000, 7, Durability::ProcessCrash),
        (32, 9_000, 200, Durability::PowerLoss),
        (32, 2_000_000, 2, Durability::PowerLoss),
    ] {
        for is_filled in [false, true] {
            let case = format!("{megabytes} MB, {at_once} × {bytes} bytes, {durability:?}, filled: {is_filled}");
            let disk = Disk::mount(megabytes * MEGABYTE).unwrap();
            let path = disk.path().join("outbox.db");
            let mut fixture = Fixture::try_open(Options { durability, ..options(&path) }).unwrap();
            let accepted = accept(&mut fixture, bytes, at_once);
            assert!(fixture.refused.iter().all(|(_, error)| kind_of(error) == StoreErrorKind::Full), "{case}");
            let used = accepted.len() as u64 * bytes as u64;
            assert!(used > megabytes * MEGABYTE / 4, "{case}: {used} bytes accepted");
            if is_filled {
                disk.fill();
            }
            send(&mut fixture, &accepted, 20);
            if !is_filled {
                until_accepted(&mut fixture);
            }
            fixture.close();
            fs::remove_file(disk.path().join("other")).ok();
            let fixture = Fixture::open(&path);
            assert_eq!(seqs(&fixture.found), [0; 0], "{case}");
            assert_eq!(letters(&fixture.found).len(), accepted.iter().filter(|seq| *seq % 10 == 0).count(), "{case}");
            fixture.close();
        }
    }
}

/// A process that is killed leaves what it has allocated to the next one.
#[test]
fn what_a_killed_run_accepted_on_a_small_disk_is_sent_by_the_next() {
    let Some(disk) = Disk::mount(8 * MEGABYTE) else {
        return not_run();
    };
    let path = disk.path().join("outbox.db");
    let mut fixture = Fixture::open(&path);
    let accepted = accept(&mut fixture, 900, 50);
    // As a killed process leaves it: the same files with all the blocks that they have, a lock and an index.
    let killed = disk.path().join("killed.db");
    fs::write(companion(&killed, "-lock"), "1").unwrap();
    fs::write(companion(&killed, "-shm"), [0; 32_768]).unwrap();
    disk.fill();
    for suffix in ["", "-wal"] {
        fs::hard_link(companion(&path, suffix), companion(&killed, suffix)).unwrap();
        fs::remove_file(companion(&path, suffix)).unwrap();
    }
    let mut next = Fixture::open(&killed);
    assert_eq!(seqs(&next.found), accepted);
    send(&mut next, &accepted, 20);
    next.close();
}

#[test]
fn a_full_disk_refuses_an_opening_and_nothing_is_left_of_it() {
    let Some(disk) = Disk::mount(MEGABYTE) else {
        return not_run();
    };
    disk.fill();
    let error = Fixture::try_open(options(&disk.path().join("outbox.db"))).err().unwrap();
    let text = error.to_string();
    assert_eq!(kind_of(&error), StoreErrorKind::Full);
    assert!(text.contains("open the sender again") && !text.contains("resumes"), "{text}");
    let left: Vec<_> = fs::read_dir(disk.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["other"]);
}

fn companion(path: &Path, suffix: &str) -> std::path::PathBuf {
    format!("{}{suffix}", path.display()).into()
}
