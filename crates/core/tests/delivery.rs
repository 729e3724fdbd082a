//! The delivery table of the design, row by row, and what stops the whole organization.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::time::Duration;

use bench::{Bench, answered, ids, of, retry_after, settled, status, unanswered};
use serde_json::json;
use spillway_core::dispatcher::{Effect, Event, Hold, Notice, TokenEvent};
use spillway_core::evidence::{Evidence, NamedLimit};
use spillway_core::outcome::Response;
use spillway_core::retry::Answer;
use spillway_core::token::TokenId;

/// What becomes of a lone message after one answer: what settles, its attempts, and whether the next one of its
/// conversation may leave at once.
fn outcome(patch: serde_json::Value, answer: Answer) -> (Vec<String>, bool, Option<u32>) {
    let mut bench = Bench::new(patch);
    bench.send("a", "c");
    bench.send("b", "c");
    let leaving = bench.leaving();
    assert_eq!(ids(&leaving), ["a"]);
    let settled = settled(&bench.answer(leaving[0].0, answer));
    let attempts = bench.dispatcher.explain(bench.now, "a").map(|explanation| explanation.attempts);
    (settled, ids(&bench.leaving()) == ["b"], attempts)
}

#[test]
fn the_table_row_by_row() {
    let unsent = || Answer::Unsent { problem: "refused".to_owned() };
    let retry = json!({});
    let fail = json!({ "retry": { "ambiguous": "fail" } });
    let once = json!({ "retry": { "maxAttempts": 1 } });
    let rows = [
        ("200", retry.clone(), status(200), "1 delivered", true, None),
        ("204", retry.clone(), status(204), "1 delivered", true, None),
        ("429", retry.clone(), retry_after(1), "", false, Some(0)),
        ("bare 429", retry.clone(), status(429), "", false, Some(0)),
        ("401", retry.clone(), status(401), "", false, Some(0)),
        ("503", retry.clone(), status(503), "", false, Some(1)),
        ("refused", retry.clone(), unsent(), "", false, Some(1)),
        ("503, the last attempt", once.clone(), status(503), "1 DELIVERY_EXHAUSTED", true, Some(1)),
        ("refused, the last attempt", once.clone(), unsent(), "1 DELIVERY_EXHAUSTED", true, Some(1)),
        ("429 with one attempt", once.clone(), status(429), "", false, Some(0)),
        ("cut, retry", retry.clone(), unanswered(), "", false, Some(1)),
        ("cut, fail", fail.clone(), unanswered(), "1 DELIVERY_AMBIGUOUS", true, Some(1)),
        ("503, fail", fail.clone(), status(503), "", false, Some(1)),
        ("421, fail", fail.clone(), status(421), "", false, Some(1)),
        ("425, fail", fail.clone(), status(425), "", false, Some(1)),
        ("501, fail", fail.clone(), status(501), "", false, Some(0)),
        ("505, fail", fail, status(505), "", false, Some(0)),
        ("501, the last attempt", once.clone(), status(501), "1 DELIVERY_REJECTED", true, Some(1)),
        ("302, the last attempt", once.clone(), status(302), "1 DELIVERY_REJECTED", true, Some(1)),
        ("404, the last attempt", once, status(404), "1 DELIVERY_REJECTED", true, Some(1)),
        ("400", retry.clone(), status(400), "1 DELIVERY_REJECTED", true, Some(1)),
        ("404, perhaps everybody's", retry.clone(), status(404), "", false, Some(0)),
        ("410", retry.clone(), status(410), "1 DELIVERY_REJECTED", true, Some(1)),
        ("413", retry.clone(), status(413), "1 DELIVERY_REJECTED", true, Some(1)),
        ("302, perhaps everybody's", retry, status(302), "", false, Some(0)),
    ];
    for (name, patch, answer, settles, next_leaves, attempts) in rows {
        let expected: Vec<String> = if settles.is_empty() { Vec::new() } else { vec![settles.to_owned()] };
        assert_eq!(outcome(patch, answer), (expected, next_leaves, attempts), "{name}");
    }
}

