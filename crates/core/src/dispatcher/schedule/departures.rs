//! A request is made, and leaves or is withheld. It counts from when it leaves.

use crate::clock::Timestamp;
use crate::dispatcher::health::RouteId;
use crate::dispatcher::outbox::State;
use crate::dispatcher::schedule::attempts::{Attempt, Departure};
use crate::dispatcher::schedule::batch::Batch;
use crate::dispatcher::{AttemptId, Dispatcher, Effect, Step};
use crate::message::Payload;
use crate::token::TokenId;

impl Dispatcher {
    /// Makes the request of a batch, and takes slots for it. It counts from when it leaves.
    pub(in crate::dispatcher) fn start(&mut self, step: &mut Step<'_>, token: TokenId, mut batch: Batch) {
        let cost = self.batching.cost_of(batch.members.len(), self.quota.cost_max());
        self.quota.reserve(step.now, token, cost);
        self.batching.begins();
        self.note_senders(step.now, &batch);
        self.keep_departure(step, &batch);
        for slot in &batch.members {
            self.outbox.set_state(*slot, State::Departing);
        }
        self.look_ahead(step, batch.members.len());
        let shipment = self.shipment(token, &mut batch);
        let bytes = shipment.body.as_ref().map_or(0, bytes::Bytes::len);
        let first = self.outbox.get(batch.members[0]);
        let (route, lane) = (first.route, first.lane);
        let attempt = self.attempts.number();
        self.health.departs(step.now, attempt, (route, token), lane);
        self.tell_departure(step.now, attempt, &batch);
        self.spend_turns(&batch);
        self.attempts.begin(attempt, Attempt { batch, route, token, cost, bytes });
        step.effects.push(Effect::Send { attempt, shipment });
    }

    /// These have sent now, and come late no more.
    fn note_senders(&mut self, now: Timestamp, batch: &Batch) {
        let Some(memory) = self.quota.turn_memory() else { return };
        for slot in &batch.members {
            if let Payload::Message(message) = &self.outbox.get(*slot).payload {
                self.lately.sends(now, message.conversation(), memory);
            }
        }
    }

    /// Whether an attempt that has not left may do so now: not while the gate is shut, unless it is the probe, nor if
    /// it was called back.
    pub fn may_leave(&self, id: AttemptId) -> bool {
        match self.attempts.departing(id) {
            _ if self.standing.disowned().is_some() => false,
            Some(attempt) => {
                let conversations = self.conversations_of(&attempt.batch).map(|conversation| &**conversation);
                self.health.may_leave(id, (attempt.route, attempt.token), conversations)
            }
            None if self.sounding_departs(id) => {
                let token = self.sounding.map(|sounding| sounding.token()).unwrap_or_default();
                self.health.may_leave(id, (RouteId::MESSAGES, token), std::iter::empty())
            }
            None => self.limits_lookup.is_departing(id),
        }
    }

    /// The same, at the moment when it leaves: the lease of a host's share must be in force, too.
    pub fn may_leave_at(&self, now: Timestamp, id: AttemptId) -> bool {
        self.may_leave(id) && self.lease_lets(now)
    }

    /// A request leaves: from now on it counts, and its attempt is spent.
    pub(in crate::dispatcher) fn left(&mut self, now: Timestamp, id: AttemptId) {
        self.counters.requests += 1;
        if self.limits_lookup.is_departing(id) {
            return self.limits_lookup_left(now);
        }
        if self.sounding_departs(id) {
            return self.sounding_left(now);
        }
        let Some(attempt) = self.attempts.departing(id) else { unreachable!("only what may leave does") };
        let auth = self.auths.of(attempt.token);
        let departure = Departure {
            at: now,
            generation: auth.generation(),
            is_token_fresh: auth.is_fresh(now),
            token_granted_at: auth.granted_at(),
        };
        let attempt = self.attempts.leave(id, departure);
        self.quota.left(now, attempt.token, attempt.cost);
        self.batching.left();
        let mut is_retry = false;
        for slot in &attempt.batch.members {
            self.outbox.set_state(*slot, State::InFlight);
            let delivery_state = self.outbox.delivery_state_mut(*slot);
            delivery_state.attempts += 1;
            delivery_state.retry_paid = false;
            delivery_state.first_attempt_at.get_or_insert(now);
            is_retry |= delivery_state.attempts > 1;
        }
        self.counters.retries += u64::from(is_retry);
        let more_at = self.health.left(attempt.sent(id, now), is_retry);
        more_at.into_iter().for_each(|at| self.look_again(at));
    }

    /// It has not left, and never will: nothing of it was counted.
    pub(in crate::dispatcher) fn withheld(&mut self, step: &mut Step<'_>, id: AttemptId) {
        if self.limits_lookup.is_departing(id) {
            return self.limits_lookup_withheld();
        }
        if self.sounding_departs(id) {
            return self.sounding_withheld(step.now, id);
        }
        let Some(attempt) = self.attempts.take_withheld(id) else { return };
        self.health.lost(step.now, id, (attempt.route, attempt.token));
        self.quota.cancel(attempt.token, attempt.cost);
        self.give_back(step, attempt.batch);
    }
}
