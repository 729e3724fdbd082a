//! Guarantee 4: a 429 stops exactly those that its limit holds for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::time::Duration;

use bench::{Bench, answered, ids, status};
use serde_json::json;
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{Effect, Event, Hold, Notice};
use spillway_core::evidence::{Evidence, NamedLimit};
use spillway_core::message::{Call, CallLimits, Payload, Submission};
use spillway_core::retry::Answer;
use spillway_core::stats::{Pause, PauseScope};

const WORKITEMS: &str = "POST /api/v2/taskmanagement/workitems";
const MESSAGES: &str = "POST /api/v2/messaging/conversations/{}/messages";

fn named(namespace: &str, key: &str, seconds: u64) -> Answer {
    let limit = NamedLimit { key: key.to_owned(), namespace: Some(namespace.to_owned()), value: Some(2) };
    let retry_after = (seconds > 0).then(|| Duration::from_secs(seconds));
    answered(429, Evidence { retry_after, limit: Some(Box::new(limit)), ..Evidence::default() })
}

fn of_route(seconds: u64) -> Answer {
    named("taskmanagement", "workitems.rate.per.minute", seconds)
}

fn of_conversation(seconds: u64) -> Answer {
    named("messaging", "messages.per.conversation.rate.per.minute", seconds)
}

fn of_token(seconds: u64) -> Answer {
    named("platform.api", "client.credentials.token.rate.per.minute", seconds)
}

fn call(bench: &mut Bench, path: &str) -> u64 {
    bench.request_as("POST", |call| call.path = path.into()).0
}

fn workitem(bench: &mut Bench) -> u64 {
    call(bench, "/api/v2/taskmanagement/workitems")
}

fn pauses(bench: &Bench) -> Vec<Pause> {
    bench.dispatcher.snapshot(bench.now).pauses
}

fn scopes(bench: &Bench) -> Vec<PauseScope> {
    pauses(bench).into_iter().map(|pause| pause.scope).collect()
}

fn route(name: &str) -> PauseScope {
    PauseScope::Route(name.into())
}

fn conversation(name: &str) -> PauseScope {
    PauseScope::Conversation(name.into())
}

/// What is told of pauses.
fn told(effects: &[Effect]) -> Vec<(&'static str, PauseScope, Option<String>)> {
    let of = |effect: &Effect| match effect {
        Effect::Notice(Notice::Throttled { scope, limit, .. }) => Some(("throttled", scope.clone(), limit.clone())),
        Effect::Notice(Notice::Resumed { scope, limit, .. }) => Some(("resumed", scope.clone(), limit.clone())),
        _ => None,
    };
    let all = effects.iter().filter_map(of);
    all.map(|(word, scope, limit)| (word, scope, limit.map(|limit| limit.key))).collect()
}

#[test]
fn a_named_limit_of_an_endpoint_holds_back_what_takes_it_alone() {
    let mut bench = Bench::new(json!({}));
    workitem(&mut bench);
    let first = bench.leaving();
    let effects = bench.answer(first[0].0, of_route(30));
    let key = Some("workitems.rate.per.minute".to_owned());
    assert_eq!(told(&effects), [("throttled", route(WORKITEMS), key.clone())]);
    workitem(&mut bench);
    call(&mut bench, "/api/v2/users");
    bench.send("m", "c");
    assert_eq!(bench.serve(29_999, |_| status(200)).len(), 2, "everything else goes");
    let snapshot = bench.dispatcher.snapshot(bench.now);
    assert_eq!(snapshot.pause, None, "messages flow");
    let [Pause { scope, limit, closure }] = &snapshot.pauses[..] else { panic!("{:?}", snapshot.pauses) };
    assert_eq!((scope, limit.as_ref().unwrap().value), (&route(WORKITEMS), Some(2)));
    assert_eq!(closure.reason, "retry-after");
    bench.wait_ms(1);
    let probe = bench.leaving();
    assert_eq!(probe.len(), 1, "one of the two that wait probes");
    let effects = bench.answer(probe[0].0, status(200));
    assert_eq!(told(&effects), [("resumed", route(WORKITEMS), key)]);
    assert_eq!(bench.serve(10, |_| status(200)).len(), 1, "the other one follows");
    assert!(pauses(&bench).is_empty() && bench.dispatcher.is_idle());
}

