//! Messages that the engines ask for.

use rusqlite::{Connection, params};

use super::Writer;
use crate::lanes::EntryId;
use crate::store::file::fault::{Fault, Result};
use crate::store::file::inbox::MemberId;
use crate::store::file::opened::Opened;
use crate::store::file::part::Part;
use crate::store::file::times::Times;
use crate::store::file::{connection, rows, second_look};
use crate::store::{Loaded, Record, Seq, StoreEvent, Unreadable};

impl Writer {
    /// Answers what was asked for, one question of each member; at once while the store is degraded, since what waits
    /// then is about other messages. What can't be read for now stays asked for: without an answer the engine leaves
    /// its messages in their places.
    pub(super) fn answer_loads(&mut self, opened: Option<&Opened>) -> Result<()> {
        self.has_more_loads = false;
        let Some(opened) = opened else { return Ok(()) };
        let mut has_more = false;
        let is_degraded = self.degradation.is_degraded();
        let times = self.time.times();
        let busy: Vec<MemberId> = self.busy.iter().copied().collect();
        for id in busy {
            let Some(member) = self.members.get(&id) else { continue };
            let done = if is_degraded { u64::MAX } else { member.backlog.done() };
            let Some((_, messages)) = member.loads.front().filter(|(after, _)| *after <= done) else { continue };
            let loaded = self.load(&opened.db, member.part, messages, &times)?;
            if let Some(member) = self.members.get_mut(&id) {
                member.loads.pop_front();
                member.tell(StoreEvent::Loaded(loaded));
                has_more |= member.loads.front().is_some_and(|(after, _)| *after <= done);
            }
        }
        self.has_more_loads = has_more;
        Ok(())
    }

    /// Messages, but for those that aren't there, or aren't as they were written by two readings with time between
    /// them.
    fn load(&self, db: &Connection, part: Part, messages: &[(EntryId, Seq)], times: &Times) -> Result<Vec<Loaded>> {
        let (mut loaded, mut doubtful) = (Vec::with_capacity(messages.len()), Vec::new());
        for &(entry_id, seq) in messages {
            let record = match row_of(db, part.key(seq), times) {
                Err(fault) if fault.is_corrupt() => {
                    doubtful.push(loaded.len());
                    Err(Unreadable::default())
                }
                outcome => outcome?.ok_or_else(Unreadable::default),
            };
            loaded.push((entry_id, seq, record));
        }
        if !doubtful.is_empty() {
            second_look::pause(&self.options);
            let again = connection::connect(&self.path, &self.options)?;
            for place in doubtful {
                let (_, seq, record) = &mut loaded[place];
                let key = part.key(*seq);
                *record = match row_of(&again, key, times) {
                    Err(fault) if fault.is_corrupt() => Err(Unreadable { id: id_of(&again, key)? }),
                    outcome => outcome?.ok_or_else(Unreadable::default),
                };
            }
        }
        Ok(loaded)
    }
}

fn row_of(db: &Connection, key: i64, times: &Times) -> Result<Option<Box<Record>>> {
    let mut statement = db.prepare_cached(&rows::load_sql())?;
    let mut found = statement.query(params![key])?;
    let row = found.next()?;
    row.map(|row| rows::record(row, times).map(Box::new)).transpose()
}

/// The id of a message that is not as it was written: perhaps only its text isn't.
fn id_of(db: &Connection, key: i64) -> Result<Option<Box<str>>> {
    let mut statement = db.prepare_cached("SELECT id FROM messages WHERE seq = ?1")?;
    match statement.query_row(params![key], |row| row.get::<_, Box<str>>(0)).map_err(Fault::from) {
        Err(fault) if fault.is_corrupt() => Ok(None),
        outcome => outcome.map(Some),
    }
}
