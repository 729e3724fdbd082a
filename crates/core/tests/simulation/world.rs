//! The world around the dispatcher: a virtual clock, the server's model at the other end, and the checks after every step.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, TokenNews};
use spillway_core::http::Shipment;
use spillway_core::message::Ticket;
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_simulator::{Model, Reply};

use super::arrivals::Arrivals;
use super::books::Books;
use super::draw::Draw;
use super::ends::Came;
use super::gate::{Gate, Outcome};
use super::plan::Plan;
use super::tally::Tally;
use super::traffic::{self, Action, Names};
use super::violation::{Checked, Violation, broken, hold};
use super::wire::{self, Wired};

/// More steps than any seed needs: a run that takes them goes round in circles.
const STEPS_MAX: u64 = 300_000;
/// Steps that a report shows.
const TRACE_MAX: usize = 30;

#[derive(Debug)]
enum Happening {
    Act(Action),
    Cancels(u64),
    Arrives(AttemptId),
    Returns(AttemptId, Reply),
    TimesOut(AttemptId),
    IsRefused(AttemptId),
    TokenArrives,
    TokenReturns(Reply),
}

pub struct World {
    plan: Plan,
    draw: Draw,
    names: Names,
    dispatcher: Dispatcher,
    model: Model,
    books: Books,
    gate: Gate,
    arrivals: Arrivals,
    agenda: BTreeMap<(u64, u64), Happening>,
    planned: u64,
    wires: HashMap<AttemptId, Wired>,
    /// Requests that were cut on their way: they arrive all the same.
    strays: HashMap<AttemptId, (Shipment, String)>,
    authorization: String,
    fetching: bool,
    refusing: bool,
    effects: Vec<Effect>,
    pub now_us: u64,
    pub tally: Tally,
    pub trace: Option<VecDeque<String>>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let plan = Plan::of(seed);
        let mut draw = Draw::stream(seed, 2);
        let mut world = Self {
            names: Names::default(),
            dispatcher: Dispatcher::new(
                Arc::new(plan.settings.clone()),
                Random::from_seed(draw.next()),
                Timestamp::START,
            ),
            model: Model::new(plan.server.clone(), draw.next()),
            books: Books::new(&plan.settings),
            gate: Gate::new(),
            arrivals: Arrivals::new(&plan.settings.rates),
            agenda: BTreeMap::new(),
            planned: 0,
            wires: HashMap::new(),
            strays: HashMap::new(),
            authorization: String::new(),
            fetching: false,
            refusing: false,
            effects: Vec::new(),
            now_us: 0,
            tally: Tally::default(),
            trace: None,
            draw,
            plan,
        };
        for (at_us, action) in traffic::schedule(&world.plan, &mut world.draw) {
            world.later(at_us, Happening::Act(action));
        }
        world
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
        self.books.admit_ready(self.now_us);
        self.books.draining.check(self.now_us)?;
        self.books.check(&self.dispatcher.snapshot(now).depth)?;
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
                let (news, authorization) = wire::token_news(&reply, self.now_us);
                if let (TokenNews::Granted(_), Some(authorization)) = (&news, authorization) {
                    self.authorization = authorization;
                }
                self.handle(Event::Token(news))
            }
        }
    }

    fn act(&mut self, action: Action) -> Checked {
        match action {
            Action::Messages(count) => (0..count).try_for_each(|_| {
                let ticket = self.books.tickets.issue();
                let (parcel, submission) =
                    traffic::message(&self.plan, &mut self.draw, &mut self.names, self.now_us, ticket);
                self.note(|| format!("  {parcel:?}"));
                self.books.submit(self.now_us, parcel);
                self.handle(Event::Submit(submission))
            }),
            Action::Calls(count) => (0..count).try_for_each(|_| {
                let ticket = self.books.tickets.issue();
                let (parcel, submission) = traffic::call(&self.plan, &mut self.draw, self.now_us, ticket);
                if self.draw.percent(40) {
                    // Soon enough to cut it on its way.
                    let at_us = self.now_us + self.draw.range(0, 200_000);
                    self.later(at_us, Happening::Cancels(ticket));
                }
                self.note(|| format!("  {parcel:?}"));
                self.books.submit(self.now_us, parcel);
                self.handle(Event::Submit(submission))
            }),
            Action::Cancel(count) => (0..count).try_for_each(|_| {
                let Some(ticket) = self.books.tickets.pick(&mut self.draw) else { return Ok(()) };
                self.note(|| format!("  ticket {ticket}"));
                self.cancel(ticket)
            }),
            Action::Redrive | Action::DropLetter => self.open_letter(matches!(action, Action::Redrive)),
            Action::Drain(span_us) => {
                let ticket = self.books.tickets.issue();
                let deadline_us = span_us.map(|span_us| self.now_us + span_us);
                self.books.draining.begin(ticket, deadline_us);
                self.handle(Event::Drain(of(ticket), deadline_us.map(Timestamp::from_micros)))
            }
            Action::Refuse(refusing) => {
                self.refusing = refusing;
                Ok(())
            }
            Action::Server(patch) => {
                let config = self.model.config().merge(&patch).expect("a planned patch is valid");
                self.model.set(self.now_us, config);
                Ok(())
            }
        }
    }

    fn cancel(&mut self, ticket: u64) -> Checked {
        let letters = self.books.letters.len() + usize::from(self.books.cancel(ticket));
        self.handle(Event::Cancel(of(ticket)))?;
        hold(self.books.letters.len() == letters, "1 withdrawn", || format!("ticket {ticket}"))
    }

    fn open_letter(&mut self, redrive: bool) -> Checked {
        let ticket = self.books.tickets.issue();
        let index = self.draw.range(0, self.books.letters.len() as u64) as usize;
        let name = self.books.letters.keys().nth(index).cloned().unwrap_or_else(|| "unknown".to_owned());
        self.note(|| format!("  {name}"));
        if redrive {
            self.books.redrive(ticket, &name);
            return self.handle(Event::Redrive(of(ticket), name.as_str().into()));
        }
        self.books.letters.remove(&name);
        self.books.tickets.due(ticket);
        self.handle(Event::Drop(of(ticket), name.as_str().into()))
    }

    fn arrive(&mut self, attempt: AttemptId) -> Checked {
        if let Some((shipment, authorization)) = self.strays.remove(&attempt) {
            let reply = self.model.arrive(self.now_us, &wire::request(&shipment, &authorization));
            self.tally.count("arrived after its cut");
            return self.check_arrival(&reply);
        }
        let Some(wired) = self.wires.get(&attempt) else { return Ok(()) };
        let reply = self.model.arrive(self.now_us, &wire::request(&wired.shipment, &wired.authorization));
        let (at_us, timeout_us) = (self.now_us + wired.answer_us + reply.delay_us, wired.timeout_at_us());
        if wire::is_accepted(&reply) {
            self.books.accepted_by_server(attempt)?;
        }
        self.check_arrival(&reply)?;
        match at_us > timeout_us {
            true => self.later(timeout_us, Happening::TimesOut(attempt)),
            false => self.later(at_us, Happening::Returns(attempt, reply)),
        }
        Ok(())
    }

    fn check_arrival(&mut self, reply: &Reply) -> Checked {
        if reply.cut != spillway_simulator::Cut::Before {
            self.arrivals.arrived(self.now_us)?;
        }
        let needless = self.plan.quota_is_ours && reply.status == 429;
        hold(!needless, "3 no 429", || "with the whole quota for us".to_owned())
    }

    fn ended(&mut self, attempt: AttemptId, answer: Answer) -> Checked {
        // None: it was cut meanwhile.
        let Some(wired) = self.wires.remove(&attempt) else { return Ok(()) };
        self.model.close(wired.flight);
        let (came, outcome) = match &answer {
            Answer::Answered { response, evidence } | Answer::TooLarge { response, evidence } => {
                let came = Came::of(response.status);
                let outcome = match came {
                    Came::Throttled => Outcome::Throttled(*evidence),
                    Came::Unauthorised => Outcome::Unknown,
                    _ => Outcome::Answered,
                };
                (came, outcome)
            }
            Answer::Unanswered { .. } => (Came::Lost, Outcome::Unknown),
            Answer::Unsent { .. } => (Came::Unsent, Outcome::Unknown),
        };
        self.tally.count(match came {
            Came::Throttled => "429",
            Came::Unauthorised => "401",
            Came::Lost => "lost answer",
            Came::Unsent => "unsent",
            Came::Accepted | Came::Failed | Came::Rejected => "answered",
        });
        self.gate.ended(self.now_us, attempt, wired.sent_us, outcome);
        let ended = self.books.ended(attempt, came);
        self.handle(Event::Answered(attempt, answer))?;
        ended.map_or(Ok(()), |ended| self.books.check_outcome(ended))
    }

    fn handle(&mut self, event: Event) -> Checked {
        self.dispatcher.handle(Timestamp::from_micros(self.now_us), event, &mut self.effects);
        self.perform()
    }

    fn perform(&mut self) -> Checked {
        for effect in std::mem::take(&mut self.effects) {
            self.note(|| format!("  -> {effect:?}"));
            self.tally.effect(&effect);
            self.books.effect(self.now_us, &effect)?;
            match effect {
                Effect::Send { attempt, shipment, .. } => self.send(attempt, shipment)?,
                Effect::Cut(attempt) => self.cut(attempt),
                Effect::FetchToken => {
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

    fn send(&mut self, attempt: AttemptId, shipment: Shipment) -> Checked {
        let name: String = shipment.idempotency_key.as_deref().unwrap_or(&shipment.path).to_owned();
        self.books.sent(self.now_us, attempt, &name)?;
        self.gate.sent(self.now_us, attempt)?;
        let authorization = self.authorization.clone();
        let flight = self.model.open(&wire::request(&shipment, &authorization));
        let travel = self.model.travel();
        let wired = Wired { shipment, authorization, flight, sent_us: self.now_us, answer_us: travel.answer_us };
        self.wires.insert(attempt, wired);
        let (at_us, happening) = match self.refusing {
            true => (self.now_us + self.draw.range(0, 5_000), Happening::IsRefused(attempt)),
            false => (self.now_us + travel.arrival_us, Happening::Arrives(attempt)),
        };
        self.later(at_us, happening);
        Ok(())
    }

    /// What is on its way can't be called back; a refused connection carries nothing.
    fn cut(&mut self, attempt: AttemptId) {
        let Some(wired) = self.wires.remove(&attempt) else { return };
        self.model.close(wired.flight);
        self.gate.ended(self.now_us, attempt, wired.sent_us, Outcome::Unknown);
        self.strays.insert(attempt, (wired.shipment, wired.authorization));
    }

    fn check_end(&self) -> Checked {
        self.books.check_end()?;
        let ledger = self.model.ledger(false);
        hold(ledger.most_in_window == self.arrivals.most(), "3 budget", || format!("the ledger counts {ledger:?}"))?;
        let most = ledger.max_in_flight_per_conversation;
        hold(!self.books.is_ordered() || most <= 1, "2 order", || format!("{most} in flight in a conversation"))
    }

    fn later(&mut self, at_us: u64, happening: Happening) {
        self.planned += 1;
        self.agenda.insert((at_us, self.planned), happening);
    }

    fn note(&mut self, words: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            if trace.len() >= TRACE_MAX {
                trace.pop_front();
            }
            let words: String = words().chars().take(600).collect();
            trace.push_back(format!("{:>13.3} ms  {words}", self.now_us as f64 / 1_000.0));
        }
    }
}

fn of(ticket: u64) -> Ticket {
    Ticket { handle: 0, number: ticket }
}
