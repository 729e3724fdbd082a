//! Batches that travel again: split ones, ambiguous ones, and who may leave them.

use std::collections::VecDeque;
use std::time::Duration;

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::Event;
use spillway_core::message::Ticket;
use spillway_core::outcome::Reason;

use super::plan::{Mode, Plan};
use super::server::Fate;
use super::sim::Sim;

const SECOND: Duration = Duration::from_secs(1);

/// `count` messages `m0`, `m1` … at the start, each of its own conversation or all of one, and what becomes of
/// requests.
fn sim(mode: Mode, count: usize, script: Vec<Fate>) -> (Sim, Vec<Ticket>) {
    let mut sim = Sim::new(Plan { max_messages: 1_000, linger_ms: 0, latency_ms: 0, ..Plan::calm(mode) });
    sim.server.script = VecDeque::from(script);
    let conversation = |index| if mode == Mode::Merge { "c".to_owned() } else { format!("c{index}") };
    let tickets = (0..count).map(|index| sim.message(Timestamp::START, &format!("m{index}"), &conversation(index)));
    let tickets = tickets.collect();
    (sim, tickets)
}

fn after(span: Duration) -> Timestamp {
    Timestamp::START.after(span)
}

#[test]
fn one_poison_among_n_costs_twice_the_logarithm_and_two() {
    for mode in [Mode::Array, Mode::ArrayOrdered, Mode::Merge] {
        for count in 2..=64 {
            for poison in 0..count {
                let (mut sim, _) = sim(mode, count, Vec::new());
                sim.server.poison.insert(format!("m{poison}"));
                sim.run();
                sim.check_ends();
                let (requests, most) = (sim.oracle.requests as f64, 2.0 * (count as f64).log2() + 2.0);
                assert!(requests <= most, "{mode:?}: {poison} of {count} took {requests}");
                let dead: Vec<_> = sim.oracle.known.iter().filter(|(_, known)| known.end.unwrap().is_err()).collect();
                assert_eq!(dead.len(), 1);
                assert_eq!(*dead[0].0, format!("m{poison}"));
            }
        }
    }
}

#[test]
fn a_batch_that_the_server_may_know_is_repeated_whole_whoever_leaves_meanwhile() {
    for mode in [Mode::Array, Mode::Merge] {
        let (mut sim, tickets) = sim(mode, 4, vec![Fate::Cut, Fate::Status(503), Fate::Cut, Fate::Status(429)]);
        sim.expire_after(tickets[2], Duration::from_micros(1));
        sim.aborted.insert("m1".into());
        sim.at(after(Duration::from_micros(2)), Event::Cancel(tickets[1]));
        sim.run();
        sim.check_ends();
        assert_eq!(sim.oracle.sizes, [4; 5], "{mode:?}");
        assert_eq!(sim.delivered(), 4);
        let keys: Vec<_> = sim.shipments.iter().map(|(_, shipment)| shipment.idempotency_key.clone()).collect();
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }
}

#[test]
fn a_part_of_a_split_batch_lets_go_of_whom_its_caller_cancels_or_time_takes_at_once() {
    let (mut sim, tickets) = sim(Mode::Array, 8, vec![Fate::Status(413)]);
    sim.expire_after(tickets[6], Duration::from_millis(300));
    sim.aborted.insert("m5".into());
    sim.at(after(Duration::from_millis(300)), Event::Cancel(tickets[5]));
    // The first half is refused for a while.
    sim.server.script.extend([Fate::Status(503), Fate::Status(503), Fate::Status(503), Fate::Status(503)]);
    sim.run_until(after(Duration::from_millis(300)));
    let half_is_out = sim.oracle.known["m0"].end.is_none();
    let ends = ["m5", "m6"].map(|id| sim.oracle.known[id].end);
    assert!(half_is_out, "the test must look while the first half is not settled");
    assert_eq!(ends, [Some(Err(Reason::Aborted)), Some(Err(Reason::Expired))]);
    sim.run();
    sim.check_ends();
    assert_eq!(sim.delivered(), 6);
}

#[test]
fn a_failed_batch_is_one_retry_not_one_for_each_message() {
    for mode in [Mode::Array, Mode::ArrayOrdered, Mode::Merge] {
        let (mut sim, _) = sim(mode, 50, vec![Fate::Status(503); 5]);
        sim.run();
        sim.check_ends();
        assert_eq!(sim.oracle.sizes, [50; 6], "{mode:?}");
    }
}

#[test]
fn of_a_partly_throttled_array_only_the_refused_go_again_and_the_pauses_grow() {
    let refused = |count| Fate::List(vec![429; count]);
    let (mut sim, _) = sim(Mode::Array, 4, vec![Fate::List(vec![200, 429, 200, 429])]);
    sim.server.script.extend(vec![refused(2); 5]);
    sim.run_until(after(SECOND));
    let early = sim.oracle.requests;
    sim.run();
    sim.check_ends();
    assert_eq!(sim.oracle.sizes, [4, 2, 2, 2, 2, 2, 2]);
    assert_eq!(sim.batches()[1], ["m1", "m3"]);
    assert_eq!(sim.server.accepted.values().copied().collect::<Vec<_>>(), [1; 4]);
    // Without growing pauses all of it would be over within half a second.
    assert!(early < 7, "{early} requests in the first second of a limit in force");
}

#[test]
fn an_array_that_keeps_order_puts_nobody_before_a_message_that_goes_again() {
    let mut sim = Sim::new(Plan { linger_ms: 0, latency_ms: 0, ..Plan::calm(Mode::ArrayOrdered) });
    for index in 0..8 {
        sim.message(Timestamp::START, &format!("m{index}"), &format!("c{}", index % 2));
    }
    // Split in two by 413; of the first half one is throttled, one failed: the second half holds later ones of both
    // lanes.
    sim.server.script = VecDeque::from(vec![Fate::Status(413), Fate::List(vec![200, 429, 503, 200])]);
    sim.run();
    sim.check_ends();
    assert_eq!(sim.delivered(), 8);
}

#[test]
fn a_size_that_was_too_large_is_halved_remembered_and_tried_larger_later() {
    let plan = Plan { max_messages: 64, linger_ms: 0, filler: 0, connections: 1, ..Plan::calm(Mode::Array) };
    let mut sim = Sim::new(plan);
    sim.server.faults.max_bytes = Some(500);
    sim.plan.server.max_bytes = Some(500);
    for index in 0..3_000 {
        sim.message(Timestamp::START, &format!("m{index}"), &format!("c{index}"));
    }
    sim.run();
    sim.check_ends();
    assert_eq!(sim.delivered(), 3_000);
    let sizes: Vec<_> = sim.shipments.iter().map(|(_, shipment)| shipment.body.as_ref().unwrap().len()).collect();
    let too_large: Vec<_> = (0..sizes.len()).filter(|index| sizes[*index] > 500).collect();
    assert!(too_large.len() * 15 < sizes.len(), "{} of {} were too large", too_large.len(), sizes.len());
    assert!(too_large.iter().any(|index| *index > 50), "never tried larger again: {too_large:?}");
    assert!(sizes.iter().sum::<usize>() / sizes.len() > 250, "far smaller than need be");
}
