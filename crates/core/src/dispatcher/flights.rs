//! What the store knows of the wire: what is about to leave, what is under way, and what has come back.

use super::load::Load;
use super::outbox::Course;
use super::{Dispatcher, Effect, Step};
use crate::clock::Timestamp;
use crate::lanes::Slot;
use crate::store::{Change, Departure, Flight, batch_number};

impl Dispatcher {
    /// Before the wire: after a crash these messages are known as sent and not answered.
    pub(super) fn keep_departure(&self, step: &mut Step<'_>, load: &Load) {
        if self.standing.is_durable() {
            step.effects.push(Effect::Store(Change::Depart(self.flight(load, step.now, false))));
        }
    }

    /// What of a load the store knows as on the wire: its messages, and nothing of a request of the caller's own.
    pub(super) fn flight(&self, load: &Load, now: Timestamp, has_left: bool) -> Flight {
        let departure = |slot: &Slot| {
            let Course { attempts, first_attempt_at, .. } = *self.outbox.course(*slot);
            // An attempt is spent when it leaves.
            let attempts = attempts + u32::from(!has_left);
            let first_attempt_at = first_attempt_at.unwrap_or(now);
            Departure { seq: self.outbox.get(*slot).seq, attempts, first_attempt_at }
        };
        let messages = load.members.iter().filter(|slot| self.outbox.get(**slot).cargo.id().is_some());
        let members: Vec<Departure> = messages.map(departure).collect();
        let batch = (members.len() > 1).then(|| batch_number(members[0].seq, 0));
        Flight { batch, members }
    }

    /// All messages that are on the wire, and since when; those that may leave at any moment are among them.
    pub(super) fn on_wire(&self, now: Timestamp) -> Vec<(Timestamp, Flight)> {
        let flights = self.attempts.iter().map(|(_, attempt, departure)| {
            let at = departure.map_or(now, |departure| departure.at);
            (at, self.flight(&attempt.load, at, departure.is_some()))
        });
        flights.filter(|(_, flight)| !flight.members.is_empty()).collect()
    }

    /// These are off the wire, and go on waiting; a batch that the server may know as it is is kept as one.
    pub(super) fn keep_return(&self, load: &Load, effects: &mut Vec<Effect>) {
        if !self.standing.is_durable() {
            return;
        }
        let is_batch = load.is_frozen() && load.members.len() > 1;
        let first = load.members.first().map_or(0, |slot| self.outbox.get(*slot).seq);
        for (place, slot) in load.members.iter().enumerate() {
            let entry = self.outbox.get(*slot);
            if entry.cargo.id().is_some() {
                let (seq, course) = (entry.seq, *self.outbox.course(*slot));
                let Course { attempts, first_attempt_at, ambiguous, .. } = course;
                let batch = is_batch.then(|| batch_number(first, place));
                effects.push(Effect::Store(Change::Return { seq, attempts, first_attempt_at, ambiguous, batch }));
            }
        }
    }
}
