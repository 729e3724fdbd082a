//! A token that ends, or that is refused, is its own affair.

use serde_json::json;
use spillway_core::dispatcher::{Effect, Event, Notice, TokenEvent};
use spillway_core::token::TokenId;

use super::bench::{Bench, settled, status};
use super::gates::{bench_of, leaving};

fn token(index: usize) -> TokenId {
    TokenId::all(index + 1).last().unwrap()
}

fn told(effects: &[Effect]) -> Vec<(&str, &str, bool)> {
    let mut told = Vec::new();
    for effect in effects {
        match effect {
            Effect::Notice(Notice::TokenOutage { token, reason, open, .. }) => told.push((&**token, *reason, *open)),
            Effect::Notice(Notice::Outage { reason, open, .. }) => told.push(("", *reason, *open)),
            _ => {}
        }
    }
    told
}

fn fetches(effects: &[Effect]) -> Vec<usize> {
    let fetch = |effect: &Effect| match effect {
        Effect::FetchToken(token) => Some(token.index()),
        _ => None,
    };
    effects.iter().filter_map(fetch).collect()
}

/// Serves what there is, with tokens as they are asked for; `refuses`: the token that gets 401.
fn serve(bench: &mut Bench, ms: u64, refuses: Option<usize>) -> (Vec<String>, Vec<(String, bool)>) {
    let (mut delivered, mut outages) = (Vec::new(), Vec::new());
    for _ in 0..ms {
        let mut effects = bench.poll_waiting();
        let mut more = Vec::new();
        for effect in &effects {
            match effect {
                Effect::FetchToken(token) => {
                    more.extend(bench.handle(Event::Token(*token, TokenEvent::Granted(None))));
                }
                Effect::Send { attempt, shipment } => {
                    bench.handle(Event::Left(*attempt));
                    let answer = status(if Some(shipment.token.index()) == refuses { 401 } else { 200 });
                    more.extend(bench.answer(*attempt, answer));
                }
                _ => {}
            }
        }
        effects.extend(more);
        outages.extend(told(&effects).into_iter().map(|(token, _, open)| (token.to_owned(), open)));
        delivered.extend(settled(&effects));
        bench.wait_ms(1);
    }
    (delivered, outages)
}

#[test]
fn each_client_is_asked_for_a_token_and_the_first_one_lets_messages_go() {
    let mut bench = Bench::new(json!({ "credentials": super::sim::clients(3) }));
    // The bench has granted the first.
    bench.send("a", "a");
    let effects = bench.poll();
    assert_eq!(fetches(&effects), [1, 2]);
    assert_eq!(super::bench::sends(&effects).len(), 1);
    bench.handle(Event::Token(token(2), TokenEvent::Granted(None)));
    bench.send("b", "b");
    assert_eq!(leaving(&mut bench)[0].2, 2);
}

#[test]
fn a_401_is_about_the_token_that_was_shown_and_the_message_goes_with_another() {
    let mut bench = bench_of(2, json!({}));
    bench.send("a", "a");
    let (attempt, _, with) = leaving(&mut bench).remove(0);
    assert_eq!(with, 0);
    bench.answer(attempt, status(401));
    let effects = bench.poll_waiting();
    assert_eq!(fetches(&effects), [0]);
    let Some(Effect::Send { attempt, shipment }) = effects.into_iter().find(|one| matches!(one, Effect::Send { .. }))
    else {
        panic!("it goes at once")
    };
    assert_eq!(shipment.token, token(1));
    bench.handle(Event::Left(attempt));
    assert_eq!(settled(&bench.answer(attempt, status(200))), ["1 delivered"]);
}

#[test]
fn a_client_whose_tokens_are_refused_is_left_alone_and_the_others_deliver_everything() {
    let mut bench = bench_of(3, json!({}));
    let (mut delivered, mut outages) = (0, Vec::new());
    for number in 0..50 {
        bench.send(&number.to_string(), &number.to_string());
        let (settled, told) = serve(&mut bench, 5, Some(1));
        delivered += settled.len();
        outages.extend(told);
    }
    assert_eq!(delivered, 50);
    assert_eq!(outages, [("2".to_owned(), true)]);
    let snapshot = bench.dispatcher.snapshot(bench.now);
    assert_eq!(snapshot.outage, None, "messages are sent");
    assert_eq!(snapshot.outages.iter().map(|one| one.token.as_deref()).collect::<Vec<_>>(), [Some("2")]);
    // Once it works again, it is used, and that is told.
    for number in 50..4_000 {
        bench.send(&number.to_string(), &number.to_string());
        let (_, outages) = serve(&mut bench, 1, None);
        if !outages.is_empty() {
            return assert_eq!(outages, [("2".to_owned(), false)]);
        }
    }
    panic!("it is never tried again");
}

#[test]
fn when_all_clients_are_refused_promises_are_told_and_messages_stay() {
    let mut bench = Bench::new(json!({ "credentials": super::sim::clients(2) }));
    bench.handle(Event::Token(token(0), TokenEvent::Refused("no such client".to_owned())));
    bench.send("a", "a");
    assert_eq!(fetches(&bench.poll()), [1]);
    let effects = bench.handle(Event::Token(token(1), TokenEvent::Refused("no such client".to_owned())));
    assert_eq!(told(&effects), [("2", "auth", true), ("", "auth", true)]);
    assert_eq!(settled(&effects), ["1 AUTH_REJECTED"]);
    assert_eq!(bench.dispatcher.unsettled(), 1);
    let (_, outages) = serve(&mut bench, 5_000, None);
    assert!(outages.contains(&(String::new(), false)), "{outages:?}");
    assert_eq!(bench.dispatcher.unsettled(), 0);
}

#[test]
fn a_message_that_gets_401_from_tokens_that_others_are_accepted_with_is_given_up() {
    let mut bench = bench_of(2, json!({}));
    bench.send("bad", "bad");
    let mut number = 0;
    for _ in 0..2_000 {
        number += 1;
        bench.send(&number.to_string(), &number.to_string());
        let effects = bench.poll_waiting();
        for effect in effects {
            match effect {
                Effect::FetchToken(token) => {
                    bench.handle(Event::Token(token, TokenEvent::Granted(None)));
                }
                Effect::Send { attempt, shipment } => {
                    bench.handle(Event::Left(attempt));
                    let is_bad = shipment.idempotency_key.as_deref() == Some("bad");
                    let effects = bench.answer(attempt, status(if is_bad { 401 } else { 200 }));
                    if settled(&effects).iter().any(|word| word == "1 DELIVERY_REJECTED") {
                        return;
                    }
                    assert_eq!(told(&effects), [], "the clients are all right");
                }
                _ => {}
            }
        }
        bench.wait_ms(10);
    }
    panic!("it is tried for ever");
}
