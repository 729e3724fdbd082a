//! Quotas that nothing names: refusals and silence are all there is.
//!
//! The bars are the median's. The worst seeds are sliding logs, where every try is followed by the pause that the
//! server asks for, and those whose `Retry-After` is a date: cut up to whole seconds, it asks for up to two of them
//! where the window needs one. The learner tries the more rarely the dearer it is, and so follows such a server late.

use super::case::{ALGORITHMS, Case};
use super::named::changing;
use super::row::{Choice, Row};

/// An absurd `Retry-After` isn't among them: it is a pause of a day.
const FORMS: [&str; 7] = ["zero", "right", "date", "past", "negative", "garbage", "missing"];
const STARTS: [Option<f64>; 3] = [None, Some(5.0), Some(0.2)];

fn case(choice: &mut Choice, latency_ms: (u64, u64)) -> Case {
    // Nine algorithms and starts, seven forms: seven seeds have each form, 63 each combination.
    let form = FORMS[(choice.index % 7) as usize];
    let (algorithm, start, form) = (choice.of(&ALGORITHMS), choice.of(&STARTS), form);
    let requests = choice.draw.range(80, 120);
    let case = Case::new(requests, 1_000, algorithm, latency_ms).starting(start);
    Case { warm_ms: 30_000, ..case.with("headers", "none").with("retryAfter", form) }
}

#[test]
fn seconds_quick() {
    let row = Row { name: "learn, no headers, 1 s, 20-30 ms", goodput: 0.97, worst: 0.95, refused: 0.002 };
    row.check(|choice| case(choice, (20, 30)));
}

#[test]
fn seconds_slow() {
    let row = Row { name: "learn, no headers, 1 s, 20-200 ms", goodput: 0.93, worst: 0.90, refused: 0.003 };
    row.check(|choice| case(choice, (20, 200)));
}

#[test]
fn seconds_changing() {
    let row =
        Row { name: "learn, no headers, 1 s, 20-30 ms, the quota changes", goodput: 0.97, worst: 0.85, refused: 0.01 };
    row.check(|choice| {
        let algorithm = ALGORITHMS[(choice.index % 3) as usize];
        changing(case(choice, (20, 30)), algorithm, 20)
    });
}

#[test]
fn seconds_changing_slow() {
    let row =
        Row { name: "learn, no headers, 1 s, 20-200 ms, the quota changes", goodput: 0.93, worst: 0.85, refused: 0.01 };
    row.check(|choice| {
        let algorithm = ALGORITHMS[(choice.index % 3) as usize];
        changing(case(choice, (20, 200)), algorithm, 20)
    });
}
