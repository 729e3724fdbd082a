//! Small benches of the dispatcher to count instructions of: `npm run check:instructions` runs them under callgrind.
//!
//! `instructions NAME COUNT` takes COUNT messages in, answers every request with 200, and ends when all are settled.
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout, reason = "a program to look at")]

use std::sync::Arc;

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{Dispatcher, Effect, Event, TokenEvent};
use spillway_core::evidence::Evidence;
use spillway_core::message::{Message, Parts, Payload, Settle, Submission, Ticket};
use spillway_core::outcome::Response;
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_core::settings::Settings;
use spillway_core::token::TokenId;

const BODY: &str = r#"{"type":"Text","text":"You are not making sense, or I am not: could you say that again?"}"#;

struct Bench {
    route: &'static str,
    batch: &'static str,
    settle: Settle,
    /// Whether all messages are queued before the first is sent, or a few at a time.
    backlog: bool,
    messages_per_conversation: u64,
}

const SEND: Bench = Bench {
    route: "messaging",
    batch: r#"{"mode":"none"}"#,
    settle: Settle::OnOutcome,
    backlog: false,
    messages_per_conversation: 10,
};

fn bench(name: &str) -> Bench {
    match name {
        "send" => SEND,
        "enqueue" => Bench { settle: Settle::OnAcceptance, ..SEND },
        "backlog" => Bench { backlog: true, ..SEND },
        "array" => Bench { route: "messaging-array", batch: r#"{"mode":"array","lingerMs":0}"#, backlog: true, ..SEND },
        "merge" => Bench { batch: r#"{"mode":"merge"}"#, backlog: true, ..SEND },
        other => panic!("no such bench: {other}"),
    }
}

/// A message is made in `room`, as those of a frame are.
fn submission(number: u64, count: u64, bench: &Bench, room: &mut String) -> Submission {
    let conversations = (count / bench.messages_per_conversation).max(1);
    let parts = Parts {
        id: &format!("8650fd09-5f73-4a19-a6f3-{number:012}"),
        conversation: &format!("02c4365b-e5bc-47e6-85ad-{:012}", number % conversations),
        body: BODY,
        ..Parts::default()
    };
    Submission {
        ticket: Ticket { handle: 0, number },
        settle: bench.settle,
        payload: Payload::Message(Message::new_in(room, parts).unwrap()),
        priority: 0,
        expires_at: None,
        not_before: None,
    }
}

struct Sim {
    dispatcher: Dispatcher,
    now: Timestamp,
    effects: Vec<Effect>,
    settled: u64,
}

impl Sim {
    fn submit(&mut self, submission: Submission) {
        self.dispatcher.handle(self.now, Event::Submit(submission), &mut self.effects);
    }

    /// One look at the lanes, and the answers to what was sent.
    fn turn(&mut self) {
        self.now = Timestamp::from_micros(self.now.as_micros() + 2_000);
        self.dispatcher.poll(self.now, &mut self.effects);
        for effect in std::mem::take(&mut self.effects) {
            let event = match effect {
                Effect::FetchToken(_) => Event::Token(TokenId::FIRST, TokenEvent::Granted(None)),
                Effect::Send { attempt, .. } => {
                    self.dispatcher.handle(self.now, Event::Left(attempt), &mut self.effects);
                    let response = Response { status: 200, ..Response::default() };
                    Event::Answered(attempt, Answer::Answered { response, evidence: Evidence::default() })
                }
                Effect::Delivered { .. } => {
                    self.settled += 1;
                    continue;
                }
                _ => continue,
            };
            self.dispatcher.handle(self.now, event, &mut self.effects);
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let bench = bench(&arguments.next().unwrap());
    let count: u64 = arguments.next().unwrap().parse().unwrap();
    let settings = format!(
        r#"{{"organization":"o","apiUrl":"http://a","credentials":{{"accessToken":"t"}},"store":"memory","route":"{}",
        "queue":{{"maxMessages":1000000}},"rateLimit":{{"requests":1000000,"perMs":1}},"batch":{}}}"#,
        bench.route, bench.batch
    );
    let settings = Arc::new(Settings::from_json(&settings).unwrap());
    let mut sim = Sim {
        dispatcher: Dispatcher::new(settings, Random::from_seed(1), Timestamp::START),
        now: Timestamp::START,
        effects: Vec::new(),
        settled: 0,
    };
    let mut room = String::new();
    for number in 0..count {
        sim.submit(submission(number, count, &bench, &mut room));
        if !bench.backlog && number % 16 == 0 {
            sim.turn();
        }
    }
    while !sim.dispatcher.is_idle() {
        sim.turn();
    }
    sim.turn();
    assert_eq!(sim.settled, count);
    println!("{count} messages");
}
