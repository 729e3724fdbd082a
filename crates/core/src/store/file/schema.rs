//! The tables, and how a file of an older version becomes one of this.
//!
//! The keys of a table's rows say which organization they belong to (see `part`); `organizations` has their names.
//!
//! What a message is never changes, so `messages` is written once and deleted once, in the order of its key. What
//! happens to it is in `wire`, a log that begins anew with each save, and in `returned`, if it has come back and goes
//! on waiting: both stay in a few pages. Its receipt is in `deliveries`, with those of its neighbors. There is no index
//! on ids: a random key costs a page for each message once there are millions, and who asks for an id (the command
//! line) can wait for a scan.
//!
//! The root pages of the tables are the first ones of the file, in the order of their making: with `auto_vacuum` SQLite
//! puts them there, and no step drops a table, which would move others. So they are on the same pages in all files, and
//! `salvage` finds them without the page that says where they are.

use rusqlite::Connection;

use super::fault::{Fault, Result};
use super::rows::{HEAD, TAIL};
use crate::error::StoreErrorKind;

/// Says that a database is an outbox of ours: "SPLW".
pub(super) const APPLICATION_ID: i32 = 0x5350_4C57;

/// The first version that is read. Those before it were of builds before any release.
const FIRST: usize = 3;

/// The first step makes version [`FIRST`] in an empty file, and each other one the next version of the one before it. A
/// new one comes with a file of its version in `tests/store/versions`. Salvaging knows the tables of the current
/// version only: a step that changes these says what becomes of a damaged file of an older one.
const STEPS: &[&str] = &[TABLES];

/// The version that this code writes.
pub(super) const VERSION: usize = FIRST + STEPS.len() - 1;

const TABLES: &str = "
CREATE TABLE meta(
  name TEXT PRIMARY KEY,
  value
) WITHOUT ROWID;
CREATE TABLE messages(
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  given INTEGER NOT NULL,
  conversation TEXT NOT NULL,
  priority INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  submitted_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  not_before_ms INTEGER,
  head INTEGER NOT NULL,
  tail INTEGER NOT NULL,
  params TEXT,
  headers TEXT,
  traceparent TEXT,
  body BLOB NOT NULL
);
CREATE TABLE returned(
  seq INTEGER PRIMARY KEY,
  attempts INTEGER NOT NULL,
  first_attempt_ms INTEGER,
  ambiguous INTEGER NOT NULL,
  batch INTEGER,
  sum INTEGER NOT NULL
);
CREATE TABLE wire(
  number INTEGER PRIMARY KEY,
  carried INTEGER NOT NULL,
  sum INTEGER NOT NULL,
  log TEXT NOT NULL
);
CREATE TABLE deliveries(
  number INTEGER PRIMARY KEY,
  count INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  sum INTEGER NOT NULL,
  receipts TEXT NOT NULL
);
CREATE TABLE organizations(
  number INTEGER PRIMARY KEY,
  sum INTEGER NOT NULL,
  name TEXT NOT NULL
);
CREATE TABLE letters(
  number INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  failure TEXT NOT NULL,
  response BLOB,
  seq INTEGER NOT NULL,
  id TEXT NOT NULL,
  given INTEGER NOT NULL,
  conversation TEXT NOT NULL,
  priority INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  submitted_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  not_before_ms INTEGER,
  head INTEGER NOT NULL,
  tail INTEGER NOT NULL,
  params TEXT,
  headers TEXT,
  traceparent TEXT,
  body BLOB NOT NULL
);
CREATE INDEX letters_by_id ON letters(id);
";

/// What a database is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing is in it yet.
    Empty,
    /// An outbox of this version.
    Current,
    /// An outbox of an older version, which steps can bring to this one.
    Older(usize),
}

/// Looks, and changes nothing.
pub(super) fn kind(db: &Connection) -> Result<Kind> {
    let version: usize = db.query_row("PRAGMA user_version", [], |row| row.get::<_, i32>(0))?.try_into().unwrap_or(0);
    let application: i32 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version) {
        (APPLICATION_ID, VERSION) => Ok(Kind::Current),
        (APPLICATION_ID, newer) if newer > VERSION && written_version(db).is_some_and(|written| written >= newer) => {
            Err(of_other_version(newer))
        }
        (APPLICATION_ID, older) if (FIRST..VERSION).contains(&older) => Ok(Kind::Older(older)),
        (APPLICATION_ID, unreleased) if (1..FIRST).contains(&unreleased) && written_version(db) == Some(unreleased) => {
            Err(of_other_version(unreleased))
        }
        (0, 0) if tables == 0 && pages(db)? <= 1 => Ok(Kind::Empty),
        (other, _) if other != APPLICATION_ID && tables > 0 && !has_our_tables(db)? => {
            Err(Fault::new(StoreErrorKind::Mismatch, "belongs to another application"))
        }
        _ => Err(Fault::corrupt("is damaged: its first page is not as it was written")),
    }
}

