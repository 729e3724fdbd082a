//! What an answer does to the messages that it is for.

use std::num::NonZeroU16;
use std::time::Duration;

use super::load::Load;
use super::outbox::Parking;
use super::{Attempt, Dispatcher, Effect};
use crate::batcher::Item;
use crate::clock::Timestamp;
use crate::lanes::Slot;
use crate::message::Cargo;
use crate::outcome::{Reason, Response};
use crate::retry::{Answer, Backoff, Verdict};
use crate::settings::Ambiguous;

/// Between attempts of a message.
const RETRY_BACKOFF: Backoff = Backoff::new(Duration::ZERO, Duration::from_millis(200), Duration::from_secs(30));

/// The statuses that say that a batch was too large, or one of its messages wrong.
const TOO_LARGE: u16 = 413;
const BAD_REQUEST: u16 = 400;

/// What came back, apart from its verdict.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) response: Option<Response>,
    pub(super) problem: Option<String>,
}

impl Dispatcher {
    pub(super) fn settle(
        &mut self,
        now: Timestamp,
        attempt: Attempt,
        verdict: Verdict,
        answer: Answer,
        items: Option<Vec<Option<Item>>>,
        effects: &mut Vec<Effect>,
    ) {
        let (too_large, told) = match answer {
            Answer::Answered { response, .. } => (false, Told { response: Some(response), problem: None }),
            Answer::TooLarge { response, .. } => (true, Told { response: Some(response), problem: None }),
            Answer::Unsent { problem } | Answer::Unanswered { problem } => {
                (false, Told { response: None, problem: Some(problem) })
            }
        };
        match verdict {
            Verdict::Delivered if too_large && self.carries_call(&attempt.load) => {
                self.end(now, attempt.load, Reason::ResponseTooLarge, &told, effects);
            }
            // A message is delivered by the status; a request without the whole of its answer isn't answered.
            Verdict::Delivered if is_cut_short(&told) && self.carries_call(&attempt.load) => {
                self.repeat_or_end(now, attempt.load, &told, effects);
            }
            // It may have been a list of statuses, and some of them failures.
            Verdict::Delivered if is_cut_short(&told) && self.settings.route.is_array() => {
                let problem = Some("the answer was cut, so that it does not tell about each message".to_owned());
                self.repeat_or_end(now, attempt.load, &Told { problem, ..told }, effects);
            }
            Verdict::Delivered => self.deliver(now, attempt, told.response.unwrap_or_default(), items, effects),
            Verdict::Throttled | Verdict::Unauthorised => self.keep_places(now, attempt.load, effects),
            Verdict::Ambiguous => self.repeat_or_end(now, attempt.load, &told, effects),
            Verdict::Transient => self.retry(now, attempt.load, &told, effects),
            Verdict::Rejected => self.reject(now, attempt, &told, effects),
        }
    }

    fn carries_call(&self, load: &Load) -> bool {
        load.members.iter().any(|slot| matches!(self.outbox.get(*slot).cargo, Cargo::Call(_)))
    }

    /// The answer was about the organisation, not about the messages: no attempt is spent, places are kept.
    pub(super) fn keep_places(&mut self, now: Timestamp, load: Load, effects: &mut Vec<Effect>) {
        for slot in &load.members {
            self.outbox.course_mut(*slot).attempts -= 1;
        }
        self.keep_return(&load, effects);
        if load.is_bound() {
            self.bind(&load);
            self.fail_unauthorised(&load.members, effects);
            self.bound.push_front(load);
            return;
        }
        // Each goes to the front: the last one first keeps their turns.
        for slot in load.members.into_iter().rev() {
            if !self.must_end(now, slot, effects) {
                self.unpark(slot);
                self.fail_unauthorised(&[slot], effects);
            }
        }
    }

    pub(super) fn repeat_or_end(&mut self, now: Timestamp, load: Load, told: &Told, effects: &mut Vec<Effect>) {
        for slot in &load.members {
            self.outbox.course_mut(*slot).ambiguous = true;
        }
        if !load.members.iter().all(|slot| self.may_repeat(*slot, told.response.is_some())) {
            self.end(now, load, Reason::Ambiguous, told, effects);
        } else if load.members.len() > 1 {
            // The server may have taken it: the repetition must be the same, so that a server that knows it can tell.
            self.retry(now, load.freeze(), told, effects);
        } else {
            self.retry(now, load, told, effects);
        }
    }

