//! Whether what is at a path was an outbox once: a damaged one is set aside and replaced, somebody else's is left
//! alone.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::companion::{companion, open_beside};
use super::fault::{Fault, Result};
use super::options::Options;
use super::schema::{self, APPLICATION_ID};
use super::vfs;
use crate::error::StoreErrorKind;

const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER: usize = 100;
const USER_VERSION_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;
/// What a write-ahead log begins with; its last bit says how the rest is to be read.
const LOG_MAGIC: u32 = 0x377F_0682;
const JOURNAL_MAGIC: &[u8] = &[0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7];
const PAGE: usize = 4_096;
/// The tables begin on the first few pages: where all of these are gone, nothing can be found any more.
const PAGES_LOOKED_AT: u64 = 256;
/// Two lines of the text of our tables of messages and dead letters. Names of columns alone are anybody's.
const COLUMNS: &[u8] = b"given INTEGER NOT NULL,\n  conversation TEXT NOT NULL";
/// Two of our single values: a record of this name and a time in 6 bytes, as SQLite writes it, and what the names of
/// others begin with.
const VALUES: [&[u8]; 2] = [b"\x03\x21\x05created_ms", b"organization"];
/// What the text of any table begins with.
const TABLE: &[u8] = b"CREATE TABLE";
/// How long another program may be busy with a file that is looked at.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Refuses a file that never was an outbox.
///
/// A damaged outbox has one of these left, in all likelihood: our mark in SQLite's header, or a text of ours on one of
/// the first pages or in the log. Without SQLite's header a page of a table where a page begins, or a log, is enough if
/// an earlier opening has left its lock, or if there is no text of another application's tables. Or nothing is left: a
/// crash can leave zeros, or cut the header. A text, a picture, an archive, another application's database have none of
/// them, damaged or not.
pub(super) fn check(path: &Path, was_locked_before: bool) -> Result<()> {
    let mut file = File::open(path)?.take(PAGES_LOOKED_AT * PAGE as u64);
    let mut bytes = Vec::new();
    // Of most files this is all that has to be read.
    file.by_ref().take(PAGE as u64).read_to_end(&mut bytes)?;
    if has_mark(&bytes) {
        return Ok(());
    }
    file.read_to_end(&mut bytes)?;
    let log = log_of(path).unwrap_or_default();
    let has_header = bytes.starts_with(MAGIC);
    // Nothing is in a log that doesn't begin as one: a power cut leaves zeros there, too.
    let is_cut = || bytes.len() < HEADER && MAGIC.iter().zip(&bytes).all(|(one, other)| one == other) && !is_log(&log);
    let is_zeros = || !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0);
    let has_pages = || is_log(&log) || bytes.chunks(PAGE).any(is_tree_page);
    let is_headless_outbox =
        || !has_header && has_pages() && (was_locked_before || !has_tables(&bytes) && !has_tables(&log));
    if is_new_outbox(&bytes) || is_cut() || has_text(&bytes) || has_text(&log) || is_zeros() || is_headless_outbox() {
        return Ok(());
    }
    let what =
        if has_header || !log.is_empty() { "but a database of another application" } else { "and no database either" };
    Err(Fault::new(StoreErrorKind::Mismatch, format!("is not an outbox, {what}")))
}

/// Refuses a sound database that is another application's or of a newer version. Nothing is
/// changed by looking, and nothing made beside it. What can't be read is damaged, and not refused here.
pub(super) fn recognize(path: &Path, options: &Options) -> Result<()> {
    look(path, options.vfs.as_deref(), |db| schema::kind(db).map(drop))
}

/// Asks a file that may be anybody's, as [`recognize`] does.
pub(super) fn look(path: &Path, vfs: Option<&str>, question: impl Fn(&Connection) -> Result<()>) -> Result<()> {
    // Of an empty file SQLite would delete the log.
    if fs::metadata(path)?.len() == 0 {
        return Ok(());
    }
    let asked = connect(path, vfs).map_err(Fault::from).and_then(|db| question(&db));
    asked.or_else(|fault| match fault.kind {
        StoreErrorKind::Mismatch | StoreErrorKind::Version | StoreErrorKind::Locked => Err(fault),
        _ => Ok(()),
    })
}

