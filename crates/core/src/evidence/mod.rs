//! What an answer tells about the limit: rate-limit headers of three families, `Retry-After`, and the seconds in the text.
//!
//! Everything here is untrusted: nothing panics, no wait is longer than a day.

mod limits;

use std::time::Duration;

pub use self::limits::{LIMITS_PATH, RequestLimit, read_limits};

/// A wait above this is absurd, and is cut to it.
const WAIT_MAX: Duration = Duration::from_secs(86_400);
/// From here on a reset is a Unix time, not seconds left (2001-09-09; no window is 31 years long).
const UNIX_TIME_SECONDS_MIN: f64 = 1e9;
/// From here on it is one in milliseconds (the same in seconds is 1973-03-03 and 5138-11-16).
const UNIX_TIME_MILLISECONDS_MIN: f64 = 1e11;
/// How much of a body is searched for the seconds in its text.
const TEXT_BYTES_MAX: usize = 4_096;

/// So many quotas of one answer are read; a server that lists more is believed in the first ones.
pub const QUOTAS_MAX: usize = 4;
/// A quota or count above this is absurd, and none: nobody is allowed a billion requests in a window.
const COUNT_MAX: u64 = 1_000_000_000;

/// What a server said about one of its quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The requests of a window; never zero.
    pub limit: Option<u64>,
    /// How many of them are left.
    pub remaining: Option<u64>,
    /// The time until the window ends, or until there is more.
    pub reset: Option<Duration>,
    /// The window, where the server names it.
    pub per: Option<Duration>,
}

/// What a server said about its limit. Most answers say nothing, and each is handed on several times: so it is small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// `Retry-After`, if it names a wait: zero, past, negative and garbage values are none.
    pub retry_after: Option<Duration>,
    /// The time until the window ends.
    pub reset: Option<Duration>,
    /// The seconds that the 429's text names.
    pub text: Option<Duration>,
    /// How much of the quota the server has counted in this window.
    pub used: Option<u64>,
    /// Each quota that the headers tell of, at most [`QUOTAS_MAX`]; of some nothing may be known.
    pub quotas: Vec<Told>,
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
            quotas: quotas(&header, server_seconds),
        }
    }

    /// Whether a header of this lower-case name tells something. Many answers have none, and then looking for each by its
    /// name would cost more than all else that is done to read them.
    pub fn is_told_by(name: &str) -> bool {
        let families = ["inin-ratelimit", "x-ratelimit", "ratelimit"];
        name == "retry-after" || families.iter().any(|family| name.starts_with(family))
    }

    /// What the start of a body tells, where no header does.
    pub fn in_text(body: &[u8]) -> Self {
        Self { text: seconds_in_text(body), ..Self::default() }
    }

    /// The quotas that the headers tell of.
    pub fn told(&self) -> impl Iterator<Item = &Told> {
        self.quotas.iter().filter(|told| **told != Told::default())
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
    wait(seconds_left(seconds, server_seconds))
}

