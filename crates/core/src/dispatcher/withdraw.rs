//! The way back: what its caller no longer wants, and what time takes.

use super::outbox::{Promise, State};
use super::timers::Timer;
use super::{Attempt, Dispatcher, Effect};
use crate::clock::Timestamp;
use crate::lanes::Slot;
use crate::message::{Cargo, Ticket};
use crate::outcome::Reason;

impl Dispatcher {
    /// The caller no longer waits. What waits is withdrawn; a message on the wire is left to its answer, since only that
    /// tells its lane how it ended.
    pub(super) fn cancel(&mut self, now: Timestamp, ticket: Ticket, effects: &mut Vec<Effect>) {
        if let Some(number) = self.waiting.by_ticket(ticket) {
            if let Some(waiting) = self.leave_waiting(number) {
                self.drains.leave(waiting.epoch);
            }
        } else if let Some(slot) = self.outbox.by_ticket(ticket) {
            self.outbox.forget_waiter(slot);
            match self.first_follower(slot) {
                Some(heir) => self.outbox.set_waiter(slot, heir),
                None => self.withdraw(now, slot, effects),
            }
        } else if let Some((_, deadline)) = self.drains.give_up(ticket) {
            if let Some(at) = deadline {
                self.timers.clear(at, Timer::Drain(ticket));
            }
        } else {
            self.followers.retain(|_, followers| {
                followers.retain(|other| other.ticket != ticket);
                !followers.is_empty()
            });
        }
    }

    /// Takes the promise that has followed the message for longest.
    fn first_follower(&mut self, slot: Slot) -> Option<Promise> {
        let followers = self.followers.get_mut(&slot)?;
        let first = followers.remove(0);
        if followers.is_empty() {
            self.followers.remove(&slot);
        }
        Some(first)
    }

    fn withdraw(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) {
        let entry = self.outbox.get_mut(slot);
        let waits = match (&entry.cargo, entry.state) {
            (Cargo::Call(_), State::InFlight) => return self.cut(now, slot, effects),
            (_, State::Queued | State::Parked(_)) => true,
            // Once it is kept it is known, and can be taken back.
            (_, State::Storing) => false,
            // Of a batch that the server may know no message may leave: its next answer tells.
            (_, State::Bound) => self.unbind(slot),
            (Cargo::Message(_), State::InFlight) => false,
        };
        if waits {
            self.bury(now, slot, Reason::Aborted, self.last_answer(slot), None, effects);
        } else {
            self.outbox.course_mut(slot).withdrawn = true;
        }
    }

    /// A request that nobody waits for any more is cut; it may have arrived or be about to, so its slot stays taken for a
    /// window after that.
    pub(super) fn cut(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) {
        let carries = |attempt: &Attempt| attempt.load.members.contains(&slot);
        let Some(id) = self.attempts.iter().find(|(_, attempt)| carries(attempt)).map(|(id, _)| *id) else { return };
        if let Some(attempt) = self.attempts.remove(&id) {
            let Attempt { started_at, cost, .. } = attempt;
            self.quota.given_up(started_at, self.left_at(now, started_at), now, cost);
        }
        if self.gate.is_probe(id) {
            self.gate.probe_lost(now);
        }
        effects.push(Effect::Cut(id));
        self.outbox.course_mut(slot).ambiguous = true;
        self.bury(now, slot, Reason::Aborted, None, None, effects);
    }

    /// Expires a message that isn't on the wire; one that is has its answer to wait for.
    pub(super) fn expire(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) {
        if self.outbox.cold(slot).is_some() {
            return self.load_one(slot, effects);
        }
        let waits = match self.outbox.get(slot).state {
            State::Queued | State::Parked(_) => true,
            State::Bound => self.unbind(slot),
            State::InFlight | State::Storing => false,
        };
        if waits {
            self.bury(now, slot, Reason::Expired, self.last_answer(slot), None, effects);
        }
    }

    /// Takes a bound message out of its batch, if it may leave it.
    pub(super) fn unbind(&mut self, slot: Slot) -> bool {
        let on_the_wire = self.attempts.values_mut().map(|attempt| &mut attempt.load);
        self.bound.iter_mut().chain(self.parked.values_mut()).chain(on_the_wire).any(|load| load.remove(slot))
    }
}
