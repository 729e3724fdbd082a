//! Batches that wait as they are, rather than their members each in its lane: those that may go, and those in backoff.

use std::collections::{BTreeMap, VecDeque};

use crate::dispatcher::schedule::batch::Batch;
use crate::lanes::EntryId;

#[derive(Debug, Default)]
pub(in crate::dispatcher) struct BoundBatches {
    /// Those that may go. They go before anything else, since their lanes wait for them.
    ready: VecDeque<Batch>,
    /// Those in backoff, by the number that their timer has.
    parked: BTreeMap<u64, Batch>,
    last_parked: u64,
}

impl BoundBatches {
    /// Goes before all others.
    pub(in crate::dispatcher) fn push_first(&mut self, batch: Batch) {
        debug_assert!(!batch.members.is_empty(), "an empty batch never goes");
        self.ready.push_front(batch);
    }

    pub(in crate::dispatcher) fn push_last(&mut self, batch: Batch) {
        debug_assert!(!batch.members.is_empty(), "an empty batch never goes");
        self.ready.push_back(batch);
    }

    /// The one that goes next.
    pub(in crate::dispatcher) fn first(&self) -> Option<&Batch> {
        self.ready.front()
    }

    /// The message that leads the one that goes next.
    pub(in crate::dispatcher) fn first_member(&self) -> Option<EntryId> {
        self.first()?.members.first().copied()
    }

    pub(in crate::dispatcher) fn take_first(&mut self) -> Option<Batch> {
        self.ready.pop_front()
    }

    /// How many may go.
    pub(in crate::dispatcher) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether any may go.
    pub(in crate::dispatcher) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Keeps one until it is released by the number that this returns.
    pub(in crate::dispatcher) fn park(&mut self, batch: Batch) -> u64 {
        self.last_parked += 1;
        self.parked.insert(self.last_parked, batch);
        self.last_parked
    }

    /// The backoff of this one is over. It may have been disbanded meanwhile.
    pub(in crate::dispatcher) fn release(&mut self, number: u64) {
        self.ready.extend(self.parked.remove(&number));
    }

    pub(in crate::dispatcher) fn iter(&self) -> impl Iterator<Item = &Batch> {
        self.ready.iter().chain(self.parked.values())
    }

    pub(in crate::dispatcher) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Batch> {
        self.ready.iter_mut().chain(self.parked.values_mut())
    }

    /// Takes the batch out that has this message as a member. The timer of one in backoff finds nothing then.
    pub(in crate::dispatcher) fn take_with(&mut self, member: EntryId) -> Batch {
        let has_it = |batch: &Batch| batch.members.contains(&member);
        let found = match self.ready.iter().position(has_it) {
            Some(place) => self.ready.remove(place),
            None => {
                let parked = self.parked.iter().find(|(_, batch)| has_it(batch)).map(|(number, _)| *number);
                parked.and_then(|number| self.parked.remove(&number))
            }
        };
        let Some(batch) = found else { unreachable!("a message that is bound is in a batch") };
        batch
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;

    #[test]
    fn what_is_released_goes_last_and_what_is_put_back_first() {
        let mut bound = BoundBatches::default();
        let later = bound.park(Batch::of_one(1));
        bound.push_last(Batch::of_one(2));
        bound.push_first(Batch::of(smallvec![3, 4]));
        assert_eq!((bound.ready(), bound.first_member()), (2, Some(3)));
        bound.release(later);
        bound.release(later);
        let order: Vec<EntryId> = std::iter::from_fn(|| bound.take_first()).map(|batch| batch.members[0]).collect();
        assert_eq!(order, [3, 2, 1]);
    }

    #[test]
    fn a_batch_is_found_by_a_member_whether_it_may_go_or_is_parked() {
        let mut bound = BoundBatches::default();
        let parked = bound.park(Batch::of(smallvec![1, 2]));
        bound.push_last(Batch::of(smallvec![3, 4]));
        assert_eq!(bound.take_with(4).members[..], [3, 4]);
        assert_eq!(bound.take_with(1).members[..], [1, 2]);
        bound.release(parked);
        assert!(!bound.has_ready(), "it was taken out before");
    }
}
