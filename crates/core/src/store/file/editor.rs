//! Changes to a file that no engine has open: dead letters sent again, or forgotten; an operator's pause. It is the
//! owner meanwhile, so that a sender neither runs alongside it nor starts.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::apply::{DROP_LETTER, insert_message};
use super::connection;
use super::failure::failure_from;
use super::fault::{Fault, Result};
use super::file_time::FileTime;
use super::hold;
use super::lock::OwnerLock;
use super::options::Options;
use super::organizations;
use super::origin;
use super::part::{Part, number_of, seq_of};
use super::reader::{look, recognize, told};
use super::receipts::{self, Receipt};
use super::recover;
use super::rows::{HEAD, HEAD_COLUMNS, Head, Returned, TAIL, Tail};
use super::times::integer;
use super::transaction::in_transaction;
use super::trust::{self, Owner};
use crate::clock::Clock;
use crate::error::{Error, StoreErrorKind};
use crate::outcome::LetterFilter;
use crate::store::Pulse;

/// Letters, or messages, of one transaction.
const LETTERS_PER_COMMIT: usize = 1_000;
const MESSAGES_PER_COMMIT: usize = 1_000;

const LOCKED_ADVICE: &str = "use the methods of the sender in the process that has it open (sender.redrive(), drop(), pause(), resume()), or \
     close it first";

/// Edits the file of a store. A running owner is [`StoreErrorKind::Locked`], an id without a dead letter
/// [`Error::NotFound`].
#[derive(Debug)]
pub struct Editor {
    path: PathBuf,
    db: Connection,
    time: FileTime,
    part: Part,
    _lock: OwnerLock,
}

/// What became of dead letters that were to be sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Redriven {
    /// Messages again.
    pub redriven: u64,
    /// Left as letters, since a message of the same id waits in the outbox.
    pub waiting: u64,
    /// Left as letters, since they are not as they were written.
    pub damaged: u64,
}

/// What became of the messages of a restored backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Marked {
    /// Out of the outbox, with a receipt.
    pub marked: u64,
    /// Left in the outbox, since they are not as they were written.
    pub damaged: u64,
}

/// What the receipt of a message says that was marked as sent: accepted, as far as anybody knows. It has no attempts.
const STATUS_MARKED: u16 = 202;

impl Editor {
    /// Takes an outbox of this version over, for as long as the editor lives.
    pub fn open(path: &Path) -> std::result::Result<Self, Error> {
        Self::open_for(path, None)
    }

    /// The same, for what an organization has in it: one of several has to be named.
    pub fn open_for(path: &Path, organization: Option<&str>) -> std::result::Result<Self, Error> {
        let path = connection::absolute(path);
        match connect(&path) {
            Ok((db, lock)) => {
                let part = organizations::all(&db).and_then(|all| organizations::meant(&all, organization));
                match part.and_then(|part| Ok((part, FileTime::of(&db, &Clock::start())?))) {
                    Ok((part, time)) => Ok(Self { path, db, time, part, _lock: lock }),
                    Err(fault) => Err(told(&fault, &path)),
                }
            }
            Err(fault) if fault.is_owned() => Err(fault.without_advice().advised(&path, LOCKED_ADVICE)),
            Err(fault) => Err(told(&fault, &path)),
        }
    }

    /// Makes a message of the dead letter with this id again: behind all others, with no attempt spent, and without
    /// expiry. Gives its number.
    pub fn redrive(&mut self, id: &str) -> std::result::Result<u64, Error> {
        let found = self.letter_of(id).map_err(|fault| self.told(&fault))?;
        let number = found.ok_or_else(|| Error::NotFound { what: "dead letter", id: id.into() })?;
        let outcome = self.waits(id).and_then(|waits| {
            if waits {
                return Err(Fault::new(
                    StoreErrorKind::Mismatch,
                    format!("has a message with the id {id:?} that waits"),
                ));
            }
            let seq = self.next_seq()?;
            in_transaction(&self.db, || self.revive(number, seq))?;
            Ok(seq)
        });
        outcome.map(seq_of).map_err(|fault| match fault.kind {
            StoreErrorKind::Mismatch => fault.advised(&self.path, "redrive the dead letter when that one is settled"),
            _ => self.told(&fault),
        })
    }

