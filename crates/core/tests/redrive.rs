//! Many dead letters sent again by one call.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::time::Duration;

use bench::{Bench, ids, of, sends, settled, status};
use serde_json::json;
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{Effect, Event};
use spillway_core::error::{Error, StoreErrorKind};
use spillway_core::lanes::EntryId;
use spillway_core::message::{Message, Parts, Payload};
use spillway_core::outcome::{DeadLetter, DeliveryFailure, LetterFilter, Reason};
use spillway_core::retry::Answer;
use spillway_core::stats::PauseScope;
use spillway_core::store::{Change, Row};

const ALL: LetterFilter<Timestamp> = LetterFilter::ALL;

/// No quota and no connection is in the way.
fn plenty(mut patch: serde_json::Value) -> Bench {
    patch["rateLimit"] = json!({ "requests": 1_000_000, "perMs": 1 });
    patch["connections"] = json!({ "max": 1_024 });
    Bench::new(patch)
}

/// Sends a message that ends as a dead letter with this answer.
fn bury(bench: &mut Bench, id: &str, conversation: &str, answer: Answer) {
    bench.send(id, conversation);
    let leaving = bench.leaving();
    assert_eq!(ids(&leaving), [id]);
    assert_eq!(settled(&bench.answer(leaving[0].0, answer)).len(), 1);
}

fn letters(bench: &Bench) -> Vec<String> {
    bench.dispatcher.letters(0).filter_map(|(_, letter)| letter.payload.id().map(str::to_owned)).collect()
}

/// Lets the call go on until it has settled; what leaves meanwhile is delivered, in this order.
fn redriven(bench: &mut Bench, filter: LetterFilter<Timestamp>) -> (Vec<String>, Vec<String>) {
    let mut ends = settled(&bench.handle(Event::RedriveAll(of(900), filter)));
    let mut left = Vec::new();
    for _ in 0..1_000 {
        let effects = bench.poll();
        ends.extend(settled(&effects));
        for (attempt, id) in sends(&effects) {
            bench.answer(attempt, status(200));
            left.push(id);
        }
        bench.wait_ms(1);
    }
    (ends, left)
}

#[test]
fn a_filter_takes_those_for_which_everything_holds() {
    let begun = Timestamp::START;
    let later = begun.after(Duration::from_secs(60));
    let by = |reason, status, since| LetterFilter { reason, status, since };
    for (filter, taken) in [
        (ALL, vec!["r400", "r422", "x503", "late"]),
        (by(Some(Reason::Rejected), None, None), vec!["r400", "r422", "late"]),
        (by(None, Some(400), None), vec!["r400", "late"]),
        (by(None, None, Some(later)), vec!["late"]),
        (by(Some(Reason::Exhausted), Some(503), Some(begun)), vec!["x503"]),
        (by(Some(Reason::Exhausted), Some(400), None), vec![]),
        (by(Some(Reason::Expired), None, None), vec![]),
    ] {
        let mut bench = plenty(json!({ "retry": { "maxAttempts": 1 } }));
        bury(&mut bench, "r400", "a", status(400));
        bury(&mut bench, "r422", "b", status(422));
        bury(&mut bench, "x503", "c", status(503));
        bench.wait_ms(60_000);
        bury(&mut bench, "late", "a", status(400));
        let (ends, left) = redriven(&mut bench, filter);
        assert_eq!(ends, [format!("900 redriven {} full 0 unsendable 0", taken.len())], "{filter:?}");
        let mut stay = vec!["r400", "r422", "x503", "late"];
        stay.retain(|id| !taken.contains(id));
        assert_eq!(letters(&bench), stay, "{filter:?}");
        let mut sent: Vec<&str> = left.iter().map(String::as_str).collect();
        sent.sort_unstable();
        let mut expected = taken.clone();
        expected.sort_unstable();
        assert_eq!(sent, expected, "{filter:?}");
    }
}

