//! What an answer does to the messages that it is for.

use std::num::NonZeroU16;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::dispatcher::outbox::Parking;
use crate::dispatcher::schedule::attempts::Attempt;
use crate::dispatcher::schedule::batch::Batch;
use crate::dispatcher::{Dispatcher, Effect, Step};
use crate::lanes::EntryId;
use crate::message::Payload;
use crate::outcome::{Reason, Response};
use crate::retry::{Answer, Backoff, Verdict, classify};
use crate::settings::Ambiguous;

/// Between attempts of a message.
pub(in crate::dispatcher) const RETRY_BACKOFF: Backoff =
    Backoff::new(Duration::ZERO, Duration::from_millis(200), Duration::from_secs(30));

/// The statuses that say that a batch was too large, or one of its messages wrong.
const TOO_LARGE: u16 = 413;
const BAD_REQUEST: u16 = 400;
/// The statuses that say that another connection may do.
const MISDIRECTED: u16 = 421;
const TOO_EARLY: u16 = 425;
/// The status of a request whose idempotency key is in use (`draft-ietf-httpapi-idempotency-key-header`).
const CONFLICT: u16 = 409;

/// What came back, apart from its verdict.
#[derive(Clone, Debug, Default)]
pub(in crate::dispatcher) struct Reply {
    pub(in crate::dispatcher) response: Option<Response>,
    pub(in crate::dispatcher) problem: Option<String>,
    /// The wait that the server asks for before a repetition.
    pub(in crate::dispatcher) retry_after: Option<Duration>,
}

impl Reply {
    pub(in crate::dispatcher) fn of(answer: &Answer) -> Self {
        let (response, problem) = match answer {
            Answer::Answered { response, .. } | Answer::TooLarge { response, .. } => (Some(response.clone()), None),
            Answer::Unsent { problem } | Answer::Unanswered { problem } => (None, Some(problem.clone())),
        };
        Self { response, problem, retry_after: answer.retry_after() }
    }
}

impl Reply {
    /// The server has the request's idempotency key already.
    pub(in crate::dispatcher) fn has_conflict(&self) -> bool {
        self.response.as_ref().is_some_and(|response| response.status == CONFLICT)
    }

    /// Another connection may do.
    fn is_about_connection(&self) -> bool {
        self.response.as_ref().is_some_and(|response| matches!(response.status, MISDIRECTED | TOO_EARLY))
    }

    /// Only a part of the answer's body has come.
    pub(in crate::dispatcher) fn is_cut_short(&self) -> bool {
        self.response.as_ref().is_some_and(|response| response.truncated)
    }

    /// The status says that it was done, though the answer may be cut.
    pub(in crate::dispatcher) fn is_processed(&self) -> bool {
        self.response.as_ref().is_some_and(Response::is_success)
    }
}

impl Dispatcher {
    /// What an answer means to this many messages, by the delivery table and the statuses that the settings add:
    /// whether such a request was processed is as unknown as with those of the table. A batch that may have been
    /// refused for one of its messages is parted first.
    pub(in crate::dispatcher) fn verdict(&self, answer: &Answer, members: usize) -> Verdict {
        match (classify(answer), answer.status()) {
            (Verdict::Rejected, Some(TOO_LARGE | BAD_REQUEST)) if members > 1 => Verdict::Rejected,
            (Verdict::Rejected, Some(status)) if self.settings.retry.statuses.has(status) => Verdict::Ambiguous,
            (verdict, _) => verdict,
        }
    }

    pub(in crate::dispatcher) fn carries_call(&self, batch: &Batch) -> bool {
        batch.members.iter().any(|entry_id| matches!(self.outbox.get(*entry_id).payload, Payload::Call(_)))
    }

    /// The answer was about the organization, not about the messages: no attempt is spent, places are kept.
    pub(in crate::dispatcher) fn keep_places(&mut self, step: &mut Step<'_>, batch: Batch) {
        self.unspend_attempt(&batch.members);
        self.give_back(step, batch);
    }

    /// The attempt of these messages doesn't count: the answer said nothing about them.
    pub(in crate::dispatcher) fn unspend_attempt(&mut self, entry_ids: &[EntryId]) {
        for entry_id in entry_ids {
            self.outbox.delivery_state_mut(*entry_id).attempts -= 1;
        }
    }

    /// The messages are off the wire, or don't get there, and keep their places.
    pub(in crate::dispatcher) fn give_back(&mut self, step: &mut Step<'_>, batch: Batch) {
        self.keep_return(&batch, step.effects);
        self.put_back(step, batch);
    }

