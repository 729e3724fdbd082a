//! What an earlier run left: messages that wait cold until their turn is near.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use bench::{Bench, settled};
use serde_json::json;
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{Effect, Event, Notice};
use spillway_core::error::{Error, StoreErrorKind};
use spillway_core::evidence::Evidence;
use spillway_core::message::{Message, Parts, Payload};
use spillway_core::outcome::{DeadLetter, DeliveryFailure, Reason, Response};
use spillway_core::retry::Answer;
use spillway_core::store::{Opening, Record, Row, Salvage, Unreadable, Waiting, batch_number};

fn waiting(seq: u64, id: &str) -> Row {
    let (id, conversation) = (id.into(), "c".into());
    Row::Waiting(Waiting { seq, id, conversation, priority: 0, bytes: 2, expires_at: None })
}

fn record(seq: u64, conversation: &str, body: &str, at: Timestamp) -> Record {
    let id = format!("m{seq}");
    let message = Message::new(Parts { id: &id, id_given: true, conversation, body, ..Parts::default() }).unwrap();
    Record::new(seq, message, at)
}

/// A member of a batch that was on the wire when the process ended.
fn sent_together(seq: u64, conversation: &str, body: &str) -> Row {
    let mut record = record(seq, conversation, body, Timestamp::START);
    (record.sent, record.attempts, record.batch) = (true, 1, Some(batch_number(1, usize::try_from(seq).unwrap() - 1)));
    Row::Started(Box::new(record))
}

/// Opens an outbox with these rows.
fn opened(settings: serde_json::Value, rows: Vec<Row>) -> (Bench, Vec<Effect>) {
    let mut bench = Bench::new(settings);
    let last_seq = rows.len() as u64;
    let mut effects = bench.handle(Event::Found(rows));
    effects.extend(bench.handle(Event::Opened(Box::new(Opening { last_seq, ..Opening::default() }))));
    (bench, effects)
}

/// Delivers all that leaves: path, body and number of messages of each request, by their turns.
fn delivered(bench: &mut Bench) -> Vec<(String, String, u32)> {
    let mut requests = Vec::new();
    loop {
        let effects = bench.poll();
        if effects.is_empty() {
            return requests;
        }
        for effect in effects {
            if let Effect::Send { attempt, shipment } = effect {
                let body = String::from_utf8(shipment.body.unwrap().to_vec()).unwrap();
                requests.push((shipment.path, body, shipment.messages));
                bench.answer(attempt, bench::status(200));
            }
        }
    }
}

