//! The outbox: accepted messages and requests that are not settled yet, found by slot, by id and by ticket.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;

use crate::clock::Timestamp;
use crate::lanes::{Item, LaneId, Slot};
use crate::message::{Cargo, Priority, Settle, Ticket};

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In its lane.
    Queued,
    /// Out of its lane, until a time of its own.
    Parked { until: Timestamp, why: Parking },
    /// On the wire.
    InFlight,
}

/// Why a message is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parking {
    NotBefore,
    Retry,
}

/// An accepted message or request.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) cargo: Cargo,
    pub(super) lane: LaneId,
    /// Counts up by acceptance.
    pub(super) seq: u64,
    pub(super) priority: Priority,
    pub(super) state: State,
    pub(super) attempts: u32,
    /// The last answer was 401: another one is the credentials' fault.
    pub(super) unauthorised: bool,
    /// The retry budget has paid for the next attempt.
    pub(super) retry_paid: bool,
    /// Some attempt was sent and not answered.
    pub(super) ambiguous: bool,
    /// The caller has withdrawn it while it was on the wire.
    pub(super) withdrawn: bool,
    pub(super) submitted_at: Timestamp,
    pub(super) first_attempt_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) not_before: Option<Timestamp>,
    /// Whose promise the outcome settles.
    pub(super) waiter: Option<Ticket>,
    /// Of the drains that wait for it.
    pub(super) epoch: u64,
}

impl Entry {
    pub(super) fn item(&self, slot: Slot) -> Item {
        Item { slot, seq: self.seq, priority: self.priority }
    }

    /// The waiter, if its promise settles with the outcome.
    pub(super) fn outcome_waiter(ticket: Ticket, settle: Settle) -> Option<Ticket> {
        (settle == Settle::OnOutcome).then_some(ticket)
    }
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: Slab<Entry>,
    ids: HashTable<Slot>,
    tickets: HashTable<Slot>,
    hasher: DefaultHashBuilder,
    bytes: usize,
}

impl Outbox {
    pub(super) fn insert(&mut self, entry: Entry) -> Slot {
        self.bytes += entry.cargo.len();
        let slot = Slot::try_from(self.entries.insert(entry)).unwrap_or(Slot::MAX);
        let (entries, hasher) = (&self.entries, &self.hasher);
        let entry = &entries[slot as usize];
        if let Some(id) = entry.cargo.id() {
            self.ids.insert_unique(hasher.hash_one(id), slot, |slot| hash_of_id(entries, hasher, *slot));
        }
        if let Some(ticket) = entry.waiter {
            self.tickets.insert_unique(hasher.hash_one(ticket), slot, |slot| hash_of_ticket(entries, hasher, *slot));
        }
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Entry {
        self.forget_waiter(slot);
        let entry = self.entries.remove(slot as usize);
        self.bytes -= entry.cargo.len();
        if let Some(id) = entry.cargo.id()
            && let Ok(found) = self.ids.find_entry(self.hasher.hash_one(id), |other| *other == slot)
        {
            found.remove();
        }
        entry
    }

    /// Takes the waiter off, so that the outcome settles no promise.
    pub(super) fn forget_waiter(&mut self, slot: Slot) -> Option<Ticket> {
        let ticket = self.entries[slot as usize].waiter.take()?;
        if let Ok(found) = self.tickets.find_entry(self.hasher.hash_one(ticket), |other| *other == slot) {
            found.remove();
        }
        Some(ticket)
    }

    pub(super) fn by_id(&self, id: &str) -> Option<Slot> {
        let named = |slot: &Slot| self.entries[*slot as usize].cargo.id() == Some(id);
        self.ids.find(self.hasher.hash_one(id), named).copied()
    }

    pub(super) fn by_ticket(&self, ticket: Ticket) -> Option<Slot> {
        let waited_for = |slot: &Slot| self.entries[*slot as usize].waiter == Some(ticket);
        self.tickets.find(self.hasher.hash_one(ticket), waited_for).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> &Entry {
        &self.entries[slot as usize]
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut Entry {
        &mut self.entries[slot as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.entries.iter().map(|(slot, _)| Slot::try_from(slot).unwrap_or(Slot::MAX))
    }
}

fn hash_of_id(entries: &Slab<Entry>, hasher: &DefaultHashBuilder, slot: Slot) -> u64 {
    hasher.hash_one(entries[slot as usize].cargo.id().unwrap_or_default())
}

fn hash_of_ticket(entries: &Slab<Entry>, hasher: &DefaultHashBuilder, slot: Slot) -> u64 {
    entries[slot as usize].waiter.map_or(0, |ticket| hasher.hash_one(ticket))
}
