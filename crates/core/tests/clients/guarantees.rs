//! What holds at the server, whatever the seed: never more than a token's quota in any rolling window, nor than the
//! organization's; nothing is lost of what they allow together; and the order is kept.

use serde_json::{Value, json};

use super::draw::Draw;
use super::sim::{Outcome, Plan, Sim};

const SECOND_US: u64 = 1_000_000;
const WINDOW_US: u64 = 10 * SECOND_US;
const RUN_US: u64 = 120 * SECOND_US;
const SEEDS: u64 = 40;

fn most(outcome: &Outcome, field: &str) -> u64 {
    outcome.ledger[field].as_u64().unwrap()
}

fn most_of_a_client(outcome: &Outcome) -> u64 {
    let clients = outcome.ledger["clients"].as_object().unwrap();
    clients.values().map(|client| client["mostInWindow"].as_u64().unwrap()).max().unwrap()
}

fn quota(requests: u64) -> Value {
    json!({ "requests": requests, "perMs": WINDOW_US / 1_000, "algorithm": "sliding-log" })
}

fn rate(requests: u64) -> Value {
    json!({ "requests": requests, "perMs": WINDOW_US / 1_000 })
}

/// A server that allows each token so much, and all of them together as much as `of_all`.
fn plan(clients: usize, of_token: u64, of_all: Option<u64>) -> Plan {
    Plan {
        clients,
        server: json!({
            "answerStyle": "genesys",
            // The ledger counts in the windows of the organization's quota, which refuses nothing where there is none.
            "quota": quota(of_all.unwrap_or(1_000_000)),
            "tokenQuota": quota(of_token),
            "latencyMs": { "min": 20, "max": 80 },
        }),
        rate_limit: rate(of_token),
        organization_limit: of_all.map_or(Value::Null, rate),
        run_us: RUN_US,
        changes: Vec::new(),
        restarts_us: Vec::new(),
    }
}

fn run(plan: &Plan, seed: u64) -> Outcome {
    Sim::new(plan, seed).run(plan.run_us)
}

#[test]
fn no_window_has_more_than_is_allowed_and_nothing_of_it_is_wasted() {
    for seed in 0..SEEDS {
        let mut draw = Draw::stream(seed, 9);
        let clients = draw.range(2, 10) as usize;
        let of_token = draw.range(20, 80);
        let together = of_token * clients as u64;
        let of_all = (seed % 2 == 0).then(|| together * draw.range(40, 90) / 100);
        let outcome = run(&plan(clients, of_token, of_all), seed);
        let words = format!("seed {seed}: {clients} clients, {of_token} each, {of_all:?} together");
        assert_eq!(outcome.refused, 0, "{words}");
        assert!(most_of_a_client(&outcome) <= of_token, "{words}: {}", outcome.ledger);
        let limit = of_all.unwrap_or(together);
        assert!(most(&outcome, "mostInWindow") <= limit, "{words}: {}", outcome.ledger);
        assert_eq!((most(&outcome, "orderViolations"), most(&outcome, "duplicates")), (0, 0), "{words}");
        let ideal = limit as f64 * (RUN_US - WINDOW_US) as f64 / WINDOW_US as f64;
        let goodput = outcome.between(WINDOW_US, RUN_US) as f64 / ideal;
        assert!(goodput >= 0.97, "{words}: goodput {goodput:.3}");
    }
}

#[test]
fn a_restart_spends_nothing_twice() {
    for seed in 0..SEEDS / 2 {
        let mut draw = Draw::stream(seed, 8);
        let (clients, of_token) = (draw.range(2, 5) as usize, draw.range(20, 60));
        let of_all = of_token * clients as u64 * 3 / 4;
        let restarts_us = (0..6).map(|_| draw.range(SECOND_US, RUN_US / 2)).collect();
        let plan = Plan { restarts_us, run_us: RUN_US / 2, ..plan(clients, of_token, Some(of_all)) };
        let outcome = run(&plan, seed);
        assert_eq!(outcome.refused, 0, "seed {seed}");
        assert!(most_of_a_client(&outcome) <= of_token, "seed {seed}: {}", outcome.ledger);
        assert!(most(&outcome, "mostInWindow") <= of_all, "seed {seed}: {}", outcome.ledger);
    }
}

