//! What an earlier run left, told in chunks: all of it once, and never all of it in memory.

use std::time::Duration;

use rusqlite::{Connection, Row as SqlRow, params};

use super::file_time::FileTime;
use super::receipts;
use super::rows;
use super::times::{Times, natural};
use super::told::Told;
use super::trouble::{Fault, Result};
use super::wire::{self, Wire};
use crate::clock::Timestamp;
use crate::store::{News, Record, Row, SEQ_MAX, Settled};

/// Rows, and bytes of bodies, that are told at once. As many chunks as there is room for on the way to the engine are
/// in memory together, and so they are small.
const CHUNK_ROWS: usize = 512;
const CHUNK_BYTES: usize = 1_048_576;
/// What an engine holds of letters: the newest.
const LETTERS_MAX: i64 = 100_000;
const LETTER_BYTES_MAX: i64 = 268_435_456;
/// Receipts that are kept.
pub(super) const RECEIPTS_MAX: i64 = 1_000_000;
/// No window allows more departures.
const DEPARTURES_MAX: usize = 1_000_000;

/// What was told, so that nothing is told twice when a read fails or the file turns out to be damaged on the way.
#[derive(Debug, Default)]
pub(super) struct Progress {
    messages: Told,
    letters: Told,
    receipts: Told,
    /// Rows that made no sense, where nothing could be recovered any more.
    pub(super) unreadable: u64,
}

impl Progress {
    /// The file was replaced: its copy may have rows that stood in the wrong place before, in front of what was told.
    pub(super) fn rewind(&mut self) {
        for told in [&mut self.messages, &mut self.letters, &mut self.receipts] {
            told.rewind();
        }
    }
}

/// Tells everything that isn't told yet. A row that makes no sense is damage, or passed over and counted when
/// `lenient`.
pub(super) fn tell(
    db: &Connection,
    time: &FileTime,
    dedupe: Duration,
    lenient: bool,
    progress: &mut Progress,
    news: &mut dyn FnMut(News),
) -> Result<()> {
    let mut chunk = Chunk { rows: Vec::new(), bytes: 0, news };
    let mut lost = 0;
    let times = time.times();
    let mut told = Teller { times: &times, lenient, chunk: &mut chunk, lost: &mut lost };
    let done = wire::read(db)
        .and_then(|wire| told.messages(db, &wire, &mut progress.messages))
        .and_then(|()| told.letters(db, &mut progress.letters))
        .and_then(|()| match dedupe.is_zero() {
            false => told.receipts(db, time, dedupe, &mut progress.receipts),
            true => Ok(()),
        });
    // What is in the chunk counts as told.
    chunk.flush();
    progress.unreadable += lost;
    done
}

struct Chunk<'a> {
    rows: Vec<Row>,
    bytes: usize,
    news: &'a mut dyn FnMut(News),
}

impl Chunk<'_> {
    fn push(&mut self, row: Row) {
        self.bytes += match &row {
            Row::Started(record) => record.message.body().len(),
            Row::Letter(letter) => letter.cargo.len(),
            Row::Waiting(_) | Row::Settled(_) => 0,
        };
        self.rows.push(row);
        if self.rows.len() >= CHUNK_ROWS || self.bytes >= CHUNK_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.bytes = 0;
        if !self.rows.is_empty() {
            (self.news)(News::Found(std::mem::take(&mut self.rows)));
        }
    }
}

/// A message that was on the wire, whole: the scan has its large part only when it had come back before.
fn sent_message(db: &Connection, row: &SqlRow<'_>, sent: &wire::Sent, times: &Times) -> Result<Record> {
    let mut statement = db.prepare_cached(&rows::load_sql())?;
    let seq: i64 = row.get(0)?;
    let mut whole = statement.query(params![seq])?;
    let row = whole.next()?.ok_or_else(|| Fault::corrupt("is damaged: its rows are out of order"))?;
    Ok(sent.record(rows::record(row, times)?, times))
}

struct Teller<'a, 'b> {
    times: &'a Times,
    lenient: bool,
    chunk: &'a mut Chunk<'b>,
    lost: &'a mut u64,
}

