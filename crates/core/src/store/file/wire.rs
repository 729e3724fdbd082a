//! What is on the wire: what was when the budget was saved, and a log of what left and came back since. Those of one
//! commit share a row, as JSON with a checksum; the next save begins the log again. A message that is settled is gone
//! from the outbox, and its number never comes again, so that what the log says of it counts no more.

use std::collections::HashMap;

use rusqlite::{Connection, Row as SqlRow, params};
use serde::{Deserialize, Serialize};

use super::fault::{Fault, Result, damage};
use super::part::{Part, number_of};
use super::rows::{NUMBER_MAX, checksum};
use super::times::{Times, integer, natural};
use crate::store::{Departure, Flight, Record, SEQ_MAX, Seq};

/// Messages of one row, of those that are presumed to be on the wire.
const PRESUMED_PER_ROW: usize = 1_000;

/// One thing that happened on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Happening {
    /// A request left: when, the place of its first message if it is a batch, and its messages.
    Left(i64, Option<i64>, Vec<Member>),
    /// A message came back.
    Back(i64),
}

/// A message of a request: its number, its attempts, and when the first of them was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member(i64, u32, Option<i64>);

impl Happening {
    pub(super) fn left(at_ms: i64, flight: &Flight, times: &Times) -> Self {
        let member = |departure: &Departure| {
            Member(integer(departure.seq), departure.attempts, Some(times.ms(departure.first_attempt_at)))
        };
        Self::Left(at_ms, flight.batch.map(integer), flight.members.iter().map(member).collect())
    }

    pub(super) fn back(seq: Seq) -> Self {
        Self::Back(integer(seq))
    }
}

/// A message that is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) attempts: u32,
    pub(super) first_attempt_ms: Option<i64>,
    pub(super) batch: Option<i64>,
    pub(super) at_ms: i64,
}

impl Sent {
    /// The message as the outbox has it.
    pub(super) fn record(&self, record: Record, times: &Times) -> Record {
        Record {
            attempts: self.attempts,
            first_attempt_at: self.first_attempt_ms.map(|ms| times.at(ms)),
            sent: true,
            batch: self.batch.and_then(|batch| u64::try_from(batch).ok()),
            ..record
        }
    }
}

/// The wire as the file has it.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// By number; those among them that are settled are not in the outbox any more.
    pub(super) sent: HashMap<i64, Sent>,
    /// When requests left after the budget was saved, in milliseconds since the Unix epoch, oldest first.
    pub(super) departed_ms: Vec<i64>,
}

/// Adds to the log; `carried` is what the budget that was saved counts already.
pub(super) fn append(db: &Connection, part: Part, carried: bool, happenings: &[Happening]) -> Result<()> {
    if happenings.is_empty() {
        return Ok(());
    }
    let number = part.key(natural(part.newest(db, "wire", "number")?.saturating_add(1)));
    let text = serde_json::to_string(happenings).map_err(damage)?;
    let mut insert = db.prepare_cached("INSERT INTO wire VALUES (?1, ?2, ?3, ?4)")?;
    insert.execute(params![number, carried, checksum(number, &text), text])?;
    Ok(())
}

/// Begins the log again with what is on the wire now.
pub(super) fn begin(db: &Connection, part: Part, on_wire: &[Happening]) -> Result<()> {
    let mut delete = db.prepare_cached("DELETE FROM wire WHERE number > ?1 AND number <= ?2")?;
    delete.execute(params![part.start(), part.end()])?;
    append(db, part, true, on_wire)
}

/// All columns, in the order of [`happenings`]; from behind a key up to another one, in order.
pub(super) const SELECT: &str =
    "SELECT number, carried, sum, log FROM wire WHERE number > ?1 AND number <= ?2 ORDER BY number";

/// A part's log from its beginning to its end.
pub(super) fn read(db: &Connection, part: Part) -> Result<Wire> {
    read_between(db, part.start(), part.end())
}

/// When the last request left that the file still knows, whoever's it was.
pub(super) fn last_departed_ms(db: &Connection) -> Result<Option<i64>> {
    Ok(read_between(db, i64::MIN, i64::MAX)?.departed_ms.into_iter().max())
}

fn read_between(db: &Connection, after: i64, up_to: i64) -> Result<Wire> {
    let mut wire = Wire::default();
    let mut statement = db.prepare_cached(SELECT)?;
    let mut rows = statement.query(params![after, up_to])?;
    let mut last = i64::MIN;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        if std::mem::replace(&mut last, number) >= number {
            return Err(Fault::corrupt("is damaged: its rows are out of order"));
        }
        let carried: bool = row.get(1)?;
        happenings(row)?.into_iter().for_each(|happening| wire.take(carried, happening));
    }
    Ok(wire)
}

