//! What an answer tells about the limit: rate-limit headers of three families, `Retry-After`, and the seconds in the text.
//!
//! Everything here is untrusted: nothing panics, no wait is longer than a day.

use std::time::Duration;

/// A wait above this is absurd, and is cut to it.
const WAIT_MAX: Duration = Duration::from_secs(86_400);
/// From here on a reset is a Unix time, not seconds left (2001-09-09; no window is 31 years long).
const UNIX_TIME_SECONDS_MIN: f64 = 1e9;
/// How much of a body is searched for the seconds in its text.
const TEXT_BYTES_MAX: usize = 4_096;

/// What a server said about its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// `Retry-After`, if it names a wait: zero, past, negative and garbage values are none.
    pub retry_after: Option<Duration>,
    /// The time until the window ends.
    pub reset: Option<Duration>,
    /// The seconds that the 429's text names.
    pub text: Option<Duration>,
    /// How much of the quota the server has counted in this window.
    pub used: Option<u64>,
}

/// Where a pause's length comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
    /// Reads headers (by lower-case name) and the start of the body. `epoch_ms` is the local wall clock, for dates of a
    /// server that sends no `Date`.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>, body: &[u8], epoch_ms: u64) -> Self {
        let server_seconds = header("date").and_then(date_seconds).unwrap_or(epoch_ms as f64 / 1_000.0);
        Self {
            retry_after: header("retry-after").and_then(|value| retry_after(value, server_seconds)),
            reset: reset(&header, server_seconds),
            text: seconds_in_text(body),
            used: used(&header),
        }
    }

    /// The wait that the server asks for after a 429, by the best evidence.
    pub fn wait(&self) -> Option<Wait> {
        let of = |span: Option<Duration>, source| span.map(|span| Wait { span, source });
        of(self.retry_after, WaitSource::RetryAfter)
            .or_else(|| of(self.reset, WaitSource::Reset))
            .or_else(|| of(self.text, WaitSource::Text))
    }
}

fn retry_after(value: &str, server_seconds: f64) -> Option<Duration> {
    let value = value.trim();
    if value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return wait(value.parse().ok()?);
    }
    wait(date_seconds(value)? - server_seconds)
}

fn reset<'a>(header: &impl Fn(&str) -> Option<&'a str>, server_seconds: f64) -> Option<Duration> {
    let plain = ["inin-ratelimit-reset", "x-ratelimit-reset", "ratelimit-reset"]
        .into_iter()
        .find_map(|name| header(name)?.trim().parse::<f64>().ok());
    let seconds = plain.or_else(|| structured_reset(header("ratelimit")?))?;
    wait(if seconds >= UNIX_TIME_SECONDS_MIN { seconds - server_seconds } else { seconds })
}

/// What is counted, or what the limit and the rest of it leave. A list of several quotas says nothing certain.
fn used<'a>(header: &impl Fn(&str) -> Option<&'a str>) -> Option<u64> {
    let plain = |name: &str| header(name)?.trim().parse::<u64>().ok();
    let pair = |limit: &str, rest: &str| plain(limit)?.checked_sub(plain(rest)?);
    plain("inin-ratelimit-count")
        .or_else(|| pair("x-ratelimit-limit", "x-ratelimit-remaining"))
        .or_else(|| pair("ratelimit-limit", "ratelimit-remaining"))
        .or_else(|| {
            let state = header("ratelimit")?;
            let limit = header("ratelimit-policy").and_then(|policy| single_number(policy, &["q"]));
            let limit = limit.or_else(|| single_number(state, &["limit"]))?;
            limit.checked_sub(single_number(state, &["r", "remaining"])?)
        })
}

/// The only number with one of these names.
fn single_number(value: &str, names: &[&str]) -> Option<u64> {
    let mut numbers = value.split([',', ';']).filter_map(|part| {
        let (name, number) = part.split_once('=')?;
        names.contains(&name.trim()).then(|| number.trim().parse::<u64>().ok())
    });
    numbers.next().flatten().filter(|_| numbers.next().is_none())
}

/// The latest `t` (or, in older drafts, `reset`) of `"default";r=42;t=1, "hour";…` or `limit=100, remaining=50, reset=5`.
fn structured_reset(value: &str) -> Option<f64> {
    let numbers = value.split([',', ';']).filter_map(|part| {
        let (name, number) = part.split_once('=')?;
        matches!(name.trim(), "t" | "reset").then(|| number.trim().parse::<f64>().ok())?
    });
    numbers.fold(None, |latest: Option<f64>, number| Some(latest.map_or(number, |latest| latest.max(number))))
}

/// "Retry the request in [42] seconds".
fn seconds_in_text(body: &[u8]) -> Option<Duration> {
    let text = String::from_utf8_lossy(&body[..body.len().min(TEXT_BYTES_MAX)]);
    let (_, rest) = text.split_once("Retry the request in [")?;
    let (digits, _) = rest.split_once(']')?;
    wait(digits.trim().parse().ok()?)
}

/// A span that is really a wait: above zero, at most a day.
fn wait(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() || seconds <= 0.0 {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(WAIT_MAX).min(WAIT_MAX))
}

fn date_seconds(value: &str) -> Option<f64> {
    let time = httpdate::parse_http_date(value.trim()).ok()?;
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|span| span.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_MS: u64 = 1_767_225_600_000; // Thu, 01 Jan 2026 00:00:00 GMT
    const DAY: u64 = 86_400;

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
    fn reset_headers_of_every_family() {
        for (name, value, seconds) in [
            ("x-ratelimit-reset", "4", Some(4)),
            ("x-ratelimit-reset", "1767225605", Some(5)),
            ("x-ratelimit-reset", "1767225600", None),
            ("x-ratelimit-reset", "-1", None),
            ("x-ratelimit-reset", "inf", Some(DAY)),
            ("inin-ratelimit-reset", "61", Some(61)),
            ("ratelimit-reset", "9", Some(9)),
            ("ratelimit", "\"default\";r=0;t=1", Some(1)),
            ("ratelimit", "\"a\";r=0;t=1, \"b\";r=0;t=30", Some(30)),
            ("ratelimit", "limit=100, remaining=0, reset=8", Some(8)),
            ("ratelimit", ";;;=,t=,t", None),
        ] {
            let expected = seconds.map(|seconds| (seconds, WaitSource::Reset));
            assert_eq!(read(&[(name, value)], ""), expected, "{name}: {value}");
        }
    }

    #[test]
    fn what_is_used_in_every_family() {
        for (headers, used) in [
            (&[("inin-ratelimit-count", "58"), ("inin-ratelimit-allowed", "100")][..], Some(58)),
            (&[("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "42")], Some(58)),
            (&[("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "142")], None),
            (&[("x-ratelimit-limit", "100")], None),
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

    proptest! {
        #[test]
        fn arbitrary_values_neither_panic_nor_exceed_a_day(value in "\\PC{0,40}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let evidence = Evidence::read(|_| Some(value.as_str()), &body, NOW_MS);
            if let Some(wait) = evidence.wait() {
                prop_assert!(wait.span > Duration::ZERO && wait.span <= WAIT_MAX);
            }
        }
    }
}
