//! The file and the connection to it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::companion::open_private;
use super::fault::{Fault, Result};
use super::log;
use super::options::{Durability, Options};
use super::schema::{self, Kind};
use super::trust;
use super::values::{meta, set_meta};
use super::vfs;
use crate::clock::Clock;
use crate::error::StoreErrorKind;

/// How long an opening waits for a reader that recovers the file after a crash; nothing else of theirs holds it up.
const BUSY_WAIT: Duration = Duration::from_secs(3);
/// How long a write waits for another program's lock: less than the engine waits until it takes the disk for hung.
const BUSY_WAIT_WRITING: Duration = Duration::from_secs(2);
/// Steps of SQLite between two signs of life while a store is opened: some milliseconds.
const BEAT_STEPS: i32 = 100_000;
/// Pages in memory, in KiB as SQLite has them: little for who reads from one end to the other, since none is read
/// twice.
const CACHE_READING: &str = "-2048";
const CACHE_WRITING: &str = "-16384";
/// Links that lead to a file one through the other: more are a circle.
const LINKS_MAX: usize = 40;
/// Statements that stay compiled: more than there are.
const STATEMENTS_MAX: usize = 96;

/// The path as it stays, wherever the process goes: of the file itself, if it is that of a link. What belongs to the
/// file lies beside it, as SQLite has it too; so there is one lock, however many links lead to it.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    for _ in 0..LINKS_MAX {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().map_or_else(|| target.clone(), |directory| directory.join(&target));
    }
    path
}

/// Refuses a path that leads through links that others could have made; see [`trust`].
pub(super) fn check_links(path: &Path) -> Result<()> {
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    for _ in 0..LINKS_MAX {
        let Ok(target) = fs::read_link(&path) else { break };
        trust::check_link(&fs::symlink_metadata(&path)?)?;
        path = path.parent().map_or_else(|| target.clone(), |directory| directory.join(&target));
    }
    Ok(())
}

/// Refuses what is no file before anything is made beside it, or its mode is changed: a directory, or a device.
pub(super) fn check_kind(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            Err(Fault::new(StoreErrorKind::Mismatch, "is a directory or a device, not a file"))
        }
        _ => Ok(()),
    }
}

/// Makes the file if it isn't there, for this user alone, and the directory remember it. Whether it was made.
pub(super) fn create(path: &Path) -> Result<bool> {
    let made = open_private(path)?;
    if made.is_new
        && let Err(fault) = made.file.sync_all().map_err(Fault::from).and_then(|()| sync_directory(path))
    {
        let _ = fs::remove_file(path);
        return Err(fault);
    }
    Ok(made.is_new)
}

/// Makes the directory of `path` remember the names in it.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    // Windows has no such thing, and needs none.
    if cfg!(unix) {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Connects to the file, as one that may write.
pub(super) fn connect(path: &Path, options: &Options) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = vfs::connect(path, flags, options.vfs.as_deref())?;
    db.busy_timeout(BUSY_WAIT)?;
    let pulse = options.pulse.clone();
    let goes_on = move || {
        pulse.beat();
        false
    };
    db.progress_handler(BEAT_STEPS, Some(goes_on))?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Only a close that is ours may change the file: a damaged one is set aside as it is.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    pragma(&db, "cell_size_check", "ON")?;
    pragma(&db, "trusted_schema", "OFF")?;
    pragma(&db, "temp_store", "MEMORY")?;
    // What was delivered or dropped is overwritten, also on pages that come free.
    pragma(&db, "secure_delete", "ON")?;
    pragma(&db, "cache_size", CACHE_READING)?;
    Ok(db)
}

/// Prepares a connection for writing: the pages of a transaction have room in memory, and another program's lock is
/// reported soon.
pub(super) fn begin_writing(db: &Connection) -> Result<()> {
    db.busy_timeout(BUSY_WAIT_WRITING)?;
    db.progress_handler(0, None::<fn() -> bool>)?;
    pragma(db, "cache_size", CACHE_WRITING)
}

/// Connects to a file that is known to be sound, and brings it to what a writer needs.
pub(super) fn open_prepared(path: &Path, options: &Options) -> Result<Connection> {
    let db = connect(path, options)?;
    prepare(&db, options)?;
    Ok(db)
}

