//! A file that is ready to be read and written, and what it remembers beside its rows.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::connection;
use super::fault::{Fault, Result};
use super::file_time::FileTime;
use super::identity::Identity;
use super::log;
use super::options::Options;
use super::organizations::{self, Organizations};
use super::part::Part;
use super::recover;
use super::times::natural;
use super::values::meta;
use crate::store::{FencingToken, Opening};

/// A file up to this size is checked whole when it wasn't closed; a larger one by reading what is in it, as each is.
const CHECKED_BYTES_MAX: u64 = 64 * 1_048_576;

/// A store that is open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) db: Connection,
    pub(super) identity: Identity,
}

impl Opened {
    /// A connection to the file that is at `path`.
    pub(super) fn of(db: Connection, path: &Path) -> Result<Self> {
        let identity = Identity::of(path, &db)?;
        Ok(Self { db, identity })
    }
}

/// The part that an organization has, or is to have, of a file, and whether it has it already.
pub(super) fn part_of(organizations: &Organizations, organization: &str) -> Result<(Part, bool)> {
    match organizations.get(organization) {
        Some(part) => Ok((*part, true)),
        None => Ok((organizations::free(organizations.values().copied())?, false)),
    }
}

/// An organization claims its part, with what a later salvage has to know of it: within a transaction.
pub(super) fn claim(db: &Connection, part: Part, is_known: bool, options: &Options) -> Result<FencingToken> {
    if !is_known {
        organizations::add(db, part, &options.organization)?;
    }
    part.set_meta(db, PRESUMED_SENT, i64::try_from(options.presumed_sent).unwrap_or(i64::MAX))?;
    begin(db)
}

/// How many messages at the head of each of a part's conversations count as sent when damage leaves that unknown.
pub(super) const PRESUMED_SENT: &str = "presumed_sent";

/// The first write shows whether there can be any, and that this run has to be checked if it doesn't end well. The
/// count makes it a change in any case: SQLite writes nothing that is there already, and an earlier owner that is still
/// there has to see it. The count is the claim's number, too.
pub(super) fn begin(db: &Connection) -> Result<FencingToken> {
    let count = "SELECT 'openings', 1 + ifnull(max(value), 0) FROM meta WHERE name = 'openings'";
    db.execute(&format!("REPLACE INTO meta SELECT 'clean', 0 UNION ALL {count}"), [])?;
    Ok(FencingToken::new(meta::<i64>(db, "openings")?.map_or(0, natural)))
}

/// What is no message, letter or receipt of an organization.
pub(super) fn remembered(db: &Connection, part: Part, time: &FileTime) -> Result<Opening> {
    Ok(Opening {
        last_seq: recover::last_seq(db, part)?,
        budget: part.meta::<String>(db, "budget")?.map(Box::from),
        budget_at: part.meta::<i64>(db, "budget_ms")?.map(|ms| time.calendar.at_undoubted(natural(ms))),
        departed: recover::departed(db, part, time)?,
        ..Opening::default()
    })
}

/// Connects to a file that may be damaged.
pub(super) fn connect(path: &Path, options: &Options) -> Result<Connection> {
    if fs::metadata(path)?.len() == 0 && log::file_bytes(path) > 0 {
        // SQLite would take the log for a leftover, and delete it.
        return Err(Fault::corrupt("is damaged: it is empty, but its write-ahead log isn't"));
    }
    connection::open_prepared(path, options)
}

/// The same, and looks whether the file is sound.
pub(super) fn ready(path: &Path, options: &Options) -> Result<Connection> {
    let db = connect(path, options)?;
    let clean = meta::<i64>(&db, "clean")? != Some(0);
    if !clean && fs::metadata(path)?.len() <= CHECKED_BYTES_MAX {
        connection::check_whole(&db, "quick_check")?;
    }
    Ok(db)
}
