//! How long a slot must rest beyond the window, when whole bunches of requests are repeated.
//!
//! A single request arrives anywhere between its sending and its answer, so only a window after the *answer* is safe for
//! its slot. But slots are exchangeable: what the server counts is how many arrived, not which. Of n requests that leave
//! together, arrivals spread over the same stretch as those of the n that leave a window later, and the two spreads differ
//! by about stretch / √n: so much later is enough. The fewer are near, the longer it is, up to the answer itself.

use std::time::Duration;

use super::trail::{Fate, Trail, Trip};
use super::window::GUARD;
use crate::clock::Timestamp;

/// How many times stretch / √n. Of bunches that are repeated with 3.5, one in some thousands overtakes the one before.
const SPREADS: f64 = 3.5;
/// The weight of a new answer in the average, as of TCP's.
const WEIGHT: f64 = 1.0 / 32.0;
const STEADY_WITHIN: f64 = 0.25;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Travel {
    /// Average time between sending and answer, in seconds; 0 before the first.
    mean: f64,
    /// The same, but it only moves when it is far off: slots of one bunch that rested unequally would part.
    steady: f64,
}

impl Travel {
    pub(super) fn took(&mut self, span: Duration) {
        let seconds = span.as_secs_f64();
        self.mean = if self.mean == 0.0 { seconds } else { self.mean + (seconds - self.mean) * WEIGHT };
        if (self.mean - self.steady).abs() > self.steady * STEADY_WITHIN {
            self.steady = self.mean;
        }
    }

    /// Slots that are free again within this time are used together: a bunch that has parted becomes one again.
    pub(super) fn gathering(&self) -> Duration {
        Duration::from_secs_f64(self.steady / 2.0)
    }

    pub(super) fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.steady)
    }

    /// When the slot of a settled trip is free again; `caution` widens the spread.
    pub(super) fn free_at(&self, trip: &Trip, trail: &Trail, per: Duration, caution: f64) -> Timestamp {
        let by_answer = trip.settled_at.after(per + GUARD);
        if trip.fate == Fate::Adrift {
            // It may arrive long after the bunch that it belonged to.
            return by_answer;
        }
        let near = trail.near(trip.sent_at, self.mean()).max(1) as f64;
        let rest = Duration::from_secs_f64(self.steady * SPREADS * caution / near.sqrt()) + GUARD;
        let by_sending = trip.sent_at.after(per + rest);
        // A bunch stays together; a slot for itself is free when its answer says so.
        if rest < self.mean() + self.gathering() { by_sending } else { by_answer.min(by_sending) }
    }
}
