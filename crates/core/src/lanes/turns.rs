//! Which lane goes next: by priority, in turn among equals, and now and then a lower one, so that nobody starves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use super::LaneId;
use crate::message::Priority;

/// One turn in this many goes to a lower priority that waits.
const TURNS_PER_LOWER: u64 = 16;
/// Stale entries that are put up with beside as many as there are lanes.
const STALE_MAX: usize = 64;

/// Where a lane stands. A queue entry with another stamp is left over from an earlier stand and is skipped.
#[derive(Clone, Copy, Debug, Default)]
struct Stand {
    stamp: u32,
    priority: Option<Priority>,
}

/// What a ready lane is listed as besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Usual,
    Request,
    /// A conversation that has just become busy.
    Late,
}

type Queues = BTreeMap<Reverse<Priority>, VecDeque<(LaneId, u32)>>;

#[derive(Debug, Default)]
pub(super) struct Turns {
    queues: Queues,
    /// Those of requests once more, so that one is found behind any number of conversations.
    requests: Queues,
    /// Entries of these, stale ones included.
    request_entries: usize,
    /// Those that come late once more; as many entries.
    late: Queues,
    late_entries: usize,
    stands: Vec<Stand>,
    /// Lanes that are ready, and queue entries, stale ones included.
    lanes: usize,
    entries: usize,
    turns: u64,
}

impl Turns {
    /// The lane is ready with this priority: behind its like, or before them.
    pub(super) fn set(&mut self, lane: LaneId, priority: Priority, in_front: bool, kind: Kind) {
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
        let entry = (lane, stand.stamp);
        self.entries += 1;
        add(&mut self.queues, priority, entry, in_front);
        match kind {
            Kind::Usual => {}
            Kind::Request => {
                self.request_entries += 1;
                add(&mut self.requests, priority, entry, in_front);
            }
            Kind::Late => {
                self.late_entries += 1;
                add(&mut self.late, priority, entry, in_front);
            }
        }
        if self.entries.max(self.request_entries).max(self.late_entries) > 2 * self.lanes + STALE_MAX {
            self.sweep();
        }
    }

    /// Drops all stale entries: aborts during a long pause must not pile them up.
    fn sweep(&mut self) {
        let stands = &self.stands;
        let all = self.queues.values_mut().chain(self.requests.values_mut()).chain(self.late.values_mut());
        for queue in all {
            queue.retain(|(lane, stamp)| stands[*lane as usize].stamp == *stamp);
        }
        self.entries = self.queues.values().map(VecDeque::len).sum();
        self.request_entries = self.requests.values().map(VecDeque::len).sum();
        self.late_entries = self.late.values().map(VecDeque::len).sum();
    }

    /// The lane isn't ready.
    pub(super) fn clear(&mut self, lane: LaneId) {
        // One that isn't ready has no entry that is not stale.
        if let Some(stand) = self.stands.get_mut(lane as usize).filter(|stand| stand.priority.is_some()) {
            self.lanes -= 1;
            *stand = Stand { stamp: stand.stamp.wrapping_add(1), priority: None };
        }
    }

    /// How many lanes are ready.
    pub(super) fn len(&self) -> usize {
        self.lanes
    }

