//! Exponential backoff with full jitter
//! (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>): evenly between a floor and a ceiling
//! that doubles.

use std::time::Duration;

use crate::random::Random;

/// `floor ..= min(cap, base · 2^n)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    floor: Duration,
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// A backoff; a cap below the floor counts as the floor.
    pub const fn new(floor: Duration, base: Duration, cap: Duration) -> Self {
        Self { floor, base, cap }
    }

    /// The wait after the `failures`-th failure in a row (1 for the first).
    pub fn wait(&self, failures: u32, random: &mut Random) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = self.base.saturating_mul(1 << doublings).min(self.cap);
        random.between(self.floor, ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_between_floor_and_a_doubling_ceiling() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(200), Duration::from_secs(30));
        let mut random = Random::from_seed(1);
        for failures in 0..1_000_u32 {
            let ceiling = Duration::from_millis(200 << failures.saturating_sub(1).min(20)).min(Duration::from_secs(30));
            let wait = backoff.wait(failures, &mut random);
            assert!(wait >= Duration::from_millis(100) && wait <= ceiling, "{failures}: {wait:?}");
        }
    }
}
