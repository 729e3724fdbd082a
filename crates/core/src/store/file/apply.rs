//! A change as SQL. Each statement stays right when it is done twice: what was tried is tried again after a failure.

use std::borrow::Cow;

use rusqlite::{CachedStatement, Connection, params};

use super::failure::failure_text;
use super::fault::Result;
use super::file_time::FileTime;
use super::part::Part;
use super::receipts::{self, Receipt};
use super::rows::{HEAD, Head, Returned, TAIL, Tail};
use super::times::{Times, integer, natural};
use super::wire::{self, Happening};
use crate::clock::Timestamp;
use crate::outcome::DeliveryFailure;
use crate::store::{Change, Flight, Record, Seq};

/// Applies the changes of one organization in one transaction. What comes in many small pieces is gathered, and written
/// by [`Self::finish`].
pub(super) struct Applier<'a> {
    db: &'a Connection,
    part: Part,
    times: Times,
    /// The statements of most changes, looked up once per transaction.
    insert: Option<CachedStatement<'a>>,
    delete: Option<CachedStatement<'a>>,
    /// Whether receipts are kept at all.
    keeps_receipts: bool,
    happenings: Vec<Happening>,
    receipts: Vec<Receipt<'a>>,
    /// Messages that have left the outbox after they may have come back from the wire.
    ended: Vec<Seq>,
    /// The budget was saved, and with it the file's time has to be.
    has_saved: bool,
}

impl<'a> Applier<'a> {
    pub(super) fn new(db: &'a Connection, part: Part, time: &FileTime, keeps_receipts: bool) -> Self {
        Self {
            db,
            part,
            times: time.times(),
            insert: None,
            delete: None,
            keeps_receipts,
            happenings: Vec::new(),
            receipts: Vec::new(),
            ended: Vec::new(),
            has_saved: false,
        }
    }

    pub(super) fn apply(&mut self, change: &'a Change) -> Result<()> {
        match change {
            Change::Insert { record, .. } => self.insert(record),
            Change::Redrive { record, .. } => {
                self.drop_letter(record.message.id())?;
                self.insert(record)
            }
            Change::Depart(flight) => {
                self.happenings.push(Happening::left(self.times.now_ms(), flight, &self.times));
                Ok(())
            }
            Change::Return { seq, attempts, first_attempt_at, ambiguous, batch } => {
                self.happenings.push(Happening::back(*seq));
                let first_attempt_ms = first_attempt_at.map(|at| self.times.ms(at));
                let batch = batch.map(integer);
                self.come_back(*seq, Returned { attempts: *attempts, first_attempt_ms, ambiguous: *ambiguous, batch })
            }
            Change::Deliver { seq, id, id_given, conversation, status, attempts, batch_size, queued, at } => {
                // Not there, it was delivered before: its receipt is written already.
                if self.remove(*seq)? && self.keeps_receipts {
                    self.receipts.push(Receipt {
                        id: Cow::Borrowed(id),
                        given: *id_given,
                        conversation: Cow::Borrowed(conversation),
                        status: *status,
                        attempts: *attempts,
                        batch_size: *batch_size,
                        queued_ms: i64::try_from(queued.as_millis()).unwrap_or(i64::MAX),
                        at_ms: self.times.ms(*at),
                    });
                }
                Ok(())
            }
            Change::Bury { seq, failure, at } => self.bury(*seq, failure, self.times.ms(*at)),
            Change::DropLetter { id } => self.drop_letter(id),
            Change::Save { budget, on_wire } => self.save(budget, on_wire),
        }
    }

    /// Writes what was gathered. Whether the file's time has to be saved as well.
    pub(super) fn finish(self) -> Result<bool> {
        wire::append(self.db, self.part, false, &self.happenings)?;
        receipts::append(self.db, self.part, &self.receipts)?;
        if !self.ended.is_empty() {
            Returned::forget(self.db, self.part, &self.ended)?;
        }
        Ok(self.has_saved)
    }

    fn insert(&mut self, record: &Record) -> Result<()> {
        let tail = Tail::of(&record.message);
        let head = Head::of(self.part, record, &tail, &self.times);
        execute_insert(once(&mut self.insert, self.db, INSERT)?, &head, &tail)
    }

    fn come_back(&self, seq: Seq, returned: Returned) -> Result<()> {
        if returned.is_as_new() {
            Returned::forget(self.db, self.part, &[seq])
        } else {
            returned.write(self.db, self.part.key(seq))
        }
    }

    fn bury(&mut self, seq: Seq, failure: &DeliveryFailure, at_ms: i64) -> Result<()> {
        let (text, response) = failure_text(failure);
        let number = self.part.newest(self.db, "letters", "number")?.saturating_add(1);
        let sql = bury_sql();
        self.run(&sql, params![self.part.key(seq), at_ms, text, response, self.part.key(natural(number))])?;
        self.remove(seq).map(drop)
    }

    fn drop_letter(&self, id: &str) -> Result<()> {
        self.run(DROP_LETTER, params![id, self.part.start(), self.part.end()])
    }

    /// Takes a message out of the outbox; whether it was there.
    fn remove(&mut self, seq: Seq) -> Result<bool> {
        self.ended.push(seq);
        Ok(once(&mut self.delete, self.db, DELETE)?.execute(params![self.part.key(seq)])? > 0)
    }

    fn save(&mut self, budget: &str, on_wire: &[(Timestamp, Flight)]) -> Result<()> {
        // What has happened up to now is in what is saved.
        self.happenings.clear();
        let on_wire: Vec<Happening> =
            on_wire.iter().map(|(at, flight)| Happening::left(self.times.ms(*at), flight, &self.times)).collect();
        self.has_saved = true;
        wire::begin(self.db, self.part, &on_wire)?;
        self.part.set_meta(self.db, "budget", budget)?;
        self.part.set_meta(self.db, "budget_ms", self.times.now_ms())
    }

    fn run(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<()> {
        self.db.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}

/// Forgets the letter of a part that has an id.
pub(super) const DROP_LETTER: &str = "DELETE FROM letters WHERE id = ?1 AND number > ?2 AND number <= ?3";

fn bury_sql() -> String {
    format!(
        "INSERT INTO letters(number, at_ms, failure, response, {HEAD}, {TAIL})
         SELECT ?5, ?2, ?3, ?4, {HEAD}, {TAIL} FROM messages WHERE seq = ?1"
    )
}

const INSERT: &str = "REPLACE INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
const DELETE: &str = "DELETE FROM messages WHERE seq = ?1";

/// The statement at this place, which the first one who asks compiles.
fn once<'s, 'a>(
    place: &'s mut Option<CachedStatement<'a>>,
    db: &'a Connection,
    sql: &str,
) -> Result<&'s mut CachedStatement<'a>> {
    match place {
        Some(statement) => Ok(statement),
        None => Ok(place.insert(db.prepare_cached(sql)?)),
    }
}

/// Writes a message; one of its number is replaced.
pub(super) fn insert_message(db: &Connection, head: &Head, tail: &Tail<'_>) -> Result<()> {
    execute_insert(&mut *db.prepare_cached(INSERT)?, head, tail)
}

fn execute_insert(statement: &mut rusqlite::Statement<'_>, head: &Head, tail: &Tail<'_>) -> Result<()> {
    statement.execute(params![
        head.seq,
        head.id,
        head.given,
        head.conversation,
        head.priority,
        head.bytes,
        head.submitted_ms,
        head.expires_ms,
        head.not_before_ms,
        head.sum,
        head.tail_sum,
        tail.params,
        tail.headers,
        tail.traceparent,
        tail.body
    ])?;
    Ok(())
}