fn page(code: u16) -> Answer {
    let body = "<!DOCTYPE html><html><title>Sign in</title></html>".into();
    Answer::Answered { response: Response { status: code, body, ..Response::default() }, evidence: Evidence::default() }
}

#[test]
fn a_page_that_says_2xx_is_no_answer_of_the_api() {
    let (retry, fail) = (json!({}), json!({ "retry": { "ambiguous": "fail" } }));
    for code in [200, 202, 203] {
        assert_eq!(outcome(retry.clone(), page(code)), (vec![], false, Some(1)), "{code}, retry");
        let ended = vec!["1 DELIVERY_AMBIGUOUS".to_owned()];
        assert_eq!(outcome(fail.clone(), page(code)), (ended, true, Some(1)), "{code}, fail");
    }
    let mut bench = Bench::new(json!({}));
    bench.call("POST");
    let first = bench.leaving();
    assert_eq!(settled(&bench.answer(first[0].0, page(200))), ["1 answered 200"], "a call gets what came");
}

#[test]
fn a_login_page_in_front_of_the_api_is_an_outage_that_loses_nothing() {
    let mut bench = Bench::new(json!({}));
    (0..20).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
    let mut ends = Vec::new();
    let mut told = Vec::new();
    for step in 0..2_400 {
        for (attempt, _) in bench.leaving() {
            let effects = bench.answer(attempt, if step < 1_200 { page(200) } else { status(200) });
            ends.extend(settled(&effects));
            told.extend(effects.into_iter().filter_map(|effect| match effect {
                Effect::Notice(Notice::Outage { open, problem, .. }) => Some((open, problem)),
                _ => None,
            }));
        }
        bench.wait_ms(50);
    }
    assert_eq!(ends.iter().filter(|end| end.ends_with("delivered")).count(), 20, "{ends:?}");
    let problem = "a page of HTML came where the API answers with JSON".to_owned();
    assert_eq!(told, [(true, problem), (false, String::new())]);
}

/// Statuses after which the server may have processed the request.
const UNCLEAR: [u16; 15] = [101, 199, 408, 500, 502, 504, 506, 507, 511, 520, 530, 599, 600, 777, 999];

#[test]
fn what_may_have_been_processed_is_sent_once_or_at_least_once() {
    let (retry, fail) = (json!({}), json!({ "retry": { "ambiguous": "fail" } }));
    for code in UNCLEAR {
        assert_eq!(outcome(retry.clone(), status(code)), (vec![], false, Some(1)), "{code}, retry");
        let ended = vec!["1 DELIVERY_AMBIGUOUS".to_owned()];
        assert_eq!(outcome(fail.clone(), status(code)), (ended, true, Some(1)), "{code}, fail");
    }
}

#[test]
fn an_unclear_status_marks_what_ends_later_as_ambiguous() {
    for (code, expected) in [(500, true), (408, true), (999, true), (503, false), (421, false), (425, false)] {
        let mut bench = Bench::new(json!({}));
        bench.send("a", "c");
        let first = bench.leaving();
        bench.answer(first[0].0, status(code));
        bench.wait_ms(60_000);
        let second = bench.leaving();
        let effects = bench.answer(second[0].0, status(400));
        let ambiguous = effects.iter().find_map(|effect| match effect {
            Effect::Buried { failure, .. } => Some(failure.ambiguous),
            _ => None,
        });
        assert_eq!(ambiguous, Some(expected), "{code}");
    }
}

