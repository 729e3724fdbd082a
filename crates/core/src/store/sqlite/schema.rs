//! The tables, and how a file of an older version becomes one of this.
//!
//! What a message is never changes, so `messages` is written once and deleted once, in the order of its key. What happens to it
//! is in `wire`, a log that begins anew with each save, and in `returned`, if it has come back and goes on waiting: both stay
//! in a few pages. Its receipt is in `deliveries`, with those of its neighbours. There is no index on ids: a random key
//! costs a page for each message once there are millions, and who asks for an id (the command line) can wait for a scan.
//!
//! The root pages of the tables are the first ones of the file, in the order of their making: with `auto_vacuum` SQLite puts
//! them there, and no step drops a table, which would move others. So they are on the same pages in all files, and `salvage`
//! finds them without the page that says where they are.

use rusqlite::Connection;

use super::trouble::{Fault, Result};
use crate::error::Trouble;

/// Says that a database is an outbox of ours: "SPLW".
pub(super) const APPLICATION_ID: i32 = 0x5350_4C57;

/// Step `n` makes version `n + 1` of version `n`. Who adds one adds a file of the new version to `tests/store/versions`.
const STEPS: &[&str] = &[VERSION_1, VERSION_2];

/// The version that this code writes.
pub(super) const VERSION: usize = STEPS.len();

const VERSION_1: &str = "
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
  traceparent TEXT,
  body BLOB NOT NULL
);
CREATE TABLE flights(
  seq INTEGER PRIMARY KEY,
  attempts INTEGER NOT NULL,
  first_attempt_ms INTEGER,
  ambiguous INTEGER NOT NULL,
  sent INTEGER NOT NULL,
  batch INTEGER,
  sent_ms INTEGER
);
CREATE TABLE departures(
  number INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL
);
CREATE TABLE receipts(
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  given INTEGER NOT NULL,
  conversation TEXT NOT NULL,
  status INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  batch_size INTEGER NOT NULL,
  queued_ms INTEGER NOT NULL,
  at_ms INTEGER NOT NULL
);
CREATE TABLE letters(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
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
  traceparent TEXT,
  body BLOB NOT NULL
);
CREATE INDEX letters_by_id ON letters(id);
";

/// What was a row for each departure, flight and receipt shares rows: their statements took most of a delivery's time. Batches have
/// more places, since they may be larger than 4,096. The tables keep their pages, and so their order.
const VERSION_2: &str = "
CREATE TEMP TABLE log AS
  SELECT 0 AS carried, json_array(json_array(at_ms, NULL, json_array())) AS log FROM departures ORDER BY number;
INSERT INTO log SELECT 1, json_group_array(
    json_array(ifnull(sent_ms, 0), batch / 4096 * 16384 + batch % 4096, json_array(json_array(seq, attempts, first_attempt_ms))) ORDER BY seq)
  FROM flights WHERE sent HAVING count(*) > 0;
DELETE FROM departures;
ALTER TABLE departures RENAME TO wire;
ALTER TABLE wire RENAME COLUMN at_ms TO carried;
ALTER TABLE wire ADD COLUMN sum INTEGER;
ALTER TABLE wire ADD COLUMN log TEXT NOT NULL DEFAULT '[]';
INSERT INTO wire(carried, log) SELECT carried, log FROM log ORDER BY rowid;
DROP TABLE log;

DELETE FROM flights WHERE sent AND NOT ambiguous;
UPDATE flights SET sent_ms = NULL, batch = batch / 4096 * 16384 + batch % 4096;
ALTER TABLE flights RENAME TO returned;
ALTER TABLE returned DROP COLUMN sent;
ALTER TABLE returned RENAME COLUMN sent_ms TO sum;

CREATE TEMP TABLE packed AS
  SELECT max(number) AS number, count(*) AS count, max(at_ms) AS at_ms, json_group_array(json_array(
    id, json(iif(given, 'true', 'false')), conversation, status, attempts, batch_size, queued_ms, at_ms) ORDER BY number)
    AS receipts
  FROM receipts GROUP BY number / 64;
