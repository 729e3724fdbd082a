//! What batching costs the dispatcher, without any I/O: `cargo run --release -p spillway-core --example batch_cost`.
//!
//! A backlog of messages like those of the recorded peak goes in, every request is answered at once, and the time for
//! each message is compared with that of no batching. What a request costs on the wire, which batching saves, isn't in
//! it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program to look at")]
#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::sync::Arc;
use std::time::Instant;

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{Dispatcher, Effect, Event, TokenEvent};
use spillway_core::evidence::Evidence;
use spillway_core::message::{Message, Parts, Payload, Settle, Submission, Ticket};
use spillway_core::outcome::Response;
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_core::settings::Settings;
use spillway_core::token::TokenId;

const MESSAGES: u64 = 100_000;
const CONVERSATIONS: u64 = 6_000;
const ROUNDS: usize = 15;

fn settings(route: &str, batch: &str) -> Arc<Settings> {
    let text = format!(
        r#"{{"organization":"o","apiUrl":"http://a","credentials":{{"accessToken":"t"}},"store":"memory","route":"{route}",
        "rateLimit":{{"requests":1000000,"perMs":1}},"batch":{batch}}}"#
    );
    Arc::new(Settings::from_json(&text).unwrap())
}

fn submission(number: u64, with_id: bool) -> Submission {
    let id = format!("8650fd09-5f73-4a19-a6f3-{number:012}");
    let own = if with_id { format!(r#""id":"{id}","seq":{number},"#) } else { String::new() };
    let body = format!(
        r#"{{{own}"type":"Text","from":{{"id":"42e70005-fdf6-4313-8c86-45ba18a118ad","idType":"Opaque"}},"text":"You are not making sense {number}"}}"#
    );
    Submission {
        ticket: Ticket { handle: 0, number },
        settle: Settle::OnOutcome,
        payload: Payload::Message(
            Message::new(Parts {
                id: &id,
                conversation: &format!("02c4365b-e5bc-47e6-85ad-{:012}", number % CONVERSATIONS),
                body: &body,
                ..Parts::default()
            })
            .unwrap(),
        ),
        priority: 0,
        expires_at: None,
        not_before: None,
    }
}

/// Nanoseconds for each message, and the requests that were made.
fn run(settings: &Arc<Settings>, with_id: bool) -> (f64, u64) {
    let submissions: Vec<_> = (0..MESSAGES).map(|number| submission(number, with_id)).collect();
    let mut dispatcher = Dispatcher::new(Arc::clone(settings), Random::from_seed(1), Timestamp::START);
    let (mut effects, mut requests, mut now) = (Vec::new(), 0, Timestamp::START);
    let started = Instant::now();
    for submission in submissions {
        dispatcher.handle(now, Event::Submit(submission), &mut effects);
    }
    while !dispatcher.is_idle() {
        now = Timestamp::from_micros(now.as_micros() + 2_000);
        dispatcher.poll(now, &mut effects);
        for effect in std::mem::take(&mut effects) {
            match effect {
                Effect::FetchToken(_) => {
                    dispatcher.handle(now, Event::Token(TokenId::FIRST, TokenEvent::Granted(None)), &mut effects);
                }
                Effect::Send { attempt, .. } => {
                    dispatcher.handle(now, Event::Left(attempt), &mut effects);
                    requests += 1;
                    let response = Response { status: 200, ..Response::default() };
                    let answer = Answer::Answered { response, evidence: Evidence::default() };
                    dispatcher.handle(now, Event::Answered(attempt, answer), &mut effects);
                }
                _ => {}
            }
        }
    }
    (started.elapsed().as_nanos() as f64 / MESSAGES as f64, requests)
}

fn main() {
    let modes = [
        ("none, array route", settings("messaging-array", r#"{"mode":"none"}"#), true),
        ("array of 10", settings("messaging-array", r#"{"mode":"array","lingerMs":0}"#), true),
        (
            "array of 10, ordered",
            settings("messaging-array", r#"{"mode":"array","lingerMs":0,"arrayOrdered":true}"#),
            true,
        ),
        ("none", settings("messaging", r#"{"mode":"none"}"#), false),
        ("merge", settings("messaging", r#"{"mode":"merge"}"#), false),
    ];
    let mut times = vec![Vec::new(); modes.len()];
    let mut requests = vec![0; modes.len()];
    for _ in 0..ROUNDS {
        for (index, (_, settings, with_id)) in modes.iter().enumerate() {
            let (nanos, made) = run(settings, *with_id);
            times[index].push(nanos);
            requests[index] = made;
        }
    }
    let medians: Vec<f64> = times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[ROUNDS / 2]
        })
        .collect();
    println!("{:<22} {:>9} {:>14} {:>12}", "mode", "requests", "µs a message", "added, µs");
    for (index, (name, ..)) in modes.iter().enumerate() {
        let base = medians[if index < 3 { 0 } else { 3 }];
        let (own, added) = (medians[index] / 1_000.0, (medians[index] - base) / 1_000.0);
        println!("{name:<22} {:>9} {own:>14.2} {added:>12.2}", requests[index]);
    }
}
