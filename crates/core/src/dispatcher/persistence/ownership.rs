//! The store has another owner: what was accepted here is that one's to send, and its outcome is unknown here. So
//! nothing leaves any more, no message ends, and whoever waits is told so. What is on the wire is still answered.

use crate::dispatcher::outbox::State;
use crate::dispatcher::{Dispatcher, Effect};
use crate::error::Error;
use crate::lanes::EntryId;
use crate::message::Payload;

impl Dispatcher {
    /// Why there is nothing to do here any more; `None` while the store is this one's.
    pub fn disowned(&self) -> Option<&Error> {
        self.standing.disowned()
    }

    pub(in crate::dispatcher) fn begin_disowned(&mut self, error: Error, effects: &mut Vec<Effect>) {
        self.standing.disown(error.clone());
        self.store_degraded(error, effects);
        self.turn_away(effects);
    }

    /// Fails whoever waits for what will not happen here. Calls that are on the wire have their answer to come, and no
    /// other attempt.
    pub(in crate::dispatcher) fn turn_away(&mut self, effects: &mut Vec<Effect>) {
        let Some(error) = self.standing.disowned().cloned() else { return };
        while let Some(waiting) = self.waiting.first().map(|(number, _)| number).and_then(|n| self.leave_waiting(n)) {
            self.drains.leave(waiting.epoch);
            effects.push(Effect::Failed(waiting.submission.ticket, error.clone()));
        }
        let failed = self.redrives.fail_all(&error).into_iter();
        effects.extend(failed.map(|(ticket, error)| Effect::Failed(ticket, error)));
        let is_on_wire = |entry_id: &EntryId| {
            self.outbox.cold(*entry_id).is_none()
                && matches!(self.outbox.get(*entry_id).state(), State::Departing | State::InFlight)
        };
        let is_call = |entry_id: &EntryId| {
            self.outbox.cold(*entry_id).is_none() && matches!(self.outbox.get(*entry_id).payload, Payload::Call(_))
        };
        let awaited = self.outbox.awaited().into_iter().chain(self.followers.entry_ids());
        let mut entry_ids: Vec<(EntryId, bool)> = awaited.map(|entry_id| (entry_id, is_call(&entry_id))).collect();
        entry_ids.retain(|(entry_id, is_call)| !(*is_call && is_on_wire(entry_id)));
        entry_ids.sort_unstable();
        entry_ids.dedup();
        for (entry_id, is_call) in entry_ids {
            let followers = self.followers.take(entry_id).into_iter().map(|promise| promise.ticket);
            let waiter = self.outbox.forget_waiter(entry_id);
            effects.extend(waiter.into_iter().chain(followers).map(|ticket| Effect::Failed(ticket, error.clone())));
            if is_call {
                self.discard(entry_id);
            }
        }
        let given_up = self.drains.give_up_all().into_iter();
        effects.extend(given_up.map(|(ticket, left)| Effect::Drained(ticket, Some(left))));
    }
}
