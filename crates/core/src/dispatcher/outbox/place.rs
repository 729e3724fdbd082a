//! A place in the outbox: a message that is in memory, or the number of one that the store has.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::course::Courses;
use super::{Cold, Entry, IdKeys};
use crate::lanes::Slot;
use crate::store::Seq;

#[derive(Debug)]
pub(super) enum Place {
    Hot(Entry),
    Cold(Cold),
}

impl Place {
    pub(super) fn seq(&self) -> Seq {
        match self {
            Self::Hot(entry) => entry.seq,
            Self::Cold(cold) => cold.seq,
        }
    }

    /// By what it is found by its id; none for a request.
    pub(super) fn id_hash(&self, keys: &IdKeys) -> Option<u64> {
        match self {
            Self::Hot(entry) => entry.cargo.id().map(|id| keys.hash(id)),
            Self::Cold(cold) => Some(cold.key.0[0]),
        }
    }

    /// By what it is found by the ticket of who waits for it; none if nobody does.
    pub(super) fn ticket_hash(&self, courses: &Courses, hasher: &DefaultHashBuilder) -> Option<u64> {
        match self {
            Self::Hot(entry) => courses.get(entry.course).waiter.map(|promise| hasher.hash_one(promise.ticket)),
            Self::Cold(_) => None,
        }
    }
}

/// The outbox has room for far fewer messages than there are numbers.
pub(super) fn slot_of(index: usize) -> Slot {
    match Slot::try_from(index) {
        Ok(slot) => slot,
        Err(_) => unreachable!("an outbox of {index} messages"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_takes_no_more_than_what_it_holds() {
        assert_eq!([size_of::<Option<Place>>(), size_of::<Entry>()], [72, 72]);
    }
}