/// A connection that makes no file. A log is read through an index beside it; where there is none, it is kept in memory
/// instead, as SQLite does for one that has the database alone.
fn connect(path: &Path, below: Option<&str>) -> rusqlite::Result<Connection> {
    let exists = |suffix| companion(path, suffix).exists();
    if !exists("-wal") {
        return vfs::unchanging(path, below);
    }
    let access = if exists("-shm") { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = vfs::connect(path, flags, below)?;
    db.busy_timeout(BUSY_WAIT)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if !exists("-shm") {
        db.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    }
    Ok(db)
}

/// The beginning of the log, or of the journal.
fn log_of(path: &Path) -> Option<Vec<u8>> {
    let read = |suffix| {
        let file = open_beside(&companion(path, suffix), OpenOptions::new().read(true)).ok()?;
        let mut bytes = Vec::new();
        file.take(PAGES_LOOKED_AT * PAGE as u64).read_to_end(&mut bytes).ok()?;
        (!bytes.is_empty()).then_some(bytes)
    };
    read("-wal").or_else(|| read("-journal"))
}

fn is_log(bytes: &[u8]) -> bool {
    let magic = bytes.first_chunk().map(|magic| u32::from_be_bytes(*magic));
    magic.is_some_and(|magic| magic & !1 == LOG_MAGIC) || bytes.starts_with(JOURNAL_MAGIC)
}

fn has_mark(bytes: &[u8]) -> bool {
    let ours = APPLICATION_ID.to_be_bytes();
    bytes.get(APPLICATION_ID_AT..APPLICATION_ID_AT + ours.len()) == Some(&ours)
}

/// An outbox that was just begun: one page without a table, and set up as [`connection::prepare`] does. Its tables may
/// be in its log.
fn is_new_outbox(bytes: &[u8]) -> bool {
    let number =
        |at: usize| bytes.get(at..at + 4).and_then(|bytes| bytes.first_chunk()).map(|bytes| u32::from_be_bytes(*bytes));
    let is_unversioned = number(USER_VERSION_AT) == Some(0) && number(APPLICATION_ID_AT) == Some(0);
    // Where it has its largest root page, and whether pages are given back bit by bit: 0 is the default of both.
    let is_vacuumed = number(52).is_some_and(|root| root > 0) && number(64) == Some(1);
    // The header of the first page's tree is behind that of the file; then comes the number of its cells.
    // A power cut may have left less than the page.
    let is_empty = bytes.len() <= PAGE && bytes.get(103..105) == Some(&[0; 2]);
    bytes.starts_with(MAGIC) && is_unversioned && is_vacuumed && is_empty
}

/// Whether any of the pages has a text of ours.
fn has_text(bytes: &[u8]) -> bool {
    let has = |part: &[u8], text: &[u8]| part.windows(text.len()).any(|found| found == text);
    has(bytes, COLUMNS) || VALUES.iter().all(|value| has(bytes, value))
}

/// Whether there is the text of anybody's tables.
fn has_tables(bytes: &[u8]) -> bool {
    bytes.windows(TABLE.len()).any(|text| text == TABLE)
}

/// Whether a page has the header of a table or an index, and its cells are where that says.
fn is_tree_page(page: &[u8]) -> bool {
    let number =
        |at: usize| page.get(at..at + 2).map_or(0, |bytes| usize::from(u16::from_be_bytes([bytes[0], bytes[1]])));
    let header = match page.first() {
        Some(2 | 5) => 12,
        Some(10 | 13) => 8,
        _ => return false,
    };
    let (cells, content) = (number(3), number(5));
    let fits = |at: usize| (content..PAGE).contains(&at);
    page.len() == PAGE
        && content <= PAGE
        && header + 2 * cells <= content
        && (0..cells).all(|cell| fits(number(header + 2 * cell)))
}
