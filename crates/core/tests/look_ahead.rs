//! What is loaded ahead of its turn after a restart: enough that requests are as full as before, and bounded by bytes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use std::collections::{BTreeSet, VecDeque};

use bench::Bench;
use serde_json::{Value, json};
use spillway_core::dispatcher::{AttemptId, Effect, Event};
use spillway_core::lanes::EntryId;
use spillway_core::message::{Message, Parts};
use spillway_core::store::{Change, Opening, Record, Row, Seq, Unreadable, Waiting};

const BODY: &str = r#"{"text":"hello"}"#;
/// Requests that are looked at: the first ones after the restart.
const REQUESTS: usize = 40;

/// A backlog of an earlier run: `each` messages in each of `conversations`.
#[derive(Clone, Copy, Debug)]
struct Backlog {
    conversations: u64,
    each: u64,
    bytes: u64,
}

impl Backlog {
    fn conversation(self, seq: Seq) -> String {
        format!("c{}", seq % self.conversations)
    }

    fn rows(self) -> Vec<Row> {
        let row = |seq: Seq| {
            let (id, conversation) = (format!("m{seq}").into(), self.conversation(seq).into());
            Row::Waiting(Waiting {
                seq,
                id,
                conversation,
                priority: 0,
                bytes: u32::try_from(self.bytes).unwrap(),
                expires_at: None,
            })
        };
        (1..=self.conversations * self.each).map(row).collect()
    }

    fn record(self, seq: Seq, bench: &Bench) -> Option<Box<Record>> {
        let (id, conversation) = (format!("m{seq}"), self.conversation(seq));
        let parts = Parts { id: &id, id_given: true, conversation: &conversation, body: BODY, ..Parts::default() };
        Some(Box::new(Record::new(seq, Message::new(parts).unwrap(), bench.now)))
    }

    fn opened(self, mut settings: Value) -> Bench {
        settings["store"] = json!("file:any.db");
        settings["queue"] = json!({ "maxMessages": 10_000_000 });
        let mut bench = Bench::new(settings);
        bench.handle(Event::Found(self.rows()));
        let last_seq = self.conversations * self.each;
        bench.handle(Event::Opened(Box::new(Opening { last_seq, ..Opening::default() })));
        bench
    }
}

/// Messages per request of the first requests, with a disk that answers after the next turn, and a server after the
/// turn after that.
fn fills(bench: &mut Bench, backlog: Backlog) -> Vec<u32> {
    let (mut reads, mut answers): (VecDeque<Vec<(EntryId, Seq)>>, VecDeque<AttemptId>) = Default::default();
    let mut fills = Vec::new();
    let mut idle = 0;
    while fills.len() < REQUESTS && !bench.dispatcher.is_idle() {
        let effects = bench.poll();
        idle = if effects.is_empty() && reads.is_empty() && answers.is_empty() { idle + 1 } else { 0 };
        assert!(idle < 100, "everything waits for nothing");
        let (read, answered) = (reads.pop_front(), answers.pop_front());
        for effect in effects {
            match effect {
                Effect::Load(wanted) => reads.push_back(wanted),
                Effect::Send { attempt, shipment, .. } => {
                    fills.push(shipment.messages);
                    answers.push_back(attempt);
                }
                _ => {}
            }
        }
        if let Some(wanted) = read {
            let loaded = wanted
                .into_iter()
                .map(|(entry_id, seq)| (entry_id, seq, backlog.record(seq, bench).ok_or_else(Unreadable::default)));
            bench.handle(Event::Loaded(loaded.collect()));
        }
        if let Some(attempt) = answered {
            bench.answer(attempt, bench::status(200));
        }
        bench.wait_ms(20);
    }
    fills
}

fn mean(fills: &[u32]) -> f64 {
    f64::from(fills.iter().sum::<u32>()) / fills.len() as f64
}

/// The same messages, sent by this run and never out of memory.
fn fills_in_memory(settings: Value, backlog: Backlog) -> Vec<u32> {
    let mut settings = settings;
    settings["queue"] = json!({ "maxMessages": 10_000_000 });
    let mut bench = Bench::new(settings);
    for seq in 1..=backlog.conversations * backlog.each {
        bench.submit(&format!("m{seq}"), &backlog.conversation(seq), |submission| {
            submission.settle = spillway_core::message::Settle::OnAcceptance;
        });
    }
    fills(&mut bench, backlog)
}

