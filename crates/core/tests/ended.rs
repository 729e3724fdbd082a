//! Conversations of which the server says that they are over: what waits in them doesn't spend everybody's budget, and
//! each message ends once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::collections::BTreeSet;
use std::time::Duration;

use bench::{Bench, ids, of, settled, status};
use serde_json::{Value, json};
use spillway_core::dispatcher::{Effect, Event, Hold};
use spillway_core::evidence::Evidence;
use spillway_core::message::{Message, Parts, Payload};
use spillway_core::outcome::{DeliveryFailure, LetterFilter, Reason, Response};
use spillway_core::retry::Answer;
use spillway_core::stats::PauseScope;

const SECOND: u64 = 1_000;
/// Between two turns.
const TURN: Duration = Duration::from_millis(1);
const MINUTE: u64 = 60 * SECOND;

fn with_body(status: u16, body: &str) -> Answer {
    let body = bytes::Bytes::copy_from_slice(body.as_bytes());
    Answer::Answered { response: Response { status, body, ..Response::default() }, evidence: Evidence::default() }
}

fn over(status: u16) -> Answer {
    with_body(status, r#"{"code":"not.found","message":"Unable to find conversation","status":404}"#)
}

fn of_setting(setting: &str, patch: Value) -> Bench {
    let mut options =
        json!({ "retry": { "endedConversation": setting }, "rateLimit": { "requests": 10, "perMs": 1_000 } });
    options.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
    Bench::new(options)
}

#[derive(Debug, Default)]
struct Run {
    /// When each message left.
    left: Vec<(u64, String)>,
    ends: Vec<(u64, String)>,
    letters: Vec<DeliveryFailure>,
}

impl Run {
    fn take(&mut self, now: u64, effects: &[Effect]) {
        self.ends.extend(settled(effects).into_iter().map(|end| (now, end)));
        self.letters.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Buried { failure, .. } => Some(failure.clone()),
            _ => None,
        }));
    }

    fn delivered(&self) -> usize {
        self.ends.iter().filter(|(_, end)| end.ends_with("delivered")).count()
    }

    /// When the last message was delivered.
    fn all_delivered_at(&self) -> u64 {
        self.ends.iter().filter(|(_, end)| end.ends_with("delivered")).map(|(at, _)| *at).max().unwrap_or_default()
    }
}

/// Lets time pass until `end`; what leaves is answered at once, by time and message.
fn run(bench: &mut Bench, (begun, end): (u64, u64), answer: impl Fn(u64, &str) -> Answer) -> Run {
    let mut run = Run::default();
    for now in (begun..end).step_by(10) {
        let left = bench.answer_all(|name| answer(now, name), |effects| run.take(now, effects));
        run.left.extend(left.into_iter().map(|name| (now, name)));
        bench.wait_ms(10);
    }
    run
}

fn send(bench: &mut Bench, conversation: &str, count: usize) {
    (0..count).for_each(|index| drop(bench.send(&format!("{conversation}-{index}"), conversation)));
}

fn is_dead(id: &str) -> bool {
    id.starts_with("dead")
}

fn answer_dead(code: u16) -> impl Fn(u64, &str) -> Answer {
    move |_, id| if is_dead(id) { over(code) } else { status(200) }
}

#[test]
fn a_conversation_that_is_over_spends_little_of_the_budget_of_others() {
    for code in [404, 410] {
        for (setting, most) in [("each", 12), ("bury", 1)] {
            let mut bench = of_setting(setting, json!({}));
            send(&mut bench, "dead", 200);
            (0..4).for_each(|index| send(&mut bench, &format!("live{index}"), 40));
            let done = run(&mut bench, (0, 20 * SECOND), answer_dead(code));
            assert_eq!(done.delivered(), 160, "{code} {setting}");
            let at = done.all_delivered_at();
            assert!(at <= 17_500, "{code} {setting}: {at} ms");
            let meanwhile = done.left.iter().filter(|(left, id)| *left <= at && is_dead(id)).count();
            assert!(meanwhile <= most, "{code} {setting}: {meanwhile} requests");
        }
    }
}

