//! A dispatcher on a bench: the test is its callers, its server and its clock.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, Notice, TokenEvent};
use spillway_core::evidence::Evidence;
use spillway_core::message::{Call, CallLimits, Message, Parts, Payload, Settle, Submission, Ticket};
use spillway_core::outcome::Response;
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_core::settings::Settings;
use spillway_core::stats::PauseScope;
use spillway_core::token::TokenId;

pub struct Bench {
    pub dispatcher: Dispatcher,
    pub now: Timestamp,
    /// Pauses that began (true) and ended, as listeners are told.
    pub pauses_told: Vec<(bool, PauseScope)>,
    tickets: u64,
}

/// Options with `patch` laid over them, one level deep.
pub fn options(patch: Value) -> Value {
    let mut options = json!({
        "organization": "bench",
        "apiUrl": "http://127.0.0.1:1",
        "credentials": { "accessToken": "token" },
        "route": "messaging",
        "store": "memory",
        "rateLimit": { "requests": 1_000, "perMs": 1_000 },
    });
    if let (Some(options), Value::Object(patch)) = (options.as_object_mut(), patch) {
        options.extend(patch);
    }
    options
}

pub fn of(number: u64) -> Ticket {
    Ticket { handle: 0, number }
}

pub fn answered(status: u16, evidence: Evidence) -> Answer {
    Answer::Answered { response: Response { status, ..Response::default() }, evidence }
}

pub fn status(status: u16) -> Answer {
    answered(status, Evidence::default())
}

pub fn retry_after(seconds: u64) -> Answer {
    answered(429, Evidence { retry_after: Some(Duration::from_secs(seconds)), ..Evidence::default() })
}

pub fn unanswered() -> Answer {
    Answer::Unanswered { problem: "cut".to_owned() }
}

