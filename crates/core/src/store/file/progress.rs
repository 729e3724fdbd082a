//! How far what an earlier run left of an organization is told.

use rusqlite::{Connection, params};

use super::fault::{Fault, Result};
use super::part::Part;
use super::receipts;
use super::reported::ReportedRows;
use super::wire::{self, Wire};

/// What an engine holds of letters: the newest.
const LETTERS_MAX: i64 = 100_000;
const LETTER_BYTES_MAX: i64 = 268_435_456;
/// Receipts that are kept.
pub(super) const RECEIPTS_MAX: i64 = 1_000_000;

/// What was told, so that nothing is told twice when a read fails or the file turns out to be damaged on the way.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) messages: ReportedRows,
    pub(super) letters: ReportedRows,
    pub(super) receipts: ReportedRows,
    /// What the file said when telling began; nobody changes it before all is told.
    pub(super) began: Option<Beginning>,
    /// Rows that made no sense, where nothing could be recovered any more.
    pub(super) unreadable: u64,
}

#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) wire: Wire,
    /// The keys in front of the oldest letter and of the oldest receipts that are told.
    pub(super) letters: i64,
    pub(super) receipts: i64,
}

impl Beginning {
    pub(super) fn of(db: &Connection, part: Part) -> Result<Self> {
        let receipts = receipts::newest(db, part)?.saturating_sub(RECEIPTS_MAX).max(0);
        let receipts = part.start().saturating_add(receipts);
        Ok(Self { wire: wire::read(db, part)?, letters: letters_start(db, part)?, receipts })
    }
}

impl Progress {
    /// The file was replaced: its copy may have rows that stood in the wrong place before, in front of what was told.
    pub(super) fn rewind(&mut self) {
        for told in [&mut self.messages, &mut self.letters, &mut self.receipts] {
            told.rewind();
        }
        self.began = None;
    }
}

/// The key before the oldest letter that an engine has room for.
fn letters_start(db: &Connection, part: Part) -> Result<i64> {
    let mut statement = db.prepare_cached(
        "SELECT number, bytes + ifnull(length(response), 0) FROM letters WHERE number > ?2 AND number <= ?3
         ORDER BY number DESC LIMIT ?1",
    )?;
    let mut found = statement.query(params![LETTERS_MAX, part.start(), part.end()])?;
    let (mut oldest, mut bytes) = (i64::MAX, 0_i64);
    while let Some(row) = found.next()? {
        let number: i64 = row.get(0)?;
        bytes = bytes.saturating_add(row.get(1)?);
        if bytes > LETTER_BYTES_MAX && oldest < i64::MAX {
            break;
        }
        if number >= oldest {
            return Err(Fault::corrupt("is damaged: its rows are out of order"));
        }
        oldest = number;
    }
    Ok(if oldest == i64::MAX { part.start() } else { oldest.saturating_sub(1) })
}
