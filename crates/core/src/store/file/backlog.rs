//! Changes that are handed over and not durable yet, and their numbers.

use std::collections::VecDeque;

use crate::lanes::EntryId;
use crate::store::{Change, Record, Seq};

/// What a transaction has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) changes: usize,
    /// Of bodies.
    pub(super) bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { changes: 8_192, bytes: 16 * 1_048_576 }
    }
}

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

    /// The first `count` changes.
    pub(super) fn first(&self, count: usize) -> impl Iterator<Item = &Change> + Clone {
        self.changes.iter().take(count).map(|(_, change)| change)
    }

    /// How many changes go into the next transaction, and what they leave of its room: as much of what was handed over
    /// together as fits, but nothing more once it is `share` changes. The first of it goes in anyway where it
    /// `is_first` of all, or it never would.
    pub(super) fn fitting(&self, room: Room, share: usize, is_first: bool) -> (usize, Room) {
        let (mut count, mut bytes) = (0_usize, 0_usize);
        let (mut fits, mut left) = (0, room);
        let mut changes = self.changes.iter().peekable();
        for end in &self.ends {
            while let Some((_, change)) = changes.next_if(|(number, _)| number <= end) {
                count += 1;
                bytes += insertion(change).map_or(0, |(_, record)| record.message.body().len());
            }
            let goes_anyway = fits == 0 && is_first;
            let changes_max = if fits == 0 { room.changes } else { room.changes.min(share) };
            if (count > changes_max || bytes > room.bytes) && !goes_anyway {
                break;
            }
            fits = count;
            left = Room { changes: room.changes.saturating_sub(count), bytes: room.bytes.saturating_sub(bytes) };
        }
        (fits, left)
    }

    /// The first `count` are durable: the entry ids of the inserts among them.
    pub(super) fn finish(&mut self, count: usize) -> Vec<EntryId> {
        let finished: Vec<_> = self.changes.drain(..count).collect();
        self.forget_ends();
        finished.iter().filter_map(|(_, change)| insertion(change).map(|(entry_id, _)| entry_id)).collect()
    }

    fn forget_ends(&mut self) {
        let done = self.done();
        while self.ends.front().is_some_and(|end| *end <= done) {
            self.ends.pop_front();
        }
    }

    /// Takes all inserts out, which counts them as done. A redrive stays: its message was accepted long ago.
    pub(super) fn refuse_inserts(&mut self) -> Vec<EntryId> {
        let mut refused = Vec::new();
        self.changes.retain(|(_, change)| match change {
            Change::Insert { entry_id, .. } => {
                refused.push(*entry_id);
                false
            }
            _ => true,
        });
        self.forget_ends();
        refused
    }
}

/// The message that a change brings in, and the engine's place for it.
pub(super) fn insertion(change: &Change) -> Option<(EntryId, &Record)> {
    match change {
        Change::Insert { entry_id, record } | Change::Redrive { entry_id, record } => Some((*entry_id, record)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::message::{Message, Parts};

    /// Each is as many inserts as its number says, handed over together.
    fn backlog(groups: &[u64]) -> Backlog {
        let (mut backlog, mut seq) = (Backlog::default(), 0);
        for count in groups {
            let insert = |_| {
                seq += 1;
                let parts = Parts { id: &seq.to_string(), body: "12345678", ..Parts::default() };
                let record = Record::new(seq, Message::new(parts).unwrap(), Timestamp::from_micros(0));
                Change::Insert { entry_id: 0, record: Box::new(record) }
            };
            backlog.push((0..*count).map(insert).collect());
        }
        backlog
    }

    fn fitting(groups: &[u64], changes: usize, share: usize, is_first: bool) -> usize {
        backlog(groups).fitting(Room { changes, bytes: 1_000 }, share, is_first).0
    }

    #[test]
    fn what_was_handed_over_together_is_written_together() {
        assert_eq!(fitting(&[2, 3, 4], 100, 100, true), 9);
        assert_eq!(fitting(&[2, 3, 4], 8, 100, true), 5, "the third doesn't fit");
        assert_eq!(fitting(&[2, 3, 4], 100, 4, true), 2, "nor does the second into a share");
        assert_eq!((fitting(&[200], 8, 4, true), fitting(&[200], 8, 4, false)), (200, 0), "it goes when it is first");
        assert_eq!(fitting(&[9, 1], 10, 4, false), 9, "more than a share goes as one, if there is room");
        let (count, left) = backlog(&[2]).fitting(Room { changes: 10, bytes: 20 }, 10, false);
        assert_eq!((count, left), (2, Room { changes: 8, bytes: 4 }));
        let (count, left) = backlog(&[2, 1]).fitting(Room { changes: 10, bytes: 20 }, 10, false);
        assert_eq!((count, left), (2, Room { changes: 8, bytes: 4 }), "bytes are bounded, too");
    }

    #[test]
    fn what_was_refused_holds_nothing_up() {
        let mut backlog = backlog(&[3]);
        backlog.push(vec![Change::DropLetter { id: "a".into() }]);
        assert_eq!(backlog.refuse_inserts().len(), 3);
        assert_eq!((backlog.done(), backlog.fitting(Room::default(), 1, false).0), (3, 1));
        assert!(backlog.finish(1).is_empty() && backlog.is_empty() && backlog.done() == 4);
    }
}
