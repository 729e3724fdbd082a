//! What counts of a run, and what it is measured by.

use super::case::Case;

/// What a run reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub goodput: f64,
    /// Of the requests after the warm-up.
    pub refused: f64,
    pub requests: u64,
    /// Requests of others that got through, of those that came.
    pub others: f64,
    /// How long 99 in 100 messages of late conversations took at most, in seconds.
    pub late_s: f64,
}

/// Goodput leaves out the warm-up, and the time to settle after each change. Refusals leave out the warm-up alone:
/// those that a change costs are what their bar is for.
#[derive(Debug)]
pub struct Score {
    warm_us: u64,
    settle_us: u64,
    per_us: u64,
    /// The quota in force, and since when; none is settled before its first change.
    quota: u64,
    changed_us: Option<u64>,
    counted_to_us: u64,
    delivered: u64,
    requests: u64,
    refused: u64,
    late_us: Vec<u64>,
    /// What the quotas in force would have let through.
    due: f64,
}

impl Score {
    pub fn new(case: &Case) -> Self {
        Self {
            warm_us: case.warm_ms * 1_000,
            settle_us: case.settle_ms * 1_000,
            per_us: case.per_ms * 1_000,
            quota: case.requests,
            changed_us: None,
            counted_to_us: 0,
            delivered: 0,
            requests: 0,
            refused: 0,
            late_us: Vec::new(),
            due: 0.0,
        }
    }

    /// From here on deliveries count.
    fn settled_us(&self) -> u64 {
        self.changed_us.map_or(self.warm_us, |changed_us| self.warm_us.max(changed_us + self.settle_us))
    }

    pub fn sent(&mut self, now_us: u64) {
        self.requests += u64::from(now_us >= self.warm_us);
    }

    pub fn refused(&mut self, now_us: u64) {
        self.refused += u64::from(now_us >= self.warm_us);
    }

    pub fn delivered(&mut self, now_us: u64) {
        self.delivered += u64::from(now_us >= self.settled_us());
    }

    /// One of a late conversation was delivered.
    pub fn late(&mut self, since_us: u64, now_us: u64) {
        if since_us >= self.warm_us {
            self.late_us.push(now_us - since_us);
        }
    }

    pub fn changed(&mut self, now_us: u64, requests: u64) {
        self.count_to(now_us);
        (self.quota, self.changed_us) = (requests, Some(now_us));
    }

    fn count_to(&mut self, now_us: u64) {
        let from_us = self.counted_to_us.max(self.settled_us());
        self.due += now_us.saturating_sub(from_us) as f64 / self.per_us as f64 * self.quota as f64;
        self.counted_to_us = now_us;
    }

    pub fn end(mut self, case: &Case) -> Outcome {
        self.count_to(case.run_ms * 1_000);
        Outcome {
            goodput: self.delivered as f64 / self.due,
            refused: self.refused as f64 / self.requests.max(1) as f64,
            requests: self.requests,
            others: self.others(case),
            late_s: self.late_s(),
        }
    }

    fn late_s(&mut self) -> f64 {
        self.late_us.sort_unstable();
        let longest = self.late_us.get(self.late_us.len() * 99 / 100);
        longest.map_or(0.0, |us| *us as f64 / 1e6)
    }

    /// What of the others' demand was left to them, as far as that can be told from outside: all that we haven't taken.
    fn others(&self, case: &Case) -> f64 {
        let others = &case.server["others"];
        let (Some(requests), Some(per_ms)) = (others["requests"].as_f64(), others["perMs"].as_f64()) else {
            return 1.0;
        };
        let demand = requests / per_ms * case.per_ms as f64;
        let windows = self.due / case.requests as f64;
        ((case.requests as f64 + demand) * windows - self.delivered as f64).min(demand * windows) / (demand * windows)
    }
}
