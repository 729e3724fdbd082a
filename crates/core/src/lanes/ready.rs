//! Which lane goes next: by priority, in turn among equals, and now and then a lower one, so that nobody starves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use super::LaneId;
use crate::message::Priority;

/// Every so many turns go to a lower priority that waits.
const TURNS_PER_LOWER: u64 = 16;
/// Stale entries that are put up with beside as many as there are lanes.
const STALE_MAX: usize = 64;

/// Where a lane stands. A queue entry with another stamp is left over from an earlier stand and is skipped.
#[derive(Clone, Copy, Debug, Default)]
struct Stand {
    stamp: u32,
    priority: Option<Priority>,
}

#[derive(Debug, Default)]
pub(super) struct Ready {
    queues: BTreeMap<Reverse<Priority>, VecDeque<(LaneId, u32)>>,
    stands: Vec<Stand>,
    /// Lanes that are ready, and queue entries, stale ones included.
    lanes: usize,
    entries: usize,
    turns: u64,
}

impl Ready {
    /// The lane is ready with this priority: behind its like, or before them.
    pub(super) fn set(&mut self, lane: LaneId, priority: Priority, in_front: bool) {
        let index = lane as usize;
        if index >= self.stands.len() {
            self.stands.resize(index + 1, Stand::default());
        }
        let stand = &mut self.stands[index];
        if stand.priority == Some(priority) && !in_front {
            return;
        }
        self.lanes += usize::from(stand.priority.is_none());
        *stand = Stand { stamp: stand.stamp.wrapping_add(1), priority: Some(priority) };
        self.entries += 1;
        let queue = self.queues.entry(Reverse(priority)).or_default();
        if in_front {
            queue.push_front((lane, stand.stamp));
        } else {
            queue.push_back((lane, stand.stamp));
        }
        if self.entries > 2 * self.lanes + STALE_MAX {
            self.sweep();
        }
    }

    /// Drops all stale entries: aborts during a long pause must not pile them up.
    fn sweep(&mut self) {
        let stands = &self.stands;
        for queue in self.queues.values_mut() {
            queue.retain(|(lane, stamp)| stands[*lane as usize].stamp == *stamp);
        }
        self.entries = self.queues.values().map(VecDeque::len).sum();
    }

    /// The lane isn't ready.
    pub(super) fn clear(&mut self, lane: LaneId) {
        if let Some(stand) = self.stands.get_mut(lane as usize) {
            self.lanes -= usize::from(stand.priority.is_some());
            *stand = Stand { stamp: stand.stamp.wrapping_add(1), priority: None };
        }
    }

    /// How many lanes are ready.
    pub(super) fn len(&self) -> usize {
        self.lanes
    }

    /// All ready lanes, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = LaneId> {
        let entries = self.queues.values().flatten();
        entries.filter(|(lane, stamp)| self.stands[*lane as usize].stamp == *stamp).map(|(lane, _)| *lane)
    }

    /// The lane whose turn it is.
    pub(super) fn peek(&mut self) -> Option<LaneId> {
        let priority = self.choose()?;
        self.queues.get(&priority)?.front().map(|(lane, _)| *lane)
    }

    /// The same, and its turn is over.
    pub(super) fn pop(&mut self) -> Option<LaneId> {
        let priority = self.choose()?;
        let (lane, _) = self.queues.get_mut(&priority)?.pop_front()?;
        self.entries -= 1;
        self.turns = self.turns.wrapping_add(1);
        self.clear(lane);
        Some(lane)
    }

    fn choose(&mut self) -> Option<Reverse<Priority>> {
        let (stands, entries) = (&self.stands, &mut self.entries);
        let mut drop_stale = |queue: &mut VecDeque<(LaneId, u32)>| {
            while queue.front().is_some_and(|(lane, stamp)| stands[*lane as usize].stamp != *stamp) {
                queue.pop_front();
                *entries -= 1;
            }
        };
        // Nearly always all have one priority: then there is nothing to choose, and no map to go through.
        if self.queues.len() == 1 {
            let mut only = self.queues.first_entry()?;
            drop_stale(only.get_mut());
            if only.get().is_empty() {
                only.remove();
                return None;
            }
            return Some(*only.key());
        }
        self.queues.retain(|_, queue| {
            drop_stale(queue);
            !queue.is_empty()
        });
        let lower = self.queues.len() as u64 - u64::from(!self.queues.is_empty());
        let rank = match self.turns % TURNS_PER_LOWER {
            0 if lower > 0 && self.turns > 0 => 1 + (self.turns / TURNS_PER_LOWER) % lower,
            _ => 0,
        };
        self.queues.keys().nth(usize::try_from(rank).unwrap_or(0)).copied()
    }
}
