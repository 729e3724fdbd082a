//! What the login host says. Compiled into `http::oauth`, whose reading of an answer is private. An input is an answer:
//! the status in one line, then the body.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::{TokenAnswer, interpret};
use crate::harness::{Target, Verdict};
use crate::mutation::{NASTY, damaged};

const SECRET: &str = "Hunter2-S3cret/+x";
const BASIC: &str = "aWQ6SHVudGVyMi1TM2NyZXQvK3g=";
const LIFE: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(172_800);
/// "the login host answered 999 " and the longest quotation.
const PROBLEM_CHARS_MAX: usize = 300;

fn check(input: &[u8]) -> Verdict {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (status, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let status: u16 = std::str::from_utf8(status).ok().and_then(|text| text.parse().ok()).unwrap_or(400);
    let is_success = (200..300).contains(&status);
    match interpret(status, body, Some(Duration::from_secs(3)), &[SECRET, BASIC]) {
        TokenAnswer::Granted { header, lifetime } => {
            prop_assert!(is_success && header.is_sensitive());
            prop_assert!(lifetime.is_none_or(|life| LIFE.contains(&life)), "{lifetime:?}");
            let token = header.as_bytes().strip_prefix(b"Bearer ").filter(|token| !token.is_empty());
            prop_assert!(token.is_some());
            // Where a tree can hold the answer, the token is the answer's.
            if let Ok(tree) = serde_json::from_slice::<Value>(body) {
                prop_assert_eq!(tree["access_token"].as_str().map(str::as_bytes), token);
            }
        }
        TokenAnswer::Refused(problem) => {
            prop_assert!(is_success || [400, 401, 403].contains(&status), "{status} {problem}");
            is_quotable(&problem)?;
        }
        TokenAnswer::Failed { problem, wait } => {
            prop_assert!(!is_success || wait.is_none());
            is_quotable(&problem)?;
        }
    }
    Ok(())
}

/// A problem is short, and repeats neither the secret nor what it may look like.
fn is_quotable(problem: &str) -> Verdict {
    prop_assert!(problem.chars().count() <= PROBLEM_CHARS_MAX, "{problem}");
    prop_assert!(!problem.chars().any(char::is_control), "{problem:?}");
    let problem = problem.to_lowercase();
    for secret in [SECRET, BASIC] {
        prop_assert!(!problem.contains(&secret.to_lowercase()), "{problem}");
    }
    // Parts of it that no English text has.
    for part in ["hunter2", "s3cret", "vudgvymi1t", "a123bc"] {
        prop_assert!(!problem.contains(part), "{problem}");
    }
    Ok(())
}

fn answers() -> impl Strategy<Value = Vec<u8>> {
    let status = prop_oneof![Just(200_u16), Just(400), Just(401), Just(403), Just(429), Just(500), 100_u16..1_000];
    let life = prop_oneof![
        any::<f64>().prop_map(|life| life.to_string()),
        any::<i64>().prop_map(|life| life.to_string()),
        select(&NASTY[..]).prop_map(str::to_owned),
    ];
    let token = prop_oneof![
        Just("eyJ0eXAi".to_owned()),
        Just(String::new()),
        any::<String>(),
        select(&NASTY[..]).prop_map(str::to_owned),
    ];
    let words = prop_oneof![
        Just(format!("rate limit exceeded {SECRET}")),
        Just(format!("client id:{SECRET}; basic {BASIC} hunter2 S3cret")),
        Just("48756e746572322d533363726574 Hunter2%2DS3cret%2F%2Bx a123bc4567890".to_owned()),
        any::<String>(),
        (1_usize..2_000).prop_map(|count| "word ".repeat(count)),
    ];
    let text = |text: &str| serde_json::to_string(text).unwrap();
    prop_oneof![
        (status.clone(), token, life).prop_map(move |(status, token, life)| {
            format!("{status}\n{{\"access_token\":{},\"token_type\":\"bearer\",\"expires_in\":{life}}}", text(&token))
        }),
        (status, select(&["error", "description", "error_description"][..]), words).prop_map(
            move |(status, name, words)| {
                format!("{status}\n{{\"error\":\"invalid_client\",\"{name}\":{}}}", text(&words))
            }
        ),
    ]
    .prop_map(String::into_bytes)
}

#[test]
fn oauth() {
    Target { name: "oauth", cases: 200, check }.run(&damaged(answers()));
}
