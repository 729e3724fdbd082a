//! A request is made, waits for the disk or a connection, and leaves or doesn't: what counts from when.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::time::Duration;

use serde_json::json;
use spillway_core::dispatcher::{AttemptId, Effect, Event, Hold, Whereabouts};
use spillway_core::outcome::Receipt;
use spillway_core::store::Change;
use spillway_core::token::TokenId;

use self::bench::{Bench, ids, of, retry_after, sends, settled, status};

/// A bench with a file, and messages that it keeps.
fn stored(options: serde_json::Value, messages: &[&str]) -> Bench {
    let mut options = options;
    options["store"] = json!("file:any.db");
    let mut bench = Bench::new(options);
    bench.handle(Event::Opened(Box::default()));
    for id in messages {
        let (_, effects) = bench.send(id, &format!("c-{id}"));
        keep(&mut bench, &effects);
    }
    bench
}

/// The disk has what these effects tell it.
fn keep(bench: &mut Bench, effects: &[Effect]) {
    let entry_ids = effects.iter().filter_map(|effect| match effect {
        Effect::Store(Change::Insert { entry_id, .. }) => Some(*entry_id),
        _ => None,
    });
    let entry_ids = entry_ids.collect();
    bench.handle(Event::Persisted(entry_ids));
}

/// Polls; what would leave if the disk and the connections let it.
fn waiting(bench: &mut Bench) -> Vec<(AttemptId, String)> {
    sends(&bench.poll_waiting())
}

fn requests(bench: &Bench) -> (u64, u64, usize) {
    let snapshot = bench.dispatcher.snapshot(bench.now);
    (snapshot.counters.requests, snapshot.counters.retries, snapshot.depth.in_flight)
}

fn receipt(effects: Vec<Effect>) -> (Receipt, Duration) {
    let delivered = effects.into_iter().find_map(|effect| match effect {
        Effect::Delivered { receipt, request, .. } => Some((receipt, request.unwrap())),
        _ => None,
    });
    delivered.unwrap()
}

#[test]
fn a_request_counts_and_is_shown_from_when_it_leaves() {
    let mut bench = stored(json!({}), &["a"]);
    let made = waiting(&mut bench);
    assert_eq!(requests(&bench), (0, 0, 0));
    let explained = bench.dispatcher.explain(bench.now, "a").unwrap();
    assert_eq!((explained.whereabouts, explained.attempts), (Whereabouts::Queued, 0));
    assert_eq!(explained.holds, [(Hold::Store, None)]);

    bench.wait_ms(1_000);
    bench.handle(Event::Left(made[0].0));
    assert_eq!(requests(&bench), (1, 0, 1));
    let explained = bench.dispatcher.explain(bench.now, "a").unwrap();
    assert_eq!((explained.whereabouts, explained.attempts), (Whereabouts::InFlight, 1));

    bench.wait_ms(20);
    let (receipt, request) = receipt(bench.answer(made[0].0, status(200)));
    let [second, answer] = [1_000, 20].map(Duration::from_millis);
    assert_eq!((receipt.queued, request, receipt.attempts), (second, answer, 1), "it waited, and was answered quickly");
    assert_eq!(requests(&bench), (1, 0, 0));
}

#[test]
fn what_is_withheld_was_never_counted() {
    let mut bench = stored(json!({}), &["a", "b"]);
    let made = waiting(&mut bench);
    bench.handle(Event::Left(made[0].0));
    bench.answer(made[0].0, retry_after(1));
    assert!(!bench.dispatcher.may_leave(made[1].0), "the gate is shut");
    let before = bench.dispatcher.snapshot(bench.now);
    bench.handle(Event::Withheld(made[1].0));
    let after = bench.dispatcher.snapshot(bench.now);
    assert_eq!(format!("{:?}", before.counters), format!("{:?}", after.counters));
    assert_eq!(requests(&bench), (1, 0, 0));
    assert_eq!(after.available, before.available + 1, "its slot is free at once");

    bench.wait_ms(1_000);
    let probe = bench.leaving();
    bench.answer(probe[0].0, status(200));
    bench.wait_ms(10);
    let other = bench.leaving();
    let (receipt, _) = receipt(bench.answer(other[0].0, status(200)));
    assert_eq!(receipt.attempts, 1, "one was made");
    assert_eq!(requests(&bench), (3, 0, 0));
}

