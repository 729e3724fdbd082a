//! Refusals of everybody: an address that is not allowed, a revoked role, a gateway that leads elsewhere. Messages wait
//! for their end; one that is refused while others are accepted ends by it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::time::Duration;

use bench::{Bench, answered, ids, retry_after, settled, status, unanswered};
use serde_json::json;
use spillway_core::dispatcher::{Effect, Hold, Notice};
use spillway_core::evidence::Evidence;
use spillway_core::message::{Message, Parts, Payload};
use spillway_core::outcome::Response;
use spillway_core::retry::Answer;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const PAGE: &str = "<!DOCTYPE html><html><h1>Forbidden</h1></html>";

fn with_body(status: u16, body: &str) -> Answer {
    let body = bytes::Bytes::copy_from_slice(body.as_bytes());
    let correlation_id = Some("correlation-7".to_owned());
    let response = Response { status, body, correlation_id, ..Response::default() };
    Answer::Answered { response, evidence: Evidence::default() }
}

fn refusals() -> Vec<(String, Answer)> {
    let mut all: Vec<(String, Answer)> = [301, 302, 303, 307, 308, 403, 404, 405, 407, 415, 501, 505]
        .into_iter()
        .map(|code| (code.to_string(), status(code)))
        .collect();
    for code in [400, 403, 404, 406, 407, 410, 451] {
        all.push((format!("{code} page"), with_body(code, PAGE)));
    }
    all.push(("403 code".to_owned(), with_body(403, r#"{"code":"missing.permissions","status":403}"#)));
    all
}

#[derive(Debug, Default)]
struct Run {
    ends: Vec<String>,
    /// When each request left, and the first message in it.
    left: Vec<(u64, String)>,
    outages: Vec<(String, bool)>,
}

impl Run {
    fn lost(&self) -> Vec<&String> {
        self.ends.iter().filter(|end| !end.ends_with("delivered")).collect()
    }

    fn take(&mut self, effects: &[Effect]) {
        self.ends.extend(settled(effects));
        self.outages.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Notice(Notice::Outage { reason, open, .. }) => Some(((*reason).to_owned(), *open)),
            _ => None,
        }));
    }
}

/// Lets time pass until `end`; what leaves is answered at once, by time and message.
fn run(bench: &mut Bench, (begun, end): (u64, u64), answer: impl Fn(u64, &str) -> Answer) -> Run {
    let mut run = Run::default();
    let step = if end - begun > HOUR { 500 } else { 50 };
    let mut now = begun;
    while now < end {
        let left = bench.answer_all(|name| answer(now, name), |effects| run.take(effects));
        run.left.extend(left.into_iter().map(|name| (now, name)));
        bench.wait_ms(step);
        now += step;
    }
    run
}

fn until(ends_at: u64, refusal: &Answer) -> impl Fn(u64, &str) -> Answer {
    let refusal = refusal.clone();
    move |now, _| if now < ends_at { refusal.clone() } else { status(200) }
}

fn send(bench: &mut Bench, count: usize, conversations: usize) {
    (0..count).for_each(|index| drop(bench.send(&format!("m{index}"), &format!("c{}", index % conversations))));
}

#[test]
fn what_refuses_everybody_loses_nothing() {
    for (name, refusal) in refusals() {
        for (count, conversations, lasts) in
            [(80, 80, 4 * SECOND), (60, 3, MINUTE), (300, 100, 30 * SECOND), (4, 4, HOUR)]
        {
            let mut bench = Bench::new(json!({}));
            send(&mut bench, count, conversations);
            let done = run(&mut bench, (0, lasts + MINUTE), until(lasts, &refusal));
            assert_eq!(done.lost(), Vec::<&String>::new(), "{name}, {count} messages, {lasts} ms");
            assert_eq!(done.ends.len(), count, "{name}, {count} messages, {lasts} ms");
            assert_eq!(done.outages, [("refused".to_owned(), true), ("refused".to_owned(), false)], "{name}");
        }
    }
}

