//! A 429 stops the token that got it, and nothing else, unless it says otherwise or others show otherwise.

use std::time::Duration;

use serde_json::{Value, json};
use spillway_core::dispatcher::{AttemptId, Effect, Event, TokenEvent};
use spillway_core::evidence::{Evidence, NamedLimit};
use spillway_core::retry::Answer;
use spillway_core::stats::PauseScope;
use spillway_core::token::TokenId;

use super::bench::{Bench, answered, retry_after, status};
use super::sim::clients;

/// A sender with so many clients, each of which has its token.
pub fn bench_of(count: usize, patch: Value) -> Bench {
    let mut options = json!({ "credentials": clients(count) });
    options.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
    let mut bench = Bench::new(options);
    for token in TokenId::all(count) {
        bench.handle(Event::Token(token, TokenEvent::Granted(None)));
    }
    bench
}

/// What leaves: attempt, id and token.
pub fn leaving(bench: &mut Bench) -> Vec<(AttemptId, String, usize)> {
    let sent = |effect: Effect| match effect {
        Effect::Send { attempt, shipment } => {
            Some((attempt, shipment.idempotency_key.unwrap().to_string(), shipment.token.index()))
        }
        _ => None,
    };
    bench.poll().into_iter().filter_map(sent).collect()
}

/// The only request that leaves.
fn one(bench: &mut Bench) -> (AttemptId, String, usize) {
    let left = leaving(bench);
    assert_eq!(left.len(), 1, "{left:?}");
    left.into_iter().next().unwrap()
}

pub fn named(key: &str, seconds: u64) -> Answer {
    let limit = NamedLimit { key: key.to_owned(), namespace: Some("platform.api".to_owned()), value: Some(300) };
    let retry_after = Some(Duration::from_secs(seconds));
    answered(429, Evidence { retry_after, limit: Some(Box::new(limit)), ..Evidence::default() })
}

fn of_token(seconds: u64) -> Answer {
    named("client.credentials.token.rate.per.minute", seconds)
}

fn token(name: &str) -> PauseScope {
    PauseScope::Token(name.into())
}

fn scopes(bench: &Bench) -> Vec<PauseScope> {
    bench.dispatcher.snapshot(bench.now).pauses.into_iter().map(|pause| pause.scope).collect()
}

