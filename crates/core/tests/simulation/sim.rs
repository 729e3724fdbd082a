//! The simulation around the dispatcher: a virtual clock, the server's model at the other end, and the checks after
//! every step.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, TokenEvent};
use spillway_core::message::Ticket;
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_core::settings::Settings;
use spillway_core::shipment::Shipment;
use spillway_core::token::TokenId;
use spillway_simulator::{Model, Port, Reply};

use super::arrivals::Arrivals;
use super::draw::Draw;
use super::gates::Gates;
use super::oracle::Oracle;
use super::plan::Plan;
use super::risk::Risk;
use super::tally::Tally;
use super::traffic::{self, Action, Names};
use super::violation::{Checked, Violation, broken, hold};
use super::wire::{self, Wired};

/// More steps than any seed needs: a run that takes them goes round in circles.
const STEPS_MAX: u64 = 300_000;
/// Steps that a report shows.
const TRACE_MAX: usize = 30;

#[derive(Debug)]
pub(super) enum Happening {
    Act(Action),
    Cancels(u64),
    Arrives(AttemptId),
    Returns(AttemptId, Reply),
    TimesOut(AttemptId),
    IsRefused(AttemptId),
    IsChecked(bool),
    TokenArrives,
    TokenReturns(Reply),
}

pub struct Sim {
    pub(super) plan: Plan,
    pub(super) draw: Draw,
    pub(super) names: Names,
    pub(super) dispatcher: Dispatcher,
    pub(super) model: Model,
    pub(super) oracle: Oracle,
    pub(super) gates: Gates,
    pub(super) arrivals: Arrivals,
    agenda: BTreeMap<(u64, u64), Happening>,
    planned: u64,
    pub(super) wires: HashMap<AttemptId, Wired>,
    /// Requests that were cut on their way: they arrive all the same.
    pub(super) strays: HashMap<AttemptId, (Shipment, String)>,
    pub(super) authorization: String,
    fetching: bool,
    pub(super) refusing: bool,
    effects: Vec<Effect>,
    /// Since when messages could leave that the weather is not about.
    pub(super) ready_since: HashMap<u64, u64>,
    /// Conversations whose messages were refused since the last success, with answers that say nothing about a message.
    pub(super) refused_in_a_row: BTreeSet<String>,
    pub(super) risk: Risk,
    /// What the dispatcher is told in place of an answer, where it is broken on purpose.
    pub(super) lie: fn(Answer) -> Answer,
    pub now_us: u64,
    pub tally: Tally,
    pub trace: Option<VecDeque<String>>,
}

impl Sim {
    pub fn new(seed: u64) -> Self {
        Self::broken(seed, |_| {}, |answer| answer)
    }

    /// The dispatcher has other settings than the oracle knows of, and is told other answers.
    pub fn broken(seed: u64, change: fn(&mut Settings), lie: fn(Answer) -> Answer) -> Self {
        let plan = Plan::of(seed);
        let mut draw = Draw::stream(seed, 2);
        let mut settings = plan.settings.clone();
        change(&mut settings);
        let mut sim = Self {
            names: Names::default(),
            dispatcher: Dispatcher::new(Arc::new(settings), Random::from_seed(draw.next()), Timestamp::START),
            model: Model::new(plan.server.clone(), draw.next()),
            oracle: Oracle::new(&plan.settings),
            gates: Gates::new(plan.settings.retry.max_pause),
            arrivals: Arrivals::new(&plan.settings.rates),
            agenda: BTreeMap::new(),
            planned: 0,
            wires: HashMap::new(),
            strays: HashMap::new(),
            authorization: String::new(),
            fetching: false,
            refusing: false,
            effects: Vec::new(),
            ready_since: HashMap::new(),
            refused_in_a_row: BTreeSet::new(),
            risk: Risk::new(plan.settings.retry.ambiguous),
            lie,
            now_us: 0,
            tally: Tally::default(),
            trace: None,
            draw,
            plan,
        };
        for (at_us, action) in traffic::schedule(&sim.plan, &mut sim.draw) {
            sim.later(at_us, Happening::Act(action));
        }
        sim
    }

    pub fn words(&self) -> &str {
        &self.plan.words
    }

    /// Runs to the end; the number of steps.
    pub fn run(&mut self) -> Result<u64, Violation> {
        for step in 0..STEPS_MAX {
            match self.next_time()? {
                Some(at_us) if self.plan.stop_us.is_none_or(|stop_us| at_us < stop_us) => self.step(at_us)?,
                Some(_) => return Ok(step),
                None => return self.check_end().map(|()| step),
            }
        }
        broken("6 livelock", format!("{STEPS_MAX} steps, {} unsettled", self.dispatcher.unsettled()))
    }