#[test]
fn a_request_with_an_unclear_status_goes_by_its_method() {
    for code in UNCLEAR {
        for (method, idempotent, ambiguous, repeated) in [
            ("GET", None, "fail", true),
            ("HEAD", None, "fail", true),
            ("PUT", None, "fail", true),
            ("DELETE", None, "fail", true),
            ("OPTIONS", None, "fail", true),
            ("POST", None, "fail", false),
            ("PATCH", None, "fail", false),
            ("POST", Some(true), "fail", true),
            ("POST", None, "retry", true),
            ("PATCH", Some(false), "retry", false),
            ("PUT", Some(false), "retry", false),
        ] {
            let mut bench = Bench::new(json!({ "retry": { "ambiguous": ambiguous } }));
            bench.request_as(method, |call| call.idempotent = idempotent);
            let first = bench.leaving();
            let settled = settled(&bench.answer(first[0].0, status(code)));
            let ended: &[&str] = if repeated { &[] } else { &["1 DELIVERY_AMBIGUOUS"] };
            assert_eq!(settled, ended, "{code} to {method}, {idempotent:?}, {ambiguous}");
        }
    }
}

#[test]
fn a_caller_that_judges_statuses_gets_the_unclear_one() {
    for code in UNCLEAR {
        let mut bench = Bench::new(json!({ "retry": { "ambiguous": "fail" } }));
        bench.request_as("POST", |call| call.raw = true);
        let first = bench.leaving();
        assert_eq!(settled(&bench.answer(first[0].0, status(code))), [format!("1 answered {code}")]);
    }
}

#[test]
fn retry_after_counts_on_every_status_that_is_retried() {
    let asked = |code, seconds| {
        let wait = Some(Duration::from_secs(seconds));
        answered(code, Evidence { retry_after: wait, ..Evidence::default() })
    };
    for code in [408, 421, 425, 500, 502, 503, 504, 521, 999] {
        for (seconds, expected_ms) in [(4, 4_000), (120, 120_000), (86_400, 180_000)] {
            let mut bench = Bench::new(json!({}));
            bench.send("a", "c");
            let first = bench.leaving();
            bench.answer(first[0].0, asked(code, seconds));
            bench.wait_ms(expected_ms - 1);
            assert!(bench.leaving().is_empty(), "{code}, {seconds} s: too early");
            bench.wait_ms(1);
            assert_eq!(ids(&bench.leaving()), ["a"], "{code}, {seconds} s, maxPauseMs at most");
        }
    }
}

#[test]
fn the_breakers_next_probe_waits_for_retry_after() {
    for (seconds, expected_ms) in [(60, 60_000), (86_400, 180_000)] {
        let mut bench = Bench::new(json!({ "retry": { "maxAgeMs": 2_592_000_000_u64 } }));
        (0..20).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
        let wait = Some(Duration::from_secs(seconds));
        let down = || answered(503, Evidence { retry_after: wait, ..Evidence::default() });
        bench.leaving().iter().for_each(|(attempt, _)| drop(bench.answer(*attempt, down())));
        bench.send("late", "late");
        for _ in 0..3 {
            bench.wait_ms(expected_ms - 1);
            assert!(bench.leaving().is_empty(), "neither a retry nor what is new");
            bench.wait_ms(1);
            let probe = bench.leaving();
            assert_eq!(probe.len(), 1, "a single probe");
            bench.answer(probe[0].0, down());
        }
    }
}

/// A server that knows idempotency keys answers 409 while the first request is at work. That is no refusal of the
/// message.
#[test]
fn a_conflict_of_a_repetition_with_itself_waits_for_the_first_answer() {
    let after = |answers: Vec<Answer>, attempts: u32| {
        let mut bench = Bench::new(json!({ "retry": { "maxAttempts": attempts } }));
        bench.send("a", "c");
        let mut ends = Vec::new();
        for answer in answers {
            bench.wait_ms(60_000);
            let leaving = bench.leaving();
            assert_eq!(ids(&leaving), ["a"]);
            ends = settled(&bench.answer(leaving[0].0, answer));
        }
        ends
    };
    assert_eq!(after(vec![status(409)], 10), ["1 DELIVERY_REJECTED"], "the first request");
    assert_eq!(after(vec![unanswered(), status(409), status(409), status(200)], 10), ["1 delivered"]);
    assert_eq!(after(vec![unanswered(), status(409)], 2), ["1 DELIVERY_AMBIGUOUS"], "what happened is unknown");
    assert_eq!(
        after(vec![status(503), status(409)], 10),
        ["1 DELIVERY_REJECTED"],
        "what was refused was not processed"
    );
    assert_eq!(after(vec![unanswered(), status(400)], 10), ["1 DELIVERY_REJECTED"], "other refusals stay");
}

