//! Whom a failure concerns: one route that fails, and one request that is refused, leave everything else alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::collections::BTreeSet;
use std::time::Duration;

use bench::{Bench, ids, retry_after, settled, status, unanswered};
use serde_json::json;
use spillway_core::dispatcher::{AttemptId, Effect, Event, Hold, Notice, TokenEvent};
use spillway_core::message::{Message, Parts, Payload};
use spillway_core::retry::Answer;
use spillway_core::stats::PauseScope;
use spillway_core::token::TokenId;

fn call_with(bench: &mut Bench, path: &str, timeout: Option<Duration>) -> (u64, Vec<Effect>) {
    bench.request_as("GET", |call| {
        call.path = path.into();
        call.timeout = timeout;
    })
}

fn call(bench: &mut Bench, path: &str) -> u64 {
    call_with(bench, path, None).0
}

fn unsent() -> Answer {
    Answer::Unsent { problem: "refused".to_owned() }
}

/// Lets time pass until something leaves, and answers each request by what it is. What left, with the time.
fn run(bench: &mut Bench, ms: u64, answer: impl Fn(&str) -> Answer) -> Vec<(u64, String)> {
    let mut left = Vec::new();
    for step in 0..ms {
        for (attempt, name) in bench.leaving() {
            let answer = answer(&name);
            left.push((step, name));
            bench.answer(attempt, answer);
        }
        bench.wait_ms(1);
    }
    left
}

fn count(left: &[(u64, String)], name: &str) -> usize {
    left.iter().filter(|(_, other)| other.starts_with(name)).count()
}

/// Ten failures in a row of one route.
fn shut_route(bench: &mut Bench, path: &str) {
    for _ in 0..10 {
        call(bench, path);
    }
    let leaving = bench.leaving();
    assert_eq!(leaving.len(), 10);
    leaving.iter().for_each(|(attempt, _)| drop(bench.answer(*attempt, status(502))));
}

#[test]
fn an_endpoint_that_fails_stops_itself_alone() {
    for failing in [status(502), status(500), status(504), unanswered()] {
        let mut bench = Bench::new(json!({ "retry": { "ambiguous": "retry" } }));
        let (mut delivered, mut polls) = (0, 0);
        for index in 0..60 {
            call(&mut bench, "/analytics");
            bench.send(&format!("m{index}"), &format!("c{index}"));
            let left = run(&mut bench, 1_000, |name| if name == "/analytics" { failing.clone() } else { status(200) });
            delivered += count(&left, "m");
            polls += count(&left, "/analytics");
        }
        assert_eq!(delivered, 60, "every message leaves within the second in which it came");
        assert!(polls < 60, "{polls} requests to what fails");
        let snapshot = bench.dispatcher.snapshot(bench.now);
        assert_eq!(snapshot.outage, None, "messages flow");
        let routes: Vec<_> = snapshot.outages.iter().map(|outage| outage.route.as_deref()).collect();
        assert_eq!(routes, [Some("GET /analytics")]);
    }
}

#[test]
fn other_calls_flow_past_a_route_that_is_shut_and_its_probe_opens_it() {
    // As many attempts as take longer than this outage.
    let mut bench = Bench::new(json!({ "retry": { "maxAttempts": 100 } }));
    shut_route(&mut bench, "/users/1/bad");
    call(&mut bench, "/users/2/bad");
    call(&mut bench, "/users/2/good");
    let leaving = bench.leaving();
    assert_eq!(ids(&leaving), ["/users/2/good"], "ids make no route");
    bench.answer(leaving[0].0, status(200));
    bench.wait_ms(60_000);
    let probe = bench.leaving();
    assert_eq!(probe.len(), 1, "one probe, of eleven that wait");
    bench.answer(probe[0].0, status(502));
    assert!(bench.leaving().is_empty(), "it shuts again");
    bench.wait_ms(60_000);
    let probe = bench.leaving();
    assert_eq!(probe.len(), 1);
    bench.answer(probe[0].0, status(200));
    let left = run(&mut bench, 60_000, |_| status(200));
    assert_eq!(left.len(), 10, "all of them follow");
    assert!(bench.dispatcher.is_idle() && bench.dispatcher.snapshot(bench.now).outages.is_empty());
}