#[test]
fn a_named_limit_of_a_conversation_holds_back_its_messages_alone() {
    for ordering in ["conversation", "none"] {
        let mut bench = Bench::new(json!({ "ordering": ordering }));
        bench.send("a1", "a");
        let first = bench.leaving();
        let effects = bench.answer(first[0].0, of_conversation(10));
        assert!(matches!(&told(&effects)[..], [("throttled", PauseScope::Conversation(_), Some(_))]));
        (2..5).for_each(|index| drop(bench.send(&format!("a{index}"), "a")));
        (0..20).for_each(|index| drop(bench.send(&format!("b{index}"), "b")));
        let left = bench.serve(9_999, |_| status(200));
        assert_eq!(left.len(), 20, "{ordering}: {left:?}");
        assert!(left.iter().all(|name| name.starts_with('b')));
        assert_eq!(scopes(&bench), [conversation("a")]);
        let explained = bench.dispatcher.explain(bench.now, "a1").unwrap();
        assert!(matches!(explained.holds[..], [(Hold::ConversationPause, Some(_))]), "{explained:?}");
        bench.wait_ms(1);
        let probe = bench.leaving();
        assert_eq!(ids(&probe), ["a1"], "{ordering}: a single one, in its place");
        bench.answer(probe[0].0, of_conversation(10));
        assert!(bench.serve(9_999, |_| status(200)).is_empty(), "{ordering}: the others wait for the next");
        bench.wait_ms(1);
        let left = bench.serve(100, |_| status(200));
        assert_eq!(left, ["a1", "a2", "a3", "a4"], "{ordering}");
        assert!(pauses(&bench).is_empty() && bench.dispatcher.is_idle());
    }
}

#[test]
fn a_limit_of_the_token_holds_back_everything() {
    for answer in [of_token(10), named("platform.api", "org.app.user.rate.per.minute", 10)] {
        let mut bench = Bench::new(json!({}));
        bench.send("m1", "c1");
        let first = bench.leaving();
        bench.answer(first[0].0, answer);
        bench.send("m2", "c2");
        workitem(&mut bench);
        assert!(bench.serve(9_999, |_| status(200)).is_empty());
        assert_eq!(scopes(&bench), [PauseScope::Organization]);
        assert_eq!(pauses(&bench)[0].limit.as_ref().unwrap().value, Some(2));
    }
}

#[test]
fn a_limit_of_the_messages_route_lets_calls_go() {
    let mut bench = Bench::new(json!({}));
    bench.send("m1", "c1");
    let first = bench.leaving();
    bench.answer(first[0].0, named("messaging", "messages.rate.per.minute", 10));
    bench.send("m2", "c2");
    workitem(&mut bench);
    let left = bench.serve(9_999, |_| status(200));
    assert_eq!(left, ["/api/v2/taskmanagement/workitems"]);
    let snapshot = bench.dispatcher.snapshot(bench.now);
    assert!(snapshot.pause.is_some(), "it is all that messages wait for");
    assert_eq!(scopes(&bench), [route(MESSAGES)]);
    let explained = bench.dispatcher.explain(bench.now, "m2").unwrap();
    assert!(matches!(explained.holds[..], [(Hold::RoutePause, Some(_))]), "{explained:?}");
    bench.wait_ms(1);
    let probe = bench.leaving();
    assert_eq!(ids(&probe), ["m1"]);
    bench.answer(probe[0].0, status(200));
    assert_eq!(bench.serve(100, |_| status(200)), ["m2"]);
}

#[test]
fn a_key_that_changes_moves_the_pause() {
    let mut bench = Bench::new(json!({}));
    workitem(&mut bench);
    let first = bench.leaving();
    bench.answer(first[0].0, of_route(5));
    bench.wait_ms(5_000);
    let probe = bench.leaving();
    bench.answer(probe[0].0, named("taskmanagement", "workitems.rate.per.day", 60));
    assert_eq!(pauses(&bench)[0].limit.as_ref().unwrap().key, "workitems.rate.per.day");
    bench.wait_ms(60_000);
    let probe = bench.leaving();
    bench.answer(probe[0].0, of_token(10));
    bench.send("m", "c");
    assert!(bench.leaving().is_empty(), "now it is everybody's");
    bench.wait_ms(10_000);
    let left = bench.serve(100, |_| status(200));
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(pauses(&bench).is_empty());
}

