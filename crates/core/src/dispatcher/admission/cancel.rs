//! The way back: what its caller no longer wants, and what time takes.

use crate::clock::grace;
use crate::dispatcher::outbox::State;
use crate::dispatcher::schedule::timers::Timer;
use crate::dispatcher::{Dispatcher, Effect, Step};
use crate::lanes::EntryId;
use crate::message::{Payload, Ticket};
use crate::outcome::Reason;

impl Dispatcher {
    /// The caller no longer waits. What waits is canceled; a message on the wire is left to its answer, since only
    /// that tells its lane how it ended.
    pub(in crate::dispatcher) fn cancel(&mut self, step: &mut Step<'_>, ticket: Ticket) {
        if let Some(number) = self.waiting.by_ticket(ticket) {
            if let Some(waiting) = self.leave_waiting(number) {
                self.drains.leave(waiting.epoch);
            }
        } else if let Some(entry_id) = self.outbox.by_ticket(ticket) {
            self.outbox.forget_waiter(entry_id);
            match self.followers.take_first(entry_id) {
                Some(heir) => self.outbox.set_waiter(entry_id, heir),
                None => self.cancel_entry(step, entry_id),
            }
        } else if let Some((_, deadline)) = self.drains.give_up(ticket) {
            if let Some(at) = deadline {
                self.timers.clear(at, Timer::Drain(ticket));
            }
        } else {
            self.followers.forget(ticket);
        }
    }

    fn cancel_entry(&mut self, step: &mut Step<'_>, entry_id: EntryId) {
        let entry = self.outbox.get_mut(entry_id);
        let waits = match (&entry.payload, entry.state()) {
            (Payload::Call(_), State::Departing | State::InFlight) => {
                return self.cut(step, entry_id, Reason::Aborted);
            }
            (_, State::Queued | State::Parked(_)) => true,
            // Once it is kept it is known, and can be taken back.
            (_, State::Storing) => false,
            // Of a batch that the server may know no message may leave: its next answer tells.
            (_, State::Bound) => self.unbind(entry_id),
            (Payload::Message(_), State::InFlight) => false,
            (Payload::Message(_), State::Departing) => {
                self.outbox.delivery_state_mut(entry_id).canceled = true;
                return self.call_back(step, entry_id);
            }
        };
        if waits {
            self.bury(step, entry_id, Reason::Aborted, self.last_answer(entry_id), None);
        } else {
            self.outbox.delivery_state_mut(entry_id).canceled = true;
        }
    }

    /// A request that nobody waits for any more is cut. If it has left, it may have arrived or be about to, so its slot
    /// stays taken for a window after that.
    pub(in crate::dispatcher) fn cut(&mut self, step: &mut Step<'_>, entry_id: EntryId, reason: Reason) {
        let id = self.attempts.carrying(entry_id);
        let Some((attempt, departure)) = self.attempts.take_cut(id) else { unreachable!("it was found just now") };
        match departure {
            Some(departure) => {
                self.quota.given_up(departure.at, step.now, attempt.token, attempt.cost);
                self.outbox.delivery_state_mut(entry_id).ambiguous = true;
            }
            None => self.quota.cancel(attempt.token, attempt.cost),
        }
        self.health.lost(step.now, id, (attempt.route, attempt.token));
        step.effects.push(Effect::Cut(id));
        self.bury(step, entry_id, reason, None, None);
    }

    /// A message that is not to be sent any more doesn't leave: its request is made again, without it. Of a batch that
    /// the server may know no message may leave.
    fn call_back(&mut self, step: &mut Step<'_>, entry_id: EntryId) {
        let id = self.attempts.carrying(entry_id);
        if self.attempts.departing(id).is_some_and(|attempt| !attempt.batch.is_frozen()) {
            step.effects.push(Effect::Cut(id));
            self.withheld(step, id);
        }
    }

    /// The deadline of a call, which ends it on the wire, too: its caller no longer waits.
    pub(in crate::dispatcher) fn time_out(&mut self, step: &mut Step<'_>, entry_id: EntryId) {
        let entry = self.outbox.get_mut(entry_id);
        let state = entry.state();
        let Payload::Call(call) = &mut entry.payload else { unreachable!("only calls have a deadline") };
        if state == State::InFlight {
            // Its answer may have come while the process did not run.
            if let Some(more) = call.limits.deadline.and_then(|due| grace(due, step.now)) {
                let at = step.now.after(more);
                call.limits.deadline = Some(at);
                return self.timers.set(at, Timer::Deadline(entry_id));
            }
            self.cut(step, entry_id, Reason::TimedOut);
        } else if state == State::Departing {
            self.cut(step, entry_id, Reason::TimedOut);
        } else {
            self.bury(step, entry_id, Reason::TimedOut, self.last_answer(entry_id), None);
        }
    }

    /// Expires a message that isn't on the wire; one that is has its answer to wait for.
    pub(in crate::dispatcher) fn expire(&mut self, step: &mut Step<'_>, entry_id: EntryId) {
        if !self.outbox.is_loaded(entry_id) {
            return self.load_one(entry_id, step.effects);
        }
        let waits = match self.outbox.get(entry_id).state() {
            State::Queued | State::Parked(_) => true,
            State::Bound => self.unbind(entry_id),
            State::Departing => return self.call_back(step, entry_id),
            State::InFlight | State::Storing => false,
        };
        if waits {
            self.bury(step, entry_id, Reason::Expired, self.last_answer(entry_id), None);
        }
    }

    /// Takes a bound message out of its batch, if it may leave it.
    pub(in crate::dispatcher) fn unbind(&mut self, entry_id: EntryId) -> bool {
        let under_way = self.attempts.batches_mut();
        let held = self.suspects.batches_mut();
        self.bound.iter_mut().chain(held).chain(under_way).any(|batch| batch.remove(entry_id))
    }
}
