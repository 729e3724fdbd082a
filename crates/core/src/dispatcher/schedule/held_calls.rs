//! Calls that an outage holds back. Without an outage, a call ends when it has used up its attempts or its time. During
//! one it can't make attempts, so it waits for as long as its remaining attempts would take on average, and then ends.
//! A call with a single attempt ends at once. Messages wait until the outage is over.

use std::time::Duration;

use hashbrown::HashMap;

use crate::clock::Timestamp;
use crate::dispatcher::admission::waiting::Waiting;
use crate::dispatcher::health::{LastFailure, Pass, RouteId};
use crate::dispatcher::outbox::{Parking, State};
use crate::dispatcher::outcome::ends::call_failed;
use crate::dispatcher::outcome::settle::RETRY_BACKOFF;
use crate::dispatcher::schedule::timers::{Timer, Timers};
use crate::dispatcher::{Dispatcher, Effect, Step};
use crate::lanes::EntryId;
use crate::message::{Call, Payload};
use crate::outcome::{DeliveryFailure, Reason};

/// What is stopping calls from being sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Regime {
    #[default]
    Normal,
    /// The organization is out, or there is no token.
    Outage,
    /// An operator has paused everything: no call ends by itself.
    Operator,
}

#[derive(Debug, Default)]
pub(in crate::dispatcher) struct HeldCalls {
    regime: Regime,
    /// Calls to check once this turn has started what it can.
    watched: Vec<EntryId>,
    /// For each held call, the time at which its attempts would have been used up.
    ends: HashMap<EntryId, Timestamp>,
}

impl HeldCalls {
    /// A call has started to wait. It is checked at the end of the turn.
    pub(in crate::dispatcher) fn watch(&mut self, entry_id: EntryId) {
        self.watched.push(entry_id);
    }

    /// The call or the outage is over.
    pub(in crate::dispatcher) fn forget(&mut self, entry_id: EntryId, timers: &mut Timers) {
        if !self.ends.is_empty()
            && let Some(at) = self.ends.remove(&entry_id)
        {
            timers.clear(at, Timer::GiveUp(entry_id));
        }
    }
}

impl Dispatcher {
    /// An outage holds everything back, so that whatever comes to wait has to be watched. In an operator's pause
    /// nothing ends by itself.
    pub(in crate::dispatcher) fn is_out(&self) -> bool {
        self.health.operator_hold().is_none() && (self.health.is_out() || self.auths.is_out())
    }

    /// After what may leave has left: calls that wait for the end of an outage, and have no time left for that, end.
    /// Whether one did.
    pub(in crate::dispatcher) fn end_held_calls(&mut self, step: &mut Step<'_>) -> bool {
        let regime = match (self.health.operator_hold(), self.is_out()) {
            (Some(_), _) => Regime::Operator,
            (None, true) => Regime::Outage,
            (None, false) => Regime::Normal,
        };
        let before = std::mem::replace(&mut self.held_calls.regime, regime);
        if regime == Regime::Operator {
            self.held_calls.watched.clear();
            return false;
        }
        let mut has_ended = false;
        if before == Regime::Operator || (before, regime) == (Regime::Normal, Regime::Outage) {
            has_ended = self.watch_all(step);
        }
        for entry_id in std::mem::take(&mut self.held_calls.watched) {
            has_ended |= self.look_at_held(step, entry_id);
        }
        has_ended
    }

    /// Looks at everything that waits. Whether a call has ended that waits for room.
    fn watch_all(&mut self, step: &mut Step<'_>) -> bool {
        let heads = self.lanes.ready_requests().filter_map(|lane| self.lanes.head_of(lane));
        let all = heads.chain(self.health.in_lines().map(|(entry_id, _)| entry_id));
        self.held_calls.watched = all.collect();
        let calls: Vec<u64> = self.waiting.enduring_calls().collect();
        let mut has_ended = false;
        for number in calls {
            if self.bound_waiting_call(step.now, number) {
                self.give_up_waiting(number, step.effects);
                has_ended = true;
            }
        }
        has_ended
    }

    /// A call waits for room, which it doesn't get while nothing leaves. Whether its time is over already.
    pub(in crate::dispatcher) fn bound_waiting_call(&mut self, now: Timestamp, number: u64) -> bool {
        let Some(waiting) = self.waiting.get(number) else { unreachable!("it waits there") };
        let Payload::Call(call) = &waiting.submission.payload else { return false };
        let at = now.after(self.endurance(now, call, 0, now));
        self.waiting.set_end(number, Some(at));
        self.timers.set(at, Timer::GiveUpWaiting(number));
        at <= now
    }

