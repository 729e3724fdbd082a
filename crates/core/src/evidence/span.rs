//! Numbers and dates as waits and counts.

use std::time::Duration;

/// The smallest span of our clock: a shorter wait is over when it begins.
const WAIT_MIN: Duration = Duration::from_micros(1);
/// A wait above this is absurd, and is cut to it.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(86_400);
/// From here on a number is a Unix time, not seconds left (2001-09-09; no window is 31 years long).
const UNIX_TIME_SECONDS_MIN: f64 = 1e9;
/// From here on it is one in milliseconds (the same in seconds is 1973-03-03 and 5138-11-16).
const UNIX_TIME_MILLISECONDS_MIN: f64 = 1e11;
/// A quota or count above this is absurd, and none: nobody is allowed a billion requests in a window.
const COUNT_MAX: u64 = 1_000_000_000;

/// The end of a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// From now.
    pub(super) seconds: f64,
    /// By two clocks of whole seconds: it may be a second less.
    pub(super) is_rounded: bool,
}

/// The server's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerTime {
    /// Since 1970.
    seconds: f64,
    /// It is our own clock, since the answer has no `Date`.
    pub(super) is_assumed: bool,
}

impl ServerTime {
    /// By the answer's `Date`, else by our own clock.
    pub(super) fn of(date: Option<&str>, epoch_ms: u64) -> Self {
        let told = date.and_then(date_seconds);
        Self { seconds: told.unwrap_or(epoch_ms as f64 / 1_000.0), is_assumed: told.is_none() }
    }

    /// Whether a number is a Unix time, not seconds left.
    pub(super) fn is_absolute(number: f64) -> bool {
        number >= UNIX_TIME_SECONDS_MIN
    }

    /// The end of a window.
    pub(super) fn end(self, number: f64) -> End {
        End { seconds: self.seconds_until(number), is_rounded: Self::is_absolute(number) }
    }

    /// What a number means, in seconds from now: seconds left, or a Unix time in seconds or milliseconds.
    pub(super) fn seconds_until(self, number: f64) -> f64 {
        if number >= UNIX_TIME_MILLISECONDS_MIN {
            number / 1_000.0 - self.seconds
        } else if number >= UNIX_TIME_SECONDS_MIN {
            number - self.seconds
        } else {
            number
        }
    }

    /// The wait until an HTTP date.
    pub(super) fn wait_until(self, date: &str) -> Option<Duration> {
        wait(date_seconds(date)? - self.seconds)
    }
}

/// A span that is really a wait: at least a microsecond, since our clock counts these, and at most a day.
pub(super) fn wait(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() || seconds <= 0.0 {
        return None;
    }
    let span = Duration::try_from_secs_f64(seconds).unwrap_or(WAIT_MAX);
    (span >= WAIT_MIN).then_some(span.min(WAIT_MAX))
}

/// A whole number that can be a count.
pub(super) fn count(number: f64) -> Option<u64> {
    (number >= 0.0 && number.fract() == 0.0 && number <= COUNT_MAX as f64).then_some(number as u64)
}

/// Digits, perhaps with a fraction; no sign and no exponent.
pub(super) fn plain_number(value: &str) -> Option<f64> {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_plain.then(|| value.parse().ok())?
}

fn date_seconds(value: &str) -> Option<f64> {
    let time = httpdate::parse_http_date(value.trim()).ok()?;
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|span| span.as_secs_f64())
}
