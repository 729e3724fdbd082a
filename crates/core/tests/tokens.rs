//! Tokens that can't be had: an outage that is told with its cause, and ends with a token.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::time::Duration;

use bench::{Bench, settled, status};
use serde_json::{Value, json};
use spillway_core::dispatcher::{Effect, Event, Hold, Notice, TokenEvent};
use spillway_core::token::TokenId;

const SECOND_MS: u64 = 1_000;

fn notices(effects: &[Effect]) -> Vec<(&'static str, bool, &str)> {
    let told = |effect| match effect {
        &Effect::Notice(Notice::Outage { reason, ref problem, open }) => Some((reason, open, problem.as_str())),
        _ => None,
    };
    effects.iter().filter_map(told).collect()
}

fn failed(problem: &str, wait: Option<Duration>) -> Event {
    Event::Token(TokenId::FIRST, TokenEvent::Failed { problem: problem.to_owned(), wait })
}

fn asks(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::FetchToken(_)))
}

/// With a message that waits for another token than the one that has ended.
fn without_token(patch: Value) -> Bench {
    let mut bench = Bench::new(patch);
    bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(Some(Duration::from_millis(10)))));
    bench.wait_ms(10);
    bench.send("a", "a");
    assert!(asks(&bench.poll()));
    bench
}

/// Lets time pass until a token is asked for: after how long.
fn next_fetch(bench: &mut Bench) -> u64 {
    for ms in 0..=3_600 * SECOND_MS {
        if asks(&bench.poll()) {
            return ms;
        }
        bench.wait_ms(1);
    }
    panic!("no token is asked for")
}

#[test]
fn two_failures_are_an_outage_that_a_token_ends() {
    let mut bench = without_token(json!({}));
    assert_eq!(notices(&bench.handle(failed("the login host answered 503", None))), []);
    assert_eq!(bench.dispatcher.snapshot(bench.now).outage, None);
    let since = bench.now;
    next_fetch(&mut bench);
    let told = bench.handle(failed("the login host answered 500", None));
    assert_eq!(notices(&told), [("token", true, "there is no access token: the login host answered 500")]);
    let snapshot = bench.dispatcher.snapshot(bench.now);
    let outage = snapshot.outage.unwrap();
    assert_eq!((outage.reason, outage.since <= since), ("token", true));
    assert!(outage.next_probe.is_some_and(|at| at > bench.now));
    assert_eq!(snapshot.outage_problem.as_deref(), Some("the login host answered 500"));
    assert_eq!(snapshot.outages.len(), 1);
    let explained = bench.dispatcher.explain(bench.now, "a").unwrap();
    assert_eq!(explained.holds, [(Hold::Auth, outage.next_probe)]);
    assert_eq!(
        (explained.next_probe, explained.problem.as_deref()),
        (outage.next_probe, Some("the login host answered 500"))
    );
    next_fetch(&mut bench);
    assert_eq!(notices(&bench.handle(failed("the login host answered 502", None))), [], "told once");
    next_fetch(&mut bench);
    assert_eq!(notices(&bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)))), [("token", false, "")]);
    assert_eq!(bench.dispatcher.snapshot(bench.now).outage, None);
    let leaving = bench.leaving();
    assert_eq!(settled(&bench.answer(leaving[0].0, status(200))), ["1 delivered"]);
}

#[test]
fn an_end_is_found_within_seconds_and_no_host_is_flooded() {
    let mut bench = without_token(json!({}));
    let mut waits = Vec::new();
    for _ in 0..20 {
        bench.handle(failed("down", None));
        waits.push(next_fetch(&mut bench));
    }
    assert!(waits.iter().all(|ms| (500..=10_500).contains(ms)), "{waits:?}");
    assert!(waits[5..].iter().all(|ms| *ms >= 10_000), "{waits:?}");
}

#[test]
fn a_wait_that_the_login_host_asks_for_holds_up_to_the_longest_pause() {
    let mut bench = without_token(json!({ "retry": { "maxPauseMs": 30_000 } }));
    bench.handle(failed("429", Some(Duration::from_secs(20))));
    assert_eq!(next_fetch(&mut bench), 20 * SECOND_MS);
    bench.handle(failed("429", Some(Duration::from_secs(86_400))));
    assert_eq!(next_fetch(&mut bench), 30 * SECOND_MS);
}

#[test]
fn a_host_that_says_nothing_is_told_before_it_fails() {
    let mut bench = without_token(json!({}));
    bench.wait_ms(15 * SECOND_MS - 1);
    assert_eq!(notices(&bench.poll()), []);
    bench.wait_ms(1);
    assert_eq!(notices(&bench.poll()), [("token", true, "there is no access token: none has come for 15 s")]);
    assert_eq!(bench.dispatcher.snapshot(bench.now).outage.unwrap().next_probe, None);
    assert_eq!(bench.dispatcher.explain(bench.now, "a").unwrap().expected_at, None);
    assert_eq!(notices(&bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)))), [("token", false, "")]);
}

#[test]
fn while_the_old_token_is_good_a_failed_renewal_holds_nothing_up() {
    let mut bench = Bench::new(json!({}));
    bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(Some(Duration::from_secs(10)))));
    bench.wait_ms(8 * SECOND_MS);
    bench.send("a", "a");
    assert!(asks(&bench.poll()));
    bench.handle(failed("down", None));
    bench.wait_ms(SECOND_MS);
    bench.send("c", "c");
    assert!(asks(&bench.poll()));
    assert_eq!(notices(&bench.handle(failed("down", None))), []);
    assert_eq!(bench.dispatcher.snapshot(bench.now).outage, None);
    bench.wait_ms(SECOND_MS);
    bench.send("b", "b");
    assert_eq!(notices(&bench.poll()), [("token", true, "there is no access token: down")]);
}

#[test]
fn credentials_that_are_refused_take_the_outages_place() {
    let mut bench = without_token(json!({}));
    for _ in 0..2 {
        bench.handle(failed("down", None));
        next_fetch(&mut bench);
    }
    let told = bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Refused("no such client".to_owned())));
    assert_eq!(notices(&told), [("token", false, ""), ("auth", true, "no such client")]);
    let snapshot = bench.dispatcher.snapshot(bench.now);
    assert_eq!((snapshot.outage.unwrap().reason, snapshot.outages.len()), ("auth", 1));
    assert_eq!(snapshot.outage_problem.as_deref(), Some("no such client"));
}
