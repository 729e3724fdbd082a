//! A message or request in the outbox, as far as it is in memory.

use super::delivery_state::DeliveryStateId;
use crate::clock::Timestamp;
use crate::dispatcher::health::RouteId;
use crate::dispatcher::schedule::drains::Epoch;
use crate::lanes::{EntryId, Item, LaneId};
use crate::message::{Payload, Priority};

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum State {
    /// On its way into the store: not accepted yet, and in no lane.
    Storing,
    /// In its lane.
    Queued,
    /// Out of its lane, until a time of its own: [`super::DeliveryState::parked_until`].
    Parked(Parking),
    /// Bound to others in a batch that waits to be sent again.
    Bound,
    /// Its request is made, and waits for the disk or a connection.
    Departing,
    /// Its request has left.
    InFlight,
}

/// Why a message is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum Parking {
    NotBefore,
    Retry,
    /// In the line of its route, which lets it go.
    Line,
}

/// An accepted message or request: what each of a million has. The rest is its [`super::DeliveryState`].
#[derive(Debug)]
pub(in crate::dispatcher) struct Entry {
    pub(in crate::dispatcher) payload: Payload,
    /// Counts up by acceptance.
    pub(in crate::dispatcher) seq: u64,
    pub(in crate::dispatcher) submitted_at: Timestamp,
    /// None while it is `Storing`.
    pub(in crate::dispatcher) lane: LaneId,
    /// Of the drains that wait for it.
    pub(in crate::dispatcher) epoch: Epoch,
    pub(in crate::dispatcher) route: RouteId,
    pub(in crate::dispatcher) priority: Priority,
    pub(super) state: State,
    pub(super) delivery_state: Option<DeliveryStateId>,
}

impl Entry {
    /// A message or request to which nothing has happened yet.
    pub(in crate::dispatcher) fn new(payload: Payload, seq: u64, submitted_at: Timestamp) -> Self {
        let (lane, epoch, route, priority) = (LaneId::MAX, 0, RouteId::MESSAGES, 0);
        Self { payload, seq, submitted_at, lane, epoch, route, priority, state: State::Storing, delivery_state: None }
    }

    pub(in crate::dispatcher) fn state(&self) -> State {
        self.state
    }

    /// A message that is accepted already.
    pub(in crate::dispatcher) fn into_queued(self) -> Self {
        Self { state: State::Queued, ..self }
    }

    pub(in crate::dispatcher) fn item(&self, entry_id: EntryId) -> Item {
        Item { entry_id, seq: self.seq, priority: self.priority }
    }
}