#[test]
fn by_default_each_is_tried_and_ends_by_its_own_answer() {
    let mut bench = Bench::new(json!({}));
    send(&mut bench, "dead", 200);
    let done = run(&mut bench, (0, 30 * SECOND), answer_dead(404));
    assert_eq!((done.left.len(), done.letters.len()), (200, 200));
    let left: Vec<&String> = done.left.iter().map(|(_, id)| id).collect();
    let in_order: Vec<String> = (0..200).map(|index| format!("dead-{index}")).collect();
    assert_eq!(left, in_order.iter().collect::<Vec<_>>());
    assert!(done.letters.iter().all(|letter| (letter.reason, letter.attempts) == (Reason::Rejected, 1)));
    assert!(bench.dispatcher.is_idle());
}

#[test]
fn alone_it_takes_half_of_the_budget() {
    let mut bench = of_setting("each", json!({}));
    send(&mut bench, "dead", 200);
    let done = run(&mut bench, (0, MINUTE), answer_dead(404));
    assert!((195..=200).contains(&done.left.len()), "{}", done.left.len());
    let mut bench = of_setting("each", json!({ "rateLimit": { "requests": 300, "perMs": 60_000 } }));
    send(&mut bench, "dead", 200);
    let done = run(&mut bench, (0, MINUTE), answer_dead(404));
    assert!((148..=153).contains(&done.left.len()), "{}", done.left.len());
}

#[test]
fn many_of_them_share_what_one_may_have() {
    let mut bench = of_setting("each", json!({}));
    (0..20).for_each(|index| send(&mut bench, &format!("dead{index}"), 20));
    (0..4).for_each(|index| send(&mut bench, &format!("live{index}"), 100));
    let done = run(&mut bench, (0, MINUTE), answer_dead(404));
    assert_eq!(done.delivered(), 400);
    let at = done.all_delivered_at();
    let meanwhile = done.left.iter().filter(|(left, id)| *left <= at && is_dead(id)).count();
    assert!(meanwhile <= 2 * 2 * 20 + 30, "{meanwhile} of them in {at} ms");
    let tried: BTreeSet<&str> =
        done.left.iter().filter(|(_, id)| is_dead(id)).filter_map(|(_, id)| id.split('-').next()).collect();
    assert_eq!(tried.len(), 20, "each has its turn");
}

#[test]
fn what_is_buried_was_not_sent_and_says_so() {
    let mut bench = of_setting("bury", json!({}));
    send(&mut bench, "dead", 600);
    let done = run(&mut bench, (0, SECOND), answer_dead(404));
    assert_eq!((done.left.len(), done.letters.len()), (1, 600));
    for (index, letter) in done.letters.iter().enumerate() {
        assert_eq!(letter.id.as_deref(), Some(&*format!("dead-{index}")));
        assert_eq!((letter.reason, letter.ambiguous), (Reason::Rejected, false));
        assert_eq!(letter.response.as_ref().map(|response| response.status), Some(404));
        let (attempts, is_told) =
            (letter.attempts, letter.problem.as_deref().is_some_and(|text| text.contains("not sent")));
        assert_eq!((attempts, is_told), if index == 0 { (1, false) } else { (0, true) });
    }
    assert!(bench.dispatcher.is_idle());
}

#[test]
fn no_turn_buries_more_than_a_few() {
    let mut bench = of_setting("bury", json!({}));
    send(&mut bench, "dead", 600);
    let leaving = bench.leaving();
    assert_eq!(settled(&bench.answer(leaving[0].0, over(404))).len(), 1);
    let mut buried = Vec::new();
    for _ in 0..3 {
        let effects = bench.poll();
        assert!(bench::sends(&effects).is_empty(), "nothing of it leaves meanwhile");
        buried.push(settled(&effects).len());
        assert_eq!(bench.dispatcher.next_wake(), Some(bench.now.after(TURN)), "others have their turn");
        bench.wait_ms(1);
    }
    assert_eq!(buried, [256, 256, 87]);
}

