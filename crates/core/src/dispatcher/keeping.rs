//! What the store is told, and what it answers. Without a store nothing of this is said, and a message is accepted at
//! once.

use super::ends::Removed;
use super::outbox::{Course, State};
use super::timers::Timer;
use super::{Dispatcher, Effect, Notice, Step};
use crate::error::Error;
use crate::lanes::Slot;
use crate::message::{Cargo, Settle};
use crate::outcome::Reason;
use crate::store::{Change, Record, Salvage};

impl Dispatcher {
    /// Keeps fewer messages in memory, and the bodies of none that goes on waiting, so that a small test meets what a
    /// large backlog meets.
    pub fn keep_in_memory(&mut self, messages: usize) {
        self.window.shrink_to(messages);
    }

    /// Bytes of bodies in memory, those on the wire included.
    pub fn bytes_in_memory(&self) -> usize {
        self.outbox.hot().1
    }

    /// The insert of a message that was just taken in; `None` without a store, or if there is nothing to keep.
    pub(super) fn insertion(&self, slot: Slot, redriven: bool) -> Option<Change> {
        let entry = self.outbox.get(slot);
        let Cargo::Message(message) = &entry.cargo else { return None };
        if !self.standing.is_durable() {
            return None;
        }
        let record = Box::new(Record {
            priority: entry.priority,
            expires_at: self.outbox.course(slot).expires_at,
            not_before: self.outbox.course(slot).not_before,
            ..Record::new(entry.seq, message.clone(), entry.submitted_at)
        });
        Some(if redriven { Change::Redrive { slot, record } } else { Change::Insert { slot, record } })
    }

    /// The message is accepted: its lane has it, and its promise is kept.
    pub(super) fn kept(&mut self, step: &mut Step<'_>, slot: Slot) {
        self.redrives.kept(slot);
        let entry = self.outbox.get_mut(slot);
        let (lane, is_late) = match &mut entry.cargo {
            Cargo::Message(message) => {
                self.counters.accepted += 1;
                let memory = self.quota.turn_memory();
                let is_late =
                    memory.is_some_and(|memory| self.lately.is_late(step.now, message.conversation(), memory));
                (self.lanes.join(message), is_late)
            }
            Cargo::Call(_) => (self.lanes.of_request(), false),
        };
        let is_call = matches!(entry.cargo, Cargo::Call(_));
        entry.lane = lane;
        let (item, deadline) = (entry.item(slot), entry.cargo.deadline());
        self.outbox.set_state(slot, State::Queued);
        let Course { expires_at, withdrawn, .. } = *self.outbox.course(slot);
        if is_late {
            self.lanes.push_late(lane, item);
        } else {
            self.lanes.push(lane, item);
        }
        if let Some(at) = expires_at {
            self.timers.set(at, Timer::Expire(slot));
        }
        if let Some(at) = deadline {
            self.timers.set(at, Timer::Deadline(slot));
        }
        self.tell_accepted(slot, step.effects);
        if withdrawn {
            self.bury(step, slot, Reason::Aborted, None, None);
        } else {
            // A call may show whether refused credentials work again. Messages stay, and the first of them does; but
            // where there are only calls, which don't, nobody would.
            let may_find_out = is_call && !self.health.is_shut(step.now);
            if !may_find_out {
                self.fail_unauthorized(&[slot], step.effects);
            }
            self.cool_beyond_window(slot);
        }
        if is_call && self.is_out() {
            self.held_calls.watch(slot);
        }
    }

    fn tell_accepted(&mut self, slot: Slot, effects: &mut Vec<Effect>) {
        let waits = self.outbox.course(slot).waiter.is_some_and(|promise| promise.settle == Settle::OnAcceptance);
        if !waits && !self.followers.has(slot) {
            return;
        }
        let waiter = if waits { self.outbox.forget_waiter(slot) } else { None };
        let Some(id) = self.outbox.get(slot).cargo.id() else {
            debug_assert!(waiter.is_none(), "a call settles by its answer");
            return;
        };
        let accepted = |ticket, duplicate| Effect::Accepted { ticket, id: id.into(), duplicate };
        effects.extend(waiter.map(|ticket| accepted(ticket, false)));
        let satisfied = self.followers.take_if(slot, |follower| follower.settle == Settle::OnAcceptance);
        effects.extend(satisfied.into_iter().map(|follower| accepted(follower.ticket, true)));
    }

    /// Beyond the window the newest cool: their turn comes last.
    fn cool_beyond_window(&mut self, slot: Slot) {
        let is_beyond = self.standing.is_durable() && self.window.is_exceeded_by(&self.outbox);
        if is_beyond && self.outbox.has(slot) && self.outbox.may_cool(slot) {
            self.outbox.cool(slot);
        }
    }

    /// The store did not take it, so it was never accepted. A dead letter stays one.
    pub(super) fn refused(&mut self, slot: Slot, error: &Error, effects: &mut Vec<Effect>) {
        let Removed { waiter, followers, .. } = self.remove(slot);
        let tickets = waiter.iter().chain(&followers).map(|promise| promise.ticket);
        effects.extend(tickets.map(|ticket| Effect::Failed(ticket, error.clone())));
        if let Some((number, letter, sweep)) = self.redrives.refused(slot) {
            self.letters.put_back(number, letter);
            effects.extend(sweep.map(|ticket| Effect::Failed(ticket, error.clone())));
        }
        self.tell_if_empty(effects);
    }

    /// Nothing can be kept for now, or still, for another reason.
    pub(super) fn store_troubled(&mut self, error: Error, effects: &mut Vec<Effect>) {
        let problem = error.to_string();
        if self.standing.begin_trouble(error) {
            effects.push(Effect::Notice(Notice::Outage { reason: "store", problem, open: true }));
        }
    }

    /// Everything can be kept again, perhaps in another file.
    pub(super) fn store_healed(&mut self, salvage: Salvage, effects: &mut Vec<Effect>) {
        let problem = self.standing.salvaged(&salvage).unwrap_or_default();
        if salvage.set_aside.is_some() {
            // What the damaged file said of the wire and the budget may be lost, or presumed: what is known takes its
            // place at once.
            self.saving.demand();
        }
        if self.standing.end_trouble() {
            effects.push(Effect::Notice(Notice::Outage { reason: "store", problem, open: false }));
        }
    }
}
