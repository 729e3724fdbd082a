//! What an earlier run left of an organization, told in chunks: all of it once, and never all of it in memory.

use std::time::Duration;

use rusqlite::{Connection, Row as SqlRow, params};

use super::fault::{Fault, Result};
use super::file_time::FileTime;
use super::part::{Part, number_of};
use super::progress::{Beginning, Progress};
use super::receipts;
use super::reported::ReportedRows;
use super::rows;
use super::times::{Times, natural};
use super::wire::{self, Wire};
use crate::clock::Timestamp;
use crate::store::{Record, Row, SEQ_MAX, Settled, StoreEvent};

/// Rows, and bytes of bodies, that are told at once. As many chunks as there is room for on the way to the engine are
/// in memory together, and so they are small.
const CHUNK_ROWS: usize = 512;
const CHUNK_BYTES: usize = 1_048_576;
/// Bytes of bodies that count as another row.
const ROW_BYTES: usize = 4_096;
/// No window allows more departures.
const DEPARTURES_MAX: usize = 1_000_000;

/// What is to be told, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readout<'a> {
    pub(super) part: Part,
    pub(super) time: &'a FileTime,
    /// How long receipts are kept; zero for none.
    pub(super) dedupe: Duration,
    /// A row that makes no sense is damage, or passed over and counted when this is set.
    pub(super) lenient: bool,
}

/// Whether all is told by now, or the next turn goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Done,
    More,
}

/// Tells everything that isn't told yet.
pub(super) fn tell_all(
    db: &Connection,
    readout: &Readout<'_>,
    progress: &mut Progress,
    event: &mut dyn FnMut(StoreEvent),
) -> Result<()> {
    let mut left = usize::MAX;
    tell(db, readout, &mut left, progress, event).map(drop)
}

/// Tells some more of what isn't told yet. `left` are the rows that may still be looked at before somebody else has a
/// turn; large ones count as several.
pub(super) fn tell(
    db: &Connection,
    readout: &Readout<'_>,
    left: &mut usize,
    progress: &mut Progress,
    event: &mut dyn FnMut(StoreEvent),
) -> Result<Turn> {
    let began = match progress.began.take() {
        Some(began) => began,
        None => Beginning::of(db, readout.part)?,
    };
    let mut chunk = Chunk { rows: Vec::new(), bytes: 0, event };
    let mut lost = 0;
    let times = readout.time.times();
    let mut told = Teller { readout, times: &times, chunk: &mut chunk, lost: &mut lost, left };
    let done = told
        .messages(db, &began.wire, &mut progress.messages)
        .and_then(|()| told.letters(db, began.letters, &mut progress.letters))
        .and_then(|()| match readout.dedupe.is_zero() {
            false => told.receipts(db, began.receipts, &mut progress.receipts),
            true => Ok(()),
        });
    // What is in the chunk counts as told.
    chunk.flush();
    progress.unreadable += lost;
    // After a reading that has failed it is read again.
    progress.began = done.is_ok().then_some(began);
    done.map(|()| if *left == 0 { Turn::More } else { Turn::Done })
}

struct Chunk<'a> {
    rows: Vec<Row>,
    bytes: usize,
    event: &'a mut dyn FnMut(StoreEvent),
}

/// Bytes of the body that a row has in it.
fn told_bytes(row: &Row) -> usize {
    match row {
        Row::Started(record) => record.message.body().len(),
        Row::Letter(letter) => letter.payload.len(),
        Row::Waiting(_) | Row::Settled(_) => 0,
    }
}

