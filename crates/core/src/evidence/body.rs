//! What the body of a refusal names: seconds to wait, and the limit that was exceeded.

use std::time::Duration;

use serde_json::Value;

use super::limits::window_of;
use super::span::{count, wait};
use super::{HeaderLimit, NamedLimit};
use crate::text::without_bom;

/// How much of a body is searched.
const TEXT_BYTES_MAX: usize = 4_096;
/// The limits of other namespaces hold for single services.
const NAMESPACE: &str = "platform.api";
/// A longer key or namespace is none.
const NAME_BYTES_MAX: usize = 128;

/// What a refusal's body names besides the seconds in its text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) wait: Option<Duration>,
    pub(super) quota: Option<HeaderLimit>,
    pub(super) limit: Option<NamedLimit>,
}

impl Named {
    pub(super) fn read(body: &[u8]) -> Self {
        let body = start(body);
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        Self {
            wait: number(&json["messageParams"]["seconds"]).and_then(wait),
            quota: limit(&json["limit"]).or_else(|| limit_in_text(body)),
            limit: named_limit(&json["limit"]),
        }
    }
}

/// "Retry the request in [42] seconds".
pub(super) fn seconds_in_text(body: &[u8]) -> Option<Duration> {
    let body = start(body);
    if !body.contains(&b'[') {
        return None;
    }
    wait(bracketed(&String::from_utf8_lossy(body), "Retry the request in ")?)
}

fn start(body: &[u8]) -> &[u8] {
    let body = without_bom(body);
    &body[..body.len().min(TEXT_BYTES_MAX)]
}

/// `{"key":"token.rate.per.minute","namespace":"platform.api","value":300}`.
fn limit(limit: &Value) -> Option<HeaderLimit> {
    if !matches!(&limit["namespace"], Value::Null) && limit["namespace"] != NAMESPACE {
        return None;
    }
    quota(number(&limit["value"])?, window_of(limit["key"].as_str()?)?)
}

