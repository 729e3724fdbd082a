//! What Genesys Cloud has sent since November 2021: no header but `Retry-After`, which says how long the window lasts
//! still, in whole seconds; its windows are minutes and longer.

use serde_json::json;

use super::case::{ALL_ALGORITHMS, Case, quota};
use super::row::{Choice, Row};

/// The right one, as where nobody has changed what tokens are allowed; the default; and wrong ones.
const STARTS: [Option<f64>; 4] = [Some(1.0), None, Some(5.0), Some(0.2)];
const MINUTE_MS: u64 = 60_000;
const LIMIT_KEY: &str = "token.rate.per.minute";
/// Few windows: a single try is a large part of what is refused in them.
const WORST_REFUSED: f64 = 2.0;

/// The first three windows don't count.
fn silent(requests: u64, per_ms: u64, algorithm: &str, form: &str, windows: u64) -> Case {
    let case = Case::new(requests, per_ms, algorithm, (20, 200)).with("headers", "none").with("retryAfter", form);
    Case { warm_ms: 3 * per_ms, run_ms: (3 + windows) * per_ms, ..case }
}

fn drawn(choice: &mut Choice, per_ms: u64, form: &str, windows: u64) -> Case {
    let algorithm = choice.of(&ALL_ALGORITHMS);
    let requests = choice.draw.range(100, 300);
    silent(requests, per_ms, algorithm, form, windows)
}

fn check(row: &Row, case_of: impl Fn(&mut Choice) -> Case) {
    row.assert_within(&row.run(case_of), WORST_REFUSED);
}

#[test]
fn minutes() {
    let row = Row { name: "learn, Retry-After alone, 60 s, 20-200 ms", goodput: 0.99, worst: 0.97, refused: 0.001 };
    check(&row, |choice| {
        let case = drawn(choice, MINUTE_MS, "right", 60);
        case.starting(choice.of(&STARTS))
    });
}

#[test]
fn minutes_without_a_wait() {
    let row = Row { name: "learn, Retry-After 0, 60 s, 20-200 ms", goodput: 0.99, worst: 0.97, refused: 0.0025 };
    check(&row, |choice| {
        let case = drawn(choice, MINUTE_MS, "zero", 60);
        case.starting(choice.of(&STARTS))
    });
}

#[test]
fn ten_seconds() {
    let row = Row { name: "learn, Retry-After alone, 10 s, 20-200 ms", goodput: 0.97, worst: 0.95, refused: 0.001 };
    check(&row, |choice| {
        let case = drawn(choice, 10_000, "right", 90);
        case.starting(choice.of(&[Some(1.0), Some(5.0)]))
    });
}

#[test]
fn hours() {
    let row = Row { name: "learn, Retry-After alone, 1 h, 20-200 ms", goodput: 0.99, worst: 0.97, refused: 0.003 };
    check(&row, |choice| drawn(choice, 3_600_000, "right", 30).starting(Some(1.0)));
}

#[test]
fn minutes_below_the_limit() {
    let row = Row { name: "learn, Retry-After alone, 60 s, 80 % load", goodput: 0.79, worst: 0.78, refused: 0.0 };
    check(&row, |choice| {
        let case = drawn(choice, MINUTE_MS, "right", 60);
        let case = case.starting(choice.of(&[Some(1.0), None]));
        // What an even load of 80 % may come to by chance.
        Case { warm_ms: MINUTE_MS, load: Some(0.8), ..case }
    });
}

/// Others could have a limit of their own, so each refusal is looked into.
#[test]
fn minutes_of_many_conversations() {
    let row = Row { name: "learn, Retry-After alone, 60 s, 50 convs.", goodput: 0.99, worst: 0.97, refused: 0.0015 };
    check(&row, |choice| {
        let case = drawn(choice, MINUTE_MS, "right", 60);
        Case { conversations: 50, ..case.starting(choice.of(&STARTS)) }
    });
}

#[test]
fn minutes_without_a_wait_of_many_conversations() {
    let row = Row { name: "learn, Retry-After 0, 60 s, 50 convs.", goodput: 0.99, worst: 0.97, refused: 0.0025 };
    check(&row, |choice| {
        let case = drawn(choice, MINUTE_MS, "zero", 60);
        Case { conversations: 50, ..case.starting(choice.of(&STARTS)) }
    });
}

/// The body of the 429 names the limit.
#[test]
fn minutes_named_by_the_body() {
    let row = Row { name: "learn, limit named in the body, 60 s", goodput: 0.99, worst: 0.97, refused: 0.001 };
    check(&row, |choice| {
        let mut case = drawn(choice, MINUTE_MS, "right", 60);
        case.server["quota"]["limitKey"] = json!(LIMIT_KEY);
        case.starting(choice.of(&STARTS))
    });
}

#[test]
fn minutes_told_by_the_limits() {
    let row = Row { name: "learn, readLimits, 60 s, 20-200 ms", goodput: 0.99, worst: 0.97, refused: 0.001 };
    check(&row, |choice| {
        let mut case = drawn(choice, MINUTE_MS, "right", 60);
        case.rate_limit = json!({ "learn": true, "readLimits": true });
        case.server["quota"]["limitKey"] = json!(LIMIT_KEY);
        case
    });
}

/// Buckets are left out: a minute's says "one second" at every refusal, as a second's does, and is taken for one of
/// five or six a second, which is tried again and again.
#[test]
fn two_layers() {
    let row = Row { name: "learn, 10/s and 300/min, Retry-After alone", goodput: 0.98, worst: 0.96, refused: 0.005 };
    check(&row, |choice| {
        let algorithm = choice.of(&["fixed-window", "opened-window", "sliding-log"]);
        let case = silent(300, MINUTE_MS, algorithm, "right", 60);
        let mut case = case.starting(choice.of(&[Some(1.0), None]));
        case.server["quota"] = json!([quota(10, 1_000, algorithm), quota(300, MINUTE_MS, algorithm)]);
        case
    });
}
