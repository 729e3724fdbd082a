//! What an earlier run has left on the wire: batches that are to be repeated as they were, and messages that must not
//! be sent again.

use std::collections::BTreeMap;

use crate::lanes::EntryId;
use crate::store::batch_of;

#[derive(Debug, Default)]
pub(in crate::dispatcher) struct EarlierRun {
    /// Messages with this number or a lower one are of an earlier run.
    last_seq: u64,
    /// Members of batches, by their places, until the store has reported all of them.
    members: BTreeMap<u64, Vec<EntryId>>,
    /// Messages that were on the wire and must not be sent again, in the order of acceptance. Empty once the store has
    /// reported everything.
    unanswered: Vec<EntryId>,
}

impl EarlierRun {
    /// It accepted nothing after the message with this number.
    pub(in crate::dispatcher) fn ended_at(&mut self, last_seq: u64) {
        self.last_seq = last_seq;
    }

    /// Whether it accepted the message with this number.
    pub(in crate::dispatcher) fn accepted(&self, seq: u64) -> bool {
        seq <= self.last_seq
    }

    /// A member of a batch that was on the wire, or was to be repeated; `place` says of which batch, and where in it.
    pub(in crate::dispatcher) fn add_member(&mut self, place: u64, entry_id: EntryId) {
        self.members.entry(place).or_default().push(entry_id);
    }

    /// Members of batches that are not put together again yet.
    pub(in crate::dispatcher) fn members(&self) -> usize {
        self.members.values().map(Vec::len).sum()
    }

    /// The members of each batch, in the order of its body.
    pub(in crate::dispatcher) fn take_batches(&mut self) -> Vec<Vec<EntryId>> {
        let mut batches: BTreeMap<u64, Vec<EntryId>> = BTreeMap::new();
        for (place, entry_ids) in std::mem::take(&mut self.members) {
            batches.entry(batch_of(place)).or_default().extend(entry_ids);
        }
        batches.into_values().collect()
    }

    pub(in crate::dispatcher) fn add_unanswered(&mut self, entry_id: EntryId) {
        self.unanswered.push(entry_id);
    }

    pub(in crate::dispatcher) fn is_unanswered(&self, entry_id: EntryId) -> bool {
        self.unanswered.contains(&entry_id)
    }

    pub(in crate::dispatcher) fn take_unanswered(&mut self) -> Vec<EntryId> {
        std::mem::take(&mut self.unanswered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::batch_number;

    #[test]
    fn batches_come_back_in_the_order_of_their_bodies_however_they_are_reported() {
        let mut run = EarlierRun::default();
        for (first, place, entry_id) in [(7, 1, 31), (2, 0, 10), (7, 0, 30), (2, 1, 11)] {
            run.add_member(batch_number(first, place), entry_id);
        }
        assert_eq!(run.members(), 4);
        assert_eq!(run.take_batches(), [vec![10, 11], vec![30, 31]]);
        assert_eq!((run.members(), run.take_batches().len()), (0, 0), "they are taken once");
    }

    #[test]
    fn its_last_message_is_its_own_and_the_next_one_is_not() {
        let mut run = EarlierRun::default();
        assert!(!run.accepted(1), "there was none");
        run.ended_at(5);
        assert!(run.accepted(5) && !run.accepted(6));
    }
}
