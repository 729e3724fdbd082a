//! Foreign requests on the organization's quota: the UI, another integration.

use crate::config::Others;

/// The most foreign requests that are caught up with at once; of a longer silence the oldest are left out.
const CATCH_UP_MAX: u64 = 1_000_000;

/// Bursts of foreign requests, evenly spread, spent only when somebody looks.
#[derive(Debug)]
pub(crate) struct ForeignTraffic {
    others: Others,
    start_us: u64,
    /// The number of the next burst, from 0.
    next: u64,
}

impl ForeignTraffic {
    /// The first burst comes at once.
    pub(crate) fn new(others: Others, start_us: u64) -> Self {
        Self { others, start_us, next: 0 }
    }

    pub(crate) fn others(&self) -> Others {
        self.others
    }

    /// Calls `arrive` with the time of each foreign request up to now, oldest first.
    pub(crate) fn catch_up(&mut self, now_us: u64, mut arrive: impl FnMut(u64)) {
        let Others { requests, per_us, burst } = self.others;
        let interval = u128::from(per_us) * u128::from(burst);
        let Some(elapsed_us) = now_us.checked_sub(self.start_us) else { return };
        // Burst k comes at start + k · interval / requests, so the last one up to now is:
        let last = (u128::from(elapsed_us) * u128::from(requests) / interval) as u64;
        self.next = self.next.max((last + 1).saturating_sub(CATCH_UP_MAX / burst));
        while self.next <= last {
            let at_us = self.start_us + (u128::from(self.next) * interval).div_ceil(u128::from(requests)) as u64;
            (0..burst).for_each(|_| arrive(at_us));
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(others: Others, looks: &[u64]) -> Vec<u64> {
        let mut traffic = ForeignTraffic::new(others, 100);
        let mut times = Vec::new();
        looks.iter().for_each(|now_us| traffic.catch_up(*now_us, |at| times.push(at)));
        times
    }

    #[test]
    fn evenly_in_bursts_however_often_one_looks() {
        let others = Others { requests: 3, per_us: 1_000, burst: 2 };
        let expected = [100, 100, 767, 767, 1_434, 1_434, 2_100, 2_100];
        assert_eq!(times(others, &[2_100]), expected);
        assert_eq!(times(others, &[50, 100, 100, 766, 767, 2_000, 2_100]), expected);
    }

    #[test]
    fn a_long_silence_is_bounded() {
        let others = Others { requests: 1_000, per_us: 1_000, burst: 1 };
        assert_eq!(times(others, &[1_000_000_000]).len() as u64, CATCH_UP_MAX);
    }
}
