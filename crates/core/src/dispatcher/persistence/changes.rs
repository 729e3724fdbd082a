//! What the store is told, and what it answers. Without a store nothing of this is said, and a message is accepted at
//! once.

use crate::dispatcher::outbox::{DeliveryState, State};
use crate::dispatcher::outcome::ends::Removed;
use crate::dispatcher::schedule::timers::Timer;
use crate::dispatcher::{Dispatcher, Effect, Notice, Step};
use crate::error::Error;
use crate::lanes::EntryId;
use crate::message::{Payload, Settle};
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
    pub(in crate::dispatcher) fn insertion(&self, entry_id: EntryId, redriven: bool) -> Option<Change> {
        let entry = self.outbox.get(entry_id);
        let Payload::Message(message) = &entry.payload else { return None };
        if !self.standing.is_durable() {
            return None;
        }
        let record = Box::new(Record {
            priority: entry.priority,
            expires_at: self.outbox.delivery_state(entry_id).expires_at,
            not_before: self.outbox.delivery_state(entry_id).not_before,
            ..Record::new(entry.seq, message.clone(), entry.submitted_at)
        });
        Some(if redriven { Change::Redrive { entry_id, record } } else { Change::Insert { entry_id, record } })
    }

    /// The message is accepted: its lane has it, and its promise is kept.
    pub(in crate::dispatcher) fn persisted(&mut self, step: &mut Step<'_>, entry_id: EntryId) {
        self.redrives.persisted(entry_id);
        let entry = self.outbox.get_mut(entry_id);
        let (lane, is_late) = match &mut entry.payload {
            Payload::Message(message) => {
                self.counters.accepted += 1;
                let memory = self.quota.turn_memory();
                let is_late =
                    memory.is_some_and(|memory| self.lately.is_late(step.now, message.conversation(), memory));
                (self.lanes.join(message), is_late)
            }
            Payload::Call(_) => (self.lanes.of_request(), false),
        };
        let is_call = matches!(entry.payload, Payload::Call(_));
        entry.lane = lane;
        let (item, deadline) = (entry.item(entry_id), entry.payload.deadline());
        self.outbox.set_state(entry_id, State::Queued);
        let DeliveryState { expires_at, canceled, .. } = *self.outbox.delivery_state(entry_id);
        if is_late {
            self.lanes.push_late(lane, item);
        } else {
            self.lanes.push(lane, item);
        }
        if let Some(at) = expires_at {
            self.timers.set(at, Timer::Expire(entry_id));
        }
        if let Some(at) = deadline {
            self.timers.set(at, Timer::Deadline(entry_id));
        }
        self.tell_accepted(entry_id, step.effects);
        if canceled {
            self.bury(step, entry_id, Reason::Aborted, None, None);
        } else {
            // A call may show whether refused credentials work again. Messages stay, and the first of them does; but
            // where there are only calls, which don't, nobody would.
            let may_find_out = is_call && !self.health.is_shut(step.now);
            if !may_find_out {
                self.fail_unauthorized(&[entry_id], step.effects);
            }
            self.cool_beyond_window(entry_id);
        }
        if is_call && self.is_out() {
            self.held_calls.watch(entry_id);
        }
    }

    fn tell_accepted(&mut self, entry_id: EntryId, effects: &mut Vec<Effect>) {
        let waits =
            self.outbox.delivery_state(entry_id).waiter.is_some_and(|promise| promise.settle == Settle::OnAcceptance);
        if !waits && !self.followers.has(entry_id) {
            return;
        }
        let waiter = if waits { self.outbox.forget_waiter(entry_id) } else { None };
        let Some(id) = self.outbox.get(entry_id).payload.id() else {
            debug_assert!(waiter.is_none(), "a call settles by its answer");
            return;
        };
        let accepted = |ticket, duplicate| Effect::Accepted { ticket, id: id.into(), duplicate };
        effects.extend(waiter.map(|ticket| accepted(ticket, false)));
        let satisfied = self.followers.take_if(entry_id, |follower| follower.settle == Settle::OnAcceptance);
        effects.extend(satisfied.into_iter().map(|follower| accepted(follower.ticket, true)));
    }

    /// Beyond the window the newest cool: their turn comes last.
    fn cool_beyond_window(&mut self, entry_id: EntryId) {
        let is_beyond = self.standing.is_durable() && self.window.is_exceeded_by(&self.outbox);
        if is_beyond && self.outbox.has(entry_id) && self.outbox.may_cool(entry_id) {
            self.outbox.cool(entry_id);
        }
    }

    /// The store did not take it, so it was never accepted. A dead letter stays one.
    pub(in crate::dispatcher) fn refused(&mut self, entry_id: EntryId, error: &Error, effects: &mut Vec<Effect>) {
        let Removed { waiter, followers, .. } = self.remove(entry_id);
        let tickets = waiter.iter().chain(&followers).map(|promise| promise.ticket);
        effects.extend(tickets.map(|ticket| Effect::Failed(ticket, error.clone())));
        if let Some((number, letter, sweep)) = self.redrives.refused(entry_id) {
            self.letters.put_back(number, letter);
            effects.extend(sweep.map(|ticket| Effect::Failed(ticket, error.clone())));
        }
        self.tell_if_empty(effects);
    }

    /// Nothing can be kept for now, or still, for another reason.
    pub(in crate::dispatcher) fn store_degraded(&mut self, error: Error, effects: &mut Vec<Effect>) {
        let problem = error.to_string();
        if self.standing.begin_degraded(error) {
            effects.push(Effect::Notice(Notice::Outage { reason: "store", problem, open: true }));
        }
    }

    /// Everything can be kept again, perhaps in another file.
    pub(in crate::dispatcher) fn store_restored(&mut self, salvage: Salvage, effects: &mut Vec<Effect>) {
        let problem = self.standing.salvaged(&salvage).unwrap_or_default();
        if salvage.set_aside.is_some() {
            // What the damaged file said of the wire and the budget may be lost, or presumed: what is known takes its
            // place at once.
            self.saving.demand();
        }
        if self.standing.end_degraded() {
            effects.push(Effect::Notice(Notice::Outage { reason: "store", problem, open: false }));
        }
    }
}