#[test]
fn both_limits_at_the_same_moment_hold_for_as_long_as_each_asks() {
    let mut bench = Bench::new(json!({}));
    workitem(&mut bench);
    bench.send("m", "c");
    let both = bench.leaving();
    let of = |name: &str| both.iter().find(|(_, id)| id == name).unwrap().0;
    bench.answer(of("/api/v2/taskmanagement/workitems"), of_route(30));
    bench.answer(of("m"), of_token(10));
    assert_eq!(scopes(&bench), [PauseScope::Organization, route(WORKITEMS)]);
    assert!(bench.serve(9_999, |_| status(200)).is_empty());
    bench.wait_ms(1);
    assert_eq!(bench.serve(20_000, |_| status(200)), ["m"], "the limited endpoint doesn't hold the probe");
    assert_eq!(bench.serve(100, |_| status(200)), ["/api/v2/taskmanagement/workitems"]);
}

#[test]
fn a_limited_endpoint_that_probes_the_organization_leaves_the_probe_to_others() {
    let mut bench = Bench::new(json!({}));
    bench.send("first", "c");
    let first = bench.leaving();
    bench.answer(first[0].0, of_token(10));
    bench.handle(Event::Cancel(bench::of(1)));
    workitem(&mut bench);
    bench.wait_ms(10_000);
    let probe = bench.leaving();
    assert_eq!(ids(&probe), ["/api/v2/taskmanagement/workitems"]);
    bench.send("m", "other");
    assert!(bench.leaving().is_empty(), "one probe");
    bench.answer(probe[0].0, of_route(600));
    let probe = bench.leaving();
    assert_eq!(ids(&probe), ["m"]);
    bench.answer(probe[0].0, status(200));
    assert_eq!(scopes(&bench), [route(WORKITEMS)]);
}

#[test]
fn a_cut_probe_is_followed_by_another() {
    let mut bench = Bench::new(json!({}));
    bench.send("a1", "a");
    let first = bench.leaving();
    bench.answer(first[0].0, of_conversation(10));
    let call = workitem(&mut bench);
    let limited = bench.leaving();
    bench.answer(limited[0].0, of_route(10));
    workitem(&mut bench);
    bench.wait_ms(10_000);
    let probes = bench.leaving();
    assert_eq!(probes.len(), 2, "one of each limit");
    bench.handle(Event::Cancel(bench::of(call)));
    let next = bench.leaving();
    assert_eq!(ids(&next), ["/api/v2/taskmanagement/workitems"], "its caller no longer waits for the first");
    let of_a = probes.iter().find(|(_, id)| id == "a1").unwrap().0;
    bench.answer(of_a, bench::unanswered());
    assert_eq!(bench.serve(60_000, |_| status(200)), ["a1"]);
}

#[test]
fn a_limit_without_a_time_is_probed_at_growing_intervals() {
    let mut bench = Bench::new(json!({}));
    bench.send("a", "a");
    let mut left = Vec::new();
    for ms in 0..60_000_u64 {
        for (attempt, _) in bench.leaving() {
            left.push(ms);
            bench.answer(attempt, of_conversation(0));
        }
        bench.wait_ms(1);
        if ms % 1_000 == 0 {
            bench.send(&format!("b{ms}"), "b");
            let others = bench.leaving();
            others
                .iter()
                .filter(|(_, id)| id.starts_with('b'))
                .for_each(|(attempt, _)| drop(bench.answer(*attempt, status(200))));
            assert!(others.iter().any(|(_, id)| id.starts_with('b')), "nobody else waits");
        }
    }
    assert!(left.len() > 5 && left.len() < 40, "{left:?}");
}