#[test]
fn a_retry_is_paid_for_once_however_often_it_is_withheld() {
    let mut bench = stored(json!({ "rateLimit": { "requests": 10_000, "perMs": 1_000 } }), &["a"]);
    let first = bench.leaving();
    bench.answer(first[0].0, status(503));
    bench.wait_ms(1_000);
    // A route's retry budget never has as much at a time.
    for _ in 0..500 {
        let made = waiting(&mut bench);
        assert_eq!(ids(&made), ["a"]);
        bench.handle(Event::Withheld(made[0].0));
    }
    assert_eq!(requests(&bench), (1, 0, 0));
    bench.leaving();
    assert_eq!(requests(&bench), (2, 1, 1));
}

#[test]
fn two_that_are_about_to_leave_never_take_one_slot() {
    let mut bench = stored(json!({ "rateLimit": { "requests": 1, "perMs": 1_000 } }), &["a", "b"]);
    let made = waiting(&mut bench);
    assert_eq!(made.len(), 1);
    bench.wait_ms(5_000);
    assert!(waiting(&mut bench).is_empty(), "the first has its slot for as long as it waits");
    bench.handle(Event::Left(made[0].0));
    bench.wait_ms(20);
    bench.answer(made[0].0, status(200));
    bench.wait_ms(999);
    assert!(waiting(&mut bench).is_empty(), "and until a window after its answer");
    bench.wait_ms(2);
    assert_eq!(waiting(&mut bench).len(), 1);
}

#[test]
fn a_call_that_is_cut_holds_its_slot_from_when_it_left() {
    let mut bench = Bench::new(json!({ "rateLimit": { "requests": 1, "perMs": 1_000 } }));
    let ticket = bench.call("POST");
    let made = waiting(&mut bench);
    bench.wait_ms(3_000);
    bench.handle(Event::Left(made[0].0));
    bench.wait_ms(100);
    bench.handle(Event::Cancel(of(ticket)));
    bench.send("a", "c");
    bench.wait_ms(1_850);
    assert!(waiting(&mut bench).is_empty(), "it may arrive a second after it left, and counts for another");
    bench.wait_ms(60);
    assert_eq!(waiting(&mut bench).len(), 1);
}

#[test]
fn a_call_that_is_cut_before_it_leaves_was_never_sent() {
    let mut bench = Bench::new(json!({ "rateLimit": { "requests": 1, "perMs": 1_000 } }));
    let ticket = bench.call("POST");
    let made = waiting(&mut bench);
    let effects = bench.handle(Event::Cancel(of(ticket)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Cut(attempt) if *attempt == made[0].0)));
    assert!(!bench.dispatcher.may_leave(made[0].0));
    assert!(settled(&bench.handle(Event::Withheld(made[0].0))).is_empty(), "nobody waits for it");
    assert_eq!(bench.dispatcher.snapshot(bench.now).available, 1, "its slot is free");

    let failure = |limits_ms: u64, left: bool| {
        let mut bench = Bench::new(json!({}));
        let due = bench.now.after(Duration::from_millis(limits_ms));
        bench.request_as("POST", |call| call.limits.deadline = Some(due));
        let made = waiting(&mut bench);
        if left {
            bench.handle(Event::Left(made[0].0));
        }
        bench.wait_ms(limits_ms + 1);
        let effects = bench.poll();
        effects.into_iter().find_map(|effect| match effect {
            Effect::Failed(_, spillway_core::error::Error::Delivery(failure)) => Some(failure.ambiguous),
            _ => None,
        })
    };
    assert_eq!((failure(5_000, false), failure(5_000, true)), (Some(false), Some(true)), "known not to have arrived");
}

