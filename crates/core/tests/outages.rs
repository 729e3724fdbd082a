//! An outage costs time, and nothing else: no attempt, no age, no message.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::collections::{BTreeMap, BTreeSet};

use bench::{Bench, settled, status, unanswered};
use serde_json::json;
use spillway_core::dispatcher::{Effect, Event};
use spillway_core::retry::Answer;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The answers of a server that is down, as a gateway, the network or the resolver gives them.
fn outages() -> Vec<(&'static str, Answer)> {
    let unsent = |problem: &str| Answer::Unsent { problem: problem.to_owned() };
    vec![
        ("refused", unsent("connection refused")),
        ("DNS", unsent("no address")),
        ("TLS", unsent("certificate expired")),
        ("cut", unanswered()),
        ("500", status(500)),
        ("502", status(502)),
        ("503", status(503)),
        ("504", status(504)),
        ("408", status(408)),
        ("521", status(521)),
    ]
}

#[derive(Debug, Default)]
struct Run {
    /// Requests, by the message that they carry.
    requests: BTreeMap<String, u32>,
    /// When requests left.
    left_at: Vec<u64>,
    ends: Vec<String>,
}

impl Run {
    fn lost(&self) -> Vec<&String> {
        self.ends.iter().filter(|end| !end.ends_with("delivered")).collect()
    }
}

/// Lets time pass in steps until `end`; what leaves is answered at once, by the time.
fn run(bench: &mut Bench, begun: u64, end: u64, step: u64, answer: impl Fn(u64) -> Answer) -> Run {
    let mut run = Run::default();
    let mut now = begun;
    while now < end {
        loop {
            let leaving = bench.leaving();
            if leaving.is_empty() {
                break;
            }
            for (attempt, name) in leaving {
                *run.requests.entry(name).or_default() += 1;
                run.left_at.push(now);
                run.ends.extend(settled(&bench.answer(attempt, answer(now))));
            }
        }
        bench.wait_ms(step);
        now += step;
    }
    run
}

fn send(bench: &mut Bench, count: usize) {
    (0..count).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
}

#[test]
fn an_outage_of_any_kind_loses_nothing_however_few_messages_wait() {
    for (name, down) in outages() {
        for (count, lasts) in [(1, MINUTE), (3, 10 * MINUTE), (20, MINUTE), (20, 24 * HOUR), (200, HOUR)] {
            let mut bench = Bench::new(json!({}));
            send(&mut bench, count);
            let step = if lasts > HOUR { 500 } else { 50 };
            let done =
                run(
                    &mut bench,
                    0,
                    lasts + 2 * MINUTE,
                    step,
                    |now| if now < lasts { down.clone() } else { status(200) },
                );
            assert_eq!(done.lost(), Vec::<&String>::new(), "{name}, {count} messages, {lasts} ms");
            assert_eq!(
                done.ends.len(),
                count,
                "{name}, {count} messages, {lasts} ms: {:?}",
                bench.dispatcher.snapshot(bench.now)
            );
        }
    }
}

/// What was surely not processed says nothing of the message, however short its life is.
#[test]
fn a_short_age_loses_no_message_that_is_alone_to_an_outage_that_processes_none() {
    let is_processed = |name: &str| !["refused", "DNS", "TLS", "503"].contains(&name);
    for (name, down) in outages() {
        for max_age in [1_000, 5_000, 30_000] {
            let mut bench = Bench::new(json!({ "retry": { "maxAgeMs": max_age } }));
            send(&mut bench, 1);
            let answer = |now| if now < MINUTE { down.clone() } else { status(200) };
            let done = run(&mut bench, 0, 2 * MINUTE, 50, answer);
            assert_eq!(done.lost().is_empty(), !is_processed(name), "{name}, {max_age} ms: {:?}", done.ends);
        }
    }
}

#[test]
fn steady_traffic_loses_nothing_either() {
    for (name, down) in outages() {
        let mut bench = Bench::new(json!({}));
        let (mut ends, mut sent) = (Vec::new(), 0);
        for second in 0..1_500 {
            bench.send(&format!("m{second}"), &format!("c{}", second % 50));
            sent += 1;
            let answer = |_| if (30..1_230).contains(&second) { down.clone() } else { status(200) };
            ends.extend(run(&mut bench, 0, SECOND, 50, answer).ends);
        }
        assert!(ends.iter().all(|end| end.ends_with("delivered")), "{name}: {ends:?}");
        assert_eq!(ends.len(), sent, "{name}");
    }
}

#[test]
fn probes_rotate_over_conversations_and_are_few() {
    for (name, down) in outages() {
        let mut bench = Bench::new(json!({}));
        send(&mut bench, 40);
        let done = run(&mut bench, 0, HOUR, 50, |_| down.clone());
        let late: Vec<&u64> = done.left_at.iter().filter(|at| **at >= MINUTE).collect();
        assert!(late.len() as u64 <= HOUR / (10 * SECOND), "{name}: {} requests after the first minute", late.len());
        let probing: BTreeSet<u32> = done.requests.values().copied().collect();
        let (least, most) = (probing.first().unwrap(), probing.last().unwrap());
        assert!(most - least <= 3, "{name}: {:?}", done.requests);
    }
}

#[test]
fn a_message_at_fault_still_ends_while_others_are_taken() {
    for failure in [status(500), status(503), unanswered()] {
        let mut bench = Bench::new(json!({}));
        bench.send("bad", "c");
        let mut ends = Vec::new();
        for second in 0..600 {
            bench.send(&format!("m{second}"), &format!("c{second}"));
            for _ in 0..20 {
                for (attempt, name) in bench.leaving() {
                    let answer = if name == "bad" { failure.clone() } else { status(200) };
                    ends.extend(settled(&bench.answer(attempt, answer)));
                }
                bench.wait_ms(50);
            }
        }
        let lost: Vec<&String> = ends.iter().filter(|end| !end.ends_with("delivered")).collect();
        assert_eq!(lost, ["1 DELIVERY_EXHAUSTED"]);
        assert_eq!(ends.len(), 601);
    }
}

