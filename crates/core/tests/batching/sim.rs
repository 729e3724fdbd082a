//! A run: the dispatcher, its callers and the server on one virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, TokenEvent};
use spillway_core::message::{Payload, Ticket};
use spillway_core::outcome::{CallAnswer, Reason};
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_core::shipment::Shipment;
use spillway_core::token::TokenId;

use super::draw::Draw;
use super::oracle::{Known, Oracle};
use super::plan::Plan;
use super::server::{Server, Told, Verdict};

const STEPS_MAX: usize = 300_000;

pub struct Flight {
    pub shipment: Shipment,
    members: Vec<String>,
    verdict: Verdict,
}

pub struct Sim {
    pub plan: Plan,
    pub now: Timestamp,
    pub dispatcher: Dispatcher,
    pub server: Server,
    pub oracle: Oracle,
    pub draw: Draw,
    pub calls: Vec<CallAnswer>,
    /// How long a token takes.
    pub token_ms: u64,
    pub drained: Vec<Option<usize>>,
    pub shipments: Vec<(Timestamp, Shipment)>,
    wire: BTreeMap<(Timestamp, AttemptId), Flight>,
    pub agenda: BTreeMap<(Timestamp, u64), Event>,
    /// Who is canceled at some time.
    pub aborted: BTreeSet<String>,
    effects: Vec<Effect>,
    next: u64,
}

impl Sim {
    pub fn new(plan: Plan) -> Self {
        let now = Timestamp::START;
        Self {
            dispatcher: Dispatcher::new(plan.settings(), Random::from_seed(plan.seed), now),
            server: Server { faults: plan.server.clone(), ..Server::default() },
            oracle: Oracle::default(),
            draw: Draw::new(plan.seed),
            calls: Vec::new(),
            token_ms: 0,
            drained: Vec::new(),
            shipments: Vec::new(),
            wire: BTreeMap::new(),
            agenda: BTreeMap::new(),
            aborted: BTreeSet::new(),
            effects: Vec::new(),
            next: 0,
            plan,
            now,
        }
    }

    pub fn after_ms(&self, ms: u64) -> Timestamp {
        self.now.after(Duration::from_millis(ms))
    }

    pub fn at(&mut self, at: Timestamp, event: Event) {
        self.next += 1;
        self.agenda.insert((at, self.next), event);
    }

