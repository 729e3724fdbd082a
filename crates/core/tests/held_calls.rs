//! A call waits for the end of an outage for as long as its attempts would take, and no longer. Messages wait.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::num::NonZeroU32;
use std::time::Duration;

use bench::{Bench, answered, ids, of, settled, status};
use serde_json::json;
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{Effect, Event, TokenEvent};
use spillway_core::error::Error;
use spillway_core::evidence::Evidence;
use spillway_core::message::Call;
use spillway_core::outcome::{DeliveryFailure, Response};
use spillway_core::retry::Answer;
use spillway_core::token::TokenId;

const SECOND: Duration = Duration::from_secs(1);
/// As long as ten attempts take on average: half of 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 6.4 + 12.8 + 25.6 + 30 s.
const TEN_ATTEMPTS: Duration = Duration::from_millis(40_500);

fn once(call: &mut Call) {
    call.limits.max_attempts = NonZeroU32::new(1);
}

fn refused() -> Answer {
    Answer::Unsent { problem: "connection refused".to_owned() }
}

fn unavailable() -> Answer {
    let headers =
        vec![("content-type".to_owned(), "text/plain".to_owned()), ("set-cookie".to_owned(), "a=b".to_owned())];
    let response = Response { status: 503, body: "down".into(), headers, ..Response::default() };
    Answer::Answered { response, evidence: Evidence::default() }
}

/// What a call that was never sent is told in an outage of `unavailable()`.
fn told_of_unavailable() -> Response {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    Response { status: 503, body: "down".into(), headers, ..Response::default() }
}

/// An outage of the organization: messages of many conversations, and calls of several routes, fail alike. The messages
/// stay.
fn outage(patch: serde_json::Value, answer: &Answer) -> Bench {
    let mut bench = Bench::new(patch);
    for index in 0..4 {
        bench.send(&format!("m-{index}"), &format!("c-{index}"));
    }
    for index in 0..8 {
        bench.request_as("GET", |call| {
            call.path = format!("/{}", ["a", "b", "c", "d"][index % 4]).into();
            once(call);
        });
    }
    let leaving = bench.leaving();
    assert_eq!(leaving.len(), 12);
    leaving.into_iter().for_each(|(attempt, _)| drop(bench.answer(attempt, answer.clone())));
    assert!(bench.leaving().is_empty());
    assert_eq!(outage_of(&bench).as_deref(), Some("breaker"));
    bench
}

fn outage_of(bench: &Bench) -> Option<String> {
    let outages = bench.dispatcher.snapshot(bench.now).outages;
    outages.iter().find(|outage| outage.route.is_none()).map(|outage| outage.closure.reason.to_owned())
}

fn failure(effects: &[Effect]) -> &DeliveryFailure {
    let failed = effects.iter().find_map(|effect| match effect {
        Effect::Failed(_, Error::Delivery(failure)) => Some(&**failure),
        _ => None,
    });
    failed.expect("a failure")
}

/// Lets the outage last until then: each probe is answered alike. What settles, each with its time.
fn endure(bench: &mut Bench, span: Duration, answer: &Answer) -> Vec<(Timestamp, String)> {
    let (end, mut ends) = (bench.now.after(span), Vec::new());
    loop {
        let mut effects = bench.poll();
        for (attempt, _) in bench::sends(&effects) {
            effects.extend(bench.answer(attempt, answer.clone()));
        }
        effects.extend(bench.poll());
        ends.extend(settled(&effects).into_iter().map(|one| (bench.now, one)));
        match bench.dispatcher.next_wake().filter(|at| *at <= end) {
            Some(at) => bench.now = at,
            None => {
                bench.now = end;
                return ends;
            }
        }
    }
}

#[test]
fn a_single_attempt_ends_at_once_unsent_with_what_the_outage_is_about() {
    for (answer, response, problem) in [
        (unavailable(), Some(told_of_unavailable()), None),
        (status(500), Some(Response { status: 500, ..Response::default() }), None),
        (refused(), None, Some("connection refused")),
        (bench::unanswered(), None, Some("cut")),
    ] {
        let mut bench = outage(json!({}), &answer);
        let (ticket, effects) = bench.request_as("GET", once);
        assert!(settled(&effects).is_empty());
        let effects = bench.poll();
        assert_eq!(settled(&effects), [format!("{ticket} DELIVERY_EXHAUSTED")]);
        let failure = failure(&effects);
        assert_eq!((failure.attempts, failure.ambiguous, failure.id.as_ref()), (0, false, None));
        assert_eq!((&failure.response, failure.problem.as_deref()), (&response, problem));
        assert!(failure.to_string().starts_with("the request was not sent because of an outage"), "{failure}");
        assert_eq!(bench.dispatcher.unsettled(), 4, "the messages wait");
    }
}

