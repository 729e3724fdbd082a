//! Windows of one length, each with the whole quota: up to twice the quota passes around an edge.

use super::{Rate, Standing};

#[derive(Debug)]
pub(super) struct FixedWindow {
    rate: Rate,
    /// Which window `spent` belongs to.
    index: u64,
    spent: u64,
}

impl FixedWindow {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, index: 0, spent: 0 }
    }

    pub(super) fn standing(&mut self, now_us: u64) -> Standing {
        let Rate { requests, per_us } = self.rate;
        let index = now_us / per_us;
        if index > self.index {
            (self.index, self.spent) = (index, 0);
        }
        let remaining = requests - self.spent;
        let reset_us = per_us - now_us % per_us;
        Standing { requests, per_us, remaining, reset_us, wait_us: if remaining > 0 { 0 } else { reset_us } }
    }

    pub(super) fn spend(&mut self) {
        self.spent += 1;
    }
}
