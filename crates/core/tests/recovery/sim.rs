//! A run: traffic goes on before, during and after the outage, until everything that it left is sent.

use std::collections::HashMap;
use std::sync::Arc;

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, TokenEvent};
use spillway_core::message::{Message, Parts, Payload, Settle, Submission, Ticket};
use spillway_core::random::Random;
use spillway_core::retry::{Answer, Verdict, classify};
use spillway_core::settings::{Ambiguous, Settings};
use spillway_core::shipment::Shipment;
use spillway_core::token::TokenId;
use spillway_simulator::{Config, Model, Port, Reply};

use super::agenda::Agenda;
use super::case::Case;
use super::draw::Draw;
use super::score::{Outcome, Score};
use super::unknown::Unknown;
use super::wire;

/// Traffic after the outage.
const AFTER_US: u64 = 60_000_000;
/// Callers wait while so many messages do: what more there is changes nothing.
const QUEUED_MAX: usize = 3_000;
const STEPS_MAX: u64 = 10_000_000;

enum Happening {
    Submits,
    Changes(String),
    /// With the time from there to the answer.
    Arrives(AttemptId, Shipment, u64),
    Returns(AttemptId, Reply),
    IsRefused(AttemptId, &'static str),
    IsChecked(bool),
}

pub struct Sim<'a> {
    case: &'a Case,
    draw: Draw,
    dispatcher: Dispatcher,
    model: Model,
    agenda: Agenda<Happening>,
    effects: Vec<Effect>,
    now_us: u64,
    tickets: u64,
    /// What is under way, by its message.
    names: HashMap<AttemptId, String>,
    score: Score,
    unknown: Unknown,
    trace: bool,
}

impl<'a> Sim<'a> {
    pub fn new(case: &'a Case, seed: u64) -> Self {
        Self::of(case, seed, |_| {})
    }

    /// A control: the sender repeats messages, whatever the case says, so it takes no care of them.
    pub fn careless(case: &'a Case, seed: u64) -> Self {
        Self::of(case, seed, |settings| settings.retry.ambiguous = Ambiguous::Retry)
    }

    fn of(case: &'a Case, seed: u64, change: impl FnOnce(&mut Settings)) -> Self {
        let mut draw = Draw::stream(seed, 7);
        let mut settings = Settings::from_json(&case.options().to_string()).unwrap();
        change(&mut settings);
        let config = Config::from_json(&case.server().to_string()).unwrap();
        let mut sim = Self {
            case,
            dispatcher: Dispatcher::new(Arc::new(settings), Random::from_seed(draw.next()), Timestamp::START),
            model: Model::new(config, draw.next()),
            agenda: Agenda::new(),
            effects: Vec::new(),
            now_us: 0,
            tickets: 0,
            names: HashMap::new(),
            score: Score::default(),
            unknown: Unknown::default(),
            trace: std::env::var("SPILLWAY_TRACE").is_ok(),
            draw,
        };
        let (on, off) = case.kind.patches(case.accepts);
        sim.agenda.add(case.begins_us, Happening::Changes(on.to_string()));
        sim.agenda.add(case.ends_us, Happening::Changes(off.to_string()));
        sim.agenda.add(0, Happening::Submits);
        sim.dispatcher.handle(
            Timestamp::START,
            Event::Token(TokenId::FIRST, TokenEvent::Granted(None)),
            &mut sim.effects,
        );
        sim
    }

