//! The oracle can fail. Dispatchers that break one rule on purpose (by settings that the oracle doesn't know of, or
//! since they are told another answer than the oracle) are found out by it; and so are histories that no dispatcher of
//! ours makes.

use std::num::NonZeroU32;
use std::time::Duration;

use spillway_core::outcome::Response;
use spillway_core::retry::Answer;
use spillway_core::settings::{Ambiguous, Ordering, Settings};

use super::arrivals::Arrivals;
use super::ends::Came;
use super::oracle::Oracle;
use super::plan::Plan;
use super::risk::Risk;
use super::sim::Sim;
use super::submission_model::SubmissionModel;
use super::tickets::Tickets;
use super::weather;

/// A control that isn't found out in so many runs is missed.
const SEEDS: u64 = 400;

struct Control {
    /// How the name of the rule begins that is broken.
    rule: &'static str,
    first_seed: u64,
    settings: fn(&mut Settings),
    lie: fn(Answer) -> Answer,
}

fn same(answer: Answer) -> Answer {
    answer
}

/// The same answer with another status.
fn called(answer: Answer, wanted: &[u16], status: u16) -> Answer {
    match answer {
        Answer::Answered { response, evidence } if wanted.contains(&response.status) => {
            Answer::Answered { response: Response { status, ..response }, evidence }
        }
        other => other,
    }
}

fn controls() -> Vec<Control> {
    let broken = |rule, settings: fn(&mut Settings)| Control { rule, first_seed: 0, settings, lie: same };
    let told = |rule, lie: fn(Answer) -> Answer| Control { rule, first_seed: 0, settings: |_| {}, lie };
    vec![
        told("1 ", |answer| called(answer, &[503], 200)),
        told("1 delivery table", |answer| called(answer, &[200], 503)),
        broken("1 delivery table", |settings| settings.retry.ambiguous = Ambiguous::Retry),
        broken("2 order", |settings| settings.ordering = Ordering::None),
        broken("3 budget", |settings| {
            for rate in &mut settings.rates {
                let twice = NonZeroU32::new(rate.requests.get() * 2).unwrap();
                (rate.requests, rate.burst) = (twice, twice);
            }
        }),
        told("4 ", |answer| called(answer, &[429], 503)),
        broken("6 attempts", |settings| settings.retry.max_attempts += 5),
        broken("6 connections", |settings| settings.connections.max *= 2),
        broken("1 conservation", |settings| settings.queue.max_messages *= 2),
        Control {
            first_seed: weather::FIRST_SEED,
            ..told("1 systemic", |answer| called(answer, &[403, 404, 405, 407, 415, 301, 302, 308], 422))
        },
        Control { first_seed: weather::FIRST_SEED, ..broken("1 outage", |settings| settings.retry.max_attempts = 1) },
    ]
}

#[test]
fn a_dispatcher_that_breaks_a_rule_is_found_out() {
    for Control { rule, first_seed, settings, lie } in controls() {
        let runs = first_seed..first_seed + SEEDS;
        let violations = runs.filter_map(|seed| Sim::broken(seed, settings, lie).run().err());
        let rules: Vec<&str> = violations.map(|violation| violation.rule).take(40).collect();
        assert!(rules.iter().any(|found| found.starts_with(rule)), "nobody misses {rule:?}, but {rules:?}");
    }
}

fn model(ticket: u64, name: &str) -> SubmissionModel {
    SubmissionModel {
        ticket,
        settles_on_acceptance: false,
        name: name.to_owned(),
        is_call: false,
        id_given: true,
        conversation: "c".to_owned(),
        attempts_max: None,
        bytes: 1,
        expires_us: None,
        not_before_us: None,
        born: 0,
        redriven: false,
    }
}

/// Oracle with two messages of one conversation; nothing happens twice by `'fail'`.
fn oracle() -> Oracle {
    let mut settings = Plan::of(0).settings;
    settings.retry.ambiguous = Ambiguous::Fail;
    settings.ordering = Ordering::Conversation;
    (settings.queue.max_messages, settings.queue.max_bytes) = (10, 1_000);
    let mut oracle = Oracle::new(&settings);
    for (ticket, name) in [(1, "first"), (2, "second")] {
        assert_eq!(oracle.tickets.issue(), ticket);
        oracle.submit(0, model(ticket, name));
    }
    oracle
}

#[test]
fn what_is_accepted_twice_is_found_out() {
    let mut oracle = oracle();
    assert_eq!(oracle.sent(0, 1, "first"), Ok(()));
    assert_eq!(oracle.accepted_by_server(1), Ok(()));
    oracle.ended(1, Came::Unclear);
    assert_eq!(oracle.sent(1, 2, "first"), Ok(()), "which is the delivery table's to find");
    assert_eq!(oracle.accepted_by_server(2).unwrap_err().rule, "6 at most once");
}

#[test]
fn what_overtakes_is_sent_twice_or_never_ends_is_found_out() {
    let mut overtaken = oracle();
    assert_eq!(overtaken.sent(0, 1, "second").unwrap_err().rule, "2 order");
    let mut twice = oracle();
    assert_eq!(twice.sent(0, 1, "first"), Ok(()));
    assert_eq!(twice.sent(0, 2, "first").unwrap_err().rule, "1 sent once");
    assert_eq!(oracle().check_end().unwrap_err().rule, "1 nothing left");
    let mut tickets = Tickets::default();
    tickets.issue();
    assert_eq!(tickets.check_end().unwrap_err().rule, "1 settled at the end");
    assert_eq!(tickets.settle(1), Ok(()));
    assert_eq!(tickets.settle(1).unwrap_err().rule, "1 settled once");
}

#[test]
fn one_request_more_than_the_budget_is_found_out() {
    let mut settings = Plan::of(0).settings;
    settings.rates.truncate(1);
    (settings.rates[0].requests, settings.rates[0].per) = (NonZeroU32::new(2).unwrap(), Duration::from_secs(1));
    let mut arrivals = Arrivals::new(&settings.rates);
    assert_eq!(arrivals.arrived(0), Ok(()));
    assert_eq!(arrivals.arrived(999_999), Ok(()));
    assert_eq!(arrivals.arrived(1_000_000), Ok(()), "the first has left the window");
    assert_eq!(arrivals.arrived(1_000_001).unwrap_err().rule, "3 budget");
}

#[test]
fn a_message_that_is_risked_in_an_outage_is_found_out() {
    let mut risk = Risk::new(Ambiguous::Fail);
    (0..3).for_each(|_| risk.ended(Came::Lost));
    assert_eq!(risk.sent(), Ok(()));
    risk.ended(Came::Unclear);
    assert_eq!(risk.sent().unwrap_err().rule, "6 risk");
    risk.answered(Came::Rejected);
    assert_eq!(risk.sent(), Ok(()), "the server is there");
    risk.ended(Came::Lost);
    assert_eq!(risk.sent().unwrap_err().rule, "6 risk");
    assert_eq!(Risk::new(Ambiguous::Retry).sent(), Ok(()));
}
