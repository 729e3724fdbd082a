//! A change as SQL. Each statement stays right when it is done twice: what was tried is tried again after trouble.

use rusqlite::{Connection, params};

use super::rows::{HEAD, Head, TAIL, Tail, failure_text};
use super::times::{Times, integer};
use super::trouble::Result;
use crate::outcome::DeliveryFailure;
use crate::store::{Change, Departure, Record, Seq};

/// What applying needs to know beside the change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applier<'a> {
    pub(super) db: &'a Connection,
    pub(super) times: &'a Times,
    /// Whether receipts are kept at all.
    pub(super) receipts: bool,
}

impl Applier<'_> {
    pub(super) fn apply(&self, change: &Change) -> Result<()> {
        match change {
            Change::Insert { record, .. } => self.insert(record),
            Change::Redrive { record, .. } => {
                self.run("DELETE FROM letters WHERE id = ?1", params![record.message.id()])?;
                self.insert(record)
            }
            Change::Depart { batch, members } => {
                self.run("INSERT INTO departures(at_ms) VALUES (?1)", params![self.times.now_ms()])?;
                let mut numbered = members.iter().zip(0..);
                numbered.try_for_each(|(member, place)| self.depart(batch.map(|first| first + place), member))
            }
            Change::Return { seq, attempts, ambiguous, batch } => self.come_back(*seq, *attempts, *ambiguous, *batch),
            Change::Deliver { seq, status, attempts, batch_size, queued, at } => {
                if self.receipts {
                    let queued_ms = i64::try_from(queued.as_millis()).unwrap_or(i64::MAX);
                    let at_ms = self.times.ms(*at);
                    self.run(
                        "INSERT INTO receipts(id, given, conversation, status, attempts, batch_size, queued_ms, at_ms)
                         SELECT id, given, conversation, ?2, ?3, ?4, ?5, ?6 FROM messages WHERE seq = ?1",
                        params![integer(*seq), status, attempts, batch_size, queued_ms, at_ms],
                    )?;
                }
                self.remove(*seq)
            }
            Change::Bury { seq, failure, at } => self.bury(*seq, failure, self.times.ms(*at)),
            Change::DropLetter { id } => self.run("DELETE FROM letters WHERE id = ?1", params![id]),
            Change::Budget(text) => {
                set_meta(self.db, "budget", text)?;
                self.run("DELETE FROM departures", params![])?;
                set_meta(self.db, "budget_ms", self.times.now_ms())
            }
        }
    }

    fn insert(&self, record: &Record) -> Result<()> {
        let tail = Tail::of(&record.message);
        let head = Head::of(record, &tail, self.times);
        insert_message(self.db, &head, &tail)?;
        if record.attempts == 0 && !record.sent && !record.ambiguous {
            return Ok(());
        }
        self.run(
            "REPLACE INTO flights(seq, attempts, first_attempt_ms, ambiguous, sent, batch) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                head.seq,
                record.attempts,
                record.first_attempt_at.map(|at| self.times.ms(at)),
                record.ambiguous,
                record.sent,
                record.batch.map(integer)
            ],
        )
    }

    fn depart(&self, batch: Option<u64>, member: &Departure) -> Result<()> {
        self.run(
            "INSERT INTO flights(seq, attempts, first_attempt_ms, ambiguous, sent, batch, sent_ms)
             SELECT ?1, ?2, ?3, 0, 1, ?4, ?5 WHERE EXISTS (SELECT 1 FROM messages WHERE seq = ?1)
             ON CONFLICT(seq) DO UPDATE SET attempts = ?2, first_attempt_ms = ?3, sent = 1, batch = ?4, sent_ms = ?5",
            params![
                integer(member.seq),
                member.attempts,
                self.times.ms(member.first_attempt_at),
                batch.map(integer),
                self.times.now_ms()
            ],
        )
    }

    fn come_back(&self, seq: Seq, attempts: u32, ambiguous: bool, batch: Option<u64>) -> Result<()> {
        if attempts == 0 && !ambiguous && batch.is_none() {
            return self.run("DELETE FROM flights WHERE seq = ?1", params![integer(seq)]);
        }
        self.run(
            "UPDATE flights SET attempts = ?2, ambiguous = ?3, batch = ?4, sent = 0, sent_ms = NULL WHERE seq = ?1",
            params![integer(seq), attempts, ambiguous, batch.map(integer)],
        )
    }

    fn bury(&self, seq: Seq, failure: &DeliveryFailure, at_ms: i64) -> Result<()> {
        let (text, response) = failure_text(failure);
        let sql = bury_sql();
        self.run(&sql, params![integer(seq), at_ms, text, response])?;
        self.remove(seq)
    }

    fn remove(&self, seq: Seq) -> Result<()> {
        self.run("DELETE FROM flights WHERE seq = ?1", params![integer(seq)])?;
        self.run("DELETE FROM messages WHERE seq = ?1", params![integer(seq)])
    }

    fn run(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<()> {
        self.db.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}

fn bury_sql() -> String {
    format!(
        "INSERT INTO letters(at_ms, failure, response, {HEAD}, {TAIL})
         SELECT ?2, ?3, ?4, {HEAD}, {TAIL} FROM messages WHERE seq = ?1"
    )
}

/// Writes a message; one of its number is replaced.
pub(super) fn insert_message(db: &Connection, head: &Head, tail: &Tail<'_>) -> Result<()> {
    db.prepare_cached("REPLACE INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)")?
        .execute(params![
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
            tail.traceparent,
            tail.body
        ])?;
    Ok(())
}

/// Remembers one of the few single values.
pub(super) fn set_meta(db: &Connection, name: &str, value: impl rusqlite::ToSql) -> Result<()> {
    db.prepare_cached("REPLACE INTO meta VALUES (?1, ?2)")?.execute(params![name, value])?;
    Ok(())
}

/// One of the few single values.
pub(super) fn meta<T: rusqlite::types::FromSql>(db: &Connection, name: &str) -> Result<Option<T>> {
    let mut statement = db.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    let mut rows = statement.query(params![name])?;
    match rows.next()? {
        Some(row) => Ok(row.get(0)?),
        None => Ok(None),
    }
}