/// It is serialized once, before it is submitted; every request has the same bytes, where they lie.
#[test]
fn a_repeat_shares_its_body_with_the_request_before() {
    let mut bench = Bench::new(json!({}));
    bench.send("a", "c");
    let mut sent = || {
        let leaves = |effect: Effect| match effect {
            Effect::Send { attempt, shipment } => Some((attempt, shipment.body.unwrap())),
            _ => None,
        };
        bench.wait_ms(60_000);
        let (attempt, body) = bench.poll().into_iter().find_map(leaves).unwrap();
        bench.answer(attempt, status(503));
        (attempt, body)
    };
    let (first, second) = (sent(), sent());
    assert_ne!(first.0, second.0);
    assert!(!first.1.is_empty());
    assert_eq!((first.1.as_ptr(), first.1.len()), (second.1.as_ptr(), second.1.len()));
}

#[test]
fn a_429_of_the_token_stops_everyone_until_its_probe_succeeds() {
    let of_token = |seconds| {
        let key = "client.credentials.token.rate.per.minute".to_owned();
        let limit = NamedLimit { key, namespace: Some("platform.api".to_owned()), value: None };
        let retry_after = Some(Duration::from_secs(seconds));
        answered(429, Evidence { retry_after, limit: Some(Box::new(limit)), ..Evidence::default() })
    };
    let mut bench =
        Bench::new(json!({ "connections": { "max": 2 }, "rateLimit": { "requests": 100, "perMs": 1_000 } }));
    (0..6).for_each(|index| drop(bench.send(&format!("{index}"), &format!("c{index}"))));
    let first = bench.leaving();
    bench.answer(first[0].0, of_token(2));
    bench.answer(first[1].0, status(200));
    bench.wait_ms(1_999);
    assert!(bench.leaving().is_empty());
    bench.wait_ms(1);
    let probe = bench.leaving();
    assert_eq!(ids(&probe), ["0"], "the message kept its place");
    bench.answer(probe[0].0, of_token(1));
    bench.wait_ms(1_000);
    let probe = bench.leaving();
    assert_eq!(probe.len(), 1);
    assert!(bench.leaving().is_empty(), "one probe at a time");
    bench.answer(probe[0].0, status(200));
    bench.wait_ms(10);
    assert_eq!(bench.leaving().len(), 1, "spaced evenly at first");
}

/// Ten failures open the breaker while two requests are still on the wire: one is answered with 429, then one succeeds.
#[test]
fn a_success_during_an_outage_does_not_end_the_pause_of_a_429() {
    let mut bench = Bench::new(json!({}));
    (0..12).for_each(|index| drop(bench.send(&format!("{index}"), &format!("c{index}"))));
    let mut leaving = bench.leaving();
    bench.send("late", "late");
    let (throttled, accepted) = (leaving.pop().unwrap().0, leaving.pop().unwrap().0);
    let mut notices = Vec::new();
    leaving.iter().for_each(|(attempt, _)| notices.extend(bench.answer(*attempt, status(503))));
    let short = Evidence { retry_after: Some(std::time::Duration::from_millis(150)), ..Evidence::default() };
    bench.answer(throttled, answered(429, short));
    bench.answer(accepted, status(200));
    assert!(bench.leaving().is_empty(), "left during the pause");
    bench.wait_ms(31_000);
    let probe = bench.leaving();
    assert_eq!(probe.len(), 1);
    notices.extend(bench.answer(probe[0].0, status(200)));
    let outage = |effect: &Effect| match effect {
        Effect::Notice(Notice::Outage { open, .. }) => Some(*open),
        _ => None,
    };
    assert_eq!(notices.iter().filter_map(outage).collect::<Vec<_>>(), [true, false], "an outage that began ends");
}