    /// A call has waited for room for as long as it waits for the end of an outage. In one it ends.
    pub(in crate::dispatcher) fn give_up_waiting(&mut self, number: u64, effects: &mut Vec<Effect>) {
        if !self.is_out() {
            return self.waiting.set_end(number, None);
        }
        let LastFailure { response, problem } = self.outage_cause(RouteId::OTHERS);
        if let Some(Waiting { submission, epoch, .. }) = self.leave_waiting(number) {
            self.drains.leave(epoch);
            let failure = Self::failure(&submission.payload, Reason::Exhausted);
            let failure = DeliveryFailure { response, problem, ..failure };
            effects.push(call_failed(&submission.payload, submission.ticket, failure));
        }
    }

    /// Whether it ends.
    fn look_at_held(&mut self, step: &mut Step<'_>, entry_id: EntryId) -> bool {
        if !self.outbox.has(entry_id) || self.outbox.cold(entry_id).is_some() {
            return false;
        }
        let pass = self.pass_in_outage(step.now, entry_id);
        let entry = self.outbox.get(entry_id);
        let is_call = matches!(entry.payload, Payload::Call(_));
        let waits = is_call && matches!(entry.state(), State::Queued | State::Parked(Parking::Line));
        match pass {
            Pass::Free => self.held_calls.forget(entry_id, &mut self.timers),
            Pass::Probe if waits => self.held_calls.watch(entry_id),
            Pass::Shut(_) | Pass::AwaitProbe(_) if waits => return self.end_if_over(step, entry_id),
            // It is on the wire, or waits for its next attempt, and is looked at again when it comes back.
            Pass::Probe | Pass::Shut(_) | Pass::AwaitProbe(_) => {}
        }
        false
    }

    /// Whether it may leave, as far as outages are concerned.
    fn pass_in_outage(&mut self, now: Timestamp, entry_id: EntryId) -> Pass {
        if self.auths.is_out() {
            return Pass::AwaitProbe(None);
        }
        self.health.outage_pass(now, self.outbox.get(entry_id).route)
    }

    /// Whether a call that is tried again at `next` would have used up its attempts by then, if it had not been held
    /// back by an outage that is not over.
    pub(in crate::dispatcher) fn ends_while_held(
        &mut self,
        now: Timestamp,
        next: Timestamp,
        entry_id: EntryId,
    ) -> bool {
        let is_over = self.held_calls.ends.get(&entry_id).is_some_and(|end| *end < next);
        is_over && self.pass_in_outage(now, entry_id) != Pass::Free
    }

    fn end_if_over(&mut self, step: &mut Step<'_>, entry_id: EntryId) -> bool {
        let at = match self.held_calls.ends.get(&entry_id) {
            Some(at) => *at,
            None => {
                // It ages as if it had been tried.
                let delivery_state = self.outbox.delivery_state_mut(entry_id);
                let (attempts, since) =
                    (delivery_state.attempts, *delivery_state.first_attempt_at.get_or_insert(step.now));
                let Payload::Call(call) = &self.outbox.get(entry_id).payload else {
                    unreachable!("only calls are held so")
                };
                let at = step.now.after(self.endurance(step.now, call, attempts, since));
                self.held_calls.ends.insert(entry_id, at);
                self.timers.set(at, Timer::GiveUp(entry_id));
                at
            }
        };
        let is_over = at <= step.now;
        if is_over {
            let LastFailure { response, problem } = self.outage_cause(self.outbox.get(entry_id).route);
            self.bury(step, entry_id, Reason::Exhausted, response, problem);
        }
        is_over
    }

    /// For how long a call that was first tried at `since` would go on, if it could be tried.
    fn endurance(&self, now: Timestamp, call: &Call, attempts: u32, since: Timestamp) -> Duration {
        let limits = self.settings.retry.bounded_by(&call.limits);
        let waits = RETRY_BACKOFF.usual(attempts + 1..limits.max_attempts);
        waits.min(limits.max_age.saturating_sub(now.since(since)))
    }

    /// What the outage is about that holds this route back.
    pub(in crate::dispatcher) fn outage_cause(&self, route: RouteId) -> LastFailure {
        match self.auths.outage_problem() {
            Some(problem) => {
                LastFailure { response: None, problem: Some(format!("there is no access token: {problem}")) }
            }
            None => self.health.outage_cause(route),
        }
    }
}
