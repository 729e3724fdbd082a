//! Quotas that headers name.

use serde_json::json;

use super::case::{ALGORITHMS, Case, Change, quota};
use super::row::{Choice, Row};

const FAMILIES: [&str; 3] = ["x", "inin", "ietf"];
const STARTS: [Option<f64>; 3] = [None, Some(5.0), Some(0.2)];

fn case(choice: &mut Choice, per_ms: u64, latency_ms: (u64, u64), most: u64) -> Case {
    let (algorithm, headers, start) = (choice.of(&ALGORITHMS), choice.of(&FAMILIES), choice.of(&STARTS));
    let requests = choice.draw.range(80, most);
    let forms = ["right", "zero", "date", "past", "negative", "garbage", "missing"];
    let case = Case::new(requests, per_ms, algorithm, latency_ms).starting(start).with("headers", headers);
    let form = *choice.draw.pick(&forms);
    let format = *choice.draw.pick(&["seconds", "unix"]);
    case.with("retryAfter", form).with("resetFormat", format)
}

#[test]
fn seconds() {
    let row = Row { name: "learn, headers, 1 s, 20-30 ms", goodput: 0.985, worst: 0.985, refused: 0.001 };
    row.check(|choice| Case { warm_ms: 3_000, ..case(choice, 1_000, (20, 30), 120) });
}

#[test]
fn minutes() {
    let row = Row { name: "learn, headers, 60 s, 20-200 ms", goodput: 0.99, worst: 0.99, refused: 0.001 };
    row.check(|choice| Case { warm_ms: 180_000, run_ms: 14_400_000, ..case(choice, 60_000, (20, 200), 300) });
}

/// Headers of the requests and what is left of them, and of nothing else: a minute until it is shown to be a second.
fn windowless(choice: &mut Choice, per_ms: u64, latency_ms: (u64, u64), (least, most): (u64, u64)) -> Case {
    let (algorithm, headers, start) = (choice.of(&ALGORITHMS), choice.of(&["x", "inin"]), choice.of(&STARTS));
    let requests = choice.draw.range(least, most);
    let case = Case::new(requests, per_ms, algorithm, latency_ms).starting(start).with("headers", headers);
    let form = *choice.draw.pick(&["right", "zero", "date", "past", "missing"]);
    let words = format!("{}, no reset", case.words);
    Case { without_reset: true, words, ..case }.with("retryAfter", form)
}

#[test]
fn windowless_seconds() {
    let row = Row { name: "learn, no reset header, 1 s, 20-30 ms", goodput: 0.985, worst: 0.96, refused: 0.001 };
    row.check(|choice| Case { warm_ms: 20_000, ..windowless(choice, 1_000, (20, 30), (10, 120)) });
}

#[test]
fn windowless_seconds_slow() {
    let row = Row { name: "learn, no reset header, 1 s, 20-200 ms", goodput: 0.93, worst: 0.9, refused: 0.003 };
    row.check(|choice| Case { warm_ms: 30_000, ..windowless(choice, 1_000, (20, 200), (80, 120)) });
}

#[test]
fn windowless_seconds_changing() {
    let row = Row {
        name: "learn, no reset header, 1 s, 20-30 ms, the quota changes",
        goodput: 0.97,
        worst: 0.9,
        refused: 0.01,
    };
    row.check(|choice| {
        let algorithm = ALGORITHMS[(choice.index % 3) as usize];
        let case = Case { warm_ms: 20_000, ..windowless(choice, 1_000, (20, 30), (80, 120)) };
        changing(case, algorithm, 90)
    });
}

#[test]
fn windowless_minutes() {
    let row = Row { name: "learn, no reset header, 60 s, 20-200 ms", goodput: 0.99, worst: 0.99, refused: 0.001 };
    row.check(|choice| Case {
        warm_ms: 180_000,
        run_ms: 7_200_000,
        ..windowless(choice, 60_000, (20, 200), (10, 300))
    });
}

/// Halves, comes back, doubles, drops to a tenth and comes back.
pub fn changing(case: Case, algorithm: &str, settle_windows: u64) -> Case {
    let (requests, per_ms) = (case.requests, case.per_ms);
    let stretch_ms = case.run_ms / 6;
    let shares = [0.5, 1.0, 2.0, 0.2, 2.0];
    let changes = shares.iter().zip(1..).map(|(share, index)| {
        let requests = (requests as f64 * share) as u64;
        Change { at_ms: index * stretch_ms, server: json!({ "quota": quota(requests, per_ms, algorithm) }), requests }
    });
    Case { changes: changes.collect(), settle_ms: settle_windows * per_ms, ..case }
}

#[test]
fn seconds_changing() {
    let row =
        Row { name: "learn, headers, 1 s, 20-30 ms, the quota changes", goodput: 0.985, worst: 0.98, refused: 0.01 };
    row.check(|choice| {
        let algorithm = ALGORITHMS[(choice.index % 3) as usize];
        let case = Case { warm_ms: 3_000, ..case(choice, 1_000, (20, 30), 120) };
        changing(case, algorithm, 5)
    });
}

