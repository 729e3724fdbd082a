//! Exponential backoff with full jitter
//! (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>): evenly between a floor and a ceiling
//! that doubles.

use std::ops::Range;
use std::time::Duration;

use crate::random::Random;

/// `floor ..= min(cap, base · 2^n)`.
///
/// ```
/// use std::time::Duration;
/// use spillway_core::{random::Random, retry::Backoff};
///
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(200), Duration::from_secs(30));
/// let wait = backoff.wait(3, &mut Random::from_seed(1));
/// assert!((Duration::from_millis(100)..=Duration::from_millis(800)).contains(&wait));
/// ```
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
        random.between(self.floor, self.ceiling(failures))
    }

    /// No wait after the `failures`-th failure in a row is longer.
    pub fn longest(&self, failures: u32) -> Duration {
        self.ceiling(failures).max(self.floor)
    }

    /// How long the waits after each of these failures in a row take together on average.
    pub fn usual(&self, failures: Range<u32>) -> Duration {
        failures.map(|failures| (self.floor + self.ceiling(failures).max(self.floor)) / 2).sum()
    }

    fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }
}

/// `min(cap, base · 2^n)`, and up to a twentieth more, so that hosts that began together drift apart. For waits whose
/// sum counts: with full jitter some are short.
///
/// ```
/// use std::time::Duration;
/// use spillway_core::{random::Random, retry::Doubling};
///
/// let backoff = Doubling::new(Duration::from_secs(1), Duration::from_secs(120));
/// let wait = backoff.wait(3, &mut Random::from_seed(1));
/// assert!(wait >= Duration::from_secs(4) && wait <= backoff.longest(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubling {
    base: Duration,
    cap: Duration,
}

impl Doubling {
    /// From `base` to `cap`.
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap }
    }

    /// The wait after the `failures`-th failure in a row (1 for the first).
    pub fn wait(&self, failures: u32, random: &mut Random) -> Duration {
        random.between(self.span(failures), self.longest(failures))
    }

    /// No wait after the `failures`-th failure in a row is longer.
    pub fn longest(&self, failures: u32) -> Duration {
        self.span(failures) + self.span(failures) / 20
    }

    fn span(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
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

    #[test]
    fn doubles_up_to_its_cap() {
        let doubling = Doubling::new(Duration::from_secs(1), Duration::from_secs(10));
        let mut random = Random::from_seed(1);
        for (failures, seconds) in [(0, 1.0), (1, 1.0), (2, 2.0), (4, 8.0), (5, 10.0), (u32::MAX, 10.0)] {
            let wait = doubling.wait(failures, &mut random).as_secs_f64();
            assert!((seconds..=seconds * 1.05).contains(&wait), "{failures}: {wait}");
            assert!(wait <= doubling.longest(failures).as_secs_f64(), "{failures}: {wait}");
        }
    }
}
