//! What an answer tells about the limit: rate-limit headers of several families, `Retry-After`, and what its text
//! names.
//!
//! Everything here is untrusted: nothing panics, no wait is longer than a day.

mod body;
mod headers;
mod limits;
mod named;
mod span;
mod structured;
mod usual;
mod window;

use std::time::Duration;

use self::headers::{Windows, retry_after};
pub use self::limits::{Grant, LIMITS_PATH, RequestLimit, read_limits};
pub use self::named::{Extent, NamedLimit};
use self::span::ServerTime;
pub use self::usual::{RESET_SLACK, USUAL_WINDOWS, WINDOW_MAX, usual_window};

/// How many quotas of one answer are read; a server that lists more is believed in the first ones.
pub const QUOTAS_MAX: usize = 4;

/// What a server said about one of its quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderLimit {
    /// The requests of a window; never zero.
    pub limit: Option<u64>,
    /// How many of them are left.
    pub remaining: Option<u64>,
    /// The time until the window ends, or until there is more.
    pub reset: Option<Duration>,
    /// The window, where the server names it.
    pub per: Option<Duration>,
}

/// What is left of the windows whose requests, or whose length, the headers don't name: no count of ours keeps such a
/// limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unnamed {
    /// The headers tell of none.
    #[default]
    Untold,
    /// Each has something left.
    Left,
    /// One has nothing left, and ends after this time.
    Spent(Duration),
    /// The same, but its requests are named; it ends later than the window ends whose length its reset suggests. The
    /// end of a longer one, if that is known, says the same.
    Outlasting(Duration),
}

/// What a server said about its limit. Most answers say nothing, and each is handed on several times: so it is small.
///
/// ```
/// use std::time::Duration;
/// use spillway_core::evidence::{Evidence, WaitSource};
///
/// let header = |name: &str| (name == "retry-after").then_some("7");
/// let wait = Evidence::read(header, b"", 0).wait().expect("it names a wait");
/// assert_eq!((wait.span, wait.source), (Duration::from_secs(7), WaitSource::RetryAfter));
///
/// let zero = |name: &str| (name == "retry-after").then_some("0");
/// assert!(Evidence::read(zero, b"", 0).wait().is_none(), "zero is no evidence");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// `Retry-After`, if it names a wait: zero, past, negative and garbage values are none.
    pub retry_after: Option<Duration>,
    /// `retry_after` is a point in time, and no `Date` came with it: it was measured by our own clock, which may
    /// differ.
    pub is_clock_assumed: bool,
    /// The time until the first window that is told of ends.
    pub reset: Option<Duration>,
    /// The time until the windows that have nothing left end; where none tells what is left, the shortest reset.
    pub spent_reset: Option<Duration>,
    /// What is left of the windows that no limit describes.
    pub unnamed: Unnamed,
    /// The seconds that the 429's text names.
    pub text: Option<Duration>,
    /// How much of the quota the server has counted in this window.
    pub used: Option<u64>,
    /// Each quota that the headers tell of, at most [`QUOTAS_MAX`]; of some nothing may be known.
    pub quotas: Vec<HeaderLimit>,
    /// The limit that was exceeded, as the 429's body names it.
    pub limit: Option<Box<NamedLimit>>,
}

/// Where a pause's length comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitSource {
    /// `Retry-After`.
    RetryAfter,
    /// A reset header.
    Reset,
    /// The seconds in the text.
    Text,
    /// Nothing: our own backoff.
    Backoff,
}

impl WaitSource {
    /// The word in events and stats.
    pub fn word(self) -> &'static str {
        match self {
            Self::RetryAfter => "retry-after",
            Self::Reset => "reset",
            Self::Text => "text",
            Self::Backoff => "backoff",
        }
    }
}

/// A wait that a server asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// How long.
    pub span: Duration,
    /// Who says so.
    pub source: WaitSource,
}