/// The same as it stands, whatever it holds for; none without a key.
fn named_limit(limit: &Value) -> Option<NamedLimit> {
    let is_name =
        |name: &&str| (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    let name = |field: &str| limit[field].as_str().filter(is_name).map(str::to_owned);
    let value = number(&limit["value"]).and_then(count).filter(|value| *value > 0);
    Some(NamedLimit { key: name("key")?, namespace: name("namespace"), value })
}

/// "maximum [300] requests within [60] seconds".
fn limit_in_text(body: &[u8]) -> Option<HeaderLimit> {
    let text = String::from_utf8_lossy(body);
    let (_, text) = text.split_once("maximum [")?;
    let (requests, text) = text.split_once("] requests within ")?;
    quota(requests.trim().parse().ok()?, wait(bracketed(text, "")?)?)
}

fn quota(requests: f64, per: Duration) -> Option<HeaderLimit> {
    let limit = count(requests).filter(|limit| *limit > 0)?;
    Some(HeaderLimit { limit: Some(limit), per: Some(per), ..HeaderLimit::default() })
}

/// The number in brackets right after these words.
fn bracketed(text: &str, words: &str) -> Option<f64> {
    let (_, rest) = if words.is_empty() { ("", text) } else { text.split_once(words)? };
    let (number, _) = rest.strip_prefix('[')?.split_once(']')?;
    number.trim().parse().ok()
}

/// A number, also one that is written as a string.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> (Option<u64>, Option<(u64, u64)>) {
        let Named { wait, quota, .. } = Named::read(body.as_bytes());
        let quota = quota.and_then(|told| Some((told.limit?, told.per?.as_secs())));
        (wait.map(|wait| wait.as_secs()), quota)
    }

    #[test]
    fn the_limit_that_a_refusal_names() {
        for (limit, quota) in [
            (r#"{"key":"token.rate.per.minute","namespace":"platform.api","value":77}"#, Some((77, 60))),
            (r#"{"key":"org.requests.rate.per.second","value":"5"}"#, Some((5, 1))),
            (r#"{"key":"token.rate.per.day","namespace":null,"value":5000}"#, Some((5_000, 86_400))),
            (r#"{"key":"token.rate.per.minute","namespace":"analytics","value":77}"#, None),
            (r#"{"key":"token.rate.per.fortnight","value":77}"#, None),
            (r#"{"key":"request.bytes.max","value":77}"#, None),
            (r#"{"key":"token.rate.per.minute","value":0}"#, None),
            (r#"{"key":"token.rate.per.minute","value":-7}"#, None),
            (r#"{"key":"token.rate.per.minute","value":7.5}"#, None),
            (r#"{"key":"token.rate.per.minute","value":1e300}"#, None),
            (r#"{"key":7,"value":7}"#, None),
            ("77", None),
            ("[77]", None),
        ] {
            assert_eq!(read(&format!(r#"{{"status":429,"limit":{limit}}}"#)).1, quota, "{limit}");
        }
    }

    #[test]
    fn the_limit_as_it_stands() {
        let read = |limit: &str| {
            let limit = Named::read(format!(r#"{{"limit":{limit}}}"#).as_bytes()).limit?;
            Some((limit.key, limit.namespace, limit.value))
        };
        let named =
            |key: &str, namespace: Option<&str>, value| Some((key.to_owned(), namespace.map(str::to_owned), value));
        for (limit, expected) in [
            (r#"{"key":"a.rate","namespace":"workitems","value":77}"#, named("a.rate", Some("workitems"), Some(77))),
            (
                r#"{"key":"a.rate","namespace":"platform.api","value":"77"}"#,
                named("a.rate", Some("platform.api"), Some(77)),
            ),
            (r#"{"key":"a.rate","namespace":null}"#, named("a.rate", None, None)),
            (r#"{"key":"a.rate","namespace":7,"value":-7}"#, named("a.rate", None, None)),
            (r#"{"namespace":"workitems","value":77}"#, None),
            (r#"{"key":"","value":77}"#, None),
            (r#"{"key":"a\u001b[2J","value":77}"#, None),
            (r#"["key"]"#, None),
            ("null", None),
        ] {
            assert_eq!(read(limit), expected, "{limit}");
        }
        assert_eq!(read(&format!(r#"{{"key":"{}","value":7}}"#, "k".repeat(129))), None);
    }

    #[test]
    fn a_limit_in_words() {
        for (text, quota) in [
            ("Rate limit exceeded the maximum [300] requests within [60] seconds", Some((300, 60))),
            ("maximum [300] requests within [1.5] seconds", Some((300, 1))),
            ("maximum [0] requests within [60] seconds", None),
            ("maximum [300] requests within [0] seconds", None),
            ("maximum [300] requests within [", None),
            ("maximum [] requests within [60]", None),
            ("maximum [300] messages within [60] seconds", None),
        ] {
            assert_eq!(read(&format!(r#"{{"message":"{text}"}}"#)).1, quota, "{text}");
            assert_eq!(read(text).1, quota, "{text}");
        }
    }

    #[test]
    fn the_seconds_among_the_parameters() {
        for (seconds, wait) in
            [("\"2\"", Some(2)), ("42", Some(42)), ("0", None), ("\"-1\"", None), ("\"soon\"", None), ("{}", None)]
        {
            assert_eq!(read(&format!(r#"{{"messageParams":{{"seconds":{seconds}}}}}"#)).0, wait, "{seconds}");
        }
        assert_eq!(read("\u{feff}{\"messageParams\":{\"seconds\":\"2\"}}").0, Some(2));
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_do_no_harm(body in "(\\{\"limit\":|maximum \\[|\\[|\\] requests within |\\]|[0-9]|\\PC){0,30}") {
            if let Some(quota) = Named::read(body.as_bytes()).quota {
                prop_assert!(quota.limit.is_some_and(|limit| limit > 0) && quota.per.is_some());
            }
        }
    }
}