/// What a reset header's number means.
fn seconds_left(number: f64, server_seconds: f64) -> f64 {
    if number >= UNIX_TIME_MILLISECONDS_MIN {
        number / 1_000.0 - server_seconds
    } else if number >= UNIX_TIME_SECONDS_MIN {
        number - server_seconds
    } else {
        number
    }
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

/// The quotas of the first family that names any.
fn quotas<'a>(header: &impl Fn(&str) -> Option<&'a str>, server_seconds: f64) -> Vec<Told> {
    // No window is longer than the longest wait: a reset beyond it tells nothing of one.
    let span = |number: f64| {
        let seconds = seconds_left(number, server_seconds);
        wait(seconds).filter(|_| seconds <= WAIT_MAX.as_secs_f64())
    };
    let plain = |names: [&str; 4]| {
        let [limit, rest, count, reset] = names.map(&header);
        let limit = limit.and_then(leading_count).filter(|limit| *limit > 0);
        let left = |count: u64| limit.map(|limit| limit.saturating_sub(count));
        let remaining = rest.and_then(leading_count).or_else(|| left(leading_count(count?)?));
        let reset = reset.and_then(|value| span(value.trim().parse().ok()?));
        limit.is_some().then_some(Told { limit, remaining, reset, per: None })
    };
    let families = [
        ["inin-ratelimit-allowed", "", "inin-ratelimit-count", "inin-ratelimit-reset"],
        ["x-ratelimit-limit", "x-ratelimit-remaining", "", "x-ratelimit-reset"],
        ["ratelimit-limit", "ratelimit-remaining", "", "ratelimit-reset"],
    ];
    if let Some(told) = families.into_iter().find_map(plain) {
        return vec![told];
    }
    let (policy, state) = (header("ratelimit-policy").unwrap_or_default(), header("ratelimit").unwrap_or_default());
    if state.split(',').all(|item| !item.contains(';')) {
        // Older drafts: one quota, its parameters between commas; the policy may be a bare number with `w`.
        let limit = parameter(state, &["limit"]).or_else(|| leading_count_f64(policy)).and_then(count);
        let reset = parameter(state, &["reset", "t"]).and_then(span);
        let remaining = parameter(state, &["remaining", "r"]).and_then(count);
        let per = parameter(policy, &["w"]).and_then(wait);
        let told = Told { limit: limit.filter(|limit| *limit > 0), remaining, reset, per };
        if told.limit.is_some() || policy.split(',').all(|item| item.trim().is_empty()) {
            return if told == Told::default() { Vec::new() } else { vec![told] };
        }
    }
    let items = policy.split(',').filter(|item| !item.trim().is_empty()).take(QUOTAS_MAX);
    let told = |(index, item): (usize, &str)| {
        let limit = parameter(item, &["q"]).or_else(|| leading_count_f64(item)).and_then(count);
        let name = item.split(';').next().unwrap_or_default().trim();
        let is_named = |state: &&str| state.split(';').next().unwrap_or_default().trim() == name;
        let state = state.split(',').find(is_named).or_else(|| state.split(',').nth(index)).unwrap_or_default();
        let reset = parameter(state, &["t", "reset"]).and_then(span);
        let remaining = parameter(state, &["r", "remaining"]).and_then(count);
        let per = parameter(item, &["w"]).and_then(wait);
        Told { limit: limit.filter(|limit| *limit > 0), remaining, reset, per }
    };
    items.enumerate().map(told).collect()
}

/// The first parameter with one of these names, in `"default";q=100;w=1` or `limit=100, remaining=50`.
fn parameter(value: &str, names: &[&str]) -> Option<f64> {
    value.split([',', ';']).find_map(|part| {
        let (name, number) = part.split_once('=')?;
        names.contains(&name.trim()).then(|| number.trim().parse::<f64>().ok())?
    })
}

/// `100` of `100`, and of `100, 100;w=60`.
fn leading_count(value: &str) -> Option<u64> {
    leading_count_f64(value).and_then(count)
}

fn leading_count_f64(value: &str) -> Option<f64> {
    value.split([',', ';']).next()?.trim().parse().ok()
}

/// A whole number that can be a count.
fn count(number: f64) -> Option<u64> {
    (number >= 0.0 && number.fract() == 0.0 && number <= COUNT_MAX as f64).then_some(number as u64)
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
    let body = &body[..body.len().min(TEXT_BYTES_MAX)];
    if !body.contains(&b'[') {
        return None;
    }
    let text = String::from_utf8_lossy(body);
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

    #[test]
    fn without_a_header_that_tells_something_none_is_asked_for() {
        let named = |name: &str| {
            // A date alone tells nothing; an empty name stands for a header that a family hasn't.
            assert!(matches!(name, "" | "date") || Evidence::is_told_by(name), "{name}");
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
            ("x-ratelimit-reset", "1767225605000", Some(5)),
            ("x-ratelimit-reset", "1767225599000", None),
            ("x-ratelimit-reset", "99999999999999", Some(DAY)),
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

    #[test]
    fn quotas_of_every_family() {
        let told = |limit, remaining, reset: Option<u64>, per: Option<u64>| Told {
            limit: Some(limit),
            remaining,
            reset: reset.map(Duration::from_secs),
            per: per.map(Duration::from_secs),
        };
        let one = [("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "42"), ("x-ratelimit-reset", "1")];
        let unix = [("x-ratelimit-limit", "100"), ("x-ratelimit-reset", "1767225605")];
        let unix_ms = [("x-ratelimit-limit", "100"), ("x-ratelimit-reset", "1767225605000")];
        let absurd = ["1728000", "99999999999999", "inf", "1767225600000000"]
            .map(|reset| [("x-ratelimit-limit", "100"), ("x-ratelimit-reset", reset)]);
        let list =
            [("ratelimit-policy", "\"a\";q=10;w=1, \"b\";q=300;w=60"), ("ratelimit", "\"b\";r=7;t=30, \"a\";r=3;t=1")];
        let older = [("ratelimit-policy", "100;w=60"), ("ratelimit", "limit=100, remaining=50, reset=5")];
        for (headers, quotas) in [
            (&one[..], vec![told(100, Some(42), Some(1), None)]),
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
                prop_assert!(wait.span > Duration::ZERO && wait.span <= WAIT_MAX);
            }
        }
    }
}