impl Chunk<'_> {
    fn push(&mut self, row: Row) {
        self.bytes += told_bytes(&row);
        self.rows.push(row);
        if self.rows.len() >= CHUNK_ROWS || self.bytes >= CHUNK_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.bytes = 0;
        if !self.rows.is_empty() {
            (self.event)(StoreEvent::Found(std::mem::take(&mut self.rows)));
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
    readout: &'a Readout<'a>,
    times: &'a Times,
    chunk: &'a mut Chunk<'b>,
    lost: &'a mut u64,
    /// Rows that this turn has left.
    left: &'a mut usize,
}

impl Teller<'_, '_> {
    fn messages(&mut self, db: &Connection, wire: &Wire, told: &mut ReportedRows) -> Result<()> {
        self.scan(
            db,
            &rows::scan_sql(),
            told,
            self.readout.part.start(),
            |row| row.get(0),
            |row, times, told| {
                let sent = wire.sent.get(&number_of(row.get(0)?));
                told.push(match sent {
                    None => rows::found(row, times)?,
                    Some(sent) => Row::Started(Box::new(sent_message(db, row, sent, times)?)),
                });
                Ok(())
            },
        )
    }

    fn letters(&mut self, db: &Connection, start: i64, told: &mut ReportedRows) -> Result<()> {
        let number_column = rows::LETTER_NUMBER;
        self.scan(
            db,
            &rows::letters_sql(),
            told,
            start,
            |row| row.get(number_column),
            |row, times, told| {
                told.push(Row::Letter(Box::new(rows::letter(row, times)?)));
                Ok(())
            },
        )
    }

    fn receipts(&mut self, db: &Connection, start: i64, told: &mut ReportedRows) -> Result<()> {
        let time = self.readout.time;
        let since_ms = time.forgets_before(self.readout.dedupe);
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

    /// Tells the rows of the part with keys above `start`, as many as this turn has left.
    fn scan(
        &mut self,
        db: &Connection,
        sql: &str,
        told: &mut ReportedRows,
        start: i64,
        key: impl Fn(&SqlRow<'_>) -> rusqlite::Result<i64>,
        read: impl Fn(&SqlRow<'_>, &Times, &mut Vec<Row>) -> Result<()>,
    ) -> Result<()> {
        let mut rows = Vec::new();
        let mut last = told.resume_after().max(start);
        let mut statement = db.prepare(sql)?;
        let mut found = statement.query(params![last, self.readout.part.end()])?;
        while *self.left > 0
            && let Some(row) = found.next()?
        {
            *self.left -= 1;
            let number = key(row)?;
            if number <= last {
                return Err(Fault::corrupt("is damaged: its rows are out of order"));
            }
            last = number;
            if told.contains(number) {
                continue;
            }
            match read(row, self.times, &mut rows) {
                Ok(()) => {
                    let large = rows.iter().map(|row| told_bytes(row) / ROW_BYTES).sum();
                    *self.left = self.left.saturating_sub(large);
                    rows.drain(..).for_each(|row| self.chunk.push(row));
                }
                Err(fault) if fault.is_corrupt() && self.readout.lenient => *self.lost += 1,
                Err(fault) => return Err(fault),
            }
            told.insert(number);
        }
        Ok(())
    }
}

/// The number of the last message that an organization ever had accepted, by what is in the file.
pub(super) fn last_seq(db: &Connection, part: Part) -> Result<u64> {
    let newest = part.newest(db, "messages", "seq")?;
    let remembered: i64 = part.meta(db, "last_seq")?.unwrap_or(0);
    let last = u64::try_from(newest.max(remembered)).ok().filter(|last| *last <= SEQ_MAX);
    // The next messages would have numbers that no batch has room for.
    last.ok_or_else(|| Fault::corrupt("counts more messages than there can be"))
}

/// When an organization's requests left after its budget was kept; the last ones, if they are very many.
pub(super) fn departed(db: &Connection, part: Part, time: &FileTime) -> Result<Vec<Timestamp>> {
    let departed_ms = wire::read(db, part)?.departed_ms;
    let surplus = departed_ms.len().saturating_sub(DEPARTURES_MAX);
    Ok(departed_ms.into_iter().skip(surplus).map(|ms| time.calendar.at_undoubted(natural(ms))).collect())
}