#[test]
fn calls_go_while_the_messages_route_is_shut() {
    let mut bench = Bench::new(json!({}));
    (0..10).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
    let leaving = bench.leaving();
    let notices: Vec<Effect> = leaving.iter().flat_map(|(attempt, _)| bench.answer(*attempt, status(503))).collect();
    let open = |effect: &Effect| matches!(effect, Effect::Notice(Notice::Outage { reason: "breaker", open: true, .. }));
    assert_eq!(notices.iter().filter(|effect| open(effect)).count(), 1, "what stops messages is told");
    bench.send("late", "late");
    call(&mut bench, "/users/me");
    assert_eq!(ids(&bench.leaving()), ["/users/me"]);
    let snapshot = bench.dispatcher.snapshot(bench.now);
    assert_eq!(snapshot.outage.map(|closure| closure.reason), Some("breaker"));
    let explained = bench.dispatcher.explain(bench.now, "late").unwrap();
    assert!(matches!(explained.holds[..], [(Hold::Outage, Some(_))]), "{explained:?}");
}

#[test]
fn several_routes_that_fail_are_an_outage_of_the_organization() {
    let mut bench = Bench::new(json!({}));
    for index in 0..10 {
        call(&mut bench, ["/a", "/b", "/c"][index % 3]);
    }
    bench.leaving().iter().for_each(|(attempt, _)| drop(bench.answer(*attempt, status(503))));
    bench.send("m", "c");
    assert!(bench.leaving().is_empty());
    let outages = bench.dispatcher.snapshot(bench.now).outages;
    assert_eq!(outages.iter().map(|outage| outage.route.as_deref()).collect::<Vec<_>>(), [None]);
    bench.wait_ms(60_000);
    let probe = bench.leaving();
    assert_eq!(ids(&probe), ["m"], "a message is the better probe, though calls have waited for longer");
    bench.answer(probe[0].0, status(200));
    let left = run(&mut bench, 1_000, |_| status(200));
    assert_eq!(left.len(), 10, "the others follow, evenly paced");
}

#[test]
fn the_way_to_the_host_is_everybodys() {
    let mut bench = Bench::new(json!({}));
    for _ in 0..10 {
        call(&mut bench, "/a");
    }
    bench.leaving().iter().for_each(|(attempt, _)| drop(bench.answer(*attempt, unsent())));
    bench.send("m", "c");
    assert!(bench.leaving().is_empty());
    assert_eq!(bench.dispatcher.snapshot(bench.now).outage.map(|closure| closure.reason), Some("breaker"));
}

#[test]
fn a_slow_probe_is_not_the_only_one() {
    let mut bench = Bench::new(json!({}));
    call_with(&mut bench, "/slow", Some(Duration::from_secs(600)));
    let first = bench.leaving();
    bench.answer(first[0].0, retry_after(2));
    bench.wait_ms(2_000);
    let slow = bench.leaving();
    assert_eq!(ids(&slow), ["/slow"], "nothing else waits");
    (0..50).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
    let mut joined = Vec::new();
    let mut waited = 0;
    while waited < 20_000 {
        joined.extend(bench.leaving().into_iter().map(|(attempt, name)| (waited, attempt, name)));
        bench.wait_ms(100);
        waited += 100;
    }
    let times: Vec<u64> = joined.iter().map(|(at, ..)| *at).collect();
    assert_eq!(times, [1_000, 3_000, 7_000, 15_000], "one more at a time, at doubling intervals");
    let lanes: std::collections::BTreeSet<&str> = joined.iter().map(|(.., name)| name.as_str()).collect();
    assert_eq!(lanes.len(), 4, "each of another conversation");
    bench.answer(joined[2].1, status(200));
    assert!(run(&mut bench, 2_000, |_| status(200)).len() >= 46, "any of them opens the gate");
    bench.answer(slow[0].0, retry_after(60));
    let paused: Vec<_> = bench.dispatcher.snapshot(bench.now).pauses.into_iter().map(|pause| pause.scope).collect();
    assert_eq!(paused, [PauseScope::Route("GET /slow".into())], "others have passed: the slow one's limit is its own");
}

