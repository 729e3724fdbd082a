//! The way in: duplicates wherever their message is, a full outbox, drains, priorities, and turns between
//! conversations.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::collections::BTreeMap;

use bench::{Bench, ids, of, settled, status};
use serde_json::json;
use spillway_core::dispatcher::{Effect, Event, Notice};
use spillway_core::message::Settle;

fn delivered(bench: &mut Bench, id: &str) {
    bench.send(id, "c");
    let leaving = bench.leaving();
    bench.answer(leaving[0].0, status(200));
}

#[test]
fn a_duplicate_is_recognized_wherever_its_message_is() {
    let enqueue = |bench: &mut Bench| {
        let (ticket, effects) = bench.submit("a", "c", |submission| submission.settle = Settle::OnAcceptance);
        assert_eq!(settled(&effects), [format!("{ticket} accepted again")]);
    };
    let mut queued = Bench::new(json!({}));
    queued.send("a", "c");
    enqueue(&mut queued);
    queued.send("a", "another conversation");
    let leaving = queued.leaving();
    assert_eq!(ids(&leaving), ["a"], "in its lane");
    enqueue(&mut queued);
    queued.send("a", "c");
    let effects = queued.answer(leaving[0].0, status(200));
    assert_eq!(settled(&effects), ["3 delivered again", "5 delivered again", "1 delivered"], "on the wire");

    let mut parked = Bench::new(json!({}));
    parked.send("a", "c");
    let leaving = parked.leaving();
    parked.answer(leaving[0].0, status(503));
    parked.send("a", "c");
    enqueue(&mut parked);
    parked.wait_ms(300);
    assert_eq!(ids(&parked.leaving()), ["a"], "between attempts");

    let mut recent = Bench::new(json!({ "dedupeMs": 1_000 }));
    delivered(&mut recent, "a");
    assert_eq!(settled(&recent.send("a", "c").1), ["2 delivered again"], "delivered");
    enqueue(&mut recent);
    recent.wait_ms(1_000);
    delivered(&mut recent, "a");
    assert_eq!(recent.dispatcher.snapshot(recent.now).counters.delivered, 2, "forgotten after dedupeMs");

    let mut dead = Bench::new(json!({}));
    dead.send("a", "c");
    let leaving = dead.leaving();
    dead.answer(leaving[0].0, status(400));
    assert_eq!(settled(&dead.send("a", "c").1), ["2 DELIVERY_REJECTED"], "a dead letter");
    enqueue(&mut dead);
}

#[test]
fn a_duplicate_in_the_waiting_room_follows_its_message_when_it_gets_in() {
    let mut bench = Bench::new(json!({ "queue": { "maxMessages": 1 } }));
    bench.send("first", "c");
    bench.send("a", "c");
    bench.send("a", "c");
    let leaving = bench.leaving();
    bench.answer(leaving[0].0, status(200));
    let leaving = bench.leaving();
    assert_eq!(ids(&leaving), ["a"]);
    bench.answer(leaving[0].0, status(200));
    assert_eq!(settled(&bench.poll()), ["3 delivered again"]);
    assert!(bench.dispatcher.is_idle());
}

#[test]
fn promises_of_one_message_cancel_it_only_together() {
    let mut bench = Bench::new(json!({}));
    let (first, _) = bench.send("a", "c");
    let (second, _) = bench.send("a", "c");
    assert!(settled(&bench.handle(Event::Cancel(of(first)))).is_empty());
    assert_eq!(bench.dispatcher.unsettled(), 1);
    assert_eq!(settled(&bench.handle(Event::Cancel(of(second)))), ["0 DELIVERY_ABORTED"]);
}

#[test]
fn a_full_outbox_refuses_or_lets_wait_by_count_and_by_bytes() {
    // The bench's body has 16 bytes; a limit of 1,024 takes 64 of them.
    for (queue, room) in [(json!({ "maxMessages": 3 }), 3), (json!({ "maxBytes": 1_024 }), 64)] {
        for when_full in ["reject", "wait"] {
            let mut queue = queue.clone();
            queue["whenFull"] = json!(when_full);
            let mut bench = Bench::new(json!({ "queue": queue, "connections": { "max": 1 } }));
            (0..room).for_each(|index| assert!(bench.send(&format!("{index}"), "c").1.is_empty()));
            let (over, effects) = bench.send("over", "c");
            let depth = bench.dispatcher.snapshot(bench.now).depth;
            assert_eq!((depth.messages, depth.bytes), (room, room * 16));
            if when_full == "reject" {
                assert_eq!(settled(&effects), [format!("{over} QUEUE_FULL")]);
                continue;
            }
            assert_eq!((settled(&effects).len(), depth.waiting), (0, 1));
            let leaving = bench.leaving();
            bench.answer(leaving[0].0, status(200));
            bench.leaving();
            assert_eq!(bench.dispatcher.snapshot(bench.now).depth.waiting, 0, "let in as soon as there is room");
        }
    }
}

#[test]
fn a_drain_waits_for_what_was_there_and_tells_what_is_left() {
    let mut bench = Bench::new(json!({}));
    let empty = bench.drain(None);
    assert_eq!(settled(&bench.poll()), [format!("{empty} drained None")]);
    bench.send("a", "c");
    bench.send("b", "c");
    let patient = bench.drain(None);
    let short = bench.drain(Some(50));
    bench.send("later", "d");
    let leaving = bench.leaving();
    bench.wait_ms(50);
    assert_eq!(settled(&bench.poll()), [format!("{short} drained Some(2)")]);
    bench.answer(leaving[0].0, status(200));
    let last = bench.leaving();
    let canceled = bench.drain(None);
    bench.handle(Event::Cancel(of(canceled)));
    bench.answer(last[0].0, status(400));
    assert_eq!(settled(&bench.poll()), [format!("{patient} drained None")], "a dead letter is settled, too");
    assert_eq!(bench.dispatcher.unsettled(), 1);
}