#[test]
fn tokens_that_end_are_renewed_one_by_one_and_none_stops_the_others() {
    for seed in 0..SEEDS / 4 {
        let (clients, of_token) = (4, 40);
        let mut plan = plan(clients, of_token, None);
        plan.server["tokenLifeMs"] = json!(20_000);
        let outcome = run(&plan, seed);
        assert!(most_of_a_client(&outcome) <= of_token, "seed {seed}: {}", outcome.ledger);
        let ideal = (of_token * clients as u64) as f64 * (RUN_US - WINDOW_US) as f64 / WINDOW_US as f64;
        let goodput = outcome.between(WINDOW_US, RUN_US) as f64 / ideal;
        assert!(goodput >= 0.97, "seed {seed}: goodput {goodput:.3}");
        assert_eq!(outcome.outages, [], "seed {seed}");
    }
}

#[test]
fn a_client_that_is_refused_for_good_leaves_the_others_working_and_is_told() {
    let (clients, of_token) = (4_usize, 40);
    for seed in 0..SEEDS / 4 {
        let known = |count: usize| super::sim::clients(count);
        let mut plan = plan(clients, of_token, None);
        plan.server["clients"] = known(clients);
        // Its probes are up to a minute apart.
        plan.run_us = 150 * SECOND_US;
        // From here on the last one has no token that is accepted, and gets none; later it does again.
        plan.changes = vec![
            (30 * SECOND_US, json!({ "clients": known(clients - 1) })),
            (80 * SECOND_US, json!({ "clients": known(clients) })),
        ];
        let outcome = run(&plan, seed);
        let goodput = |from_us: u64, to_us: u64, clients: usize| {
            let ideal = of_token as f64 * clients as f64 * (to_us - from_us) as f64 / WINDOW_US as f64;
            outcome.between(from_us, to_us) as f64 / ideal
        };
        let without = goodput(40 * SECOND_US, 80 * SECOND_US, clients - 1);
        assert!(without >= 0.97, "seed {seed}: {without:.3} without it");
        assert_eq!(outcome.outages, [("4".to_owned(), true), ("4".to_owned(), false)], "seed {seed}");
        assert!(most_of_a_client(&outcome) <= of_token, "seed {seed}: {}", outcome.ledger);
        assert_eq!(most(&outcome, "orderViolations"), 0, "seed {seed}");
    }
}

/// Half an hour with a minute's quota for each token, of which nobody is told; as Genesys says what was exceeded, or
/// not.
fn learned(seed: u64, names_limits: bool) {
    const MINUTE_US: u64 = 60 * SECOND_US;
    let (clients, of_token) = (3, 60);
    let mut plan = plan(clients, of_token, None);
    plan.server["tokenQuota"] =
        json!({ "requests": of_token, "perMs": MINUTE_US / 1_000, "algorithm": "fixed-window" });
    if !names_limits {
        plan.server["answerStyle"] = Value::Null;
        plan.server["headers"] = json!("none");
    }
    plan.rate_limit = json!({ "learn": true, "start": { "requests": 40, "perMs": MINUTE_US / 1_000 } });
    plan.run_us = 30 * MINUTE_US;
    let outcome = run(&plan, seed);
    let from_us = 10 * MINUTE_US;
    let ideal = (of_token * clients as u64) as f64 * (plan.run_us - from_us) as f64 / MINUTE_US as f64;
    let goodput = outcome.between(from_us, plan.run_us) as f64 / ideal;
    let refused = outcome.refused as f64 / outcome.delivered_us.len() as f64;
    let words = format!("seed {seed}, named {names_limits}: goodput {goodput:.3}, {refused:.4} refused");
    println!("{words}");
    assert!(goodput >= 0.95, "{words}");
    assert!(refused <= 0.02, "{words}");
    assert_eq!(most(&outcome, "orderViolations"), 0, "{words}");
}

#[test]
fn what_each_token_is_allowed_is_learned() {
    for seed in 0..SEEDS / 8 {
        learned(seed, true);
        learned(seed, false);
    }
}
