//! What an answer does: to its message, to the gate, to the token.

use std::time::Duration;

use super::gate::Cause;
use super::outbox::{Parking, State};
use super::{Attempt, AttemptId, Dispatcher, Effect, Notice, TokenNews};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::http::{Evidence, WaitSource};
use crate::lanes::Slot;
use crate::message::Cargo;
use crate::outcome::{Reason, Response};
use crate::retry::{Answer, Backoff, Verdict, classify};
use crate::settings::Ambiguous;

/// Between attempts of a message.
const RETRY_BACKOFF: Backoff = Backoff::new(Duration::ZERO, Duration::from_millis(200), Duration::from_secs(30));
/// While 429s repeat and the server names no time.
const PAUSE_FLOOR: Duration = Duration::from_millis(100);
const PAUSE_BASE: Duration = Duration::from_millis(250);
/// Between probes during an outage.
const OUTAGE_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(30));
/// Between probes while credentials are refused.
const AUTH_BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(60));

impl Dispatcher {
    pub(super) fn answered(&mut self, now: Timestamp, id: AttemptId, answer: Answer, effects: &mut Vec<Effect>) {
        let Some(attempt) = self.attempts.remove(&id) else { return };
        match answer {
            Answer::Unsent { .. } => self.quota.unsent(),
            _ => self.quota.answered(now),
        }
        let verdict = classify(&answer);
        self.move_gate(now, id, attempt, verdict, &answer, effects);
        if verdict != Verdict::Unauthorised {
            self.outbox.get_mut(attempt.slot).unauthorised = false;
        }
        let (too_large, response, problem) = match answer {
            Answer::Answered { response, .. } => (false, Some(response), None),
            Answer::TooLarge { response, .. } => (true, Some(response), None),
            Answer::Unsent { problem } | Answer::Unanswered { problem } => (false, None, Some(problem)),
        };
        match (verdict, response) {
            (Verdict::Delivered, Some(response)) if !too_large && self.is_cut_short(attempt.slot, &response) => {
                self.repeat_or_bury(now, attempt.slot, Some(response), problem, effects);
            }
            (Verdict::Delivered, Some(response)) => {
                self.succeed(now, attempt, response, too_large, effects);
            }
            (Verdict::Throttled | Verdict::Unauthorised, _) => self.keep_place(now, attempt.slot, effects),
            (Verdict::Ambiguous, response) => self.repeat_or_bury(now, attempt.slot, response, problem, effects),
            (Verdict::Transient, response) => self.retry(now, attempt.slot, response, problem, effects),
            (Verdict::Delivered | Verdict::Rejected, response) => {
                self.bury(now, attempt.slot, Reason::Rejected, response, problem, effects);
            }
        }
    }

    /// What the answer says about the organisation, whatever becomes of the message.
    fn move_gate(
        &mut self,
        now: Timestamp,
        id: AttemptId,
        attempt: Attempt,
        verdict: Verdict,
        answer: &Answer,
        effects: &mut Vec<Effect>,
    ) {
        let is_probe = self.gate.is_probe(id);
        match verdict {
            Verdict::Throttled => {
                self.counters.throttled += 1;
                self.breaker.succeeded();
                if let Answer::Answered { evidence, .. } | Answer::TooLarge { evidence, .. } = answer {
                    self.pause(now, attempt, is_probe, evidence, effects);
                }
            }
            Verdict::Unauthorised => self.unauthorised(now, attempt, is_probe, effects),
            Verdict::Transient | Verdict::Ambiguous => {
                let is_outage = self.breaker.failed();
                if is_probe && self.gate.closed_by().is_some_and(|cause| matches!(cause, Cause::Throttled(_))) {
                    // An answer is an answer, whatever its status: the limit is no longer in force.
                    if matches!(answer, Answer::Answered { .. }) {
                        self.reopen(now, effects);
                    } else {
                        self.gate.probe_lost();
                    }
                } else if is_probe || (is_outage && self.gate.is_open()) {
                    self.shut_for_outage(now, answer, effects);
                }
            }
            Verdict::Delivered | Verdict::Rejected => {
                self.breaker.succeeded();
                if is_probe || self.gate.closed_by() == Some(Cause::Outage) {
                    self.reopen(now, effects);
                }
            }
        }
    }

