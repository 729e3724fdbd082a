//! Time: the only place of this crate that asks a clock (`clippy.toml` bans it elsewhere), so that a seed replays a run.

use std::num::NonZeroU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point on the engine's monotonic clock, in microseconds since a time before its start ([`Clock::start`] says which).
///
/// Never zero, so that `Option<Timestamp>` takes eight bytes: a million queued messages carry several of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

impl Timestamp {
    /// The first point there is.
    pub const START: Self = Self(NonZeroU64::MIN);

    /// `micros` after the first point.
    pub const fn from_micros(micros: u64) -> Self {
        match NonZeroU64::new(micros.saturating_add(1)) {
            Some(value) => Self(value),
            None => Self::START,
        }
    }

    /// Microseconds since the first point.
    pub const fn as_micros(self) -> u64 {
        self.0.get() - 1
    }

    /// This point and `span` on top; saturates instead of overflowing, so that an absurd wait can't wrap into the past.
    pub fn after(self, span: Duration) -> Self {
        Self::from_micros(self.as_micros().saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }

    /// This point less `span`; the first point at the earliest.
    pub fn before(self, span: Duration) -> Self {
        Self::from_micros(self.as_micros().saturating_sub(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }

    /// The time since `earlier`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.as_micros().saturating_sub(earlier.as_micros()))
    }
}

/// The engine's clock: monotonic for every wait, with the wall clock beside it for the edges (HTTP dates, epoch times).
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

/// How far the clock reaches back behind its start, for messages that an earlier run accepted: none is tried for longer.
const PAST: Duration = Duration::from_secs(31 * 86_400);

impl Clock {
    /// Starts a clock 31 days ahead of [`Timestamp::START`], so that it can tell the times of an earlier run.
    pub fn start() -> Self {
        Self { origin: instant_now() }
    }

    /// Now, on the monotonic clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::START.after(PAST + (instant_now() - self.origin))
    }

    /// The instant of `at`, for a timer; at most a year ahead, since a later timer is never reached.
    pub fn instant(&self, at: Timestamp) -> Instant {
        const YEAR: Duration = Duration::from_secs(365 * 86_400);
        self.origin + at.since(Timestamp::START.after(PAST)).min(instant_now() - self.origin + YEAR)
    }

    /// The wall clock, in milliseconds since the Unix epoch.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn epoch_ms_now() -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    /// `at` as milliseconds since the Unix epoch, by the wall clock of this moment.
    pub fn epoch_ms(&self, at: Timestamp) -> u64 {
        let now = self.now();
        let wall = Self::epoch_ms_now();
        if at >= now { wall.saturating_add(millis(at.since(now))) } else { wall.saturating_sub(millis(now.since(at))) }
    }

    /// The point of the monotonic clock at which the wall clock shows `epoch_ms`; one that is more
    /// than 31 days before the clock's start is its first point.
    pub fn at_epoch_ms(&self, epoch_ms: f64) -> Timestamp {
        let ahead_ms = epoch_ms - Self::epoch_ms_now() as f64;
        let micros = self.now().as_micros() as f64 + ahead_ms * 1_000.0;
        Timestamp::from_micros(micros.clamp(0.0, u64::MAX as f64) as u64)
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
fn instant_now() -> Instant {
    Instant::now()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
