//! What a call says about its own retries: attempts, age, a deadline, whether it may be repeated.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::num::NonZeroU32;
use std::time::Duration;

use bench::{Bench, ids, retry_after, settled, status, unanswered};
use serde_json::json;
use spillway_core::dispatcher::{Effect, Event};
use spillway_core::error::Error;
use spillway_core::message::Call;
use spillway_core::outcome::{DeliveryFailure, Response};
use spillway_core::retry::Answer;

const SECOND: Duration = Duration::from_secs(1);

/// Answers every attempt in the same way until the call ends: how often it was sent, and how it ended.
fn end_of(bench: &mut Bench, answer: &Answer, change: impl FnOnce(&mut Call)) -> (u32, String) {
    bench.request_as("POST", change);
    for sent in 0.. {
        let mut effects = bench.poll();
        let leaving = bench::sends(&effects);
        if let Some((attempt, _)) = leaving.first() {
            effects.extend(bench.answer(*attempt, answer.clone()));
        }
        if let Some(end) = settled(&effects).pop() {
            return (sent + u32::from(!leaving.is_empty()), end);
        }
        bench.wait_ms(31_000);
    }
    unreachable!("it ends")
}

fn failure(effects: &[Effect]) -> &DeliveryFailure {
    let failed = effects.iter().find_map(|effect| match effect {
        Effect::Failed(_, Error::Delivery(failure)) => Some(&**failure),
        _ => None,
    });
    failed.expect("a failure")
}

#[test]
fn a_call_has_its_own_attempts_and_age() {
    let attempts = |count| move |call: &mut Call| call.limits.max_attempts = NonZeroU32::new(count);
    let mut bench = Bench::new(json!({ "retry": { "maxAttempts": 3 } }));
    assert_eq!(end_of(&mut bench, &status(500), |_| {}), (3, "1 DELIVERY_EXHAUSTED".to_owned()));
    assert_eq!(end_of(&mut bench, &status(500), attempts(1)), (1, "2 DELIVERY_EXHAUSTED".to_owned()));
    assert_eq!(end_of(&mut bench, &status(500), attempts(5)), (5, "3 DELIVERY_EXHAUSTED".to_owned()));

    let mut ageing = Bench::new(json!({}));
    let age = |call: &mut Call| call.limits.max_age = Some(SECOND);
    assert_eq!(end_of(&mut ageing, &status(500), age).1, "1 DELIVERY_EXHAUSTED");
    assert!(ageing.dispatcher.is_idle());
}

#[test]
fn a_single_attempt_still_waits_out_a_pause() {
    let mut bench = Bench::new(json!({}));
    bench.request_as("POST", |call| call.limits.max_attempts = NonZeroU32::new(1));
    let leaving = bench.leaving();
    assert!(settled(&bench.answer(leaving[0].0, retry_after(1))).is_empty());
    bench.wait_ms(1_000);
    let leaving = bench.leaving();
    assert_eq!(settled(&bench.answer(leaving[0].0, status(200))), ["1 answered 200"]);
}

#[test]
fn a_deadline_ends_a_call_wherever_it_is() {
    let call = |bench: &mut Bench| {
        let at = bench.now.after(SECOND);
        bench.request_as("GET", |call| call.limits.deadline = Some(at)).0
    };
    let ends = |bench: &mut Bench, ticket: u64, attempts: u32, ambiguous: bool| {
        bench.wait_ms(999);
        assert!(settled(&bench.poll()).is_empty(), "a millisecond before");
        bench.wait_ms(1);
        let effects = bench.poll();
        assert_eq!(settled(&effects), [format!("{ticket} DELIVERY_TIMEOUT")]);
        let failure = failure(&effects);
        assert_eq!((failure.attempts, failure.ambiguous), (attempts, ambiguous));
        effects
    };

    let mut queued = Bench::new(json!({ "rateLimit": { "requests": 1, "perMs": 60_000 } }));
    queued.send("a", "c");
    assert_eq!(ids(&queued.leaving()), ["a"]);
    let ticket = call(&mut queued);
    ends(&mut queued, ticket, 0, false);

    let mut waiting = Bench::new(json!({ "queue": { "maxMessages": 1 } }));
    waiting.send("a", "c");
    let ticket = call(&mut waiting);
    assert_eq!(waiting.dispatcher.unsettled(), 2);
    ends(&mut waiting, ticket, 0, false);
    assert_eq!(waiting.dispatcher.unsettled(), 1);

    let mut paused = Bench::new(json!({}));
    let ticket = call(&mut paused);
    let leaving = paused.leaving();
    paused.answer(leaving[0].0, retry_after(60));
    ends(&mut paused, ticket, 0, false);
    assert!(paused.dispatcher.is_idle());

    let mut on_the_wire = Bench::new(json!({}));
    let ticket = call(&mut on_the_wire);
    let leaving = on_the_wire.leaving();
    let effects = ends(&mut on_the_wire, ticket, 1, true);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Cut(attempt) if *attempt == leaving[0].0)));
    assert!(settled(&on_the_wire.answer(leaving[0].0, status(200))).is_empty(), "too late");

    let mut answered = Bench::new(json!({}));
    call(&mut answered);
    let leaving = answered.leaving();
    answered.answer(leaving[0].0, status(200));
    assert_eq!(answered.dispatcher.next_wake(), None, "an answered call leaves no timer");
}

