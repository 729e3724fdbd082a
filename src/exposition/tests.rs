#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]
use std::time::Duration;

use spillway_core::clock::Timestamp;
use spillway_core::error::Error;
use spillway_core::stats::{Closure, Counters, Depth, Latencies, Outage, Pause, PauseScope, Snapshot, StoreStanding};

use super::rows::escaped;
use super::*;

const NOW: Timestamp = Timestamp::START;

fn snapshot() -> Snapshot {
    Snapshot {
        at: NOW,
        counters: Counters::default(),
        depth: Depth::default(),
        quota: Vec::new(),
        tokens: Vec::new(),
        quota_since: NOW,
        available: 1,
        next_free: None,
        pause: None,
        pauses: Vec::new(),
        outage: None,
        outage_problem: None,
        refusals: None,
        outages: Vec::new(),
        fleet: None,
        joins: None,
        store: None,
    }
}

fn closure(reason: &'static str, until: Option<Timestamp>) -> Closure {
    Closure { reason, since: NOW, until, next_probe: None }
}

fn lines(snapshot: Option<Snapshot>) -> Vec<String> {
    let reading = Reading { organization: escaped("o"), snapshot, latencies: Latencies::default(), now: NOW };
    text_of(&[reading]).lines().map(str::to_owned).collect()
}

/// The samples of a family, without its name and the organization.
fn samples(lines: &[String], name: &str) -> Vec<String> {
    let start = format!("{name}{{organization=\"o\"");
    lines.iter().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect()
}

#[test]
fn a_label_stays_one_line_whatever_is_in_it() {
    // No organization has a line break today; the escape doesn't rely on it.
    assert_eq!(escaped("a\n\"b\\"), "a\\n\\\"b\\\\");
}

#[test]
fn quantiles_of_nothing_are_no_numbers_and_what_nobody_knows_is_absent() {
    let untold = Snapshot { available: 0, pause: Some(closure("backoff", None)), ..snapshot() };
    let lines = lines(Some(untold));
    assert_eq!(
        samples(&lines, "spillway_message_total_seconds"),
        [",quantile=\"0.5\"} NaN", ",quantile=\"0.99\"} NaN", ",quantile=\"1\"} NaN"]
    );
    assert_eq!(samples(&lines, "spillway_message_total_seconds_count"), ["} 0"]);
    assert_eq!(samples(&lines, "spillway_paused"), ["} 1"]);
    for name in
        ["spillway_budget_next_seconds", "spillway_pause_remaining_seconds", "spillway_messages_recovered_total"]
    {
        assert!(!lines.iter().any(|line| line.contains(name)), "{name}");
    }
}

#[test]
fn an_engine_that_has_published_nothing_yet_has_latencies_alone() {
    let lines = lines(None);
    assert_eq!(lines.iter().filter(|line| line.starts_with("# TYPE")).count(), 3, "{lines:?}");
}

#[test]
fn no_engine_is_an_empty_line() {
    assert_eq!(text_of(&[]), "\n");
}

#[test]
fn times_are_seconds() {
    let until = Some(NOW.after(Duration::from_millis(1_500)));
    let waiting = Snapshot { available: 0, next_free: until, pause: Some(closure("retry-after", until)), ..snapshot() };
    let lines = lines(Some(waiting));
    assert_eq!(samples(&lines, "spillway_budget_next_seconds"), ["} 1.5"]);
    assert_eq!(samples(&lines, "spillway_pause_remaining_seconds"), ["} 1.5"]);
}

#[test]
fn pauses_are_counted_by_their_limit_and_conversations_not_named() {
    let pause = |scope| Pause { scope, limit: None, closure: closure("retry-after", None) };
    let conversation = |id: &str| PauseScope::Conversation(id.into());
    let pauses = vec![pause(conversation("a")), pause(PauseScope::Route("GET /x".into())), pause(conversation("b"))];
    let lines = lines(Some(Snapshot { pauses, ..snapshot() }));
    assert_eq!(
        samples(&lines, "spillway_pauses"),
        [
            ",scope=\"conversation\",route=\"\",namespace=\"\",key=\"\",value=\"\"} 2",
            ",scope=\"route\",route=\"GET /x\",namespace=\"\",key=\"\",value=\"\"} 1",
        ]
    );
}

#[test]
fn outages_that_hold_at_once_are_told_by_reason_and_the_stores_is_one() {
    let flags = |snapshot| {
        let lines = lines(Some(snapshot));
        samples(&lines, "spillway_outage").iter().map(|line| line.ends_with('1')).collect::<Vec<_>>()
    };
    assert_eq!(flags(snapshot()), [false; 6]);
    let of_a_route =
        Outage { route: Some("GET /x".into()), token: None, closure: closure("breaker", None), problem: None };
    let of_all = Outage { route: None, token: None, closure: closure("token", None), problem: None };
    let of_a_client =
        Outage { route: None, token: Some("survey".into()), closure: closure("auth", None), problem: None };
    let outages = vec![of_a_route, of_a_client, of_all];
    let both = Snapshot { outage: Some(closure("refused", None)), outages, ..snapshot() };
    assert_eq!(flags(both), [false, false, false, true, true, false], "auth, breaker, budget, refused, token, store");
    let store = StoreStanding { problem: Some(Error::Closed), ..StoreStanding::default() };
    assert_eq!(flags(Snapshot { store: Some(store), ..snapshot() }), [false, false, false, false, false, true]);
}

#[test]
fn what_a_file_could_give_back_is_counted() {
    let store = StoreStanding {
        recovered: 7,
        unreadable: 2,
        set_aside: Some("outbox.db.corrupt-1".into()),
        ..StoreStanding::default()
    };
    let lines = lines(Some(Snapshot { store: Some(store), ..snapshot() }));
    assert_eq!(samples(&lines, "spillway_messages_recovered_total"), ["} 7"]);
    assert_eq!(samples(&lines, "spillway_messages_unreadable_total"), ["} 2"]);
    assert_eq!(samples(&lines, "spillway_store_set_aside"), ["} 1"]);
    assert!(!lines.iter().any(|line| line.contains("corrupt-1")));
}