    /// The same for all dead letters that the filter takes, oldest first; its time is in milliseconds since the Unix
    /// epoch. Those that can't be sent again are left and counted.
    pub fn redrive_all(&mut self, filter: LetterFilter<i64>) -> std::result::Result<Redriven, Error> {
        let filter = LetterFilter { since: filter.since.map(|ms| self.time.of_wall(ms)), ..filter };
        self.revive_all(filter).map_err(|fault| self.told(&fault))
    }

    /// Holds everything back from the next sender, until a time in milliseconds since the Unix epoch, or until somebody
    /// ends it: as `sender.pause()` does.
    pub fn pause(&mut self, until_ms: Option<i64>) -> std::result::Result<(), Error> {
        let (now_ms, until_ms) = (self.time.times().now_ms(), until_ms.map(|ms| self.time.of_wall(ms)));
        in_transaction(&self.db, || hold::begin(&self.db, self.part, now_ms, until_ms))
            .map_err(|fault| self.told(&fault))
    }

    /// Ends that, and has the next sender probe at once a pause that the server asked for. Whether there was one to
    /// end.
    pub fn resume(&mut self) -> std::result::Result<bool, Error> {
        let now_ms = self.time.times().now_ms();
        in_transaction(&self.db, || hold::end(&self.db, self.part, now_ms)).map_err(|fault| self.told(&fault))
    }

    /// Forgets the dead letter with this id.
    pub fn drop_letter(&mut self, id: &str) -> std::result::Result<(), Error> {
        let of_part = params![id, self.part.start(), self.part.end()];
        let dropped = in_transaction(&self.db, || Ok(self.db.prepare_cached(DROP_LETTER)?.execute(of_part)?));
        match dropped {
            Ok(0) => Err(Error::NotFound { what: "dead letter", id: id.into() }),
            Ok(_) => Ok(()),
            Err(fault) => Err(self.told(&fault)),
        }
    }

    /// Takes messages out of the outbox that were accepted up to a time, in milliseconds since the Unix epoch, as if
    /// they were delivered: their ids stay known. Those that were not to be sent before a later time stay.
    pub fn mark_sent(&mut self, until_ms: i64) -> std::result::Result<Marked, Error> {
        self.mark_all(self.time.of_wall(until_ms)).map_err(|fault| self.told(&fault))
    }

    fn mark_all(&self, until_ms: i64) -> Result<Marked> {
        let mut outcome = Marked::default();
        let last_seq = integer(recover::last_seq(&self.db, self.part)?);
        let mut after = self.part.start();
        loop {
            let (sent, damaged, next) = self.sent_by(until_ms, after)?;
            in_transaction(&self.db, || {
                let mut delete = self.db.prepare_cached("DELETE FROM messages WHERE seq = ?1")?;
                for (seq, _) in &sent {
                    delete.execute(params![seq])?;
                }
                let seqs: Vec<u64> = sent.iter().map(|(seq, _)| seq_of(*seq)).collect();
                Returned::forget(&self.db, self.part, &seqs)?;
                let receipts: Vec<Receipt<'_>> = sent.iter().map(|(_, receipt)| receipt.clone()).collect();
                receipts::append(&self.db, self.part, &receipts)?;
                self.part.set_meta(&self.db, "last_seq", last_seq)
            })?;
            outcome.marked += sent.len() as u64;
            outcome.damaged += damaged;
            match next {
                Some(next) => after = next,
                None => return Ok(outcome),
            }
        }
    }

