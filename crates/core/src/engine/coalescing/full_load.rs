//! What counts as full load: a dispatcher at work, with this as its callers and its server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::tests::{at, told};
use super::{ON_WIRE_MIN, Pressure};
use crate::clock::Timestamp;
use crate::dispatcher::{AttemptId, Dispatcher, Effect, Event, TokenEvent};
use crate::evidence::Evidence;
use crate::lanes::EntryId;
use crate::message::{Message, Parts, Payload, Settle, Submission, Ticket};
use crate::outcome::Response;
use crate::random::Random;
use crate::retry::Answer;
use crate::settings::Settings;
use crate::store::Change;
use crate::token::TokenId;

/// Callers that each wait for their message before they send the next, and connections for them.
const CALLERS: usize = 256;
const CONNECTIONS: usize = 64;

struct Sim {
    dispatcher: Dispatcher,
    now: Timestamp,
    effects: Vec<Effect>,
    submitted: u64,
    settle: Settle,
    connections: usize,
    /// What waits for the disk or a connection, and what is on the wire.
    outgoing: VecDeque<AttemptId>,
    on_wire: VecDeque<AttemptId>,
    storing: Vec<EntryId>,
}

impl Sim {
    fn new(patch: Value) -> Self {
        let mut options = json!({
            "organization": "coalescing", "apiUrl": "http://127.0.0.1:1", "credentials": { "accessToken": "token" },
            "route": "messaging", "store": "memory", "rateLimit": { "requests": 10_000, "perMs": 1_000 },
        });
        if let (Some(options), Value::Object(patch)) = (options.as_object_mut(), patch) {
            options.extend(patch);
        }
        let settings = Arc::new(Settings::from_json(&options.to_string()).unwrap());
        let connections = settings.connections.max;
        let mut sim = Self {
            dispatcher: Dispatcher::new(settings, Random::from_seed(7), at(0)),
            now: at(0),
            effects: Vec::new(),
            submitted: 0,
            settle: Settle::OnOutcome,
            connections,
            outgoing: VecDeque::new(),
            on_wire: VecDeque::new(),
            storing: Vec::new(),
        };
        sim.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)));
        sim
    }

    fn handle(&mut self, event: Event) {
        self.dispatcher.handle(self.now, event, &mut self.effects);
    }

    /// Each to a conversation of its own.
    fn send(&mut self, count: usize) {
        (0..count).for_each(|_| self.submit(None, None));
    }

    fn submit(&mut self, conversation: Option<&str>, not_before: Option<Timestamp>) {
        self.submitted += 1;
        let own = format!("conversation-{}", self.submitted);
        let parts = Parts {
            id: &format!("message-{}", self.submitted),
            conversation: conversation.unwrap_or(&own),
            body: r#"{"text":"hello"}"#,
            ..Parts::default()
        };
        self.handle(Event::Submit(Submission {
            ticket: Ticket { handle: 0, number: self.submitted },
            settle: self.settle,
            payload: Payload::Message(Message::new(parts).unwrap()),
            priority: 0,
            expires_at: None,
            not_before,
        }));
    }

    /// The dispatcher's turn: what may go is on the wire after it, as far as there are connections.
    fn turn(&mut self) {
        self.dispatcher.poll(self.now, &mut self.effects);
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Send { attempt, .. } => self.outgoing.push_back(attempt),
                Effect::Store(Change::Insert { entry_id, .. }) => self.storing.push(entry_id),
                _ => {}
            }
        }
        let free = (self.connections - self.on_wire.len()).min(self.outgoing.len());
        for attempt in self.outgoing.drain(..free).collect::<Vec<_>>() {
            self.handle(Event::Left(attempt));
            self.on_wire.push_back(attempt);
        }
    }

    /// The disk has what it was told.
    fn kept(&mut self) {
        let entry_ids = std::mem::take(&mut self.storing);
        self.handle(Event::Persisted(entry_ids));
    }

    fn answer(&mut self, count: usize, status: u16) {
        for _ in 0..count {
            let evidence = Evidence { retry_after: Some(Duration::from_secs(1)), ..Evidence::default() };
            let response = Response { status, ..Response::default() };
            let attempt = self.on_wire.pop_front().unwrap();
            self.handle(Event::Answered(attempt, Answer::Answered { response, evidence }));
        }
    }

    /// Whether what has come for a caller, just after the last that it was told, is told at once.
    fn hurries(&self) -> bool {
        told().take_turn(at(10), 1, Pressure::of(&self.dispatcher, self.on_wire.len()))
    }
}

#[test]
fn many_callers_on_a_full_wire_are_told_together() {
    for options in [json!({}), json!({ "ordering": "none" })] {
        let mut sim = Sim::new(options);
        sim.send(CALLERS);
        sim.turn();
        assert_eq!(sim.on_wire.len(), CONNECTIONS);
        assert!(!sim.hurries());
        sim.answer(CONNECTIONS, 200);
        sim.turn();
        assert!(!sim.hurries(), "the wire was empty within the turn alone");
        sim.answer(CONNECTIONS, 200);
        sim.turn();
        assert!(!sim.hurries());
        sim.answer(1, 200);
        sim.turn();
        assert!(sim.hurries(), "the wire will soon have room for what the callers send next");
        sim.send(2 * CONNECTIONS + 1);
        sim.turn();
        assert!(!sim.hurries(), "they have sent it");
    }
}