#[test]
fn requests_are_as_full_after_a_restart_as_before() {
    for (conversations, each) in [(200, 400), (1_000, 40), (3_000, 3), (7, 3_000)] {
        for messages in [10, 50, 500] {
            for ordered in [false, true] {
                let route = json!({ "path": "/a", "array": true });
                let batch = json!({ "mode": "array", "maxMessages": messages, "maxBytes": 4_000_000, "lingerMs": 100, "arrayOrdered": ordered });
                let settings = json!({
                    "route": route, "batch": batch, "rateLimit": { "requests": 10, "perMs": 1_000 }, "connections": { "max": 4 },
                });
                let backlog = Backlog { conversations, each, bytes: BODY.len() as u64 };
                let before = mean(&fills_in_memory(settings.clone(), backlog));
                let after = mean(&fills(&mut backlog.opened(settings), backlog));
                assert!(
                    after >= 0.95 * before,
                    "{backlog:?}, {messages}, ordered {ordered}: {after:.1}, before {before:.1}"
                );
            }
        }
    }
}

#[test]
fn merged_texts_are_as_many_after_a_restart_as_before() {
    for (conversations, each) in [(10, 200), (500, 20)] {
        let batch = json!({ "mode": "merge", "maxMessages": 10 });
        let settings = json!({ "route": "messaging", "batch": batch, "rateLimit": { "requests": 10, "perMs": 1_000 } });
        let backlog = Backlog { conversations, each, bytes: BODY.len() as u64 };
        let before = mean(&fills_in_memory(settings.clone(), backlog));
        let after = mean(&fills(&mut backlog.opened(settings), backlog));
        assert!(after >= 0.95 * before, "{backlog:?}: {after:.1}, before {before:.1}");
    }
}

#[test]
fn large_bodies_are_loaded_by_their_bytes() {
    const AHEAD_BYTES: u64 = 64 * 1_024 * 1_024;
    for (bytes, least) in [(100_000, 200), (1_000_000, 64), (8_388_000, 8), (67_000_000, 1)] {
        let backlog = Backlog { conversations: 200, each: 1, bytes };
        let mut bench = backlog.opened(json!({ "queue": { "maxBytes": 68_719_476_736_u64 } }));
        let mut asked = 0;
        for _ in 0..10 {
            for effect in bench.poll() {
                if let Effect::Load(wanted) = effect {
                    asked += wanted.len() as u64;
                }
            }
        }
        assert!(asked >= least && asked * bytes <= AHEAD_BYTES, "{asked} of {bytes} bytes");
    }
}

/// Bodies of an earlier run wait for their turn, for the disk, and for a connection, before a server that is slow.
#[test]
fn what_is_in_memory_beside_the_wire_is_bounded_by_bytes() {
    const BYTES: usize = 4_000_000;
    const BESIDE_MAX: usize = 64 * 1_024 * 1_024;
    let body = format!("\"{}\"", "x".repeat(BYTES - 2));
    for (connections, ambiguous) in [(1, "retry"), (4, "retry"), (16, "retry"), (16, "fail")] {
        let backlog = Backlog { conversations: 200, each: 1, bytes: BYTES as u64 };
        let mut bench = backlog.opened(json!({
            "queue": { "maxBytes": 68_719_476_736_u64 }, "connections": { "max": connections }, "retry": { "ambiguous": ambiguous },
        }));
        let mut here: BTreeSet<Seq> = BTreeSet::new();
        let (mut departing, mut on_wire) = (VecDeque::new(), VecDeque::new());
        let (mut most, mut delivered) = (0, 0);
        for turn in 0..400 {
            for effect in bench.poll_waiting() {
                match effect {
                    Effect::Load(wanted) => {
                        let loaded = wanted.into_iter().map(|(entry_id, seq)| {
                            here.insert(seq);
                            let (id, conversation) = (format!("m{seq}"), backlog.conversation(seq));
                            let parts = Parts {
                                id: &id,
                                id_given: true,
                                conversation: &conversation,
                                body: &body,
                                ..Parts::default()
                            };
                            let record = Record::new(seq, Message::new(parts).unwrap(), bench.now);
                            (entry_id, seq, Ok(Box::new(record)))
                        });
                        let loaded = loaded.collect();
                        bench.handle(Event::Loaded(loaded));
                    }
                    Effect::Send { attempt, .. } => departing.push_back(attempt),
                    Effect::Store(Change::Deliver { seq, .. }) => {
                        here.remove(&seq);
                        delivered += 1;
                    }
                    _ => {}
                }
            }
            // The disk has written down one of them, and a connection carries it.
            if on_wire.len() < connections
                && let Some(attempt) = departing.pop_front()
            {
                bench.handle(Event::Left(attempt));
                on_wire.push_back(attempt);
            }
            most = most.max((here.len() - on_wire.len()) * BYTES);
            if turn % 7 == 6
                && let Some(attempt) = on_wire.pop_front()
            {
                for effect in bench.answer(attempt, bench::status(200)) {
                    if let Effect::Store(Change::Deliver { seq, .. }) = effect {
                        here.remove(&seq);
                        delivered += 1;
                    }
                }
            }
            bench.wait_ms(20);
        }
        assert!(delivered > 40, "{connections}: {delivered}");
        assert!(most <= BESIDE_MAX, "{connections} connections, {ambiguous}: {most} bytes");
    }
}
