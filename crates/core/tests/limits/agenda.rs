//! What happens later, in order; at one moment, in the order of planning.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

struct Planned<T> {
    key: Reverse<(u64, u64)>,
    what: T,
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Planned<T> {}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Planned<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

pub struct Agenda<T> {
    planned: BinaryHeap<Planned<T>>,
    count: u64,
}

impl<T> Agenda<T> {
    pub fn new() -> Self {
        Self { planned: BinaryHeap::new(), count: 0 }
    }

    pub fn add(&mut self, at_us: u64, what: T) {
        self.count += 1;
        self.planned.push(Planned { key: Reverse((at_us, self.count)), what });
    }

    pub fn next_us(&self) -> Option<u64> {
        self.planned.peek().map(|planned| planned.key.0.0)
    }

    pub fn pop_due(&mut self, now_us: u64) -> Option<T> {
        if self.next_us()? > now_us {
            return None;
        }
        self.planned.pop().map(|planned| planned.what)
    }
}
