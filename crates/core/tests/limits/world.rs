//! A run: the queue is topped up all the time, so the budget alone decides what leaves.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use serde_json::json;
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, TokenNews};
use spillway_core::http::{Evidence, Shipment};
use spillway_core::message::{Cargo, Message, Parts, Settle, Submission, Ticket};
use spillway_core::outcome::Response;
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_core::settings::Settings;
use spillway_simulator::{Config, Model, Reply, Request};

use super::case::Case;
use super::draw::Draw;

/// The model's time 0 on the wall clock.
const EPOCH_MS: u64 = 1_767_225_600_000;
/// Messages in the queue: always more than a window takes.
const QUEUED: usize = 1_500;

/// What a run reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub goodput: f64,
    /// Of the requests after the warm-up.
    pub refused: f64,
    pub requests: u64,
    /// Requests of others that got through, of those that came.
    pub others: f64,
}

enum Happening {
    Arrives(AttemptId),
    Returns(AttemptId, Reply),
    Changes(usize),
}

pub struct World {
    case: Case,
    dispatcher: Dispatcher,
    model: Model,
    /// The server's clock began so much before ours.
    ahead_us: u64,
    agenda: BinaryHeap<Reverse<(u64, u64)>>,
    planned: HashMap<u64, Happening>,
    count: u64,
    wires: HashMap<AttemptId, (Shipment, u64)>,
    effects: Vec<Effect>,
    now_us: u64,
    tickets: u64,
    /// Deliveries and requests that count.
    delivered: u64,
    requests: u64,
    refused: u64,
    /// What the quota in force would have let through.
    due: f64,
    counted_to_us: u64,
    quota: u64,
    changed_us: u64,
    config: Config,
    pub trace: bool,
}

impl World {
    pub fn new(case: &Case, seed: u64) -> Self {
        let mut draw = Draw::stream(seed, 3);
        let settings = json!({
            "organization": "figures",
            "apiUrl": "http://127.0.0.1:1",
            "credentials": { "accessToken": "token" },
            "route": "messaging",
            "store": "memory",
            "rateLimit": case.rate_limit,
            "ordering": "none",
            "connections": { "max": 1_024 },
            "dedupeMs": 0,
        });
        let settings = Settings::from_json(&settings.to_string()).unwrap();
        let config = Config::from_json(&case.server.to_string()).unwrap();
        let mut world = Self {
            dispatcher: Dispatcher::new(Arc::new(settings), Random::from_seed(draw.next()), Timestamp::START),
            model: Model::new(config.clone(), draw.next()),
            ahead_us: draw.range(0, 120_000_000),
            agenda: BinaryHeap::new(),
            planned: HashMap::new(),
            count: 0,
            wires: HashMap::new(),
            effects: Vec::new(),
            now_us: 0,
            tickets: 0,
            delivered: 0,
            requests: 0,
            refused: 0,
            due: 0.0,
            counted_to_us: 0,
            quota: case.requests,
            changed_us: 0,
            config,
            case: case.clone(),
            trace: std::env::var("SPILLWAY_TRACE").is_ok(),
        };
        for (index, change) in case.changes.iter().enumerate() {
            world.later(change.at_ms * 1_000, Happening::Changes(index));
        }
        world.dispatcher.handle(Timestamp::START, Event::Token(TokenNews::Granted(None)), &mut world.effects);
        world
    }

    pub fn run(mut self) -> Outcome {
        let end_us = self.case.run_ms * 1_000;
        loop {
            self.top_up();
            self.dispatcher.poll(Timestamp::from_micros(self.now_us), &mut self.effects);
            self.perform();
            let planned = self.agenda.peek().map(|Reverse((at_us, _))| *at_us);
            let wake = self.dispatcher.next_wake().map(Timestamp::as_micros);
            let at_us = [planned, wake].into_iter().flatten().min().expect("a sender that waits for nothing");
            assert!(wake.is_none_or(|wake| wake > self.now_us), "{}: woken at once, again", self.case.words);
            if at_us >= end_us {
                break;
            }
            self.now_us = self.now_us.max(at_us);
            while let Some(Reverse((_, number))) = self.agenda.peek().filter(|Reverse((at, _))| *at <= self.now_us) {
                let happening = self.planned.remove(number).unwrap();
                self.agenda.pop();
                self.happen(happening);
            }
        }
        self.count_to(end_us);
        let others = self.case.server["others"].is_object();
        Outcome {
            goodput: self.delivered as f64 / self.due,
            refused: self.refused as f64 / self.requests.max(1) as f64,
            requests: self.requests,
            others: if others { self.others() } else { 1.0 },
        }
    }

