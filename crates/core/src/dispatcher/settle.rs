//! What an answer does to the messages that it is for.

use std::num::NonZeroU16;
use std::time::Duration;

use super::attempts::Attempt;
use super::load::Load;
use super::outbox::Parking;
use super::{Dispatcher, Effect, Step};
use crate::clock::Timestamp;
use crate::lanes::Slot;
use crate::message::Cargo;
use crate::outcome::{Reason, Response};
use crate::retry::{Answer, Backoff, Verdict, classify};
use crate::settings::Ambiguous;

/// Between attempts of a message.
pub(super) const RETRY_BACKOFF: Backoff =
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
pub(super) struct Told {
    pub(super) response: Option<Response>,
    pub(super) problem: Option<String>,
    /// The wait that the server asks for before a repetition.
    pub(super) retry_after: Option<Duration>,
}

impl Told {
    pub(super) fn of(answer: &Answer) -> Self {
        let (response, problem) = match answer {
            Answer::Answered { response, .. } | Answer::TooLarge { response, .. } => (Some(response.clone()), None),
            Answer::Unsent { problem } | Answer::Unanswered { problem } => (None, Some(problem.clone())),
        };
        Self { response, problem, retry_after: answer.retry_after() }
    }
}

impl Told {
    /// The server has the request's idempotency key already.
    pub(super) fn has_conflict(&self) -> bool {
        self.response.as_ref().is_some_and(|response| response.status == CONFLICT)
    }

    /// Another connection may do.
    fn is_about_connection(&self) -> bool {
        self.response.as_ref().is_some_and(|response| matches!(response.status, MISDIRECTED | TOO_EARLY))
    }

    /// Only a part of the answer's body has come.
    pub(super) fn is_cut_short(&self) -> bool {
        self.response.as_ref().is_some_and(|response| response.truncated)
    }

    /// The status says that it was done, though the answer may be cut.
    pub(super) fn is_processed(&self) -> bool {
        self.response.as_ref().is_some_and(Response::is_success)
    }
}

impl Dispatcher {
    /// What an answer means to this many messages, by the delivery table and the statuses that the settings add:
    /// whether such a request was processed is as unknown as with those of the table. A batch that may have been
    /// refused for one of its messages is parted first.
    pub(super) fn verdict(&self, answer: &Answer, members: usize) -> Verdict {
        match (classify(answer), answer.status()) {
            (Verdict::Rejected, Some(TOO_LARGE | BAD_REQUEST)) if members > 1 => Verdict::Rejected,
            (Verdict::Rejected, Some(status)) if self.settings.retry.statuses.has(status) => Verdict::Ambiguous,
            (verdict, _) => verdict,
        }
    }

    pub(super) fn carries_call(&self, load: &Load) -> bool {
        load.members.iter().any(|slot| matches!(self.outbox.get(*slot).cargo, Cargo::Call(_)))
    }

    /// The answer was about the organization, not about the messages: no attempt is spent, places are kept.
    pub(super) fn keep_places(&mut self, step: &mut Step<'_>, load: Load) {
        self.unspend_attempt(&load.members);
        self.give_back(step, load);
    }

