//! With `ambiguous: 'fail'`: nothing is sent again that may have been taken, and an outage costs a few messages.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::collections::BTreeMap;
use std::time::Duration;

use bench::{Bench, answered, settled, status, unanswered};
use serde_json::{Value, json};
use spillway_core::evidence::{Evidence, NamedLimit};
use spillway_core::retry::Answer;

const SECOND: u64 = 1_000;
const SOUNDING: &str = "/api/v2/date";

/// A server that takes everything until `down`, and says so or not.
struct Run {
    taken: BTreeMap<String, u32>,
    ends: Vec<String>,
    /// When a request left, and what it carried.
    left: Vec<(u64, String)>,
}

fn run(options: Value, arrivals: impl Fn(&mut Bench, u64), end: u64, answer: impl Fn(u64, &str) -> Answer) -> Run {
    let mut bench = Bench::new(options);
    let mut run = Run { taken: BTreeMap::new(), ends: Vec::new(), left: Vec::new() };
    for now in (0..end).step_by(50) {
        arrivals(&mut bench, now);
        loop {
            let leaving = bench.leaving();
            if leaving.is_empty() {
                break;
            }
            for (attempt, name) in leaving {
                let answer = answer(now, &name);
                *run.taken.entry(name.clone()).or_default() += 1;
                run.left.push((now, name));
                run.ends.extend(settled(&bench.answer(attempt, answer)));
            }
        }
        bench.wait_ms(50);
    }
    run
}

fn failures() -> Vec<(&'static str, Answer)> {
    vec![
        ("408", status(408)),
        ("500", status(500)),
        ("502", status(502)),
        ("504", status(504)),
        ("520", status(520)),
        ("cut", unanswered()),
    ]
}

fn fail() -> Value {
    json!({ "retry": { "ambiguous": "fail" } })
}

#[test]
fn an_outage_costs_a_few_messages_and_sends_none_twice() {
    for (name, down) in failures() {
        for (begins, count) in [(0, 100), (5 * SECOND, 300)] {
            let arrive = |bench: &mut Bench, now: u64| match now {
                0 if begins == 0 => {
                    (0..count).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))))
                }
                _ if begins > 0 && now.is_multiple_of(100) && now / 100 < count => {
                    bench.send(&format!("m{}", now / 100), &format!("c{}", now / 100));
                }
                _ => {}
            };
            let outage = begins..begins + 60 * SECOND;
            let done =
                run(
                    fail(),
                    arrive,
                    120 * SECOND,
                    |now, _| if outage.contains(&now) { down.clone() } else { status(200) },
                );
            let lost = done.ends.iter().filter(|end| end.ends_with("DELIVERY_AMBIGUOUS")).count();
            assert_eq!(done.ends.len() as u64, count, "{name}, from {begins}");
            assert!(lost <= 4, "{name}, from {begins}: {lost} messages");
            let twice = done.taken.iter().find(|(id, times)| *id != SOUNDING && **times > 1);
            assert_eq!(twice, None, "{name}, from {begins}");
            let asked = done.left.iter().filter(|(at, id)| id == SOUNDING && outage.contains(at)).count();
            assert!((5..=12).contains(&asked), "{name}, from {begins}: asked {asked} times in a minute");
        }
    }
}

#[test]
fn a_message_is_risked_only_after_an_answer_to_what_is_safe_to_repeat() {
    for there in [200, 204, 301, 400, 401, 403, 404, 405] {
        let arrive = |bench: &mut Bench, now: u64| {
            if now == 0 {
                (0..50).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
            }
        };
        let done = run(fail(), arrive, 60 * SECOND, |now, path| match path {
            SOUNDING if now < 20 * SECOND => status(502),
            SOUNDING => status(there),
            _ if now < 20 * SECOND => status(502),
            _ => status(200),
        });
        assert_eq!(
            (done.ends.len(), done.ends.iter().filter(|end| end.ends_with("AMBIGUOUS")).count()),
            (50, 4),
            "{there}"
        );
        let answered = done.left.iter().position(|(at, id)| id == SOUNDING && *at >= 20 * SECOND).unwrap();
        assert!(done.left[4..answered].iter().all(|(_, id)| id == SOUNDING), "{there}: {:?}", &done.left[..answered]);
        assert_eq!(done.left[answered..].iter().filter(|(_, id)| id == SOUNDING).count(), 1, "{there}");
    }
}

