//! The bodies of messages that go on waiting: after an attempt, for a time of their own, or since an earlier run.
//! Beyond some megabytes only the store has them, and each is there again when it is sent or given up.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bench::{Bench, retry_after, status, unanswered};
use serde_json::{Value, json};
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Effect, Event};
use spillway_core::lanes::EntryId;
use spillway_core::message::{Message, Parts};
use spillway_core::outcome::Reason;
use spillway_core::retry::Answer;
use spillway_core::store::{Change, Loaded, Opening, Record, Row, Seq, Unreadable, Waiting};

const BYTES: usize = 4_000_000;
const COUNT: Seq = 60;
const BESIDE_MAX: usize = 64 * 1_024 * 1_024;

/// A backlog of large bodies, and what the server says.
struct Run {
    bench: Bench,
    body: String,
    not_before: Option<Timestamp>,
    /// The answer to an attempt at a message, or at a batch by its first one.
    answer: fn(Seq, u32) -> Answer,
    attempts: BTreeMap<Seq, u32>,
    delivered: BTreeSet<Seq>,
    buried: BTreeMap<Seq, Reason>,
    loads: BTreeMap<Seq, u32>,
    lost: BTreeSet<Seq>,
    most_beside_wire: usize,
}

impl Run {
    fn new(more: Value, answer: fn(Seq, u32) -> Answer) -> Self {
        let mut settings = json!({
            "store": "file:any.db", "queue": { "maxMessages": 1_000, "maxBytes": 68_719_476_736_u64 },
            "connections": { "max": 2 }, "route": { "path": "/a" },
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Self {
            bench: Bench::new(settings),
            body: format!("\"{}\"", "x".repeat(BYTES - 2)),
            not_before: None,
            answer,
            attempts: BTreeMap::new(),
            delivered: BTreeSet::new(),
            buried: BTreeMap::new(),
            loads: BTreeMap::new(),
            lost: BTreeSet::new(),
            most_beside_wire: 0,
        }
    }

    fn record(&self, seq: Seq) -> Record {
        let (id, conversation) = (format!("m{seq}"), format!("c{seq}"));
        let parts =
            Parts { id: &id, id_given: true, conversation: &conversation, body: &self.body, ..Parts::default() };
        Record { not_before: self.not_before, ..Record::new(seq, Message::new(parts).unwrap(), self.bench.now) }
    }

    fn waiting(&self, seq: Seq) -> Row {
        let (id, conversation) = (format!("m{seq}").into(), format!("c{seq}").into());
        Row::Waiting(Waiting { seq, id, conversation, priority: 0, bytes: BYTES as u32, expires_at: None })
    }

    /// A message that came back from the wire in an earlier run, as a store tells it.
    fn came_back(&self, seq: Seq) -> Row {
        let record = Record { attempts: 1, first_attempt_at: Some(self.bench.now), ..self.record(seq) };
        let message = record.message.without_body();
        Row::Started(Box::new(Record { message, body_bytes: Some(BYTES as u32), ..record }))
    }

    fn open(&mut self, row: impl Fn(&Self, Seq) -> Row) {
        for seq in 1..=COUNT {
            let row = row(self, seq);
            self.bench.handle(Event::Found(vec![row]));
        }
        let effects = self.bench.handle(Event::Opened(Box::new(Opening { last_seq: COUNT, ..Opening::default() })));
        self.perform(effects);
    }

    fn read(&mut self, (entry_id, seq): (EntryId, Seq)) -> Loaded {
        *self.loads.entry(seq).or_default() += 1;
        let record = if self.lost.contains(&seq) { Err(Unreadable::default()) } else { Ok(self.record(seq)) };
        (entry_id, seq, record.map(Box::new))
    }

    /// Does what is asked for; the requests that have left.
    fn perform(&mut self, effects: Vec<Effect>) -> Vec<(AttemptId, Seq)> {
        let mut departed = None;
        let mut left = Vec::new();
        for effect in effects {
            match effect {
                Effect::Load(wanted) => {
                    let loaded = wanted.into_iter().map(|one| self.read(one)).collect();
                    let effects = self.bench.handle(Event::Loaded(loaded));
                    assert!(self.perform(effects).is_empty(), "requests are made by a poll");
                }
                Effect::Store(Change::Depart(flight)) => departed = flight.members.first().map(|first| first.seq),
                Effect::Send { attempt, shipment } => {
                    let bytes = shipment.body.unwrap().len();
                    assert!(bytes >= shipment.messages as usize * BYTES, "{bytes} bytes of {}", shipment.messages);
                    self.bench.handle(Event::Left(attempt));
                    left.push((attempt, departed.take().unwrap()));
                }
                Effect::Store(Change::Deliver { seq, .. }) => assert!(self.delivered.insert(seq), "{seq} twice"),
                Effect::Store(Change::Bury { seq, failure, .. }) => {
                    assert!(self.buried.insert(seq, failure.reason).is_none(), "{seq} twice");
                }
                _ => {}
            }
        }
        left
    }

    /// Until everything has ended; a request takes a turn, and a turn a second.
    fn run(&mut self) {
        let mut on_wire: Vec<(AttemptId, Seq)> = Vec::new();
        for _ in 0..20_000 {
            let effects = self.bench.poll_waiting();
            let left = self.perform(effects);
            on_wire.extend(left);
            let beside = self.bench.dispatcher.bytes_in_memory().saturating_sub(on_wire.len() * BYTES);
            self.most_beside_wire = self.most_beside_wire.max(beside);
            if self.bench.dispatcher.is_idle() {
                return;
            }
            self.bench.wait_ms(1_000);
            for (attempt, seq) in std::mem::take(&mut on_wire) {
                let tries = self.attempts.entry(seq).or_default();
                *tries += 1;
                let answer = (self.answer)(seq, *tries);
                let effects = self.bench.answer(attempt, answer);
                self.perform(effects);
            }
        }
        panic!("{} of {COUNT} are delivered, {:?} buried", self.delivered.len(), self.buried);
    }

    fn all_are_delivered_within_bounds(&mut self, what: &str) {
        self.run();
        assert_eq!(self.delivered.len() as u64, COUNT, "{what}: {:?}", self.buried);
        assert!(self.most_beside_wire <= BESIDE_MAX, "{what}: {} bytes", self.most_beside_wire);
    }
}

fn accepts(_: Seq, _: u32) -> Answer {
    status(200)
}

/// Every second message is refused at first, and is to wait for a minute then.
fn refuses_half(seq: Seq, attempt: u32) -> Answer {
    let mut refusal = status(503);
    if let (Answer::Answered { evidence, .. }, Answer::Answered { evidence: asked, .. }) =
        (&mut refusal, retry_after(60))
    {
        *evidence = asked;
    }
    if seq.is_multiple_of(2) && attempt == 1 { refusal } else { status(200) }
}

fn cuts_half(seq: Seq, attempt: u32) -> Answer {
    if seq.is_multiple_of(2) && attempt == 1 { unanswered() } else { status(200) }
}

#[test]
fn bodies_of_messages_that_are_tried_again_are_bounded() {
    for answer in [refuses_half, cuts_half] {
        let mut run = Run::new(json!({}), answer);
        run.open(Run::waiting);
        run.all_are_delivered_within_bounds("tried again");
        assert!(run.loads.values().any(|loads| *loads > 1), "some were out of memory in between");
    }
}

#[test]
fn bodies_of_messages_that_wait_for_their_time_are_bounded() {
    let mut run = Run::new(json!({}), accepts);
    run.not_before = Some(run.bench.now.after(Duration::from_secs(600)));
    run.open(Run::waiting);
    run.all_are_delivered_within_bounds("scheduled");
}

#[test]
fn bodies_of_messages_that_an_earlier_run_had_tried_are_bounded() {
    let mut run = Run::new(json!({}), accepts);
    run.open(Run::came_back);
    assert_eq!(run.bench.dispatcher.bytes_in_memory(), 0);
    run.all_are_delivered_within_bounds("of an earlier run");
}

#[test]
fn bodies_of_batches_that_are_repeated_are_bounded() {
    let array = json!({ "path": "/a", "array": true });
    let batch = json!({ "mode": "array", "maxMessages": 2, "maxBytes": 10_000_000 });
    let mut run = Run::new(json!({ "route": array, "batch": batch }), |first, attempt| match attempt {
        1 if first % 4 == 1 => unanswered(),
        _ => status(200),
    });
    run.open(Run::waiting);
    run.all_are_delivered_within_bounds("batches");
}

#[test]
fn a_message_that_expires_without_its_body_is_a_dead_letter_with_it() {
    let fails = |seq, _| if seq <= 3 { status(503) } else { status(200) };
    let mut run = Run::new(json!({ "retry": { "maxAttempts": 100 } }), fails);
    run.bench.dispatcher.keep_in_memory(0);
    let expires_at = Some(run.bench.now.after(Duration::from_secs(30)));
    run.open(|run, seq| match (run.waiting(seq), seq) {
        (Row::Waiting(waiting), 1..=3) => Row::Waiting(Waiting { expires_at, ..waiting }),
        (row, _) => row,
    });
    run.run();
    let expired: Vec<Seq> =
        run.buried.iter().filter(|(_, why)| **why == Reason::Expired).map(|(seq, _)| *seq).collect();
    assert_eq!(expired, [1, 2, 3]);
    for (_, letter) in run.bench.dispatcher.letters(0) {
        assert_eq!(letter.payload.len(), BYTES);
    }
}

#[test]
fn a_body_that_is_lost_in_the_meantime_ends_its_message_and_holds_up_no_other() {
    let array = json!({ "route": { "path": "/a", "array": true }, "batch": { "mode": "array", "maxMessages": 2, "maxBytes": 10_000_000 } });
    for more in [json!({}), array] {
        let mut run = Run::new(more, |_, attempt| if attempt == 1 { unanswered() } else { status(200) });
        run.bench.dispatcher.keep_in_memory(0);
        run.open(Run::waiting);
        let effects = run.bench.poll_waiting();
        let left = run.perform(effects);
        assert!(left.is_empty(), "what is to leave is loaded first");
        // All of them are tried once before what they were is gone.
        for _ in 0..200 {
            let effects = run.bench.poll_waiting();
            let left = run.perform(effects);
            run.bench.wait_ms(10);
            for (attempt, seq) in left {
                run.lost.extend([seq].into_iter().filter(|seq| *seq <= 3));
                *run.attempts.entry(seq).or_default() += 1;
                let effects = run.bench.answer(attempt, (run.answer)(seq, 1));
                run.perform(effects);
            }
        }
        run.run();
        assert!(!run.lost.is_empty());
        let whole: BTreeSet<Seq> = (1..=COUNT).filter(|seq| !run.lost.contains(seq)).collect();
        assert_eq!(run.delivered, whole);
        let snapshot = run.bench.dispatcher.snapshot(run.bench.now);
        assert_eq!(snapshot.store.unwrap().unreadable, run.lost.len() as u64);
    }
}