    /// The attempt of these messages doesn't count: the answer said nothing about them.
    pub(super) fn unspend_attempt(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.outbox.course_mut(*slot).attempts -= 1;
        }
    }

    /// The messages are off the wire, or don't get there, and keep their places.
    pub(super) fn give_back(&mut self, step: &mut Step<'_>, load: Load) {
        self.keep_return(&load, step.effects);
        self.put_back(step, load);
    }

    /// They go to the front of their lanes, or their batch before everything else.
    pub(super) fn put_back(&mut self, step: &mut Step<'_>, mut load: Load) {
        if load.is_bound() {
            self.end_those_due(step, &mut load);
            if load.members.is_empty() {
                return self.bind_next(load);
            }
            self.bind(&load);
            self.fail_unauthorized(&load.members, step.effects);
            self.bound.push_first(load);
            return;
        }
        // Each goes to the front: the last one first keeps their turns.
        for slot in load.members.into_iter().rev() {
            if !self.end_if_due(step, slot) {
                self.unpark(slot);
                self.fail_unauthorized(&[slot], step.effects);
            }
        }
    }

    /// No attempt is spent; the messages wait until then, and others go meanwhile.
    pub(super) fn put_aside(&mut self, step: &mut Step<'_>, mut load: Load, until: Timestamp) {
        self.unspend_attempt(&load.members);
        self.keep_return(&load, step.effects);
        self.end_those_due(step, &mut load);
        if load.members.is_empty() {
            self.bind_next(load);
        } else if load.is_bound() {
            self.park_load(load, until);
        } else {
            load.members.iter().for_each(|slot| self.park(*slot, until, Parking::Retry));
        }
    }

    pub(super) fn repeat_or_end(&mut self, step: &mut Step<'_>, load: Load, told: &Told) {
        for slot in &load.members {
            self.outbox.course_mut(*slot).ambiguous = true;
        }
        if !load.members.iter().all(|slot| self.may_repeat(*slot, told.is_processed())) {
            self.end(step, load, Reason::Ambiguous, told);
        } else if load.members.len() > 1 {
            // The server may have taken it: the repetition must be the same, so that a server that knows it can tell.
            self.retry(step, load.freeze(), told);
        } else {
            self.retry(step, load, told);
        }
    }

    /// Whether what may have been processed, or by the status of its cut answer surely was, may be sent again.
    fn may_repeat(&self, slot: Slot, is_processed: bool) -> bool {
        let by_setting = self.settings.retry.ambiguous == Ambiguous::Retry;
        match &self.outbox.get(slot).cargo {
            Cargo::Message(_) => by_setting,
            Cargo::Call(call) => call.is_repeatable().unwrap_or(by_setting && !is_processed),
        }
    }

    pub(super) fn retry(&mut self, step: &mut Step<'_>, mut load: Load, told: &Told) {
        let attempts = self.outbox.course(load.members[0]).attempts;
        let asked = told.retry_after.unwrap_or_default().min(self.settings.retry.max_pause);
        let backoff = match self.note_misdirected(&load, told) {
            true => Duration::ZERO,
            false => RETRY_BACKOFF.wait(attempts, &mut self.random),
        };
        let at = step.now.after(backoff.max(asked));
        let last_status = told.response.as_ref().and_then(|response| NonZeroU16::new(response.status));
        for slot in &load.members {
            self.outbox.course_mut(*slot).last_status = last_status;
        }
        // While nothing may leave, probes tell about the server, not about the messages that they carry.
        if self.health.holds_messages() && !self.carries_call(&load) {
            return self.put_aside(step, load, step.now.after(asked));
        }
        if self.is_untold(&load) {
            // By the failures of this run, which are few, not by those of earlier ones.
            let backoff = RETRY_BACKOFF.wait(1, &mut self.random);
            return self.put_aside(step, load, step.now.after(backoff.max(asked)));
        }
        // A batch that the server may know stays whole, as far as the limits of its messages' attempts let it.
        let frozen = load.is_frozen();
        load.members
            .retain(|slot| (frozen || !self.end_if_due(step, *slot)) && !self.bury_if_exhausted(step, at, *slot, told));
        self.keep_return(&load, step.effects);
        if load.members.is_empty() {
            self.bind_next(load);
        } else if load.is_bound() {
            self.park_load(load, at);
        } else {
            load.members.iter().for_each(|slot| self.park(*slot, at, Parking::Retry));
            self.fail_unauthorized(&load.members, step.effects);
        }
    }

    /// Whether one of these messages is too old for its next attempt, however soon that may be.
    pub(super) fn is_aging_out(&self, now: Timestamp, load: &Load, answer: &Answer) -> bool {
        let limits = self.settings.retry;
        let asked = answer.retry_after().unwrap_or_default().min(limits.max_pause);
        // Who allows no second attempt wants none.
        let may_try_again = !limits.max_age.is_zero() && limits.max_attempts > 1;
        may_try_again
            && !self.carries_call(load)
            && load.members.iter().any(|slot| {
                let course = self.outbox.course(*slot);
                let next = now.after(RETRY_BACKOFF.longest(course.attempts).max(asked));
                self.health.age(course.first_attempt_at.unwrap_or(now), next) > limits.max_age
            })
    }

    /// Whether messages of an earlier run fail before anything has passed in this one. That may be an outage in which
    /// that run has ended, so that each restart would spend attempts until the breaker trips; then, at the latest, it
    /// is known.
    fn is_untold(&self, load: &Load) -> bool {
        let is_of_earlier = |slot: &Slot| self.outbox.seq_of(*slot).is_some_and(|seq| self.earlier_run.accepted(seq));
        !self.health.has_message_passed() && !self.carries_call(load) && load.members.iter().any(is_of_earlier)
    }

    /// Whether another connection may do, and has not been tried: from now on it has, for each of these messages.
    fn note_misdirected(&mut self, load: &Load, told: &Told) -> bool {
        if !told.is_about_connection() {
            return false;
        }
        let mut is_first_time = true;
        for slot in &load.members {
            is_first_time &= !std::mem::replace(&mut self.outbox.course_mut(*slot).misdirected, true);
        }
        is_first_time
    }

    /// Ends a message that may not be tried again at `next`. Whether it did.
    fn bury_if_exhausted(&mut self, step: &mut Step<'_>, next: Timestamp, slot: Slot, told: &Told) -> bool {
        let is_held_too_long = self.ends_while_held(step.now, next, slot);
        let (course, cargo) = (self.outbox.course(slot), &self.outbox.get(slot).cargo);
        let limits = match cargo {
            Cargo::Message(_) => self.settings.retry,
            Cargo::Call(call) => self.settings.retry.bounded_by(&call.limits),
        };
        let since = course.first_attempt_at.unwrap_or(step.now);
        let age = match cargo {
            Cargo::Message(_) => self.health.age(since, next),
            Cargo::Call(_) => next.since(since),
        };
        // An answer now is worth more than a deadline that passes before the next attempt.
        let is_last = cargo.deadline().is_some_and(|deadline| next >= deadline);
        let is_last = is_last || is_held_too_long;
        let exhausted = course.attempts >= limits.max_attempts || age > limits.max_age || is_last;
        if exhausted {
            // Only what may have been processed is tried again after a conflict.
            let reason = if told.has_conflict() { Reason::Ambiguous } else { Reason::Exhausted };
            self.bury(step, slot, reason, told.response.clone(), told.problem.clone());
        }
        exhausted
    }

    /// A refused batch is halved, down to the one message that is at fault.
    pub(super) fn reject(&mut self, step: &mut Step<'_>, attempt: Attempt, told: &Told) {
        let Attempt { load, bytes, .. } = attempt;
        let status = told.response.as_ref().map_or(0, |response| response.status);
        if load.members.len() > 1 && self.settings.route.is_array() && !self.ended_by(&load, told).is_empty() {
            return self.halve(load, true, step.effects);
        }
        if load.members.len() < 2 || !matches!(status, TOO_LARGE | BAD_REQUEST) {
            let load = if status == BAD_REQUEST { load.reunite() } else { load };
            return self.end(step, load, Reason::Rejected, told);
        }
        if status == TOO_LARGE {
            self.batching.too_large(load.members.len(), bytes);
        }
        self.halve(load, status == BAD_REQUEST, step.effects);
    }

    /// The halves of a refused batch go one after the other. `one_is_at_fault` when it was refused for a message's
    /// sake, not for its size.
    pub(super) fn halve(&mut self, load: Load, one_is_at_fault: bool, effects: &mut Vec<Effect>) {
        // The refusal was the batch's: it is no attempt of each of its messages.
        self.unspend_attempt(&load.members);
        let load = load.split(one_is_at_fault);
        load.all().for_each(|slot| self.keep_return(&Load::of_one(slot), effects));
        self.bind(&load);
        self.bound.push_last(load);
    }

    pub(super) fn end(&mut self, step: &mut Step<'_>, load: Load, reason: Reason, told: &Told) {
        let ended = if reason == Reason::Rejected { self.ended_by(&load, told) } else { Vec::new() };
        for slot in &load.members {
            self.bury(step, *slot, reason, told.response.clone(), told.problem.clone());
        }
        self.bind_next(load);
        ended.iter().for_each(|conversation| self.conversation_ended(step.now, conversation, told));
    }
}