#[test]
fn thousands_take_turns_with_others_and_keep_their_order() {
    const COUNT: usize = 3_000;
    let mut bench = plenty(json!({}));
    for index in 0..COUNT {
        bury(&mut bench, &format!("l{index}"), &format!("c{}", index % 3), status(400));
    }
    assert!(settled(&bench.handle(Event::RedriveAll(of(900), ALL))).is_empty());
    let (mut ends, mut left) = (Vec::new(), Vec::new());
    while !bench.dispatcher.is_idle() || ends.is_empty() {
        let before = letters(&bench).len();
        let effects = bench.poll();
        ends.extend(settled(&effects));
        for (attempt, id) in sends(&effects) {
            bench.answer(attempt, status(200));
            left.push(id);
        }
        let after = letters(&bench).len();
        assert!(before - after <= 256, "{before} and {after} at one turn");
        if after > 0 {
            let wake = bench.dispatcher.next_wake().unwrap();
            assert!(wake > bench.now && wake <= bench.now.after(Duration::from_millis(1)), "others have their turn");
        }
        bench.wait_ms(1);
    }
    assert_eq!(ends, [format!("900 redriven {COUNT} full 0 unsendable 0")]);
    for conversation in 0..3 {
        let of_it: Vec<usize> =
            left.iter().map(|id| id[1..].parse().unwrap()).filter(|index| index % 3 == conversation).collect();
        assert_eq!(of_it.len(), COUNT / 3);
        assert!(of_it.is_sorted(), "conversation {conversation}");
    }
}

#[test]
fn what_fails_again_is_not_sent_a_third_time() {
    let mut bench = plenty(json!({}));
    (0..600).for_each(|index| bury(&mut bench, &format!("l{index}"), "c", status(400)));
    bench.handle(Event::RedriveAll(of(900), ALL));
    let (mut ends, mut left) = (Vec::new(), 0);
    for _ in 0..2_000 {
        let effects = bench.poll();
        ends.extend(settled(&effects));
        for (attempt, _) in sends(&effects) {
            bench.answer(attempt, status(400));
            left += 1;
        }
        bench.wait_ms(1);
    }
    assert_eq!((ends, left), (vec!["900 redriven 600 full 0 unsendable 0".to_owned()], 600));
    assert_eq!(letters(&bench).len(), 600);
}

#[test]
fn what_finds_no_room_is_told_and_goes_with_the_next_call() {
    for when_full in ["wait", "reject"] {
        let mut bench = plenty(json!({ "queue": { "maxMessages": 10, "whenFull": when_full } }));
        (0..15).for_each(|index| bury(&mut bench, &format!("l{index:02}"), "c", status(400)));
        bench.handle(Event::Pause(of(800), None));
        let (ends, left) = redriven(&mut bench, ALL);
        assert_eq!((ends, left.len()), (vec!["900 redriven 10 full 5 unsendable 0".to_owned()], 0), "{when_full}");
        assert_eq!(letters(&bench), ["l10", "l11", "l12", "l13", "l14"], "{when_full}: the oldest went");
        bench.handle(Event::Resume(of(801), PauseScope::Organization));
        let (ends, left) = redriven(&mut bench, ALL);
        assert_eq!(ends, ["900 redriven 0 full 5 unsendable 0"], "{when_full}: nothing has left yet");
        assert_eq!(left.len(), 10);
        let (ends, left) = redriven(&mut bench, ALL);
        assert_eq!((ends, left.len()), (vec!["900 redriven 5 full 0 unsendable 0".to_owned()], 5), "{when_full}");
    }
}

#[test]
fn nobody_who_waits_for_room_is_overtaken() {
    let mut bench = plenty(json!({ "queue": { "maxMessages": 1 } }));
    bury(&mut bench, "dead", "c", status(400));
    bench.handle(Event::Pause(of(800), None));
    bench.send("first", "d");
    bench.send("second", "e");
    bench.handle(Event::RedriveAll(of(900), ALL));
    assert_eq!(settled(&bench.poll()), ["900 redriven 0 full 1 unsendable 0"]);
    assert_eq!(letters(&bench), ["dead"]);
}

fn letter(bench: &Bench, id: &str, body: &str) -> Row {
    let message = Message::new(Parts { id, id_given: true, conversation: "c", body, ..Parts::default() }).unwrap();
    let failure = DeliveryFailure {
        reason: Reason::Rejected,
        id: Some(id.into()),
        response: None,
        attempts: 1,
        ambiguous: false,
        problem: None,
    };
    Row::Letter(Box::new(DeadLetter { payload: Payload::Message(message), priority: 0, failure, at: bench.now }))
}

