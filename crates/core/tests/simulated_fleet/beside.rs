//! Hosts beside each other, without a network between them: what they send is seen at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, TokenEvent};
use spillway_core::evidence::Evidence;
use spillway_core::lease::book::{Book, Server};
use spillway_core::message::{Message, Parts, Payload, Settle, Submission, Ticket};
use spillway_core::outcome::Response;
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_core::settings::{RedisUrl, Settings, Shared, WhenUnreachable};
use spillway_core::token::TokenId;

/// Hosts beside each other, whose store answers at once.
pub struct Fleet {
    pub hosts: Vec<Dispatcher>,
    pub book: Book,
    pub now: Timestamp,
    submitted: u64,
    /// Requests under way, by host.
    pub wire: BTreeMap<(usize, AttemptId), ()>,
    pub pushes: bool,
    /// These do nothing any more.
    held: Vec<usize>,
}

impl Fleet {
    pub fn new(count: u64) -> Self {
        let options = r#"{ "organization": "fleet", "apiUrl": "http://127.0.0.1:1", "route": "messaging", "store": "memory",
            "credentials": { "accessToken": "token" }, "rateLimit": { "requests": 20, "perMs": 1000 } }"#;
        let mut settings = Settings::from_json(options).unwrap();
        settings.shared =
            Some(Shared { url: RedisUrl::parse("redis://fleet").unwrap(), when_unreachable: WhenUnreachable::Hold });
        let settings = Arc::new(settings);
        let new = |seed| Dispatcher::new(Arc::clone(&settings), Random::from_seed(seed), Timestamp::START);
        let hosts = (0..count).map(new).collect();
        let wire = BTreeMap::new();
        let mut fleet = Self {
            hosts,
            book: Book::default(),
            now: Timestamp::START,
            submitted: 0,
            wire,
            pushes: true,
            held: vec![],
        };
        for host in 0..fleet.hosts.len() {
            fleet.handle(host, Event::Token(TokenId::FIRST, TokenEvent::Granted(None)));
            fleet.submit(host);
        }
        // The store is new.
        fleet.run_ms(20_000, |_, _| Some(status(200)));
        fleet
    }

    /// A host does nothing any more.
    pub fn hold(&mut self, host: usize) {
        self.held.push(host);
    }

    fn acting(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|host| !self.held.contains(host)).collect()
    }

    /// A message of a conversation of its own.
    pub fn submit(&mut self, host: usize) -> Ticket {
        let conversation = format!("c{}", self.submitted);
        self.submit_to(host, &conversation)
    }

    pub fn submit_to(&mut self, host: usize, conversation: &str) -> Ticket {
        self.submitted += 1;
        let id = format!("m{}", self.submitted);
        let ticket = Ticket { handle: 1, number: self.submitted };
        let parts = Parts { id: &id, id_given: true, conversation, body: "{}", ..Parts::default() };
        self.handle(
            host,
            Event::Submit(Submission {
                ticket,
                settle: Settle::OnOutcome,
                payload: Payload::Message(Message::new(parts).expect("a message")),
                priority: 0,
                expires_at: None,
                not_before: None,
            }),
        );
        ticket
    }

    pub fn handle(&mut self, host: usize, event: Event) {
        let mut effects = Vec::new();
        self.hosts[host].handle(self.now, event, &mut effects);
        self.perform(host, effects);
    }

    pub fn perform(&mut self, host: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Renew(renewal) => {
                    let server = Server { now: self.now.as_micros() + 1_000_000, run: 1 };
                    let (grant, broadcasts) = self.book.renew(server, &renewal);
                    self.handle(host, Event::Granted(Box::new(grant)));
                    let heard = if self.pushes { broadcasts } else { Vec::new() };
                    for one in heard {
                        self.acting()
                            .into_iter()
                            .for_each(|other| self.handle(other, Event::FleetBroadcast(one.clone())));
                    }
                }
                Effect::Send { attempt, .. } if self.hosts[host].may_leave_at(self.now, attempt) => {
                    self.handle(host, Event::Left(attempt));
                    self.wire.insert((host, attempt), ());
                }
                Effect::Send { attempt, .. } => self.handle(host, Event::Withheld(attempt)),
                _ => {}
            }
        }
    }

    /// Lets every host look at what it can do, until none can do more. Which requests leave.
    pub fn poll(&mut self) -> Vec<(usize, AttemptId)> {
        let before: Vec<_> = self.wire.keys().copied().collect();
        for _ in 0..4 {
            for host in self.acting() {
                let mut effects = Vec::new();
                self.hosts[host].poll(self.now, &mut effects);
                self.perform(host, effects);
            }
        }
        self.wire.keys().filter(|key| !before.contains(key)).copied().collect()
    }

    /// For so long; what leaves is answered at once, unless the answer is none. Who sent, and when.
    pub fn run_ms(
        &mut self,
        ms: u64,
        mut answer: impl FnMut(usize, AttemptId) -> Option<Answer>,
    ) -> Vec<(usize, Timestamp)> {
        let mut sent = Vec::new();
        for _ in 0..ms / 5 {
            for (host, attempt) in self.poll() {
                sent.push((host, self.now));
                if let Some(answer) = answer(host, attempt) {
                    self.wire.remove(&(host, attempt));
                    self.handle(host, Event::Answered(attempt, answer));
                }
            }
            self.now = self.now.after(Duration::from_millis(5));
        }
        sent
    }
}

pub fn status(status: u16) -> Answer {
    Answer::Answered { response: Response { status, ..Response::default() }, evidence: Evidence::default() }
}