impl Teller<'_, '_> {
    fn messages(&mut self, db: &Connection, wire: &Wire, told: &mut Told) -> Result<()> {
        self.scan(
            db,
            &rows::scan_sql(),
            told,
            0,
            |row| row.get(0),
            |row, times, told| {
                let sent = wire.sent.get(&row.get(0)?);
                told.push(match sent {
                    None => rows::found(row, times)?,
                    Some(sent) => Row::Started(Box::new(sent_message(db, row, sent, times)?)),
                });
                Ok(())
            },
        )
    }

    fn letters(&mut self, db: &Connection, told: &mut Told) -> Result<()> {
        let number_column = rows::LETTER_NUMBER;
        self.scan(
            db,
            &rows::letters_sql(),
            told,
            letters_start(db)?,
            |row| row.get(number_column),
            |row, times, told| {
                told.push(Row::Letter(Box::new(rows::letter(row, times)?)));
                Ok(())
            },
        )
    }

    fn receipts(&mut self, db: &Connection, time: &FileTime, dedupe: Duration, told: &mut Told) -> Result<()> {
        let since_ms = time.forgets_before(dedupe);
        let start = receipts::newest(db)?.saturating_sub(RECEIPTS_MAX);
        self.scan(
            db,
            receipts::SELECT,
            told,
            start,
            |row| row.get(0),
            |row, _, told| {
                for (_, receipt) in
                    receipts::read(row)?.filter(|(_, receipt)| receipt.given && receipt.at_ms >= since_ms)
                {
                    let id = receipt.id.into_owned().into();
                    let at = time.calendar.remembered_at(natural(receipt.at_ms));
                    told.push(Row::Settled(Settled { id, status: receipt.status, attempts: receipt.attempts, at }));
                }
                Ok(())
            },
        )
    }

    /// Tells the rows with numbers above `start`.
    fn scan(
        &mut self,
        db: &Connection,
        sql: &str,
        told: &mut Told,
        start: i64,
        key: impl Fn(&SqlRow<'_>) -> rusqlite::Result<i64>,
        read: impl Fn(&SqlRow<'_>, &Times, &mut Vec<Row>) -> Result<()>,
    ) -> Result<()> {
        let mut rows = Vec::new();
        let mut last = told.resume_after().max(start);
        let mut statement = db.prepare(sql)?;
        let mut found = statement.query(params![last])?;
        while let Some(row) = found.next()? {
            let number = key(row)?;
            if number <= last {
                return Err(Fault::corrupt("is damaged: its rows are out of order"));
            }
            last = number;
            if told.contains(number) {
                continue;
            }
            match read(row, self.times, &mut rows) {
                Ok(()) => rows.drain(..).for_each(|row| self.chunk.push(row)),
                Err(fault) if fault.is_corrupt() && self.lenient => *self.lost += 1,
                Err(fault) => return Err(fault),
            }
            told.insert(number);
        }
        Ok(())
    }
}

/// The number before the oldest letter that an engine has room for.
fn letters_start(db: &Connection) -> Result<i64> {
    let mut statement =
        db.prepare("SELECT number, bytes + ifnull(length(response), 0) FROM letters ORDER BY number DESC LIMIT ?1")?;
    let mut found = statement.query(params![LETTERS_MAX])?;
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
    Ok(if oldest == i64::MAX { 0 } else { oldest.saturating_sub(1) })
}

/// The number of the last message ever accepted, by what is in the file.
pub(super) fn last_seq(db: &Connection) -> Result<u64> {
    let newest: i64 = db.query_row("SELECT ifnull(max(seq), 0) FROM messages", [], |row| row.get(0))?;
    let remembered: i64 = super::values::meta(db, "last_seq")?.unwrap_or(0);
    let last = u64::try_from(newest.max(remembered)).ok().filter(|last| *last <= SEQ_MAX);
    // The next messages would have numbers that no batch has room for.
    last.ok_or_else(|| Fault::corrupt("counts more messages than there can be"))
}

/// When requests left after the budget was kept; the last ones, if they are very many.
pub(super) fn departed(db: &Connection, time: &FileTime) -> Result<Vec<Timestamp>> {
    let departed_ms = wire::read(db)?.departed_ms;
    let surplus = departed_ms.len().saturating_sub(DEPARTURES_MAX);
    Ok(departed_ms.into_iter().skip(surplus).map(|ms| time.calendar.at_undoubted(natural(ms))).collect())
}