impl Bench {
    pub fn new(patch: Value) -> Self {
        let settings = Settings::from_json(&options(patch).to_string()).unwrap();
        let dispatcher = Dispatcher::new(Arc::new(settings), Random::from_seed(7), Timestamp::START);
        let mut bench = Self { dispatcher, now: Timestamp::START, pauses_told: Vec::new(), tickets: 0 };
        bench.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)));
        bench
    }

    pub fn handle(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.dispatcher.handle(self.now, event, &mut effects);
        self.note_pauses(&effects);
        effects
    }

    fn note_pauses(&mut self, effects: &[Effect]) {
        self.pauses_told.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Notice(Notice::Throttled { scope, .. }) => Some((true, scope.clone())),
            Effect::Notice(Notice::Resumed { scope, .. }) => Some((false, scope.clone())),
            _ => None,
        }));
    }

    /// Polls; what may go leaves at once.
    pub fn poll(&mut self) -> Vec<Effect> {
        let effects = self.poll_waiting();
        for (attempt, _) in sends(&effects) {
            self.handle(Event::Left(attempt));
        }
        effects
    }

    /// Polls; what may go waits for the disk or a connection.
    pub fn poll_waiting(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.dispatcher.poll(self.now, &mut effects);
        self.note_pauses(&effects);
        effects
    }

    pub fn wait_ms(&mut self, ms: u64) {
        self.now = self.now.after(Duration::from_millis(ms));
    }

    /// Sends a message: its ticket, and what happened at once.
    pub fn send(&mut self, id: &str, conversation: &str) -> (u64, Vec<Effect>) {
        self.submit(id, conversation, |_| {})
    }

    pub fn submit(&mut self, id: &str, conversation: &str, change: impl FnOnce(&mut Submission)) -> (u64, Vec<Effect>) {
        self.tickets += 1;
        let message =
            Message::new(Parts { id, id_given: true, conversation, body: r#"{"text":"hello"}"#, ..Parts::default() })
                .expect("a message");
        let mut submission = Submission {
            ticket: of(self.tickets),
            settle: Settle::OnOutcome,
            payload: Payload::Message(message),
            priority: 0,
            expires_at: None,
            not_before: None,
        };
        change(&mut submission);
        (self.tickets, self.handle(Event::Submit(submission)))
    }

    pub fn call(&mut self, method: &str) -> u64 {
        self.request(method).0
    }

    /// Makes a request: its ticket, and what happened at once.
    pub fn request(&mut self, method: &str) -> (u64, Vec<Effect>) {
        self.request_as(method, |_| {})
    }

    pub fn request_as(&mut self, method: &str, change: impl FnOnce(&mut Call)) -> (u64, Vec<Effect>) {
        let mut call = Call {
            method: method.into(),
            path: "/x".into(),
            headers: Vec::new(),
            body: None,
            timeout: None,
            response_bytes_max: 1_024,
            raw: false,
            idempotent: None,
            limits: CallLimits::default(),
        };
        change(&mut call);
        self.submit("", "", |submission| submission.payload = Payload::Call(Box::new(call)))
    }

    /// Polls; what leaves, by id, with its attempt.
    pub fn leaving(&mut self) -> Vec<(AttemptId, String)> {
        sends(&self.poll())
    }

    pub fn answer(&mut self, attempt: AttemptId, answer: Answer) -> Vec<Effect> {
        self.handle(Event::Answered(attempt, answer))
    }

    /// For so long, answers at once whatever leaves. Returns what left, by id.
    pub fn serve(&mut self, ms: u64, answer: impl Fn(&str) -> Answer) -> Vec<String> {
        let mut left = Vec::new();
        for _ in 0..ms {
            for (attempt, name) in self.leaving() {
                let answer = answer(&name);
                left.push(name);
                self.answer(attempt, answer);
            }
            self.wait_ms(1);
        }
        left
    }

    /// Answers everything that leaves at once, until nothing more does, and passes on all effects. Returns what left,
    /// by id.
    pub fn answer_all(&mut self, answer: impl Fn(&str) -> Answer, mut hear: impl FnMut(&[Effect])) -> Vec<String> {
        let mut left = Vec::new();
        loop {
            let effects = self.poll();
            hear(&effects);
            let leaving = sends(&effects);
            if leaving.is_empty() {
                return left;
            }
            for (attempt, name) in leaving {
                hear(&self.answer(attempt, answer(&name)));
                left.push(name);
            }
        }
    }

    pub fn drain(&mut self, within_ms: Option<u64>) -> u64 {
        self.tickets += 1;
        let deadline = within_ms.map(|ms| self.now.after(Duration::from_millis(ms)));
        self.handle(Event::Drain(of(self.tickets), deadline));
        self.tickets
    }
}

pub fn sends(effects: &[Effect]) -> Vec<(AttemptId, String)> {
    let send = |effect: &Effect| match effect {
        Effect::Send { attempt, shipment, .. } => {
            Some((*attempt, shipment.idempotency_key.as_deref().unwrap_or(&shipment.path).to_owned()))
        }
        _ => None,
    };
    effects.iter().filter_map(send).collect()
}

pub fn ids(sends: &[(AttemptId, String)]) -> Vec<&str> {
    sends.iter().map(|(_, id)| id.as_str()).collect()
}

/// What settles, as words: "1 delivered", "2 EXPIRED", "3 accepted", "4 drained None" and so on.
pub fn settled(effects: &[Effect]) -> Vec<String> {
    let word = |effect: &Effect| match effect {
        Effect::Accepted { ticket, duplicate, .. } => {
            Some(format!("{} accepted{}", ticket.number, if *duplicate { " again" } else { "" }))
        }
        Effect::Delivered { waiter, receipt, .. } => {
            waiter.map(|ticket| format!("{} delivered{}", ticket.number, if receipt.duplicate { " again" } else { "" }))
        }
        Effect::Buried { waiter, failure, .. } => {
            Some(format!("{} {}", waiter.map_or(0, |ticket| ticket.number), failure.reason.code()))
        }
        Effect::CallAnswered(ticket, answer) => Some(format!("{} answered {}", ticket.number, answer.response.status)),
        Effect::Failed(ticket, error) => Some(format!("{} {}", ticket.number, error.code())),
        Effect::Done(ticket) => Some(format!("{} done", ticket.number)),
        Effect::Redriven(ticket, outcome) => Some(format!(
            "{} redriven {} full {} unsendable {}",
            ticket.number, outcome.redriven, outcome.full, outcome.unsendable
        )),
        Effect::Drained(ticket, left) => Some(format!("{} drained {left:?}", ticket.number)),
        Effect::Send { .. } | Effect::Cut(_) | Effect::CheckReachable | Effect::FetchToken(_) | Effect::Notice(_) => {
            None
        }
        // With a store, callers hear of nothing before it is kept.
        Effect::Store(_) | Effect::Load(_) | Effect::Renew(_) => None,
    };
    effects.iter().filter_map(word).collect()
}
