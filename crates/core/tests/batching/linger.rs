//! How long messages wait for company.

use std::time::Duration;

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::Event;

use super::plan::{Mode, Plan};
use super::sim::Sim;

const LINGER_MS: u64 = 100;

/// Delays from the handing over to the first leaving, sorted.
fn delays(sim: &Sim) -> Vec<Duration> {
    let known = sim.oracle.known.values();
    let mut delays: Vec<_> = known.map(|known| known.left_at.unwrap().since(known.submitted_at)).collect();
    delays.sort();
    delays
}

/// Two thousand messages of as many conversations, at random times, so few that no array fills by itself.
fn light_load(mode: Mode) -> Sim {
    let mut sim = Sim::new(Plan { linger_ms: LINGER_MS, ..Plan::calm(mode) });
    let mut at = sim.now;
    for index in 0..2_000 {
        at = at.after(Duration::from_micros(sim.draw.below(80_000)));
        sim.message(at, &format!("m{index}"), &format!("c{index}"));
    }
    sim.run();
    sim.check_ends();
    sim
}

#[test]
fn an_array_delays_a_message_by_the_linger_at_most() {
    for mode in [Mode::Array, Mode::ArrayOrdered] {
        let sim = light_load(mode);
        let delays = delays(&sim);
        assert!(delays[delays.len() * 99 / 100] <= Duration::from_millis(LINGER_MS + 5), "{delays:?}");
        assert!(*delays.last().unwrap() <= Duration::from_millis(LINGER_MS), "{:?}", delays.last());
        let per_request = 2_000.0 / sim.oracle.requests as f64;
        assert!(per_request > 2.0, "{per_request}");
    }
}

#[test]
fn merging_delays_nobody_at_light_load() {
    let sim = light_load(Mode::Merge);
    assert_eq!(delays(&sim).iter().filter(|delay| **delay > Duration::ZERO).count(), 0);
    assert_eq!(sim.oracle.requests, 2_000);
}

#[test]
fn the_first_of_a_conversation_leaves_at_once_and_what_comes_meanwhile_joins() {
    let mut sim = Sim::new(Plan { latency_ms: 0, ..Plan::calm(Mode::Merge) });
    for index in 0..10 {
        sim.message(Timestamp::START, &format!("m{index}"), "c");
    }
    sim.run();
    assert_eq!(sim.oracle.sizes, [10]);
    let mut sim = Sim::new(Plan { latency_ms: 10_000, ..Plan::calm(Mode::Merge) });
    for index in 0..10 {
        let at = sim.after_ms(index);
        sim.message(at, &format!("m{index}"), "c");
    }
    sim.run();
    assert_eq!(sim.oracle.sizes[0], 1);
    assert_eq!(sim.oracle.known["m0"].left_at, Some(Timestamp::START));
    assert!(sim.oracle.requests <= 3, "{:?}", sim.oracle.sizes);
}

#[test]
fn a_full_array_leaves_at_once_full_by_count_or_by_bytes() {
    for (filler, max_messages, count) in [(0, 10, 10), (5, 1_000, 60)] {
        let plan = Plan { filler, max_messages, max_bytes: 1_024, linger_ms: 60_000, ..Plan::calm(Mode::Array) };
        let mut sim = Sim::new(plan);
        for index in 0..count {
            sim.message(Timestamp::START, &format!("m{index}"), &format!("c{index}"));
        }
        sim.run_until(Timestamp::START.after(Duration::from_millis(1)));
        assert!(sim.oracle.requests >= 1 && sim.oracle.sizes[0] >= 10, "{:?}", sim.oracle.sizes);
    }
}

#[test]
fn a_request_is_not_held_up_by_messages_that_wait_for_company() {
    let mut sim = Sim::new(Plan { linger_ms: 60_000, ..Plan::calm(Mode::Array) });
    sim.message(Timestamp::START, "m", "c");
    for ms in [0, 5, 100] {
        let at = sim.after_ms(ms);
        sim.call(at);
    }
    sim.run_until(Timestamp::START.after(Duration::from_millis(200)));
    assert_eq!(sim.calls.len(), 3);
    let left: Vec<u64> = sim.shipments.iter().map(|(at, _)| at.as_micros() / 1_000).collect();
    assert_eq!(left, [0, 5, 100]);
    assert_eq!(sim.oracle.requests, 0);
    sim.run();
    assert_eq!(delays(&sim), [Duration::from_secs(60)]);
}