#[test]
fn a_message_probes_rather_than_a_call_that_has_long_to_wait() {
    let mut bench = Bench::new(json!({}));
    let slow = Some(Duration::from_secs(600));
    bench.send("first", "c");
    let first = bench.leaving();
    call_with(&mut bench, "/slow", slow);
    call(&mut bench, "/quick");
    bench.answer(first[0].0, retry_after(1));
    bench.send("late", "other");
    let mut order = Vec::new();
    for _ in 0..4 {
        bench.wait_ms(1_000);
        let probe = bench.leaving();
        assert_eq!(probe.len(), 1);
        order.push(probe[0].1.clone());
        bench.answer(probe[0].0, retry_after(1));
    }
    assert_eq!(order[0], "late", "a message first, and another one than was refused");
    assert_eq!(order[1], "/quick", "a limited route never holds the probe");
    assert!(order[2..].iter().all(|name| name != "/slow"), "{order:?}");
}

#[test]
fn one_routes_retries_leave_the_budget_of_others_alone() {
    let mut bench = Bench::new(json!({}));
    let left = run(&mut bench, 1, |_| status(200));
    assert!(left.is_empty());
    for round in 0..10 {
        for _ in 0..4 {
            call(&mut bench, "/broken");
        }
        bench.send(&format!("ok{round}"), &format!("ok{round}"));
        run(&mut bench, 50, |name| if name == "/broken" { status(502) } else { status(200) });
    }
    (0..10).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
    let leaving: Vec<(AttemptId, String)> =
        bench.leaving().into_iter().filter(|(_, name)| name.starts_with('m')).collect();
    assert_eq!(leaving.len(), 10);
    leaving[..9].iter().for_each(|(attempt, _)| drop(bench.answer(*attempt, status(503))));
    bench.answer(leaving[9].0, status(200));
    let left = run(&mut bench, 1_000, |name| if name == "/broken" { status(502) } else { status(200) });
    assert_eq!(count(&left, "m"), 9, "within a backoff: {left:?}");
}

#[test]
fn the_backlog_of_an_incident_drains_at_the_quota() {
    let mut bench = Bench::new(json!({ "retry": { "maxAttempts": 100 }, "connections": { "max": 256 } }));
    let sick = |name: &str| name.len().is_multiple_of(2);
    for second in 0..6 {
        (0..1_000).for_each(|index| {
            let width = 1 + index % 2;
            let id = format!("{second}-{index:0>width$}", width = 4 + width);
            drop(bench.send(&id, &id));
        });
        run(&mut bench, 1_000, |name| if sick(name) { status(503) } else { status(200) });
    }
    let waiting = bench.dispatcher.unsettled();
    assert!(waiting > 2_000, "{waiting} wait for retries");
    run(&mut bench, 5_000, |_| status(200));
    let left = run(&mut bench, 3_000, |_| status(200));
    assert!(
        bench.dispatcher.unsettled() * 20 < waiting,
        "{} are left, {} left",
        bench.dispatcher.unsettled(),
        left.len()
    );
}

fn grant(bench: &mut Bench) {
    bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)));
}