#[test]
fn what_is_limited_elsewhere_is_no_news_for_the_learner() {
    let mut bench = Bench::new(json!({ "rateLimit": { "learn": true, "start": { "requests": 50, "perMs": 1_000 } } }));
    bench.send("m0", "c0");
    bench.serve(100, |_| status(200));
    let before = bench.dispatcher.snapshot(bench.now).quota;
    for index in 1..20 {
        workitem(&mut bench);
        bench.send(&format!("m{index}"), "limited");
        bench.serve(3_100, |name| if name.starts_with('m') { of_conversation(1) } else { of_route(1) });
    }
    assert_eq!(bench.dispatcher.snapshot(bench.now).quota, before);
}

#[test]
fn a_pause_goes_on_in_the_next_engine() {
    let mut bench = Bench::new(json!({}));
    workitem(&mut bench);
    bench.send("a1", "a");
    for (attempt, name) in bench.leaving() {
        bench.answer(attempt, if name == "a1" { of_conversation(60) } else { of_route(60) });
    }
    let mut next = Bench::new(json!({}));
    next.wait_ms(1_000);
    next.dispatcher.inherit(next.now, bench.dispatcher.carryover(bench.now));
    workitem(&mut next);
    next.send("a1", "a");
    next.send("b1", "b");
    assert_eq!(next.serve(58_999, |_| status(200)), ["b1"]);
    assert_eq!(scopes(&next), [route(WORKITEMS), conversation("a")]);
    next.wait_ms(1);
    assert_eq!(next.serve(10, |_| status(200)).len(), 2);
}

#[test]
fn a_limited_route_stays_so_through_an_outage_of_all() {
    let mut bench = Bench::new(json!({}));
    workitem(&mut bench);
    let first = bench.leaving();
    bench.answer(first[0].0, of_route(60));
    (0..10).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
    for (attempt, _) in bench.leaving() {
        bench.answer(attempt, Answer::Unsent { problem: "refused".to_owned() });
    }
    assert_eq!(bench.dispatcher.snapshot(bench.now).outage.map(|closure| closure.reason), Some("breaker"));
    let left = bench.serve(59_000, |_| status(200));
    assert_eq!(left.len(), 10, "{left:?}");
    assert_eq!(scopes(&bench), [route(WORKITEMS)]);
    assert_eq!(bench.serve(1_500, |_| status(200)).len(), 1);
}

#[test]
fn more_limited_conversations_than_are_told_apart_do_no_harm() {
    let mut bench =
        Bench::new(json!({ "connections": { "max": 1_024 }, "rateLimit": { "requests": 100_000, "perMs": 1_000 } }));
    for index in 0..2_000 {
        bench.send(&format!("m{index}"), &format!("c{index}"));
    }
    let mut left = 0;
    for _ in 0..2_000 {
        for (attempt, _) in bench.leaving() {
            left += 1;
            bench.answer(attempt, of_conversation(600));
        }
        assert!(pauses(&bench).len() <= 1_024);
        bench.wait_ms(1);
        if left >= 2_000 {
            break;
        }
    }
    bench.wait_ms(600_000);
    for _ in 0..1_000 {
        for (attempt, _) in bench.leaving() {
            bench.answer(attempt, status(200));
        }
        bench.wait_ms(1);
    }
    assert!(bench.dispatcher.is_idle(), "{} left", bench.dispatcher.unsettled());
}

#[test]
fn an_operator_probes_a_limit_at_once() {
    for scope in [route(WORKITEMS), conversation("a")] {
        let mut bench = Bench::new(json!({}));
        workitem(&mut bench);
        bench.send("a1", "a");
        for (attempt, name) in bench.leaving() {
            bench.answer(attempt, if name == "a1" { of_conversation(60) } else { of_route(60) });
        }
        bench.handle(Event::Resume(bench::of(99), scope.clone()));
        assert_eq!(bench.serve(10, |_| status(200)).len(), 1, "{scope:?}");
        assert_eq!(pauses(&bench).len(), 1);
    }
}

