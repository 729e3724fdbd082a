//! The owner's lock: one engine writes a store. The system holds it for the process and lets go of it with the process,
//! so a dead owner's lock is free at once. It is on a companion file, since SQLite keeps locks of its own on the
//! database. Whoever locks the file that has the name is the owner: one without a name keeps nobody out.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use fs4::{FileExt, TryLockError};
use once_cell::sync::Lazy;

use super::companion::{Private, companion, open_beside, open_private};
use super::fault::{Fault, Result};
use super::file_id::FileId;
use super::holder::{self, Holder};
use crate::error::StoreErrorKind;
use crate::store::Pulse;

/// How long an engine waits for an earlier one of this process that is just closing.
pub(super) const PREDECESSOR_WAIT: Duration = Duration::from_secs(5);

/// Between two signs of life in that time.
const CLAIM_WAIT: Duration = Duration::from_millis(500);

/// The stores that this very process owns, so that an engine can wait for the one before it.
static OWNED: Lazy<(Mutex<HashSet<PathBuf>>, Condvar)> = Lazy::new(Default::default);

/// What is waited between two tries for a lock that another owner has, or between two looks whether it is still there.
const HELD_WAIT: Duration = Duration::from_millis(20);

/// How often locking is tried while it is only looked at, or its file changes, and what is waited in between: five
/// seconds.
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
    /// Its file was made for this.
    is_new: bool,
}

impl Locked {
    /// Removes it if it was made for this.
    fn undo(&self) {
        if self.is_new && self.has_name() {
            let _ = fs::remove_file(&self.name);
        }
    }

    /// Whether the lock's name leads to this file.
    fn has_name(&self) -> bool {
        FileId::at(&self.name).is_ok_and(|id| id == self.id)
    }
}

impl OwnerLock {
    /// Takes the lock of the store at `store`, an absolute path, and waits up to `wait` for another owner to end.
    pub(super) fn take(store: &Path, wait: Duration, pulse: &Pulse) -> Result<Self> {
        if !claim(store, wait.max(PREDECESSOR_WAIT), pulse) {
            return Err(in_use_here());
        }
        match lock_file(store, wait, pulse) {
            Ok(held) => Ok(Self { store: store.into(), held, is_over: false }),
            Err(fault) => {
                disclaim(store);
                Err(fault)
            }
        }
    }

    /// Refuses when its file has lost its name: another owner may have begun.
    pub(super) fn check(&self) -> Result<()> {
        match self.is_over {
            true => Err(disowned().for_good()),
            false if self.held.has_name() => Ok(()),
            false => Err(disowned()),
        }
    }

    /// Whether nobody has locked the store before.
    pub(super) fn is_new(&self) -> bool {
        self.held.is_new
    }

    /// Leaves the directory as it was before: the store was refused. Who waits for this lock looks for its name again.
    pub(super) fn undo(self) {
        self.held.undo();
    }

    /// Takes it again when its file has lost its name. Once no other owner can begin, `is_unwritten` says whether none
    /// has begun and written in the meantime: what this one knows of the store was over then, and it never owns it
    /// again.
    pub(super) fn renew(&mut self, is_unwritten: impl FnOnce() -> Result<bool>) -> Result<()> {
        if self.is_over {
            return self.check();
        }
        if self.held.has_name() {
            return Ok(());
        }
        let held = lock_file(&self.store, Duration::ZERO, &Pulse::default())?;
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

fn claim(store: &Path, mut patience: Duration, pulse: &Pulse) -> bool {
    let (owned, changed) = &*OWNED;
    let mut guard = owned.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = |owned: &mut HashSet<PathBuf>| owned.contains(store);
    while taken(&mut guard) && !patience.is_zero() {
        pulse.beat();
        let wait = patience.min(CLAIM_WAIT);
        (guard, _) = changed.wait_timeout_while(guard, wait, taken).unwrap_or_else(PoisonError::into_inner);
        patience -= wait;
    }
    guard.insert(store.into())
}

fn disclaim(store: &Path) {
    let (owned, changed) = &*OWNED;
    owned.lock().unwrap_or_else(PoisonError::into_inner).remove(store);
    changed.notify_all();
}

fn disowned() -> Fault {
    Fault::new(StoreErrorKind::Locked, "has lost its -lock file, and another process may have used it since")
        .with_advice("close this sender and open it again")
}

/// Locks the file that has the lock's name.
fn lock_file(store: &Path, mut patience: Duration, pulse: &Pulse) -> Result<Locked> {
    let name = companion(store, "-lock");
    let mut tries = 0;
    loop {
        let Private { file, is_new } = open_private(&name)?;
        let mut locked = Locked { name: name.clone(), id: FileId::of(&file)?, file, is_new };
        let (wait, holder) = match FileExt::try_lock(&locked.file) {
            Ok(()) if locked.has_name() => {
                if is_new {
                    give_to_owner_of(store, &locked.file);
                }
                if let Err(error) = holder::sign(&mut locked.file) {
                    locked.undo();
                    return Err(error.into());
                }
                return Ok(locked);
            }
            // Between its opening and now the name was given to another file.
            Ok(()) => (Duration::ZERO, Holder::Unknown),
            Err(TryLockError::WouldBlock) if is_looked_at(&locked.file) => (TRY_WAIT, Holder::Unknown),
            Err(TryLockError::WouldBlock) => (HELD_WAIT, Holder::of_lock(&mut locked.file)),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        };
        if wait == HELD_WAIT && !patience.is_zero() {
            patience = patience.saturating_sub(wait);
        } else if wait == HELD_WAIT || tries == TRIES_MAX {
            return Err(in_use(&holder));
        } else {
            tries += 1;
        }
        pulse.beat();
        pause(wait);
    }
}

/// Whether others share the lock, which is but the moment of [`owner`]: an owner shares it with nobody.
fn is_looked_at(file: &File) -> bool {
    FileExt::try_lock_shared(file).is_ok()
}

#[allow(clippy::disallowed_methods, reason = "a store's own thread, and nothing can be written before")]
fn pause(wait: Duration) {
    std::thread::sleep(wait);
}

pub(super) fn in_use_here() -> Fault {
    let own = std::process::id();
    Fault::new(StoreErrorKind::Locked, format!("is in use by another sender of this process ({own})"))
}

fn in_use(holder: &Holder) -> Fault {
    Fault::new(StoreErrorKind::Locked, format!("is in use by {holder}")).with_advice(holder.advice())
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

/// The process that owns the store at `store`, if one does: 0 when it can't be told which, or isn't visible from here.
pub(super) fn owner(store: &Path) -> Option<u32> {
    let mut file = open_beside(&companion(store, "-lock"), OpenOptions::new().read(true)).ok()?;
    match FileExt::try_lock_shared(&file) {
        Err(TryLockError::WouldBlock) => Some(Holder::of_lock(&mut file).pid().unwrap_or(0)),
        _ => None,
    }
}
