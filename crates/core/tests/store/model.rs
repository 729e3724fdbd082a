//! What a store has to have after some changes, and what it has.

use std::collections::BTreeMap;

use spillway_core::clock::Timestamp;
use spillway_core::message::Payload;
use spillway_core::store::{Change, Departure, Flight, Opening, Row, batch_number};

use crate::draw::Draw;
use crate::fixture::*;

/// What is known of a message that was sent: attempts, ambiguous, sent, batch.
type Course = Option<(u32, bool, bool, Option<u64>)>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub messages: BTreeMap<u64, (String, Course)>,
    pub letters: Vec<String>,
    pub receipts: Vec<String>,
    pub budget: Option<String>,
}

impl Model {
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Insert { record, .. } => self.insert(record.seq, record.message.id()),
            Change::Redrive { record, .. } => {
                self.letters.retain(|id| **id != *record.message.id());
                self.insert(record.seq, record.message.id());
            }
            Change::Depart(Flight { batch, members }) => {
                for (place, member) in (0..).zip(members) {
                    let Some((_, flight)) = self.messages.get_mut(&member.seq) else { continue };
                    let ambiguous = flight.is_some_and(|(_, ambiguous, ..)| ambiguous);
                    *flight = Some((member.attempts, ambiguous, true, batch.map(|first| first + place)));
                }
            }
            Change::Return { seq, attempts, ambiguous, batch, .. } => {
                let Some((_, flight)) = self.messages.get_mut(seq) else { return };
                let nothing = *attempts == 0 && !ambiguous && batch.is_none();
                *flight = (!nothing).then_some((*attempts, *ambiguous, false, *batch));
            }
            Change::Deliver { seq, .. } => self.receipts.extend(self.messages.remove(seq).map(|(id, _)| id)),
            Change::Bury { seq, .. } => self.letters.extend(self.messages.remove(seq).map(|(id, _)| id)),
            Change::DropLetter { id } => self.letters.retain(|letter| **letter != **id),
            Change::Save { budget, .. } => self.budget = Some(budget.to_string()),
        }
    }

    fn insert(&mut self, seq: u64, id: &str) {
        self.messages.insert(seq, (id.to_owned(), None));
    }

    /// What a store told at its opening.
    pub fn found(found: &[Row], opening: &Opening) -> Self {
        let mut model = Self { budget: opening.budget.as_deref().map(str::to_owned), ..Self::default() };
        for row in found {
            match row {
                Row::Waiting(waiting) => model.insert(waiting.seq, &waiting.id),
                Row::Started(record) => {
                    let flight = (record.attempts, record.ambiguous, record.sent, record.batch);
                    model.messages.insert(record.seq, (record.message.id().to_owned(), Some(flight)));
                }
                Row::Letter(letter) => {
                    let Payload::Message(message) = &letter.payload else { panic!("a letter without a message") };
                    model.letters.push(message.id().to_owned());
                }
                Row::Settled(settled) => model.receipts.push(settled.id.to_string()),
            }
        }
        model
    }

    /// A change that makes sense now.
    pub fn draw_change(&self, draw: &mut Draw, next_seq: &mut u64, at: Timestamp) -> Change {
        let waiting: Vec<u64> = self.messages.keys().copied().collect();
        if waiting.is_empty() || draw.below(10) < 4 {
            *next_seq += 1;
            let mut record = sized(*next_seq, at, usize::try_from(*draw.pick(&[10, 300, 900, 6_000])).unwrap());
            if !self.letters.is_empty() && draw.below(4) == 0 {
                record.message = renamed(&record.message, draw.pick(&self.letters).as_str());
                return Change::Redrive { entry_id: u32::try_from(*next_seq).unwrap(), record: Box::new(record) };
            }
            return Change::Insert { entry_id: u32::try_from(*next_seq).unwrap(), record: Box::new(record) };
        }
        let seq = *draw.pick(&waiting);
        let batch = (draw.below(3) == 0).then(|| batch_number(1 + draw.below(5), 0));
        match draw.below(12) {
            0..=3 => {
                let other = *draw.pick(&waiting);
                let member = |seq| Departure { seq, attempts: 1, first_attempt_at: at };
                let members = if other == seq { vec![member(seq)] } else { vec![member(seq), member(other)] };
                Change::Depart(Flight { batch, members })
            }
            4 | 5 => {
                let attempts = u32::try_from(draw.below(3)).unwrap();
                Change::Return { seq, attempts, first_attempt_at: Some(at), ambiguous: draw.below(2) == 0, batch }
            }
            6..=8 => match deliver(seq, at) {
                // One that was redriven has the id of its letter.
                Change::Deliver { seq, id_given, conversation, status, attempts, batch_size, queued, at, .. } => {
                    let id = self.messages[&seq].0.as_str().into();
                    Change::Deliver { seq, id, id_given, conversation, status, attempts, batch_size, queued, at }
                }
                other => other,
            },
            9 => bury(seq, at),
            10 if !self.letters.is_empty() => Change::DropLetter { id: draw.pick(&self.letters).as_str().into() },
            _ => {
                let budget = format!("{{\"spent\":{}}}", draw.below(1_000)).into();
                Change::Save { budget, on_wire: self.on_wire(at) }
            }
        }
    }

    fn on_wire(&self, at: Timestamp) -> Vec<(Timestamp, Flight)> {
        let mut flights = Vec::new();
        for (seq, (_, flight)) in &self.messages {
            if let Some((attempts, _, true, batch)) = *flight {
                let members = vec![Departure { seq: *seq, attempts, first_attempt_at: at }];
                flights.push((at, Flight { batch, members }));
            }
        }
        flights
    }
}