#[test]
fn a_lower_priority_whose_turn_it_is_is_loaded_however_many_are_nearer() {
    let conversations = 400;
    let row = |seq: u64| {
        let (id, conversation) = (format!("m{seq}").into(), format!("c{seq}").into());
        let priority = if seq == conversations { -1 } else { 0 };
        Row::Waiting(Waiting { seq, id, conversation, priority, bytes: 2, expires_at: None })
    };
    let (mut bench, _) = opened(json!({ "store": "file:any.db" }), (1..=conversations).map(row).collect());
    let mut left = conversations;
    loop {
        let effects = bench.poll();
        assert!(!effects.is_empty() || left == 0, "{left} wait for nothing");
        if left == 0 {
            return;
        }
        for effect in effects {
            match effect {
                Effect::Load(wanted) => {
                    let load =
                        |(slot, seq)| (slot, seq, Ok(Box::new(record(seq, &format!("c{seq}"), "{}", bench.now))));
                    let loaded = wanted.into_iter().map(load).collect();
                    bench.handle(Event::Loaded(loaded));
                }
                Effect::Send { attempt, .. } => {
                    bench.answer(attempt, bench::status(200));
                    left -= 1;
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_batch_that_another_route_or_mode_cannot_repeat_goes_message_by_message() {
    let array = json!({ "store": "file:any.db", "route": "messaging-array", "batch": { "mode": "array" } });
    let merge = |patch: &str| {
        let mut options = json!({ "store": "file:any.db", "route": "messaging", "batch": { "mode": "merge" } });
        if !patch.is_empty() {
            let path = "/m/{conversationId}";
            options["route"] = serde_json::from_str(&patch.replace('$', path)).unwrap();
        }
        options
    };
    let alone = json!({ "store": "file:any.db", "route": "messaging" });
    let of_many = || vec![sent_together(1, "c1", r#"{"text":"a"}"#), sent_together(2, "c2", r#"{"text":"b"}"#)];
    let of_one = || vec![sent_together(1, "c", r#"{"text":"a"}"#), sent_together(2, "c", r#"{"text":"b"}"#)];
    let (own_path, other_field, short) = (
        r#"{ "path": "/a/{conversationId}", "array": true }"#,
        r#"{ "path": "$", "textField": "textBody" }"#,
        r#"{ "path": "$", "textField": "text", "maxTextLength": 2 }"#,
    );
    let mut array_by_conversation = array.clone();
    array_by_conversation["route"] = serde_json::from_str(own_path).unwrap();
    for (settings, rows, requests) in [
        // As it was, it is repeated as it was.
        (array.clone(), of_many(), 1),
        (merge(""), of_one(), 1),
        (array, of_one(), 1),
        (alone.clone(), of_many(), 2),
        (merge(""), of_many(), 2),
        (array_by_conversation, of_many(), 2),
        (merge(other_field), of_one(), 2),
        (merge(short), of_one(), 2),
        (json!({ "store": "file:any.db", "route": { "path": "/m/{conversationId}" } }), of_one(), 2),
    ] {
        let name = settings.to_string();
        let (mut bench, _) = opened(settings, rows);
        let mut sent = delivered(&mut bench);
        bench.wait_ms(60_000);
        sent.extend(delivered(&mut bench));
        assert_eq!(sent.len(), requests, "{name}: {sent:?}");
        assert_eq!(sent.iter().map(|(.., messages)| messages).sum::<u32>(), 2, "{name}: {sent:?}");
        for text in [r#"a"#, r#"b"#] {
            let holds = |(path, body, _): &(String, String, u32)| body.contains(text) && !path.is_empty();
            assert!(sent.iter().any(holds), "{name}: {sent:?}");
        }
        assert!(bench.dispatcher.is_idle());
    }
}

#[test]
fn a_message_that_has_no_path_by_this_route_is_a_dead_letter_and_goes_nowhere() {
    let settings = json!({ "store": "file:any.db", "route": "open-inbound" });
    let (mut bench, effects) = opened(settings, vec![sent_together(1, "c", "{}"), waiting(2, "m2")]);
    assert_eq!(settled(&effects), ["0 DELIVERY_AMBIGUOUS"], "it may have arrived by the other route");
    let Some(Effect::Load(wanted)) = bench.poll().into_iter().find(|effect| matches!(effect, Effect::Load(_))) else {
        panic!("its turn is near, so it is loaded")
    };
    let loaded = wanted.into_iter().map(|(slot, seq)| (slot, seq, Ok(Box::new(record(seq, "c", "{}", bench.now)))));
    let effects = bench.handle(Event::Loaded(loaded.collect()));
    assert_eq!(settled(&effects), ["0 DELIVERY_REJECTED"]);
    let letters: Vec<_> = bench.dispatcher.letters(0).map(|(_, letter)| letter.failure.to_string()).collect();
    assert_eq!(letters[1], "the message can't be sent: params.integrationId is missing: the route's path needs it");
    assert!(bench.leaving().is_empty());
}

#[test]
fn a_letter_that_has_no_path_by_this_route_stays_one() {
    let mut bench = Bench::new(json!({ "store": "file:any.db", "route": "open-inbound" }));
    bench.handle(Event::Found(vec![letter(&bench, "dead")]));
    bench.handle(Event::Opened(Box::default()));
    let effects = bench.handle(Event::Redrive(bench::of(7), "dead".into()));
    let told = |effect: &Effect| matches!(effect, Effect::Failed(to, Error::MessageInvalid { .. }) if to.number == 7);
    assert!(effects.iter().any(told), "{effects:?}");
    assert_eq!((bench.dispatcher.letters(0).count(), bench.leaving().len()), (1, 0));
}

#[test]
fn an_array_waits_no_longer_for_a_message_of_a_clock_that_was_put_back() {
    let settings = json!({
        "store": "file:any.db", "route": "messaging-array", "batch": { "mode": "array", "lingerMs": 200 },
    });
    let (mut bench, _) = opened(settings, vec![waiting(1, "m1")]);
    let Some(Effect::Load(wanted)) = bench.poll().into_iter().find(|effect| matches!(effect, Effect::Load(_))) else {
        panic!("its turn is near, so it is loaded")
    };
    let ahead = bench.now.after(std::time::Duration::from_secs(3_600));
    let loaded = wanted.into_iter().map(|(slot, seq)| (slot, seq, Ok(Box::new(record(seq, "c", "{}", ahead)))));
    bench.handle(Event::Loaded(loaded.collect()));
    assert!(bench.leaving().is_empty(), "it waits for company");
    bench.wait_ms(200);
    assert_eq!(bench.leaving().len(), 1);
}

#[test]
fn who_waits_for_a_message_that_cannot_be_read_is_told() {
    let mut bench = Bench::new(json!({ "store": "file:any.db" }));
    bench.handle(Event::Found(vec![waiting(1, "a")]));
    bench.handle(Event::Opened(Box::new(Opening { last_seq: 1, ..Opening::default() })));
    let (ticket, effects) = bench.submit("a", "c", |_| {});
    assert!(effects.is_empty(), "it follows the message that is there: {effects:?}");

    let effects = unread(&mut bench, |_| Some("a".into()));
    let told = |effect: &Effect| matches!(effect, Effect::Failed(to, Error::Store { .. }) if to.number == ticket);
    assert!(effects.iter().any(told), "{effects:?}");
    assert_eq!(bench.dispatcher.unsettled(), 0);
    assert_eq!(bench.dispatcher.snapshot(bench.now).store.unwrap().unreadable, 1, "and so are the numbers");
}

/// None of the messages whose turn is near can be read; `id` is what seems to be theirs.
fn unread(bench: &mut Bench, id: impl Fn(u64) -> Option<Box<str>>) -> Vec<Effect> {
    let Some(Effect::Load(wanted)) = bench.poll().into_iter().find(|effect| matches!(effect, Effect::Load(_))) else {
        panic!("their turn is near, so they are loaded")
    };
    let outcome = |seq| Err(Unreadable { id: id(seq) });
    bench.handle(Event::Loaded(wanted.into_iter().map(|(slot, seq)| (slot, seq, outcome(seq))).collect()))
}

#[test]
fn a_message_that_cannot_be_read_is_told_although_nobody_awaits_it() {
    let rows = (1..=5).map(|seq| waiting(seq, &format!("m{seq}"))).collect();
    let (mut bench, _) = opened(json!({ "store": "file:any.db" }), rows);
    // Of the fourth nothing is left, and of the fifth what is another one's.
    let effects = unread(&mut bench, |seq| match seq {
        4 => None,
        5 => Some("m1".into()),
        _ => Some(format!("m{seq}").into()),
    });
    let mut told = Vec::new();
    for effect in &effects {
        match effect {
            Effect::Buried { waiter: None, conversation, failure } => {
                assert_eq!((&**conversation, failure.reason, failure.attempts), ("c", Reason::Unreadable, 0));
                let text = failure.to_string();
                assert_eq!(
                    text,
                    "the store can't read the message, so it was not sent: it stays in the store for a repair"
                );
                told.push(failure.id.clone().unwrap().into_string());
            }
            Effect::Notice(Notice::Outage { reason: "store", problem, open: false }) => told.push(problem.clone()),
            Effect::Notice(Notice::Empty) => told.push("empty".into()),
            other => panic!("{other:?}"),
        }
    }
    let nameless = "messages could not be read from the store and were not sent: 2. Their ids are unknown";
    assert_eq!(told, ["m1", "m2", "m3", nameless, "empty"]);
    let snapshot = bench.dispatcher.snapshot(bench.now);
    let standing = snapshot.store.unwrap();
    assert_eq!((standing.recovered, standing.unreadable, snapshot.counters.dead_letters), (5, 5, 3));
    assert_eq!(bench.dispatcher.unsettled(), 0);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Store(_))), "the file keeps them as they are");
}

#[test]
fn the_problem_of_a_store_is_the_latest_one_until_it_is_over_and_one_outage() {
    let mut bench = Bench::new(json!({ "store": "file:any.db" }));
    bench.handle(Event::Opened(Box::default()));
    let mut notices = Vec::new();
    for kind in [StoreErrorKind::Full, StoreErrorKind::Failed, StoreErrorKind::Full] {
        let error = Error::Store { kind, problem: format!("{kind:?}") };
        notices.extend(bench.handle(Event::StoreDegraded(error)));
        let problem = bench.dispatcher.snapshot(bench.now).store.unwrap().problem.unwrap();
        assert_eq!(problem.to_string(), format!("{kind:?}"));
    }
    notices.extend(bench.handle(Event::StoreRestored(Salvage::default())));
    assert!(bench.dispatcher.snapshot(bench.now).store.unwrap().problem.is_none());
    assert_eq!(notices.len(), 2, "it began and ended once: {notices:?}");
}

#[test]
fn a_file_that_is_replaced_while_it_is_open_is_told_by_the_end_of_the_outage_and_in_numbers() {
    let mut bench = Bench::new(json!({ "store": "file:any.db" }));
    bench.handle(Event::Opened(Box::default()));
    let problem = "the store any.db is damaged".to_owned();
    bench.handle(Event::StoreDegraded(Error::Store { kind: StoreErrorKind::Corrupt, problem }));
    let salvage = Salvage { set_aside: Some("any.db.corrupt-then".into()), unreadable: 3, unreadable_parts: 2 };
    let told = bench.handle(Event::StoreRestored(salvage)).into_iter().find_map(|effect| match effect {
        Effect::Notice(Notice::Outage { reason: "store", problem, open: false }) => Some(problem),
        _ => None,
    });
    let text = told.expect("the outage is over");
    assert!(text.contains("set aside at any.db.corrupt-then") && text.contains("3 rows"), "{text}");
    let standing = bench.dispatcher.snapshot(bench.now).store.unwrap();
    assert_eq!((standing.set_aside.as_deref(), standing.unreadable), (Some("any.db.corrupt-then"), 3));
    assert!(standing.problem.is_none());
}

#[test]
fn a_file_that_was_replaced_is_reported_at_the_opening_by_an_event_and_in_numbers() {
    let mut bench = Bench::new(json!({ "store": "file:any.db" }));
    let set_aside = Some("any.db.corrupt-then".into());
    let salvage = Salvage { set_aside, unreadable: 3, unreadable_parts: 2 };
    let opening = Opening { salvage, ..Opening::default() };
    let reported: Vec<String> = bench
        .handle(Event::Opened(Box::new(opening)))
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Notice(Notice::Outage { reason: "store", problem, open: false }) => Some(problem),
            _ => None,
        })
        .collect();
    let [text] = reported.as_slice() else { panic!("{reported:?}") };
    assert!(text.contains("set aside at any.db.corrupt-then") && text.contains("3 rows"), "{text}");
    assert!(text.contains("2 pages") && text.contains("unknown"), "{text}");
    let standing = bench.dispatcher.snapshot(bench.now).store.unwrap();
    assert_eq!((standing.unreadable, standing.unreadable_pages), (3, 2));
    assert_eq!(standing.set_aside.as_deref(), Some("any.db.corrupt-then"));
    // Without one nothing is reported.
    let mut bench = Bench::new(json!({ "store": "file:any.db" }));
    let effects = bench.handle(Event::Opened(Box::default()));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Notice(Notice::Outage { .. }))));
}

fn message(id: &str) -> Message {
    Message::new(Parts { id, id_given: true, conversation: "c", body: "{}", ..Parts::default() }).unwrap()
}

/// A message that was on the wire when its process ended.
fn sent(bench: &Bench, seq: u64, id: &str) -> Row {
    let record = Record::new(seq, message(id), bench.now);
    Row::Started(Box::new(Record { attempts: 1, first_attempt_at: Some(bench.now), sent: true, ..record }))
}

fn letter(bench: &Bench, id: &str) -> Row {
    let failure = DeliveryFailure {
        reason: Reason::Rejected,
        id: Some(id.into()),
        response: None,
        attempts: 1,
        ambiguous: false,
        problem: None,
    };
    Row::Letter(Box::new(DeadLetter { payload: Payload::Message(message(id)), priority: 0, failure, at: bench.now }))
}

fn at_most_once() -> Bench {
    Bench::new(json!({ "store": "file:any.db", "retry": { "ambiguous": "fail" } }))
}

/// What is buried, and when the outbox is told as empty.
fn ends(effects: &[Effect]) -> Vec<String> {
    let end = |effect: &Effect| match effect {
        Effect::Buried { failure, .. } => failure.id.as_deref().map(str::to_owned),
        Effect::Notice(Notice::Empty) => Some("empty".to_owned()),
        _ => None,
    };
    effects.iter().filter_map(end).collect()
}

#[test]
fn nothing_is_told_as_empty_while_what_an_earlier_run_left_is_read() {
    let mut bench = at_most_once();
    let mut effects = bench.handle(Event::Found(vec![sent(&bench, 1, "a")]));
    effects.extend(bench.handle(Event::Found(vec![sent(&bench, 2, "b"), waiting(3, "behind")])));
    effects.extend(bench.handle(Event::Opened(Box::new(Opening { last_seq: 3, ..Opening::default() }))));
    assert_eq!(ends(&effects), ["a", "b"]);
    assert_eq!(bench.dispatcher.unsettled(), 1);

    let mut bench = at_most_once();
    let mut effects = bench.handle(Event::Found(vec![sent(&bench, 1, "a"), sent(&bench, 2, "b")]));
    effects.extend(bench.handle(Event::Opened(Box::new(Opening { last_seq: 2, ..Opening::default() }))));
    assert_eq!(ends(&effects), ["a", "b", "empty"]);
}

#[test]
fn a_letter_of_the_opening_is_newer_than_those_of_earlier_runs() {
    let mut bench = at_most_once();
    let rows = vec![sent(&bench, 4, "new"), letter(&bench, "old"), letter(&bench, "less old")];
    for row in rows {
        bench.handle(Event::Found(vec![row]));
    }
    bench.handle(Event::Opened(Box::new(Opening { last_seq: 4, ..Opening::default() })));
    let letters: Vec<_> = bench.dispatcher.letters(0).filter_map(|(_, letter)| letter.payload.id()).collect();
    assert_eq!(letters, ["old", "less old", "new"]);
}

/// What may come of a request in an outage of the messages' route.
fn failures() -> Vec<(&'static str, Answer)> {
    let page = Response { status: 200, body: "<html>".into(), ..Response::default() };
    vec![
        ("503", bench::status(503)),
        ("500", bench::status(500)),
        ("cut", bench::unanswered()),
        ("unsent", Answer::Unsent { problem: "connection refused".to_owned() }),
        ("page", Answer::Answered { response: page, evidence: Evidence::default() }),
    ]
}

/// Messages of so many conversations whose attempts are spent but for the last, or not.
fn tried(conversations: u64, attempts: u32) -> Bench {
    let row = |seq: u64| {
        let mut record = record(seq, &format!("c{seq}"), "{}", Timestamp::START);
        (record.attempts, record.first_attempt_at) = (attempts, Some(Timestamp::START));
        Row::Started(Box::new(record))
    };
    opened(json!({ "store": "file:any.db" }), (1..=conversations).map(row).collect()).0
}

#[test]
fn an_outage_in_which_earlier_runs_have_ended_spends_nothing_of_what_they_left() {
    for (name, failure) in failures() {
        for (conversations, attempts) in [(1, 9), (1, 10), (3, 9), (20, 9), (20, 1)] {
            let mut bench = tried(conversations, attempts);
            let (mut ends, mut requests) = (Vec::new(), 0);
            for _ in 0..2_400 {
                requests += bench.answer_all(|_| failure.clone(), |effects| ends.extend(self::ends(effects))).len();
                bench.wait_ms(50);
            }
            assert_eq!(ends, Vec::<String>::new(), "{name}, {conversations} conversations");
            assert!(bench.dispatcher.holds_messages(), "{name}, {conversations} conversations: it is an outage");
            assert!(requests < 60, "{name}, {conversations} conversations: {requests} requests");
            let mut delivered = 0;
            for _ in 0..2_400 {
                delivered += bench.answer_all(|_| bench::status(200), |effects| ends.extend(self::ends(effects))).len();
                bench.wait_ms(50);
            }
            assert_eq!((delivered as u64, ends.len()), (conversations, 1), "{name}: all, and the outbox is empty");
        }
    }
}

#[test]
fn once_a_message_has_passed_those_of_earlier_runs_end_by_their_attempts() {
    let mut bench = tried(2, 9);
    let mut ends = Vec::new();
    for _ in 0..400 {
        let answer = |name: &str| bench::status(if name == "m1" { 503 } else { 200 });
        bench.answer_all(answer, |effects| ends.extend(self::ends(effects)));
        bench.wait_ms(50);
    }
    assert_eq!(ends, ["m1", "empty"]);
}
