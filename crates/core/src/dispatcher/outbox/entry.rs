//! A message or request in the outbox, as far as it is in memory.

use crate::clock::Timestamp;
use crate::lanes::{Item, LaneId, Slot};
use crate::message::{Cargo, Priority, Settle, Ticket};

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum State {
    /// On its way into the store: not accepted yet, and in no lane.
    Storing,
    /// In its lane.
    Queued,
    /// Out of its lane, until a time of its own.
    Parked { until: Timestamp, why: Parking },
    /// Bound to others in a batch that waits to be sent again.
    Bound,
    /// On the wire.
    InFlight,
}

/// Why a message is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum Parking {
    NotBefore,
    Retry,
}

/// An accepted message or request.
#[derive(Debug)]
pub(in crate::dispatcher) struct Entry {
    pub(in crate::dispatcher) cargo: Cargo,
    /// None while it is `Storing`.
    pub(in crate::dispatcher) lane: LaneId,
    /// Counts up by acceptance.
    pub(in crate::dispatcher) seq: u64,
    pub(in crate::dispatcher) priority: Priority,
    pub(in crate::dispatcher) state: State,
    pub(in crate::dispatcher) attempts: u32,
    /// The last answer was 401: another one is the credentials' fault.
    pub(in crate::dispatcher) unauthorised: bool,
    /// The retry budget has paid for the next attempt.
    pub(in crate::dispatcher) retry_paid: bool,
    /// Some attempt was sent and not answered.
    pub(in crate::dispatcher) ambiguous: bool,
    /// The caller has withdrawn it while it was on the wire, or bound.
    pub(in crate::dispatcher) withdrawn: bool,
    pub(in crate::dispatcher) submitted_at: Timestamp,
    pub(in crate::dispatcher) first_attempt_at: Option<Timestamp>,
    pub(in crate::dispatcher) expires_at: Option<Timestamp>,
    pub(in crate::dispatcher) not_before: Option<Timestamp>,
    /// Whose promise the outcome settles; while it is `Storing`, and `settle` says so, the acceptance.
    pub(in crate::dispatcher) waiter: Option<Ticket>,
    pub(in crate::dispatcher) settle: Settle,
    /// Of the drains that wait for it.
    pub(in crate::dispatcher) epoch: u64,
}

impl Entry {
    pub(in crate::dispatcher) fn item(&self, slot: Slot) -> Item {
        Item { slot, seq: self.seq, priority: self.priority }
    }

    /// Whether nothing is lost when only its number stays in memory: nobody waits for it, and nothing has happened to it.
    pub(in crate::dispatcher) fn may_cool(&self) -> bool {
        let untouched = self.attempts == 0 && self.state == State::Queued && !self.withdrawn;
        untouched && self.waiter.is_none() && matches!(self.cargo, Cargo::Message(_))
    }
}