#[test]
fn the_token_comes_while_an_array_waits_and_not_after_it() {
    let mut sim = Sim::new(Plan { linger_ms: LINGER_MS, ..Plan::calm(Mode::Array) });
    sim.token_ms = 80;
    sim.message(Timestamp::START, "m", "c");
    sim.run();
    assert_eq!(delays(&sim), [Duration::from_millis(LINGER_MS)]);
}

#[test]
fn whoever_drains_waits_for_no_company() {
    let mut sim = Sim::new(Plan { linger_ms: 60_000, latency_ms: 0, ..Plan::calm(Mode::Array) });
    for index in 0..3 {
        sim.message(Timestamp::START, &format!("m{index}"), &format!("c{index}"));
    }
    let (ticket, at) = (sim.ticket(), sim.after_ms(10));
    sim.at(at, Event::Drain(ticket, None));
    sim.run_until(Timestamp::START.after(Duration::from_millis(11)));
    assert_eq!(sim.drained, [None]);
    assert_eq!(sim.oracle.sizes, [3]);
    // It is over: the next ones wait again.
    let at = sim.after_ms(1);
    sim.message(at, "later", "c");
    sim.run();
    assert_eq!(sim.oracle.known["later"].left_at.unwrap().since(at), Duration::from_secs(60));
}

#[test]
fn an_array_waits_even_while_many_messages_are_on_the_wire() {
    for mode in [Mode::Array, Mode::ArrayOrdered] {
        let mut sim = Sim::new(Plan { linger_ms: LINGER_MS, latency_ms: 10_000, ..Plan::calm(mode) });
        for index in 0..40 {
            sim.message(Timestamp::START, &format!("m{index}"), &format!("c{index}"));
        }
        for index in 0..3 {
            let at = sim.after_ms(10 * (index + 1));
            sim.message(at, &format!("n{index}"), &format!("d{index}"));
        }
        sim.run();
        assert_eq!(sim.oracle.sizes, [10, 10, 10, 10, 3], "{mode:?}");
    }
}

/// Two thousand messages of two hundred conversations at random, answers after up to 50 ms, and a quota that holds them
/// up for long.
fn short_of_budget(mode: Mode, linger_ms: u64) -> Sim {
    let mut sim = Sim::new(Plan { linger_ms, latency_ms: 50, requests_per_second: 50, ..Plan::calm(mode) });
    for index in 0..2_000 {
        let conversation = sim.draw.below(200);
        sim.message(Timestamp::START, &format!("m{index}"), &format!("c{conversation}"));
    }
    sim.run();
    sim.check_ends();
    sim
}

#[test]
fn where_the_budget_is_short_no_request_leaves_half_empty_before_answers_that_are_due() {
    for mode in [Mode::Array, Mode::ArrayOrdered] {
        let (waiting, hasty) = (short_of_budget(mode, 500), short_of_budget(mode, 0));
        let requests = (waiting.oracle.requests, hasty.oracle.requests);
        assert!(requests.0 <= 202, "{mode:?}: {requests:?} for 2,000 messages");
        // Arrays that keep order fill themselves with what is behind; the others need the wait.
        let saved = requests.1 - requests.0;
        assert!(saved >= if mode == Mode::Array { 20 } else { 0 }, "{mode:?}: {requests:?}");
        // Nobody is later for it.
        assert!(waiting.now <= hasty.now, "{mode:?}: {:?} and {:?}", waiting.now, hasty.now);
    }
}

#[test]
fn a_half_empty_array_does_not_wait_for_a_slow_answer_beyond_the_linger() {
    let mut sim = Sim::new(Plan { linger_ms: LINGER_MS, requests_per_second: 3, ..Plan::calm(Mode::Array) });
    sim.plan.latency_ms = 0;
    sim.server.slow_first_ms = 60_000;
    for index in 0..100 {
        sim.message(Timestamp::START, &format!("m{index}"), &format!("c{}", index % 12));
    }
    sim.run_until(Timestamp::START.after(Duration::from_millis(LINGER_MS * 2 + 5)));
    // Ten are on the wire and not answered; two are left that may go, and eighty-eight that may not.
    assert_eq!(sim.oracle.sizes, [10, 2]);
    assert_eq!(sim.shipments[1].0.since(Timestamp::START), Duration::from_millis(LINGER_MS * 2));
    sim.run();
    sim.check_ends();
}
