//! Conversations that become busy while others have taken what a long window holds.

use serde_json::json;

use super::case::{ALL_ALGORITHMS, Case, Crowd};
use super::sim::Sim;

/// 99 in 100 messages of late conversations take no longer.
const LATE_MAX_S: f64 = 5.0;
const GOODPUT_MIN: f64 = 0.98;

/// 300 a minute for half an hour.
fn case(algorithm: &str, crowd: Crowd) -> Case {
    let case = Case::new(300, 60_000, algorithm, (20, 200)).with("headers", "none").with("retryAfter", "right");
    let words = format!("{algorithm}, {crowd:?}");
    Case { crowd: Some(crowd), warm_ms: 180_000, words, ..case }
}

/// Few and many busy ones, with backlogs or one message after the other; those that come late send one message, or go
/// on at a rate that is less than their even share.
fn crowds() -> impl Iterator<Item = Crowd> {
    [(1, false, 10), (3, true, 10), (10, true, 10), (10, false, 10), (100, false, 1), (30, true, 1)].into_iter().map(
        |(busy, one_by_one, late_messages)| Crowd {
            busy,
            one_by_one,
            late_every_ms: if late_messages == 1 { 5_000 } else { 60_000 },
            late_messages,
        },
    )
}

fn check(case: &Case) {
    let outcome = Sim::new(case, 1).run();
    let words = &case.words;
    println!("{words}: {:.1} s, goodput {:.4}, refused {:.5}", outcome.late_s, outcome.goodput, outcome.refused);
    assert!(outcome.late_s <= LATE_MAX_S, "{words}: {:.1} s", outcome.late_s);
    assert!(outcome.goodput >= GOODPUT_MIN, "{words}: goodput {:.4}", outcome.goodput);
}

#[test]
fn a_late_conversation_waits_for_no_window_of_a_known_quota() {
    for crowd in crowds() {
        let rate_limit = json!({ "requests": 300, "perMs": 60_000 });
        check(&Case { rate_limit, warm_ms: 0, ..case("sliding-log", crowd) });
    }
}

#[test]
fn nor_of_one_that_is_learned() {
    for (crowd, algorithm) in crowds().zip(ALL_ALGORITHMS.into_iter().cycle()) {
        check(&case(algorithm, crowd));
    }
}
