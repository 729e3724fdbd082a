//! What travels in one request: one message, or several that share its fate until the server tells them apart.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use crate::lanes::EntryId;

/// The messages of a request: mostly one, which takes no allocation of its own.
pub(in crate::dispatcher) type Members = SmallVec<[EntryId; 2]>;

/// The messages of one request, and what its failure or success leads to.
#[derive(Clone, Debug, Default)]
pub(in crate::dispatcher) struct Batch {
    /// In the order of the body.
    pub(in crate::dispatcher) members: Members,
    /// The other parts of the batch that it was split from, the next one last; they follow one after the other, which
    /// keeps their order.
    rest: Vec<Part>,
    /// Must be repeated with the same members: the server may know it.
    frozen: bool,
    /// The body, if gathering has made it already.
    body: Option<Bytes>,
}

/// A part of a split batch that waits for its turn.
#[derive(Clone, Debug)]
struct Part {
    members: Members,
    /// The batch that it is half of was refused for one message's fault: if the other half passes, the fault is here.
    at_fault_if_reached: bool,
}

impl Batch {
    pub(in crate::dispatcher) fn of(members: Members) -> Self {
        Self { members, ..Self::default() }
    }

    pub(in crate::dispatcher) fn of_one(entry_id: EntryId) -> Self {
        Self::of(smallvec![entry_id])
    }

    /// How many messages travel in it: `batch.maxMessages` bounds them.
    pub(in crate::dispatcher) fn size(&self) -> u32 {
        match u32::try_from(self.members.len()) {
            Ok(size) => size,
            Err(_) => unreachable!("a batch of {} messages", self.members.len()),
        }
    }

    /// Whether it travels as it is, rather than its members each by their lane.
    pub(in crate::dispatcher) fn is_bound(&self) -> bool {
        self.frozen || !self.rest.is_empty()
    }

    pub(in crate::dispatcher) fn with_body(self, body: Vec<u8>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    /// For its first request alone: later ones may have other members.
    pub(in crate::dispatcher) fn take_body(&mut self) -> Option<Bytes> {
        self.body.take()
    }

    /// Whether the server may know it as it is, so that no message may leave it.
    pub(in crate::dispatcher) fn is_frozen(&self) -> bool {
        self.frozen
    }

    pub(in crate::dispatcher) fn freeze(mut self) -> Self {
        self.frozen = true;
        self
    }

    /// Halves a refused batch: the first half goes now, the second after it. `one_is_at_fault` when the refusal was
    /// about a message's content rather than the batch's size.
    pub(in crate::dispatcher) fn split(mut self, one_is_at_fault: bool) -> Self {
        // The fault is in this part, so it says nothing about the parts behind it any more.
        self.rest.iter_mut().for_each(|part| part.at_fault_if_reached = false);
        self.halve(one_is_at_fault);
        self
    }

    /// The message at fault was found, alone: what is left of the batch is probably sound, and travels together again.
    pub(in crate::dispatcher) fn reunite(mut self) -> Self {
        let members: Members = self.rest.drain(..).rev().flat_map(|part| part.members).collect();
        if !members.is_empty() {
            self.rest.push(Part { members, at_fault_if_reached: false });
        }
        self
    }

    /// How many messages are in the parts that follow.
    pub(in crate::dispatcher) fn following(&self) -> usize {
        self.rest.iter().map(|part| part.members.len()).sum()
    }

    /// All messages in it, the parts that follow included.
    pub(in crate::dispatcher) fn all(&self) -> impl Iterator<Item = EntryId> {
        self.members.iter().chain(self.rest.iter().rev().flat_map(|part| &part.members)).copied()
    }

    /// Takes a message out that waits in it; not one that the server may know as a member of this batch.
    pub(in crate::dispatcher) fn remove(&mut self, entry_id: EntryId) -> bool {
        let own = if self.frozen { None } else { Some(&mut self.members) };
        let mut lists = own.into_iter().chain(self.rest.iter_mut().map(|part| &mut part.members));
        lists.any(|members| {
            let before = members.len();
            members.retain(|other| *other != entry_id);
            members.len() < before
        })
    }

    /// The messages of the parts that follow.
    pub(in crate::dispatcher) fn into_rest(self) -> Vec<EntryId> {
        self.rest.into_iter().rev().flat_map(|part| part.members).collect()
    }

    fn halve(&mut self, one_is_at_fault: bool) {
        let second = self.members.drain(self.members.len().div_ceil(2)..).collect();
        self.rest.push(Part { members: second, at_fault_if_reached: one_is_at_fault });
        self.frozen = false;
    }

    /// The part that follows when all members are settled. A part that is known to hold the fault is halved without
    /// asking.
    pub(in crate::dispatcher) fn next(mut self) -> Option<Self> {
        let part = self.rest.pop()?;
        if part.members.is_empty() {
            return self.next();
        }
        self.members = part.members;
        self.frozen = false;
        if part.at_fault_if_reached && self.members.len() > 1 {
            self.halve(true);
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Sends a batch to a server that refuses whatever holds a poison: requests made, and the order of all that passed
    /// or was found at fault alone.
    fn deliver(count: u32, poison: &BTreeSet<u32>) -> (usize, Vec<u32>) {
        let mut requests = 0;
        let mut settled = Vec::new();
        let mut next = Some(Batch::of((0..count).collect()));
        while let Some(batch) = next {
            requests += 1;
            let refused = batch.members.iter().any(|entry_id| poison.contains(entry_id));
            next = if refused && batch.members.len() > 1 {
                Some(batch.split(true))
            } else if refused {
                settled.extend(&batch.members);
                batch.reunite().next()
            } else {
                settled.extend(&batch.members);
                batch.next()
            };
        }
        (requests, settled)
    }

    #[test]
    fn one_poison_among_n_costs_at_most_twice_the_logarithm_and_two() {
        for count in 2..200_u32 {
            for poison in 0..count {
                let (requests, settled) = deliver(count, &BTreeSet::from([poison]));
                assert!(requests as f64 <= 2.0 * f64::from(count).log2() + 2.0, "{poison} of {count}: {requests}");
                assert_eq!(settled, (0..count).collect::<Vec<_>>());
            }
        }
    }

    proptest! {
        #[test]
        fn every_message_ends_once_and_in_order(count in 1..64_u32, poison in proptest::collection::btree_set(0..64_u32, 0..64)) {
            let (_, settled) = deliver(count, &poison);
            prop_assert_eq!(settled, (0..count).collect::<Vec<_>>());
        }
    }
}
