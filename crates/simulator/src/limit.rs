//! Quotas without a clock: `now_us` goes in, what is left comes out.

mod fixed_window;
mod opened_window;
mod sliding_log;
#[cfg(test)]
mod tests;
mod token_bucket;

use crate::config::{Algorithm, Quota};
use fixed_window::FixedWindow;
use opened_window::OpenedWindow;
use sliding_log::SlidingLog;
use token_bucket::TokenBucket;

/// How a quota stands at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The quota's requests.
    pub requests: u64,
    /// The quota's window in microseconds.
    pub per_us: u64,
    /// How many requests would pass now.
    pub remaining: u64,
    /// Microseconds until more is to be spent (windows, sliding log) or all is (token bucket).
    pub reset_us: u64,
    /// Microseconds until a request would pass; 0 when one would now.
    pub wait_us: u64,
}

/// A quota without its algorithm and its name.
#[derive(Clone, Copy, Debug)]
struct Rate {
    requests: u64,
    per_us: u64,
}

/// One quota with what has been spent of it.
#[derive(Debug)]
enum Counter {
    FixedWindow(FixedWindow),
    OpenedWindow(OpenedWindow),
    SlidingLog(SlidingLog),
    TokenBucket(TokenBucket),
}

impl Counter {
    fn new(quota: &Quota) -> Self {
        let rate = Rate { requests: quota.requests, per_us: quota.per_us };
        match quota.algorithm {
            Algorithm::FixedWindow => Self::FixedWindow(FixedWindow::new(rate)),
            Algorithm::OpenedWindow => Self::OpenedWindow(OpenedWindow::new(rate)),
            Algorithm::SlidingLog => Self::SlidingLog(SlidingLog::new(rate)),
            Algorithm::TokenBucket => Self::TokenBucket(TokenBucket::new(rate)),
        }
    }

    fn standing(&mut self, now_us: u64) -> Standing {
        match self {
            Self::FixedWindow(counter) => counter.standing(now_us),
            Self::OpenedWindow(counter) => counter.standing(now_us),
            Self::SlidingLog(counter) => counter.standing(now_us),
            Self::TokenBucket(counter) => counter.standing(now_us),
        }
    }

    fn spend(&mut self, now_us: u64) {
        match self {
            Self::FixedWindow(counter) => counter.spend(),
            Self::OpenedWindow(counter) => counter.spend(now_us),
            Self::SlidingLog(counter) => counter.spend(now_us),
            Self::TokenBucket(counter) => counter.spend(),
        }
    }
}

/// Several quotas that all hold. A request that one of them refuses spends none of them.
///
/// Times must not go back from one call to the next.
#[derive(Debug, Default)]
pub struct Limit {
    counters: Vec<Counter>,
}

impl Limit {
    /// With nothing spent.
    pub fn new(quotas: &[Quota]) -> Self {
        Self { counters: quotas.iter().map(Counter::new).collect() }
    }

    /// Microseconds until a request would pass; 0 when one would now.
    pub fn wait_us(&mut self, now_us: u64) -> u64 {
        self.counters.iter_mut().map(|counter| counter.standing(now_us).wait_us).max().unwrap_or(0)
    }

    /// Lets a request pass. Only for one that needn't wait.
    fn spend(&mut self, now_us: u64) {
        for counter in &mut self.counters {
            counter.spend(now_us);
        }
    }

    /// One request on this limit alone: whether it passes.
    pub fn arrive(&mut self, now_us: u64) -> bool {
        decide(&mut [self], now_us).wait_us == 0
    }
}

/// What the limits say to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// 0: it passes. Otherwise it is refused, and one would pass in this many microseconds.
    pub wait_us: u64,
    /// How each quota stands after the request, in the order of the configuration.
    pub standings: Vec<Standing>,
}

impl Decision {
    /// Which quota refuses: that with the longest wait.
    pub(crate) fn refusing(&self) -> Option<usize> {
        let longest = self.standings.iter().map(|standing| standing.wait_us).max()?;
        self.standings.iter().position(|standing| standing.wait_us == longest && longest > 0)
    }

    /// The quota that will be used up first: the least remaining, the longest reset among equals.
    pub fn tightest(&self) -> Option<&Standing> {
        self.standings.iter().min_by_key(|standing| (standing.remaining, u64::MAX - standing.reset_us))
    }
}

/// One request on several limits, all of which hold: it spends all of them or, when refused, none.
pub fn decide(limits: &mut [&mut Limit], now_us: u64) -> Decision {
    let wait_us = limits.iter_mut().map(|limit| limit.wait_us(now_us)).max().unwrap_or(0);
    if wait_us == 0 {
        limits.iter_mut().for_each(|limit| limit.spend(now_us));
    }
    let counters = limits.iter_mut().flat_map(|limit| &mut limit.counters);
    Decision { wait_us, standings: counters.map(|counter| counter.standing(now_us)).collect() }
}
