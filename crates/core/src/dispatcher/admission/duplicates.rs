//! Ids of settled messages, remembered for a bounded time and in a bounded number.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::table::Table;

/// How many ids are remembered at most; the oldest go first. About 100 MB when full.
const IDS_MAX: usize = 1_000_000;
/// How many are forgotten at a time: after an hour of rest a million may be due together.
const FORGOTTEN_AT_ONCE: usize = 64;

/// What is remembered of a delivered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) struct Memory {
    pub(in crate::dispatcher) status: u16,
    pub(in crate::dispatcher) attempts: u32,
    settled_at: Timestamp,
}

/// Ids by two independent 64-bit hashes: a million texts would cost far more, and a mix-up takes a 128-bit collision.
#[derive(Debug)]
pub(in crate::dispatcher) struct Recent {
    keep: Duration,
    hashers: (RandomState, RandomState),
    ids: Table<(u128, Memory)>,
    /// With the time of each: an id that was delivered again is here twice.
    by_age: VecDeque<(u128, Timestamp)>,
}

impl Recent {
    pub(in crate::dispatcher) fn new(keep: Duration) -> Self {
        let hashers = (RandomState::new(), RandomState::new());
        Self { keep, hashers, ids: Table::default(), by_age: VecDeque::new() }
    }

    /// `max` ids are remembered at most, the oldest go first.
    pub(in crate::dispatcher) fn remember(&mut self, now: Timestamp, id: &str, status: u16, attempts: u32, max: usize) {
        if self.keep.is_zero() {
            return;
        }
        let memory = Memory { status, attempts, settled_at: now };
        let key = self.key(id);
        if self.get(key).is_some_and(|memory| self.is_old(now, memory.settled_at)) {
            self.ids.remove(hash_of(key), |(other, _)| *other == key);
        }
        if self.get(key).is_none() {
            self.ids.insert(hash_of(key), (key, memory), |(key, _)| hash_of(*key));
            self.by_age.push_back((key, now));
        }
        self.forget_old(now, max.min(IDS_MAX));
    }

    pub(in crate::dispatcher) fn find(&mut self, now: Timestamp, id: &str) -> Option<Memory> {
        self.forget_old(now, IDS_MAX);
        let memory = self.get(self.key(id))?;
        (!self.is_old(now, memory.settled_at)).then_some(memory)
    }

    pub(in crate::dispatcher) fn len(&self) -> usize {
        self.ids.len()
    }

    fn get(&self, key: u128) -> Option<Memory> {
        self.ids.find(hash_of(key), |(other, _)| *other == key).map(|(_, memory)| *memory)
    }

    fn is_old(&self, now: Timestamp, settled_at: Timestamp) -> bool {
        now.since(settled_at) >= self.keep
    }

    fn forget_old(&mut self, now: Timestamp, max: usize) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some((key, settled_at)) = self.by_age.front().copied() else { return };
            if !self.is_old(now, settled_at) && self.ids.len() <= max {
                return;
            }
            self.ids.remove(hash_of(key), |(other, memory)| *other == key && memory.settled_at == settled_at);
            self.by_age.pop_front();
        }
    }

    fn key(&self, id: &str) -> u128 {
        u128::from(self.hashers.0.hash_one(id)) << 64 | u128::from(self.hashers.1.hash_one(id))
    }
}

/// It is one already.
fn hash_of(key: u128) -> u64 {
    key as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_is_unknown_though_it_is_forgotten_a_few_at_a_time() {
        let mut recent = Recent::new(Duration::from_secs(1));
        let start = Timestamp::from_micros(1);
        for number in 0..1_000 {
            recent.remember(start, &format!("m{number}"), 200, 1, usize::MAX);
        }
        let later = start.after(Duration::from_secs(1));
        assert_eq!(recent.find(later, "m999"), None);
        assert_eq!(recent.len(), 1_000 - FORGOTTEN_AT_ONCE);
        recent.remember(later, "m999", 202, 1, usize::MAX);
        assert_eq!(recent.find(later, "m999").map(|memory| memory.status), Some(202), "delivered again");
        while recent.len() > 1 {
            recent.find(later, "other");
        }
        assert!(recent.find(later, "m999").is_some());
    }

    #[test]
    fn beyond_the_limit_the_oldest_is_forgotten() {
        let mut recent = Recent::new(Duration::from_secs(1));
        let now = Timestamp::from_micros(1);
        for number in 0..10 {
            recent.remember(now, &format!("m{number}"), 200, 1, 3);
        }
        let known: Vec<usize> = (0..10).filter(|number| recent.find(now, &format!("m{number}")).is_some()).collect();
        assert_eq!(known, [7, 8, 9]);
    }
}
