//! Messages that were put back inside their lane instead of at its end, such as those whose scheduled time has come. An
//! unordered lane may hold any number of them, and finding each one's place by walking from the head would make putting
//! them back quadratic.

use std::collections::BTreeMap;

use super::{EntryId, LaneId};

/// Their entries, by lane and sequence number.
#[derive(Debug, Default)]
pub(super) struct Returned(BTreeMap<(LaneId, u64), EntryId>);

impl Returned {
    pub(super) fn insert(&mut self, lane: LaneId, seq: u64, entry_id: EntryId) {
        self.0.insert((lane, seq), entry_id);
    }

    /// A message leaves its lane. Most were never put back.
    pub(super) fn remove(&mut self, lane: LaneId, seq: u64) {
        if !self.0.is_empty() {
            self.0.remove(&(lane, seq));
        }
    }

    /// The last of them before this sequence number: the new message belongs behind it.
    pub(super) fn before(&self, lane: LaneId, seq: u64) -> Option<EntryId> {
        self.0.range((lane, 0)..(lane, seq)).next_back().map(|(_, entry_id)| *entry_id)
    }
}