#[test]
fn what_waits_behind_others_of_its_conversation_counts_where_it_may_overtake_them() {
    for (options, hurries) in [(json!({}), true), (json!({ "ordering": "none" }), false)] {
        let mut sim = Sim::new(options);
        (0..CALLERS).for_each(|_| sim.submit(Some("the only one"), None));
        sim.send(CONNECTIONS);
        sim.turn();
        assert_eq!((sim.on_wire.len(), sim.hurries()), (CONNECTIONS, hurries));
    }
}

#[test]
fn what_waits_for_the_disk_or_a_connection_counts() {
    let mut sim = Sim::new(json!({ "store": "file:coalescing.db" }));
    sim.send(CALLERS);
    sim.turn();
    sim.kept();
    sim.turn();
    assert_eq!((sim.on_wire.len(), sim.outgoing.len()), (CONNECTIONS, CALLERS - CONNECTIONS));
    assert!(!sim.hurries());
    sim.answer(CONNECTIONS, 200);
    sim.turn();
    assert!(!sim.hurries());
}

#[test]
fn what_waits_for_room_in_the_outbox_counts() {
    let mut sim = Sim::new(json!({ "queue": { "maxMessages": CONNECTIONS + 1, "whenFull": "wait" } }));
    sim.send(CALLERS);
    sim.turn();
    assert_eq!((sim.on_wire.len(), sim.hurries()), (CONNECTIONS, false));
}

#[test]
fn what_is_not_in_memory_makes_no_load() {
    let mut sim = Sim::new(json!({ "store": "file:coalescing.db", "connections": { "max": ON_WIRE_MIN } }));
    sim.dispatcher.keep_in_memory(0);
    sim.send(CALLERS);
    sim.settle = Settle::OnAcceptance;
    sim.send(CALLERS);
    sim.turn();
    sim.kept();
    sim.turn();
    let (under_way, hot) = (4 * ON_WIRE_MIN, CALLERS - 4 * ON_WIRE_MIN);
    assert_eq!(sim.dispatcher.pressing(), under_way + hot + CALLERS, "the first in line is");
    for _ in 0..hot / ON_WIRE_MIN {
        sim.answer(ON_WIRE_MIN, 200);
        sim.turn();
    }
    assert_eq!(sim.dispatcher.pressing(), under_way);
}

#[test]
fn what_has_a_time_of_its_own_makes_no_load() {
    for connections in [CONNECTIONS, ON_WIRE_MIN] {
        let mut sim = Sim::new(json!({ "connections": { "max": connections } }));
        let later = sim.now.after(Duration::from_secs(60));
        sim.send(ON_WIRE_MIN);
        (0..1_000).for_each(|_| sim.submit(None, Some(later)));
        sim.turn();
        assert_eq!(sim.on_wire.len(), ON_WIRE_MIN);
        assert!(sim.hurries());
    }
}

#[test]
fn what_waits_for_its_next_attempt_makes_no_load() {
    let mut sim = Sim::new(json!({}));
    sim.send(CONNECTIONS);
    sim.turn();
    for _ in 0..CONNECTIONS / 2 {
        // Not ten failures in a row, which were an outage.
        sim.answer(1, 503);
        sim.answer(1, 200);
    }
    sim.send(ON_WIRE_MIN);
    sim.turn();
    assert_eq!((sim.on_wire.len(), sim.dispatcher.unsettled()), (ON_WIRE_MIN, ON_WIRE_MIN + CONNECTIONS / 2));
    assert!(sim.hurries());
}

#[test]
fn nothing_makes_a_load_in_a_pause() {
    for store in ["memory", "file:coalescing.db"] {
        let mut sim = Sim::new(json!({ "store": store }));
        sim.send(2 * CALLERS);
        sim.turn();
        sim.kept();
        sim.turn();
        assert!(!sim.hurries());
        sim.answer(1, 429);
        sim.turn();
        assert!(sim.hurries(), "what waits for the disk or a connection doesn't leave any more");
    }
}

#[test]
fn what_waits_for_the_budget_makes_no_load() {
    let mut sim = Sim::new(json!({ "rateLimit": { "requests": ON_WIRE_MIN, "perMs": 1_000 } }));
    sim.send(CALLERS);
    sim.turn();
    assert_eq!(sim.on_wire.len(), ON_WIRE_MIN);
    assert!(sim.hurries());
}

#[test]
fn what_waits_for_the_one_before_it_makes_no_load() {
    let mut sim = Sim::new(json!({}));
    sim.send(ON_WIRE_MIN);
    (0..CALLERS).for_each(|_| sim.submit(Some("the only one"), None));
    sim.turn();
    assert_eq!(sim.on_wire.len(), ON_WIRE_MIN + 1);
    assert!(sim.hurries());
}

#[test]
fn what_is_on_the_wire_together_makes_no_load() {
    let batch = json!({ "mode": "array", "maxMessages": 10 });
    let mut sim = Sim::new(json!({ "route": "messaging-array", "batch": batch }));
    sim.send(10 * ON_WIRE_MIN);
    sim.turn();
    assert_eq!(sim.on_wire.len(), ON_WIRE_MIN);
    assert!(sim.hurries());
}