    /// They go to the front of their lanes, or their batch before everything else.
    pub(in crate::dispatcher) fn put_back(&mut self, step: &mut Step<'_>, mut batch: Batch) {
        if batch.is_bound() {
            self.end_those_due(step, &mut batch);
            if batch.members.is_empty() {
                return self.bind_next(batch);
            }
            self.bind(&batch);
            self.fail_unauthorized(&batch.members, step.effects);
            self.bound.push_first(batch);
            return;
        }
        // Each goes to the front: the last one first keeps their turns.
        for entry_id in batch.members.into_iter().rev() {
            if !self.end_if_due(step, entry_id) {
                self.unpark(entry_id);
                self.fail_unauthorized(&[entry_id], step.effects);
            }
        }
    }

    /// No attempt is spent; the messages wait until then, and others go meanwhile.
    pub(in crate::dispatcher) fn put_aside(&mut self, step: &mut Step<'_>, mut batch: Batch, until: Timestamp) {
        self.unspend_attempt(&batch.members);
        self.keep_return(&batch, step.effects);
        self.end_those_due(step, &mut batch);
        if batch.members.is_empty() {
            self.bind_next(batch);
        } else if batch.is_bound() {
            self.park_batch(batch, until);
        } else {
            batch.members.iter().for_each(|entry_id| self.park(*entry_id, until, Parking::Retry));
        }
    }

    pub(in crate::dispatcher) fn repeat_or_end(&mut self, step: &mut Step<'_>, batch: Batch, told: &Reply) {
        for entry_id in &batch.members {
            self.outbox.delivery_state_mut(*entry_id).ambiguous = true;
        }
        if !batch.members.iter().all(|entry_id| self.may_repeat(*entry_id, told.is_processed())) {
            self.end(step, batch, Reason::Ambiguous, told);
        } else if batch.members.len() > 1 {
            // The server may have taken it: the repetition must be the same, so that a server that knows it can tell.
            self.retry(step, batch.freeze(), told);
        } else {
            self.retry(step, batch, told);
        }
    }

    /// Whether what may have been processed, or by the status of its cut answer surely was, may be sent again.
    fn may_repeat(&self, entry_id: EntryId, is_processed: bool) -> bool {
        let by_setting = self.settings.retry.ambiguous == Ambiguous::Retry;
        match &self.outbox.get(entry_id).payload {
            Payload::Message(_) => by_setting,
            Payload::Call(call) => call.is_repeatable().unwrap_or(by_setting && !is_processed),
        }
    }

    pub(in crate::dispatcher) fn retry(&mut self, step: &mut Step<'_>, mut batch: Batch, told: &Reply) {
        let attempts = self.outbox.delivery_state(batch.members[0]).attempts;
        let asked = told.retry_after.unwrap_or_default().min(self.settings.retry.max_pause);
        let backoff = match self.note_misdirected(&batch, told) {
            true => Duration::ZERO,
            false => RETRY_BACKOFF.wait(attempts, &mut self.random),
        };
        let at = step.now.after(backoff.max(asked));
        let last_status = told.response.as_ref().and_then(|response| NonZeroU16::new(response.status));
        for entry_id in &batch.members {
            self.outbox.delivery_state_mut(*entry_id).last_status = last_status;
        }
        // While nothing may leave, probes tell about the server, not about the messages that they carry.
        if self.health.holds_messages() && !self.carries_call(&batch) {
            return self.put_aside(step, batch, step.now.after(asked));
        }
        if self.is_untold(&batch) {
            // By the failures of this run, which are few, not by those of earlier ones.
            let backoff = RETRY_BACKOFF.wait(1, &mut self.random);
            return self.put_aside(step, batch, step.now.after(backoff.max(asked)));
        }
        // A batch that the server may know stays whole, as far as the limits of its messages' attempts let it.
        let frozen = batch.is_frozen();
        batch.members.retain(|entry_id| {
            (frozen || !self.end_if_due(step, *entry_id)) && !self.bury_if_exhausted(step, at, *entry_id, told)
        });
        self.keep_return(&batch, step.effects);
        if batch.members.is_empty() {
            self.bind_next(batch);
        } else if batch.is_bound() {
            self.park_batch(batch, at);
        } else {
            batch.members.iter().for_each(|entry_id| self.park(*entry_id, at, Parking::Retry));
            self.fail_unauthorized(&batch.members, step.effects);
        }
    }

    /// Whether one of these messages is too old for its next attempt, however soon that may be.
    pub(in crate::dispatcher) fn is_aging_out(&self, now: Timestamp, batch: &Batch, answer: &Answer) -> bool {
        let limits = self.settings.retry;
        let asked = answer.retry_after().unwrap_or_default().min(limits.max_pause);
        // Who allows no second attempt wants none.
        let may_try_again = !limits.max_age.is_zero() && limits.max_attempts > 1;
        may_try_again
            && !self.carries_call(batch)
            && batch.members.iter().any(|entry_id| {
                let delivery_state = self.outbox.delivery_state(*entry_id);
                let next = now.after(RETRY_BACKOFF.longest(delivery_state.attempts).max(asked));
                self.health.age(delivery_state.first_attempt_at.unwrap_or(now), next) > limits.max_age
            })
    }

