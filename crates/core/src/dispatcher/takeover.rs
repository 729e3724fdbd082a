//! What is left of a dispatcher that a panic has interrupted goes into another. Its own structures may contradict one
//! another by then, so only plain data are taken over: messages, promises, letters, remembered ids, the budget.
//! Everything that relates them (lanes, timers, attempts) is built again, as after a restart with a file.

use hashbrown::HashMap;

use super::outbox::{DeliveryState, Entry, Promise};
use super::{Dispatcher, Effect, Step};
use crate::clock::Timestamp;
use crate::lanes::EntryId;
use crate::message::{Payload, Submission, Ticket};
use crate::outcome::Reason;
use crate::store::{Record, batch_number};

/// Requests of the other dispatcher that the server may know: which messages were on the wire, and their places in
/// batches.
#[derive(Default)]
struct Known {
    on_wire: HashMap<EntryId, ()>,
    places: HashMap<EntryId, u64>,
}

impl Dispatcher {
    /// Takes over what `other` holds; the tickets that still wait for something here. Calls of `request()` that may
    /// have reached the server are not among them: their outcome is unknown.
    ///
    /// For a store in memory: another one keeps the messages by itself.
    pub fn take_over(&mut self, now: Timestamp, mut other: Self, effects: &mut Vec<Effect>) -> Vec<Ticket> {
        let step = &mut Step { now, effects };
        debug_assert!(!self.standing.is_durable(), "a durable store is read again instead");
        self.inherit(step.now, other.carryover(step.now));
        self.attempts.continue_after(&other.attempts);
        self.accepted = other.accepted;
        self.earlier_run.ended_at(other.accepted);
        self.counters = other.counters;
        self.health.take_over(&other.health);
        self.auths.take_over(&other.auths);
        if let Some(hold) = other.health.operator_hold() {
            self.hold(hold, step.effects);
        }
        self.note_standstill(step.now);
        self.letters = std::mem::take(&mut other.letters);
        self.redrives = std::mem::take(&mut other.redrives);
        std::mem::swap(&mut self.recent, &mut other.recent);
        // What follows is not counted twice, nor for ever: `other` is forgotten and not dropped.
        std::mem::swap(&mut self.part, &mut other.part);
        let known = other.known_to_server();
        let mut followers = std::mem::take(&mut other.followers);
        let waiting = std::mem::take(&mut other.waiting);
        let mut entries: Vec<(EntryId, Entry, DeliveryState)> = std::mem::take(&mut other.outbox).into_hot().collect();
        let other_recovered = other.standing.recovered();
        // A panic while the rest of it is dropped would end what has just been saved.
        std::mem::forget(other);
        entries.sort_unstable_by_key(|(_, entry, _)| entry.seq);
        for (entry_id, entry, delivery_state) in entries {
            let followers = followers.take(entry_id);
            self.take_over_one(step, (entry, delivery_state), &known, (entry_id, followers));
        }
        self.standing.set_recovered(other_recovered);
        self.put_batches_together();
        self.bury_unanswered(step, "the engine failed before the answer came");
        for waiting in waiting.into_line() {
            let Submission { ticket, payload, .. } = &waiting.submission;
            match payload.id() {
                Some(id) if waiting.redriven => self.redrive(step, *ticket, id.into()),
                _ => self.submit(step, waiting.submission),
            }
        }
        self.awaited()
    }

    fn take_over_one(
        &mut self,
        step: &mut Step<'_>,
        (entry, delivery_state): (Entry, DeliveryState),
        known: &Known,
        (old, followers): (EntryId, Vec<Promise>),
    ) {
        let sent = known.on_wire.contains_key(&old);
        let DeliveryState { waiter, attempts, first_attempt_at, expires_at, not_before, ambiguous, canceled, .. } =
            delivery_state;
        let (seq, priority, submitted_at) = (entry.seq, entry.priority, entry.submitted_at);
        let message = match entry.payload {
            Payload::Message(message) => message,
            payload @ Payload::Call(_) => {
                if let Some(Promise { ticket, settle }) = waiter.filter(|_| !sent && attempts == 0) {
                    let submission = Submission { ticket, settle, payload, priority, expires_at, not_before };
                    self.submit(step, submission);
                }
                return;
            }
        };
        let batch = known.places.get(&old).copied();
        let record = Record {
            seq,
            message,
            priority,
            submitted_at,
            expires_at,
            not_before,
            attempts,
            first_attempt_at,
            ambiguous,
            sent,
            batch,
            body_bytes: None,
        };
        let entry_id = self.found_started(step, record);
        if let Some(promise) = waiter {
            self.outbox.set_waiter(entry_id, promise);
        }
        self.followers.put(entry_id, followers);
        // Bound to others, or to be buried as unanswered, it ends with these.
        if canceled && batch.is_none() && !self.earlier_run.is_unanswered(entry_id) {
            self.bury(step, entry_id, Reason::Aborted, None, None);
        } else if canceled {
            self.outbox.delivery_state_mut(entry_id).canceled = true;
        }
    }

    fn known_to_server(&self) -> Known {
        let mut known = Known::default();
        for (_, attempt, _) in self.attempts.iter().filter(|(_, _, departure)| departure.is_some()) {
            known.on_wire.extend(attempt.batch.members.iter().map(|entry_id| (*entry_id, ())));
        }
        let batches = self.attempts.iter().map(|(_, attempt, _)| &attempt.batch).chain(self.bound.iter());
        let batches = batches.chain(self.suspects.batches());
        let is_on_wire = |entry_id: &EntryId| known.on_wire.contains_key(entry_id);
        for batch in batches.filter(|batch| batch.members.len() > 1) {
            if !batch.is_frozen() && !batch.members.iter().any(is_on_wire) {
                continue;
            }
            let Some(first) = batch.members.first().and_then(|entry_id| self.outbox.seq_of(*entry_id)) else {
                continue;
            };
            let places = batch.members.iter().zip(0..).map(|(entry_id, place)| (*entry_id, batch_number(first, place)));
            known.places.extend(places);
        }
        known
    }

    /// The tickets of all who wait for a message or request.
    fn awaited(&self) -> Vec<Ticket> {
        let waiting = self.waiting.tickets().chain(self.redrives.tickets());
        self.outbox.tickets().chain(self.followers.tickets()).chain(waiting).collect()
    }
}
