//! An operator holds everything back, and has what is shut probed at once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::time::Duration;

use bench::{Bench, answered, ids, of, retry_after, settled, status, unanswered};
use serde_json::json;
use spillway_core::dispatcher::{Effect, Event, Hold, Notice};
use spillway_core::evidence::Evidence;
use spillway_core::stats::PauseScope;
use spillway_core::store::{Change, Opening};

const HOUR: Duration = Duration::from_secs(3_600);

fn pause(bench: &mut Bench, span: Option<Duration>) -> Vec<Effect> {
    bench.handle(Event::Pause(of(1_000), span))
}

fn resume(bench: &mut Bench) -> Vec<Effect> {
    bench.handle(Event::Resume(of(1_001), PauseScope::Organization))
}

fn wait(bench: &mut Bench, span: Duration) {
    bench.wait_ms(u64::try_from(span.as_millis()).unwrap());
}

fn has_resumed(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Notice(Notice::Resumed { .. })))
}

/// How many requests leave in this time.
fn left_within(bench: &mut Bench, ms: u64) -> usize {
    let leave = |bench: &mut Bench| {
        bench.wait_ms(1);
        bench.leaving().len()
    };
    (0..ms).map(|_| leave(bench)).sum()
}

#[test]
fn a_pause_holds_messages_and_calls_until_it_is_ended() {
    let mut bench = Bench::new(json!({}));
    let told = pause(&mut bench, None);
    assert_eq!(settled(&told), ["1000 done"]);
    assert!(told.iter().any(|effect| matches!(effect, Effect::Notice(Notice::Paused { until: None, .. }))));
    bench.send("a", "a");
    bench.call("GET");
    wait(&mut bench, 24 * HOUR);
    assert!(bench.leaving().is_empty());
    let snapshot = bench.dispatcher.snapshot(bench.now);
    assert_eq!(snapshot.pause.map(|closure| (closure.reason, closure.until)), Some(("operator", None)));
    assert_eq!(snapshot.pauses.len(), 1);
    let explained = bench.dispatcher.explain(bench.now, "a").unwrap();
    assert_eq!((explained.holds, explained.expected_at, explained.attempts), (vec![(Hold::Operator, None)], None, 0));
    assert!(has_resumed(&resume(&mut bench)));
    assert_eq!(left_within(&mut bench, 2_000), 2, "evenly paced");
    assert_eq!(bench.dispatcher.snapshot(bench.now).pause, None);
    assert!(!has_resumed(&resume(&mut bench)), "there is none to end");
}

#[test]
fn a_pause_with_an_end_ends_by_itself_and_another_one_sets_it_anew() {
    let mut bench = Bench::new(json!({}));
    pause(&mut bench, Some(HOUR));
    wait(&mut bench, HOUR / 2);
    pause(&mut bench, Some(HOUR));
    bench.send("a", "a");
    wait(&mut bench, HOUR - Duration::from_millis(1));
    assert!(bench.leaving().is_empty());
    assert_eq!(bench.dispatcher.next_wake(), Some(bench.now.after(Duration::from_millis(1))));
    bench.wait_ms(1);
    assert!(has_resumed(&bench.poll()));
    assert_eq!(left_within(&mut bench, 2_000), 1);
    pause(&mut bench, Some(HOUR));
    pause(&mut bench, None);
    bench.send("b", "b");
    wait(&mut bench, 2 * HOUR);
    assert!(bench.leaving().is_empty(), "it has no end any more");
}

#[test]
fn messages_dont_age_and_keep_their_attempts_while_times_of_their_own_count_on() {
    let mut bench = Bench::new(json!({ "retry": { "maxAgeMs": 60_000, "maxAttempts": 2 } }));
    bench.send("a", "a");
    let leaving = bench.leaving();
    pause(&mut bench, None);
    assert!(settled(&bench.answer(leaving[0].0, unanswered())).is_empty(), "it failed under the pause");
    bench.submit("short", "short", |submission| submission.expires_at = Some(submission_end()));
    wait(&mut bench, HOUR);
    assert_eq!(settled(&bench.poll()), ["2 EXPIRED"]);
    resume(&mut bench);
    bench.wait_ms(1_000);
    let leaving = bench.leaving();
    assert_eq!(ids(&leaving), ["a"]);
    assert_eq!(settled(&bench.answer(leaving[0].0, status(200))), ["1 delivered"]);
}

fn submission_end() -> spillway_core::clock::Timestamp {
    spillway_core::clock::Timestamp::START.after(Duration::from_secs(60))
}

#[test]
fn what_is_shut_is_probed_at_once() {
    let mut bench = Bench::new(json!({}));
    bench.send("a", "a");
    let leaving = bench.leaving();
    bench.answer(leaving[0].0, retry_after(3_600));
    wait(&mut bench, Duration::from_secs(10));
    assert!(bench.leaving().is_empty());
    resume(&mut bench);
    let probe = bench.leaving();
    assert_eq!(ids(&probe), ["a"]);
    bench.answer(probe[0].0, retry_after(3_600));
    wait(&mut bench, Duration::from_secs(10));
    assert!(bench.leaving().is_empty(), "the server's word holds again");
    resume(&mut bench);
    let probe = bench.leaving();
    assert_eq!(settled(&bench.answer(probe[0].0, status(200))), ["1 delivered"]);
    assert_eq!(bench.dispatcher.snapshot(bench.now).pause, None);
}

#[test]
fn what_waits_for_its_next_attempt_goes_as_soon_as_what_is_shut_opens() {
    let asks = |code| {
        let retry_after = Some(Duration::from_secs(120));
        answered(code, Evidence { retry_after, ..Evidence::default() })
    };
    // Few are no outage, and wait for their own times; one alone that is refused waits for others to tell.
    for (code, count) in [(503, 12), (503, 3), (403, 1), (403, 2)] {
        let mut bench = Bench::new(json!({}));
        (0..count).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
        bench.answer_all(|_| asks(code), |_| {});
        assert!(bench.leaving().is_empty(), "{code}, {count}");
        resume(&mut bench);
        let mut left = 0;
        for _ in 0..1_000 {
            left += bench.answer_all(|_| status(200), |_| {}).len();
            bench.wait_ms(1);
        }
        assert_eq!((left, bench.dispatcher.is_idle()), (count, true), "{code}, {count}");
    }
}

#[test]
fn the_next_process_goes_on_with_it() {
    for (span, holds) in [(None, true), (Some(2 * HOUR), true), (Some(HOUR / 2), false)] {
        let mut bench = Bench::new(json!({ "store": "file:/tmp/x.db" }));
        bench.handle(Event::Opened(Box::default()));
        bench.poll();
        pause(&mut bench, span);
        let budget = bench.poll().into_iter().find_map(|effect| match effect {
            Effect::Store(Change::Save { budget, .. }) => Some(budget),
            _ => None,
        });
        let mut next = Bench::new(json!({ "store": "file:/tmp/x.db" }));
        let saved_at = next.now;
        wait(&mut next, HOUR);
        let opening = Opening { budget, budget_at: Some(saved_at), ..Opening::default() };
        next.handle(Event::Opened(Box::new(opening)));
        assert_eq!(next.dispatcher.snapshot(next.now).pause.is_some(), holds, "{span:?}");
    }
}