#[test]
fn a_deadline_that_passed_while_the_process_was_stopped_leaves_time_to_read_the_answer() {
    for (stopped_ms, grace_ms) in [(150, 150), (100, 100), (999, 999), (3_600_000, 1_000)] {
        let late = || {
            let mut bench = Bench::new(json!({}));
            let deadline = bench.now.after(SECOND);
            bench.request_as("POST", |call| call.limits.deadline = Some(deadline));
            let attempt = bench.leaving()[0].0;
            bench.wait_ms(1_000 + stopped_ms);
            assert!(settled(&bench.poll()).is_empty(), "nobody has looked at the socket");
            (bench, attempt)
        };
        let (mut answered, attempt) = late();
        answered.wait_ms(grace_ms - 1);
        assert!(settled(&answered.poll()).is_empty());
        assert_eq!(settled(&answered.answer(attempt, status(200))), ["1 answered 200"]);
        assert_eq!(answered.dispatcher.next_wake(), None, "an answered call leaves no timer");

        let (mut silent, _) = late();
        silent.wait_ms(grace_ms);
        assert_eq!(settled(&silent.poll()), ["1 DELIVERY_TIMEOUT"]);
        assert!(silent.dispatcher.is_idle());
        assert_eq!(silent.dispatcher.next_wake(), None);
    }
    let mut queued = Bench::new(json!({ "rateLimit": { "requests": 1, "perMs": 60_000 } }));
    queued.send("a", "c");
    queued.leaving();
    let deadline = queued.now.after(SECOND);
    queued.request_as("POST", |call| call.limits.deadline = Some(deadline));
    queued.wait_ms(5_000);
    assert_eq!(settled(&queued.poll()), ["2 DELIVERY_TIMEOUT"], "what was never sent has no answer to wait for");
}

#[test]
fn an_answer_in_hand_goes_before_a_deadline_that_passes_before_the_next_attempt() {
    let mut bench = Bench::new(json!({ "retry": { "maxAttempts": 1_000, "maxAgeMs": 86_400_000 } }));
    let deadline = bench.now.after(60 * SECOND);
    bench.request_as("POST", |call| call.limits.deadline = Some(deadline));
    let end = loop {
        let leaving = bench.leaving();
        if let Some((attempt, _)) = leaving.first() {
            let effects = bench.answer(*attempt, status(500));
            if !settled(&effects).is_empty() {
                break effects;
            }
        }
        assert!(bench.now < deadline, "the last answer is final before the deadline");
        bench.wait_ms(100);
    };
    assert_eq!(settled(&end), ["1 DELIVERY_EXHAUSTED"]);
    assert_eq!(failure(&end).response, Some(Response { status: 500, ..Response::default() }));
}

#[test]
fn unknown_outcomes_are_repeated_by_the_callers_word_then_by_method_then_by_setting() {
    let rows = [
        ("GET", None, "fail", true),
        ("HEAD", None, "fail", true),
        ("PUT", None, "fail", true),
        ("DELETE", None, "fail", true),
        ("OPTIONS", None, "fail", true),
        ("POST", None, "fail", false),
        ("PATCH", None, "fail", false),
        ("REPORT", None, "fail", false),
        ("POST", None, "retry", true),
        ("PATCH", None, "retry", true),
        ("POST", Some(true), "fail", true),
        ("PATCH", Some(true), "fail", true),
        ("POST", Some(false), "retry", false),
        ("GET", Some(false), "retry", false),
    ];
    for (method, idempotent, ambiguous, repeats) in rows {
        let mut bench = Bench::new(json!({ "retry": { "ambiguous": ambiguous } }));
        bench.request_as(method, |call| call.idempotent = idempotent);
        let leaving = bench.leaving();
        let effects = bench.answer(leaving[0].0, unanswered());
        let expected: &[&str] = if repeats { &[] } else { &["1 DELIVERY_AMBIGUOUS"] };
        assert_eq!(settled(&effects), expected, "{method} {idempotent:?} {ambiguous}");
        bench.handle(Event::Cancel(bench::of(1)));
    }
}
