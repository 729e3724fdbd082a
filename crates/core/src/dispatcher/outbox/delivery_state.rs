//! What few of the messages that wait have: a promise, a time of their own, attempts.

use std::num::{NonZeroU16, NonZeroU32};

use slab::Slab;

use crate::clock::Timestamp;
use crate::message::{Settle, Ticket};

/// Somebody who waits for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) struct Promise {
    pub(in crate::dispatcher) ticket: Ticket,
    pub(in crate::dispatcher) settle: Settle,
}

/// A body that only the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) struct StoredBody {
    pub(super) bytes: u32,
    /// The store is asked for it.
    pub(super) loading: bool,
}

impl StoredBody {
    pub(in crate::dispatcher) fn new(bytes: u32) -> Self {
        Self { bytes, loading: false }
    }
}

/// What is to be noted of a message beside that it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) struct DeliveryState {
    /// What the outcome settles; while it is `Storing`, and the promise says so, the acceptance.
    pub(in crate::dispatcher) waiter: Option<Promise>,
    pub(in crate::dispatcher) attempts: u32,
    pub(in crate::dispatcher) first_attempt_at: Option<Timestamp>,
    pub(in crate::dispatcher) expires_at: Option<Timestamp>,
    pub(in crate::dispatcher) not_before: Option<Timestamp>,
    /// When it goes back to its lane, if it is parked.
    pub(in crate::dispatcher) parked_until: Option<Timestamp>,
    /// What the server said to the last attempt, if it failed with an answer. Of an answer only this is kept while a
    /// message waits for the next attempt: bodies of many would be as much again as the outbox.
    pub(in crate::dispatcher) last_status: Option<NonZeroU16>,
    /// When the first 401 came, if all answers since then were.
    pub(in crate::dispatcher) refused_at: Option<Timestamp>,
    /// When the last request left that was refused in an outage of refusals.
    pub(in crate::dispatcher) suspected_at: Option<Timestamp>,
    /// It was repeated at once, since another connection might do.
    pub(in crate::dispatcher) misdirected: bool,
    /// The retry budget has paid for the next attempt.
    pub(in crate::dispatcher) retry_paid: bool,
    /// Some attempt was sent and not answered.
    pub(in crate::dispatcher) ambiguous: bool,
    /// The caller has canceled it while it was on the wire, or bound.
    pub(in crate::dispatcher) canceled: bool,
    /// Its body, if that is not in memory.
    pub(in crate::dispatcher) stored_body: Option<StoredBody>,
}

impl DeliveryState {
    /// Nothing to note.
    pub(in crate::dispatcher) const NONE: Self = Self {
        waiter: None,
        attempts: 0,
        first_attempt_at: None,
        expires_at: None,
        not_before: None,
        parked_until: None,
        last_status: None,
        refused_at: None,
        suspected_at: None,
        misdirected: false,
        retry_paid: false,
        ambiguous: false,
        canceled: false,
        stored_body: None,
    };
}

/// Where the delivery state of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeliveryStateId(NonZeroU32);

/// The delivery states of those that have one. A slab: a delivery state that ends leaves its room to the next.
#[derive(Debug, Default)]
pub(super) struct DeliveryStates(Slab<DeliveryState>);

impl DeliveryStates {
    pub(super) fn get(&self, id: Option<DeliveryStateId>) -> &DeliveryState {
        id.map_or(&DeliveryState::NONE, |id| &self.0[id.index()])
    }

    /// The same where there may be none.
    pub(super) fn find(&self, id: Option<DeliveryStateId>) -> Option<DeliveryState> {
        self.0.get(id?.index()).copied()
    }

    /// Takes room only if there is something to note.
    pub(super) fn insert(&mut self, delivery_state: DeliveryState) -> Option<DeliveryStateId> {
        (delivery_state != DeliveryState::NONE).then(|| DeliveryStateId::of(self.0.insert(delivery_state)))
    }

    /// To note something; takes room, if it is the first thing to note.
    pub(super) fn get_mut(&mut self, id: &mut Option<DeliveryStateId>) -> &mut DeliveryState {
        let id = *id.get_or_insert_with(|| DeliveryStateId::of(self.0.insert(DeliveryState::NONE)));
        &mut self.0[id.index()]
    }

    pub(super) fn remove(&mut self, id: Option<DeliveryStateId>) -> DeliveryState {
        id.map_or(DeliveryState::NONE, |id| self.0.remove(id.index()))
    }
}

impl DeliveryStateId {
    fn of(index: usize) -> Self {
        match u32::try_from(index + 1).ok().and_then(NonZeroU32::new) {
            Some(id) => Self(id),
            None => unreachable!("the outbox holds {index} messages with a history"),
        }
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}
