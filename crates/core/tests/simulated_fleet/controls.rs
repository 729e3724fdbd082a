//! Fleets that break a rule on purpose: the oracle must see it.

use super::plan::{Plan, Traffic, Weather};
use super::sim::{Breach, rule};

const SEEDS: u64 = 600;

/// Some of the seeds break the budget when the rule is broken, and none does otherwise.
fn is_seen(breach: Breach) {
    let is_broken = |seed: &u64| matches!(rule(Plan::of(*seed), breach), Some("budget" | "429" | "3 budget"));
    let seen = (0..SEEDS).find(is_broken);
    assert!(seen.is_some(), "{SEEDS} seeds, and nobody sees {breach:?}");
}

/// A host is frozen for twenty seconds, with requests that wait for the disk, while another one has work for all.
fn frozen_between_making_and_leaving(seed: u64) -> Plan {
    let burst = Traffic { conversations: 10, messages: 10, within_us: 1, burst: 10 };
    let backlog = Traffic { conversations: 50, messages: 300, within_us: 1, burst: 300 };
    let weather = vec![(100_000, Weather::Frozen(0, 20_000_000))];
    Plan { departing_us: 300_000, weather, calm_us: 1, ..Plan::calm(seed, (10, 1_000), &[burst, backlog]) }
}

#[test]
fn a_host_that_does_not_look_at_its_lease_when_a_request_leaves_is_seen() {
    for seed in 0..50 {
        let plan = frozen_between_making_and_leaving(seed);
        assert_eq!(rule(plan, Breach::None), None, "seed {seed}");
    }
    let is_broken = |seed| rule(frozen_between_making_and_leaving(seed), Breach::NoLeaseAtDeparture).is_some();
    assert!((0..50).any(is_broken), "50 seeds, and nobody sees it");
}

#[test]
fn a_store_that_does_not_say_that_it_is_another_is_seen() {
    is_seen(Breach::RunsHidden);
}

#[test]
fn hosts_that_use_slots_without_their_rests_are_seen() {
    is_seen(Breach::NoRests);
}

#[test]
fn hosts_that_take_their_leases_for_longer_than_they_are_are_seen() {
    is_seen(Breach::LongLeases);
}
