//! Quotas that the caller knows.

use serde_json::json;

use super::case::{ALGORITHMS, Case};
use super::row::{Choice, Row};

fn case(choice: &mut Choice, per_ms: u64, latency_ms: (u64, u64), headers: &str) -> Case {
    let algorithm = choice.of(&ALGORITHMS);
    let requests = choice.draw.range(80, 120);
    let mut case = Case::new(requests, per_ms, algorithm, latency_ms).with("headers", headers);
    case.rate_limit = json!({ "requests": requests, "perMs": per_ms });
    case
}

#[test]
fn minutes() {
    let row = Row { name: "known, 60 s, 20-200 ms", goodput: 0.99, worst: 0.99, refused: 0.0 };
    row.check(|choice| Case { run_ms: 7_200_000, ..case(choice, 60_000, (20, 200), "x") });
}

#[test]
fn seconds_quick() {
    let row = Row { name: "known, 1 s, no headers, 20-30 ms", goodput: 0.975, worst: 0.975, refused: 0.0 };
    row.check(|choice| case(choice, 1_000, (20, 30), "none"));
}

#[test]
fn seconds_slow() {
    let row = Row { name: "known, 1 s, no headers, 20-200 ms", goodput: 0.89, worst: 0.89, refused: 0.0 };
    row.check(|choice| case(choice, 1_000, (20, 200), "none"));
}
