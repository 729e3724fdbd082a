//! Timers that fall due at the same moment are handled a few at a time, since one thread serves all organizations. No
//! request starts halfway through.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::time::Duration;

use bench::{Bench, ids, settled, status};
use serde_json::json;
use spillway_core::dispatcher::Effect;

/// More than a few turns' worth.
const MANY: usize = 2_000;
/// What a turn may do at most.
const PER_TURN: usize = 256;

fn sends(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Send { .. })).count()
}

#[test]
fn many_that_expire_at_once_end_in_turns_and_none_of_them_leaves() {
    let mut bench =
        Bench::new(json!({ "rateLimit": { "requests": 10, "perMs": 1_000 }, "connections": { "max": 64 } }));
    for number in 0..10 {
        bench.send(&format!("first{number}"), &format!("first{number}"));
    }
    let leaving = bench.leaving();
    assert_eq!(leaving.len(), 10, "the budget is spent");
    let expiry = bench.now.after(Duration::from_secs(5));
    for number in 0..MANY {
        let name = format!("m{number}");
        bench.submit(&name, &name, |submission| submission.expires_at = Some(expiry));
    }
    bench.send("last", "last");
    leaving.into_iter().for_each(|(attempt, _)| drop(bench.answer(attempt, status(200))));
    // A whole budget is there again at the moment when they expire.
    bench.wait_ms(5_000);
    let (mut expired, mut turns) = (0, 0);
    loop {
        let effects = bench.poll();
        let now_expired = settled(&effects).iter().filter(|line| line.ends_with("EXPIRED")).count();
        assert!(now_expired <= PER_TURN, "{now_expired} in one turn");
        expired += now_expired;
        turns += 1;
        if !bench.dispatcher.has_overdue(bench.now) {
            assert_eq!(sends(&effects), 1, "the one that has not expired leaves");
            break;
        }
        assert_eq!(sends(&effects), 0, "nothing leaves while some have yet to expire");
        assert!(bench.dispatcher.next_wake().is_some_and(|at| at <= bench.now), "the next turn comes at once");
    }
    assert_eq!((expired, turns), (MANY, MANY.div_ceil(PER_TURN)));
}

#[test]
fn many_with_one_scheduled_time_leave_in_the_order_of_their_acceptance() {
    let mut bench = Bench::new(json!({ "ordering": "none", "connections": { "max": 1_024 } }));
    let at = bench.now.after(Duration::from_secs(5));
    for number in 0..MANY {
        bench.submit(&format!("m{number:04}"), "c", |submission| submission.not_before = Some(at));
    }
    assert!(bench.leaving().is_empty(), "it is not time");
    bench.wait_ms(5_000);
    let leaving = loop {
        let leaving = bench.leaving();
        if !bench.dispatcher.has_overdue(bench.now) {
            break leaving;
        }
        assert!(leaving.is_empty(), "one leaves before all are back in their lanes");
    };
    let sorted: Vec<String> = (0..1_000).map(|number| format!("m{number:04}")).collect();
    assert_eq!(ids(&leaving), sorted);
}