    /// What of the others' demand was left to them, as far as that can be told from outside: all that we haven't taken.
    fn others(&self) -> f64 {
        let others = &self.case.server["others"];
        let demand = others["requests"].as_f64().unwrap() / others["perMs"].as_f64().unwrap() * self.case.per_ms as f64;
        let windows = self.due / self.case.requests as f64;
        ((self.case.requests as f64 + demand) * windows - self.delivered as f64).min(demand * windows)
            / (demand * windows)
    }

    fn counts(&self, at_us: u64) -> bool {
        at_us >= self.case.warm_ms * 1_000
            && (self.changed_us == 0 || at_us >= self.changed_us + self.case.settle_ms * 1_000)
    }

    /// Adds what is due up to a moment, of the stretches that count.
    fn count_to(&mut self, at_us: u64) {
        let settled_us = if self.changed_us == 0 { 0 } else { self.changed_us + self.case.settle_ms * 1_000 };
        let from_us = self.counted_to_us.max(self.case.warm_ms * 1_000).max(settled_us);
        let windows = at_us.saturating_sub(from_us) as f64 / (self.case.per_ms * 1_000) as f64;
        self.due += windows * self.quota as f64;
        self.counted_to_us = at_us;
    }

    fn top_up(&mut self) {
        if self.dispatcher.unsettled() >= QUEUED {
            return;
        }
        let now = Timestamp::from_micros(self.now_us);
        for _ in 0..QUEUED {
            self.tickets += 1;
            let message = Message::new(Parts {
                id: &self.tickets.to_string(),
                conversation: "c",
                body: r#"{"text":"hello"}"#,
                ..Parts::default()
            })
            .expect("a message");
            let submission = Submission {
                ticket: Ticket { handle: 0, number: self.tickets },
                settle: Settle::OnOutcome,
                cargo: Cargo::Message(message),
                priority: 0,
                expires_at: None,
                not_before: None,
            };
            self.dispatcher.handle(now, Event::Submit(submission), &mut self.effects);
        }
    }

    fn perform(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Send { attempt, shipment, .. } => self.send(attempt, shipment),
                Effect::Delivered { .. } if self.counts(self.now_us) => self.delivered += 1,
                Effect::Notice(notice) if self.trace => println!("{:.3} {notice:?}", self.now_us as f64 / 1e6),
                _ => {}
            }
        }
    }

    fn send(&mut self, attempt: AttemptId, shipment: Shipment) {
        self.requests += u64::from(self.counts(self.now_us));
        let travel = self.model.travel();
        self.wires.insert(attempt, (shipment, travel.answer_us));
        self.later(self.now_us + travel.arrival_us, Happening::Arrives(attempt));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives(attempt) => {
                let (shipment, answer_us) = self.wires.remove(&attempt).unwrap();
                let request = Request {
                    method: &shipment.method,
                    path: &shipment.path,
                    authorization: Some("Bearer token"),
                    idempotency_key: None,
                    body: shipment.body.as_deref().unwrap_or_default(),
                };
                let reply = self.model.arrive(self.ahead_us + self.now_us, &request);
                self.later(self.now_us + answer_us, Happening::Returns(attempt, reply));
            }
            Happening::Returns(attempt, reply) => {
                self.refused += u64::from(reply.status == 429 && self.counts(self.now_us));
                if self.trace && reply.status == 429 {
                    let now = Timestamp::from_micros(self.now_us);
                    println!(
                        "{:.3} refused; believed {:?}",
                        self.now_us as f64 / 1e6,
                        self.dispatcher.snapshot(now).quota
                    );
                }
                let answer = self.read(&reply);
                let now = Timestamp::from_micros(self.now_us);
                self.dispatcher.handle(now, Event::Answered(attempt, answer), &mut self.effects);
            }
            Happening::Changes(index) => {
                self.count_to(self.now_us);
                let change = self.case.changes[index].clone();
                self.config = self.config.merge(&change.server.to_string()).unwrap();
                self.model.set(self.ahead_us + self.now_us, self.config.clone());
                (self.quota, self.changed_us) = (change.requests, self.now_us);
                if self.trace {
                    println!("{:.3} CHANGES to {}", self.now_us as f64 / 1e6, change.requests);
                }
            }
        }
    }

    fn read(&self, reply: &Reply) -> Answer {
        let find = |name: &str| reply.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
        let hidden = self.case.shown.is_some_and(|shown| find("x-ratelimit-limit") != Some(shown));
        let header = |name: &str| find(name).filter(|_| !(hidden && name.starts_with("x-")));
        // The model's clock is the server's wall clock; ours agrees with it.
        let epoch_ms = EPOCH_MS + (self.ahead_us + self.now_us) / 1_000;
        Answer::Answered {
            response: Response { status: reply.status, ..Response::default() },
            evidence: Evidence::read(header, reply.body.as_bytes(), epoch_ms),
        }
    }

    fn later(&mut self, at_us: u64, happening: Happening) {
        self.count += 1;
        self.agenda.push(Reverse((at_us, self.count)));
        self.planned.insert(self.count, happening);
    }
}