#[test]
fn after_an_outage_requests_leave_evenly_paced() {
    for (name, down) in outages() {
        let mut bench = Bench::new(json!({ "rateLimit": { "requests": 300, "perMs": 60_000 } }));
        send(&mut bench, 300);
        let done =
            run(&mut bench, 0, 12 * MINUTE, 10, |now| if now < 10 * MINUTE { down.clone() } else { status(200) });
        assert_eq!(done.ends.len(), 300, "{name}");
        let first = *done.left_at.iter().find(|at| **at >= 10 * MINUTE).unwrap();
        let burst = done.left_at.iter().filter(|at| (first..first + SECOND).contains(at)).count();
        assert!(burst <= 6, "{name}: {burst} requests in the first second");
        assert!(first - 10 * MINUTE <= 31 * SECOND, "{name}: found after {} ms", first - 10 * MINUTE);
    }
}

fn unsent() -> Answer {
    Answer::Unsent { problem: "connection refused".to_owned() }
}

/// An organization that has an outage, with messages that wait.
fn out(answer: &Answer) -> Bench {
    let mut bench = Bench::new(json!({}));
    send(&mut bench, 20);
    while bench.dispatcher.snapshot(bench.now).outage.is_none() {
        bench.answer_all(|_| answer.clone(), |_| {});
        bench.wait_ms(50);
    }
    bench
}

/// What happens within this time, in words: the host is checked, and a request leaves.
fn watch(bench: &mut Bench, ms: u64, is_reachable: bool, answer: &Answer) -> Vec<&'static str> {
    let mut seen = Vec::new();
    for _ in 0..ms / 10 {
        let effects = bench.poll();
        for effect in &effects {
            match effect {
                Effect::CheckReachable => {
                    seen.push("check");
                    bench.handle(Event::ReachableChecked(is_reachable));
                }
                Effect::Send { attempt, .. } => {
                    seen.push("request");
                    bench.answer(*attempt, answer.clone());
                }
                _ => {}
            }
        }
        bench.wait_ms(10);
    }
    seen
}

#[test]
fn while_no_connection_can_be_made_the_host_is_checked_without_requests() {
    let mut bench = out(&unsent());
    watch(&mut bench, MINUTE, false, &unsent());
    let seen = watch(&mut bench, 10 * MINUTE, false, &unsent());
    let count = |what| seen.iter().filter(|one| **one == what).count();
    assert!((300..=600).contains(&count("check")), "{}", count("check"));
    assert!((55..=61).contains(&count("request")), "as before: {}", count("request"));
}

#[test]
fn a_host_that_can_be_reached_again_is_probed_at_once() {
    let mut bench = out(&unsent());
    watch(&mut bench, 5 * MINUTE, false, &unsent());
    // The next regular probe is up to ten seconds away.
    let seen = watch(&mut bench, 2 * SECOND + 20, true, &status(200));
    assert!(seen.starts_with(&["check", "request"]) || seen.starts_with(&["request"]), "{seen:?}");
    assert!(bench.dispatcher.snapshot(bench.now).outage.is_none());
    assert_eq!(seen.iter().filter(|one| **one == "check").count() + 20, seen.len(), "every message leaves: {seen:?}");
}

/// Where a connection can be made and requests fail all the same, it has cost one request more than without checks.
#[test]
fn a_connection_that_can_be_made_deceives_once_in_an_outage() {
    for down in [unsent(), unanswered(), status(503)] {
        let mut bench = out(&unsent());
        watch(&mut bench, 5 * MINUTE, false, &unsent());
        let seen = watch(&mut bench, 10 * MINUTE, true, &down);
        assert!(seen.iter().filter(|one| **one == "check").count() <= 1, "{down:?}: {seen:?}");
        assert!((55..=62).contains(&seen.len()), "{down:?}: {}", seen.len());
        // The next outage is another one.
        while bench.dispatcher.snapshot(bench.now).outage.is_some() {
            watch(&mut bench, SECOND, true, &status(200));
        }
        (0..20).for_each(|index| drop(bench.send(&format!("next{index}"), &format!("c{index}"))));
        watch(&mut bench, MINUTE, false, &unsent());
        assert!(watch(&mut bench, MINUTE, false, &unsent()).contains(&"check"), "{down:?}");
    }
}

#[test]
fn nothing_is_checked_where_the_server_itself_fails_nobody_waits_or_an_operator_holds() {
    for down in [unanswered(), status(503)] {
        let seen = watch(&mut out(&down), 5 * MINUTE, true, &down);
        assert!(!seen.contains(&"check"), "{down:?}");
    }
    let mut bench = out(&unsent());
    (1..=20).for_each(|number| drop(bench.handle(Event::Cancel(bench::of(number)))));
    assert!(watch(&mut bench, 5 * MINUTE, false, &unsent()).is_empty(), "nothing waits");
    let mut bench = out(&unsent());
    bench.handle(Event::Pause(bench::of(100), None));
    assert!(watch(&mut bench, 5 * MINUTE, true, &unsent()).is_empty(), "an operator holds everything back");
}

/// It was out when its engine was built again, or is late: the probe that is under way tells more.
#[test]
fn a_check_that_nobody_waits_for_changes_nothing() {
    let mut bench = out(&unsent());
    let closure = bench.dispatcher.snapshot(bench.now).outage;
    bench.handle(Event::ReachableChecked(true));
    assert_eq!(bench.dispatcher.snapshot(bench.now).outage, closure);
}