#[test]
fn requests_take_the_token_that_was_used_longest_ago() {
    let mut bench = bench_of(3, json!({}));
    let mut used = Vec::new();
    for number in 0..6 {
        bench.send(&number.to_string(), &number.to_string());
        let (attempt, _, token) = one(&mut bench);
        bench.answer(attempt, status(200));
        used.push(token);
    }
    assert_eq!(used, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_tokens_limit_stops_that_one_alone_and_a_single_request_probes_it() {
    let mut bench = bench_of(2, json!({}));
    bench.send("a", "a");
    let (attempt, _, first) = one(&mut bench);
    assert_eq!(first, 0);
    bench.answer(attempt, of_token(30));
    assert_eq!(scopes(&bench), [token("1")]);
    // It goes at once, with the other one; and so does everything else.
    for number in 0..5 {
        let (attempt, id, token) = one(&mut bench);
        assert_eq!((id, token), (if number == 0 { "a".to_owned() } else { format!("b{number}") }, 1));
        bench.answer(attempt, status(200));
        bench.send(&format!("b{}", number + 1), "b");
    }
    let (attempt, ..) = one(&mut bench);
    bench.answer(attempt, status(200));
    bench.wait_ms(30_000);
    for id in ["c", "d", "e"] {
        bench.send(id, id);
    }
    let left = leaving(&mut bench);
    let with_first: Vec<_> = left.iter().filter(|(.., token)| *token == 0).collect();
    assert_eq!((left.len(), with_first.len()), (3, 1), "{left:?}");
    bench.answer(with_first[0].0, status(200));
    assert!(scopes(&bench).is_empty());
    assert_eq!(bench.pauses_told, [(true, token("1")), (false, token("1"))]);
}

#[test]
fn the_organizations_limit_stops_all_tokens() {
    let mut bench = bench_of(2, json!({}));
    bench.send("a", "a");
    let (attempt, ..) = one(&mut bench);
    bench.answer(attempt, named("org.requests.rate.per.minute", 30));
    assert_eq!(scopes(&bench), [PauseScope::Organization]);
    bench.send("b", "b");
    bench.wait_ms(29_999);
    assert!(leaving(&mut bench).is_empty());
    bench.wait_ms(1);
    let (attempt, ..) = one(&mut bench);
    bench.answer(attempt, status(200));
    bench.wait_ms(10);
    assert_eq!(leaving(&mut bench).len(), 1);
}

#[test]
fn a_429_that_names_nothing_stops_its_token_and_what_was_refused_goes_with_another() {
    let mut bench = bench_of(3, json!({}));
    for id in ["a", "b"] {
        bench.send(id, id);
    }
    let left = leaving(&mut bench);
    bench.answer(left[1].0, status(200));
    bench.answer(left[0].0, retry_after(30));
    assert_eq!(scopes(&bench), [token("1")]);
    let (attempt, id, with) = one(&mut bench);
    assert_eq!((id.as_str(), with), ("a", 2));
    bench.answer(attempt, status(200));
    assert_eq!(scopes(&bench), [token("1")]);
}

#[test]
fn what_two_tokens_refuse_has_a_limit_of_its_own_if_the_second_one_passes_something_else() {
    let mut bench = bench_of(3, json!({}));
    for id in ["a", "b"] {
        bench.send(id, id);
    }
    let left = leaving(&mut bench);
    bench.answer(left[1].0, status(200));
    bench.answer(left[0].0, retry_after(30));
    let (attempt, id, second) = one(&mut bench);
    assert_eq!((id.as_str(), second), ("a", 2));
    bench.answer(attempt, retry_after(30));
    let own = PauseScope::Conversation("a".into());
    assert_eq!(scopes(&bench), [token("1"), own.clone()], "the second token goes on");
    // Others tell, with the second token.
    for id in ["c", "d"] {
        bench.send(id, id);
    }
    for (attempt, ..) in leaving(&mut bench) {
        bench.answer(attempt, status(200));
    }
    bench.send("e", "e");
    let (attempt, _, with) = one(&mut bench);
    assert_eq!(with, 0, "the first token is asked again at once");
    bench.answer(attempt, status(200));
    assert_eq!(scopes(&bench), [own]);
}

#[test]
fn what_two_tokens_refuse_is_let_go_if_the_second_one_refuses_something_else() {
    let mut bench = bench_of(3, json!({}));
    for id in ["a", "b"] {
        bench.send(id, id);
    }
    let left = leaving(&mut bench);
    bench.answer(left[1].0, status(200));
    bench.answer(left[0].0, retry_after(30));
    let (attempt, ..) = one(&mut bench);
    bench.answer(attempt, retry_after(30));
    bench.send("c", "c");
    bench.send("d", "d");
    for (attempt, _, with) in leaving(&mut bench) {
        bench.answer(attempt, if with == 2 { retry_after(30) } else { status(200) });
    }
    assert_eq!(scopes(&bench), [token("1"), token("3")]);
    let left: Vec<_> = leaving(&mut bench).into_iter().map(|(_, id, with)| (id, with)).collect();
    assert!(left.iter().any(|(id, _)| id == "a") && left.iter().all(|(_, with)| *with == 1), "{left:?}");
}

#[test]
fn what_all_tokens_refuse_is_the_organizations_and_one_request_probes() {
    let mut bench = bench_of(2, json!({}));
    for id in ["a", "b"] {
        bench.send(id, id);
    }
    for (attempt, ..) in leaving(&mut bench) {
        bench.answer(attempt, retry_after(30));
    }
    assert!(scopes(&bench).contains(&PauseScope::Organization), "{:?}", scopes(&bench));
    bench.wait_ms(30_000);
    let (attempt, ..) = one(&mut bench);
    bench.answer(attempt, retry_after(10));
    assert!(leaving(&mut bench).is_empty(), "one request has told");
    bench.wait_ms(10_000);
    let (attempt, ..) = one(&mut bench);
    bench.answer(attempt, status(200));
    bench.wait_ms(10);
    assert_eq!(leaving(&mut bench).len(), 1);
}
