//! Spacing: governor's GCRA decides how bunched requests may leave.
//!
//! The exact window alone would let a whole quota go in one burst whenever it is full of free slots. That is right
//! after idle time, where a burst has no cost and waiting has one; it is wrong after a pause, when a server has just
//! said that it had too much: then the bucket starts empty, and requests leave one by one at the quota's rate.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::Timestamp;
use crate::settings::Rate;

/// The dispatcher's `now`, in the form that governor reads.
#[derive(Clone, Debug, Default)]
struct Now(Arc<AtomicU64>);

impl Now {
    fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros().saturating_mul(1_000), Ordering::Relaxed);
    }
}

impl Clock for Now {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
pub(super) struct Pacer {
    limiter: RateLimiter<NotKeyed, InMemoryState, Now, NoOpMiddleware<Nanos>>,
    now: Now,
    quota: Quota,
    /// Cells that GCRA has granted and that are not spent, so that asking twice doesn't spend twice; below zero after a
    /// request that cost more than was asked for.
    granted: i64,
}

impl Pacer {
    /// A full bucket.
    pub(super) fn new(rate: Rate, now: Timestamp) -> Self {
        let clock = Now::default();
        clock.set(now);
        let spacing = (rate.per / rate.requests.get()).max(Duration::from_nanos(1));
        // A period of zero is the only thing that governor refuses here.
        let Some(quota) = Quota::with_period(spacing) else { unreachable!("{spacing:?} is no period") };
        let quota = quota.allow_burst(rate.burst);
        Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), now: clock, quota, granted: 0 }
    }

    /// Whether a request of this cost may leave now; the grant stays until [`Self::take`].
    pub(super) fn check(&mut self, now: Timestamp, cost: u32) -> Result<(), Timestamp> {
        self.now.set(now);
        while let Some(missing) = u32::try_from(i64::from(cost) - self.granted).ok().and_then(NonZeroU32::new) {
            // More than a burst at once is never granted.
            let part = missing.min(self.quota.burst_size());
            match self.limiter.check_n(part) {
                Ok(Ok(())) => self.granted += i64::from(part.get()),
                Ok(Err(not_until)) => return Err(now.after(not_until.wait_time_from(self.now.now()) + ROUNDING)),
                Err(refused) => unreachable!("a part of {part} is at most a burst: {refused}"),
            }
        }
        debug_assert!(self.granted >= i64::from(cost), "what may leave has its grant");
        Ok(())
    }

    /// Spends the grant.
    pub(super) fn take(&mut self, cost: u32) {
        self.granted -= i64::from(cost);
    }

    /// Starts again with an empty bucket.
    pub(super) fn restart(&mut self, now: Timestamp) {
        self.now.set(now);
        self.limiter = RateLimiter::direct_with_clock(self.quota, self.now.clone());
        // The whole burst fits by definition; what is left is an empty bucket.
        let emptied = self.limiter.check_n(self.quota.burst_size());
        debug_assert!(matches!(emptied, Ok(Ok(()))), "a fresh bucket grants its burst");
        self.granted = 0;
    }
}

/// GCRA counts nanoseconds, the dispatcher microseconds: without it a wait could end a fraction too early.
const ROUNDING: Duration = Duration::from_micros(1);
