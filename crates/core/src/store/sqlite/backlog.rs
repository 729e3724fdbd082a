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
    /// The number of the last one that came in.
    taken: u64,
}

impl Backlog {
    pub(super) fn push(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.taken += 1;
            self.changes.push_back((self.taken, change));
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

    /// What goes into the next transaction.
    pub(super) fn batch(&self) -> impl Iterator<Item = &Change> + Clone {
        let mut bytes = 0_usize;
        self.changes.iter().map(|(_, change)| change).take(CHANGES_MAX).take_while(move |change| {
            let first = bytes == 0;
            bytes += 1 + insertion(change).map_or(0, |(_, record)| record.message.body.len());
            first || bytes <= BYTES_MAX
        })
    }

    /// The first `count` are durable: the slots of the inserts among them.
    pub(super) fn finish(&mut self, count: usize) -> Vec<Slot> {
        self.changes.drain(..count).filter_map(|(_, change)| insertion(&change).map(|(slot, _)| slot)).collect()
    }

    /// Takes all inserts out, which counts them as done.
    pub(super) fn refuse_inserts(&mut self) -> Vec<Slot> {
        let mut refused = Vec::new();
        self.changes.retain(|(_, change)| match insertion(change) {
            Some((slot, _)) => {
                refused.push(slot);
                false
            }
            None => true,
        });
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