/// 20 messages a second beside something that is limited to 2 per 10 s: when each message left after it came.
fn beside(limited: impl Fn(&mut Bench, u64), is_limited: impl Fn(&str) -> bool, rate: serde_json::Value) -> Vec<u64> {
    let mut bench = Bench::new(json!({ "rateLimit": rate }));
    let (mut window, mut used, mut waits) = (0, 0, Vec::new());
    for ms in 0..200_000_u64 {
        if ms % 50 == 0 {
            bench.send(&format!("m{ms}"), &format!("c{}", ms / 50 % 30));
        }
        limited(&mut bench, ms);
        for (attempt, name) in bench.leaving() {
            let answer = if !is_limited(&name) {
                waits.extend(name.strip_prefix('m').map(|born| ms - born.parse::<u64>().unwrap()));
                status(200)
            } else {
                if ms / 10_000 != window {
                    (window, used) = (ms / 10_000, 0);
                }
                used += 1;
                let seconds = (10_000 - ms % 10_000).div_ceil(1_000);
                if used <= 2 {
                    status(200)
                } else if name.starts_with("busy") {
                    of_conversation(seconds)
                } else {
                    of_route(seconds)
                }
            };
            bench.answer(attempt, answer);
        }
        bench.wait_ms(1);
    }
    waits.sort_unstable();
    waits
}

#[test]
fn messages_flow_beside_what_is_limited() {
    let known = json!({ "requests": 1_000, "perMs": 1_000 });
    let learned = json!({ "learn": true, "start": { "requests": 100, "perMs": 1_000 } });
    for rate in [known, learned] {
        let alone = beside(|_, _| {}, |_| false, rate.clone()).len();
        let poll = |bench: &mut Bench, ms: u64| {
            if ms.is_multiple_of(1_000) {
                workitem(bench);
            }
        };
        let busy = |bench: &mut Bench, ms: u64| {
            if ms.is_multiple_of(500) {
                bench.send(&format!("busy{ms}"), "busy");
            }
        };
        let of_endpoint = beside(poll, |name| name.contains("workitems"), rate.clone());
        let of_conversation = beside(busy, |name| name.starts_with("busy"), rate.clone());
        for (what, waits) in [("endpoint", of_endpoint), ("conversation", of_conversation)] {
            assert!(waits.len() * 100 >= alone * 97, "{what}, {rate}: {} of {alone}", waits.len());
            let p99 = waits[waits.len() * 99 / 100];
            assert!(p99 <= 1_000, "{what}, {rate}: p99 {p99} ms");
        }
    }
}

#[test]
fn a_call_that_would_wait_for_too_long_is_told_at_once() {
    type Change = fn(&mut Submission);
    let timeout: Change = |submission| match &mut submission.payload {
        Payload::Call(call) => call.timeout = Some(Duration::from_secs(5)),
        Payload::Message(_) => {}
    };
    let expires: Change = |submission| {
        submission.expires_at = Some(Timestamp::from_micros(5_000_000));
    };
    let patient: Change = |_| {};
    for (seconds, change, is_too_long) in
        [(30, patient, false), (181, patient, true), (30, timeout, true), (30, expires, true), (3, timeout, false)]
    {
        let mut bench = Bench::new(json!({}));
        let call_with = |bench: &mut Bench| {
            bench.submit("", "", |submission| {
                submission.payload = Payload::Call(Box::new(Call {
                    method: "POST".into(),
                    path: "/api/v2/taskmanagement/workitems".into(),
                    headers: Vec::new(),
                    body: None,
                    timeout: None,
                    response_bytes_max: 1_024,
                    raw: false,
                    idempotent: None,
                    limits: CallLimits::default(),
                }));
                change(submission);
            })
        };
        let (waiting, _) = call_with(&mut bench);
        bench.send("m", "c");
        let all = bench.leaving();
        let of_calls: Vec<_> = all.iter().filter(|(_, name)| name != "m").collect();
        let mut effects = Vec::new();
        for (attempt, _) in of_calls {
            effects.extend(bench.answer(*attempt, of_route(seconds)));
        }
        let refused = format!("{waiting} DELIVERY_THROTTLED");
        assert_eq!(bench::settled(&effects).contains(&refused), is_too_long, "{seconds} s: {effects:?}");
        let (late, effects) = call_with(&mut bench);
        let refused = format!("{late} DELIVERY_THROTTLED");
        assert_eq!(bench::settled(&effects).contains(&refused), is_too_long, "{seconds} s, later");
    }
}
