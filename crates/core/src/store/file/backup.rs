//! A copy of an outbox as it is at one moment, while its sender runs: that goes on, and only its log can't be emptied
//! meanwhile.

use std::fs;
use std::fs::File;
use std::path::Path;

use super::companion::{companion, open_private, remove};
use super::connection::{self, sync_directory};
use super::fault::{Fault, Result};
use super::reader::{link, told};
use crate::error::{Error, StoreErrorKind};

/// Copies the outbox at `path` to `target`, a name that nothing has, for this user alone; gives its size in bytes. A
/// crash leaves no file of this name that isn't whole.
pub fn backup(path: &Path, target: &Path) -> std::result::Result<u64, Error> {
    let (path, target) = (connection::absolute(path), std::path::absolute(target).unwrap_or_else(|_| target.into()));
    if target.symlink_metadata().is_ok() {
        let fault = Fault::new(StoreErrorKind::Mismatch, "can't be a backup: there is a file of this name");
        return Err(fault.advised(&target, "choose another name, or remove that file"));
    }
    let db = link(&path).map_err(|fault| told(&fault, &path))?;
    let partial = companion(&target, ".partial");
    let copied = copy(&db, &partial, &target).inspect_err(|_| drop(remove(&partial)));
    copied.map_err(|fault| told(&fault, &target))
}

fn copy(db: &rusqlite::Connection, partial: &Path, target: &Path) -> Result<u64> {
    remove(partial)?;
    drop(open_private(partial)?);
    connection::pragma(db, "query_only", "OFF")?;
    db.execute("VACUUM INTO ?1", [partial.to_string_lossy()])?;
    let copy = File::open(partial)?;
    copy.sync_all()?;
    fs::rename(partial, target)?;
    sync_directory(target)?;
    Ok(copy.metadata()?.len())
}