#[test]
fn its_probes_are_few_and_of_different_conversations() {
    let mut bench = Bench::new(json!({}));
    send(&mut bench, 400, 40);
    let done = run(&mut bench, (0, 30 * MINUTE), |_, _| status(403));
    let late: Vec<_> = done.left.iter().filter(|(at, _)| *at >= MINUTE).collect();
    assert!((165..=174).contains(&late.len()), "{} requests after the first minute", late.len());
    let probing: BTreeSet<&String> = late.iter().map(|(_, name)| name).collect();
    assert_eq!(probing.len(), 40);
    let snapshot = bench.dispatcher.snapshot(bench.now);
    assert_eq!((snapshot.outage.unwrap().reason, snapshot.depth.messages), ("refused", 400));
    assert_eq!(snapshot.refusals.unwrap().status, 403);
}

#[test]
fn the_outage_tells_status_code_and_correlation_id() {
    let mut bench = Bench::new(json!({}));
    send(&mut bench, 3, 3);
    let leaving = bench.leaving();
    let denied = || with_body(403, r#"{"message":"secret of m0","code":"missing.permissions"}"#);
    let effects: Vec<Effect> = leaving.iter().flat_map(|(attempt, _)| bench.answer(*attempt, denied())).collect();
    let told = effects.iter().find_map(|effect| match effect {
        Effect::Notice(Notice::Outage { problem, open: true, .. }) => Some(problem.clone()),
        _ => None,
    });
    let words =
        "the server refuses all messages with status 403, code missing.permissions, correlation id correlation-7";
    assert_eq!(told.as_deref(), Some(words));
    let refusals = bench.dispatcher.snapshot(bench.now).refusals.unwrap();
    assert_eq!(
        (refusals.status, refusals.code.as_deref(), refusals.is_page),
        (403, Some("missing.permissions"), false)
    );
    assert_eq!(refusals.correlation_id.as_deref(), Some("correlation-7"));
}

#[test]
fn slow_traffic_loses_nothing() {
    let mut bench = Bench::new(json!({}));
    let mut ends = Vec::new();
    for minute in 0..60 {
        bench.send(&format!("m{minute}"), &format!("c{minute}"));
        let begun = minute * MINUTE;
        let done = run(
            &mut bench,
            (begun, begun + MINUTE),
            |now, _| if now < 30 * MINUTE { status(403) } else { status(200) },
        );
        ends.extend(done.ends);
    }
    let lost = ends.iter().filter(|end| !end.ends_with("delivered")).count();
    assert_eq!((lost, ends.len()), (0, 60), "{ends:?}");
}

#[test]
fn steady_traffic_loses_nothing_though_nobody_else_waits() {
    for (name, refusal) in refusals() {
        let mut bench = Bench::new(json!({}));
        let mut ends = Vec::new();
        for index in 0..60 {
            bench.send(&format!("m{index}"), &format!("c{}", index % 20));
            let begun = index * 3 * SECOND;
            ends.extend(
                run(&mut bench, (begun, begun + 3 * SECOND), |now, _| match now {
                    30_000..90_000 => refusal.clone(),
                    _ => status(200),
                })
                .ends,
            );
        }
        assert_eq!(ends.iter().filter(|end| end.ends_with("delivered")).count(), 60, "{name}: {ends:?}");
    }
}

#[test]
fn one_that_is_refused_after_others_were_accepted_waits_for_them_for_ten_seconds_before_it_is_tried_again() {
    let mut bench = Bench::new(json!({}));
    bench.send("good", "d");
    assert_eq!(run(&mut bench, (0, SECOND), |_, _| status(200)).ends, ["1 delivered"]);
    bench.send("bad", "c");
    let waits = run(&mut bench, (0, 9 * SECOND), |_, _| status(403));
    assert_eq!((waits.ends.len(), waits.left.len()), (0, 1));
    let done = run(&mut bench, (0, 2 * SECOND), |_, _| status(200));
    assert_eq!((done.ends, done.left.len()), (vec!["2 delivered".to_owned()], 1));
}

#[test]
fn one_that_is_refused_while_others_are_accepted_ends_by_it() {
    for (name, refusal) in refusals() {
        let mut bench = Bench::new(json!({}));
        bench.send("bad", "c");
        bench.send("good", "d");
        let leaving = bench.leaving();
        assert_eq!(ids(&leaving), ["bad", "good"]);
        assert!(settled(&bench.answer(leaving[0].0, refusal)).is_empty(), "{name}: the other one will tell");
        let effects = bench.answer(leaving[1].0, status(200));
        assert_eq!(settled(&effects), ["2 delivered", "1 DELIVERY_REJECTED"], "{name}");
        let attempts = effects.iter().find_map(|effect| match effect {
            Effect::Buried { failure, .. } => Some((failure.attempts, failure.ambiguous)),
            _ => None,
        });
        assert_eq!(attempts, Some((1, false)), "{name}");
    }
}

#[test]
fn what_left_before_a_refusal_tells_nothing_of_it() {
    let mut bench = Bench::new(json!({}));
    bench.send("early", "d");
    let early = bench.leaving();
    bench.wait_ms(10);
    bench.send("refused", "c");
    bench.send("more", "e");
    let late = bench.leaving();
    bench.answer(late[0].0, status(403));
    assert_eq!(settled(&bench.answer(early[0].0, status(200))), ["1 delivered"]);
    assert_eq!(settled(&bench.answer(late[1].0, status(200))), ["3 delivered", "2 DELIVERY_REJECTED"]);
}

#[test]
fn one_or_two_conversations_alone_survive_minutes_of_it() {
    for (name, refusal) in refusals() {
        for (conversations, lasts) in [(1, 5 * SECOND), (1, 5 * MINUTE), (2, 5 * SECOND), (2, MINUTE), (2, 5 * MINUTE)]
        {
            let mut bench = Bench::new(json!({}));
            send(&mut bench, 20, conversations);
            let done = run(&mut bench, (0, 10 * MINUTE), until(lasts, &refusal));
            assert_eq!(done.lost(), Vec::<&String>::new(), "{name}, {conversations}, {lasts} ms");
            assert_eq!(done.ends.len(), 20, "{name}, {conversations}, {lasts} ms");
            let during = done.left.iter().filter(|(at, _)| *at < lasts).count();
            assert!(during <= 10 * conversations, "{name}: {during} requests while it refuses");
        }
    }
}

#[test]
fn whoever_is_alone_is_tried_as_often_as_the_settings_allow_and_then_ends() {
    for (name, refusal) in refusals() {
        for (retry, attempts, within) in [
            (json!({}), 10, 7 * MINUTE),
            (json!({ "maxAttempts": 3 }), 3, 4 * SECOND),
            (json!({ "maxAttempts": 1 }), 1, SECOND),
            (json!({ "maxAgeMs": 10_000 }), 4, 8 * SECOND),
        ] {
            let mut bench = Bench::new(json!({ "retry": retry }));
            send(&mut bench, 1, 1);
            let done = run(&mut bench, (0, within), |_, _| refusal.clone());
            assert_eq!(done.ends, ["1 DELIVERY_REJECTED"], "{name}, {retry}");
            assert_eq!((done.left.len(), done.outages.len()), (attempts, 0), "{name}, {retry}");
        }
    }
}

#[test]
fn what_is_held_says_until_when() {
    let mut bench = Bench::new(json!({}));
    send(&mut bench, 1, 1);
    let leaving = bench.leaving();
    bench.answer(leaving[0].0, status(403));
    let explained = bench.dispatcher.explain(bench.now, "m0").unwrap();
    let wake = bench.dispatcher.next_wake();
    assert!(wake.is_some());
    let hold = Hold::Refusal(NonZeroU16::new(403));
    assert_eq!((explained.holds, explained.expected_at), (vec![(hold, wake)], wake));
    let refused = |bench: &Bench| bench.dispatcher.snapshot(bench.now).depth.refused;
    assert_eq!(refused(&bench), 1);
    bench.now = wake.unwrap();
    let again = bench.leaving();
    assert_eq!((ids(&again), refused(&bench)), (vec!["m0"], 0));
}

#[test]
fn a_wait_that_a_refusal_asks_for_is_kept_up_to_the_longest_pause() {
    // Alone, beside one that is accepted, and where it is an outage: its next probe.
    for (conversations, asked, waits) in [
        (1, 60, MINUTE),
        (2, 60, MINUTE),
        (3, 60, MINUTE),
        (20, 60, MINUTE),
        (1, 86_400, 3 * MINUTE),
        (20, 86_400, 3 * MINUTE),
    ] {
        for code in [302, 403, 404] {
            let mut bench = Bench::new(json!({ "retry": { "maxAgeMs": 2_592_000_000_u64 } }));
            send(&mut bench, conversations, conversations);
            let refusal = answered(code, retry_after_of(asked));
            let done = run(&mut bench, (0, waits), |_, _| refusal.clone());
            assert_eq!(done.left.len(), conversations, "{code}, {conversations} conversations, {asked} s");
            let done = run(&mut bench, (waits, waits + 30 * SECOND), |_, _| status(200));
            assert_eq!(
                (done.lost().len(), done.ends.len()),
                (0, conversations),
                "{code}, {conversations} conversations"
            );
        }
    }
    let mut bench = Bench::new(json!({}));
    send(&mut bench, 2, 2);
    for (attempt, _) in bench.leaving() {
        bench.answer(attempt, answered(403, retry_after_of(60)));
    }
    bench.send("good", "good");
    let good = bench.leaving();
    bench.answer(good[0].0, status(200));
    bench.wait_ms(MINUTE - 1);
    assert!(bench.leaving().is_empty(), "a success of others makes it no sooner");
    bench.wait_ms(1);
    let again: BTreeSet<String> = bench.leaving().into_iter().map(|(_, id)| id).collect();
    assert_eq!(again.len(), 2);
}

fn retry_after_of(seconds: u64) -> Evidence {
    Evidence { retry_after: Some(Duration::from_secs(seconds)), ..Evidence::default() }
}

#[test]
fn whoever_is_alone_ends_at_once_where_the_answer_says_that_its_conversation_is_over() {
    for (code, body) in
        [(404, r#"{"code":"not.found"}"#), (404, r#"{"message":"conversation c0 is over"}"#), (410, "{}")]
    {
        let mut bench = Bench::new(json!({}));
        send(&mut bench, 2, 1);
        let leaving = bench.leaving();
        assert_eq!(settled(&bench.answer(leaving[0].0, with_body(code, body))), ["1 DELIVERY_REJECTED"], "{body}");
        let leaving = bench.leaving();
        assert_eq!(settled(&bench.answer(leaving[0].0, with_body(code, body))), ["2 DELIVERY_REJECTED"], "{body}");
    }
}

/// An outage that ends says nothing of those who were refused in it, even if it was too small to be known as one.
#[test]
fn a_success_after_refusals_of_several_has_them_tried_once_more() {
    let mut bench = Bench::new(json!({}));
    bench.send("first", "c");
    bench.send("second", "d");
    let leaving = bench.leaving();
    for (attempt, _) in leaving {
        assert!(settled(&bench.answer(attempt, status(403))).is_empty());
    }
    bench.send("good", "e");
    let good = bench.leaving();
    assert_eq!(ids(&good), ["good"]);
    assert_eq!(settled(&bench.answer(good[0].0, status(200))), ["3 delivered"]);
    let again = bench.leaving();
    assert_eq!(ids(&again), ["first", "second"]);
    assert!(settled(&bench.answer(again[0].0, status(403))).is_empty(), "the other one will tell");
    assert_eq!(settled(&bench.answer(again[1].0, status(200))), ["2 delivered", "1 DELIVERY_REJECTED"]);
}

#[test]
fn nobody_is_held_for_longer_than_others_may_need() {
    let mut bench = Bench::new(json!({ "connections": { "requestTimeoutMs": 600_000 } }));
    send(&mut bench, 2, 2);
    let leaving = bench.leaving();
    assert!(settled(&bench.answer(leaving[0].0, status(404))).is_empty());
    bench.wait_ms(29_999);
    assert!(settled(&bench.poll()).is_empty());
    bench.wait_ms(1);
    let again = bench.leaving();
    assert_eq!(ids(&again), ["m0"], "it is tried again");
    assert_eq!(settled(&bench.answer(again[0].0, status(200))), ["1 delivered"]);
    assert_eq!(settled(&bench.answer(leaving[1].0, status(404))), Vec::<String>::new(), "it left before");
}

#[test]
fn what_is_held_can_be_canceled_and_expires() {
    use spillway_core::dispatcher::Event;
    let mut bench = Bench::new(json!({}));
    send(&mut bench, 3, 3);
    let leaving = bench.leaving();
    bench.answer(leaving[0].0, status(404));
    assert_eq!(settled(&bench.handle(Event::Cancel(bench::of(1)))), ["0 DELIVERY_ABORTED"]);
    bench.answer(leaving[1].0, status(404));
    assert_eq!(settled(&bench.answer(leaving[2].0, status(200))), ["3 delivered"]);
    let again = bench.leaving();
    assert_eq!(ids(&again), ["m1"], "it was not the only one that was refused");
    assert_eq!(settled(&bench.answer(again[0].0, status(200))), ["2 delivered"]);
    assert!(bench.dispatcher.is_idle());
}

/// Nobody waits any more for what others may tell of it.
#[test]
fn what_was_canceled_or_has_expired_on_the_wire_ends_with_its_refusal() {
    use spillway_core::dispatcher::Event;
    let mut bench = Bench::new(json!({}));
    bench.send("other", "other");
    let (canceled, _) = bench.send("canceled", "a");
    let expires_at = bench.now.after(Duration::from_secs(1));
    bench.submit("late", "b", |submission| submission.expires_at = Some(expires_at));
    let leaving = bench.leaving();
    assert_eq!(settled(&bench.handle(Event::Cancel(bench::of(canceled)))), [] as [&str; 0], "it is on the wire");
    bench.wait_ms(1_000);
    bench.poll();
    assert_eq!(settled(&bench.answer(leaving[1].0, status(407))), ["0 DELIVERY_ABORTED"]);
    assert_eq!(settled(&bench.answer(leaving[2].0, status(407))), ["3 EXPIRED"]);
    assert_eq!(settled(&bench.answer(leaving[0].0, status(200))), ["1 delivered"]);
    assert!(bench.dispatcher.is_idle());
}

#[test]
fn conversations_that_are_refused_for_their_own_sake_end_and_stop_nobody() {
    let mut bench = Bench::new(json!({}));
    let bad = |name: &str| name.starts_with("bad");
    let mut ends = Vec::new();
    for index in 0..5 {
        bench.send(&format!("bad{index}"), &format!("bad{index}"));
    }
    let answer = |_, name: &str| if bad(name) { status(404) } else { status(200) };
    let mut requests = 0;
    for second in 0..60 {
        (0..10).for_each(|index| drop(bench.send(&format!("m{second}-{index}"), &format!("c{index}"))));
        let done = run(&mut bench, (second * SECOND, (second + 1) * SECOND), answer);
        requests += done.left.len();
        ends.extend(done.ends);
    }
    let lost = ends.iter().filter(|end| !end.ends_with("delivered")).count();
    assert_eq!((lost, ends.len()), (5, 605));
    assert!(requests <= 605 + 5 * 2, "{requests} requests");
}

#[test]
fn a_refusal_ends_no_pause() {
    for (name, refusal) in refusals() {
        let mut bench = Bench::new(json!({}));
        send(&mut bench, 100, 100);
        let begin = move |now, _: &str| match now {
            0..1_000 => retry_after(1),
            1_000..3_000 => refusal.clone(),
            _ => status(200),
        };
        let done = run(&mut bench, (0, MINUTE), begin);
        assert_eq!(done.lost(), Vec::<&String>::new(), "{name}");
        assert_eq!(done.ends.len(), 100, "{name}");
        let during = done.left.iter().filter(|(at, _)| (1_000..3_000).contains(at)).count();
        assert!(during <= 3, "{name}: {during} requests while it refuses");
    }
}

#[test]
fn a_refusal_ends_no_outage_either() {
    for down in [status(503), status(502), unanswered()] {
        let mut bench = Bench::new(json!({}));
        send(&mut bench, 100, 100);
        let answer = |now, _: &str| match now {
            0..10_000 => down.clone(),
            10_000..40_000 => with_body(403, PAGE),
            _ => status(200),
        };
        let done = run(&mut bench, (0, 2 * MINUTE), answer);
        assert_eq!((done.lost().len(), done.ends.len()), (0, 100));
        let told: Vec<(&str, bool)> = done.outages.iter().map(|(reason, open)| (&**reason, *open)).collect();
        assert_eq!(told, [("breaker", true), ("breaker", false), ("refused", true), ("refused", false)]);
    }
}

#[test]
fn a_refusal_that_is_about_the_message_opens_the_gate() {
    for about_it in [400, 413, 422, 409] {
        let mut bench = Bench::new(json!({}));
        send(&mut bench, 10, 10);
        let answer = move |now, _: &str| match now {
            0..2_000 => status(403),
            _ => status(about_it),
        };
        let done = run(&mut bench, (0, 20 * SECOND), answer);
        assert_eq!((done.lost().len(), done.ends.len()), (10, 10), "{about_it}");
        assert_eq!(done.outages.last(), Some(&("refused".to_owned(), false)), "{about_it}");
    }
}

#[test]
fn a_failure_does_not_end_it() {
    let mut bench = Bench::new(json!({}));
    send(&mut bench, 30, 30);
    let answer = |now, _: &str| match now {
        0..2_000 => status(403),
        2_000..60_000 => status(500),
        60_000..120_000 => status(403),
        _ => status(200),
    };
    let done = run(&mut bench, (0, 3 * MINUTE), answer);
    assert_eq!((done.lost().len(), done.ends.len()), (0, 30));
}

#[test]
fn arrays_and_merged_texts_wait_as_well() {
    let array = json!({ "mode": "array", "maxMessages": 10, "lingerMs": 0 });
    let merge = json!({ "mode": "merge", "maxMessages": 50 });
    for (route, batch, conversations) in [("messaging-array", array, 10), ("messaging", merge, 3)] {
        for (name, refusal) in refusals() {
            // A page with 400 says to an array that it is to be split.
            let mut bench = Bench::new(json!({ "route": route, "batch": batch }));
            send(&mut bench, 60, conversations);
            let done = run(&mut bench, (0, 2 * MINUTE), until(30 * SECOND, &refusal));
            assert_eq!((done.lost().len(), done.ends.len()), (0, 60), "{route}, {name}");
        }
    }
}

#[test]
fn one_at_fault_takes_no_array_with_it() {
    let mut bench = Bench::new(
        json!({ "route": "messaging-array", "batch": { "mode": "array", "maxMessages": 2, "lingerMs": 0 } }),
    );
    for id in ["bad", "good", "other", "another"] {
        bench.submit(id, id, |submission| {
            let body = format!("\"{id}\"");
            let parts = Parts { id, id_given: true, conversation: id, body: &body, ..Parts::default() };
            submission.payload = Payload::Message(Message::new(parts).unwrap());
        });
    }
    let mut ends = Vec::new();
    for _ in 0..200 {
        for effect in bench.poll() {
            let Effect::Send { attempt, shipment } = effect else { continue };
            let has_bad = String::from_utf8_lossy(&shipment.body.unwrap()).contains("bad");
            ends.extend(settled(&bench.answer(attempt, status(if has_bad { 403 } else { 200 }))));
        }
        bench.wait_ms(50);
    }
    ends.sort();
    assert_eq!(ends, ["1 DELIVERY_REJECTED", "2 delivered", "3 delivered", "4 delivered"]);
}

/// Answers each array with a list: what `status` says of a conversation, by the position of its message.
fn answer_lists(bench: &mut Bench, status_of: impl Fn(&str) -> u16) -> (Run, usize) {
    let (mut run, mut requests) = (Run::default(), 0);
    loop {
        let effects = bench.poll();
        run.take(&effects);
        let leaving: Vec<_> = effects
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Send { attempt, shipment } => Some((attempt, shipment.body.unwrap())),
                _ => None,
            })
            .collect();
        if leaving.is_empty() {
            return (run, requests);
        }
        for (attempt, body) in leaving {
            let conversations: Vec<String> = serde_json::from_slice(&body).unwrap();
            let item = |name: &String| json!({ "status": status_of(name), "code": "missing.permissions" });
            let list: Vec<_> = conversations.iter().map(item).collect();
            run.take(&bench.answer(attempt, with_body(207, &json!(list).to_string())));
            requests += 1;
        }
    }
}

fn send_named(bench: &mut Bench, names: impl Iterator<Item = String>) {
    for name in names {
        bench.submit(&name, &name, |submission| {
            let body = json!(name).to_string();
            let parts = Parts { id: &name, id_given: true, conversation: &name, body: &body, ..Parts::default() };
            submission.payload = Payload::Message(Message::new(parts).unwrap());
        });
    }
}

#[test]
fn a_list_that_refuses_every_message_in_the_same_way_refuses_everybody() {
    let batch = json!({ "mode": "array", "maxMessages": 10, "lingerMs": 0 });
    let mut bench = Bench::new(json!({ "route": "messaging-array", "batch": batch }));
    send_named(&mut bench, (0..60).map(|index| format!("c{index}")));
    let mut all = Run::default();
    for step in 0..1_200 {
        let (run, _) = answer_lists(&mut bench, |_| if step < 600 { 403 } else { 200 });
        all.ends.extend(run.ends);
        all.outages.extend(run.outages);
        bench.wait_ms(50);
    }
    assert_eq!((all.lost().len(), all.ends.len()), (0, 60));
    assert_eq!(all.outages, [("refused".to_owned(), true), ("refused".to_owned(), false)]);
}

#[test]
fn a_list_that_takes_one_message_tells_of_each_what_it_says() {
    let batch = json!({ "mode": "array", "maxMessages": 10, "lingerMs": 0 });
    for other in [200, 400] {
        let mut bench = Bench::new(json!({ "route": "messaging-array", "batch": batch.clone() }));
        send_named(&mut bench, (0..10).map(|index| format!("c{index}")));
        let (run, requests) = answer_lists(&mut bench, |name| if name == "c7" { other } else { 403 });
        assert_eq!((run.ends.len(), run.outages.len(), requests), (10, 0, 1), "{other}");
        assert_eq!(run.lost().len(), if other == 200 { 9 } else { 10 });
    }
}

#[test]
fn calls_are_told_what_the_server_says() {
    let mut bench = Bench::new(json!({}));
    let calls: Vec<u64> = (0..5).map(|_| bench.call("GET")).collect();
    let leaving = bench.leaving();
    assert_eq!(leaving.len(), calls.len());
    for ((attempt, _), ticket) in leaving.iter().zip(&calls) {
        let ends = settled(&bench.answer(*attempt, answered(403, Evidence::default())));
        assert_eq!(ends, [format!("{ticket} DELIVERY_REJECTED")]);
    }
    send(&mut bench, 3, 3);
    for (attempt, _) in bench.leaving() {
        bench.answer(attempt, status(403));
    }
    bench.call("GET");
    assert_eq!(ids(&bench.leaving()), ["/x"], "they have another route, and nothing is known of it");
}