#[test]
fn what_is_accepted_later_is_tried() {
    let mut bench = of_setting("bury", json!({}));
    send(&mut bench, "dead", 300);
    let leaving = bench.leaving();
    bench.answer(leaving[0].0, over(404));
    bench.send("dead-new", "dead");
    let done = run(&mut bench, (0, SECOND), |_, _| status(200));
    assert_eq!(done.letters.len(), 299);
    assert_eq!(done.left.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["dead-new"]);
    assert_eq!(done.delivered(), 1);
}

#[test]
fn a_success_ends_it() {
    let mut bench = of_setting("each", json!({}));
    send(&mut bench, "dead", 100);
    let answer = |_, id: &str| if matches!(id, "dead-0" | "dead-1" | "dead-2") { over(404) } else { status(200) };
    let done = run(&mut bench, (0, 20 * SECOND), answer);
    assert_eq!((done.letters.len(), done.delivered()), (3, 97));
    assert!(done.all_delivered_at() <= 11 * SECOND, "at full speed: {} ms", done.all_delivered_at());
}

#[test]
fn refusals_of_another_kind_are_no_end_of_it() {
    for refusal in [400, 422, 409, 413] {
        let mut bench = of_setting("bury", json!({}));
        send(&mut bench, "dead", 50);
        let done = run(&mut bench, (0, 10 * SECOND), move |_, _| status(refusal));
        assert_eq!(done.left.len(), 50, "{refusal}");
    }
}

#[test]
fn redriven_letters_are_tried_again() {
    let mut bench = of_setting("bury", json!({}));
    send(&mut bench, "dead", 50);
    run(&mut bench, (0, SECOND), answer_dead(404));
    let filter = LetterFilter { status: Some(404), ..LetterFilter::ALL };
    bench.handle(Event::RedriveAll(of(1_000), filter));
    let done = run(&mut bench, (SECOND, 10 * SECOND), |_, _| status(200));
    assert!(done.ends.iter().any(|(_, end)| end == "1000 redriven 50 full 0 unsendable 0"), "{:?}", done.ends);
    assert_eq!(done.left.len(), 50);
}

#[test]
fn it_is_shown_and_an_operator_can_have_it_tried() {
    let mut bench = of_setting("each", json!({ "rateLimit": { "requests": 10, "perMs": 60_000 } }));
    send(&mut bench, "dead", 10);
    (0..4).for_each(|index| send(&mut bench, &format!("live{index}"), 10));
    run(&mut bench, (0, 5 * SECOND), answer_dead(404));
    let pauses = bench.dispatcher.snapshot(bench.now).pauses;
    let [pause] = pauses.as_slice() else { panic!("{pauses:?}") };
    assert_eq!((&pause.scope, pause.closure.reason), (&PauseScope::Conversation("dead".into()), "ended"));
    assert!(pause.closure.next_probe.is_some());
    let explained = bench.dispatcher.explain(bench.now, "dead-9").unwrap();
    assert!(
        explained.holds.iter().any(|(hold, until)| *hold == Hold::Ended && until.is_some()),
        "{:?}",
        explained.holds
    );
    bench.handle(Event::Resume(of(1_000), PauseScope::Conversation("dead".into())));
    assert!(bench.dispatcher.snapshot(bench.now).pauses.is_empty());
}

#[test]
fn a_merged_request_that_is_refused_so_is_one_refusal() {
    let merge = json!({ "batch": { "mode": "merge", "maxMessages": 10 } });
    for (setting, requests) in [("each", 10), ("bury", 1)] {
        let mut bench = of_setting(setting, merge.clone());
        send(&mut bench, "dead", 100);
        let done = run(&mut bench, (0, 10 * SECOND), answer_dead(404));
        assert_eq!((done.left.len(), done.letters.len()), (requests, 100), "{setting}");
    }
}