#[test]
fn who_judges_answers_gets_the_last_one_of_the_outage() {
    let mut bench = outage(json!({}), &unavailable());
    let raw = |call: &mut Call| {
        once(call);
        call.raw = true;
    };
    let (ticket, _) = bench.request_as("POST", raw);
    let effects = bench.poll();
    let Some(Effect::CallAnswered(to, answer)) = effects.first() else { panic!("{effects:?}") };
    assert_eq!((*to, &answer.response, answer.attempts), (of(ticket), &told_of_unavailable(), 0));

    let mut silent = outage(json!({}), &refused());
    let (ticket, _) = silent.request_as("POST", raw);
    assert_eq!(settled(&silent.poll()), [format!("{ticket} DELIVERY_EXHAUSTED")]);
}

#[test]
fn a_single_attempt_is_the_probe_if_one_is_due_and_nothing_else_probes() {
    let mut bench = Bench::new(json!({}));
    for _ in 0..10 {
        bench.request_as("GET", once);
    }
    let leaving = bench.leaving();
    leaving.into_iter().for_each(|(attempt, _)| drop(bench.answer(attempt, refused())));
    assert_eq!(outage_of(&bench).as_deref(), Some("breaker"));
    bench.wait_ms(60_000);
    let (first, _) = bench.request_as("GET", once);
    let (second, _) = bench.request_as("GET", once);
    let effects = bench.poll();
    let probes = bench::sends(&effects);
    assert_eq!(ids(&probes), ["/x"]);
    assert_eq!(settled(&effects), [format!("{second} DELIVERY_EXHAUSTED")], "one probes already");
    let effects = bench.answer(probes[0].0, status(200));
    assert_eq!(settled(&effects), [format!("{first} answered 200")]);
    assert_eq!(outage_of(&bench), None);
    let (third, _) = bench.request_as("GET", once);
    bench.wait_ms(1_000);
    let leaving = bench.leaving();
    assert_eq!(settled(&bench.answer(leaving[0].0, status(200))), [format!("{third} answered 200")]);
    assert_eq!(bench.dispatcher.next_wake(), None, "nothing is left of the outage");
}

#[test]
fn a_probe_that_waits_for_the_budget_does_not_end() {
    // Of a longer window a part would be left to whoever comes late.
    let mut bench = Bench::new(json!({ "rateLimit": { "requests": 10, "perMs": 9_000 } }));
    for index in 0..10 {
        bench.request_as("GET", |call| {
            call.path = format!("/{}", ["a", "b", "c"][index % 3]).into();
            once(call);
        });
    }
    let leaving = bench.leaving();
    leaving.into_iter().for_each(|(attempt, _)| drop(bench.answer(attempt, status(503))));
    assert_eq!(outage_of(&bench).as_deref(), Some("breaker"));
    bench.wait_ms(2_000);
    let (ticket, _) = bench.request_as("GET", once);
    assert!(settled(&bench.poll()).is_empty(), "nothing but the budget holds it back");
    bench.wait_ms(9_000);
    let leaving = bench.leaving();
    assert_eq!(settled(&bench.answer(leaving[0].0, status(503))), [format!("{ticket} DELIVERY_EXHAUSTED")]);
}

#[test]
fn by_default_a_call_waits_as_long_as_its_attempts_would_take() {
    for answer in [unavailable(), refused()] {
        let mut bench = outage(json!({}), &answer);
        let since = bench.now;
        let (ticket, _) = bench.request("GET");
        let ends = endure(&mut bench, 600 * SECOND, &answer);
        let [(at, end)] = &ends[..] else { panic!("{ends:?}") };
        assert_eq!(*end, format!("{ticket} DELIVERY_EXHAUSTED"));
        let span = at.since(since);
        assert!(span > 20 * SECOND && span < 80 * SECOND, "{span:?}");
        assert_eq!(bench.dispatcher.unsettled(), 4, "the messages wait");
    }
}

#[test]
fn attempts_and_age_of_its_own_bound_the_wait() {
    type Change = fn(&mut Call);
    let rows: [(Change, Duration); 5] = [
        (|_| {}, TEN_ATTEMPTS),
        (|call| call.limits.max_attempts = NonZeroU32::new(3), Duration::from_millis(300)),
        (|call| call.limits.max_age = Some(5 * SECOND), 5 * SECOND),
        (|call| call.limits.max_age = Some(Duration::ZERO), Duration::ZERO),
        (|call| call.limits.max_attempts = NonZeroU32::new(1_000), 600 * SECOND),
    ];
    for (change, expected) in rows {
        let asked = Evidence { retry_after: Some(3_000 * SECOND), ..Evidence::default() };
        let mut bench = outage(json!({ "retry": { "maxPauseMs": 3_600_000 } }), &answered(503, asked));
        let since = bench.now;
        let (ticket, _) = bench.request_as("GET", change);
        let mut ended = None;
        while ended.is_none() {
            ended = settled(&bench.poll()).pop();
            if ended.is_none() {
                bench.now = bench.dispatcher.next_wake().expect("it ends at some time");
            }
        }
        assert_eq!(ended, Some(format!("{ticket} DELIVERY_EXHAUSTED")));
        assert_eq!(bench.now.since(since), expected);
    }
}

