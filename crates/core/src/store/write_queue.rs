//! Changes on their way to a store, and the order in which they are handed over.
//!
//! A store takes changes one after the other, and a request leaves when its departure is durable. So while requests are
//! sent, a store has few inserts at a time: the others wait here, and all else overtakes them, or no request would
//! leave before the whole of a large backlog is written. Nothing is said of a message before the store has kept it, so
//! what overtakes is never about one of those that wait.

use std::collections::VecDeque;

use super::Change;

/// Inserts that a store has at a time while requests are sent: some milliseconds of its work.
const INSERTS_MAX: usize = 1_024;

/// What is not handed over yet, and how much of what was is neither durable nor refused.
#[derive(Debug)]
pub struct WriteQueue {
    changes: Vec<Change>,
    /// Inserts and redrives.
    inserts: VecDeque<Change>,
    inserts_out: usize,
    inserts_max: usize,
    told: u64,
}

impl Default for WriteQueue {
    fn default() -> Self {
        Self::with(INSERTS_MAX)
    }
}

impl WriteQueue {
    /// One that hands over fewer inserts at a time, so that a small test meets what a large backlog meets; one at
    /// least.
    pub fn with(inserts_max: usize) -> Self {
        Self { changes: Vec::new(), inserts: VecDeque::new(), inserts_out: 0, inserts_max: inserts_max.max(1), told: 0 }
    }

    /// Takes in a change.
    pub fn keep(&mut self, change: Change) {
        match change {
            Change::Insert { .. } | Change::Redrive { .. } => self.inserts.push_back(change),
            _ => {
                self.changes.push(change);
                self.told += 1;
            }
        }
    }

    /// The number, as the store counts, of the last change that came in; those that wait are not counted.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// What is to be handed over now. `sending`: requests are on the wire, and others will follow.
    pub fn take(&mut self, sending: bool) -> Vec<Change> {
        let room = if sending { self.inserts_max.saturating_sub(self.inserts_out) } else { usize::MAX };
        let count = room.min(self.inserts.len());
        self.changes.extend(self.inserts.drain(..count));
        self.inserts_out += count;
        self.told += count as u64;
        std::mem::take(&mut self.changes)
    }

    /// This many inserts are durable or refused.
    pub fn settled(&mut self, inserts: usize) {
        self.inserts_out -= inserts;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::message::{Message, Parts};
    use crate::store::{Flight, Record, Seq};

    fn insert(seq: Seq) -> Change {
        let parts = Parts { id: &seq.to_string(), ..Parts::default() };
        let record = Record::new(seq, Message::new(parts).unwrap(), Timestamp::from_micros(0));
        Change::Insert { entry_id: 0, record: Box::new(record) }
    }

    fn depart() -> Change {
        Change::Depart(Flight::default())
    }

    /// An insert as its number, a departure as 0.
    fn seqs(changes: &[Change]) -> Vec<Seq> {
        changes.iter().map(|change| if let Change::Insert { record, .. } = change { record.seq } else { 0 }).collect()
    }

    fn with_inserts(inserts_max: usize, count: Seq) -> WriteQueue {
        let mut write_queue = WriteQueue::with(inserts_max);
        (1..=count).for_each(|seq| write_queue.keep(insert(seq)));
        write_queue
    }

    #[test]
    fn departures_overtake_inserts_that_wait() {
        let mut write_queue = with_inserts(2, 5);
        assert_eq!(seqs(&write_queue.take(true)), [1, 2]);
        write_queue.keep(depart());
        assert_eq!(write_queue.told(), 3, "counted as the store will");
        assert_eq!(seqs(&write_queue.take(true)), [0]);
        write_queue.settled(1);
        write_queue.keep(depart());
        assert_eq!(seqs(&write_queue.take(true)), [0, 3]);
        assert_eq!(write_queue.told(), 5);
        write_queue.settled(2);
        assert_eq!(seqs(&write_queue.take(true)), [4, 5]);
    }

    #[test]
    fn all_inserts_go_at_once_while_nothing_is_sent() {
        let mut write_queue = with_inserts(2, 5);
        write_queue.keep(depart());
        assert_eq!(seqs(&write_queue.take(false)), [0, 1, 2, 3, 4, 5]);
        write_queue.keep(insert(6));
        assert!(write_queue.take(true).is_empty(), "more are out than it would give");
        write_queue.settled(5);
        assert_eq!(seqs(&write_queue.take(true)), [6]);
    }
}
