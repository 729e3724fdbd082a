//! A run: the queue is topped up all the time, so the budget alone decides what leaves.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, TokenEvent};
use spillway_core::evidence::Evidence;
use spillway_core::message::{Call, CallLimits, Message, Parts, Payload, Settle, Submission, Ticket};
use spillway_core::outcome::Response;
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_core::settings::Settings;
use spillway_core::shipment::Shipment;
use spillway_core::token::TokenId;
use spillway_simulator::{Config, Model, Reply, Request};

use super::agenda::Agenda;
use super::case::{Case, Limited};
use super::draw::Draw;
use super::score::{Outcome, Score};

/// The model's time 0 on the wall clock.
pub const EPOCH_MS: u64 = 1_767_225_600_000;
/// Messages in the queue: always more than a window takes.
const QUEUED: usize = 1_500;
/// Of each busy conversation so many wait.
const BACKLOG: u64 = 100;
/// Where calls go that have a limit of their own, and the conversation that has one.
pub const LIMITED_ENDPOINT: &str = "/api/v2/users/me";
pub const LIMITED_CONVERSATION: &str = "limited";
/// So far apart are the messages of a late conversation.
const LATE_GAP_US: u64 = 5_000_000;

enum Happening {
    /// With the time from there to the answer.
    Arrives(AttemptId, Shipment, u64),
    Returns(AttemptId, Reply),
    Changes(usize),
    /// A message comes.
    Comes,
    /// A message of a late conversation comes, and so many more.
    ComesLate {
        conversation: u64,
        more: u64,
    },
}

#[derive(Clone, Copy)]
enum Sender {
    Busy(u64),
    Late,
    /// Any of many, beside something that is limited.
    Flowing,
    Limited,
}

pub struct Sim {
    case: Case,
    dispatcher: Dispatcher,
    model: Model,
    /// The server's clock began so much before ours.
    ahead_us: u64,
    agenda: Agenda<Happening>,
    effects: Vec<Effect>,
    now_us: u64,
    tickets: u64,
    /// Who sent the messages of a crowd that are under way, and when.
    senders: HashMap<u64, (Sender, u64)>,
    latecomers: u64,
    /// Something has come that nobody has looked at yet.
    has_submitted: bool,
    score: Score,
    config: Config,
    draw: Draw,
    pub trace: bool,
}

impl Sim {
    pub fn new(case: &Case, seed: u64) -> Self {
        let mut draw = Draw::stream(seed, 3);
        let settings = json!({
            "organization": "figures",
            "apiUrl": "http://127.0.0.1:1",
            "credentials": { "accessToken": "token" },
            "route": "messaging",
            "store": "memory",
            "rateLimit": case.rate_limit,
            "ordering": if case.crowd.is_some() || case.limited.is_some() { "conversation" } else { "none" },
            "connections": { "max": 1_024 },
            "dedupeMs": 0,
        });
        let settings = Settings::from_json(&settings.to_string()).unwrap();
        let config = Config::from_json(&case.server.to_string()).unwrap();
        let mut sim = Self {
            dispatcher: Dispatcher::new(Arc::new(settings), Random::from_seed(draw.next()), Timestamp::START),
            model: Model::new(config.clone(), draw.next()),
            ahead_us: draw.range(0, 120_000_000),
            agenda: Agenda::new(),
            effects: Vec::new(),
            now_us: 0,
            tickets: 0,
            senders: HashMap::new(),
            latecomers: 0,
            has_submitted: false,
            score: Score::new(case),
            config,
            case: case.clone(),
            draw: Draw::stream(seed, 4),
            trace: std::env::var("SPILLWAY_TRACE").is_ok(),
        };
        for (index, change) in case.changes.iter().enumerate() {
            sim.agenda.add(change.at_ms * 1_000, Happening::Changes(index));
        }
        sim.next_comes();
        sim.gather_crowd();
        sim.submit_limited();
        sim.dispatcher.handle(
            Timestamp::START,
            Event::Token(TokenId::FIRST, TokenEvent::Granted(None)),
            &mut sim.effects,
        );
        sim
    }