/// Refuses a file of a version that this code can neither read nor bring to its own.
pub(super) fn of_other_version(version: usize) -> Fault {
    if version > VERSION {
        let what = format!("was written by a newer version of spillway (schema {version}, this one knows {VERSION})");
        return Fault::new(StoreErrorKind::Version, what);
    }
    let what = format!("was written by a build before the first release (schema {version}, this one knows {VERSION})");
    let advice = "send its messages with the build that wrote it: another path would leave them behind";
    Fault::new(StoreErrorKind::Version, what).with_advice(advice)
}

/// The version by the other place that has it: a flipped bit of the header is no newer version. None when it can't be
/// read.
pub(super) fn written_version(db: &Connection) -> Option<usize> {
    let version = db.query_row("SELECT value FROM meta WHERE name = 'schema'", [], |row| row.get::<_, i64>(0));
    version.ok().and_then(|version| usize::try_from(version).ok())
}

fn pages(db: &Connection) -> Result<i64> {
    Ok(db.query_row("PRAGMA page_count", [], |row| row.get(0))?)
}

/// Whether a database that doesn't say that it is ours has a table of messages as only ours have it: the names of
/// tables are anybody's, but not those of all their columns.
fn has_our_tables(db: &Connection) -> Result<bool> {
    for table in ["messages", "letters"] {
        match db.prepare(&format!("SELECT {HEAD}, {TAIL} FROM {table}")) {
            Ok(_) => return Ok(true),
            // No such table, or no such column: rusqlite has one error for each.
            Err(error)
                if error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_ERROR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// Brings the file to this version; each step whole or not at all.
pub(super) fn migrate(db: &Connection, from: Kind) -> Result<()> {
    match from {
        Kind::Current => Ok(()),
        Kind::Empty => take_steps(db, STEPS, FIRST),
        Kind::Older(version) => take_steps(db, STEPS, version + 1),
    }
}

/// Takes the steps that make the versions from `first` on.
fn take_steps(db: &Connection, steps: &[&str], first: usize) -> Result<()> {
    for (version, step) in (FIRST..).zip(steps).skip(first - FIRST) {
        let script = format!(
            "BEGIN IMMEDIATE; {step} REPLACE INTO meta VALUES ('schema', {version});
             PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}; COMMIT;"
        );
        if let Err(error) = db.execute_batch(&script) {
            if !db.is_autocommit() {
                // What went wrong is told; that it can't be undone either makes no difference: the file closes.
                let _ = db.execute_batch("ROLLBACK");
            }
            return Err(error.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::file::values::meta;

    fn version(db: &Connection) -> (i64, Option<i64>) {
        let version = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        (version, meta(db, "schema").unwrap())
    }

    #[test]
    fn each_step_is_taken_once_and_whole_or_not_at_all() {
        let db = Connection::open_in_memory().unwrap();
        migrate(&db, Kind::Empty).unwrap();
        assert_eq!((kind(&db).unwrap(), version(&db)), (Kind::Current, (3, Some(3))));

        let next = "ALTER TABLE wire ADD COLUMN count INTEGER NOT NULL DEFAULT 1;";
        let fails = "ALTER TABLE deliveries ADD COLUMN hosts; INSERT INTO nowhere VALUES (1);";
        assert!(take_steps(&db, &[TABLES, next, fails], 4).is_err());
        assert_eq!(version(&db), (4, Some(4)));
        assert!(db.prepare("SELECT count FROM wire").is_ok() && db.prepare("SELECT hosts FROM deliveries").is_err());

        take_steps(&db, &[TABLES, next, "ALTER TABLE deliveries ADD COLUMN hosts;"], 5).unwrap();
        assert_eq!(version(&db), (5, Some(5)));
        assert!(db.prepare("SELECT hosts FROM deliveries").is_ok());
    }

    #[test]
    fn a_file_of_another_version_is_refused_and_a_flipped_bit_of_its_number_is_damage() {
        let db = Connection::open_in_memory().unwrap();
        migrate(&db, Kind::Empty).unwrap();
        for (header, written, expected, named) in [
            (1, 1, StoreErrorKind::Version, "build before the first release (schema 1, this one knows 3)"),
            (2, 2, StoreErrorKind::Version, "build before the first release (schema 2, this one knows 3)"),
            (4, 4, StoreErrorKind::Version, "newer version of spillway (schema 4, this one knows 3)"),
            (99, 100, StoreErrorKind::Version, "schema 99"),
            (4, 3, StoreErrorKind::Corrupt, "first page"),
            (1, 3, StoreErrorKind::Corrupt, "first page"),
            (0, 3, StoreErrorKind::Corrupt, "first page"),
        ] {
            let script = format!("PRAGMA user_version = {header}; REPLACE INTO meta VALUES ('schema', {written})");
            db.execute_batch(&script).unwrap();
            let fault = kind(&db).unwrap_err();
            assert!(fault.kind == expected && fault.what().contains(named), "{header}, {written}: {fault:?}");
        }
    }
}