#[test]
fn a_second_401_refuses_promises_and_keeps_messages() {
    let mut bench = Bench::new(json!({}));
    bench.send("a", "c");
    let call = bench.call("GET");
    let first = bench.leaving();
    assert_eq!(first.len(), 2);
    bench.answer(first[0].0, status(401));
    assert!(bench.poll().iter().any(|effect| matches!(effect, Effect::FetchToken(_))), "one refresh");
    bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)));
    let again = bench.leaving();
    assert_eq!(ids(&again), ["a"]);
    let effects = bench.answer(again[0].0, status(401));
    assert_eq!(settled(&effects), ["1 AUTH_REJECTED"], "the request on the wire has its answer to come");
    assert_eq!(settled(&bench.answer(first[1].0, status(401))), [format!("{call} AUTH_REJECTED")]);
    assert_eq!(bench.dispatcher.unsettled(), 1, "the message stays, the request doesn't");
    bench.wait_ms(2_000);
    bench.poll();
    bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)));
    let probe = bench.leaving();
    assert_eq!(ids(&probe), ["a"]);
    bench.answer(probe[0].0, status(200));
    assert!(bench.dispatcher.is_idle());
}

#[test]
fn where_there_are_only_requests_the_next_one_finds_out_whether_credentials_work_again() {
    let mut bench = Bench::new(json!({}));
    let first = bench.call("GET");
    let leaving = bench.leaving();
    bench.answer(leaving[0].0, status(401));
    bench.poll();
    bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)));
    let leaving = bench.leaving();
    assert_eq!(settled(&bench.answer(leaving[0].0, status(401))), [format!("{first} AUTH_REJECTED")]);
    assert!(bench.dispatcher.is_idle(), "nothing is left that would ask again");
    // Until the wait is over it is told at once.
    let (_, effects) = bench.request("GET");
    assert_eq!(settled(&effects), ["2 AUTH_REJECTED"]);
    for refused in [true, false] {
        bench.wait_ms(60_000);
        let calls = [bench.call("GET"), bench.call("GET")];
        assert!(bench.poll().iter().any(|effect| matches!(effect, Effect::FetchToken(_))), "it asks for a token");
        if refused {
            let effects = bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Refused("no".into())));
            assert_eq!(settled(&effects), calls.map(|call| format!("{call} AUTH_REJECTED")));
            continue;
        }
        bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)));
        let probe = bench.leaving();
        assert_eq!(probe.len(), 1);
        bench.answer(probe[0].0, status(200));
        assert_eq!(bench.leaving().len(), 1, "the other one follows");
    }
}

#[test]
fn a_message_that_waits_for_the_token_alone_says_so() {
    let mut bench = Bench::new(json!({}));
    bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(Some(std::time::Duration::from_secs(1)))));
    bench.wait_ms(2_000);
    bench.send("a", "a");
    let later = bench.now.after(std::time::Duration::from_secs(60));
    bench.submit("b", "b", |submission| submission.not_before = Some(later));
    let holds = |bench: &Bench, id| {
        let explained = bench.dispatcher.explain(bench.now, id).unwrap();
        (explained.holds.into_iter().map(|(hold, _)| hold).collect::<Vec<_>>(), explained.expected_at)
    };
    assert!(bench.poll().iter().any(|effect| matches!(effect, Effect::FetchToken(_))));
    assert_eq!(holds(&bench, "a"), (vec![Hold::Auth], None));
    assert_eq!(holds(&bench, "b"), (vec![Hold::NotBefore], Some(later)));
    bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)));
    assert_eq!(holds(&bench, "a"), (vec![], Some(bench.now)));
}