    pub fn run(mut self) -> Outcome {
        let end_us = self.case.run_ms * 1_000;
        loop {
            self.top_up();
            self.dispatcher.poll(Timestamp::from_micros(self.now_us), &mut self.effects);
            self.perform();
            if std::mem::take(&mut self.has_submitted) {
                continue;
            }
            let planned = self.agenda.next_us();
            let wake = self.dispatcher.next_wake().map(Timestamp::as_micros);
            let at_us = [planned, wake].into_iter().flatten().min().expect("a sender that waits for nothing");
            assert!(wake.is_none_or(|wake| wake > self.now_us), "{}: woken at once, again", self.case.words);
            if at_us >= end_us {
                break;
            }
            self.now_us = self.now_us.max(at_us);
            while let Some(happening) = self.agenda.pop_due(self.now_us) {
                self.happen(happening);
            }
        }
        self.score.end(&self.case)
    }

    fn top_up(&mut self) {
        if self.case.load.is_some() || self.case.crowd.is_some() || self.dispatcher.unsettled() >= QUEUED {
            return;
        }
        for _ in 0..QUEUED {
            self.submit_of_any();
        }
    }

    fn submit_of_any(&mut self) {
        let conversation = format!("c{}", self.tickets % self.case.conversations);
        match self.case.limited {
            None => self.submit(&conversation),
            Some(_) => self.submit_of(Sender::Flowing, &conversation),
        }
    }

    /// There is always one more of what is limited.
    fn submit_limited(&mut self) {
        match self.case.limited {
            None => {}
            Some(Limited::Conversation) => self.submit_of(Sender::Limited, LIMITED_CONVERSATION),
            Some(Limited::Endpoint) => {
                self.submit_payload(Payload::Call(Box::new(Call {
                    method: "GET".into(),
                    path: LIMITED_ENDPOINT.into(),
                    headers: Vec::new(),
                    body: None,
                    timeout: None,
                    response_bytes_max: 1_024,
                    raw: false,
                    idempotent: None,
                    limits: CallLimits::default(),
                })));
                self.has_submitted = true;
                self.senders.insert(self.tickets, (Sender::Limited, self.now_us));
            }
        }
    }

    fn gather_crowd(&mut self) {
        let Some(crowd) = self.case.crowd else { return };
        for busy in 0..crowd.busy {
            let messages = if crowd.one_by_one { 1 } else { BACKLOG };
            (0..messages).for_each(|_| self.submit_of(Sender::Busy(busy), &format!("busy-{busy}")));
        }
        self.next_late();
    }

    fn next_late(&mut self) {
        let Some(crowd) = self.case.crowd else { return };
        self.latecomers += 1;
        let gap_us = self.draw.range(0, 2_000 * crowd.late_every_ms);
        let late = Happening::ComesLate { conversation: self.latecomers, more: crowd.late_messages - 1 };
        self.agenda.add(self.now_us + gap_us, late);
    }

    fn submit_of(&mut self, sender: Sender, conversation: &str) {
        self.submit(conversation);
        self.has_submitted = true;
        self.senders.insert(self.tickets, (sender, self.now_us));
    }

    fn delivered(&mut self, number: u64) {
        let sender = self.senders.remove(&number);
        if !matches!(sender, Some((Sender::Limited, _))) {
            self.score.delivered(self.now_us);
        }
        match sender {
            Some((Sender::Busy(busy), _)) => self.submit_of(Sender::Busy(busy), &format!("busy-{busy}")),
            Some((Sender::Late | Sender::Flowing, since_us)) => self.score.late(since_us, self.now_us),
            Some((Sender::Limited, _)) => self.submit_limited(),
            None => {}
        }
    }

    /// Gaps differ, up to twice the mean.
    fn next_comes(&mut self) {
        let Some(load) = self.case.load else { return };
        let mean_us = (self.case.per_ms * 1_000) as f64 / (self.case.requests as f64 * load);
        let gap_us = self.draw.range(0, (2.0 * mean_us) as u64);
        self.agenda.add(self.now_us + gap_us, Happening::Comes);
    }