#[test]
fn what_waits_when_the_outage_begins_is_bounded_alike() {
    // Ten fail, one after the other; one call has an attempt behind it, one waits for a connection.
    let mut bench = Bench::new(json!({ "connections": { "max": 10 }, "store": "memory" }));
    for index in 0..10 {
        bench.request_as("GET", |call| call.path = format!("/{}", ["a", "b", "c"][index % 3]).into());
    }
    let (single, _) = bench.request_as("GET", once);
    let (patient, _) = bench.request("GET");
    let leaving = bench.leaving();
    assert_eq!(leaving.len(), 10);
    let mut effects = Vec::new();
    for (attempt, _) in leaving {
        effects.extend(bench.answer(attempt, unavailable()));
    }
    effects.extend(bench.poll());
    assert_eq!(settled(&effects), [format!("{single} DELIVERY_EXHAUSTED")]);
    let began = bench.now;
    let ends = endure(&mut bench, 600 * SECOND, &unavailable());
    assert_eq!(ends.len(), 11, "{ends:?}");
    assert!(ends.iter().any(|(_, end)| *end == format!("{patient} DELIVERY_EXHAUSTED")));
    for (at, end) in ends {
        let span = at.since(began);
        assert!(span > 10 * SECOND && span < 120 * SECOND, "{end} after {span:?}");
    }
    assert!(bench.dispatcher.is_idle());
}

#[test]
fn the_end_of_the_outage_lets_a_call_go_on() {
    let mut bench = outage(json!({}), &unavailable());
    let (ticket, _) = bench.request("GET");
    let mut ends = Vec::new();
    for _ in 0..60 {
        let mut effects = bench.poll();
        for (attempt, _) in bench::sends(&effects) {
            effects.extend(bench.answer(attempt, status(200)));
        }
        ends.extend(settled(&effects));
        bench.wait_ms(1_000);
    }
    assert!(ends.contains(&format!("{ticket} answered 200")), "{ends:?}");
    assert!(bench.dispatcher.is_idle());
    assert_eq!(bench.dispatcher.next_wake(), None, "no timer is left");
}

#[test]
fn canceled_while_it_is_held_it_leaves_nothing() {
    let mut bench = outage(json!({}), &unavailable());
    let before = bench.dispatcher.next_wake();
    let (ticket, _) = bench.request("GET");
    assert!(settled(&bench.poll()).is_empty());
    assert!(settled(&bench.handle(Event::Cancel(of(ticket)))).is_empty());
    bench.poll();
    assert_eq!(bench.dispatcher.next_wake(), before);
    assert_eq!(bench.dispatcher.unsettled(), 4);
}

#[test]
fn without_a_token_there_is_nothing_to_wait_for() {
    let mut bench = Bench::new(json!({}));
    let leaving = |bench: &mut Bench| bench.leaving();
    let (first, _) = bench.request("GET");
    let attempt = leaving(&mut bench)[0].0;
    bench.answer(attempt, status(401));
    bench.poll();
    bench.send("m", "c");
    let failed = || {
        Event::Token(
            TokenId::FIRST,
            TokenEvent::Failed { problem: "the login host refuses the connection".into(), wait: None },
        )
    };
    bench.handle(failed());
    let (second, _) = bench.request_as("GET", once);
    assert!(settled(&bench.poll()).is_empty(), "one failure is no outage");
    bench.wait_ms(2_000);
    bench.poll();
    bench.handle(failed());
    let effects = bench.poll();
    assert_eq!(settled(&effects), [format!("{second} DELIVERY_EXHAUSTED")]);
    let problem = failure(&effects).problem.clone().unwrap();
    assert_eq!(problem, "there is no access token: the login host refuses the connection");
    let (third, _) = bench.request_as("GET", once);
    assert_eq!(settled(&bench.poll()), [format!("{third} DELIVERY_EXHAUSTED")]);
    bench.now = bench.now.after(TEN_ATTEMPTS);
    assert_eq!(settled(&bench.poll()), [format!("{first} DELIVERY_EXHAUSTED")]);
    assert_eq!(bench.dispatcher.unsettled(), 1, "the message waits");
}

