//! Messages that went to a place inside their lane, rather than to its end: those that came back from a time of their
//! own. A lane without order may have any number of them, and a walk from its head to the place of each would take
//! longer the more there are.

use std::collections::BTreeMap;

use super::{LaneId, Slot};

/// Where they wait, by lane and number.
#[derive(Debug, Default)]
pub(super) struct Returned(BTreeMap<(LaneId, u64), Slot>);

impl Returned {
    pub(super) fn insert(&mut self, lane: LaneId, seq: u64, slot: Slot) {
        self.0.insert((lane, seq), slot);
    }

    /// A message leaves its lane; most were never among these.
    pub(super) fn remove(&mut self, lane: LaneId, seq: u64) {
        if !self.0.is_empty() {
            self.0.remove(&(lane, seq));
        }
    }

    /// The last of them before this number: the place is behind it.
    pub(super) fn before(&self, lane: LaneId, seq: u64) -> Option<Slot> {
        self.0.range((lane, 0)..(lane, seq)).next_back().map(|(_, slot)| *slot)
    }
}