    /// All ready lanes in the order in which [`Self::pop`] would give them.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = LaneId> {
        let valid = |(lane, stamp): &&(LaneId, u32)| self.stands[*lane as usize].stamp == *stamp;
        let mut queues: Vec<_> = self.queues.values().map(|queue| queue.iter().filter(valid).peekable()).collect();
        let mut turns = self.turns;
        std::iter::from_fn(move || {
            queues.retain_mut(|queue| queue.peek().is_some());
            let rank = rank(turns, queues.len());
            let (lane, _) = queues.get_mut(rank)?.next()?;
            turns = turns.wrapping_add(1);
            Some(*lane)
        })
    }

    /// All ready lanes, the highest priority first.
    pub(super) fn iter(&self) -> impl Iterator<Item = LaneId> {
        let entries = self.queues.values().flatten();
        entries.filter(|(lane, stamp)| self.stands[*lane as usize].stamp == *stamp).map(|(lane, _)| *lane)
    }

    /// All ready lanes of requests.
    pub(super) fn requests(&self) -> impl Iterator<Item = LaneId> {
        let entries = self.requests.values().flatten();
        entries.filter(|(lane, stamp)| self.stands[*lane as usize].stamp == *stamp).map(|(lane, _)| *lane)
    }

    /// The first lane of a request.
    pub(super) fn peek_request(&mut self) -> Option<LaneId> {
        first(&self.stands, &mut self.requests, &mut self.request_entries).map(|(lane, _)| lane)
    }

    /// The first lane that comes late, and its priority.
    pub(super) fn peek_late(&mut self) -> Option<(LaneId, Priority)> {
        first(&self.stands, &mut self.late, &mut self.late_entries)
    }

    /// The lane whose turn it is.
    pub(super) fn peek(&mut self) -> Option<LaneId> {
        self.choose()?.front().map(|(lane, _)| *lane)
    }

    /// The priority of a lane that is ready.
    pub(super) fn priority(&self, lane: LaneId) -> Option<Priority> {
        self.stands.get(lane as usize).and_then(|stand| stand.priority)
    }

    /// The same, and its turn is over.
    pub(super) fn pop(&mut self) -> Option<LaneId> {
        let (lane, _) = self.choose()?.pop_front()?;
        self.entries -= 1;
        self.turns = self.turns.wrapping_add(1);
        self.clear(lane);
        Some(lane)
    }

    /// The queue whose turn it is: its first lane is ready.
    fn choose(&mut self) -> Option<&mut VecDeque<(LaneId, u32)>> {
        let Self { queues, stands, entries, turns, .. } = self;
        // Nearly always all have one priority: then there is nothing to choose, and no map to go through.
        if queues.len() == 1 {
            let mut only = queues.first_entry()?;
            drop_stale(stands, only.get_mut(), entries);
            if only.get().is_empty() {
                only.remove();
                return None;
            }
            return Some(only.into_mut());
        }
        queues.retain(|_, queue| {
            drop_stale(stands, queue, entries);
            !queue.is_empty()
        });
        let rank = rank(*turns, queues.len());
        queues.values_mut().nth(rank)
    }
}

/// Which of the priorities that wait has this turn; 0 is the highest.
fn rank(turns: u64, priorities: usize) -> usize {
    let lower = (priorities as u64).saturating_sub(1);
    match turns % TURNS_PER_LOWER {
        0 if lower > 0 && turns > 0 => usize::try_from(1 + (turns / TURNS_PER_LOWER) % lower).unwrap_or(0),
        _ => 0,
    }
}

/// The first lane of these, the highest priority's; what is stale before it is dropped.
fn first(stands: &[Stand], queues: &mut Queues, entries: &mut usize) -> Option<(LaneId, Priority)> {
    if queues.is_empty() {
        return None;
    }
    queues.retain(|_, queue| {
        drop_stale(stands, queue, entries);
        !queue.is_empty()
    });
    let (Reverse(priority), queue) = queues.first_key_value()?;
    queue.front().map(|(lane, _)| (*lane, *priority))
}

fn add(queues: &mut Queues, priority: Priority, entry: (LaneId, u32), in_front: bool) {
    let queue = queues.entry(Reverse(priority)).or_default();
    if in_front {
        queue.push_front(entry);
    } else {
        queue.push_back(entry);
    }
}

fn drop_stale(stands: &[Stand], queue: &mut VecDeque<(LaneId, u32)>, entries: &mut usize) {
    while queue.front().is_some_and(|(lane, stamp)| stands[*lane as usize].stamp != *stamp) {
        queue.pop_front();
        *entries -= 1;
    }
}