/// The table has no bar for windows of a second and 20 to 200 ms where headers name the quota: it is that without
/// headers.
#[test]
fn seconds_changing_slow() {
    let row =
        Row { name: "learn, headers, 1 s, 20-200 ms, the quota changes", goodput: 0.93, worst: 0.92, refused: 0.01 };
    row.check(|choice| {
        let algorithm = ALGORITHMS[(choice.index % 3) as usize];
        let case = Case { warm_ms: 3_000, ..case(choice, 1_000, (20, 200), 120) };
        changing(case, algorithm, 5)
    });
}

#[test]
fn minutes_changing() {
    let row =
        Row { name: "learn, headers, 60 s, 20-200 ms, the quota changes", goodput: 0.99, worst: 0.99, refused: 0.01 };
    row.check(|choice| {
        let algorithm = ALGORITHMS[(choice.index % 3) as usize];
        let case = Case { warm_ms: 180_000, run_ms: 14_400_000, ..case(choice, 60_000, (20, 200), 300) };
        changing(case, algorithm, 5)
    });
}

/// Others take 40 % of it.
fn with_others(mut case: Case, choice: &mut Choice) -> Case {
    let (requests, per_ms) = (case.requests / 20 * 20, case.per_ms);
    let algorithm = case.server["quota"]["algorithm"].as_str().unwrap().to_owned();
    case.server["quota"] = quota(requests, per_ms, &algorithm);
    let others = requests * 4 / 10;
    let burst = others / *choice.draw.pick(&[2, 4, 8]);
    case.words += &format!(", others {others} in bursts of {burst}");
    case.server["others"] = json!({ "requests": others, "perMs": per_ms, "burst": burst });
    Case { requests: requests - others, ..case }
}

#[test]
fn company() {
    let row = Row { name: "learn, headers, 1 s, 20-30 ms, others take 40 %", goodput: 0.95, worst: 0.9, refused: 0.01 };
    row.check(|choice| {
        let case = Case { warm_ms: 5_000, ..case(choice, 1_000, (20, 30), 120) };
        with_others(case, choice)
    });
}

/// A bucket is left out: others' use of one flows back evenly, and isn't seen as theirs.
#[test]
fn minutes_company() {
    let row =
        Row { name: "learn, headers, 60 s, 20-200 ms, others take 40 %", goodput: 0.97, worst: 0.95, refused: 0.01 };
    row.check(|choice| {
        let algorithm = ALGORITHMS[(choice.index % 2) as usize];
        let mut case = case(choice, 60_000, (20, 200), 300);
        case.server["quota"]["algorithm"] = json!(algorithm);
        case.words += &format!(", but {algorithm}");
        with_others(Case { warm_ms: 600_000, run_ms: 7_200_000, ..case }, choice)
    });
}

#[test]
fn windowless_company() {
    let row = Row {
        name: "learn, no reset header, 1 s, 20-30 ms, others take 40 %",
        goodput: 0.95,
        worst: 0.65,
        refused: 0.01,
    };
    row.check(|choice| {
        let case = windowless(choice, 1_000, (20, 30), (80, 120));
        with_others(Case { warm_ms: 120_000, ..case }, choice)
    });
}

/// A bucket is left out: others' use of one flows back evenly, and isn't seen as theirs. With a reset header it is no
/// better.
#[test]
fn windowless_minutes_company() {
    let row = Row {
        name: "learn, no reset header, 60 s, 20-200 ms, others take 40 %",
        goodput: 0.97,
        worst: 0.95,
        refused: 0.01,
    };
    row.check(|choice| {
        let algorithm = ALGORITHMS[(choice.index % 2) as usize];
        let mut case = windowless(choice, 60_000, (20, 200), (80, 300));
        case.server["quota"]["algorithm"] = json!(algorithm);
        case.words += &format!(", but {algorithm}");
        with_others(Case { warm_ms: 600_000, run_ms: 7_200_000, ..case }, choice)
    });
}

#[test]
fn two_layers() {
    let row =
        Row { name: "learn, 10/s and 300/min, headers of one, 20-200 ms", goodput: 0.97, worst: 0.97, refused: 0.005 };
    row.check(two_layers_case);
}

pub fn two_layers_case(choice: &mut Choice) -> Case {
    let (algorithm, shown) = (choice.of(&ALGORITHMS), choice.of(&[Some("10"), Some("300"), None]));
    let mut case = Case::new(300, 60_000, algorithm, (20, 200)).with("headers", "x");
    case.server["quota"] = json!([quota(10, 1_000, algorithm), quota(300, 60_000, algorithm)]);
    let form = *choice.draw.pick(&["right", "zero", "missing"]);
    let case = case.with("retryAfter", form);
    let words = format!("{}, shown {shown:?}", case.words);
    Case { shown, words, warm_ms: 180_000, run_ms: 7_200_000, ..case }
}
