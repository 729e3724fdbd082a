//! What may take the place of a damaged outbox. Who may write in the directory can put a file there under the name of a
//! recovered one, and what is in it would be sent with the organization's token: so it has to be as safe as an outbox
//! itself ([`trust::is_safe`]), and an outbox that says that it was made for this place, or has the same organization.
//!
//! [`trust::is_safe`]: crate::store::file::trust::is_safe

use std::ffi::OsStr;
use std::path::Path;

use rusqlite::Connection;

use super::super::fault::{Fault, Result};
use super::super::options::Options;
use super::super::organizations;
use super::super::schema::{Kind, kind};
use super::super::vfs::unchanging;
use crate::error::StoreErrorKind;

/// Refuses a recovered file that isn't an outbox of this place: it says so itself, or has a part for this
/// organization. It was complete, and without a log, before it got its name.
pub(super) fn verify(
    recovered: &Path,
    is_for_here: impl Fn(&Connection) -> Result<bool>,
    options: &Options,
) -> Result<()> {
    let db = unchanging(recovered, options.vfs.as_deref())?;
    let is_ours = match kind(&db) {
        Ok(Kind::Current | Kind::Older(_)) => {
            is_for_here(&db)? || organizations::all(&db)?.contains_key(options.organization.as_str())
        }
        Ok(Kind::Empty) => false,
        // Damage may be a read that has failed: it is for the caller to doubt it.
        Err(fault) if fault.kind == StoreErrorKind::Failed || fault.is_corrupt() => return Err(fault),
        Err(_) => false,
    };
    if is_ours { Ok(()) } else { Err(refused(recovered.file_name().unwrap_or_default())) }
}

pub(super) fn refused(name: &OsStr) -> Fault {
    let name = name.to_string_lossy();
    let what = format!("has {name} beside it, which is not a recovered outbox of this user and this place");
    Fault::new(StoreErrorKind::Mismatch, what).with_advice("find out where that file comes from, and move it away")
}