#[test]
fn a_request_is_repeated_after_an_unknown_outcome_only_where_that_is_harmless() {
    for (method, repeated) in [("GET", true), ("PUT", true), ("DELETE", true), ("POST", false), ("PATCH", false)] {
        let mut bench = Bench::new(json!({ "retry": { "ambiguous": "fail" } }));
        bench.call(method);
        let leaving = bench.leaving();
        let effects = bench.answer(leaving[0].0, unanswered());
        assert_eq!(settled(&effects).is_empty(), repeated, "{method}");
    }
}

#[test]
fn an_abort_takes_back_what_waits_and_leaves_what_is_on_the_wire_to_its_answer() {
    let mut bench = Bench::new(json!({}));
    let (flying, _) = bench.send("a", "c");
    let (queued, _) = bench.send("b", "c");
    let leaving = bench.leaving();
    assert_eq!(settled(&bench.handle(Event::Cancel(of(queued)))), ["0 DELIVERY_ABORTED"]);
    assert!(settled(&bench.handle(Event::Cancel(of(flying)))).is_empty());
    assert_eq!(settled(&bench.answer(leaving[0].0, status(503))), ["0 DELIVERY_ABORTED"], "not tried again");
    let call = bench.call("GET");
    bench.leaving();
    let effects = bench.handle(Event::Cancel(of(call)));
    assert!(matches!(effects[0], Effect::Cut(_)), "{effects:?}");
    assert!(bench.dispatcher.is_idle());
}

#[test]
fn one_token_request_at_a_time_also_when_credentials_are_refused_meanwhile() {
    let fetches = |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::FetchToken(_))).count();
    let mut bench = Bench::new(json!({}));
    bench.send("a", "a");
    let first = bench.leaving();
    bench.answer(first[0].0, status(401));
    assert_eq!(fetches(&bench.poll()), 1);
    bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(Some(std::time::Duration::from_secs(1)))));
    let second = bench.leaving();
    bench.wait_ms(900);
    bench.send("b", "b");
    assert_eq!(fetches(&bench.poll()), 1, "renewed ahead of its end");
    bench.answer(second[0].0, status(401));
    bench.wait_ms(3_000);
    assert_eq!(fetches(&bench.poll()), 0, "one is on its way");
    bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)));
    assert_eq!(bench.leaving().len(), 1, "the probe");
}

#[test]
fn a_request_that_was_given_up_may_still_arrive_and_holds_its_slot_for_that_long() {
    let mut bench = Bench::new(json!({ "rateLimit": { "requests": 1, "perMs": 100 } }));
    let call = bench.call("GET");
    bench.leaving();
    bench.send("next", "c");
    bench.wait_ms(10);
    bench.handle(Event::Cancel(of(call)));
    bench.wait_ms(1_090);
    assert!(bench.leaving().is_empty(), "a second to arrive, and the window");
    bench.wait_ms(1);
    assert_eq!(ids(&bench.leaving()), ["next"]);
}

/// The reason, the status and the attempts of what is buried.
fn buried(effects: &[Effect]) -> Vec<(&'static str, Option<u16>, u32)> {
    let end = |effect: &Effect| match effect {
        Effect::Buried { failure, .. } => {
            let status = failure.response.as_ref().map(|response| response.status);
            Some((failure.reason.word(), status, failure.attempts))
        }
        _ => None,
    };
    effects.iter().filter_map(end).collect()
}