    pub fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket { handle: 0, number: self.next }
    }

    /// Until nothing is left to do.
    pub fn run(&mut self) {
        for _ in 0..STEPS_MAX {
            if !self.step() {
                return;
            }
        }
        panic!("no end after {STEPS_MAX} steps; {} messages are left", self.dispatcher.unsettled());
    }

    /// Until a point in time.
    pub fn run_until(&mut self, end: Timestamp) {
        while self.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    fn next_at(&self) -> Option<Timestamp> {
        let wire = self.wire.keys().next().map(|(at, _)| *at);
        let agenda = self.agenda.keys().next().map(|(at, _)| *at);
        [wire, agenda, self.dispatcher.next_wake()].into_iter().flatten().min()
    }

    /// The next thing that happens; false when nothing will.
    fn step(&mut self) -> bool {
        let Some(at) = self.next_at() else {
            assert!(self.dispatcher.is_idle(), "nothing will happen, and {} are left", self.dispatcher.unsettled());
            return false;
        };
        self.now = self.now.max(at);
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let event = entry.remove();
            self.note(&event);
            self.dispatcher.handle(self.now, event, &mut self.effects);
        }
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (_, attempt) = *entry.key();
            let Flight { shipment, members, verdict } = entry.remove();
            let nothing = verdict.told == Told::Nothing && !self.plan.ambiguous_fails;
            let settles = matches!(verdict.told, Told::All | Told::Some) || self.plan.ambiguous_fails;
            self.oracle.answered(&members, &shipment, nothing, settles);
            self.dispatcher.handle(self.now, Event::Answered(attempt, verdict.answer), &mut self.effects);
        }
        self.dispatcher.poll(self.now, &mut self.effects);
        self.perform();
        true
    }

    fn note(&mut self, event: &Event) {
        let Event::Submit(submission) = event else { return };
        let Payload::Message(message) = &submission.payload else { return };
        let known = Known {
            conversation: message.conversation().to_owned(),
            submitted_at: self.now,
            left_at: None,
            aborted: self.aborted.contains(message.id()),
            expires: submission.expires_at.is_some(),
            unknown: 0,
            end: None,
        };
        self.oracle.order.push(message.id().to_owned());
        self.oracle.known.insert(message.id().to_owned(), known);
    }

    fn perform(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            self.perform_one(effect);
        }
    }

    fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::FetchToken(_) => {
                let at = self.after_ms(self.token_ms);
                self.at(at, Event::Token(TokenId::FIRST, TokenEvent::Granted(None)));
            }
            Effect::Send { attempt, shipment } => self.send(attempt, shipment),
            Effect::Delivered { receipt, .. } => {
                let accepted = self.server.accepted.get(receipt.message.id()).copied().unwrap_or(0);
                assert!(accepted > 0, "{} has a receipt, and the server did not accept it", receipt.message.id());
                self.oracle.ended(receipt.message.id(), Ok(receipt.batch_size));
            }
            Effect::Buried { failure, .. } => {
                let id = failure.id.unwrap();
                let known = &self.oracle.known[&*id];
                let excused = match failure.reason {
                    Reason::Rejected => self.server.poison.contains(&*id) || self.is_too_long(&id),
                    Reason::Ambiguous => self.plan.ambiguous_fails && known.unknown > 0,
                    Reason::Aborted => known.aborted,
                    Reason::Expired => known.expires,
                    Reason::Exhausted
                    | Reason::ResponseTooLarge
                    | Reason::TimedOut
                    | Reason::Throttled { .. }
                    | Reason::Unreadable => false,
                };
                assert!(excused, "{id} is a dead letter: {:?} {:?}", failure.reason, failure.response);
                self.oracle.ended(&id, Err(failure.reason));
            }
            Effect::CallAnswered(_, answer) => self.calls.push(answer),
            Effect::Drained(_, left) => self.drained.push(left),
            Effect::Notice(_) => {}
            other => panic!("{other:?}"),
        }
    }

    /// Even alone.
    fn is_too_long(&self, id: &str) -> bool {
        let Some(max) = self.plan.server.max_bytes else { return false };
        // What probes an outage has no body.
        let mut bodies = self.shipments.iter().filter_map(|(_, shipment)| shipment.body.as_ref());
        bodies.any(|body| body.len() > max && Oracle::members(&self.plan, body) == [id])
    }

    fn send(&mut self, attempt: AttemptId, shipment: Shipment) {
        self.dispatcher.handle(self.now, Event::Left(attempt), &mut self.effects);
        let latency = self.draw.below(self.plan.latency_ms + 1);
        let slow = std::mem::take(&mut self.server.slow_first_ms);
        let answer_at = self.after_ms(latency.max(slow));
        let members = match shipment.path.as_str() {
            // A call, and what probes an outage where nothing may be sent twice.
            "/call" => Vec::new(),
            // What the dispatcher asks by itself.
            _ if shipment.method == "GET" => Vec::new(),
            _ => self.oracle.sent(&self.plan, self.now, &shipment),
        };
        let verdict = self.server.handle(&mut self.draw, &shipment, &members);
        if !matches!(verdict.answer, Answer::Unsent { .. }) {
            self.oracle.arrived(&self.plan, self.now, members.len().max(1));
        }
        if matches!(verdict.told, Told::Nothing | Told::Some) {
            self.oracle.unknown(&members);
        }
        self.shipments.push((self.now, shipment.clone()));
        self.wire.insert((answer_at, attempt), Flight { shipment, members, verdict });
    }

    /// Every message has ended, and none was accepted more often than its unknown outcomes excuse.
    pub fn check_ends(&self) {
        for (id, known) in &self.oracle.known {
            assert!(known.end.is_some(), "{id} is lost");
            let accepted = self.server.accepted.get(id).copied().unwrap_or(0);
            assert!(accepted <= 1 + known.unknown, "{id} was accepted {accepted} times");
        }
        assert!(self.dispatcher.is_idle());
    }

    /// Who traveled together, request by request.
    pub fn batches(&self) -> Vec<Vec<String>> {
        let bodies = self.shipments.iter().filter_map(|(_, shipment)| shipment.body.as_ref());
        bodies.map(|body| Oracle::members(&self.plan, body)).collect()
    }

    pub fn delivered(&self) -> usize {
        self.oracle.known.values().filter(|known| matches!(known.end, Some(Ok(_)))).count()
    }
}
