//! The owner's lock: one engine writes a store. The system holds it for the process and lets go of it with the process, so a
//! dead owner's lock is free at once. It is on a companion file, since SQLite keeps locks of its own on the database. Whoever
//! locks the file that has the name is the owner: one without a name keeps nobody out.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use fs4::{FileExt, TryLockError};
use once_cell::sync::Lazy;

use super::companion::{Private, companion, open_beside, open_private};
use super::file_id::FileId;
use super::trouble::{Fault, Result};
use crate::error::Trouble;

/// How long an engine waits for an earlier one of this process that is just closing.
const PREDECESSOR_WAIT: Duration = Duration::from_secs(5);

/// The stores that this very process owns, so that an engine can wait for the one before it.
static OWNED: Lazy<(Mutex<HashSet<PathBuf>>, Condvar)> = Lazy::new(Default::default);

/// How often locking is tried while it is only looked at, or its file changes, and what is waited in between: five seconds.
const TRIES_MAX: u32 = 2_500;
const TRY_WAIT: Duration = Duration::from_millis(2);

/// Held for as long as it lives.
#[derive(Debug)]
pub(super) struct OwnerLock {
    store: PathBuf,
    held: Locked,
    /// Another owner may have written since its name was taken away.
    is_over: bool,
}

/// A locked file.
#[derive(Debug)]
struct Locked {
    name: PathBuf,
    file: File,
    id: FileId,
}

impl Locked {
    /// Whether the lock's name leads to this file.
    fn has_name(&self) -> bool {
        FileId::at(&self.name).is_ok_and(|id| id == self.id)
    }
}

impl OwnerLock {
    /// Takes the lock of the store at `store`, an absolute path.
    pub(super) fn take(store: &Path) -> Result<Self> {
        if !claim(store, PREDECESSOR_WAIT) {
            let own = std::process::id();
            return Err(Fault::new(Trouble::Locked, format!("is in use by another sender of this process ({own})")));
        }
        match lock_file(store) {
            Ok(held) => Ok(Self { store: store.into(), held, is_over: false }),
            Err(fault) => {
                disclaim(store);
                Err(fault)
            }
        }
    }

    /// Refuses when its file has lost its name: another owner may have begun.
    pub(super) fn check(&self) -> Result<()> {
        if !self.is_over && self.held.has_name() { Ok(()) } else { Err(disowned()) }
    }

    /// Takes it again when its file has lost its name. Once no other owner can begin, `is_unwritten` says whether none has
    /// begun and written in the meantime: what this one knows of the store was over then, and it never owns it again.
    pub(super) fn renew(&mut self, is_unwritten: impl FnOnce() -> Result<bool>) -> Result<()> {
        if self.is_over {
            return Err(disowned());
        }
        if self.held.has_name() {
            return Ok(());
        }
        let held = lock_file(&self.store)?;
        if is_unwritten()? {
            self.held = held;
        } else {
            self.is_over = true;
        }
        self.check()
    }
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        // The system's lock goes with the file: before an engine that waits in this process is told to try.
        let _ = FileExt::unlock(&self.held.file);
        disclaim(&self.store);
    }
}

fn claim(store: &Path, patience: Duration) -> bool {
    let (owned, changed) = &*OWNED;
    let guard = owned.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = |owned: &mut HashSet<PathBuf>| owned.contains(store);
    let (mut guard, _) = changed.wait_timeout_while(guard, patience, taken).unwrap_or_else(PoisonError::into_inner);
    guard.insert(store.into())
}

fn disclaim(store: &Path) {
    let (owned, changed) = &*OWNED;
    owned.lock().unwrap_or_else(PoisonError::into_inner).remove(store);
    changed.notify_all();
}

fn disowned() -> Fault {
    Fault::new(Trouble::Locked, "has lost its -lock file, and another process may have used it since")
        .with_advice("close this sender and open it again")
}

/// Locks the file that has the lock's name.
fn lock_file(store: &Path) -> Result<Locked> {
    for _ in 0..TRIES_MAX {
        let name = companion(store, "-lock");
        let Private { file, is_new } = open_private(&name)?;
        let mut locked = Locked { name, id: FileId::of(&file)?, file };
        match FileExt::try_lock(&locked.file) {
            Ok(()) if locked.has_name() => {
                if is_new {
                    give_to_owner_of(store, &locked.file);
                }
                locked.file.set_len(0)?;
                locked.file.rewind()?;
                write!(locked.file, "{}", std::process::id())?;
                return Ok(locked);
            }
            // Between its opening and now the name was given to another file.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if is_looked_at(&locked.file) => wait(),
            Err(TryLockError::WouldBlock) => return Err(in_use(&owner_in(locked.file))),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(in_use("another process"))
}

/// Whether others share the lock, which is but the moment of [`owner`]: an owner shares it with nobody.
fn is_looked_at(file: &File) -> bool {
    FileExt::try_lock_shared(file).is_ok()
}

#[allow(clippy::disallowed_methods, reason = "a store's own thread, and nothing can be written before")]
fn wait() {
    std::thread::sleep(TRY_WAIT);
}

fn in_use(owner: &str) -> Fault {
    Fault::new(Trouble::Locked, format!("is in use by {owner}"))
}

/// What root makes beside a service's file must not keep the service out. SQLite does the same with what it makes.
fn give_to_owner_of(store: &Path, made: &File) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        if let Ok(metadata) = std::fs::symlink_metadata(store) {
            // Only root can; anybody else owns it already.
            let _ = fchown(made, Some(metadata.uid()), Some(metadata.gid()));
        }
    }
    #[cfg(not(unix))]
    let _ = (store, made);
}

fn owner_in(mut file: File) -> String {
    match read_pid(&mut file) {
        Some(pid) => format!("process {pid}"),
        None => "another process".into(),
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The process that owns the store at `store`, if one does: 0 when it can't be told which.
pub(super) fn owner(store: &Path) -> Option<u32> {
    let mut file = open_beside(&companion(store, "-lock"), OpenOptions::new().read(true)).ok()?;
    match FileExt::try_lock_shared(&file) {
        Err(TryLockError::WouldBlock) => Some(read_pid(&mut file).unwrap_or(0)),
        _ => None,
    }
}