/// Answers whatever leaves, grants every token that is asked for: what settled.
fn run_tokens(bench: &mut Bench, ms: u64, answer: impl Fn(&str) -> Answer) -> Vec<Effect> {
    let mut all = Vec::new();
    for _ in 0..ms {
        let effects = bench.poll();
        let asks = effects.iter().any(|effect| matches!(effect, Effect::FetchToken(_)));
        let leaving = bench::sends(&effects);
        all.extend(effects);
        if asks {
            grant(bench);
        }
        for (attempt, name) in leaving {
            all.extend(bench.answer(attempt, answer(&name)));
        }
        bench.wait_ms(1);
    }
    all
}

fn poison(name: &str) -> Answer {
    if name.contains("poison") { status(401) } else { status(200) }
}

#[test]
fn a_conversation_that_is_always_refused_is_refused_alone() {
    for poison_first in [true, false] {
        let mut bench = Bench::new(json!({}));
        let mut effects = Vec::new();
        if poison_first {
            effects.extend(
                bench.submit("poison", "poison", |one| one.settle = spillway_core::message::Settle::OnAcceptance).1,
            );
            effects.extend(run_tokens(&mut bench, 300, poison));
        }
        let mut tickets = Vec::new();
        for index in 0..20 {
            let (ticket, now) = bench.send(&format!("healthy{index}"), &format!("healthy{index}"));
            tickets.push(ticket);
            effects.extend(now);
            if index == 10 && !poison_first {
                bench.send("poison", "poison");
            }
            effects.extend(run_tokens(&mut bench, 100, poison));
        }
        effects.extend(run_tokens(&mut bench, 10_000, poison));
        let settled = settled(&effects);
        let delivered = tickets.iter().filter(|ticket| settled.contains(&format!("{ticket} delivered"))).count();
        assert_eq!(delivered, 20, "{settled:?}");
        assert_eq!(bench.dispatcher.snapshot(bench.now).depth.dead_letters, 1);
        let letter = bench.dispatcher.letters(0).next().unwrap().1.failure.clone();
        assert_eq!(
            (letter.id.as_deref(), letter.response.map(|response| response.status)),
            (Some("poison"), Some(401))
        );
        assert!(bench.dispatcher.is_idle() && bench.dispatcher.snapshot(bench.now).outage.is_none());
    }
}

#[test]
fn a_call_that_is_refused_alone_gets_its_401() {
    let mut bench = Bench::new(json!({}));
    call(&mut bench, "/good");
    let effects = run_tokens(&mut bench, 10, poison);
    assert_eq!(settled(&effects), ["1 answered 200"]);
    for _ in 0..3 {
        let bad = call(&mut bench, "/poison");
        let effects = run_tokens(&mut bench, 10, poison);
        let refused = format!("{bad} DELIVERY_REJECTED");
        assert_eq!(settled(&effects), [refused]);
        let (good, now) = call_with(&mut bench, "/good", None);
        let effects: Vec<Effect> = now.into_iter().chain(run_tokens(&mut bench, 10, poison)).collect();
        assert_eq!(settled(&effects), [format!("{good} answered 200")]);
    }
}

/// The first endpoint that is asked refuses every token; everything else accepts them.
fn refused_first(rate_limit: serde_json::Value, with_messages: bool, ms_between: u64) {
    let what = format!("{rate_limit}, messages at once: {with_messages}, {ms_between} ms between");
    let mut bench = Bench::new(json!({ "rateLimit": rate_limit }));
    let mut effects = Vec::new();
    let calls: Vec<u64> = (0..20)
        .map(|_| call_with(&mut bench, "/poison", None))
        .map(|(ticket, now)| {
            effects.extend(now);
            ticket
        })
        .collect();
    if !with_messages {
        effects.extend(run_tokens(&mut bench, ms_between, poison));
    }
    let messages: Vec<u64> = (0..60)
        .map(|index| bench.send(&format!("m{index}"), &format!("c{index}")))
        .map(|(ticket, now)| {
            effects.extend(now);
            ticket
        })
        .collect();
    effects.extend(run_tokens(&mut bench, 60_000, poison));
    let settled = settled(&effects);
    let delivered = messages.iter().filter(|ticket| settled.contains(&format!("{ticket} delivered"))).count();
    assert_eq!(delivered, 60, "{what}: {settled:?}");
    let refused = |ticket: &&u64| {
        settled
            .iter()
            .any(|end| *end == format!("{ticket} DELIVERY_REJECTED") || *end == format!("{ticket} AUTH_REJECTED"))
    };
    assert_eq!(calls.iter().filter(refused).count(), 20, "{what}: {settled:?}");
    assert!(bench.dispatcher.is_idle() && bench.dispatcher.snapshot(bench.now).outage.is_none(), "{what}");
}