    /// Whether what may have been processed, or by the status of its cut answer surely was, may be sent again.
    fn may_repeat(&self, slot: Slot, is_processed: bool) -> bool {
        let by_setting = self.settings.retry.ambiguous == Ambiguous::Retry;
        match &self.outbox.get(slot).cargo {
            Cargo::Message(_) => by_setting,
            Cargo::Call(call) => call.idempotent() || (by_setting && !is_processed),
        }
    }

    pub(super) fn retry(&mut self, now: Timestamp, mut load: Load, told: &Told, effects: &mut Vec<Effect>) {
        let attempts = load.members.first().map_or(1, |slot| self.outbox.course(*slot).attempts);
        let at = now.after(RETRY_BACKOFF.wait(attempts, &mut self.random));
        let last_status = told.response.as_ref().and_then(|response| NonZeroU16::new(response.status));
        for slot in &load.members {
            self.outbox.course_mut(*slot).last_status = last_status;
        }
        // A batch that the server may know stays whole, as far as the limits of its messages' attempts let it.
        let frozen = load.is_frozen();
        load.members.retain(|slot| {
            (frozen || !self.must_end(now, *slot, effects)) && !self.is_exhausted(now, at, *slot, told, effects)
        });
        self.keep_return(&load, effects);
        if load.members.is_empty() {
            self.bind_next(load);
        } else if load.is_bound() {
            self.park_load(load, at);
        } else {
            load.members.iter().for_each(|slot| self.park(*slot, at, Parking::Retry));
            self.fail_unauthorised(&load.members, effects);
        }
    }

    fn is_exhausted(
        &mut self,
        now: Timestamp,
        next: Timestamp,
        slot: Slot,
        told: &Told,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let (course, limits) = (self.outbox.course(slot), self.settings.retry);
        let age_ends = course.first_attempt_at.unwrap_or(now).after(limits.max_age);
        let exhausted = course.attempts >= limits.max_attempts || next > age_ends;
        if exhausted {
            self.bury(now, slot, Reason::Exhausted, told.response.clone(), told.problem.clone(), effects);
        }
        exhausted
    }

    /// What is kept of the answer to its last attempt.
    pub(super) fn last_answer(&self, slot: Slot) -> Option<Response> {
        let status = self.outbox.course(slot).last_status?.get();
        Some(Response { status, ..Response::default() })
    }

    /// The end of messages that were withdrawn, or have expired, while they were on the wire or bound.
    pub(super) fn must_end(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) -> bool {
        let entry = self.outbox.get(slot);
        let course = self.outbox.course(slot);
        let expired = course.expires_at.is_some_and(|at| at <= now);
        // A request whose promise was refused meanwhile has nobody to answer to.
        let orphaned = matches!(entry.cargo, Cargo::Call(_)) && course.waiter.is_none();
        let reason = match (course.withdrawn || orphaned, expired) {
            (true, _) => Reason::Aborted,
            (false, true) => Reason::Expired,
            (false, false) => return false,
        };
        self.bury(now, slot, reason, self.last_answer(slot), None, effects);
        true
    }

    /// A refused batch is halved, down to the one message that is at fault.
    fn reject(&mut self, now: Timestamp, attempt: Attempt, told: &Told, effects: &mut Vec<Effect>) {
        let Attempt { load, bytes, .. } = attempt;
        let status = told.response.as_ref().map_or(0, |response| response.status);
        if load.members.len() < 2 || !matches!(status, TOO_LARGE | BAD_REQUEST) {
            let load = if status == BAD_REQUEST { load.reunite() } else { load };
            return self.end(now, load, Reason::Rejected, told, effects);
        }
        if status == TOO_LARGE {
            self.batch_limits.too_large(load.members.len(), bytes);
        }
        for slot in &load.members {
            // The refusal was the batch's: it is no attempt of each of its messages.
            self.outbox.course_mut(*slot).attempts -= 1;
        }
        let load = load.split(status == BAD_REQUEST);
        load.all().for_each(|slot| self.keep_return(&Load::of(vec![slot]), effects));
        self.bind(&load);
        self.bound.push_back(load);
    }

    pub(super) fn end(&mut self, now: Timestamp, load: Load, reason: Reason, told: &Told, effects: &mut Vec<Effect>) {
        for slot in &load.members {
            self.bury(now, *slot, reason, told.response.clone(), told.problem.clone(), effects);
        }
        self.bind_next(load);
    }

    /// What was split from the same batch goes on.
    pub(super) fn bind_next(&mut self, load: Load) {
        if let Some(next) = load.next() {
            self.bound.push_back(next);
        }
    }
}

fn is_cut_short(told: &Told) -> bool {
    told.response.as_ref().is_some_and(|response| response.truncated)
}
