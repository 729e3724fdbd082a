//! Opening: the lock, the file, what an earlier run left; and a damaged file, which is replaced by what can be read of it.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::apply::meta;
use super::companion::companion;
use super::file;
use super::identity::Identity;
use super::lock::OwnerLock;
use super::log;
use super::options::Options;
use super::origin;
use super::recover::{self, Progress};
use super::salvage;
use super::schema;
use super::times::Times;
use super::trouble::{Fault, Result};
use crate::clock::Clock;
use crate::error::Trouble;
use crate::store::{News, Opening};

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

/// Opens the store, and tells what is in it but for the last word.
pub(super) fn open(
    path: &Path,
    options: &Options,
    clock: &Clock,
    news: &mut dyn FnMut(News),
) -> Result<(Opened, OwnerLock, Opening)> {
    if path.parent().is_some_and(|directory| !directory.as_os_str().is_empty() && !directory.is_dir()) {
        return Err(Fault::new(Trouble::Missing, "has no directory to lie in"));
    }
    file::check_kind(path)?;
    let lock = OwnerLock::take(path)?;
    salvage::finish(path)?;
    if path.exists() {
        origin::check(path)?;
    }
    file::create(path)?;
    let mut rescue = Rescue { path, options, set_aside: None, unreadable: 0 };
    let mut db = match ready(path, options) {
        Err(fault) if fault.is_corrupt() => rescue.replace()?,
        other => other?,
    };
    let times = Times::read(clock);
    let mut progress = Progress::default();
    let since_ms = (!options.dedupe.is_zero()).then(|| times.ms_before(options.dedupe));
    let remembered = loop {
        let lenient = rescue.set_aside.is_some();
        let told = recover::tell(&db, &times, since_ms, lenient, &mut progress, news);
        match told.and_then(|()| remembered(&db, &times)) {
            Ok(remembered) => break remembered,
            Err(fault) if fault.is_corrupt() && !lenient => {
                drop(db);
                db = rescue.replace()?;
            }
            Err(fault) => return Err(fault),
        }
    };
    let opening =
        Opening { set_aside: rescue.set_aside, unreadable: rescue.unreadable + progress.unreadable, ..remembered };
    file::widen(&db)?;
    begin(&db)?;
    let opened = Opened::of(db, path)?;
    // What was read is as it is known from here on, unless another owner has begun since.
    lock.check()?;
    Ok((opened, lock, opening))
}

/// The first write shows whether there can be any, and that this run has to be checked if it doesn't end well. The count makes
/// it a change in any case: SQLite writes nothing that is there already, and an earlier owner that is still there has to see it.
pub(super) fn begin(db: &Connection) -> Result<()> {
    let count = "SELECT 'openings', 1 + ifnull(max(value), 0) FROM meta WHERE name = 'openings'";
    db.execute(&format!("REPLACE INTO meta SELECT 'clean', 0 UNION ALL {count}"), [])?;
    Ok(())
}

/// What is no message, letter or receipt.
fn remembered(db: &Connection, times: &Times) -> Result<Opening> {
    Ok(Opening {
        last_seq: recover::last_seq(db)?,
        budget: meta::<String>(db, "budget")?.map(Box::from),
        budget_at: meta::<i64>(db, "budget_ms")?.map(|ms| times.at(ms)),
        departed: recover::departed(db, times)?,
        ..Opening::default()
    })
}

/// A damaged file, and what became of it.
struct Rescue<'a> {
    path: &'a Path,
    options: &'a Options,
    set_aside: Option<PathBuf>,
    unreadable: u64,
}

impl Rescue<'_> {
    fn replace(&mut self) -> Result<Connection> {
        let salvaged = salvage::replace(self.path, self.options)?;
        self.set_aside = Some(salvaged.set_aside);
        self.unreadable += salvaged.unreadable;
        connect(self.path, self.options)
    }
}

/// Connects to the file, and looks whether it is sound.
fn ready(path: &Path, options: &Options) -> Result<Connection> {
    let bytes = fs::metadata(path)?.len();
    if bytes == 0 && log::file_bytes(path) > 0 {
        // SQLite would take the log for a leftover, and delete it.
        return Err(Fault::corrupt("is damaged: it is empty, but its write-ahead log isn't"));
    }
    let db = connect(path, options)?;
    let clean = meta::<i64>(&db, "clean")? != Some(0);
    if !clean && bytes <= CHECKED_BYTES_MAX {
        let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Fault::corrupt("is damaged"));
        }
    }
    Ok(db)
}

/// Connects to a file that is known to be sound.
pub(super) fn connect(path: &Path, options: &Options) -> Result<Connection> {
    connect_as(path, options, schema::VERSION)
}

/// The same, of a file that stays or becomes one of this version.
pub(super) fn connect_as(path: &Path, options: &Options, version: usize) -> Result<Connection> {
    let db = file::connect(path, options)?;
    file::prepare(&db, options, version)?;
    Ok(db)
}

/// Removes a database that nobody needs any more, with its companions.
pub(super) fn remove(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(companion(path, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
