//! Messages that the engine asks for.

use rusqlite::{Connection, params};

use super::Writer;
use crate::lanes::Slot;
use crate::store::file::opened::Opened;
use crate::store::file::times::{Times, integer};
use crate::store::file::trouble::{Fault, Result};
use crate::store::file::{connection, rows, second_look};
use crate::store::{Loaded, News, Record, Seq, Unreadable};

impl Writer {
    /// Answers what was asked for; at once in trouble, since what waits then is about other messages. What can't be
    /// read for now stays asked for: without an answer the engine leaves its messages in their places.
    pub(super) fn answer_loads(&mut self, opened: Option<&Opened>) -> Result<()> {
        let Some(opened) = opened.filter(|_| !self.loads.is_empty()) else { return Ok(()) };
        let done = if self.ailment.is_ill() { u64::MAX } else { self.backlog.done() };
        let times = self.time.times();
        while let Some((_, messages)) = self.loads.front().filter(|(after, _)| *after <= done) {
            let loaded = self.load(&opened.db, messages, &times)?;
            self.loads.pop_front();
            (self.news)(News::Loaded(loaded));
        }
        Ok(())
    }

    /// Messages, but for those that aren't there, or aren't as they were written by two readings with time between
    /// them.
    fn load(&self, db: &Connection, messages: &[(Slot, Seq)], times: &Times) -> Result<Vec<Loaded>> {
        let (mut loaded, mut doubtful) = (Vec::with_capacity(messages.len()), Vec::new());
        for &(slot, seq) in messages {
            let record = match row_of(db, seq, times) {
                Err(fault) if fault.is_corrupt() => {
                    doubtful.push(loaded.len());
                    Err(Unreadable::default())
                }
                outcome => outcome?.ok_or_else(Unreadable::default),
            };
            loaded.push((slot, seq, record));
        }
        if !doubtful.is_empty() {
            second_look::pause(&self.options);
            let again = connection::connect(&self.path, &self.options)?;
            for place in doubtful {
                let (_, seq, record) = &mut loaded[place];
                *record = match row_of(&again, *seq, times) {
                    Err(fault) if fault.is_corrupt() => Err(Unreadable { id: id_of(&again, *seq)? }),
                    outcome => outcome?.ok_or_else(Unreadable::default),
                };
            }
        }
        Ok(loaded)
    }
}

fn row_of(db: &Connection, seq: Seq, times: &Times) -> Result<Option<Box<Record>>> {
    let mut statement = db.prepare_cached(&rows::load_sql())?;
    let mut found = statement.query(params![integer(seq)])?;
    let row = found.next()?;
    row.map(|row| rows::record(row, times).map(Box::new)).transpose()
}

/// The id of a message that is not as it was written: perhaps only its text isn't.
fn id_of(db: &Connection, seq: Seq) -> Result<Option<Box<str>>> {
    let mut statement = db.prepare_cached("SELECT id FROM messages WHERE seq = ?1")?;
    match statement.query_row(params![integer(seq)], |row| row.get::<_, Box<str>>(0)).map_err(Fault::from) {
        Err(fault) if fault.is_corrupt() => Ok(None),
        outcome => outcome.map(Some),
    }
}
