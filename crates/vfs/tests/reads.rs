//! What SQLite makes of reads that fail, over a disk that lets them.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use spillway_powercut::{Disk, ReadFailure, VFS, install};
use tempfile::TempDir;

const ROWS: i64 = 200;

/// A database of a few hundred pages.
fn place() -> (TempDir, PathBuf) {
    install();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("some.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE texts (number INTEGER PRIMARY KEY, text TEXT)").unwrap();
    for number in 1..=ROWS {
        db.execute("INSERT INTO texts VALUES (?1, ?2)", (number, "x".repeat(4_000))).unwrap();
    }
    (directory, path)
}

fn connect(path: &Path) -> Connection {
    let name = spillway_vfs::over(Some(VFS)).unwrap();
    Connection::open_with_flags_and_vfs(path, OpenFlags::SQLITE_OPEN_READ_WRITE, name).unwrap()
}

fn bytes(db: &Connection) -> Result<i64, ffi::Error> {
    let sum = db.query_row("SELECT sum(length(text)) FROM texts", [], |row| row.get(0));
    sum.map_err(|error| *error.sqlite_error().unwrap())
}

#[test]
fn a_read_that_fails_is_reported_as_one() {
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    for failure in ReadFailure::ALL {
        for from in (1..100).step_by(7) {
            let db = connect(&path);
            disk.fail_reads(disk.reads() + from..u64::MAX, failure);
            let error = bytes(&db).unwrap_err();
            assert_eq!(error.extended_code, ffi::SQLITE_IOERR_READ, "{failure:?} at {from}");
            disk.mend();
            assert_eq!(bytes(&db), Ok(4_000 * ROWS), "{failure:?} at {from}");
        }
    }
    disk.forget();
}

#[test]
fn a_read_that_is_short_once_is_read_again() {
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    for from in 1..50 {
        let db = connect(&path);
        disk.fail_reads(disk.reads() + from..disk.reads() + from + 1, ReadFailure::Short);
        assert_eq!(bytes(&db), Ok(4_000 * ROWS), "at {from}");
        assert_eq!(disk.failed_reads(), 1, "at {from}");
    }
    disk.forget();
}

#[test]
fn a_file_that_ends_early_is_damaged_and_not_unreadable() {
    for missing in [1, 512, 4_096, 5_000, 40_000] {
        let (directory, path) = place();
        let disk = Disk::of(directory.path());
        let length = fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length - missing).unwrap();
        let db = connect(&path);
        let verdict = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
        match verdict {
            // SQLite does not look into the texts.
            Ok(verdict) => assert!(missing < 4_096 || verdict != "ok", "without {missing}"),
            Err(error) => assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt), "without {missing}"),
        }
        disk.forget();
    }
}

#[test]
fn an_empty_file_is_a_new_database() {
    let (directory, _) = place();
    let disk = Disk::of(directory.path());
    let path = directory.path().join("new.db");
    fs::write(&path, []).unwrap();
    let db = connect(&path);
    db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE texts (text TEXT); INSERT INTO texts VALUES ('x')")
        .unwrap();
    assert_eq!(bytes(&connect(&path)), Ok(1));
    disk.forget();
}

#[test]
fn there_is_one_over_the_systems_and_none_over_an_unknown() {
    assert_eq!(spillway_vfs::over(None), Some("spillway"));
    assert_eq!(spillway_vfs::over(None), Some("spillway"));
    assert_eq!(spillway_vfs::over(Some("nosuch")), None);
    assert_eq!(spillway_vfs::over(Some("no\0such")), None);
}