#[test]
fn what_expires_or_is_aborted_between_attempts_has_the_status_of_the_last() {
    let expiring = |bench: &mut Bench| {
        let soon = bench.now.after(std::time::Duration::from_millis(50));
        bench.submit("a", "c", |submission| submission.expires_at = Some(soon)).0
    };
    let after = |answers: &[Answer], end: fn(&mut Bench, u64) -> Vec<Effect>| {
        let mut bench = Bench::new(json!({ "retry": { "maxAttempts": 100 } }));
        let ticket = expiring(&mut bench);
        for answer in answers {
            let leaving = bench.leaving();
            bench.answer(leaving[0].0, answer.clone());
        }
        buried(&end(&mut bench, ticket))
    };
    let expire: fn(&mut Bench, u64) -> Vec<Effect> = |bench, _| {
        bench.wait_ms(60);
        bench.poll()
    };
    let abort: fn(&mut Bench, u64) -> Vec<Effect> = |bench, ticket| bench.handle(Event::Cancel(of(ticket)));
    assert_eq!(after(&[status(503)], expire), [("expired", Some(503), 1)]);
    assert_eq!(after(&[status(503)], abort), [("aborted", Some(503), 1)]);
    assert_eq!(after(&[unanswered()], expire), [("expired", None, 1)]);
    assert_eq!(after(&[], abort), [("aborted", None, 0)]);

    let mut bench = Bench::new(json!({}));
    expiring(&mut bench);
    let leaving = bench.leaving();
    bench.wait_ms(60);
    assert_eq!(buried(&bench.answer(leaving[0].0, status(502))), [("expired", Some(502), 1)], "on the wire");
}

#[test]
fn another_connection_is_tried_at_once_and_once() {
    for code in [421, 425] {
        for ambiguous in ["retry", "fail"] {
            let mut bench = Bench::new(json!({ "retry": { "ambiguous": ambiguous } }));
            bench.send("a", "c");
            bench.call("POST");
            let first = bench.leaving();
            first.iter().for_each(|(attempt, _)| drop(bench.answer(*attempt, status(code))));
            let second = bench.leaving();
            let sorted = |mut sends: Vec<String>| {
                sends.sort();
                sends
            };
            let names = |sends: &[(_, String)]| sorted(sends.iter().map(|(_, id)| id.clone()).collect());
            assert_eq!(names(&second), names(&first), "{code}: at once");
            second.iter().for_each(|(attempt, _)| drop(bench.answer(*attempt, status(code))));
            assert!(bench.leaving().is_empty(), "{code}: then after a backoff");
            let attempts = bench.dispatcher.explain(bench.now, "a").unwrap().attempts;
            assert_eq!(attempts, 2, "{code}");
        }
    }
}

#[test]
fn a_misdirected_batch_is_repeated_at_once_too() {
    let batch = json!({ "mode": "array", "maxMessages": 2, "lingerMs": 0 });
    let mut bench = Bench::new(json!({ "route": "messaging-array", "batch": batch }));
    ["a", "b"].iter().for_each(|id| drop(bench.send(id, id)));
    let first = bench.leaving();
    bench.answer(first[0].0, status(421));
    let second = bench.leaving();
    assert_eq!(second.len(), 1);
    assert_eq!(settled(&bench.answer(second[0].0, status(200))).len(), 2);
}

fn retried(statuses: &[u16], ambiguous: &str) -> serde_json::Value {
    json!({ "retry": { "statuses": statuses, "ambiguous": ambiguous } })
}

#[test]
fn statuses_that_are_added_count_as_unknown_outcomes() {
    for code in [301, 403, 404, 409, 423, 499, 501, 505] {
        assert_eq!(outcome(retried(&[code], "retry"), status(code)), (vec![], false, Some(1)), "{code}, retry");
        let ended = vec!["1 DELIVERY_AMBIGUOUS".to_owned()];
        assert_eq!(outcome(retried(&[code], "fail"), status(code)), (ended, true, Some(1)), "{code}, fail");
        let rejected = vec!["1 DELIVERY_REJECTED".to_owned()];
        let mut once = retried(&[422], "retry");
        once["retry"]["maxAttempts"] = json!(1);
        assert_eq!(outcome(once, status(code)), (rejected, true, Some(1)), "{code}, not added");
    }
    for code in [408, 421, 425, 500, 503] {
        for ambiguous in ["retry", "fail"] {
            let plain = outcome(json!({ "retry": { "ambiguous": ambiguous } }), status(code));
            assert_eq!(outcome(retried(&[code], ambiguous), status(code)), plain, "{code} is retried anyway");
        }
    }
}

