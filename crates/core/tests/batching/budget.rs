//! What a batch costs where the server counts messages.

use std::time::Duration;

use spillway_core::clock::Timestamp;

use super::plan::{Mode, Plan};
use super::random::play;

#[test]
fn messages_are_counted_where_a_batch_costs_one_each_and_the_quota_is_used() {
    for mode in [Mode::Array, Mode::ArrayOrdered, Mode::Merge] {
        let sim = play(Plan { cost_message: true, requests_per_second: 20, messages: 400, ..Plan::calm(mode) });
        assert_eq!(sim.delivered(), 400);
        let took = sim.now.since(Timestamp::START);
        // The first twenty leave at once; a second's worth of them at most is lost to answers and rounding.
        assert!(took >= Duration::from_secs(19), "{mode:?}: {took:?}");
        assert!(took <= Duration::from_secs(21), "{mode:?}: {took:?}");
        assert!(sim.oracle.requests <= 100, "{mode:?}: {} requests", sim.oracle.requests);
    }
}

#[test]
fn a_batch_is_never_larger_than_the_quota() {
    for mode in [Mode::Array, Mode::ArrayOrdered, Mode::Merge] {
        let plan = Plan { cost_message: true, requests_per_second: 3, messages: 40, ..Plan::calm(mode) };
        let sim = play(plan);
        assert_eq!(sim.delivered(), 40);
        assert!(sim.oracle.sizes.iter().all(|size| *size <= 3), "{:?}", sim.oracle.sizes);
    }
}