    /// One 429 stops everyone. Only a request that was sent while the gate was open, or the probe, makes the backoff grow:
    /// the others were on the wire already and tell nothing new, unless they name a later time.
    fn pause(
        &mut self,
        now: Timestamp,
        attempt: Attempt,
        is_probe: bool,
        evidence: &Evidence,
        effects: &mut Vec<Effect>,
    ) {
        let is_news = is_probe || (self.gate.is_open() && attempt.started_at >= self.opened_at);
        let wait = evidence.wait();
        if !is_news && wait.is_none() {
            return;
        }
        let max_pause = self.settings.retry.max_pause;
        let (span, source) = match wait {
            Some(wait) => (wait.span, wait.source),
            None => {
                let backoff = Backoff::new(PAUSE_FLOOR, PAUSE_BASE, max_pause);
                (backoff.wait(self.gate.strikes() + 1, &mut self.random), WaitSource::Backoff)
            }
        };
        let until = now.after(span);
        if self.gate.shut(now, until, Cause::Throttled(source)) {
            let long = span > max_pause;
            effects.push(Effect::Notice(Notice::Throttled { reason: source.word(), until, pause: span, long }));
        }
        if is_news {
            self.gate.strike();
        }
    }

    fn shut_for_outage(&mut self, now: Timestamp, answer: &Answer, effects: &mut Vec<Effect>) {
        let begins = self.gate.closed_by() != Some(Cause::Outage);
        let until = now.after(OUTAGE_BACKOFF.wait(self.gate.strikes() + 1, &mut self.random));
        self.gate.shut(now, until, Cause::Outage);
        self.gate.strike();
        if begins {
            let problem = match answer {
                Answer::Answered { response, .. } | Answer::TooLarge { response, .. } => {
                    format!("the server answers with status {}", response.status)
                }
                Answer::Unsent { problem } | Answer::Unanswered { problem } => problem.clone(),
            };
            effects.push(Effect::Notice(Notice::Outage { reason: Cause::Outage.word(), problem, open: true }));
        }
    }

    fn reopen(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some((cause, since)) = self.gate.open() else { return };
        self.opened_at = now;
        let over = |reason| Notice::Outage { reason, problem: String::new(), open: false };
        if self.auth_problem.take().is_some() {
            effects.push(Effect::Notice(over(Cause::Auth.word())));
        }
        match cause {
            Cause::Throttled(_) => {
                self.quota.restart(now);
                effects.push(Effect::Notice(Notice::Resumed { paused: now.since(since) }));
            }
            Cause::Outage => effects.push(Effect::Notice(over(cause.word()))),
            Cause::Auth => {}
        }
    }

    /// A 401: once, the token may have ended; twice in a row for the same message, the credentials are at fault.
    fn unauthorised(&mut self, now: Timestamp, attempt: Attempt, is_probe: bool, effects: &mut Vec<Effect>) {
        self.auth.invalidate(attempt.generation);
        let again = std::mem::replace(&mut self.outbox.get_mut(attempt.slot).unauthorised, true);
        if again || (is_probe && self.auth_problem.is_some()) {
            self.refuse_credentials(now, "the API host answers 401 to a fresh access token".to_owned(), effects);
        } else if is_probe {
            self.gate.probe_lost();
        }
    }

    fn refuse_credentials(&mut self, now: Timestamp, problem: String, effects: &mut Vec<Effect>) {
        let begins = self.auth_problem.is_none();
        let until = now.after(AUTH_BACKOFF.wait(self.gate.strikes() + 1, &mut self.random));
        self.gate.shut(now, until, Cause::Auth);
        self.gate.strike();
        self.auth.refused(until);
        self.auth_problem = Some(problem.clone());
        if begins {
            effects.push(Effect::Notice(Notice::Outage { reason: Cause::Auth.word(), problem, open: true }));
        }
        let slots: Vec<Slot> = self.outbox.slots().collect();
        for slot in slots {
            self.fail_waiter_if_unauthorised(slot, effects);
        }
    }