impl Evidence {
    /// Reads headers (by lower-case name; several lines of one name joined by commas) and the start of the body.
    /// `epoch_ms` is the local wall clock, for dates of a server that sends no `Date`.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>, body: &[u8], epoch_ms: u64) -> Self {
        let time = ServerTime::of(header("date"), epoch_ms);
        let windows = Windows::read(&header, time);
        let (retry_after, is_clock_assumed) = retry_after(&header, time).unzip();
        Self {
            retry_after,
            is_clock_assumed: is_clock_assumed.unwrap_or_default(),
            reset: windows.first_reset(),
            spent_reset: windows.spent_reset(),
            unnamed: windows.unnamed(),
            text: body::seconds_in_text(body),
            used: windows.used(),
            quotas: windows.into_quotas(),
            limit: None,
        }
    }

    /// Adds what the body of a 429 names: a limit, where no header tells of one, and seconds. Other bodies may repeat a
    /// message's text, and aren't believed.
    pub fn add_refusal(&mut self, body: &[u8]) {
        let named = body::Named::read(body);
        self.text = self.text.or(named.wait);
        self.limit = named.limit.map(Box::new);
        if self.told().next().is_none() {
            self.quotas.splice(.., named.quota);
        }
    }

    /// Whether a header of this lower-case name tells something. Many answers have none, and then looking for each by
    /// its name would cost more than all else that is done to read them.
    pub fn is_told_by(name: &str) -> bool {
        let families = ["inin-ratelimit", "x-ratelimit", "x-rate-limit", "ratelimit", "retry-after"];
        families.iter().any(|family| name.starts_with(family))
    }

    /// What the start of a body tells, where no header does.
    pub fn in_text(body: &[u8]) -> Self {
        Self { text: body::seconds_in_text(body), ..Self::default() }
    }

    /// The quotas that the headers tell of.
    pub fn told(&self) -> impl Iterator<Item = &HeaderLimit> {
        self.quotas.iter().filter(|told| **told != HeaderLimit::default())
    }

    /// The wait that the server asks for after a 429, by the best evidence.
    pub fn wait(&self) -> Option<Wait> {
        let of = |span: Option<Duration>, source| span.map(|span| Wait { span, source });
        of(self.retry_after, WaitSource::RetryAfter)
            .or_else(|| of(self.spent_reset, WaitSource::Reset))
            .or_else(|| of(self.text, WaitSource::Text))
    }

    /// For how long the window that refused lasts still, at least: a wait is rounded up to whole seconds. None where
    /// our own clock measured it, or where it is cut to the longest wait.
    pub fn window_left(&self) -> Option<Duration> {
        let wait = self.retry_after.filter(|_| !self.is_clock_assumed).or(self.text)?;
        (wait < WINDOW_MAX).then(|| wait.saturating_sub(RESET_SLACK))
    }

    /// The same, but a time that was measured by our own clock is believed for no longer than `assumed_max`: the
    /// server's may be an hour ahead.
    pub fn wait_within(&self, assumed_max: Duration) -> Option<Wait> {
        let is_assumed = |wait: &Wait| self.is_clock_assumed && wait.source == WaitSource::RetryAfter;
        self.wait().map(|wait| if is_assumed(&wait) { Wait { span: wait.span.min(assumed_max), ..wait } } else { wait })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const NOW_MS: u64 = 1_767_225_600_000; // Thu, 01 Jan 2026 00:00:00 GMT
    const DAY: u64 = 86_400;

    #[test]
    fn without_a_header_that_tells_something_none_is_asked_for() {
        let named = |name: &str| {
            // A date alone tells nothing.
            assert!(name == "date" || Evidence::is_told_by(name), "{name}");
            None
        };
        let text = b"Retry the request in [42] seconds";
        assert_eq!(Evidence::read(named, text, NOW_MS), Evidence::in_text(text));
        assert!(!Evidence::is_told_by("date") && !Evidence::is_told_by("content-type"));
    }

    fn read(headers: &[(&str, &str)], body: &str) -> Option<(u64, WaitSource)> {
        let header = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
        let wait = Evidence::read(header, body.as_bytes(), NOW_MS).wait()?;
        Some((wait.span.as_secs(), wait.source))
    }

    #[test]
    fn the_eight_forms_of_retry_after() {
        for (value, seconds) in [
            ("2", Some(2)),
            (" 60 ", Some(60)),
            ("0", None),
            ("0.0", None),
            ("1.5", Some(1)),
            ("-5", None),
            ("soon", None),
            ("", None),
            (".", None),
            ("1e3", None),
            ("NaN", None),
            ("99999999999", Some(DAY)),
            ("99999999999999999999999999999999999999", Some(DAY)),
            ("Thu, 01 Jan 2026 00:00:03 GMT", Some(3)),
            ("Thursday, 01-Jan-26 00:00:03 GMT", Some(3)),
            ("Wed, 31 Dec 2025 23:59:00 GMT", None),
            ("Thu, 01 Jan 2099 00:00:00 GMT", Some(DAY)),
            ("Thu, 99 Jan 2026 00:00:03 GMT", None),
            // Unix times, in seconds and milliseconds; past ones are none.
            ("1767225602", Some(2)),
            ("1767225602.5", Some(2)),
            ("1767225602000", Some(2)),
            ("1767225600", None),
            ("1767225599", None),
            ("1767225599999", None),
            ("1000000000", None),
            ("-1767225602", None),
            ("999999999", Some(DAY)),
            // Several lines.
            ("2, 5", Some(5)),
            ("0, 5", Some(5)),
            ("soon, 5", Some(5)),
            ("0, soon", None),
            ("soon, 5, 2", Some(5)),
            ("Thu, 01 Jan 2026 00:00:03 GMT, Thu, 01 Jan 2026 00:00:03 GMT", Some(3)),
            ("2, Thu, 01 Jan 2026 00:00:03 GMT", Some(3)),
            ("Thursday, 01-Jan-26 00:00:03 GMT, 5", Some(5)),
            ("Thu Jan  1 00:00:03 2026, 1", Some(3)),
            ("soon, Thu, 01 Jan 2026 00:00:03 GMT", Some(3)),
            ("1, Thu, 99 Jan 2026 00:00:03 GMT", Some(1)),
            ("Thu,", None),
            (",", None),
        ] {
            let expected = seconds.map(|seconds| (seconds, WaitSource::RetryAfter));
            assert_eq!(read(&[("retry-after", value)], ""), expected, "{value:?}");
        }
        assert_eq!(read(&[], ""), None);
    }

    #[test]
    fn a_date_is_read_by_the_servers_own_clock() {
        let headers = [("date", "Thu, 01 Jan 2026 01:00:00 GMT"), ("retry-after", "Thu, 01 Jan 2026 01:00:07 GMT")];
        assert_eq!(read(&headers, ""), Some((7, WaitSource::RetryAfter)));
    }

    #[test]
    fn a_date_without_the_servers_clock_is_believed_up_to_a_bound() {
        let minute = Duration::from_secs(60);
        let (hour_ahead, date) = ("Thu, 01 Jan 2026 01:00:02 GMT", "Thu, 01 Jan 2026 00:00:00 GMT");
        for (headers, seconds) in [
            (&[("retry-after", hour_ahead)][..], 60),
            (&[("retry-after", "1767229202")], 60),
            (&[("retry-after", "1767229202000")], 60),
            (&[("retry-after", "Thu, 01 Jan 2026 00:00:02 GMT")], 2),
            (&[("retry-after", hour_ahead), ("date", date)], 3_602),
            (&[("retry-after", hour_ahead), ("date", "Thu, 01 Jan 2026 01:00:00 GMT")], 2),
            (&[("retry-after", hour_ahead), ("date", "yesterday")], 60),
            // Seconds need no clock.
            (&[("retry-after", "3602")], 3_602),
            (&[("retry-after", "5, 3602")], 3_602),
            (&[("retry-after-ms", "3602000")], 3_602),
            (&[("retry-after-ms", "3602000"), ("retry-after", hour_ahead)], 3_602),
            (&[("retry-after", "0"), ("x-ratelimit-reset", "3602")], 3_602),
        ] {
            let header = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
            let wait = Evidence::read(header, b"", NOW_MS).wait_within(minute).unwrap();
            assert_eq!(wait.span, Duration::from_secs(seconds), "{headers:?}");
        }
    }

    #[test]
    fn reset_headers_of_every_family() {
        for (name, value, seconds) in [
            ("x-ratelimit-reset", "4", Some(4)),
            ("x-ratelimit-reset", "1767225605", Some(5)),
            ("x-ratelimit-reset", "1767225600", None),
            ("x-ratelimit-reset", "1767225605000", Some(5)),
            ("x-ratelimit-reset", "1767225599000", None),
            ("x-ratelimit-reset", "99999999999999", Some(DAY)),
            ("x-ratelimit-reset", "-1", None),
            ("x-ratelimit-reset", "inf", Some(DAY)),
            ("inin-ratelimit-reset", "61", Some(61)),
            ("ratelimit-reset", "9", Some(9)),
            ("ratelimit", "\"default\";r=0;t=1", Some(1)),
            ("ratelimit", "\"a\";r=0;t=1, \"b\";r=0;t=30", Some(30)),
            ("ratelimit", "\"a\";r=0;t=1, \"b\";r=9000;t=40000", Some(1)),
            ("ratelimit", "\"b\";r=9000;t=40000, \"a\";r=0;t=1", Some(1)),
            ("ratelimit", "\"a,b;r=0;t=7\";r=9;t=40000, a;r=0;t=1.5", Some(1)),
            ("ratelimit", "\"a\";r=9;t=40000", None),
            ("ratelimit", "\"a\";t=40000, \"b\";t=3", Some(3)),
            ("x-rate-limit-reset", "1767225605", Some(5)),
            ("ratelimit", "limit=100, remaining=0, reset=8", Some(8)),
            ("ratelimit", "limit=100;remaining=0;reset=8", Some(8)),
            ("ratelimit", ";;;=,t=,t", None),
        ] {
            let expected = seconds.map(|seconds| (seconds, WaitSource::Reset));
            assert_eq!(read(&[(name, value)], ""), expected, "{name}: {value}");
        }
    }

    #[test]
    fn the_wait_is_that_of_the_windows_that_are_spent() {
        for (headers, seconds) in [
            (&[("x-ratelimit-remaining", "9000"), ("x-ratelimit-reset", "40000")][..], None),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "7")], Some(7)),
            (&[("x-ratelimit-remaining", "9000, 0"), ("x-ratelimit-reset", "40000, 1")], Some(1)),
            (
                &[
                    ("x-ratelimit-limit", "10, 10000"),
                    ("x-ratelimit-remaining", "0, 9000"),
                    ("x-ratelimit-reset", "1, 40000"),
                ],
                Some(1),
            ),
            (&[("x-ratelimit-remaining", "0, 0"), ("x-ratelimit-reset", "1, 30")], Some(30)),
            (&[("x-ratelimit-reset", "30, 4")], Some(4)),
            // Of two families.
            (
                &[("x-ratelimit-remaining", "9000"), ("x-ratelimit-reset", "40000"), ("ratelimit", "\"sec\";r=0;t=2")],
                Some(2),
            ),
            (
                &[("inin-ratelimit-allowed", "300"), ("inin-ratelimit-count", "12"), ("inin-ratelimit-reset", "50")],
                None,
            ),
            (
                &[("inin-ratelimit-allowed", "300"), ("inin-ratelimit-count", "301"), ("inin-ratelimit-reset", "50")],
                Some(50),
            ),
            (&[("ratelimit", "limit=100, remaining=50, reset=40000")], None),
            (
                &[("ratelimit-policy", "\"sec\";q=10;w=1"), ("ratelimit", "\"sec\";r=0;t=1, \"day\";r=9;t=40000")],
                Some(1),
            ),
        ] {
            let expected = seconds.map(|seconds| (seconds, WaitSource::Reset));
            assert_eq!(read(headers, ""), expected, "{headers:?}");
        }
        let left = [("x-ratelimit-remaining", "9000"), ("x-ratelimit-reset", "40000")];
        assert_eq!(read(&left, "Retry the request in [2] seconds"), Some((2, WaitSource::Text)));
    }

    #[test]
    fn what_is_left_of_a_window_that_no_limit_describes() {
        let spent = |seconds| Unnamed::Spent(Duration::from_secs(seconds));
        let outlasting = |seconds| Unnamed::Outlasting(Duration::from_secs(seconds));
        for (headers, unnamed) in [
            (&[("ratelimit", "\"b\";r=0;t=2")][..], spent(2)),
            (&[("ratelimit", "\"b\";r=3;t=2")], Unnamed::Left),
            (&[("ratelimit", "\"b\";t=2")], Unnamed::Untold),
            (&[("ratelimit", "\"b\";r=0")], Unnamed::Untold),
            (&[("ratelimit", "\"a\";r=9;t=40000, \"b\";r=0;t=2, \"c\";r=0;t=5")], spent(5)),
            (&[("ratelimit", "remaining=0, reset=2")], spent(2)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "2")], spent(2)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1767225602")], spent(2)),
            (&[("x-ratelimit-remaining", "7, 0"), ("x-ratelimit-reset", "60, 2")], spent(2)),
            (&[("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "60")], Unnamed::Left),
            (&[("x-ratelimit-remaining-minute", "0")], spent(60)),
            (&[("x-ratelimit-remaining-second", "4"), ("x-ratelimit-remaining-minute", "0")], spent(60)),
            // Of two families, one describes its limit.
            (
                &[
                    ("ratelimit-policy", "\"a\";q=9;w=1"),
                    ("ratelimit", "\"a\";r=0;t=1"),
                    ("x-ratelimit-remaining", "3"),
                ],
                Unnamed::Left,
            ),
            (&[("ratelimit-policy", "\"a\";q=9;w=1"), ("ratelimit", "\"a\";r=5;t=1, \"b\";r=0;t=30")], spent(30)),
            // A count of ours keeps these.
            (&[("ratelimit-policy", "\"a\";q=9;w=60"), ("ratelimit", "\"a\";r=0;t=30")], Unnamed::Untold),
            (
                &[("x-ratelimit-limit", "9"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")],
                Unnamed::Untold,
            ),
            (
                &[("x-ratelimit-limit", "9"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "61")],
                outlasting(61),
            ),
            // Two seconds are no end of a window of one; by a Unix time they may be.
            (&[("x-ratelimit-limit", "9"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "2")], outlasting(2)),
            (
                &[("x-ratelimit-limit", "9"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1767225602")],
                Unnamed::Untold,
            ),
        ] {
            let header = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
            assert_eq!(Evidence::read(header, b"", NOW_MS).unnamed, unnamed, "{headers:?}");
        }
    }

    #[test]
    fn decimals_may_be_longer_than_structured_fields_allow() {
        for (field, ms) in [
            ("\"sec\";r=0;t=2.123456789", 2_123),
            ("\"v1.23456\";r=0.0000;t=0.5000001", 500),
            ("limit=10, remaining=0, reset=1.25000000", 1_250),
        ] {
            let header = |name: &str| (name == "ratelimit").then_some(field);
            let wait = Evidence::read(header, b"", NOW_MS).wait();
            assert_eq!(wait.map(|wait| wait.span.as_millis()), Some(ms), "{field}");
        }
        let named = "\"v1.23456\";q=10;w=1";
        let header = |name: &str| match name {
            "ratelimit-policy" => Some(named),
            "ratelimit" => Some("\"v1.23456\";r=4;t=0.98765432"),
            _ => None,
        };
        let evidence = Evidence::read(header, b"", NOW_MS);
        let told: Vec<_> = evidence.told().map(|told| (told.limit, told.remaining)).collect();
        assert_eq!(told, [(Some(10), Some(4))]);
    }

    #[test]
    fn a_wait_in_milliseconds() {
        for (headers, ms) in [
            (&[("retry-after-ms", "2000")][..], Some(2_000)),
            (&[("retry-after-ms", "1"), ("retry-after", "1")], Some(1)),
            (&[("retry-after-ms", "0"), ("retry-after", "1")], Some(1_000)),
            (&[("retry-after-ms", "-5"), ("retry-after", "0.5")], Some(500)),
            (&[("retry-after-ms", "soon")], None),
            (&[("retry-after-ms", "20, 2000"), ("retry-after", "7")], Some(2_000)),
        ] {
            let header = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
            let wait = Evidence::read(header, b"", NOW_MS).wait();
            assert_eq!(wait.map(|wait| wait.span.as_millis()), ms, "{headers:?}");
        }
    }

    #[test]
    fn a_refusal_names_a_limit_where_no_header_does() {
        let body = br#"{"limit":{"key":"token.rate.per.minute","value":77},"messageParams":{"seconds":"2"}}"#;
        let mut evidence = Evidence::in_text(body);
        assert_eq!(evidence, Evidence::default(), "an answer that refuses nothing");
        evidence.add_refusal(body);
        let told = HeaderLimit { limit: Some(77), per: Some(Duration::from_secs(60)), ..HeaderLimit::default() };
        assert_eq!(evidence.told().collect::<Vec<_>>(), [&told]);
        assert_eq!(evidence.wait(), Some(Wait { span: Duration::from_secs(2), source: WaitSource::Text }));

        let mut by_header = Evidence::read(|name| (name == "x-ratelimit-limit").then_some("9"), body, NOW_MS);
        by_header.add_refusal(body);
        assert_eq!(by_header.told().map(|told| told.limit).collect::<Vec<_>>(), [Some(9)]);
    }

    #[test]
    fn what_is_used_in_every_family() {
        for (headers, used) in [
            (&[("inin-ratelimit-count", "58"), ("inin-ratelimit-allowed", "100")][..], Some(58)),
            (&[("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "42")], Some(58)),
            (&[("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "142")], None),
            (&[("x-ratelimit-limit", "100")], None),
            (&[("x-rate-limit-limit", "100"), ("x-rate-limit-remaining", "42")], Some(58)),
            (&[("ratelimit-limit", "100"), ("ratelimit-remaining", "42")], Some(58)),
            (&[("ratelimit-policy", "\"default\";q=100;w=1"), ("ratelimit", "\"default\";r=42;t=1")], Some(58)),
            (&[("ratelimit-policy", "\"a\";q=100, \"b\";q=9"), ("ratelimit", "\"a\";r=42;t=1")], None),
            (&[("ratelimit", "limit=100, remaining=42, reset=5")], Some(58)),
            (&[("ratelimit", "limit=x, remaining=42")], None),
            (&[("inin-ratelimit-count", "-1")], None),
            (&[], None),
        ] {
            let header = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
            assert_eq!(Evidence::read(header, b"", NOW_MS).used, used, "{headers:?}");
        }
    }

    #[test]
    fn better_evidence_wins() {
        let text = r#"{"message":"Rate limit exceeded the maximum. Retry the request in [42] seconds"}"#;
        assert_eq!(read(&[], text), Some((42, WaitSource::Text)));
        assert_eq!(read(&[("retry-after", "0"), ("x-ratelimit-reset", "3")], text), Some((3, WaitSource::Reset)));
        assert_eq!(read(&[("retry-after", "5"), ("x-ratelimit-reset", "3")], text), Some((5, WaitSource::RetryAfter)));
    }

    #[test]
    fn quotas_of_every_family() {
        let told = |limit, remaining, reset: Option<u64>, per: Option<u64>| HeaderLimit {
            limit: Some(limit),
            remaining,
            reset: reset.map(Duration::from_secs),
            per: per.map(Duration::from_secs),
        };
        let one = [("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "42"), ("x-ratelimit-reset", "1")];
        let hyphened =
            [("x-rate-limit-limit", "100"), ("x-rate-limit-remaining", "42"), ("x-rate-limit-reset", "1767225605")];
        let unix = [("x-ratelimit-limit", "100"), ("x-ratelimit-reset", "1767225605")];
        let unix_ms = [("x-ratelimit-limit", "100"), ("x-ratelimit-reset", "1767225605000")];
        let absurd = ["1728000", "99999999999999", "inf", "1767225600000000"]
            .map(|reset| [("x-ratelimit-limit", "100"), ("x-ratelimit-reset", reset)]);
        let list =
            [("ratelimit-policy", "\"a\";q=10;w=1, \"b\";q=300;w=60"), ("ratelimit", "\"b\";r=7;t=30, \"a\";r=3;t=1")];
        let older = [("ratelimit-policy", "100;w=60"), ("ratelimit", "limit=100, remaining=50, reset=5")];
        for (headers, quotas) in [
            (&one[..], vec![told(100, Some(42), Some(1), None)]),
            (&hyphened, vec![told(100, Some(42), Some(5), None)]),
            (&unix, vec![told(100, None, Some(5), None)]),
            (&unix_ms, vec![told(100, None, Some(5), None)]),
            (&absurd[0], vec![told(100, None, None, None)]),
            (&absurd[1], vec![told(100, None, None, None)]),
            (&absurd[2], vec![told(100, None, None, None)]),
            (&absurd[3], vec![told(100, None, None, None)]),
            (
                &[("inin-ratelimit-count", "58"), ("inin-ratelimit-allowed", "100")],
                vec![told(100, Some(42), None, None)],
            ),
            (
                &[("inin-ratelimit-count", "158"), ("inin-ratelimit-allowed", "100")],
                vec![told(100, Some(0), None, None)],
            ),
            (&[("ratelimit-limit", "100, 100;w=60")], vec![told(100, None, None, None)]),
            (&list, vec![told(10, Some(3), Some(1), Some(1)), told(300, Some(7), Some(30), Some(60))]),
            (&older, vec![told(100, Some(50), Some(5), Some(60))]),
            (&[("x-ratelimit-limit", "0"), ("x-ratelimit-remaining", "0")], vec![]),
            (&[("x-ratelimit-limit", "-5")], vec![]),
            (&[("x-ratelimit-limit", "1e300")], vec![]),
            (&[], vec![]),
        ] {
            let header = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
            let read = Evidence::read(header, b"", NOW_MS);
            assert_eq!(read.told().copied().collect::<Vec<_>>(), quotas, "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_values_neither_panic_nor_exceed_a_day(value in "\\PC{0,40}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let evidence = Evidence::read(|_| Some(value.as_str()), &body, NOW_MS);
            if let Some(wait) = evidence.wait() {
                prop_assert!(wait.span > Duration::ZERO && wait.span <= Duration::from_secs(DAY));
            }
        }
    }
}