#[test]
fn an_endpoint_that_is_asked_first_and_always_refuses_is_refused_alone() {
    for rate_limit in [json!("learn"), json!({ "requests": 100, "perMs": 1_000 })] {
        refused_first(rate_limit.clone(), true, 0);
        for ms_between in [0, 1, 5, 300, 3_000, 30_000] {
            refused_first(rate_limit.clone(), false, ms_between);
        }
    }
}

/// An array of ten conversations, one of them poison, which alone or with others is refused.
fn refused_in_an_array(others_come: bool) {
    let array = json!({ "mode": "array", "maxMessages": 10, "lingerMs": 0 });
    let mut bench = Bench::new(json!({ "route": "messaging-array", "batch": array }));
    let refuses_poison = |effects: &[Effect]| -> Vec<(AttemptId, bool)> {
        let send = |effect: &Effect| match effect {
            Effect::Send { attempt, shipment, .. } => {
                let body = String::from_utf8_lossy(shipment.body.as_deref().unwrap_or_default()).into_owned();
                Some((*attempt, body.contains("poison")))
            }
            _ => None,
        };
        effects.iter().filter_map(send).collect()
    };
    let mut all = Vec::new();
    for index in 0..10 {
        let id = if index == 4 { "poison".to_owned() } else { format!("m{index}") };
        let body = format!(r#"{{"text":"{id}"}}"#);
        let parts = Parts { id: &id, id_given: true, conversation: &id, body: &body, ..Parts::default() };
        let message = Message::new(parts).unwrap();
        let (_, effects) = bench.submit("", "", |submission| submission.payload = Payload::Message(message));
        all.extend(effects);
    }
    let mut others = 0;
    for ms in 0..400_000_u64 {
        if others_come && ms % 400 == 0 && ms < 4_000 {
            bench.send(&format!("other{ms}"), &format!("other{ms}"));
            others += 1;
        }
        let effects = bench.poll();
        let asks = effects.iter().any(|effect| matches!(effect, Effect::FetchToken(_)));
        let leaving = refuses_poison(&effects);
        all.extend(effects);
        if asks {
            grant(&mut bench);
        }
        for (attempt, is_poison) in leaving {
            all.extend(bench.answer(attempt, status(if is_poison { 401 } else { 200 })));
        }
        bench.wait_ms(1);
        if bench.dispatcher.is_idle() {
            break;
        }
    }
    let depth = bench.dispatcher.snapshot(bench.now);
    let letters: Vec<_> = bench.dispatcher.letters(0).map(|(_, letter)| letter.failure.id.clone()).collect();
    assert_eq!(letters, [Some("poison".into())], "others come: {others_come}");
    assert_eq!(depth.counters.delivered, 9 + others, "others come: {others_come}");
    assert!(depth.outage.is_none() && bench.dispatcher.is_idle());
}

#[test]
fn an_array_that_is_refused_is_halved_down_to_the_message_at_fault() {
    refused_in_an_array(true);
    refused_in_an_array(false);
}

#[test]
fn a_call_that_is_always_refused_costs_no_token_each_time() {
    let mut bench = Bench::new(json!({}));
    call(&mut bench, "/good");
    run_tokens(&mut bench, 10, poison);
    let mut tokens = 0;
    for round in 0..100 {
        call(&mut bench, "/poison");
        bench.send(&format!("m{round}"), &format!("c{round}"));
        let effects = run_tokens(&mut bench, 100, poison);
        assert!(settled(&effects).iter().any(|end| end.ends_with("DELIVERY_REJECTED")), "{round}");
        tokens += effects.iter().filter(|effect| matches!(effect, Effect::FetchToken(_))).count();
    }
    assert_eq!(tokens, 1, "in ten seconds");
    bench.wait_ms(60_000);
    call(&mut bench, "/poison");
    let effects = run_tokens(&mut bench, 100, |_| status(200));
    assert!(settled(&effects).iter().any(|end| end.ends_with("answered 200")), "it may be granted meanwhile");
}

#[test]
fn endpoints_that_refuse_every_token_are_refused_alone_however_many_they_are() {
    for endpoints in 2..=4 {
        // They have all connections, and messages wait behind them.
        let mut bench = Bench::new(json!({ "connections": { "max": endpoints } }));
        call(&mut bench, "/good");
        run_tokens(&mut bench, 10, poison);
        let calls: Vec<u64> = (0..endpoints).map(|name| call(&mut bench, &format!("/poison/{name}"))).collect();
        let messages: Vec<u64> = (0..20).map(|name| bench.send(&format!("m{name}"), &format!("c{name}")).0).collect();
        let mut ends = Vec::new();
        for round in 0..2 {
            let leaving = bench.leaving();
            assert_eq!(leaving.len(), endpoints, "round {round}: {leaving:?}");
            for (attempt, _) in leaving {
                ends.extend(settled(&bench.answer(attempt, status(401))));
            }
            if round == 0 {
                assert!(bench.poll().iter().any(|effect| matches!(effect, Effect::FetchToken(_))));
                grant(&mut bench);
            }
        }
        ends.extend(settled(&run_tokens(&mut bench, 10, poison)));
        let refused = calls.iter().map(|ticket| format!("{ticket} DELIVERY_REJECTED"));
        let delivered = messages.iter().map(|ticket| format!("{ticket} delivered"));
        let ends: BTreeSet<String> = ends.into_iter().collect();
        assert_eq!(ends, refused.chain(delivered).collect());
        assert!(bench.dispatcher.snapshot(bench.now).outage.is_none());
    }
}

#[test]
fn the_end_of_an_outage_of_credentials_is_found_as_soon_however_many_were_refused() {
    for conversations in [3, 30] {
        let mut bench = Bench::new(json!({ "connections": { "max": 100 } }));
        (0..conversations).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
        run_tokens(&mut bench, 100, |_| status(401));
        assert_eq!(bench.dispatcher.snapshot(bench.now).outage.unwrap().reason, "auth");
        // The first wait is one of two seconds at most, or of four.
        run_tokens(&mut bench, 4_000, |_| status(200));
        assert!(bench.dispatcher.is_idle(), "{conversations} conversations");
    }
}

#[test]
fn a_token_that_several_are_refused_with_is_at_fault_and_messages_stay() {
    let mut bench = Bench::new(json!({}));
    bench.send("before", "before");
    run_tokens(&mut bench, 10, |_| status(200));
    (0..5).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
    let effects = run_tokens(&mut bench, 1_000, |_| status(401));
    let outage = |effect: &Effect| matches!(effect, Effect::Notice(Notice::Outage { reason: "auth", open: true, .. }));
    assert_eq!(effects.iter().filter(|effect| outage(effect)).count(), 1);
    assert_eq!(bench.dispatcher.unsettled(), 5, "messages stay");
    run_tokens(&mut bench, 120_000, |_| status(200));
    assert!(bench.dispatcher.is_idle());
    assert_eq!(bench.dispatcher.snapshot(bench.now).counters.delivered, 6);
}