#[test]
fn a_call_with_an_added_status_goes_by_its_method() {
    for (method, idempotent, ambiguous, repeated) in [
        ("GET", None, "fail", true),
        ("POST", None, "fail", false),
        ("POST", Some(true), "fail", true),
        ("POST", None, "retry", true),
        ("PATCH", Some(false), "retry", false),
    ] {
        for (raw, end) in [(false, "1 DELIVERY_AMBIGUOUS"), (true, "1 answered 409")] {
            let mut bench = Bench::new(retried(&[409], ambiguous));
            bench.request_as(method, |call| (call.idempotent, call.raw) = (idempotent, raw));
            let first = bench.leaving();
            let settled = settled(&bench.answer(first[0].0, status(409)));
            let ended: &[&str] = if repeated { &[] } else { &[end] };
            assert_eq!(settled, ended, "{method}, {idempotent:?}, {ambiguous}, raw {raw}");
        }
    }
}

fn array(mut patch: serde_json::Value, ids: &[&str]) -> (Bench, spillway_core::dispatcher::AttemptId) {
    patch["route"] = json!("messaging-array");
    patch["batch"] = json!({ "mode": "array", "maxMessages": ids.len(), "lingerMs": 0 });
    let mut bench = Bench::new(patch);
    ids.iter().for_each(|id| drop(bench.send(id, id)));
    let attempt = bench.leaving()[0].0;
    (bench, attempt)
}

#[test]
fn items_of_a_list_follow_the_added_statuses() {
    let list = || {
        let body = r#"[{"id":"a","status":200},{"id":"b","status":404}]"#.into();
        Answer::Answered {
            response: Response { status: 207, body, ..Response::default() },
            evidence: Evidence::default(),
        }
    };
    for (statuses, ambiguous, ends) in [
        (vec![404], "retry", vec!["1 delivered"]),
        (vec![404], "fail", vec!["1 delivered", "2 DELIVERY_AMBIGUOUS"]),
        (vec![409], "retry", vec!["1 delivered", "2 DELIVERY_REJECTED"]),
    ] {
        let (mut bench, attempt) = array(retried(&statuses, ambiguous), &["a", "b"]);
        assert_eq!(settled(&bench.answer(attempt, list())), ends, "{statuses:?}, {ambiguous}");
    }
}

#[test]
fn a_batch_is_parted_before_an_added_status_counts() {
    for code in [400, 413] {
        let (mut bench, attempt) = array(retried(&[code], "retry"), &["a", "b"]);
        assert!(settled(&bench.answer(attempt, status(code))).is_empty());
        let half = bench.leaving();
        assert_eq!(half.len(), 1, "{code}: half of it");
        assert!(settled(&bench.answer(half[0].0, status(code))).is_empty(), "{code}: it is retried by itself");
        bench.wait_ms(60_000);
        let again = bench.leaving();
        assert_eq!(settled(&bench.answer(again[0].0, status(200))), ["1 delivered"], "{code}");
    }
}

#[test]
fn an_added_status_is_no_refusal_of_everybody() {
    let mut bench = Bench::new(retried(&[404], "retry"));
    (0..5).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
    let leaving = bench.leaving();
    let effects: Vec<Effect> = leaving.iter().flat_map(|(attempt, _)| bench.answer(*attempt, status(404))).collect();
    assert!(settled(&effects).is_empty());
    assert_eq!(bench.dispatcher.snapshot(bench.now).outage, None, "five failures are none");
}
