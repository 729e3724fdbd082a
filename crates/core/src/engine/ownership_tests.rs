//! An engine whose store another owner has claimed: nothing leaves any more, and whoever waits is told so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]

use super::store_fixture::{Fixture, HANDLE, lines};
use super::*;
use crate::error::StoreErrorKind;
use crate::evidence::Evidence;
use crate::message::Settle;
use crate::retry::Answer;
use crate::store::Change;

fn disowned(fixture: &mut Fixture) {
    let error = Error::Store { kind: StoreErrorKind::Locked, problem: "another owner has the store".to_owned() };
    fixture.events.try_send(StoreEvent::Disowned(error)).unwrap();
    fixture.turn();
}

fn ticket(number: u64) -> Ticket {
    Ticket { handle: HANDLE, number }
}

#[tokio::test]
async fn nothing_leaves_and_every_promise_fails_whatever_it_waited_for() {
    let mut fixture = Fixture::new("disowned-all").await;
    fixture.submit_for(1, Settle::OnOutcome);
    fixture.answer();
    fixture.token().await;
    assert!(fixture.engine.in_flight.is_empty(), "its departure is not durable");
    // Another one that is accepted, one of which it is not known yet, and a drain.
    fixture.submit(2);
    fixture.answer();
    assert_eq!(lines(fixture.heard()), ["accepted 2"]);
    fixture.submit(3);
    fixture.engine.command(Command::Drain(ticket(4), None));
    disowned(&mut fixture);
    let mut heard = lines(fixture.heard());
    heard.sort();
    let failed = [1, 3, 4].map(|number| format!("failed {number} STORE_LOCKED"));
    assert_eq!(heard, [&failed[..], &["outage store true".to_owned()]].concat());
    assert!(fixture.engine.outgoing.is_empty());
    assert_eq!(fixture.problem().unwrap().code(), "STORE_LOCKED");
    assert!(fixture.is_held_by_store("m2"), "it is in the outbox, which another owner has");
}

#[tokio::test]
async fn what_comes_afterwards_fails_at_once_and_nothing_is_handed_over() {
    let mut fixture = Fixture::new("disowned-later").await;
    disowned(&mut fixture);
    assert_eq!(lines(fixture.heard()), ["outage store true"]);
    fixture.submit(1);
    fixture.engine.command(Command::Drain(ticket(2), None));
    fixture.engine.command(Command::Event(Box::new(Event::Drop(ticket(3), "m0".into()))));
    fixture.turn();
    let failed = [1, 2, 3].map(|number| format!("failed {number} STORE_LOCKED"));
    let mut heard = lines(fixture.heard());
    heard.sort();
    assert_eq!(heard, failed);
    fixture.pass(Duration::from_secs(3_600));
    assert!(lines(fixture.heard()).is_empty() && lock(&fixture.disk).changes.is_empty());
    assert!(fixture.engine.dispatcher.next_wake().is_none(), "nothing is to be done");
}

#[tokio::test]
async fn a_close_ends_at_once_and_says_what_is_left() {
    let mut fixture = Fixture::new("disowned-closing").await;
    fixture.submit(1);
    fixture.answer();
    fixture.heard();
    fixture.engine.command(Command::Close(ticket(2), Duration::from_secs(60)));
    disowned(&mut fixture);
    let is_closed = |told: &Completion| matches!(told, Completion::Closed(2, 1));
    let farewell = fixture.engine.farewell.as_ref().unwrap();
    assert!(farewell.completions.iter().any(is_closed), "told once the store has closed");
}

#[tokio::test]
async fn what_the_server_still_answers_is_not_told_as_delivered() {
    let mut fixture = Fixture::new("disowned-answered").await;
    fixture.submit_for(1, Settle::OnOutcome);
    fixture.answer();
    fixture.token().await;
    fixture.answer();
    let attempt = *fixture.engine.in_flight.keys().next().unwrap();
    disowned(&mut fixture);
    assert_eq!(lines(fixture.heard()), ["outage store true", "failed 1 STORE_LOCKED"]);
    let response = crate::outcome::Response { status: 202, ..Default::default() };
    fixture.engine.handle(Event::Answered(attempt, Answer::Answered { response, evidence: Evidence::default() }));
    fixture.turn();
    assert!(lines(fixture.heard()).is_empty(), "the next owner says what becomes of it");
    let disk = lock(&fixture.disk);
    assert!(!disk.changes.iter().any(|change| matches!(change, Change::Deliver { .. })));
}
