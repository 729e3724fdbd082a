//! What was opened, and whether it is this owner's still.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::companion::companion;
use super::fault::{Fault, Result};
use super::file_id::FileId;
use super::lock::OwnerLock;
use crate::error::StoreErrorKind;

/// Which files the names led to when they were opened, and what they had then.
#[derive(Debug)]
pub(super) struct Identity {
    path: PathBuf,
    log: PathBuf,
    file_id: FileId,
    log_id: Option<FileId>,
    /// A copy of the file that was made because it had lost its name.
    copy_id: Option<FileId>,
    /// Another one when another connection has written to the file, or after trouble in reading it: rather one time too
    /// often.
    version: i64,
}

impl Identity {
    /// Of what is at `path` now, and what the connection to it has seen.
    pub(super) fn of(path: &Path, db: &Connection) -> Result<Self> {
        let log = companion(path, "-wal");
        let (file_id, log_id, version) = (FileId::at(path)?, FileId::at(&log).ok(), version(db)?);
        Ok(Self { path: path.into(), log, file_id, log_id, copy_id: None, version })
    }

    /// Remembers a copy that is about to take the file's name.
    pub(super) fn copied_to(&mut self, copy: &Path) -> Result<()> {
        self.copy_id = Some(FileId::at(copy)?);
        Ok(())
    }

    /// Whether the file at `path` is the one that was opened, or a copy of it: nobody else's.
    pub(super) fn may_replace(&self, path: &Path) -> bool {
        FileId::at(path).is_ok_and(|id| id == self.file_id || Some(id) == self.copy_id)
    }

    /// Refuses when names lead to other files by now, or the lock is another owner's: before a commit, since the file
    /// may be that owner's, and after it, since nothing may be acknowledged that lies in a file without a name.
    pub(super) fn check(&mut self, db: &Connection, lock: &mut OwnerLock) -> Result<()> {
        self.check_names()?;
        self.own(db, lock)
    }

    /// Takes the lock again when it was lost, unless another owner has begun since: each one that does writes.
    pub(super) fn own(&self, db: &Connection, lock: &mut OwnerLock) -> Result<()> {
        lock.renew(|| Ok(version(db)? == self.version))
    }

    pub(super) fn check_names(&mut self) -> Result<()> {
        let gone = |_| Fault::new(StoreErrorKind::Missing, "is no longer where it was opened");
        if FileId::at(&self.path).map_err(gone)? != self.file_id {
            return Err(replaced());
        }
        match (FileId::at(&self.log), self.log_id) {
            (Ok(now), None) => self.log_id = Some(now),
            (Ok(now), Some(then)) if now == then => {}
            // The first write makes it.
            (Err(_), None) => {}
            _ => return Err(Fault::new(StoreErrorKind::Missing, "has lost its write-ahead log")),
        }
        Ok(())
    }
}

/// Another file has the name: a backup was put there, or the volume was mounted again and is another device now. What
/// is in it is known only to who opens it.
pub(super) fn replaced() -> Fault {
    Fault::new(StoreErrorKind::Missing, "was replaced by another file, or its volume was mounted again")
        .with_advice("close this sender and open it again: then it takes what is there now")
}

fn version(db: &Connection) -> Result<i64> {
    Ok(db.query_row("PRAGMA data_version", [], |row| row.get(0))?)
}
