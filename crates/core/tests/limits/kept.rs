//! Seeds that failed once, each with what went wrong.

use serde_json::json;

use super::case::{Case, Change};
use super::draw::Draw;
use super::named::{changing, two_layers_case};
use super::row::Choice;
use super::sim::Sim;

fn goodput(case: &Case, seed: u64) -> f64 {
    Sim::new(case, seed).run().goodput
}

/// A minute's header at the end of its minute was taken for a second's, and what was used of it for others' use: one
/// request a second for ever.
#[test]
fn the_end_of_a_minute_is_no_second() {
    let case = two_layers_case(&mut Choice { index: 57, draw: Draw::stream(57, 1) });
    let reached = goodput(&case, 57);
    assert!(reached >= 0.97, "{reached}");
}

/// After a fall, a probe was refused for what had left more than a window before it, and arrived less than one before:
/// that was held for a longer window.
#[test]
fn a_probe_that_comes_too_early_proves_no_longer_window() {
    let case = Case::new(84, 1_000, "fixed-window", (20, 30)).starting(Some(5.0));
    let case = Case { warm_ms: 30_000, ..case.with("headers", "none").with("retryAfter", "zero") };
    let reached = goodput(&changing(case, "fixed-window", 20), 21);
    assert!(reached >= 0.97, "{reached}");
}

/// A full bucket's reset is short: a minute's quota that grew was taken for a second's, and the old number stayed
/// beside it.
#[test]
fn a_window_has_one_number() {
    let case = Case::new(218, 60_000, "token-bucket", (20, 200)).with("headers", "inin").with("retryAfter", "zero");
    let case = Case { warm_ms: 180_000, run_ms: 14_400_000, ..case };
    let reached = goodput(&changing(case, "token-bucket", 5), 14);
    assert!(reached >= 0.99, "{reached}");
}

/// Answers that took ten seconds for a minute, and then milliseconds again: slots went on resting for seconds, until
/// hundreds of answers had brought the average down.
#[test]
fn a_minute_of_slow_answers_is_over_when_it_is_over() {
    const STRETCH_MS: u64 = 300_000;
    const SLOW_MS: u64 = 60_000;
    let latency = |at_ms, (min, max): (u64, u64)| {
        let server = json!({ "latencyMs": { "min": min, "max": max } });
        Change { at_ms, server, requests: 8 }
    };
    let spell = |index| {
        let at_ms = index * STRETCH_MS;
        [latency(at_ms, (5_000, 15_000)), latency(at_ms + SLOW_MS, (20, 30))]
    };
    let case = Case::new(8, 1_000, "sliding-log", (20, 30)).with("headers", "x");
    let changes = (1..6).flat_map(spell).collect();
    let case = Case { changes, settle_ms: SLOW_MS, run_ms: 6 * STRETCH_MS, warm_ms: 30_000, ..case };
    let outcome = Sim::new(&case, 0).run();
    assert!(outcome.goodput >= 0.96, "{}", outcome.goodput);
    assert!(outcome.refused == 0.0, "{}", outcome.refused);
}