/// Its failure is newer than what was answered meanwhile.
#[test]
fn a_message_that_fails_late_has_the_question_asked_again() {
    let mut bench = Bench::new(fail());
    (0..40).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
    for _ in 0..2 {
        bench.leaving().into_iter().for_each(|(attempt, _)| drop(bench.answer(attempt, status(200))));
    }
    let under_way = bench.leaving();
    assert!(under_way.len() >= 6);
    for (attempt, _) in &under_way[..4] {
        bench.answer(*attempt, unanswered());
    }
    let mut asked = Vec::new();
    for failed in &under_way[4..6] {
        let (attempt, name) = loop {
            bench.wait_ms(50);
            if let Some(left) = bench.leaving().pop() {
                break left;
            }
        };
        bench.answer(attempt, status(200));
        bench.answer(failed.0, unanswered());
        asked.push(name);
    }
    assert_eq!(asked, [SOUNDING, SOUNDING]);
}

#[test]
fn where_messages_may_be_sent_again_they_probe_themselves() {
    let arrive = |bench: &mut Bench, now: u64| {
        if now == 0 {
            (0..50).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
        }
    };
    let done = run(json!({}), arrive, 90 * SECOND, |now, _| if now < 60 * SECOND { status(502) } else { status(200) });
    assert_eq!((done.ends.len(), done.taken.contains_key(SOUNDING)), (50, false));
}

#[test]
fn an_outage_of_the_messages_own_path_is_asked_about_by_that_path() {
    let arrive = |bench: &mut Bench, now: u64| {
        if now == 0 {
            (0..100).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
        }
    };
    let is_own = |id: &str| id.starts_with("/api/v2/messaging/");
    let done = run(fail(), arrive, 10 * 60 * SECOND, |now, path| match path {
        SOUNDING => status(200),
        _ if now < 5 * 60 * SECOND => status(502),
        path if is_own(path) => status(405),
        _ => status(200),
    });
    let lost = done.ends.iter().filter(|end| end.ends_with("DELIVERY_AMBIGUOUS")).count();
    assert_eq!((done.ends.len(), lost), (100, 5), "four find the outage, and one that the date says nothing about it");
    let asked = done.left.iter().filter(|(at, id)| is_own(id) && *at < 5 * 60 * SECOND).count();
    assert!((24..=40).contains(&asked), "asked {asked} times in five minutes");
}

#[test]
fn where_no_question_tells_messages_are_risked_ever_more_seldom() {
    let arrive = |bench: &mut Bench, now: u64| {
        if now == 0 {
            (0..100).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
        }
    };
    let hour = 3_600 * SECOND;
    let done = run(fail(), arrive, hour + 600 * SECOND, |now, id| match id.starts_with('/') {
        true => status(404),
        false if now < hour => unanswered(),
        false => status(200),
    });
    let lost = done.ends.iter().filter(|end| end.ends_with("DELIVERY_AMBIGUOUS")).count();
    assert_eq!(done.ends.len(), 100);
    assert!((20..=30).contains(&lost), "{lost} messages in an hour");
}

#[test]
fn what_is_risked_at_once_grows_with_what_is_taken() {
    let mut bench = Bench::new(fail());
    (0..200).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
    let mut at_once = Vec::new();
    for _ in 0..8 {
        let leaving = bench.leaving();
        at_once.push(leaving.len());
        leaving.into_iter().for_each(|(attempt, _)| drop(bench.answer(attempt, status(200))));
    }
    assert_eq!(at_once[..6], [2, 4, 8, 16, 32, 64], "as many as there are connections");
}

#[test]
fn calls_wait_for_no_message() {
    let mut bench = Bench::new(fail());
    (0..10).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
    (0..5).for_each(|_| {
        bench.call("GET");
    });
    assert_eq!(bench.leaving().len(), 2 + 5);
}

/// Only what stands in front of the API knows nothing of its limits.
#[test]
fn a_limit_of_the_path_that_is_asked_is_an_answer_and_pauses_nobody() {
    let limit = NamedLimit { key: "dates.per.minute".to_owned(), namespace: Some("dates".to_owned()), value: Some(1) };
    let retry_after = Some(Duration::from_secs(30));
    let limited = answered(429, Evidence { retry_after, limit: Some(Box::new(limit)), ..Evidence::default() });
    let arrive = |bench: &mut Bench, now: u64| {
        if now == 0 {
            (0..50).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{index}"))));
        }
    };
    let done = run(fail(), arrive, 60 * SECOND, |now, path| match path {
        SOUNDING if now >= 20 * SECOND => limited.clone(),
        _ if now < 20 * SECOND => status(502),
        _ => status(200),
    });
    assert_eq!(done.ends.len(), 50);
    let (asked_at, _) = done.left.iter().find(|(at, id)| id == SOUNDING && *at >= 20 * SECOND).unwrap();
    let (last_at, _) = done.left.last().unwrap();
    assert!(*last_at < asked_at + 10 * SECOND, "asked at {asked_at}, done at {last_at}");
}
