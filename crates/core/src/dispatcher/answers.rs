//! What an answer tells about the organisation: the gate, the token, the credentials.

use std::time::Duration;

use super::deliver::TOO_MANY;
use super::gate::Cause;
use super::outbox::State;
use super::{Attempt, AttemptId, Dispatcher, Effect, Notice, TokenNews};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::evidence::{Evidence, WaitSource};
use crate::lanes::Slot;
use crate::message::Cargo;
use crate::quota::Heard;
use crate::retry::{Answer, Backoff, Verdict, classify};

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
        if self.inquired(now, id, &answer, effects) {
            return;
        }
        let Some(attempt) = self.attempts.remove(&id) else { return };
        let verdict = classify(&answer);
        self.read_cost(now, &attempt, verdict, &answer);
        let items = if verdict == Verdict::Delivered { self.items(&attempt.load, &answer) } else { None };
        // A limit that refused some messages of an array is as much in force as one that refused them all.
        let throttled = items.iter().flatten().flatten().any(|item| item.status == TOO_MANY);
        let standing = if throttled { Verdict::Throttled } else { verdict };
        self.read_quota(now, &attempt, standing, &answer, effects);
        self.move_gate(now, id, &attempt, standing, &answer, effects);
        if verdict != Verdict::Unauthorised {
            for slot in &attempt.load.members {
                self.outbox.course_mut(*slot).unauthorised = false;
            }
        }
        self.settle(now, attempt, verdict, answer, items, effects);
    }

    /// Whether an attempt that was started, and has waited for the disk or a connection since, may still leave: not while the gate
    /// is shut, unless it is the probe.
    pub fn may_leave(&self, id: AttemptId) -> bool {
        self.gate.is_open() || self.gate.is_probe(id) || !self.attempts.contains_key(&id)
    }

    /// It has not left, and never will: as if it had not been started.
    pub(super) fn withheld(&mut self, now: Timestamp, id: AttemptId, effects: &mut Vec<Effect>) {
        let Some(attempt) = self.attempts.remove(&id) else { return };
        if self.gate.is_probe(id) {
            self.gate.probe_lost(now);
        }
        let is_retry = attempt.load.members.iter().any(|slot| self.outbox.course(*slot).attempts > 1);
        self.counters.requests -= 1;
        self.counters.retries -= u64::from(is_retry);
        self.cost.answered(now, None, None, None, false);
        self.quota.unsent(now, attempt.started_at, attempt.cost);
        self.keep_places(now, attempt.load, effects);
    }

    /// Slots, and what is learned of the quota.
    fn read_quota(
        &mut self,
        now: Timestamp,
        attempt: &Attempt,
        standing: Verdict,
        answer: &Answer,
        effects: &mut Vec<Effect>,
    ) {
        let Attempt { cost, started_at, .. } = *attempt;
        match answer {
            Answer::Unsent { .. } => self.quota.unsent(now, started_at, cost),
            Answer::Unanswered { .. } => self.quota.given_up(started_at, self.left_at(now, started_at), now, cost),
            Answer::Answered { evidence, .. } | Answer::TooLarge { evidence, .. } => {
                let refused = standing == Verdict::Throttled;
                self.quota.heard(now, Heard { sent_at: started_at, cost, refused, evidence: Some(evidence) });
            }
        }
        self.tell_quota(effects);
    }

    pub(super) fn tell_quota(&mut self, effects: &mut Vec<Effect>) {
        if let Some(quota) = self.quota.news() {
            effects.push(Effect::Notice(Notice::Quota { quota, since: self.quota.since() }));
        }
    }

    fn read_cost(&mut self, now: Timestamp, attempt: &Attempt, verdict: Verdict, answer: &Answer) {
        let (used, reset) = match answer {
            Answer::Answered { evidence, .. } | Answer::TooLarge { evidence, .. } => (evidence.used, evidence.reset),
            Answer::Unsent { .. } | Answer::Unanswered { .. } => (None, None),
        };
        let messages = (verdict == Verdict::Delivered).then_some(attempt.load.members.len());
        self.cost.answered(now, used, reset, messages, self.attempts.is_empty());
    }

    /// What the answer says about the organisation, whatever becomes of the message.
    fn move_gate(
        &mut self,
        now: Timestamp,
        id: AttemptId,
        attempt: &Attempt,
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
                    let is_news = is_probe || (self.gate.is_open() && attempt.started_at >= self.opened_at);
                    self.pause(now, is_news, evidence, effects);
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
                        self.gate.probe_lost(now);
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

    /// One 429 stops everyone, those included that wait for the disk or a connection. Only a request that was sent while the gate
    /// was open, or the probe, makes the backoff grow: the others were on the wire already and tell nothing new, unless they
    /// name a later time.
    pub(super) fn pause(&mut self, now: Timestamp, is_news: bool, evidence: &Evidence, effects: &mut Vec<Effect>) {
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
        let begins = !std::mem::replace(&mut self.outage_told, true);
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
        let Some((cause, paused)) = self.gate.open(now) else { return };
        self.opened_at = now;
        let over = |reason| Notice::Outage { reason, problem: String::new(), open: false };
        if self.auth_problem.take().is_some() {
            effects.push(Effect::Notice(over(Cause::Auth.word())));
        }
        if std::mem::take(&mut self.outage_told) {
            effects.push(Effect::Notice(over(Cause::Outage.word())));
        }
        if matches!(cause, Cause::Throttled(_)) {
            self.quota.restart(now);
            effects.push(Effect::Notice(Notice::Resumed { paused }));
        }
    }

    /// A 401: once, the token may have ended; twice in a row for the same message, the credentials are at fault.
    fn unauthorised(&mut self, now: Timestamp, attempt: &Attempt, is_probe: bool, effects: &mut Vec<Effect>) {
        self.auth.invalidate(attempt.generation);
        let mut again = false;
        for slot in &attempt.load.members {
            again |= std::mem::replace(&mut self.outbox.course_mut(*slot).unauthorised, true);
        }
        if again || (is_probe && self.auth_problem.is_some()) {
            self.refuse_credentials(now, "the API host answers 401 to a fresh access token".to_owned(), effects);
        } else if is_probe {
            self.gate.probe_lost(now);
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
        let cold = self.followers.keys().copied().filter(|slot| self.outbox.cold(*slot).is_some());
        let slots: Vec<Slot> = self.outbox.hot_slots().chain(cold).collect();
        self.fail_unauthorised(&slots, effects);
    }

    pub(super) fn token(&mut self, now: Timestamp, news: TokenNews, effects: &mut Vec<Effect>) {
        match news {
            TokenNews::Granted(lifetime) => self.auth.granted(now, lifetime),
            TokenNews::Refused(problem) => {
                self.auth.fetch_over();
                self.refuse_credentials(now, problem, effects);
            }
            TokenNews::Failed { wait, .. } => self.auth.failed(now, wait, &mut self.random),
        }
    }

    /// While credentials are refused, promises are told so at once; the messages stay.
    pub(super) fn fail_unauthorised(&mut self, slots: &[Slot], effects: &mut Vec<Effect>) {
        for slot in slots {
            let Some(error) = self.auth_error(*slot) else { continue };
            let waiter = self.outbox.forget_waiter(*slot);
            let followers = self.followers.remove(slot).unwrap_or_default();
            for ticket in waiter.into_iter().chain(followers.into_iter().map(|promise| promise.ticket)) {
                effects.push(Effect::Failed(ticket, error.clone()));
            }
            let cold = self.outbox.cold(*slot).is_some();
            if !cold && matches!(self.outbox.get(*slot).cargo, Cargo::Call(_)) {
                self.discard(*slot);
            }
        }
    }

    /// None for what is on the wire: that has its answer to come; and none for what isn't accepted yet.
    pub(super) fn auth_error(&self, slot: Slot) -> Option<Error> {
        let problem = self.auth_problem.as_deref()?;
        let kept = || format!("{problem}; the message stays in the outbox and is sent once the credentials work");
        if self.outbox.cold(slot).is_some() {
            return Some(Error::Auth { problem: kept(), message_id: None });
        }
        let entry = self.outbox.get(slot);
        let tells = !matches!(entry.state, State::InFlight | State::Storing);
        tells.then(|| match entry.cargo.id() {
            Some(id) => Error::Auth { problem: kept(), message_id: Some(id.to_owned()) },
            None => Error::Auth { problem: problem.to_owned(), message_id: None },
        })
    }
}
