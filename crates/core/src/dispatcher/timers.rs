//! Times at which something falls due, each removed with its reason, so that a settled message leaves none behind.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::lanes::Slot;
use crate::message::Ticket;

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A parked message goes back to its lane.
    Unpark(Slot),
    /// A batch that is repeated as it is may go again.
    Release(u64),
    /// Refused messages that nobody else's answer has told about.
    Judge,
    /// A message in the outbox expires.
    Expire(Slot),
    /// A submission in the waiting room expires.
    ExpireWaiting(u64),
    /// The deadline of a call.
    Deadline(Slot),
    /// The operator's pause ends.
    Resume,
    /// A drain's time is up.
    Drain(Ticket),
}

#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Timestamp, Timer)>);

impl Timers {
    pub(super) fn set(&mut self, at: Timestamp, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(super) fn clear(&mut self, at: Timestamp, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    /// Nothing falls due for this message any more.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.0.retain(|(_, timer)| !matches!(timer, Timer::Unpark(other) | Timer::Expire(other) if *other == slot));
    }

    /// The earliest that is due.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let (at, timer) = *self.0.first()?;
        if at > now {
            return None;
        }
        self.0.pop_first();
        Some(timer)
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }
}
