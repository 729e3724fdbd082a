//! A run on a virtual clock against the simulator's model: the queue is full all the time, so that the budgets alone
//! decide what leaves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, Notice, TokenEvent};
use spillway_core::evidence::Evidence;
use spillway_core::message::{Message, Parts, Payload, Settle, Submission, Ticket};
use spillway_core::outcome::Response;
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_core::settings::Settings;
use spillway_core::shipment::Shipment;
use spillway_core::token::TokenId;
use spillway_simulator::{Config, Flight, Model, Reply, Request};

use super::agenda::Agenda;
use super::draw::Draw;

/// The model's time 0 on the wall clock.
const EPOCH_MS: u64 = 1_767_225_600_000;
/// Messages in the queue: always more than a turn takes.
const QUEUED: usize = 200;
const CONVERSATIONS: u64 = 40;
const LOGIN_US: u64 = 30_000;

enum Happening {
    /// With the time from there to the answer.
    Arrives(u64, AttemptId, Shipment, String, Flight, u64),
    Returns(u64, AttemptId, Reply, Flight),
    Token(u64, TokenId, TokenEvent, Option<String>),
    Changes(Value),
    Restarts,
}

pub struct Plan {
    pub clients: usize,
    pub server: Value,
    pub rate_limit: Value,
    pub organization_limit: Value,
    pub run_us: u64,
    /// The server's configuration changes at these times.
    pub changes: Vec<(u64, Value)>,
    pub restarts_us: Vec<u64>,
}

/// What came of a run.
pub struct Outcome {
    pub ledger: Value,
    /// When messages were delivered.
    pub delivered_us: Vec<u64>,
    pub refused: u64,
    /// Token outages that were told, by name: whether they began.
    pub outages: Vec<(String, bool)>,
}

impl Outcome {
    /// How many were delivered between two times.
    pub fn between(&self, from_us: u64, to_us: u64) -> usize {
        self.delivered_us.iter().filter(|at| (from_us..to_us).contains(at)).count()
    }
}

pub struct Sim {
    settings: Arc<Settings>,
    dispatcher: Dispatcher,
    model: Model,
    config: Config,
    agenda: Agenda<Happening>,
    effects: Vec<Effect>,
    now_us: u64,
    tickets: u64,
    /// Numbers of the messages of each conversation.
    seqs: HashMap<String, u64>,
    authorizations: Vec<Option<String>>,
    draw: Draw,
    /// Answers to an earlier run come to nobody.
    run: u64,
    outcome: Outcome,
}

pub fn clients(count: usize) -> Value {
    (0..count).map(|index| json!({ "clientId": format!("client-{index}"), "clientSecret": "secret" })).collect()
}

