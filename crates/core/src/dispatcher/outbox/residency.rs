//! A place in the outbox: a message that is in memory, or the number of one that the store has.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::delivery_state::DeliveryStates;
use super::{Cold, Entry, IdKeys};
use crate::lanes::EntryId;
use crate::store::Seq;

#[derive(Debug)]
pub(super) enum Residency {
    Hot(Entry),
    Cold(Cold),
}

impl Residency {
    pub(super) fn seq(&self) -> Seq {
        match self {
            Self::Hot(entry) => entry.seq,
            Self::Cold(cold) => cold.seq,
        }
    }

    /// By what it is found by its id; none for a request.
    pub(super) fn id_hash(&self, keys: &IdKeys) -> Option<u64> {
        match self {
            Self::Hot(entry) => entry.payload.id().map(|id| keys.hash(id)),
            Self::Cold(cold) => Some(cold.key.0[0]),
        }
    }

    /// By what it is found by the ticket of who waits for it; none if nobody does.
    pub(super) fn ticket_hash(&self, delivery_states: &DeliveryStates, hasher: &DefaultHashBuilder) -> Option<u64> {
        match self {
            Self::Hot(entry) => {
                delivery_states.get(entry.delivery_state).waiter.map(|promise| hasher.hash_one(promise.ticket))
            }
            Self::Cold(_) => None,
        }
    }
}

/// The outbox has room for far fewer messages than there are numbers.
pub(super) fn entry_id_of(index: usize) -> EntryId {
    match EntryId::try_from(index) {
        Ok(entry_id) => entry_id,
        Err(_) => unreachable!("an outbox of {index} messages"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_takes_no_more_than_what_it_holds() {
        assert_eq!([size_of::<Option<Residency>>(), size_of::<Entry>()], [72, 72]);
    }
}