#[test]
fn an_urgent_message_goes_first_but_not_past_its_elders() {
    let mut bench = Bench::new(json!({ "connections": { "max": 1 } }));
    bench.send("plain", "a");
    bench.send("elder", "b");
    bench.submit("urgent", "b", |submission| submission.priority = 5);
    bench.submit("low", "c", |submission| submission.priority = -5);
    let mut order = Vec::new();
    while let Some((attempt, id)) = bench.leaving().pop() {
        order.push(id);
        bench.answer(attempt, status(200));
    }
    assert_eq!(order, ["elder", "urgent", "plain", "low"]);
}

/// Guarantee 5: conversations that are ready all the while get their turns evenly, however long one's backlog.
#[test]
fn conversations_share_the_budget_evenly() {
    for connections in [1, 3, 8] {
        let options = json!({ "rateLimit": { "requests": 5, "perMs": 100 }, "connections": { "max": connections } });
        let mut bench = Bench::new(options);
        (0..500).for_each(|index| drop(bench.send(&format!("long-{index}"), "long")));
        for conversation in 0..9 {
            (0..20).for_each(|index| drop(bench.send(&format!("{conversation}-{index}"), &format!("{conversation}"))));
        }
        let mut starts: BTreeMap<String, usize> = BTreeMap::new();
        while starts.values().sum::<usize>() < 180 {
            for (attempt, id) in bench.leaving() {
                *starts.entry(id.split('-').next().unwrap().to_owned()).or_default() += 1;
                bench.answer(attempt, status(200));
                let (least, most) = (starts.values().min().unwrap(), starts.values().max().unwrap());
                assert!(most - least <= 1 || starts.len() < 10, "{connections} connections: {starts:?}");
            }
            bench.wait_ms(7);
        }
        assert_eq!(starts.len(), 10);
    }
}

#[test]
fn times_of_their_own() {
    let mut bench = Bench::new(json!({}));
    let soon = bench.now.after(std::time::Duration::from_millis(100));
    bench.submit("later", "c", |submission| submission.not_before = Some(soon));
    bench.send("behind it", "c");
    bench.submit("short", "d", |submission| {
        submission.not_before = Some(soon);
        submission.expires_at = Some(soon);
    });
    assert!(bench.leaving().is_empty());
    bench.wait_ms(100);
    let effects = bench.poll();
    assert_eq!(settled(&effects), ["3 EXPIRED"]);
    assert_eq!(ids(&bench::sends(&effects)), ["later"]);
}

/// One place, which `held` has, and the dead letter `dead`; `held`'s attempt.
fn full_with_a_letter(when_full: &str) -> (Bench, u64) {
    let mut bench = Bench::new(json!({ "queue": { "maxMessages": 1, "whenFull": when_full } }));
    bench.send("dead", "c");
    let leaving = bench.leaving();
    bench.answer(leaving[0].0, status(400));
    bench.send("held", "d");
    let leaving = bench.leaving();
    (bench, leaving[0].0)
}

fn letters(bench: &Bench) -> Vec<&str> {
    bench.dispatcher.letters(0).filter_map(|(_, letter)| letter.payload.id()).collect()
}

#[test]
fn a_redriven_letter_waits_for_room_and_is_a_letter_until_there_is() {
    let (mut bench, held) = full_with_a_letter("wait");
    for ticket in [70, 71] {
        assert!(settled(&bench.handle(Event::Redrive(of(ticket), "dead".into()))).is_empty());
    }
    assert_eq!(bench.send("behind", "e").1.len(), 0, "first come, first served");
    bench.poll();
    assert_eq!((letters(&bench), bench.dispatcher.snapshot(bench.now).depth.waiting), (vec!["dead"], 3));

    bench.answer(held, status(200));
    let effects = bench.poll();
    assert_eq!(settled(&effects), ["70 accepted"]);
    assert_eq!(ids(&bench::sends(&effects)), ["dead"]);
    assert!(letters(&bench).is_empty());
    bench.answer(bench::sends(&effects)[0].0, status(200));
    let effects = bench.poll();
    assert_eq!(settled(&effects), ["71 NOT_FOUND"]);
    assert_eq!(ids(&bench::sends(&effects)), ["behind"]);
}

#[test]
fn a_redriven_letter_that_is_dropped_meanwhile_leaves_nothing_behind() {
    let (mut bench, held) = full_with_a_letter("wait");
    bench.handle(Event::Redrive(of(70), "dead".into()));
    let drain = bench.drain(None);
    assert_eq!(settled(&bench.handle(Event::Drop(of(71), "dead".into()))), ["71 done"]);
    bench.answer(held, status(200));
    let effects = bench.poll();
    assert_eq!(settled(&effects), ["70 NOT_FOUND".to_owned(), format!("{drain} drained None")]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Notice(Notice::Empty))));
    assert!(bench.dispatcher.is_idle());
}

#[test]
fn a_full_outbox_that_makes_nobody_wait_refuses_a_redrive() {
    let (mut bench, _) = full_with_a_letter("reject");
    assert_eq!(settled(&bench.handle(Event::Redrive(of(70), "dead".into()))), ["70 QUEUE_FULL"]);
    assert_eq!(letters(&bench), ["dead"]);
}
