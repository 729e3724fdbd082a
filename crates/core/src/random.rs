//! Chance: the only place of this crate that draws a random number, from one seed.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

/// A seeded source of jitter and of generated ids.
///
/// ```
/// use std::time::Duration;
/// use spillway_core::random::Random;
///
/// let (mut one, mut same) = (Random::from_seed(7), Random::from_seed(7));
/// let second = Duration::from_secs(1);
/// assert_eq!(one.between(Duration::ZERO, second), same.between(Duration::ZERO, second), "a seed replays a run");
/// ```
#[derive(Clone, Debug)]
pub struct Random(SmallRng);

impl Random {
    /// The same seed draws the same numbers.
    pub fn from_seed(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// Seeded by the operating system.
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the system for chance")]
    pub fn from_entropy() -> Self {
        Self(SmallRng::from_os_rng())
    }

    /// Evenly from `low` to `high`, both included; `low` when the bounds are swapped.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        if high <= low {
            return low;
        }
        let span = u64::try_from((high - low).as_micros()).unwrap_or(u64::MAX);
        low + Duration::from_micros(self.0.random_range(0..=span))
    }

    /// A number that a script's double holds exactly: below 2 to the power of 53.
    pub fn draw(&mut self) -> u64 {
        self.0.next_u64() >> 11
    }

    /// A version 7 UUID: sorts by time, which keeps generated message ids in the order of their acceptance.
    pub fn message_id(&mut self, epoch_ms: u64) -> Box<str> {
        let mut bytes = [0; 10];
        self.0.fill_bytes(&mut bytes);
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let id = uuid::Builder::from_unix_timestamp_millis(epoch_ms, &bytes).into_uuid();
        Box::from(&*id.hyphenated().encode_lower(&mut text))
    }
}