    pub fn run(mut self) -> Outcome {
        for _ in 0..STEPS_MAX {
            while let Some(happening) = self.agenda.pop_due(self.now_us) {
                self.happen(happening);
            }
            self.dispatcher.poll(Timestamp::from_micros(self.now_us), &mut self.effects);
            self.perform();
            let wake = self.dispatcher.next_wake().map(Timestamp::as_micros);
            assert!(wake.is_none_or(|wake| wake > self.now_us), "woken at once, again: {}", self.case.words());
            let Some(at_us) = [self.agenda.next_us(), wake].into_iter().flatten().min() else { break };
            if self.now_us > self.case.ends_us + AFTER_US && self.dispatcher.unsettled() == 0 {
                break;
            }
            self.now_us = self.now_us.max(at_us);
        }
        let again = self.model.ledger(false).duplicates;
        self.score.end(self.case, &self.unknown, again)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Submits => self.submit(),
            Happening::Changes(patch) => {
                let config = self.model.config().merge(&patch).unwrap();
                self.model.set(self.now_us, config);
                self.say(|| patch);
            }
            Happening::Arrives(attempt, shipment, answer_us) => {
                let reply = self.model.arrive(self.now_us, &wire::request(&shipment, "Bearer token"));
                self.agenda.add(self.now_us + answer_us, Happening::Returns(attempt, reply));
            }
            Happening::Returns(attempt, reply) => self.ended(attempt, wire::answer(&reply, self.now_us)),
            Happening::IsChecked(is_reachable) => {
                let now = Timestamp::from_micros(self.now_us);
                self.dispatcher.handle(now, Event::ReachableChecked(is_reachable), &mut self.effects);
            }
            Happening::IsRefused(attempt, problem) => {
                self.ended(attempt, Answer::Unsent { problem: problem.to_owned() });
            }
        }
    }

    fn submit(&mut self) {
        if self.now_us >= self.case.ends_us + AFTER_US {
            return;
        }
        self.agenda.add(self.now_us + self.draw.range(0, 2 * self.case.gap_us), Happening::Submits);
        if self.dispatcher.unsettled() >= QUEUED_MAX {
            return;
        }
        self.tickets += 1;
        let name = format!("m-{}", self.tickets);
        let conversation = format!("c-{}", self.draw.range(1, self.case.conversations));
        let parts = Parts {
            id: &name,
            id_given: true,
            conversation: &conversation,
            body: r#"{"text":"hello"}"#,
            ..Parts::default()
        };
        let submission = Submission {
            ticket: Ticket { handle: 0, number: self.tickets },
            settle: Settle::OnOutcome,
            payload: Payload::Message(Message::new(parts).expect("a message")),
            priority: 0,
            expires_at: None,
            not_before: None,
        };
        self.score.submitted(&name);
        self.dispatcher.handle(Timestamp::from_micros(self.now_us), Event::Submit(submission), &mut self.effects);
    }

    fn perform(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            self.score.effect(&effect);
            match effect {
                Effect::Send { attempt, shipment } => self.send(attempt, shipment),
                Effect::CheckReachable => self.check_reachable(),
                Effect::Notice(notice) => self.say(|| format!("{notice:?}")),
                _ => {}
            }
        }
    }

    fn send(&mut self, attempt: AttemptId, shipment: Shipment) {
        let now = Timestamp::from_micros(self.now_us);
        self.dispatcher.handle(now, Event::Left(attempt), &mut self.effects);
        // What the dispatcher asks by itself is no message.
        let name = shipment.idempotency_key.as_deref().map(str::to_owned);
        self.score.left(self.now_us, name.as_deref());
        self.say(|| format!("{} leaves", name.as_deref().unwrap_or(&shipment.path)));
        if name.is_some() {
            self.unknown.left(self.now_us, attempt);
        }
        self.names.extend(name.map(|name| (attempt, name)));
        let travel = self.model.travel();
        match self.case.kind.in_front().filter(|_| self.model.port(self.now_us) == Port::Refused) {
            Some((problem, most_us)) => {
                let at_us = self.now_us + self.draw.range(0, most_us);
                self.agenda.add(at_us, Happening::IsRefused(attempt, problem));
            }
            None => {
                let arrives = Happening::Arrives(attempt, shipment, travel.answer_us);
                self.agenda.add(self.now_us + travel.arrival_us, arrives);
            }
        }
    }

    /// Tries to connect.
    fn check_reachable(&mut self) {
        self.score.checked(self.now_us);
        let in_front = self.case.kind.in_front().filter(|_| self.model.port(self.now_us) == Port::Refused);
        let took_us = match in_front {
            Some((_, most_us)) => self.draw.range(0, most_us),
            None => self.model.travel().answer_us,
        };
        self.say(|| format!("the host is checked: {}", in_front.map_or("reachable", |(problem, _)| problem)));
        self.agenda.add(self.now_us + took_us, Happening::IsChecked(in_front.is_none()));
    }

    fn ended(&mut self, attempt: AttemptId, answer: Answer) {
        if let Some(name) = self.names.remove(&attempt) {
            match classify(&answer) {
                Verdict::Delivered if !answer.is_html_page() => self.unknown.known(attempt, true, self.case),
                Verdict::Delivered | Verdict::Ambiguous => {
                    self.score.doubted(&name);
                    self.unknown.unknown(attempt);
                }
                _ => self.unknown.known(attempt, false, self.case),
            }
        }
        self.dispatcher.handle(
            Timestamp::from_micros(self.now_us),
            Event::Answered(attempt, answer),
            &mut self.effects,
        );
    }

    fn say(&self, words: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>12.3} ms  {}", self.now_us as f64 / 1_000.0, words());
        }
    }
}