    fn submit(&mut self, conversation: &str) {
        let message = Message::new(Parts {
            id: &(self.tickets + 1).to_string(),
            conversation,
            body: r#"{"text":"hello"}"#,
            ..Parts::default()
        })
        .expect("a message");
        self.submit_payload(Payload::Message(message));
    }

    fn submit_payload(&mut self, payload: Payload) {
        self.tickets += 1;
        let submission = Submission {
            ticket: Ticket { handle: 0, number: self.tickets },
            settle: Settle::OnOutcome,
            payload,
            priority: 0,
            expires_at: None,
            not_before: None,
        };
        self.dispatcher.handle(Timestamp::from_micros(self.now_us), Event::Submit(submission), &mut self.effects);
    }

    fn perform(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Send { attempt, shipment } => self.send(attempt, shipment),
                Effect::Delivered { waiter, .. } => {
                    waiter.into_iter().for_each(|ticket| self.delivered(ticket.number));
                }
                Effect::CallAnswered(ticket, _) => self.delivered(ticket.number),
                Effect::Notice(notice) if self.trace => println!("{:.3} {notice:?}", self.now_us as f64 / 1e6),
                _ => {}
            }
        }
    }

    fn send(&mut self, attempt: AttemptId, shipment: Shipment) {
        let now = Timestamp::from_micros(self.now_us);
        self.dispatcher.handle(now, Event::Left(attempt), &mut self.effects);
        self.score.sent(self.now_us);
        let travel = self.model.travel();
        let arrives = Happening::Arrives(attempt, shipment, travel.answer_us);
        self.agenda.add(self.now_us + travel.arrival_us, arrives);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives(attempt, shipment, answer_us) => {
                let request = Request {
                    method: &shipment.method,
                    path: &shipment.path,
                    authorization: Some("Bearer token"),
                    idempotency_key: None,
                    body: shipment.body.as_deref().unwrap_or_default(),
                };
                let reply = self.model.arrive(self.ahead_us + self.now_us, &request);
                self.agenda.add(self.now_us + answer_us, Happening::Returns(attempt, reply));
            }
            Happening::Returns(attempt, reply) => {
                if reply.status == 429 {
                    self.score.refused(self.now_us);
                }
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
            Happening::Comes => {
                self.submit_of_any();
                self.next_comes();
            }
            Happening::ComesLate { conversation, more } => {
                self.submit_of(Sender::Late, &format!("late-{conversation}"));
                if let Some(left) = more.checked_sub(1) {
                    let next = Happening::ComesLate { conversation, more: left };
                    self.agenda.add(self.now_us + LATE_GAP_US, next);
                }
                if self.case.crowd.is_some_and(|crowd| crowd.late_messages == more + 1) {
                    self.next_late();
                }
            }
            Happening::Changes(index) => {
                let change = self.case.changes[index].clone();
                self.config = self.config.merge(&change.server.to_string()).unwrap();
                self.model.set(self.ahead_us + self.now_us, self.config.clone());
                self.score.changed(self.now_us, change.requests);
                if self.trace {
                    println!("{:.3} CHANGES to {}", self.now_us as f64 / 1e6, change.requests);
                }
            }
        }
    }

    fn read(&self, reply: &Reply) -> Answer {
        let find = |name: &str| reply.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
        let hidden = self.case.shown.is_some_and(|shown| find("x-ratelimit-limit") != Some(shown));
        let is_cut = |name: &str| self.case.without_reset && name.ends_with("-reset");
        let header = |name: &str| find(name).filter(|_| !(hidden && name.starts_with("x-") || is_cut(name)));
        // The model's clock is the server's wall clock; ours agrees with it.
        let epoch_ms = EPOCH_MS + (self.ahead_us + self.now_us) / 1_000;
        let mut evidence = Evidence::read(header, reply.body.as_bytes(), epoch_ms);
        if reply.status == 429 {
            evidence.add_refusal(reply.body.as_bytes());
        }
        Answer::Answered { response: Response { status: reply.status, ..Response::default() }, evidence }
    }
}
