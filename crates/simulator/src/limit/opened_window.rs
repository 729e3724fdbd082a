//! Windows of one length that open with the first request after the last one has ended; each has the whole quota.

use super::{Rate, Standing};

#[derive(Debug)]
pub(super) struct OpenedWindow {
    rate: Rate,
    /// When the window ends that `spent` belongs to; over, or not open yet, before that has been spent.
    ends_us: u64,
    spent: u64,
}

impl OpenedWindow {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, ends_us: 0, spent: 0 }
    }

    pub(super) fn standing(&mut self, now_us: u64) -> Standing {
        let Rate { requests, per_us } = self.rate;
        if now_us >= self.ends_us {
            self.spent = 0;
        }
        let remaining = requests - self.spent;
        // Nothing runs before the first request: it would have a whole window.
        let reset_us = if self.spent == 0 { per_us } else { self.ends_us - now_us };
        Standing { requests, per_us, remaining, reset_us, wait_us: if remaining > 0 { 0 } else { reset_us } }
    }

    pub(super) fn spend(&mut self, now_us: u64) {
        if self.spent == 0 {
            self.ends_us = now_us + self.rate.per_us;
        }
        self.spent += 1;
    }
}