#[test]
fn a_slow_probe_is_joined_by_another_only_after_it_has_left() {
    let mut bench = stored(json!({}), &["a", "b"]);
    let made = waiting(&mut bench);
    bench.handle(Event::Left(made[0].0));
    bench.answer(made[0].0, retry_after(1));
    bench.handle(Event::Withheld(made[1].0));
    bench.wait_ms(1_000);
    let probe = waiting(&mut bench);
    assert_eq!(probe.len(), 1);
    bench.wait_ms(60_000);
    assert!(waiting(&mut bench).is_empty(), "the first one waits for the disk itself");
    bench.handle(Event::Left(probe[0].0));
    let due = bench.now.after(Duration::from_secs(1));
    assert_eq!(bench.dispatcher.next_wake(), Some(due), "and then it has its time");
    bench.now = due;
    assert_eq!(waiting(&mut bench).len(), 1);
}

#[test]
fn a_request_shows_the_token_that_is_there_when_it_leaves() {
    let mut bench = stored(json!({}), &["a"]);
    let made = waiting(&mut bench);
    bench.wait_ms(1_000);
    bench.handle(Event::Token(TokenId::FIRST, spillway_core::dispatcher::TokenEvent::Granted(None)));
    bench.handle(Event::Left(made[0].0));
    bench.answer(made[0].0, status(401));
    let fetches = bench.poll_waiting();
    assert!(fetches.iter().any(|effect| matches!(effect, Effect::FetchToken(_))), "that one is refused, and so over");
}

#[test]
fn a_message_that_is_aborted_or_expires_before_it_leaves_is_not_sent() {
    let array = json!({ "route": "messaging-array", "batch": { "mode": "array", "lingerMs": 0 } });
    let mut bench = stored(array, &["a", "b"]);
    let expires = bench.now.after(Duration::from_secs(5));
    let (ticket, effects) = bench.submit("c", "c-c", |submission| submission.expires_at = Some(expires));
    keep(&mut bench, &effects);
    let made = |effects: &[Effect]| match effects.iter().find(|effect| matches!(effect, Effect::Send { .. })) {
        Some(Effect::Send { attempt, shipment }) => (*attempt, shipment.messages),
        _ => panic!("no request in {effects:?}"),
    };
    let (first, messages) = made(&bench.poll_waiting());
    assert_eq!(messages, 3);
    assert_eq!(settled(&bench.handle(Event::Cancel(of(1)))), ["0 DELIVERY_ABORTED"]);
    assert!(!bench.dispatcher.may_leave(first), "it would take the message along");

    let (second, messages) = made(&bench.poll_waiting());
    assert_eq!(messages, 2);
    bench.wait_ms(5_000);
    let effects = bench.poll_waiting();
    assert_eq!(settled(&effects), [format!("{ticket} EXPIRED")]);
    assert!(!bench.dispatcher.may_leave(second));
    let (last, messages) = made(&effects);
    assert!(messages == 1 && bench.dispatcher.may_leave(last));
    assert_eq!(requests(&bench), (0, 0, 0));
}

/// Requests are made ahead of a disk that has yet to know of them: more while connections are free all the same.
#[test]
fn more_requests_wait_for_the_disk_while_connections_are_free() {
    let messages: Vec<String> = (0..100).map(|number| format!("m{number}")).collect();
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let mut bench = stored(json!({ "connections": { "max": 2 } }), &messages);
    let mut departing: Vec<AttemptId> = waiting(&mut bench).into_iter().map(|(attempt, _)| attempt).collect();
    assert_eq!(departing.len(), 16, "no connection is taken");
    let (first, second, third) = (departing.remove(0), departing.remove(0), departing.remove(0));
    for attempt in [first, second] {
        bench.handle(Event::Left(attempt));
    }
    assert!(waiting(&mut bench).is_empty(), "as many are made as may be");
    bench.answer(first, status(200));
    bench.handle(Event::Left(third));
    assert!(waiting(&mut bench).is_empty(), "both connections are taken, and enough requests wait");
    bench.answer(second, status(200));
    assert_eq!(waiting(&mut bench).len(), 2, "one is free");
}
