//! The time of every request of the last window: never more than the quota in any rolling window.

use std::collections::VecDeque;

use super::{Rate, Standing};

#[derive(Debug)]
pub(super) struct SlidingLog {
    rate: Rate,
    /// Oldest first; never longer than the quota.
    spent_at_us: VecDeque<u64>,
}

impl SlidingLog {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, spent_at_us: VecDeque::new() }
    }

    pub(super) fn standing(&mut self, now_us: u64) -> Standing {
        let Rate { requests, per_us } = self.rate;
        while self.spent_at_us.front().is_some_and(|at| at + per_us <= now_us) {
            self.spent_at_us.pop_front();
        }
        let remaining = requests - self.spent_at_us.len() as u64;
        // The next moment at which there is more to spend; with an untouched log there is none, so a whole window.
        let reset_us = self.spent_at_us.front().map_or(per_us, |at| at + per_us - now_us);
        Standing { requests, per_us, remaining, reset_us, wait_us: if remaining > 0 { 0 } else { reset_us } }
    }

    pub(super) fn spend(&mut self, now_us: u64) {
        self.spent_at_us.push_back(now_us);
    }
}