/// A sender with a file that has letters with these bodies.
fn with_file(bodies: &[(&str, &str)]) -> Bench {
    let mut bench = plenty(json!({ "store": "file:/tmp/x.db", "queue": { "maxBytes": 1_024 } }));
    let rows = bodies.iter().map(|(id, body)| letter(&bench, id, body)).collect();
    bench.handle(Event::Found(rows));
    bench.handle(Event::Opened(Box::default()));
    bench.poll();
    bench
}

fn redrives(effects: &[Effect]) -> Vec<EntryId> {
    let entry_id = |effect: &Effect| match effect {
        Effect::Store(Change::Redrive { entry_id, .. }) => Some(*entry_id),
        _ => None,
    };
    effects.iter().filter_map(entry_id).collect()
}

#[test]
fn one_that_is_too_large_by_now_holds_nobody_up() {
    let large = format!("\"{}\"", "x".repeat(2_000));
    let mut bench = with_file(&[("large", &large), ("small", "1")]);
    bench.handle(Event::RedriveAll(of(900), ALL));
    let entry_ids = redrives(&bench.poll());
    assert_eq!(entry_ids.len(), 1);
    bench.handle(Event::Persisted(entry_ids));
    assert_eq!(settled(&bench.poll()), ["900 redriven 1 full 0 unsendable 1"]);
    assert_eq!(letters(&bench), ["large"]);
}

#[test]
fn with_a_file_it_settles_when_all_are_kept() {
    let mut bench = with_file(&[("a", "1"), ("b", "2")]);
    bench.handle(Event::RedriveAll(of(900), ALL));
    let effects = bench.poll();
    let entry_ids = redrives(&effects);
    assert_eq!((entry_ids.len(), settled(&effects).len()), (2, 0));
    bench.handle(Event::Persisted(entry_ids[..1].to_vec()));
    bench.wait_ms(1);
    assert!(settled(&bench.poll()).is_empty());
    bench.handle(Event::Persisted(entry_ids[1..].to_vec()));
    assert_eq!(settled(&bench.poll()), ["900 redriven 2 full 0 unsendable 0"]);
}

fn full_disk() -> Error {
    Error::Store { kind: StoreErrorKind::Full, problem: "the disk is full".to_owned() }
}

#[test]
fn what_the_store_refuses_stays_a_letter_in_its_place() {
    let mut bench = with_file(&[("a", "1"), ("b", "2"), ("c", "3")]);
    bench.handle(Event::RedriveAll(of(900), ALL));
    let entry_ids = redrives(&bench.poll());
    bench.handle(Event::Persisted(entry_ids[..1].to_vec()));
    assert_eq!(settled(&bench.handle(Event::Refused(entry_ids[1..].to_vec(), full_disk()))), ["900 STORE_FULL"]);
    assert_eq!(letters(&bench), ["b", "c"]);

    let entry_ids = redrives(&bench.handle(Event::Redrive(of(901), "b".into())));
    assert_eq!(settled(&bench.handle(Event::Refused(entry_ids, full_disk()))), ["901 STORE_FULL"]);
    assert_eq!(letters(&bench), ["b", "c"], "one by its id does so, too");
    bench.handle(Event::StoreDegraded(full_disk()));
    bench.handle(Event::RedriveAll(of(902), ALL));
    assert_eq!(settled(&bench.poll()), ["902 STORE_FULL"]);
    assert_eq!(letters(&bench), ["b", "c"]);
}

#[test]
fn who_has_lost_the_file_is_told() {
    let locked = || Error::Store { kind: StoreErrorKind::Locked, problem: "it is another's".to_owned() };
    let mut bench = with_file(&[("a", "1")]);
    bench.handle(Event::RedriveAll(of(900), ALL));
    bench.poll();
    assert_eq!(settled(&bench.handle(Event::Disowned(locked())))[0], "900 STORE_LOCKED");
    assert_eq!(settled(&bench.handle(Event::RedriveAll(of(901), ALL))), ["901 STORE_LOCKED"]);
}
