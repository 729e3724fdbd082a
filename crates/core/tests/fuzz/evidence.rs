//! What headers and bodies tell about the limit, and what the learner makes of it. An input is an answer: header lines,
//! an empty line, and the body.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use spillway_core::budget::{Heard, NotYet, Quota};
use spillway_core::clock::Timestamp;
use spillway_core::evidence::{Evidence, HeaderLimit, QUOTAS_MAX, Unnamed, WaitSource};
use spillway_core::settings::{Learn, Rate};
use spillway_core::token::{TokenId, TokenSet};

use crate::harness::{Target, Verdict};
use crate::mutation::{NASTY, damaged};

/// Thu, 01 Jan 2026 00:00:00 GMT: the local clock.
const EPOCH_SECONDS: u64 = 1_767_225_600;
/// What our clock counts: a shorter wait is none.
const MICROSECOND: Duration = Duration::from_micros(1);
const DAY: Duration = Duration::from_secs(86_400);
const COUNT_MAX: u64 = 1_000_000_000;
/// `http::answer` reads so many lines of one name.
const LINES_MAX: usize = 8;
/// `evidence::body` searches so much of a body.
const BODY_SEARCHED: usize = 4_096;

const NAMES: [&str; 24] = [
    "retry-after",
    "retry-after-ms",
    "date",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-rate-limit-limit",
    "x-rate-limit-remaining",
    "x-rate-limit-reset",
    "inin-ratelimit-allowed",
    "inin-ratelimit-count",
    "inin-ratelimit-reset",
    "x-ratelimit-limit-second",
    "x-ratelimit-remaining-second",
    "x-ratelimit-limit-minute",
    "x-ratelimit-remaining-minute",
    "x-ratelimit-limit-day",
    "x-ratelimit-remaining-day",
    "content-type",
];

#[derive(Debug)]
struct Answer<'a> {
    headers: Vec<(&'a str, String)>,
    body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Reads an input as `http::answer` reads an answer: only values of visible characters, the lines of one name
    /// joined.
    fn of(input: &'a [u8]) -> Self {
        let end = input.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = end.map_or((input, &b""[..]), |end| (&input[..end], &input[end + 2..]));
        let mut headers: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in head.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
                continue;
            }
            match headers.iter_mut().find(|(own, _)| *own == name) {
                Some((_, lines)) if lines.len() < LINES_MAX => lines.push(value),
                Some(_) => {}
                None => headers.push((name, vec![value])),
            }
        }
        Self { headers: headers.into_iter().map(|(name, lines)| (name, lines.join(", "))).collect(), body }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| &**value)
    }

    fn evidence(&self) -> Evidence {
        Evidence::read(|name| self.header(name), self.body, EPOCH_SECONDS * 1_000)
    }
}

fn check(input: &[u8]) -> Verdict {
    let answer = Answer::of(input);
    let evidence = answer.evidence();
    let mut refusal = evidence.clone();
    refusal.add_refusal(answer.body);
    is_bounded(&evidence)?;
    is_bounded(&refusal)?;
    prop_assert_eq!(evidence.retry_after, refusal.retry_after);
    if answer.headers.iter().all(|(name, _)| !Evidence::is_told_by(name)) {
        prop_assert_eq!(&evidence, &Evidence::in_text(answer.body));
    }
    if !answer.body.contains(&b'[') && evidence.quotas.is_empty() && evidence.reset.is_none() {
        prop_assert!(
            evidence.text.is_none() && evidence.wait().is_none_or(|wait| wait.source == WaitSource::RetryAfter)
        );
    }
    is_plain_retry_after(&answer, &evidence)?;
    is_searched_at_the_start_alone(answer.body)?;
    learns(&[&evidence, &refusal])
}

/// Waits last from a microsecond to a day; counts are counts.
fn is_bounded(evidence: &Evidence) -> Verdict {
    let wait = evidence.wait().map(|wait| wait.span);
    let spent = match evidence.unnamed {
        Unnamed::Spent(wait) | Unnamed::Outlasting(wait) => Some(wait),
        Unnamed::Untold | Unnamed::Left => None,
    };
    let waits = [evidence.retry_after, evidence.reset, evidence.spent_reset, spent, evidence.text, wait];
    for span in waits.into_iter().flatten() {
        prop_assert!(span >= MICROSECOND && span <= DAY, "{evidence:?}");
    }
    prop_assert!(evidence.used.is_none_or(|used| used <= COUNT_MAX), "{evidence:?}");
    prop_assert!(evidence.quotas.len() <= QUOTAS_MAX, "{evidence:?}");
    for HeaderLimit { limit, remaining, reset, per } in &evidence.quotas {
        prop_assert!(limit.is_none_or(|limit| (1..=COUNT_MAX).contains(&limit)), "{evidence:?}");
        prop_assert!(remaining.is_none_or(|rest| rest <= COUNT_MAX), "{evidence:?}");
        for span in [reset, per].into_iter().flatten() {
            prop_assert!(*span >= MICROSECOND && *span <= DAY, "{evidence:?}");
        }
    }
    Ok(())
}

