//! The store has another owner: what was accepted here is that one's to send, and its outcome is unknown here. So
//! nothing leaves any more, no message ends, and whoever waits is told so. What is on the wire is still answered.

use super::outbox::State;
use super::{Dispatcher, Effect};
use crate::error::Error;
use crate::lanes::Slot;
use crate::message::Cargo;

impl Dispatcher {
    /// Why there is nothing to do here any more; `None` while the store is this one's.
    pub fn disowned(&self) -> Option<&Error> {
        self.standing.disowned()
    }

    pub(super) fn begin_disowned(&mut self, error: Error, effects: &mut Vec<Effect>) {
        self.standing.disown(error.clone());
        self.store_troubled(error, effects);
        self.turn_away(effects);
    }

    /// Fails whoever waits for what will not happen here. Calls that are on the wire have their answer to come, and no
    /// other attempt.
    pub(super) fn turn_away(&mut self, effects: &mut Vec<Effect>) {
        let Some(error) = self.standing.disowned().cloned() else { return };
        while let Some(waiting) = self.waiting.first().map(|(number, _)| number).and_then(|n| self.leave_waiting(n)) {
            self.drains.leave(waiting.epoch);
            effects.push(Effect::Failed(waiting.submission.ticket, error.clone()));
        }
        let failed = self.redrives.fail_all(&error).into_iter();
        effects.extend(failed.map(|(ticket, error)| Effect::Failed(ticket, error)));
        let is_on_wire = |slot: &Slot| {
            self.outbox.cold(*slot).is_none()
                && matches!(self.outbox.get(*slot).state(), State::Departing | State::InFlight)
        };
        let is_call =
            |slot: &Slot| self.outbox.cold(*slot).is_none() && matches!(self.outbox.get(*slot).cargo, Cargo::Call(_));
        let awaited = self.outbox.awaited().into_iter().chain(self.followers.slots());
        let mut slots: Vec<(Slot, bool)> = awaited.map(|slot| (slot, is_call(&slot))).collect();
        slots.retain(|(slot, is_call)| !(*is_call && is_on_wire(slot)));
        slots.sort_unstable();
        slots.dedup();
        for (slot, is_call) in slots {
            let followers = self.followers.take(slot).into_iter().map(|promise| promise.ticket);
            let waiter = self.outbox.forget_waiter(slot);
            effects.extend(waiter.into_iter().chain(followers).map(|ticket| Effect::Failed(ticket, error.clone())));
            if is_call {
                self.discard(slot);
            }
        }
        let given_up = self.drains.give_up_all().into_iter();
        effects.extend(given_up.map(|(ticket, left)| Effect::Drained(ticket, Some(left))));
    }
}