/// Answers an array by the conversations in it: refused as a whole for one that is over, or with a status for each.
fn run_arrays(setting: &str, whole: bool) -> (usize, Vec<(String, u64)>) {
    let batch = json!({ "mode": "array", "maxMessages": 8, "lingerMs": 0, "arrayOrdered": true });
    let mut bench = of_setting(setting, json!({ "route": "messaging-array", "batch": batch }));
    for (conversation, count) in [("dead", 40), ("live0", 20), ("live1", 20)] {
        for index in 0..count {
            let id = format!("{conversation}-{index}");
            bench.submit(&id, conversation, |submission| {
                let body = format!("{{\"id\":\"{id}\"}}");
                let parts = Parts { id: &id, id_given: true, conversation, body: &body, ..Parts::default() };
                submission.payload = Payload::Message(Message::new(parts).unwrap());
            });
        }
    }
    let (mut requests, mut ends) = (0, Vec::new());
    for now in (0..MINUTE).step_by(10) {
        for effect in bench.poll() {
            let note = |effect: &Effect, ends: &mut Vec<(String, u64)>| match effect {
                Effect::Buried { failure, .. } => ends.push((format!("{} dead", failure.id.clone().unwrap()), now)),
                Effect::Delivered { receipt, .. } => ends.push((format!("{} delivered", receipt.message.id()), now)),
                _ => {}
            };
            note(&effect, &mut ends);
            let Effect::Send { attempt, shipment } = effect else { continue };
            requests += 1;
            let sent: Vec<Value> = serde_json::from_slice(&shipment.body.unwrap()).unwrap();
            let sent: Vec<&str> = sent.iter().map(|message| message["id"].as_str().unwrap()).collect();
            let answer = if !sent.iter().any(|id| is_dead(id)) {
                status(200)
            } else if whole {
                with_body(404, r#"{"code":"not.found","message":"dead was not found"}"#)
            } else {
                let items: Vec<Value> = sent
                    .iter()
                    .map(|id| json!({ "id": id, "status": if is_dead(id) { 404 } else { 200 }, "message": "conversation not found" }))
                    .collect();
                with_body(207, &json!(items).to_string())
            };
            bench.answer(attempt, answer).iter().for_each(|effect| note(effect, &mut ends));
        }
        bench.wait_ms(10);
    }
    assert!(bench.dispatcher.is_idle(), "{setting}, whole {whole}: {} left", bench.dispatcher.unsettled());
    (requests, ends)
}

#[test]
fn arrays_lose_no_message_of_others_to_it() {
    for setting in ["each", "bury"] {
        for whole in [true, false] {
            let (requests, ends) = run_arrays(setting, whole);
            let delivered = ends.iter().filter(|(end, _)| end.ends_with("delivered")).count();
            assert_eq!((ends.len(), delivered), (80, 40), "{setting}, whole {whole}: {ends:?}");
            assert!(ends.iter().all(|(end, _)| end.starts_with("live") == end.ends_with("delivered")));
            if setting == "bury" {
                assert!(requests <= 20, "{requests} requests, whole {whole}");
            }
        }
    }
}

#[test]
fn without_order_what_is_on_the_wire_has_its_own_answer() {
    for setting in ["each", "bury"] {
        let mut bench = of_setting(setting, json!({ "ordering": "none", "connections": { "max": 4 } }));
        send(&mut bench, "dead", 50);
        bench.wait_ms(SECOND);
        let leaving = bench.leaving();
        assert_eq!(ids(&leaving), ["dead-0", "dead-1", "dead-2", "dead-3"]);
        assert_eq!(settled(&bench.answer(leaving[0].0, over(410))), ["1 DELIVERY_REJECTED"]);
        assert_eq!(settled(&bench.answer(leaving[1].0, status(200))), ["2 delivered"], "it is there after all");
        for (attempt, _) in &leaving[2..] {
            bench.answer(*attempt, over(410));
        }
        let done = run(&mut bench, (0, 30 * SECOND), answer_dead(410));
        assert_eq!(done.letters.len(), 46, "{setting}");
        assert!(bench.dispatcher.is_idle());
    }
}