/// A row of [`SELECT`]; damaged when it isn't as it was written.
fn happenings(row: &SqlRow<'_>) -> Result<Vec<Happening>> {
    let (number, sum): (i64, i64) = (row.get(0)?, row.get(2)?);
    if !matches!(row.get(1)?, 0_i64 | 1) || number_of(number) > NUMBER_MAX {
        return Err(Fault::corrupt("holds a log of the wire that makes no sense"));
    }
    let text = row.get_ref(3)?.as_str().map_err(damage)?;
    if sum != checksum(number, text) {
        return Err(Fault::corrupt("holds a log of the wire that is not as it was written"));
    }
    serde_json::from_str(text).map_err(damage)
}

/// Whether a row of [`SELECT`] is as it was written.
pub(super) fn is_sound(row: &SqlRow<'_>) -> bool {
    happenings(row).is_ok()
}

/// The largest number in a part's log, or of a dead letter's message.
pub(super) fn newest(db: &Connection, part: Part) -> Result<Seq> {
    let sql = "SELECT ifnull(max(seq), 0) FROM letters WHERE number > ?1 AND number <= ?2";
    let letter: i64 = db.query_row(sql, params![part.start(), part.end()], |row| row.get(0))?;
    let numbers =
        read(db, part)?.sent.into_keys().chain([number_of(letter)]).filter_map(|number| Seq::try_from(number).ok());
    Ok(numbers.filter(|number| *number <= SEQ_MAX).max().unwrap_or(0))
}

/// Counts the first messages of each conversation and priority as sent, whatever the log says of them: part of it is
/// lost, and what was on the wire is among them, unless the file has lost more than that.
pub(super) fn presume_sent(db: &Connection, part: Part, per_conversation: usize, now_ms: i64) -> Result<()> {
    if per_conversation == 0 {
        return Ok(());
    }
    let mut presumed = Presumed::new(db, part, now_ms)?;
    let mut places: HashMap<(Box<str>, i64), usize> = HashMap::new();
    // What has its time yet to come has not left. What came back may have left again, or wait for its next attempt.
    let mut statement = db.prepare(
        "SELECT m.seq, m.conversation, m.priority, r.seq IS NOT NULL, ifnull(r.attempts, 0) + 1
         FROM messages m LEFT JOIN returned r ON r.seq = m.seq
         WHERE m.seq > ?2 AND m.seq <= ?3 AND (m.not_before_ms IS NULL OR m.not_before_ms <= ?1) ORDER BY m.seq",
    )?;
    let mut rows = statement.query(params![now_ms, part.start(), part.end()])?;
    while let Some(row) = rows.next()? {
        let (seq, came_back, attempts): (i64, bool, u32) = (row.get(0)?, row.get(3)?, row.get(4)?);
        let place = places.entry((row.get(1)?, row.get(2)?)).or_default();
        let is_presumed = came_back || *place < per_conversation;
        *place += usize::from(!came_back);
        if is_presumed {
            presumed.add(number_of(seq), attempts)?;
        }
    }
    presumed.finish()
}

/// Messages of a part that count as sent from now on, unless the log says that they are.
pub(super) struct Presumed<'a> {
    db: &'a Connection,
    part: Part,
    known: HashMap<i64, Sent>,
    now_ms: i64,
    left: Vec<Happening>,
}

impl<'a> Presumed<'a> {
    /// They left at `now_ms` of the file's time.
    pub(super) fn new(db: &'a Connection, part: Part, now_ms: i64) -> Result<Self> {
        Ok(Self { db, part, known: read(db, part)?.sent, now_ms, left: Vec::new() })
    }

    pub(super) fn add(&mut self, seq: i64, attempts: u32) -> Result<()> {
        if !self.known.contains_key(&seq) {
            self.left.push(Happening::Left(self.now_ms, None, vec![Member(seq, attempts, Some(self.now_ms))]));
        }
        if self.left.len() == PRESUMED_PER_ROW {
            append(self.db, self.part, true, &std::mem::take(&mut self.left))?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<()> {
        append(self.db, self.part, true, &self.left)
    }
}

impl Wire {
    fn take(&mut self, carried: bool, happening: Happening) {
        match happening {
            Happening::Left(at_ms, first, members) => {
                if !carried {
                    self.departed_ms.push(at_ms);
                }
                for (Member(seq, attempts, first_attempt_ms), place) in members.into_iter().zip(0..) {
                    let batch = first.map(|first| first.saturating_add(place));
                    self.sent.insert(seq, Sent { attempts, first_attempt_ms, batch, at_ms });
                }
            }
            Happening::Back(seq) => {
                self.sent.remove(&seq);
            }
        }
    }
}
