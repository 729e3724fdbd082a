//! Random plans.

use std::time::Duration;

use proptest::prelude::*;
use spillway_core::dispatcher::Event;

use super::plan::{Faults, Mode, Plan, any_plan};
use super::sim::Sim;

/// All that a plan has in store; the simulation after its end.
pub fn play(plan: Plan) -> Sim {
    let mut sim = Sim::new(plan.clone());
    for index in 0..plan.messages {
        let (id, conversation) = (format!("m{index}"), format!("c{}", sim.draw.below(plan.conversations)));
        let wait_ms = sim.draw.below(plan.span_ms + 1);
        let at = sim.after_ms(wait_ms);
        if sim.draw.percent(plan.poison) {
            sim.server.poison.insert(id.clone());
        }
        let ticket = sim.message(at, &id, &conversation);
        if sim.draw.percent(plan.aborted) {
            let after = sim.draw.below(2_000);
            sim.at(at.after(Duration::from_millis(after)), Event::Cancel(ticket));
            sim.aborted.insert(id);
        } else if sim.draw.percent(plan.expiring) {
            let after = Duration::from_millis(1 + sim.draw.below(3_000));
            sim.expire_after(ticket, after);
        }
    }
    sim.run();
    sim.check_ends();
    sim
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_doubled_and_order_holds(plan in any_plan()) {
        play(plan);
    }
}

#[test]
fn a_calm_server_gets_each_message_once_in_full_batches() {
    for (mode, requests) in [(Mode::None, 100), (Mode::Array, 10), (Mode::ArrayOrdered, 10)] {
        let sim = play(Plan { filler: 5, connections: 1, ..Plan::calm(mode) });
        assert_eq!(sim.delivered(), 100, "{mode:?}");
        // Unless the order inside an array holds, a conversation with more messages than others leaves arrays short.
        let requests = if mode == Mode::Array { requests..=18 } else { requests..=requests };
        assert!(requests.contains(&sim.oracle.requests), "{mode:?}: {}", sim.oracle.requests);
    }
}

/// When the last messages are retries and their route's retry budget is spent, only the time of its next token wakes
/// the sender.
#[test]
fn retries_that_find_no_retry_budget_are_looked_at_again() {
    let server = Faults { unavailable: 35, ..Faults::default() };
    for seed in [11_975_518_483_370_226_609, 1, 2, 3, 4, 5, 6, 7] {
        play(Plan {
            seed,
            conversations: 3,
            messages: 75,
            max_messages: 3,
            max_bytes: 1_024,
            linger_ms: 0,
            max_text_length: 30,
            requests_per_second: 46,
            connections: 4,
            latency_ms: 1,
            ordered: false,
            filler: 14,
            server: server.clone(),
            ..Plan::calm(Mode::Merge)
        });
    }
}
