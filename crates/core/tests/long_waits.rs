//! A wait that the server asks for is honored; a long one is probed every `maxPauseMs`, so that no header stops an
//! organization.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::time::Duration;

use bench::{Bench, answered, retry_after, status, unanswered};
use serde_json::json;
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{Effect, Event, Hold, Notice};
use spillway_core::evidence::Evidence;
use spillway_core::retry::Answer;
use spillway_core::store::{Change, Opening};

const DAY_MS: u64 = 86_400_000;
const MAX_PAUSE_MS: u64 = 180_000;

/// Ten conversations, three of which were refused for this long at the same moment: it is everybody's limit.
fn refused_for(seconds: u64) -> Bench {
    let mut bench = Bench::new(json!({}));
    (0..3).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
    for (attempt, _) in bench.leaving() {
        bench.answer(attempt, retry_after(seconds));
    }
    (3..10).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
    bench
}

/// When a request left, in milliseconds from the start of a run in which each is answered with this.
fn probes(bench: &mut Bench, for_ms: u64, answer: impl Fn() -> Answer) -> Vec<u64> {
    let start = bench.now;
    let mut left = Vec::new();
    while bench.now.since(start) < Duration::from_millis(for_ms) {
        for (attempt, _) in bench.leaving() {
            left.push(u64::try_from(bench.now.since(start).as_millis()).unwrap());
            bench.answer(attempt, answer());
        }
        bench.wait_ms(100);
    }
    left
}

#[test]
fn a_day_is_probed_every_three_minutes_and_the_first_success_ends_it() {
    let mut bench = refused_for(DAY_MS / 1_000);
    assert_eq!(probes(&mut bench, 200_000, || status(429)), [MAX_PAUSE_MS]);
    assert_eq!(
        probes(&mut bench, 700_000, || status(429)),
        [160_000, 340_000, 520_000],
        "the server's word still holds"
    );
    bench.wait_ms(160_000);
    let probe = bench.leaving();
    assert_eq!(probe.len(), 1);
    let effects = bench.answer(probe[0].0, status(200));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Notice(Notice::Resumed { .. }))), "{effects:?}");
    assert_eq!(probes(&mut bench, 10_000, || status(200)).len(), 9, "everything follows");
}

#[test]
fn a_wait_of_three_minutes_is_kept_to_its_end() {
    let mut bench = refused_for(180);
    assert!(probes(&mut bench, 180_000, || status(200)).is_empty());
    assert_eq!(bench.leaving().len(), 1);
}

#[test]
fn the_wait_ends_when_it_was_asked_to_between_two_probes() {
    let mut bench = refused_for(300);
    let times = probes(&mut bench, 310_000, || status(429));
    assert_eq!(times[..2], [180_000, 300_000]);
    assert!(times[2..].iter().all(|at| *at > 300_000), "from then on it is a backoff of our own");
}

#[test]
fn a_probe_that_gets_no_answer_waits_for_the_next_interval() {
    let mut bench = refused_for(3_600);
    let times = probes(&mut bench, 600_000, unanswered);
    assert_eq!(times, [180_000, 360_000, 540_000]);
}

#[test]
fn the_probes_answer_is_the_servers_newest_word() {
    let mut bench = refused_for(DAY_MS / 1_000);
    assert_eq!(probes(&mut bench, 200_000, || retry_after(5))[..2], [180_000, 185_000]);
}

#[test]
fn stats_and_explain_show_what_was_asked_for_and_the_next_probe() {
    let mut bench = refused_for(DAY_MS / 1_000);
    let start = bench.now;
    bench.wait_ms(1_000);
    let pause = bench.dispatcher.snapshot(bench.now).pause.unwrap();
    let [asked, probe] = [DAY_MS, MAX_PAUSE_MS].map(|ms| start.after(Duration::from_millis(ms)));
    assert_eq!((pause.until, pause.next_probe), (Some(asked), Some(probe)));
    let explained = bench.dispatcher.explain(bench.now, "m3").unwrap();
    assert_eq!(explained.holds, [(Hold::Pause, Some(asked))]);
    assert_eq!((explained.next_probe, explained.expected_at), (Some(probe), Some(asked)));

    bench.wait_ms(MAX_PAUSE_MS);
    let out = bench.leaving();
    assert_eq!(out.len(), 1);
    let pause = bench.dispatcher.snapshot(bench.now).pause.unwrap();
    assert_eq!((pause.until, pause.next_probe), (Some(asked), None), "a probe is out");
}

#[test]
fn a_time_by_another_clock_pauses_for_three_minutes_at_most() {
    let mut bench = Bench::new(json!({}));
    bench.send("first", "first");
    let first = bench.leaving();
    let hour = Some(Duration::from_secs(3_600));
    bench.answer(
        first[0].0,
        answered(429, Evidence { retry_after: hour, is_clock_assumed: true, ..Evidence::default() }),
    );
    let pause = bench.dispatcher.snapshot(bench.now).pause.unwrap();
    assert_eq!(pause.until, Some(bench.now.after(Duration::from_millis(MAX_PAUSE_MS))));
}

#[test]
fn the_next_engine_goes_on_probing() {
    let mut bench = refused_for(DAY_MS / 1_000);
    let asked = bench.dispatcher.snapshot(bench.now).pause.unwrap().until;
    bench.wait_ms(60_000);
    let carryover = bench.dispatcher.carryover(bench.now);
    assert!(Some(carryover.until()) >= asked, "remembered for as long as it was asked for");
    let mut next = Bench::new(json!({}));
    next.now = bench.now;
    next.dispatcher.inherit(next.now, carryover);
    next.send("m", "c");
    assert_eq!(probes(&mut next, 400_000, || status(429)), [120_000, 300_000]);
    assert_eq!(next.dispatcher.snapshot(next.now).pause.unwrap().until, asked);
}

/// What a run that has a file asks the store to keep.
fn saved(bench: &mut Bench) -> Option<Box<str>> {
    bench.poll().into_iter().rev().find_map(|effect| match effect {
        Effect::Store(Change::Save { budget, .. }) => Some(budget),
        _ => None,
    })
}

/// A process that opens the file that an earlier one has left.
fn durable(now: Timestamp, opening: Opening) -> Bench {
    let mut bench = Bench::new(json!({ "store": "file:waits.db" }));
    bench.now = now;
    bench.handle(Event::Opened(Box::new(opening)));
    bench
}

#[test]
fn a_saved_pause_is_probed_by_the_next_process() {
    for (budget, expected_ms) in [
        // As it is written now, and by a version that knew no probes.
        (
            r#"{"pause":{"source":"retry-after","sinceMs":0,"untilMs":180000,"askedUntilMs":86400000,"strikes":1}}"#,
            120_000,
        ),
        (r#"{"pause":{"source":"retry-after","sinceMs":0,"untilMs":86400000,"strikes":1}}"#, 180_000),
    ] {
        let saved_at = Timestamp::START;
        let now = saved_at.after(Duration::from_secs(60));
        let opening = Opening { budget: Some(budget.into()), budget_at: Some(saved_at), ..Opening::default() };
        let mut bench = durable(now, opening);
        let pause = bench.dispatcher.snapshot(now).pause.unwrap();
        let [asked, probe] = [DAY_MS - 60_000, expected_ms].map(|ms| Some(now.after(Duration::from_millis(ms))));
        assert_eq!((pause.until, pause.next_probe), (asked, probe), "{budget}");
        let again = saved(&mut bench).unwrap();
        assert!(again.contains(&format!("\"askedUntilMs\":{}", DAY_MS - 60_000)), "{again}");
    }
}