DELETE FROM receipts;
ALTER TABLE receipts RENAME TO deliveries;
ALTER TABLE deliveries DROP COLUMN id;
ALTER TABLE deliveries DROP COLUMN conversation;
ALTER TABLE deliveries DROP COLUMN status;
ALTER TABLE deliveries DROP COLUMN attempts;
ALTER TABLE deliveries DROP COLUMN batch_size;
ALTER TABLE deliveries DROP COLUMN queued_ms;
ALTER TABLE deliveries RENAME COLUMN given TO count;
ALTER TABLE deliveries ADD COLUMN sum INTEGER;
ALTER TABLE deliveries ADD COLUMN receipts TEXT NOT NULL DEFAULT '[]';
INSERT INTO deliveries(number, count, at_ms, receipts) SELECT number, count, at_ms, receipts FROM packed ORDER BY number;
DROP TABLE packed;
";

/// What a database is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing is in it yet.
    Empty,
    /// An outbox of this version.
    Current,
    /// An outbox of an older version.
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
            Err(Fault::new(
                Trouble::Version,
                format!("was written by a newer version of spillway (schema {newer}, this one knows {VERSION})"),
            ))
        }
        (APPLICATION_ID, older) if 0 < older && older < VERSION => Ok(Kind::Older(older)),
        (0, 0) if tables == 0 && pages(db)? <= 1 => Ok(Kind::Empty),
        (other, _) if other != APPLICATION_ID && tables > 0 && !has_our_tables(db)? => {
            Err(Fault::new(Trouble::Mismatch, "is a database of something else than spillway"))
        }
        _ => Err(Fault::corrupt("is damaged: its first page is not as it was written")),
    }
}

/// The version by the other place that has it: a flipped bit of the header is no newer version. None when it can't be read.
pub(super) fn written_version(db: &Connection) -> Option<usize> {
    let version = db.query_row("SELECT value FROM meta WHERE name = 'schema'", [], |row| row.get::<_, i64>(0));
    version.ok().and_then(|version| usize::try_from(version).ok())
}

fn pages(db: &Connection) -> Result<i64> {
    Ok(db.query_row("PRAGMA page_count", [], |row| row.get(0))?)
}

fn has_our_tables(db: &Connection) -> Result<bool> {
    let ours =
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'messages', 'letters', 'wire')";
    Ok(db.query_row(ours, [], |row| row.get::<_, i64>(0))? >= 2)
}

/// Brings the file to a version, unless it is of a later one; each step whole or not at all.
pub(super) fn migrate(db: &Connection, from: Kind, to: usize) -> Result<()> {
    match from {
        Kind::Current => Ok(()),
        Kind::Empty => take_steps(db, &STEPS[..to], 0),
        Kind::Older(version) => take_steps(db, &STEPS[..to], version),
    }
}

fn take_steps(db: &Connection, steps: &[&str], from: usize) -> Result<()> {
    for (index, step) in steps.iter().enumerate().skip(from) {
        let version = index + 1;
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
    use crate::store::sqlite::apply::meta;

    fn version(db: &Connection) -> (i64, Option<i64>) {
        let version = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        (version, meta(db, "schema").unwrap())
    }

    #[test]
    fn each_step_is_taken_once_and_whole_or_not_at_all() {
        let db = Connection::open_in_memory().unwrap();
        take_steps(&db, &STEPS[..1], 0).unwrap();
        assert_eq!((kind(&db).unwrap(), version(&db)), (Kind::Older(1), (1, Some(1))));

        let next = "ALTER TABLE departures ADD COLUMN count INTEGER NOT NULL DEFAULT 1;";
        let fails = "ALTER TABLE receipts ADD COLUMN count; INSERT INTO nowhere VALUES (1);";
        assert!(take_steps(&db, &[VERSION_1, next, fails], 1).is_err());
        assert_eq!(version(&db), (2, Some(2)));
        assert!(
            db.prepare("SELECT count FROM departures").is_ok() && db.prepare("SELECT count FROM receipts").is_err()
        );

        take_steps(&db, &[VERSION_1, next, "ALTER TABLE receipts ADD COLUMN count;"], 2).unwrap();
        assert_eq!(version(&db), (3, Some(3)));
        assert!(db.prepare("SELECT count FROM receipts").is_ok());
    }
}
