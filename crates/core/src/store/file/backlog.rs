//! Changes that are handed over and not durable yet, and their numbers.

use std::collections::VecDeque;

use crate::lanes::Slot;
use crate::store::{Change, Record, Seq};

/// Changes, and bytes of bodies, of one transaction.
const CHANGES_MAX: usize = 8_192;
const BYTES_MAX: usize = 16 * 1_048_576;

#[derive(Debug, Default)]
pub(super) struct Backlog {
    changes: VecDeque<(u64, Change)>,
    /// The numbers with which what was handed over together ends: it is written together, too.
    ends: VecDeque<u64>,
    /// The number of the last one that came in.
    taken: u64,
}

impl Backlog {
    pub(super) fn push(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.taken += 1;
            self.changes.push_back((self.taken, change));
        }
        if self.ends.back().copied().unwrap_or(self.done()) < self.taken {
            self.ends.push_back(self.taken);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// The number of the last one that came in.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The number up to which all are durable, or refused.
    pub(super) fn done(&self) -> u64 {
        self.changes.front().map_or(self.taken, |(number, _)| number - 1)
    }

    /// What goes into the next transaction: as much of what was handed over together as fits, and at least one of it.
    pub(super) fn batch(&self) -> impl Iterator<Item = &Change> + Clone {
        let end = self.batch_end();
        self.changes.iter().take_while(move |(number, _)| *number <= end).map(|(_, change)| change)
    }

    fn batch_end(&self) -> u64 {
        let mut ends = self.ends.iter().copied();
        let mut end = ends.next().unwrap_or(self.taken);
        let (mut count, mut bytes) = (0_usize, 0_usize);
        let mut changes = self.changes.iter().peekable();
        for next in std::iter::once(end).chain(ends) {
            while let Some((_, change)) = changes.next_if(|(number, _)| *number <= next) {
                count += 1;
                bytes += insertion(change).map_or(0, |(_, record)| record.message.body().len());
            }
            if count > CHANGES_MAX || bytes > BYTES_MAX {
                break;
            }
            end = next;
        }
        end
    }

    /// The first `count` are durable: the slots of the inserts among them.
    pub(super) fn finish(&mut self, count: usize) -> Vec<Slot> {
        let finished: Vec<_> = self.changes.drain(..count).collect();
        self.forget_ends();
        finished.iter().filter_map(|(_, change)| insertion(change).map(|(slot, _)| slot)).collect()
    }

    fn forget_ends(&mut self) {
        let done = self.done();
        while self.ends.front().is_some_and(|end| *end <= done) {
            self.ends.pop_front();
        }
    }

    /// Takes all inserts out, which counts them as done. A redrive stays: its message was accepted long ago.
    pub(super) fn refuse_inserts(&mut self) -> Vec<Slot> {
        let mut refused = Vec::new();
        self.changes.retain(|(_, change)| match change {
            Change::Insert { slot, .. } => {
                refused.push(*slot);
                false
            }
            _ => true,
        });
        self.forget_ends();
        refused
    }
}

/// The message that a change brings in, and the engine's place for it.
pub(super) fn insertion(change: &Change) -> Option<(Slot, &Record)> {
    match change {
        Change::Insert { slot, record } | Change::Redrive { slot, record } => Some((*slot, record)),
        _ => None,
    }
}

/// Whether a change takes a message out: its number is then known by nothing else.
pub(super) fn removes(change: &Change) -> Option<Seq> {
    match change {
        Change::Deliver { seq, .. } | Change::Bury { seq, .. } => Some(*seq),
        _ => None,
    }
}
