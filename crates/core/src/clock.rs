//! Time: the only place of this crate that asks a clock (`clippy.toml` bans it elsewhere), so that a seed replays a
//! run.

use once_cell::sync::Lazy;
use std::num::NonZeroU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point on the engine's monotonic clock, in microseconds since a time before its start ([`Clock::start`] says
/// which).
///
/// Never zero, so that `Option<Timestamp>` takes eight bytes: a million queued messages carry several of them.
///
/// ```
/// use std::time::Duration;
/// use spillway_core::clock::Timestamp;
///
/// let start = Timestamp::from_micros(1_000);
/// let later = start.after(Duration::from_millis(3));
/// assert_eq!(later.since(start), Duration::from_millis(3));
/// assert_eq!(start.since(later), Duration::ZERO, "never negative");
/// ```
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

/// A limit that is noticed this much too late passed while the process did not run.
const LATE_MIN: Duration = Duration::from_millis(100);
/// What such a limit is extended by, at most.
const GRACE_MAX: Duration = Duration::from_secs(1);

/// What a limit that was due at `due` is extended by if the process was stopped at that time (SIGSTOP, a frozen
/// container, a suspended machine): as long as it is late, up to a second. Answers that came meanwhile wait in the
/// socket, and are read first.
/// `None` for a limit that passed while the process ran.
pub fn grace(due: Timestamp, now: Timestamp) -> Option<Duration> {
    let late = now.since(due);
    (late >= LATE_MIN).then_some(late.min(GRACE_MAX))
}

/// The engine's clock: monotonic for every wait, with the wall clock beside it for the edges (HTTP dates, epoch times).
/// It counts while the machine is suspended, as the server does.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Duration,
    displacement: Displacement,
}

/// How far the clock reaches back behind its start, for messages that an earlier run accepted: none is tried for
/// longer.
const PAST: Duration = Duration::from_secs(31 * 86_400);

/// Timers don't count while the machine is suspended, so a longer wait is cut into waits of this length: what fell due
/// meanwhile is noticed this soon after the machine resumes.
const TIMER_MAX: Duration = Duration::from_secs(5);

/// Where a machine stands in time. What two runs read of it tells how much time is between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, in milliseconds since the Unix epoch. It may be wrong, and jump.
    pub wall_ms: u64,
    /// Time since the machine started, suspension included. It never jumps.
    pub since_boot: Duration,
    /// Which start that was; `None` where the system doesn't tell.
    pub boot: Option<u128>,
}

/// What a test changes of the machine's clocks; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Displacement {
    /// How far the wall clock is ahead, in milliseconds.
    pub wall_ms: i64,
    /// How much more time has passed since the machine started: it was suspended.
    pub suspended: Duration,
    /// How often the machine has been started again. 0 is the boot that the system tells.
    pub boots: u32,
}

impl Clock {
    /// Starts a clock 31 days ahead of [`Timestamp::START`], so that it can tell the times of an earlier run.
    pub fn start() -> Self {
        Self { origin: since_boot(), displacement: Displacement::default() }
    }

    /// The same clock on a machine with these clocks; for tests of what wrong clocks do.
    pub fn displaced(self, displacement: Displacement) -> Self {
        Self { displacement, ..self }
    }

    /// Now, on the monotonic clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::START.after(PAST + (self.since_boot() - self.origin))
    }

    /// The instant of `at` for a timer, or an earlier one: whoever waits looks at the clock again.
    pub fn instant(&self, at: Timestamp) -> Instant {
        instant_now() + at.since(self.now()).min(TIMER_MAX)
    }

    /// Where the machine stands in time.
    pub fn moment(&self) -> Moment {
        let boot = BOOT.map(|boot| boot.wrapping_add(u128::from(self.displacement.boots)));
        let wall_ms = Self::epoch_ms_now().saturating_add_signed(self.displacement.wall_ms);
        Moment { wall_ms, since_boot: self.since_boot(), boot }
    }

    fn since_boot(&self) -> Duration {
        since_boot() + self.displacement.suspended
    }

    /// The wall clock, in milliseconds since the Unix epoch.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn epoch_ms_now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
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

/// The boot, and the time namespace of the process: in another one the time since the boot is another.
static BOOT: Lazy<Option<u128>> = Lazy::new(boot);

#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot() -> Option<u128> {
    use std::os::unix::fs::MetadataExt;
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let boot = text.trim().parse::<uuid::Uuid>().ok()?.as_u128();
    let namespace = std::fs::metadata("/proc/self/ns/time").map_or(0, |metadata| metadata.ino());
    Some(boot ^ u128::from(namespace) << 64)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn boot() -> Option<u128> {
    None
}

/// On Linux the monotonic clock stands still while the machine is suspended, and this one doesn't.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot() -> Duration {
    use rustix::time::{DynamicClockId, clock_gettime_dynamic};
    let now = clock_gettime_dynamic(DynamicClockId::Boottime);
    // Every kernel has had it since 2.6.39.
    now.ok().and_then(|now| now.try_into().ok()).unwrap_or_default()
}

/// On macOS it counts while the machine sleeps, unlike the clock of `Instant`.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn since_boot() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default()
}

/// The performance counter of Windows counts while the machine sleeps.
#[cfg(not(unix))]
fn since_boot() -> Duration {
    static ORIGIN: Lazy<Instant> = Lazy::new(instant_now);
    instant_now() - *ORIGIN
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the clock of timers")]
fn instant_now() -> Instant {
    Instant::now()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_while_the_machine_is_suspended() {
        const NIGHT: Duration = Duration::from_secs(8 * 3_600);
        let awake = Clock::start();
        let before = awake.now();
        let resumed = awake.displaced(Displacement { suspended: NIGHT, ..Displacement::default() });
        assert!(resumed.now().since(before) >= NIGHT);
        assert!(resumed.moment().since_boot >= awake.moment().since_boot + NIGHT - Duration::from_secs(60));
    }

    #[test]
    fn a_timer_is_short_enough_to_notice_that_the_machine_was_suspended() {
        let clock = Clock::start();
        let soon = instant_now() + TIMER_MAX;
        for ahead in [Duration::ZERO, Duration::from_secs(60), Duration::from_secs(30 * 86_400), Duration::MAX] {
            assert!(
                clock.instant(clock.now().after(ahead)) <= soon + Duration::from_secs(60) && ahead <= Duration::MAX
            );
        }
        let long = clock.instant(clock.now().after(Duration::from_secs(86_400)));
        assert!(long <= instant_now() + TIMER_MAX, "a day's wait is cut");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_boot_has_a_name_and_keeps_it() {
        let (one, other) = (Clock::start().moment(), Clock::start().moment());
        assert!(one.boot.is_some() && one.boot == other.boot);
        assert!(one.since_boot <= other.since_boot);
        let again = Clock::start().displaced(Displacement { boots: 1, ..Displacement::default() });
        assert_ne!(again.moment().boot, one.boot);
    }
}
