//! A message of which memory holds little more than its number: the store has the rest.

use std::hash::{BuildHasher, RandomState};

use hashbrown::DefaultHashBuilder;

use crate::clock::Timestamp;
use crate::dispatcher::schedule::drains::Epoch;
use crate::lanes::{EntryId, Item, LaneId};
use crate::message::Priority;
use crate::store::Seq;

/// An id by two independent 64-bit hashes: a million texts would cost far more, and a mix-up takes a 128-bit collision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::dispatcher) struct IdKey(pub(in crate::dispatcher) [u64; 2]);

/// Makes the keys of a process.
#[derive(Clone, Debug, Default)]
pub(in crate::dispatcher) struct IdKeys(DefaultHashBuilder, RandomState);

impl IdKeys {
    /// The half by which an id is found. The other one costs more, and decides only where there is no text to compare.
    pub(in crate::dispatcher) fn hash(&self, id: &str) -> u64 {
        self.0.hash_one(id)
    }

    pub(in crate::dispatcher) fn of(&self, id: &str) -> IdKey {
        IdKey([self.hash(id), self.1.hash_one(id)])
    }
}

/// It waits in its lane, was never sent, and nobody in this process waits for it.
#[derive(Clone, Copy, Debug)]
pub(in crate::dispatcher) struct Cold {
    pub(in crate::dispatcher) seq: Seq,
    pub(in crate::dispatcher) key: IdKey,
    pub(in crate::dispatcher) epoch: Epoch,
    /// When its timer fires: the store's times are of another clock, and whole milliseconds.
    pub(in crate::dispatcher) expires_at: Option<Timestamp>,
    pub(in crate::dispatcher) lane: LaneId,
    /// Of its body.
    pub(in crate::dispatcher) bytes: u32,
    pub(in crate::dispatcher) priority: Priority,
    /// The store is asked for it.
    pub(in crate::dispatcher) loading: bool,
}

impl Cold {
    pub(in crate::dispatcher) fn item(&self, entry_id: EntryId) -> Item {
        Item { entry_id, seq: self.seq, priority: self.priority }
    }
}
