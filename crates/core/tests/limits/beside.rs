//! Messages that flow beside one endpoint, or one conversation, that has a limit of its own.

use serde_json::{Value, json};

use super::case::{ALL_ALGORITHMS, Case, Limited, quota};
use super::row::{Choice, Row};
use super::sim::{LIMITED_CONVERSATION, LIMITED_ENDPOINT};

/// Twenty messages a second of the twenty-five that everybody together may send.
const REQUESTS: u64 = 1_500;
const PER_MS: u64 = 60_000;
const LOAD: f64 = 0.8;
/// What messages get without it is all of their load.
const GOODPUT_MIN: f64 = 0.97 * LOAD;
/// 99 in 100 messages take no longer, with every seed.
const P99_MAX_S: f64 = 1.0;

fn case(choice: &mut Choice, limited: Limited) -> Case {
    let algorithm = choice.of(&ALL_ALGORITHMS);
    let is_named = choice.of(&[false, true]);
    let learns = choice.of(&[true, false]);
    let (path, key) = match limited {
        Limited::Endpoint => (LIMITED_ENDPOINT.to_owned(), "requests.per.endpoint"),
        Limited::Conversation => {
            (format!("/api/v2/messaging/conversations/{LIMITED_CONVERSATION}/messages"), "messages.per.conversation")
        }
    };
    let mut route = json!({ "path": path, "quota": quota(2, 10_000, algorithm) });
    if is_named {
        route["limitKey"] = json!(key);
    }
    let mut case =
        Case::new(REQUESTS, PER_MS, algorithm, (20, 200)).with("headers", "none").with("retryAfter", "right");
    case.server["routes"] = json!([route]);
    let known: Value = json!({ "requests": REQUESTS, "perMs": PER_MS });
    case.rate_limit = if learns { json!({ "learn": true, "start": known }) } else { known };
    let words = format!("{}, {}, {}", case.words, if is_named { "named" } else { "unnamed" }, case.rate_limit);
    let (warm_ms, run_ms) = (PER_MS, 11 * PER_MS);
    Case { limited: Some(limited), load: Some(LOAD), conversations: 50, warm_ms, run_ms, words, ..case }
}

/// Of the limited ones, each window has a refusal that tells when the next begins.
fn check(name: &'static str, limited: Limited) {
    let row = Row { name, goodput: GOODPUT_MIN, worst: GOODPUT_MIN, refused: 0.01 };
    let figures = row.run(|choice| case(choice, limited));
    row.assert(&figures);
    let slowest = figures.slowest();
    assert!(slowest.outcome.late_s <= P99_MAX_S, "{name}: p99 {} s; {slowest}", slowest.outcome.late_s);
}

#[test]
fn an_endpoint() {
    check("beside an endpoint of 2 per 10 s, 80 % load", Limited::Endpoint);
}

#[test]
fn a_conversation() {
    check("beside a conversation of 2 per 10 s, 80 % load", Limited::Conversation);
}
