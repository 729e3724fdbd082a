//! Times at which something falls due, each removed with its reason, so that a settled message leaves none behind.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::lanes::EntryId;
use crate::message::Ticket;

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::dispatcher) enum Timer {
    /// A parked message goes back to its lane.
    Unpark(EntryId),
    /// A batch that is repeated as it is may go again.
    Release(u64),
    /// Refused messages that nobody else's answer has told about.
    Judge,
    /// A message in the outbox expires.
    Expire(EntryId),
    /// A submission in the waiting room expires.
    ExpireWaiting(u64),
    /// The deadline of a call.
    Deadline(EntryId),
    /// A call has waited for the end of an outage for as long as it may.
    GiveUp(EntryId),
    /// The same in the waiting room.
    GiveUpWaiting(u64),
    /// The operator's pause ends.
    Resume,
    /// A drain's time is up.
    Drain(Ticket),
}

impl Timer {
    fn is_unpark(self) -> bool {
        matches!(self, Self::Unpark(_))
    }
}

#[derive(Debug, Default)]
pub(in crate::dispatcher) struct Timers {
    due: BTreeSet<(Timestamp, Timer)>,
    /// How many of them are for parked messages.
    unparks: usize,
}

impl Timers {
    pub(in crate::dispatcher) fn set(&mut self, at: Timestamp, timer: Timer) {
        let is_new = self.due.insert((at, timer));
        debug_assert!(is_new, "{timer:?} is set once for a time");
        self.unparks += usize::from(is_new && timer.is_unpark());
    }

    pub(in crate::dispatcher) fn clear(&mut self, at: Timestamp, timer: Timer) {
        let was_set = self.due.remove(&(at, timer));
        self.unparks -= usize::from(was_set && timer.is_unpark());
    }

    /// Nothing falls due for this message any more, which is not in memory.
    pub(in crate::dispatcher) fn forget(&mut self, entry_id: EntryId) {
        self.due.retain(|(_, timer)| {
            debug_assert!(*timer != Timer::Unpark(entry_id), "only what is in memory is parked");
            *timer != Timer::Expire(entry_id)
        });
    }

    /// Those for which this holds.
    pub(in crate::dispatcher) fn matching(&self, is_meant: impl Fn(Timer) -> bool) -> Vec<(Timestamp, Timer)> {
        self.due.iter().copied().filter(|(_, timer)| is_meant(*timer)).collect()
    }

    /// The earliest that is due.
    pub(in crate::dispatcher) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let (at, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.unparks -= usize::from(timer.is_unpark());
        Some(timer)
    }

    pub(in crate::dispatcher) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How many messages are parked until a time of their own.
    pub(in crate::dispatcher) fn unparks(&self) -> usize {
        self.unparks
    }
}
