//! What the store knows of the wire: what is about to leave, what is under way, and what has come back.

use crate::clock::Timestamp;
use crate::dispatcher::outbox::DeliveryState;
use crate::dispatcher::schedule::batch::Batch;
use crate::dispatcher::{Dispatcher, Effect, Step};
use crate::lanes::EntryId;
use crate::store::{Change, Departure, Flight, batch_number};

impl Dispatcher {
    /// Before the wire: after a crash these messages are known as sent and not answered.
    pub(in crate::dispatcher) fn keep_departure(&self, step: &mut Step<'_>, batch: &Batch) {
        if self.standing.is_durable() {
            step.effects.push(Effect::Store(Change::Depart(self.flight(batch, step.now, false))));
        }
    }

    /// What of a batch the store knows as on the wire: its messages, and nothing of a request of the caller's own.
    pub(in crate::dispatcher) fn flight(&self, batch: &Batch, now: Timestamp, has_left: bool) -> Flight {
        let departure = |entry_id: &EntryId| {
            let DeliveryState { attempts, first_attempt_at, .. } = *self.outbox.delivery_state(*entry_id);
            // An attempt is spent when it leaves.
            let attempts = attempts + u32::from(!has_left);
            let first_attempt_at = first_attempt_at.unwrap_or(now);
            Departure { seq: self.outbox.get(*entry_id).seq, attempts, first_attempt_at }
        };
        let messages = batch.members.iter().filter(|entry_id| self.outbox.get(**entry_id).payload.id().is_some());
        let members: Vec<Departure> = messages.map(departure).collect();
        let batch = (members.len() > 1).then(|| batch_number(members[0].seq, 0));
        Flight { batch, members }
    }

    /// All messages that are on the wire, and since when; those that may leave at any moment are among them.
    pub(in crate::dispatcher) fn on_wire(&self, now: Timestamp) -> Vec<(Timestamp, Flight)> {
        let flights = self.attempts.iter().map(|(_, attempt, departure)| {
            let at = departure.map_or(now, |departure| departure.at);
            (at, self.flight(&attempt.batch, at, departure.is_some()))
        });
        flights.filter(|(_, flight)| !flight.members.is_empty()).collect()
    }

    /// These are off the wire, and go on waiting; a batch that the server may know as it is is kept as one.
    pub(in crate::dispatcher) fn keep_return(&self, batch: &Batch, effects: &mut Vec<Effect>) {
        if !self.standing.is_durable() {
            return;
        }
        let is_batch = batch.is_frozen() && batch.members.len() > 1;
        let first = batch.members.first().map_or(0, |entry_id| self.outbox.get(*entry_id).seq);
        for (place, entry_id) in batch.members.iter().enumerate() {
            let entry = self.outbox.get(*entry_id);
            if entry.payload.id().is_some() {
                let (seq, delivery_state) = (entry.seq, *self.outbox.delivery_state(*entry_id));
                let DeliveryState { attempts, first_attempt_at, ambiguous, .. } = delivery_state;
                let batch = is_batch.then(|| batch_number(first, place));
                effects.push(Effect::Store(Change::Return { seq, attempts, first_attempt_at, ambiguous, batch }));
            }
        }
    }
}