    /// Whether messages of an earlier run fail before anything has passed in this one. That may be an outage in which
    /// that run has ended, so that each restart would spend attempts until the breaker trips; then, at the latest, it
    /// is known.
    fn is_untold(&self, batch: &Batch) -> bool {
        let is_of_earlier =
            |entry_id: &EntryId| self.outbox.seq_of(*entry_id).is_some_and(|seq| self.earlier_run.accepted(seq));
        !self.health.has_message_passed() && !self.carries_call(batch) && batch.members.iter().any(is_of_earlier)
    }

    /// Whether another connection may do, and has not been tried: from now on it has, for each of these messages.
    fn note_misdirected(&mut self, batch: &Batch, told: &Reply) -> bool {
        if !told.is_about_connection() {
            return false;
        }
        let mut is_first_time = true;
        for entry_id in &batch.members {
            is_first_time &= !std::mem::replace(&mut self.outbox.delivery_state_mut(*entry_id).misdirected, true);
        }
        is_first_time
    }

    /// Ends a message that may not be tried again at `next`. Whether it did.
    fn bury_if_exhausted(&mut self, step: &mut Step<'_>, next: Timestamp, entry_id: EntryId, told: &Reply) -> bool {
        let is_held_too_long = self.ends_while_held(step.now, next, entry_id);
        let (delivery_state, payload) = (self.outbox.delivery_state(entry_id), &self.outbox.get(entry_id).payload);
        let limits = match payload {
            Payload::Message(_) => self.settings.retry,
            Payload::Call(call) => self.settings.retry.bounded_by(&call.limits),
        };
        let since = delivery_state.first_attempt_at.unwrap_or(step.now);
        let age = match payload {
            Payload::Message(_) => self.health.age(since, next),
            Payload::Call(_) => next.since(since),
        };
        // An answer now is worth more than a deadline that passes before the next attempt.
        let is_last = payload.deadline().is_some_and(|deadline| next >= deadline);
        let is_last = is_last || is_held_too_long;
        let exhausted = delivery_state.attempts >= limits.max_attempts || age > limits.max_age || is_last;
        if exhausted {
            // Only what may have been processed is tried again after a conflict.
            let reason = if told.has_conflict() { Reason::Ambiguous } else { Reason::Exhausted };
            self.bury(step, entry_id, reason, told.response.clone(), told.problem.clone());
        }
        exhausted
    }

    /// A refused batch is halved, down to the one message that is at fault.
    pub(in crate::dispatcher) fn reject(&mut self, step: &mut Step<'_>, attempt: Attempt, told: &Reply) {
        let Attempt { batch, bytes, .. } = attempt;
        let status = told.response.as_ref().map_or(0, |response| response.status);
        if batch.members.len() > 1 && self.settings.route.is_array() && !self.ended_by(&batch, told).is_empty() {
            return self.halve(batch, true, step.effects);
        }
        if batch.members.len() < 2 || !matches!(status, TOO_LARGE | BAD_REQUEST) {
            let batch = if status == BAD_REQUEST { batch.reunite() } else { batch };
            return self.end(step, batch, Reason::Rejected, told);
        }
        if status == TOO_LARGE {
            self.batching.too_large(batch.members.len(), bytes);
        }
        self.halve(batch, status == BAD_REQUEST, step.effects);
    }

    /// The halves of a refused batch go one after the other. `one_is_at_fault` when it was refused for a message's
    /// sake, not for its size.
    pub(in crate::dispatcher) fn halve(&mut self, batch: Batch, one_is_at_fault: bool, effects: &mut Vec<Effect>) {
        // The refusal was the batch's: it is no attempt of each of its messages.
        self.unspend_attempt(&batch.members);
        let batch = batch.split(one_is_at_fault);
        batch.all().for_each(|entry_id| self.keep_return(&Batch::of_one(entry_id), effects));
        self.bind(&batch);
        self.bound.push_last(batch);
    }

    pub(in crate::dispatcher) fn end(&mut self, step: &mut Step<'_>, batch: Batch, reason: Reason, told: &Reply) {
        let ended = if reason == Reason::Rejected { self.ended_by(&batch, told) } else { Vec::new() };
        for entry_id in &batch.members {
            self.bury(step, *entry_id, reason, told.response.clone(), told.problem.clone());
        }
        self.bind_next(batch);
        ended.iter().for_each(|conversation| self.conversation_ended(step.now, conversation, told));
    }
}