    fn next_time(&mut self) -> Result<Option<u64>, Violation> {
        let planned = self.agenda.first_key_value().map(|((at_us, _), _)| *at_us);
        let wake = self.dispatcher.next_wake().map(Timestamp::as_micros);
        let late_us = self.draw.range(0, self.plan.late_us);
        if self.dispatcher.is_idle() {
            return Ok(planned);
        }
        match [planned, wake.map(|at_us| at_us + late_us)].into_iter().flatten().min() {
            None => broken("1 stuck", format!("{} unsettled, and nothing will happen", self.dispatcher.unsettled())),
            at_us => Ok(at_us),
        }
    }

    fn step(&mut self, at_us: u64) -> Checked {
        self.now_us = self.now_us.max(at_us);
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now_us) {
            let happening = entry.remove();
            self.note(|| format!("{happening:?}"));
            self.happen(happening)?;
        }
        let now = Timestamp::from_micros(self.now_us);
        self.dispatcher.poll(now, &mut self.effects);
        self.perform()?;
        self.oracle.admit_ready(self.now_us);
        self.oracle.draining.check(self.now_us)?;
        let snapshot = self.dispatcher.snapshot(now);
        self.oracle.check(&snapshot.depth)?;
        self.check_flow(&snapshot)?;
        self.check_held(&snapshot)?;
        let ahead = self.dispatcher.next_wake().is_none_or(|at| at > now);
        hold(ahead, "6 clock", || "the dispatcher wants to be woken at once, again".to_owned())
    }

    fn happen(&mut self, happening: Happening) -> Checked {
        match happening {
            Happening::Act(action) => self.act(action),
            Happening::Cancels(ticket) => self.cancel(ticket),
            Happening::Arrives(attempt) => self.arrive(attempt),
            Happening::Returns(attempt, reply) => self.ended(attempt, wire::answer(&reply, self.now_us)),
            Happening::TimesOut(attempt) => self.ended(attempt, Answer::Unanswered { problem: "late".to_owned() }),
            Happening::IsChecked(is_reachable) => self.handle(Event::ReachableChecked(is_reachable)),
            Happening::IsRefused(attempt) => self.ended(attempt, Answer::Unsent { problem: "refused".to_owned() }),
            Happening::TokenArrives => {
                let known = "Basic aWQ6cmlnaHQ="; // id:right
                let reply = self.model.oauth(self.now_us, &wire::token_request(known));
                let at_us = self.now_us + self.draw.range(0, 50_000) + reply.delay_us.min(5_000_000);
                self.later(at_us, Happening::TokenReturns(reply));
                Ok(())
            }
            Happening::TokenReturns(reply) => {
                self.fetching = false;
                let (news, authorization) = wire::token_event(&reply, self.now_us);
                if let (TokenEvent::Granted(_), Some(authorization)) = (&news, authorization) {
                    self.authorization = authorization;
                }
                self.handle(Event::Token(TokenId::FIRST, news))
            }
        }
    }

    pub(super) fn handle(&mut self, event: Event) -> Checked {
        self.dispatcher.handle(Timestamp::from_micros(self.now_us), event, &mut self.effects);
        self.perform()
    }

    fn perform(&mut self) -> Checked {
        for effect in std::mem::take(&mut self.effects) {
            self.note(|| format!("  -> {effect:?}"));
            self.tally.effect(&effect);
            self.check_scope(&effect)?;
            self.check_weather(&effect)?;
            self.check_given_up(&effect)?;
            self.oracle.effect(self.now_us, &effect)?;
            match effect {
                Effect::Send { attempt, shipment } => self.send(attempt, shipment)?,
                Effect::Cut(attempt) => self.cut(attempt),
                Effect::CheckReachable => {
                    let is_reachable = !self.refusing && self.model.port(self.now_us) != Port::Refused;
                    let at_us = self.now_us + self.draw.range(0, 5_000);
                    self.later(at_us, Happening::IsChecked(is_reachable));
                }
                Effect::FetchToken(_) => {
                    hold(!self.fetching, "token single flight", || "fetched twice at once".to_owned())?;
                    self.fetching = true;
                    let at_us = self.now_us + self.draw.range(0, 50_000);
                    self.later(at_us, Happening::TokenArrives);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_end(&mut self) -> Checked {
        self.oracle.check_end()?;
        let ledger = self.model.ledger(false);
        if ledger.outage_requests > 0 {
            self.tally.count("outage by time");
        }
        hold(ledger.most_in_window == self.arrivals.most(), "3 budget", || format!("the ledger counts {ledger:?}"))?;
        let most = ledger.max_in_flight_per_conversation;
        hold(!self.oracle.is_ordered() || most <= 1, "2 order", || format!("{most} in flight in a conversation"))
    }

    pub(super) fn later(&mut self, at_us: u64, happening: Happening) {
        self.planned += 1;
        self.agenda.insert((at_us, self.planned), happening);
    }

    pub(super) fn note(&mut self, words: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            if trace.len() >= TRACE_MAX {
                trace.pop_front();
            }
            let words: String = words().chars().take(600).collect();
            trace.push_back(format!("{:>13.3} ms  {words}", self.now_us as f64 / 1_000.0));
        }
    }
}

pub(super) fn of(ticket: u64) -> Ticket {
    Ticket { handle: 0, number: ticket }
}
