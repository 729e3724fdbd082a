//! Ids of settled messages, remembered for a bounded time and in a bounded number.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::clock::Timestamp;

/// How many ids are remembered at most; the oldest go first. About 100 MB when full.
const IDS_MAX: usize = 1_000_000;

/// What is remembered of a delivered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) status: u16,
    pub(super) attempts: u32,
    settled_at: Timestamp,
}

/// Ids by two independent 64-bit hashes: a million texts would cost far more, and a mix-up takes a 128-bit collision.
#[derive(Debug)]
pub(super) struct Recent {
    keep: Duration,
    hashers: (RandomState, RandomState),
    ids: HashMap<u128, Memory>,
    by_age: VecDeque<u128>,
}

impl Recent {
    pub(super) fn new(keep: Duration) -> Self {
        let hashers = (RandomState::new(), RandomState::new());
        Self { keep, hashers, ids: HashMap::new(), by_age: VecDeque::new() }
    }

    pub(super) fn remember(&mut self, now: Timestamp, id: &str, status: u16, attempts: u32) {
        if self.keep.is_zero() {
            return;
        }
        let memory = Memory { status, attempts, settled_at: now };
        let key = self.key(id);
        if let MapEntry::Vacant(vacant) = self.ids.entry(key) {
            vacant.insert(memory);
            self.by_age.push_back(key);
        }
        self.forget_old(now);
    }

    pub(super) fn find(&mut self, now: Timestamp, id: &str) -> Option<Memory> {
        self.forget_old(now);
        self.ids.get(&self.key(id)).copied()
    }

    fn forget_old(&mut self, now: Timestamp) {
        while let Some(key) = self.by_age.front() {
            let old = self.ids.get(key).is_none_or(|memory| now.since(memory.settled_at) >= self.keep);
            if !old && self.ids.len() <= IDS_MAX {
                break;
            }
            self.ids.remove(key);
            self.by_age.pop_front();
        }
    }

    fn key(&self, id: &str) -> u128 {
        u128::from(self.hashers.0.hash_one(id)) << 64 | u128::from(self.hashers.1.hash_one(id))
    }
}