/// Brings a connected file to what a writer needs: ours, and of this version.
pub(super) fn prepare(db: &Connection, options: &Options) -> Result<()> {
    let kind = schema::kind(db)?;
    if kind == Kind::Empty {
        pragma(db, "page_size", "4096")?;
        // Pages of a peak can be given back later, a few at a time.
        pragma(db, "auto_vacuum", "INCREMENTAL")?;
    }
    // The way to a write-ahead log leads through a rollback journal. Come back from the dead after a power cut, it
    // would undo that way, and SQLite would throw the log away: its deletion has to be durable.
    pragma(db, "synchronous", "EXTRA")?;
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Fault::new(
            StoreErrorKind::Failed,
            format!("is on a file system that can't share memory (journal mode {mode})"),
        ));
    }
    let power_loss = options.durability == Durability::PowerLoss;
    pragma(db, "synchronous", if power_loss { "FULL" } else { "NORMAL" })?;
    if power_loss && cfg!(target_os = "macos") {
        pragma(db, "fullfsync", "ON")?;
    }
    pragma(db, "journal_size_limit", &log::BYTES_KEPT.to_string())?;
    // Checkpoints come after the acknowledgement, so the writer makes them itself.
    pragma(db, "wal_autocheckpoint", "0")?;
    schema::migrate(db, kind)?;
    if meta::<i64>(db, "created_ms")?.is_none() {
        set_meta(db, "created_ms", i64::try_from(Clock::epoch_ms_now()).unwrap_or(i64::MAX))?;
    }
    // A read that failed on the way to the log is not told, and SQLite goes on with a rollback journal.
    let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Fault::unread(std::io::Error::other("its write-ahead log was not begun")));
    }
    Ok(())
}

/// Looks at every page, by one of SQLite's two checks.
pub(super) fn check_whole(db: &Connection, check: &str) -> Result<()> {
    let verdict: String = db.query_row(&format!("PRAGMA {check}(1)"), [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(Fault::corrupt("is damaged")) }
}

pub(super) fn pragma(db: &Connection, name: &str, value: &str) -> Result<()> {
    pragma_call(db, &format!("{name} = {value}"))
}

pub(super) fn pragma_call(db: &Connection, call: &str) -> Result<()> {
    let mut statement = db.prepare(&format!("PRAGMA {call}"))?;
    let mut rows = statement.query([])?;
    // Some answer with a row, some don't.
    while rows.next()?.is_some() {}
    Ok(())
}

/// Moves what the write-ahead log has into the file; `mode` is SQLite's. Whether all of it could be.
pub(super) fn checkpoint(db: &Connection, mode: &str) -> Result<bool> {
    Ok(db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get::<_, i64>(0))? == 0)
}

/// Moves the log into the file and cuts it off, unless somebody reads from it: who reads for long must not hold up what
/// is to be written meanwhile. Whether it could be.
pub(super) fn cut_log(db: &Connection) -> Result<bool> {
    db.busy_timeout(Duration::ZERO)?;
    let outcome = checkpoint(db, "TRUNCATE");
    db.busy_timeout(BUSY_WAIT_WRITING)?;
    outcome
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    static HAS_WAITED: AtomicBool = AtomicBool::new(false);

    fn waits(_: i32) -> bool {
        HAS_WAITED.store(true, Ordering::Relaxed);
        false
    }

    #[test]
    fn a_log_that_is_read_from_is_cut_off_later_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outbox.db");
        create(&path).unwrap();
        let options = Options::new(&path, "acme");
        let db = open_prepared(&path, &options).unwrap();
        begin_writing(&db).unwrap();
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM meta").unwrap();
        set_meta(&db, "later", 1).unwrap();
        db.busy_handler(Some(waits)).unwrap();
        assert!(!cut_log(&db).unwrap(), "it is read from");
        assert!(!HAS_WAITED.load(Ordering::Relaxed));
        let wait_ms: u128 = db.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, u32>(0)).unwrap().into();
        assert_eq!(wait_ms, BUSY_WAIT_WRITING.as_millis(), "as before");
        set_meta(&db, "meanwhile", 1).unwrap();
        reader.execute_batch("ROLLBACK").unwrap();
        assert!(log::file_bytes(&path) > 0 && cut_log(&db).unwrap());
        assert_eq!(log::file_bytes(&path), 0);
    }
}