impl Sim {
    pub fn new(plan: &Plan, seed: u64) -> Self {
        let mut draw = Draw::stream(seed, 1);
        let settings = json!({
            "organization": "clients",
            "apiUrl": "http://127.0.0.1:1",
            "credentials": clients(plan.clients),
            "route": "messaging",
            "store": "memory",
            "rateLimit": plan.rate_limit,
            "organizationLimit": plan.organization_limit,
            "connections": { "max": 1_024 },
            "dedupeMs": 0,
        });
        let settings = Arc::new(Settings::from_json(&settings.to_string()).unwrap());
        let config = Config::from_json(&plan.server.to_string()).unwrap();
        let mut sim = Self {
            dispatcher: Dispatcher::new(Arc::clone(&settings), Random::from_seed(draw.next()), Timestamp::START),
            model: Model::new(config.clone(), draw.next()),
            config,
            agenda: Agenda::new(),
            effects: Vec::new(),
            now_us: 0,
            tickets: 0,
            seqs: HashMap::new(),
            authorizations: vec![None; plan.clients],
            draw,
            run: 0,
            outcome: Outcome { ledger: Value::Null, delivered_us: Vec::new(), refused: 0, outages: Vec::new() },
            settings,
        };
        for (at_us, change) in &plan.changes {
            sim.agenda.add(*at_us, Happening::Changes(change.clone()));
        }
        plan.restarts_us.iter().for_each(|at_us| sim.agenda.add(*at_us, Happening::Restarts));
        sim
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now_us)
    }

    pub fn run(mut self, run_us: u64) -> Outcome {
        loop {
            self.top_up();
            let now = self.now();
            self.dispatcher.poll(now, &mut self.effects);
            self.perform();
            if self.dispatcher.unsettled() < QUEUED / 2 {
                continue;
            }
            let wake = self.dispatcher.next_wake().map(Timestamp::as_micros);
            let at_us = [self.agenda.next_us(), wake].into_iter().flatten().min().expect("it waits for something");
            assert!(wake.is_none_or(|wake| wake > self.now_us), "woken at once, again, at {}", self.now_us);
            if at_us >= run_us {
                break;
            }
            self.now_us = self.now_us.max(at_us);
            while let Some(happening) = self.agenda.pop_due(self.now_us) {
                self.happen(happening);
            }
        }
        self.outcome.ledger = serde_json::to_value(self.model.ledger(false)).unwrap();
        self.outcome
    }

    fn top_up(&mut self) {
        while self.dispatcher.unsettled() < QUEUED {
            self.tickets += 1;
            // Those of an earlier run may still arrive: they are other conversations.
            let conversation = format!("c{}-{}", self.run, self.draw.range(0, CONVERSATIONS - 1));
            let seq = self.seqs.entry(conversation.clone()).or_default();
            *seq += 1;
            let message = Message::new(Parts {
                id: &self.tickets.to_string(),
                conversation: &conversation,
                body: &json!({ "text": "hello", "seq": *seq }).to_string(),
                ..Parts::default()
            })
            .expect("a message");
            let submission = Submission {
                ticket: Ticket { handle: 0, number: self.tickets },
                settle: Settle::OnOutcome,
                payload: Payload::Message(message),
                priority: 0,
                expires_at: None,
                not_before: None,
            };
            let now = self.now();
            self.dispatcher.handle(now, Event::Submit(submission), &mut self.effects);
        }
    }

    fn perform(&mut self) {
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                match effect {
                    Effect::Send { attempt, shipment } => self.send(attempt, shipment),
                    Effect::FetchToken(token) => self.fetch(token),
                    Effect::Delivered { .. } => self.outcome.delivered_us.push(self.now_us),
                    Effect::Buried { failure, .. } => panic!("a message was given up: {failure:?}"),
                    Effect::Notice(Notice::TokenOutage { token, open, .. }) => {
                        self.outcome.outages.push((token.into(), open));
                    }
                    _ => {}
                }
            }
        }
    }

    fn fetch(&mut self, token: TokenId) {
        let client = format!("client_id=client-{}&client_secret=secret", token.index());
        let form = format!("grant_type=client_credentials&{client}");
        let request = Request {
            method: "POST",
            path: "/oauth/token",
            authorization: None,
            idempotency_key: None,
            body: form.as_bytes(),
        };
        let reply = self.model.oauth(self.now_us, &request);
        let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        let (event, header) = match (reply.status, body["access_token"].as_str()) {
            (200, Some(token)) => {
                let life = body["expires_in"].as_u64().map(Duration::from_secs);
                (TokenEvent::Granted(life), Some(format!("Bearer {token}")))
            }
            _ => (TokenEvent::Refused(format!("status {}", reply.status)), None),
        };
        self.agenda.add(self.now_us + LOGIN_US, Happening::Token(self.run, token, event, header));
    }

    fn send(&mut self, attempt: AttemptId, shipment: Shipment) {
        let now = self.now();
        if !self.dispatcher.may_leave_at(now, attempt) {
            return self.dispatcher.handle(now, Event::Withheld(attempt), &mut self.effects);
        }
        self.dispatcher.handle(now, Event::Left(attempt), &mut self.effects);
        let authorization = self.authorizations[shipment.token.index()].clone().expect("a token");
        let flight = self.model.open(&request(&shipment, &authorization));
        let travel = self.model.travel();
        self.agenda.add(
            self.now_us + travel.arrival_us,
            Happening::Arrives(self.run, attempt, shipment, authorization, flight, travel.answer_us),
        );
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now();
        match happening {
            Happening::Arrives(run, attempt, shipment, authorization, flight, answer_us) => {
                let reply = self.model.arrive(self.now_us, &request(&shipment, &authorization));
                self.agenda.add(self.now_us + answer_us, Happening::Returns(run, attempt, reply, flight));
            }
            Happening::Returns(run, attempt, reply, flight) => {
                self.model.close(flight);
                self.outcome.refused += u64::from(reply.status == 429);
                if run == self.run {
                    let answer = read(&reply, self.now_us);
                    self.dispatcher.handle(now, Event::Answered(attempt, answer), &mut self.effects);
                }
            }
            Happening::Token(run, token, event, header) if run == self.run => {
                if header.is_some() {
                    self.authorizations[token.index()] = header;
                }
                self.dispatcher.handle(now, Event::Token(token, event), &mut self.effects);
            }
            Happening::Token(..) => {}
            Happening::Changes(change) => {
                self.config = self.config.merge(&change.to_string()).unwrap();
                self.model.set(self.now_us, self.config.clone());
            }
            Happening::Restarts => {
                let carryover = self.dispatcher.carryover(now);
                let random = Random::from_seed(self.draw.next());
                self.dispatcher = Dispatcher::new(Arc::clone(&self.settings), random, now);
                self.dispatcher.inherit(now, carryover);
                self.effects.clear();
                self.run += 1;
            }
        }
        self.perform();
    }
}

fn request<'a>(shipment: &'a Shipment, authorization: &'a str) -> Request<'a> {
    Request {
        method: &shipment.method,
        path: &shipment.path,
        authorization: Some(authorization),
        idempotency_key: shipment.idempotency_key.as_deref(),
        body: shipment.body.as_deref().unwrap_or_default(),
    }
}

fn read(reply: &Reply, now_us: u64) -> Answer {
    let header = |name: &str| reply.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
    let mut evidence = Evidence::read(header, reply.body.as_bytes(), EPOCH_MS + now_us / 1_000);
    if reply.status == 429 {
        evidence.add_refusal(reply.body.as_bytes());
    }
    let body = Bytes::copy_from_slice(reply.body.as_bytes());
    Answer::Answered { response: Response { status: reply.status, body, ..Response::default() }, evidence }
}