    /// The next of these messages, with their receipts; how many of them are damaged, and where to go on.
    #[allow(clippy::type_complexity, reason = "all are used in one place, and at once")]
    fn sent_by(&self, until_ms: i64, after: i64) -> Result<(Vec<(i64, Receipt<'static>)>, u64, Option<i64>)> {
        let sql = format!(
            "SELECT {HEAD} FROM messages WHERE seq > ?2 AND seq <= ?3 AND submitted_ms <= ?1
             AND ifnull(not_before_ms, 0) <= ?1 ORDER BY seq LIMIT {MESSAGES_PER_COMMIT}"
        );
        let mut select = self.db.prepare_cached(&sql)?;
        let mut rows = select.query(params![until_ms, after, self.part.end()])?;
        let (mut sent, mut damaged, mut count, mut last) = (Vec::new(), 0, 0, after);
        let at_ms = self.time.times().now_ms();
        while let Some(row) = rows.next()? {
            (count, last) = (count + 1, row.get(0)?);
            match Head::read(row, 0) {
                Ok(head) => sent.push((
                    head.seq,
                    Receipt {
                        id: Cow::Owned(head.id.into()),
                        given: head.given,
                        conversation: Cow::Owned(head.conversation.into()),
                        status: STATUS_MARKED,
                        attempts: 0,
                        batch_size: 1,
                        queued_ms: at_ms.saturating_sub(head.submitted_ms).max(0),
                        at_ms,
                    },
                )),
                Err(fault) if fault.is_corrupt() => damaged += 1,
                Err(fault) => return Err(fault),
            }
        }
        Ok((sent, damaged, (count == MESSAGES_PER_COMMIT).then_some(last)))
    }

    fn told(&self, fault: &Fault) -> Error {
        told(fault, &self.path)
    }

    fn letter_of(&self, id: &str) -> Result<Option<i64>> {
        let sql = "SELECT min(number) FROM letters WHERE id = ?1 AND number > ?2 AND number <= ?3";
        let mut statement = self.db.prepare_cached(sql)?;
        Ok(statement.query_row(params![id, self.part.start(), self.part.end()], |row| row.get(0))?)
    }

    fn waits(&self, id: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM messages WHERE id = ?1 AND seq > ?2 AND seq <= ?3 LIMIT 1";
        let mut statement = self.db.prepare_cached(sql)?;
        Ok(statement.exists(params![id, self.part.start(), self.part.end()])?)
    }

    /// The key of the next message.
    fn next_seq(&self) -> Result<i64> {
        Ok(self.part.key(recover::last_seq(&self.db, self.part)?.saturating_add(1)))
    }

    fn revive_all(&self, filter: LetterFilter<i64>) -> Result<Redriven> {
        let (letters, damaged) = self.letters_of(filter)?;
        let mut waiting = self.waiting_of(&letters)?;
        let mut outcome = Redriven { damaged, ..Redriven::default() };
        let mut seq = self.next_seq()?;
        for some in letters.chunks(LETTERS_PER_COMMIT) {
            let (mut next, mut counts) = (seq, outcome);
            in_transaction(&self.db, || {
                for (number, id) in some {
                    if waiting.contains(id) {
                        counts.waiting += 1;
                        continue;
                    }
                    match self.revive(*number, next) {
                        Ok(()) => {
                            (next, counts.redriven) = (next + 1, counts.redriven + 1);
                            waiting.insert(id.clone());
                        }
                        Err(fault) if fault.is_corrupt() => counts.damaged += 1,
                        Err(fault) => return Err(fault),
                    }
                }
                Ok(())
            })?;
            (seq, outcome) = (next, counts);
        }
        Ok(outcome)
    }

    /// The letters that the filter takes, and how many are damaged so that nobody can tell.
    #[allow(clippy::type_complexity, reason = "both are used in one place, and at once")]
    fn letters_of(&self, filter: LetterFilter<i64>) -> Result<(Vec<(i64, Box<str>)>, u64)> {
        let (mut letters, mut damaged) = (Vec::new(), 0);
        let sql = "SELECT number, id, at_ms, failure FROM letters WHERE number > ?1 AND number <= ?2 ORDER BY number";
        let mut statement = self.db.prepare(sql)?;
        let mut rows = statement.query([self.part.start(), self.part.end()])?;
        while let Some(row) = rows.next()? {
            let (number, id): (i64, Box<str>) = (row.get(0)?, row.get(1)?);
            let failure = match row.get_ref(3)?.as_str() {
                _ if filter.takes_all() => None,
                Ok(text) => failure_from(text, None, &id).ok(),
                Err(_) => None,
            };
            match failure {
                Some(failure) if !filter.takes(&failure, row.get(2)?) => {}
                None if !filter.takes_all() => damaged += 1,
                _ => letters.push((number, id)),
            }
        }
        Ok((letters, damaged))
    }

    /// The ids of those of which a message waits. One pass over the messages for all: they have no index on ids.
    /// Letters are bounded, messages aren't.
    fn waiting_of(&self, letters: &[(i64, Box<str>)]) -> Result<HashSet<Box<str>>> {
        let dead: HashSet<&str> = letters.iter().map(|(_, id)| &**id).collect();
        let mut waiting = HashSet::new();
        let mut statement = self.db.prepare("SELECT id FROM messages WHERE seq > ?1 AND seq <= ?2")?;
        let mut rows = statement.query([self.part.start(), self.part.end()])?;
        while let Some(row) = rows.next()? {
            let id: String = row.get(0)?;
            if dead.contains(id.as_str()) {
                waiting.insert(id.into_boxed_str());
            }
        }
        Ok(waiting)
    }

    /// The letter goes, and the message `seq` comes: within a transaction.
    fn revive(&self, number: i64, seq: i64) -> Result<()> {
        let mut select = self.db.prepare_cached(&format!("SELECT {HEAD}, {TAIL} FROM letters WHERE number = ?1"))?;
        let mut rows = select.query(params![number])?;
        let row = rows.next()?.ok_or_else(|| Fault::corrupt("is damaged: a dead letter is gone"))?;
        let head = Head::read(row, 0)?;
        let tail = Tail::read(row, HEAD_COLUMNS, &head)?;
        insert_message(&self.db, &head.anew(seq, self.time.times().now_ms()), &tail)?;
        self.part.set_meta(&self.db, "last_seq", number_of(seq))?;
        self.db.prepare_cached("DELETE FROM letters WHERE number = ?1")?.execute(params![number])?;
        Ok(())
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // Left in the log it is as durable; moved, the file alone is the whole outbox.
        let _ = connection::cut_log(&self.db);
    }
}

fn connect(path: &Path) -> Result<(Connection, OwnerLock)> {
    look(path)?;
    trust::check(path, Owner::UserOrRoot)?;
    let lock = OwnerLock::take(path, Duration::ZERO, &Pulse::default())?;
    match connect_locked(path, !lock.is_new()) {
        Ok(db) => Ok((db, lock)),
        Err(fault) => {
            lock.undo();
            Err(fault)
        }
    }
}

fn connect_locked(path: &Path, was_locked_before: bool) -> Result<Connection> {
    origin::check(path, was_locked_before)?;
    origin::look(path, None, recognize)?;
    let db = connection::connect(path, &Options::new(path, ""))?;
    recognize(&db)?;
    connection::pragma(&db, "synchronous", "FULL")?;
    if cfg!(target_os = "macos") {
        connection::pragma(&db, "fullfsync", "ON")?;
    }
    connection::pragma(&db, "wal_autocheckpoint", "0")?;
    sound(&db)?;
    Ok(db)
}

/// Nothing is written to a damaged file: it is to be set aside as it is.
fn sound(db: &Connection) -> Result<()> {
    if super::values::meta::<i64>(db, "clean")? == Some(1) {
        return Ok(());
    }
    let verdict: Option<String> = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).optional()?;
    if verdict.as_deref() == Some("ok") { Ok(()) } else { Err(Fault::corrupt("is damaged")) }
}