#[test]
fn a_refusal_of_all_messages_bounds_calls_of_their_route_alone() {
    let mut bench = Bench::new(json!({}));
    for index in 0..6 {
        bench.send(&format!("m-{index}"), &format!("c-{index}"));
    }
    let leaving = bench.leaving();
    leaving.into_iter().for_each(|(attempt, _)| drop(bench.answer(attempt, status(403))));
    bench.poll();
    assert_eq!(bench.dispatcher.snapshot(bench.now).outage.unwrap().reason, "refused");
    let own = "/api/v2/conversations/messages/inbound/open";
    let (elsewhere, _) = bench.request_as("GET", once);
    let leaving = bench.leaving();
    assert_eq!(ids(&leaving), ["/x"], "{own} is another route");
    assert_eq!(settled(&bench.answer(leaving[0].0, status(200))), [format!("{elsewhere} answered 200")]);
}

#[test]
fn a_route_that_is_out_bounds_its_calls_and_no_others() {
    let mut bench = Bench::new(json!({}));
    for _ in 0..10 {
        bench.request_as("GET", once);
    }
    let leaving = bench.leaving();
    leaving.into_iter().for_each(|(attempt, _)| drop(bench.answer(attempt, unavailable())));
    assert_eq!(outage_of(&bench), None);
    let (single, _) = bench.request_as("GET", once);
    let (patient, _) = bench.request("GET");
    let (other, _) = bench.request_as("POST", once);
    let effects = bench.poll();
    assert_eq!(settled(&effects), [format!("{single} DELIVERY_EXHAUSTED")]);
    assert_eq!(failure(&effects).response, Some(told_of_unavailable()));
    let leaving = bench::sends(&effects);
    assert_eq!(settled(&bench.answer(leaving[0].0, status(200))), [format!("{other} answered 200")]);
    let began = bench.now;
    let ends = endure(&mut bench, 600 * SECOND, &unavailable());
    let [(at, end)] = &ends[..] else { panic!("{ends:?}") };
    assert_eq!(*end, format!("{patient} DELIVERY_EXHAUSTED"));
    assert!(at.since(began) < 120 * SECOND, "{:?}", at.since(began));
}

#[test]
fn neither_a_pause_nor_an_operator_ends_a_call() {
    let mut paused = Bench::new(json!({}));
    let (ticket, _) = paused.request_as("GET", once);
    let leaving = paused.leaving();
    let long = Evidence { retry_after: Some(60 * SECOND), ..Evidence::default() };
    paused.answer(leaving[0].0, answered(429, long));
    paused.wait_ms(60_000);
    let leaving = paused.leaving();
    assert_eq!(settled(&paused.answer(leaving[0].0, status(200))), [format!("{ticket} answered 200")]);

    let mut held = outage(json!({}), &unavailable());
    held.handle(Event::Pause(of(1_000), None));
    let (ticket, _) = held.request_as("GET", once);
    assert!(settled(&held.poll()).is_empty());
    held.wait_ms(3_600_000);
    assert!(settled(&held.poll()).is_empty());
    held.handle(Event::Resume(of(1_001), spillway_core::stats::PauseScope::Organization));
    assert!(settled(&held.poll()).is_empty(), "a probe is due, and waits for its turn");
    held.wait_ms(1_000);
    let effects = held.poll();
    assert_eq!(bench::sends(&effects).len(), 1, "a message probes");
    assert_eq!(settled(&effects), [format!("{ticket} DELIVERY_EXHAUSTED")]);
}

#[test]
fn who_waits_for_room_is_bounded_too() {
    let mut bench = outage(json!({ "queue": { "maxMessages": 12 } }), &unavailable());
    for index in 4..12 {
        bench.send(&format!("m-{index}"), &format!("c-{index}"));
    }
    let (single, effects) = bench.request_as("GET", once);
    assert_eq!(settled(&effects), [format!("{single} DELIVERY_EXHAUSTED")]);
    let (patient, _) = bench.request_as("GET", |call| call.raw = true);
    assert_eq!(bench.dispatcher.snapshot(bench.now).depth.waiting, 1);
    bench.now = bench.now.after(TEN_ATTEMPTS);
    assert_eq!(settled(&bench.poll()), [format!("{patient} answered 503")]);

    let mut early = Bench::new(json!({ "queue": { "maxMessages": 12 } }));
    for index in 0..12 {
        early.send(&format!("m-{index}"), &format!("c-{index}"));
    }
    let (waiting, _) = early.request_as("GET", once);
    let leaving = early.leaving();
    assert_eq!(leaving.len(), 12);
    leaving.into_iter().for_each(|(attempt, _)| drop(early.answer(attempt, refused())));
    assert_eq!(settled(&early.poll()), [format!("{waiting} DELIVERY_EXHAUSTED")]);
}
