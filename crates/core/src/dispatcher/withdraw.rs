//! The way back: what its caller no longer wants, and what time takes.

use super::outbox::State;
use super::timers::Timer;
use super::{Dispatcher, Effect, Step};
use crate::clock::grace;
use crate::lanes::Slot;
use crate::message::{Cargo, Ticket};
use crate::outcome::Reason;

impl Dispatcher {
    /// The caller no longer waits. What waits is withdrawn; a message on the wire is left to its answer, since only
    /// that tells its lane how it ended.
    pub(super) fn cancel(&mut self, step: &mut Step<'_>, ticket: Ticket) {
        if let Some(number) = self.waiting.by_ticket(ticket) {
            if let Some(waiting) = self.leave_waiting(number) {
                self.drains.leave(waiting.epoch);
            }
        } else if let Some(slot) = self.outbox.by_ticket(ticket) {
            self.outbox.forget_waiter(slot);
            match self.followers.take_first(slot) {
                Some(heir) => self.outbox.set_waiter(slot, heir),
                None => self.withdraw(step, slot),
            }
        } else if let Some((_, deadline)) = self.drains.give_up(ticket) {
            if let Some(at) = deadline {
                self.timers.clear(at, Timer::Drain(ticket));
            }
        } else {
            self.followers.forget(ticket);
        }
    }

    fn withdraw(&mut self, step: &mut Step<'_>, slot: Slot) {
        let entry = self.outbox.get_mut(slot);
        let waits = match (&entry.cargo, entry.state()) {
            (Cargo::Call(_), State::Departing | State::InFlight) => {
                return self.cut(step, slot, Reason::Aborted);
            }
            (_, State::Queued | State::Parked(_)) => true,
            // Once it is kept it is known, and can be taken back.
            (_, State::Storing) => false,
            // Of a batch that the server may know no message may leave: its next answer tells.
            (_, State::Bound) => self.unbind(slot),
            (Cargo::Message(_), State::InFlight) => false,
            (Cargo::Message(_), State::Departing) => {
                self.outbox.course_mut(slot).withdrawn = true;
                return self.call_back(step, slot);
            }
        };
        if waits {
            self.bury(step, slot, Reason::Aborted, self.last_answer(slot), None);
        } else {
            self.outbox.course_mut(slot).withdrawn = true;
        }
    }

    /// A request that nobody waits for any more is cut. If it has left, it may have arrived or be about to, so its slot
    /// stays taken for a window after that.
    pub(super) fn cut(&mut self, step: &mut Step<'_>, slot: Slot, reason: Reason) {
        let id = self.attempts.carrying(slot);
        let Some((attempt, departure)) = self.attempts.take_cut(id) else { unreachable!("it was found just now") };
        match departure {
            Some(departure) => {
                self.quota.given_up(departure.at, step.now, attempt.cost);
                self.outbox.course_mut(slot).ambiguous = true;
            }
            None => self.quota.cancel(attempt.cost),
        }
        self.health.lost(step.now, id, attempt.route);
        step.effects.push(Effect::Cut(id));
        self.bury(step, slot, reason, None, None);
    }

    /// A message that is not to be sent any more doesn't leave: its request is made again, without it. Of a batch that
    /// the server may know no message may leave.
    fn call_back(&mut self, step: &mut Step<'_>, slot: Slot) {
        let id = self.attempts.carrying(slot);
        if self.attempts.departing(id).is_some_and(|attempt| !attempt.load.is_frozen()) {
            step.effects.push(Effect::Cut(id));
            self.withheld(step, id);
        }
    }

    /// The deadline of a call, which ends it on the wire, too: its caller no longer waits.
    pub(super) fn time_out(&mut self, step: &mut Step<'_>, slot: Slot) {
        let entry = self.outbox.get_mut(slot);
        let state = entry.state();
        let Cargo::Call(call) = &mut entry.cargo else { unreachable!("only calls have a deadline") };
        if state == State::InFlight {
            // Its answer may have come while the process did not run.
            if let Some(more) = call.limits.deadline.and_then(|due| grace(due, step.now)) {
                let at = step.now.after(more);
                call.limits.deadline = Some(at);
                return self.timers.set(at, Timer::Deadline(slot));
            }
            self.cut(step, slot, Reason::TimedOut);
        } else if state == State::Departing {
            self.cut(step, slot, Reason::TimedOut);
        } else {
            self.bury(step, slot, Reason::TimedOut, self.last_answer(slot), None);
        }
    }

    /// Expires a message that isn't on the wire; one that is has its answer to wait for.
    pub(super) fn expire(&mut self, step: &mut Step<'_>, slot: Slot) {
        if !self.outbox.is_loaded(slot) {
            return self.load_one(slot, step.effects);
        }
        let waits = match self.outbox.get(slot).state() {
            State::Queued | State::Parked(_) => true,
            State::Bound => self.unbind(slot),
            State::Departing => return self.call_back(step, slot),
            State::InFlight | State::Storing => false,
        };
        if waits {
            self.bury(step, slot, Reason::Expired, self.last_answer(slot), None);
        }
    }

    /// Takes a bound message out of its batch, if it may leave it.
    pub(super) fn unbind(&mut self, slot: Slot) -> bool {
        let under_way = self.attempts.loads_mut();
        let held = self.suspects.loads_mut();
        self.bound.iter_mut().chain(held).chain(under_way).any(|load| load.remove(slot))
    }
}