    pub(super) fn token(&mut self, now: Timestamp, news: TokenNews, effects: &mut Vec<Effect>) {
        match news {
            TokenNews::Granted(lifetime) => self.auth.granted(now, lifetime),
            TokenNews::Refused(problem) => self.refuse_credentials(now, problem, effects),
            TokenNews::Failed { wait, .. } => self.auth.failed(now, wait, &mut self.random),
        }
    }

    /// While credentials are refused, promises are told so at once; the messages stay.
    pub(super) fn fail_waiter_if_unauthorised(&mut self, slot: Slot, effects: &mut Vec<Effect>) {
        let Some(error) = self.auth_error(slot) else { return };
        let waiter = self.outbox.forget_waiter(slot);
        let followers = self.followers.remove(&slot).unwrap_or_default();
        for ticket in waiter.into_iter().chain(followers) {
            effects.push(Effect::Failed(ticket, error.clone()));
        }
        if matches!(self.outbox.get(slot).cargo, Cargo::Call(_)) {
            self.discard(slot);
        }
    }

    /// None for what is on the wire: it may well be delivered, its answer tells.
    pub(super) fn auth_error(&self, slot: Slot) -> Option<Error> {
        let entry = self.outbox.get(slot);
        let problem = self.auth_problem.clone().filter(|_| entry.state != State::InFlight)?;
        Some(Error::Auth { problem, message_id: entry.cargo.id().map(str::to_owned) })
    }

    /// The answer was about the organisation, not about the message: no attempt is spent, the place is kept.
    fn keep_place(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) {
        let entry = self.outbox.get_mut(slot);
        entry.attempts -= 1;
        if self.must_end(now, slot, effects) {
            return;
        }
        self.unpark(slot);
        self.fail_waiter_if_unauthorised(slot, effects);
    }

    /// The end of messages that were withdrawn, or have expired, while they were on the wire.
    fn must_end(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) -> bool {
        let entry = self.outbox.get(slot);
        let expired = entry.expires_at.is_some_and(|at| at <= now);
        // A request whose promise was refused meanwhile has nobody to answer to.
        let orphaned = matches!(entry.cargo, Cargo::Call(_)) && entry.waiter.is_none();
        let reason = match (entry.withdrawn || orphaned, expired) {
            (true, _) => Reason::Aborted,
            (false, true) => Reason::Expired,
            (false, false) => return false,
        };
        self.bury(now, slot, reason, None, None, effects);
        true
    }

    /// A message is delivered by the status; a request without the whole of its answer isn't answered.
    fn is_cut_short(&self, slot: Slot, response: &Response) -> bool {
        response.truncated && matches!(self.outbox.get(slot).cargo, Cargo::Call(_))
    }

    fn repeat_or_bury(
        &mut self,
        now: Timestamp,
        slot: Slot,
        response: Option<Response>,
        problem: Option<String>,
        effects: &mut Vec<Effect>,
    ) {
        self.outbox.get_mut(slot).ambiguous = true;
        if self.may_repeat(slot, response.is_some()) {
            self.retry(now, slot, response, problem, effects);
        } else {
            self.bury(now, slot, Reason::Ambiguous, response, problem, effects);
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

    fn retry(
        &mut self,
        now: Timestamp,
        slot: Slot,
        response: Option<Response>,
        problem: Option<String>,
        effects: &mut Vec<Effect>,
    ) {
        if self.must_end(now, slot, effects) {
            return;
        }
        let entry = self.outbox.get(slot);
        let limits = self.settings.retry;
        let at = now.after(RETRY_BACKOFF.wait(entry.attempts, &mut self.random));
        let age_ends = entry.first_attempt_at.unwrap_or(now).after(limits.max_age);
        if entry.attempts >= limits.max_attempts || at > age_ends {
            self.bury(now, slot, Reason::Exhausted, response, problem, effects);
        } else {
            self.park(slot, at, Parking::Retry);
            self.fail_waiter_if_unauthorised(slot, effects);
        }
    }
}
