//! A bucket that refills evenly. Its level is counted in whole units, `per_us` of them to a token, so nothing is
//! rounded.

use super::{Rate, Standing};

#[derive(Debug)]
pub(super) struct TokenBucket {
    rate: Rate,
    /// `per_us` units are one token; `requests` units flow in each microsecond.
    level: u128,
    filled_at_us: u64,
}

impl TokenBucket {
    /// A full bucket.
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, level: capacity(rate), filled_at_us: 0 }
    }

    pub(super) fn standing(&mut self, now_us: u64) -> Standing {
        let Rate { requests, per_us } = self.rate;
        let elapsed_us = now_us.saturating_sub(self.filled_at_us);
        self.filled_at_us = self.filled_at_us.max(now_us);
        self.level = (self.level + u128::from(elapsed_us) * u128::from(requests)).min(capacity(self.rate));
        let token = u128::from(per_us);
        let until = |level: u128| level.saturating_sub(self.level).div_ceil(u128::from(requests)) as u64;
        Standing {
            requests,
            per_us,
            remaining: (self.level / token) as u64,
            reset_us: until(capacity(self.rate)),
            wait_us: until(token),
        }
    }

    pub(super) fn spend(&mut self) {
        self.level -= u128::from(self.rate.per_us);
    }
}

fn capacity(rate: Rate) -> u128 {
    u128::from(rate.requests) * u128::from(rate.per_us)
}
