//! What the organizations of a process hold together has limits. At one of them, nobody holds more than it does, or
//! than its small share.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::sync::Arc;

use bench::{Bench, settled, status};
use serde_json::json;
use spillway_core::dispatcher::Effect;
use spillway_core::error::Error;
use spillway_core::totals::{Amount, Holdings, Totals};

/// What everybody may hold.
const SHARE: usize = 1_000;

fn totals(max: Holdings) -> Arc<Totals> {
    let without = Amount { count: usize::MAX, bytes: usize::MAX };
    let or = |amount: Amount| if amount == Amount::default() { without } else { amount };
    let ids = if max.ids == 0 { usize::MAX } else { max.ids };
    Arc::new(Totals::new(Holdings { queue: or(max.queue), letters: or(max.letters), ids }))
}

fn organization(totals: &Arc<Totals>, when_full: &str) -> Bench {
    let mut bench = Bench::new(json!({ "queue": { "whenFull": when_full }, "connections": { "max": 1_024 } }));
    bench.dispatcher.count_among(Arc::clone(totals));
    bench
}

fn fill(bench: &mut Bench, count: usize) -> Vec<Effect> {
    let effects = (0..count).flat_map(|number| bench.send(&format!("m{number}"), &format!("c{number}")).1).collect();
    bench.dispatcher.poll(bench.now, &mut Vec::new());
    effects
}

#[test]
fn full_queues_of_all_refuse_the_large_one_and_let_the_small_one_have_its_share() {
    let totals = totals(Holdings { queue: Amount { count: 3_000, bytes: 1 << 30 }, ..Holdings::default() });
    let [mut large, mut small] = [organization(&totals, "reject"), organization(&totals, "reject")];
    assert!(fill(&mut large, 3_000).is_empty());
    assert_eq!(totals.held().queue.count, 3_000);
    let refused = large.send("more", "more").1;
    let [Effect::Failed(_, error @ Error::ProcessFull { held, max })] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!((held.count, max.count, error.code()), (3_000, 3_000, "QUEUE_FULL"));
    assert!(fill(&mut small, SHARE).is_empty());
    assert_eq!(small.send("more", "more").1.len(), 1, "beyond its share it is full as well");

    drop(large);
    assert_eq!(totals.held().queue.count, SHARE);
    assert!(small.send("again", "again").1.is_empty());
}

#[test]
fn who_waits_for_room_is_let_in_as_its_own_messages_leave() {
    let totals = totals(Holdings { queue: Amount { count: 100, bytes: 1 << 30 }, ..Holdings::default() });
    let mut bench = organization(&totals, "wait");
    for number in 0..SHARE + 200 {
        let effects = bench.send(&format!("m{number}"), &format!("c{number}")).1;
        assert!(effects.is_empty(), "the last ones wait");
        if number == SHARE / 2 {
            // Counted once per turn.
            bench.dispatcher.count_among(Arc::clone(&totals));
        }
    }
    assert_eq!(bench.dispatcher.snapshot(bench.now).depth.waiting, 200);
    let mut delivered = 0;
    for _ in 0..10 {
        for (attempt, _) in bench.leaving() {
            delivered += settled(&bench.answer(attempt, status(200))).len();
        }
        bench.wait_ms(1_001);
    }
    assert_eq!(delivered, SHARE + 200);
    bench.poll();
    assert_eq!(totals.held().queue, Amount::default());
}

#[test]
fn ids_and_letters_of_all_are_bounded_and_the_oldest_of_its_own_make_way() {
    let letters = Amount { count: 1_500, bytes: 1 << 30 };
    let totals = totals(Holdings { letters, ids: 1_500, ..Holdings::default() });
    let mut bench = organization(&totals, "wait");
    for round in 0..4 {
        for number in 0..1_000 {
            bench.send(&format!("{round}/{number}"), &format!("c{number}"));
        }
        let answer = if round < 2 { 200 } else { 400 };
        for (attempt, _) in bench.leaving() {
            bench.answer(attempt, status(answer));
        }
        bench.wait_ms(1_001);
        bench.poll();
    }
    // It grew in steps of a turn, and then no more.
    let held = totals.held();
    assert!((1_500..=2_000).contains(&held.ids), "{held:?}");
    assert!((1_500..=2_000).contains(&held.letters.count), "{held:?}");
    let before = held.ids;
    bench.send("last", "last");
    for (attempt, _) in bench.leaving() {
        bench.answer(attempt, status(200));
    }
    bench.poll();
    assert_eq!(totals.held().ids, before);
    let (_, effects) = bench.send("last", "last");
    assert!(matches!(effects[..], [Effect::Delivered { .. }]), "the newest is known");
}