/// Whole seconds, and a Unix time, mean what they say, whatever stands beside them.
fn is_plain_retry_after(answer: &Answer<'_>, evidence: &Evidence) -> Verdict {
    let value = answer.header("retry-after").map(str::trim).filter(|_| answer.header("retry-after-ms").is_none());
    let digits = value.filter(|value| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(number) = digits.and_then(|digits| digits.parse::<u64>().ok()) else { return Ok(()) };
    let unix = number.checked_sub(EPOCH_SECONDS).filter(|_| answer.header("date").is_none());
    match (number, unix) {
        (0, _) => prop_assert_eq!(evidence.retry_after, None),
        (1..=86_400, _) => prop_assert_eq!(evidence.retry_after, Some(Duration::from_secs(number))),
        (_, Some(0)) => prop_assert_eq!(evidence.retry_after, None),
        (_, Some(left @ 1..=86_400)) => prop_assert_eq!(evidence.retry_after, Some(Duration::from_secs(left))),
        _ => {}
    }
    Ok(())
}

fn is_searched_at_the_start_alone(body: &[u8]) -> Verdict {
    let start = &body[..body.len().min(BODY_SEARCHED)];
    if !body.starts_with(b"\xef\xbb\xbf") {
        prop_assert_eq!(Evidence::in_text(body), Evidence::in_text(start));
    }
    Ok(())
}

/// The learner stays between floor and ceiling, and every wait of its own ends.
fn learns(heard: &[&Evidence]) -> Verdict {
    let rate = |requests: u32, per_ms| {
        let requests = requests.try_into().unwrap();
        Rate { requests, per: Duration::from_millis(per_ms), burst: requests }
    };
    let learn = Learn { start: rate(20, 1_000), floor: rate(30, 60_000), ceiling: rate(50, 1_000), read_limits: false };
    let mut now = Timestamp::from_micros(1_000_000);
    let mut quota = Quota::learning(learn, now);
    for refused in [false, true, true, false] {
        for evidence in heard {
            if let Err(NotYet::Until(at)) = quota.check(now, TokenSet::FIRST, 1) {
                prop_assert!(at > now && at.since(now) <= DAY * 2, "a wait of {:?}", at.since(now));
                now = at;
            }
            if quota.check(now, TokenSet::FIRST, 1).is_ok() {
                quota.reserve(now, TokenId::FIRST, 1);
                quota.left(now, TokenId::FIRST, 1);
                let sent_at = now;
                now = now.after(Duration::from_millis(40));
                quota.heard(now, TokenId::FIRST, Heard { sent_at, cost: 1, refused, evidence: Some(evidence) });
            }
            for one in quota.believed() {
                let seconds = one.per.as_secs_f64();
                let bounds = (0.5 * seconds).floor().max(1.0)..=(50.0 * seconds).max(1.0);
                prop_assert!(bounds.contains(&f64::from(one.requests)), "{one:?}");
            }
        }
    }
    Ok(())
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_u32..200).prop_map(|number| number.to_string()),
        (0_u64..200_000).prop_map(|number| number.to_string()),
        (EPOCH_SECONDS - 100..EPOCH_SECONDS + 90_000).prop_map(|seconds| seconds.to_string()),
        (EPOCH_SECONDS - 100..EPOCH_SECONDS + 90_000).prop_map(|seconds| format!("{seconds}000")),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        select(&NASTY[..]).prop_map(str::to_owned),
    ]
}

fn date() -> impl Strategy<Value = String> {
    prop_oneof![EPOCH_SECONDS - 100_000..EPOCH_SECONDS + 200_000, 0..u64::from(u32::MAX)]
        .prop_map(|seconds| httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(seconds)))
}

/// A value of any header: a number, a date, a list of numbers, or structured fields.
fn value() -> impl Strategy<Value = String> {
    let member = (select(&["a", "b", "minute", "day"][..]), select(&["q", "r", "w", "t", "x"][..]), number(), number())
        .prop_map(|(name, key, one, other)| format!("\"{name}\";{key}={one};w={other}"));
    let older = (number(), number(), number()).prop_map(|(l, r, t)| format!("limit={l}, remaining={r}, reset={t}"));
    let policy = (number(), number()).prop_map(|(q, w)| format!("{q};w={w}"));
    prop_oneof![
        4 => number(),
        1 => date(),
        2 => vec(number(), 1..6).prop_map(|list| list.join(", ")),
        3 => vec(member, 1..7).prop_map(|list| list.join(", ")),
        1 => older,
        1 => policy,
    ]
}

fn body() -> impl Strategy<Value = String> {
    let limit = (number(), select(&["second", "minute", "hour", "day", "week"][..]), number()).prop_map(
        |(value, window, seconds)| {
            format!(
                r#"{{"status":429,"messageParams":{{"seconds":{seconds}}},"limit":{{"key":"token.rate.per.{window}","namespace":"platform.api","value":{value}}}}}"#
            )
        },
    );
    prop_oneof![
        Just(String::new()),
        number().prop_map(|seconds| format!("{{\"message\":\"Retry the request in [{seconds}] seconds\"}}")),
        (number(), number()).prop_map(|(q, w)| format!("the maximum [{q}] requests within [{w}] seconds")),
        limit,
    ]
}

fn answers() -> impl Strategy<Value = Vec<u8>> {
    let line = (select(&NAMES[..]), value()).prop_map(|(name, value)| format!("{name}: {value}\n"));
    (vec(line, 0..8), body()).prop_map(|(lines, body)| format!("{}\n{body}", lines.concat()).into_bytes())
}

#[test]
fn evidence() {
    Target { name: "evidence", cases: 200, check }.run(&damaged(answers()));
}
