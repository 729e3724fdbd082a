//! The simulation around the dispatcher: a virtual clock, callers, the disk, the way to the server, and crashes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, TokenEvent};
use spillway_core::error::{Error, StoreErrorKind};
use spillway_core::message::{Message, Parts, Payload, Settle, Submission, Ticket};
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_core::shipment::Shipment;
use spillway_core::stats::Counters;
use spillway_core::store::{Unreadable, WriteQueue};
use spillway_core::token::TokenId;

use crate::clocks::Clocks;
use crate::disk::Disk;
use crate::draw::Draw;
use crate::oracle::{self, Oracle};
use crate::plan::Plan;
use crate::server::{self, Fate, Server};

/// As the engine's clock has it: so that there are times before.
const BEGIN_US: u64 = 31 * 86_400 * 1_000_000;
const STEPS_MAX: u64 = 200_000;
const TRACE_MAX: usize = 60;

#[derive(Debug)]
enum Happening {
    Act,
    /// The disk writes some of what waits for it.
    Writes,
    /// There is a connection for what has waited for one.
    Leaves(u64, AttemptId, Shipment),
    Arrives(u64, AttemptId),
    Returns(u64, AttemptId, Answer),
    Loads(u64, Vec<(u32, u64)>),
}

pub struct Sim {
    pub plan: Plan,
    draw: Draw,
    dispatcher: Dispatcher,
    pub disk: Disk,
    pub oracle: Oracle,
    server: Server,
    held: VecDeque<(u64, Effect)>,
    agenda: BTreeMap<(u64, u64), Happening>,
    planned: u64,
    wires: BTreeMap<(u64, AttemptId), (Shipment, Fate)>,
    /// Requests of this life that are not answered yet.
    on_wire: u64,
    is_writing: bool,
    is_degraded: bool,
    life: u64,
    /// The counters of a life, as of the last step.
    counted: (u64, Counters),
    now_us: u64,
    pub clocks: Clocks,
    tickets: u64,
    names: u64,
    pub crashes: u64,
    pub recovered: u64,
    /// The last steps, if somebody wants them.
    pub trace: Option<Vec<String>>,
}

impl Sim {
    /// The run of a seed, with only those of its commands for which `takes` is true.
    pub fn new(seed: u64, takes: impl Fn(u64) -> bool) -> Self {
        let plan = Plan::of(seed);
        let mut draw = Draw::stream(seed, 2);
        let settings = Arc::new(plan.settings.clone());
        let (clocks, began_at) = (Clocks::default(), Timestamp::from_micros(BEGIN_US));
        let mut dispatcher = Dispatcher::new(settings, Random::from_seed(draw.next()), began_at);
        dispatcher.keep_in_memory(plan.window);
        let mut sim = Self {
            dispatcher,
            disk: Disk::new(WriteQueue::with(plan.inserts_max), began_at, &clocks.moment(began_at)),
            oracle: Oracle::default(),
            server: Server::default(),
            held: VecDeque::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            wires: BTreeMap::new(),
            on_wire: 0,
            is_writing: false,
            is_degraded: false,
            life: 0,
            counted: Default::default(),
            now_us: BEGIN_US,
            clocks,
            tickets: 0,
            names: 0,
            crashes: 0,
            recovered: 0,
            trace: None,
            draw,
            plan,
        };
        for command in 0..sim.plan.actions {
            let at_us = BEGIN_US + sim.draw.range(0, sim.plan.span_us);
            if takes(command) {
                sim.later(at_us, Happening::Act);
            }
        }
        sim
    }

    pub fn run(&mut self) -> Result<(), String> {
        self.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)))?;
        for _ in 0..STEPS_MAX {
            let planned = self.agenda.first_key_value().map(|((at_us, _), _)| *at_us);
            let wake = self.dispatcher.next_wake().map(Timestamp::as_micros);
            let at_us = [planned, wake].into_iter().flatten().min();
            let acts = self.agenda.values().any(|happening| matches!(happening, Happening::Act));
            match at_us {
                _ if !acts && self.dispatcher.is_idle() && self.disk.waiting() == 0 && self.held.is_empty() => {
                    return self.check_end();
                }
                None => {
                    return Err(format!(
                        "1 stuck: {} unsettled, {} held",
                        self.dispatcher.unsettled(),
                        self.held.len()
                    ));
                }
                Some(at_us) => self.step(at_us, acts)?,
            }
        }
        Err("6 livelock".to_owned())
    }

    fn step(&mut self, at_us: u64, acts: bool) -> Result<(), String> {
        self.now_us = self.now_us.max(at_us);
        if !acts && self.is_degraded {
            self.kind(false)?;
        }
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now_us) {
            // While a process starts anew, requests of the one before it arrive all the same, each at its time.
            let (at_us, happening) = (entry.key().0, entry.remove());
            self.note(|| format!("{happening:?}"));
            self.happen(at_us, happening)?;
        }
        let mut effects = Vec::new();
        self.dispatcher.poll(self.now(), &mut effects);
        self.perform(effects)?;
        self.check_counters()
    }

    fn happen(&mut self, at_us: u64, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Act => self.act(),
            Happening::Writes => self.write(),
            Happening::Arrives(life, attempt) => {
                let (shipment, fate) = &self.wires[&(life, attempt)];
                self.server.arrive(&self.plan, at_us, shipment, *fate)?;
                self.oracle.check_repeats(self.plan.settings.retry.ambiguous, &self.server)
            }
            Happening::Returns(life, attempt, answer) if life == self.life => {
                self.on_wire -= 1;
                if matches!(answer, Answer::Unanswered { .. }) {
                    let (shipment, _) = &self.wires[&(life, attempt)];
                    self.oracle.uncertain.extend(server::ids(shipment));
                }
                self.handle(Event::Answered(attempt, answer))
            }
            Happening::Loads(life, wanted) if life == self.life => {
                let found = |(entry_id, seq)| (entry_id, seq, self.disk.load(seq).ok_or_else(Unreadable::default));
                let loaded: Vec<_> = wanted.into_iter().map(found).collect();
                match loaded.iter().find(|(_, _, record)| record.is_err()) {
                    Some((_, seq, _)) => Err(format!("loads {seq}, which is not on the disk")),
                    None => self.handle(Event::Loaded(loaded)),
                }
            }
            Happening::Leaves(life, attempt, shipment) if life == self.life => self.leave(attempt, shipment),
            Happening::Returns(..) | Happening::Loads(..) | Happening::Leaves(..) => Ok(()),
        }
    }

    fn act(&mut self) -> Result<(), String> {
        match self.draw.range(0, 99) {
            0..=69 => (0..self.draw.scale(1, 8)).try_for_each(|_| self.submit_new()),
            70..=75 => self.submit_again(),
            76..=79 => self.cancel(),
            80..=84 => self.letter(),
            85..=88 => self.kind(!self.is_degraded),
            89..=93 => self.crash(),
            94 | 95 => {
                self.clocks.jump(&mut self.draw);
                Ok(())
            }
            96 | 97 => {
                self.suspend();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn submit_new(&mut self) -> Result<(), String> {
        self.names += 1;
        let conversation = self.draw.range(1, self.plan.conversations);
        self.submit(format!("c{conversation}-{}", self.names))
    }

    /// A caller that doesn't know whether its message was accepted sends it again; so does one that knows.
    fn submit_again(&mut self) -> Result<(), String> {
        if self.names == 0 {
            return Ok(());
        }
        let number = self.draw.range(1, self.names);
        let known = self.oracle.tickets.values().chain(&self.oracle.acknowledged);
        let again = known.filter(|id| id.ends_with(&format!("-{number}"))).max().cloned();
        again.map_or(Ok(()), |id| self.submit(id))
    }

    fn submit(&mut self, id: String) -> Result<(), String> {
        let ticket = self.ticket(&id);
        let conversation = id.split_once('-').expect("a conversation").0;
        let message = Message::new(Parts {
            id: &id,
            id_given: true,
            conversation,
            body: &json!({ "text": id }).to_string(),
            ..Parts::default()
        })
        .expect("a message");
        let expires = self.draw.percent(5).then(|| self.now().after(Duration::from_millis(self.draw.range(1, 5_000))));
        let settle = if self.draw.percent(60) { Settle::OnAcceptance } else { Settle::OnOutcome };
        let priority = *self.draw.pick(&[0, 0, 0, 5, -5]);
        let not_before = self.draw.percent(5).then(|| self.now().after(Duration::from_millis(200)));
        let payload = Payload::Message(message);
        self.handle(Event::Submit(Submission { ticket, settle, payload, priority, expires_at: expires, not_before }))
    }

    fn ticket(&mut self, id: &str) -> Ticket {
        self.tickets += 1;
        self.oracle.tickets.insert(self.tickets, id.to_owned());
        Ticket { handle: 0, number: self.tickets }
    }

    fn cancel(&mut self) -> Result<(), String> {
        let count = self.oracle.tickets.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let index = self.draw.range(0, count - 1) as usize;
        let number = self.oracle.tickets.keys().nth(index).copied().expect("counted");
        self.oracle.tickets.remove(&number);
        self.handle(Event::Cancel(Ticket { handle: 0, number }))
    }

    fn letter(&mut self) -> Result<(), String> {
        let letters = &self.disk.view.letters;
        if letters.is_empty() {
            return Ok(());
        }
        let index = self.draw.range(0, letters.len() as u64 - 1) as usize;
        let id: Box<str> = letters[index].payload.id().expect("a message").into();
        if self.draw.percent(70) {
            self.oracle.redriven.insert(id.to_string());
            let ticket = self.ticket(&id);
            return self.handle(Event::Redrive(ticket, id));
        }
        self.oracle.dropped.insert(id.to_string());
        self.tickets += 1;
        self.handle(Event::Drop(Ticket { handle: 0, number: self.tickets }, id))
    }

    /// The disk is full from now on, or no longer.
    fn kind(&mut self, begins: bool) -> Result<(), String> {
        self.is_degraded = begins;
        let error = Error::Store { kind: StoreErrorKind::Full, problem: "full".to_owned() };
        self.handle(if begins {
            Event::StoreDegraded(error)
        } else {
            Event::StoreRestored(spillway_core::store::Salvage::default())
        })
    }

    /// The process ends here. What the disk was told and has not confirmed may be on it, or not.
    fn crash(&mut self) -> Result<(), String> {
        self.crashes += 1;
        if !self.is_degraded {
            let written = self.draw.range(0, self.disk.waiting() as u64) as usize;
            self.disk.write(self.now(), written)?;
        }
        self.disk.crash(WriteQueue::with(self.plan.inserts_max));
        self.on_wire = 0;
        let sent = self.disk.durable.messages.values().filter(|record| record.sent);
        self.oracle.uncertain.extend(sent.map(|record| record.message.id().to_string()));
        self.oracle.tickets.clear();
        self.held.clear();
        self.is_degraded = false;
        self.life += 1;
        // A little later: a process takes its time to start.
        self.now_us += self.draw.range(1_000, 500_000);
        self.change_clocks();
        let settings = Arc::new(self.plan.settings.clone());
        self.dispatcher = Dispatcher::new(settings, Random::from_seed(self.draw.next()), self.now());
        self.dispatcher.keep_in_memory(self.plan.window);
        self.disk.begin(self.now(), &self.clocks.moment(self.now()));
        self.handle(Event::Found(self.disk.rows()))?;
        self.handle(Event::Opened(Box::new(self.disk.opening())))?;
        self.recovered += self.dispatcher.recovered();
        self.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)))
    }

    /// What may become of the machine's clocks between two runs.
    fn change_clocks(&mut self) {
        if self.draw.percent(30) {
            self.clocks.jump(&mut self.draw);
        }
        if self.draw.percent(10) {
            self.suspend();
        }
        if self.draw.percent(25) {
            self.clocks.reboot(self.now());
        }
    }

    /// The machine stands still, and its callers with it; the server doesn't.
    fn suspend(&mut self) {
        let span_us = self.clocks.suspend(&mut self.draw);
        self.now_us += span_us;
        let (acts, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.agenda).into_iter().partition(|(_, planned)| matches!(planned, Happening::Act));
        self.agenda.extend(others);
        self.agenda.extend(acts.into_iter().map(|((at_us, number), act)| ((at_us + span_us, number), act)));
    }

    fn write(&mut self) -> Result<(), String> {
        self.is_writing = false;
        if self.draw.percent(25) {
            self.disk.read_clocks(self.now(), &self.clocks.moment(self.now()));
        }
        if self.is_degraded {
            let refused = self.disk.refuse();
            self.oracle.refusals += refused.len() as u64;
            let error = Error::Store { kind: StoreErrorKind::Full, problem: "full".to_owned() };
            self.handle(Event::Refused(refused, error))?;
        } else {
            let some = self.draw.range(1, self.disk.waiting().max(1) as u64) as usize;
            let kept = self.disk.write(self.now(), some.min(self.disk.waiting()))?;
            self.release()?;
            self.handle(Event::Persisted(kept))?;
        }
        self.write_later();
        Ok(())
    }

    fn write_later(&mut self) {
        if !self.is_writing && self.disk.waiting() > 0 {
            self.is_writing = true;
            let slow = if self.is_degraded { 100_000 } else { 3_000 };
            let at_us = self.now_us + self.draw.range(100, slow);
            self.later(at_us, Happening::Writes);
        }
    }

    fn release(&mut self) -> Result<(), String> {
        while self.held.front().is_some_and(|(number, _)| *number <= self.disk.up_to) {
            let (_, effect) = self.held.pop_front().expect("just seen");
            self.perform_one(effect)?;
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<(), String> {
        let mut effects = Vec::new();
        self.dispatcher.handle(self.now(), event, &mut effects);
        self.perform(effects)
    }

    fn perform(&mut self, effects: Vec<Effect>) -> Result<(), String> {
        for effect in effects {
            self.note(|| format!("  -> {effect:?}"));
            match effect {
                Effect::Store(change) => self.disk.tell(self.now(), change)?,
                effect if effect.waits_for_store() && self.disk.up_to < self.disk.write_queue.told() => {
                    self.held.push_back((self.disk.write_queue.told(), effect));
                }
                effect => self.perform_one(effect)?,
            }
        }
        self.disk.hand_over(self.on_wire > 0);
        self.write_later();
        Ok(())
    }

    fn perform_one(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Accepted { ticket, id, .. } => {
                self.settled(ticket);
                self.oracle.acknowledged.insert(id.into());
            }
            Effect::Delivered { waiter, receipt, .. } => {
                waiter.into_iter().for_each(|ticket| self.settled(ticket));
                self.oracle.acknowledged.insert(receipt.message.id().to_owned());
                self.oracle.told_delivered.insert(receipt.message.id().into());
            }
            Effect::Failed(ticket, _) | Effect::Done(ticket) | Effect::Redriven(ticket, _) => self.settled(ticket),
            Effect::Buried { waiter, failure, .. } => {
                waiter.into_iter().for_each(|ticket| self.settled(ticket));
                self.oracle.acknowledged.extend(failure.id.map(String::from));
            }
            // Now and then for no reason at all, as when an engine ends.
            Effect::Send { attempt, .. } if !self.dispatcher.may_leave(attempt) || self.draw.range(0, 99) < 3 => {
                self.handle(Event::Withheld(attempt))?;
            }
            Effect::Send { attempt, shipment } if self.draw.range(0, 3) > 0 => self.send(attempt, shipment)?,
            Effect::Send { attempt, shipment } => {
                let at_us = self.now_us + self.draw.range(0, 200_000);
                self.later(at_us, Happening::Leaves(self.life, attempt, shipment));
            }
            Effect::Load(wanted) => {
                let at_us = self.now_us + self.draw.range(0, 2_000);
                self.later(at_us, Happening::Loads(self.life, wanted));
            }
            Effect::CheckReachable => self.handle(Event::ReachableChecked(true))?,
            Effect::FetchToken(_) => self.handle(Event::Token(TokenId::FIRST, TokenEvent::Granted(None)))?,
            Effect::CallAnswered(..) | Effect::Drained(..) | Effect::Cut(_) | Effect::Notice(_) => {}
            Effect::Store(_) | Effect::Renew(_) => unreachable!("told before, or of a fleet"),
        }
        Ok(())
    }

    fn settled(&mut self, ticket: Ticket) {
        self.oracle.tickets.remove(&ticket.number);
    }

    fn leave(&mut self, attempt: AttemptId, shipment: Shipment) -> Result<(), String> {
        match self.dispatcher.may_leave(attempt) {
            true => self.send(attempt, shipment),
            false => self.handle(Event::Withheld(attempt)),
        }
    }

    fn send(&mut self, attempt: AttemptId, shipment: Shipment) -> Result<(), String> {
        self.handle(Event::Left(attempt))?;
        self.oracle.sent(&self.disk, &server::ids(&shipment))?;
        let fate = Fate::draw(&self.plan, &mut self.draw);
        let arrives_us = self.now_us + self.draw.range(1_000, 100_000);
        let returns_us = match fate {
            Fate::Lost | Fate::AnswerLost => self.now_us + 500_000,
            _ => arrives_us + self.draw.range(1_000, 100_000),
        };
        let answer = Server::answer(&shipment, fate);
        self.wires.insert((self.life, attempt), (shipment, fate));
        self.on_wire += 1;
        if fate != Fate::Lost {
            self.later(arrives_us, Happening::Arrives(self.life, attempt));
        }
        self.later(returns_us, Happening::Returns(self.life, attempt, answer));
        Ok(())
    }

    /// They count what has happened, so that they never go down in a life.
    fn check_counters(&mut self) -> Result<(), String> {
        let counters = self.dispatcher.snapshot(self.now()).counters;
        let (life, before) = std::mem::replace(&mut self.counted, (self.life, counters));
        let has_fallen = life == self.life && oracle::falls(before, counters);
        if has_fallen { Err(format!("counters went down from {before:?} to {counters:?}")) } else { Ok(()) }
    }

    fn check_end(&self) -> Result<(), String> {
        let letters = self.dispatcher.letters(0).count();
        if letters != self.disk.durable.letters.len() {
            return Err(format!("1 letters: {letters} in memory, {} on disk", self.disk.durable.letters.len()));
        }
        self.oracle.check_end(&self.disk, &self.server)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now_us)
    }

    fn later(&mut self, at_us: u64, happening: Happening) {
        self.planned += 1;
        self.agenda.insert((at_us, self.planned), happening);
    }

    fn note(&mut self, words: impl FnOnce() -> String) {
        let Some(trace) = &mut self.trace else { return };
        if trace.len() >= TRACE_MAX {
            trace.remove(0);
        }
        let words: String = words().chars().take(400).collect();
        trace.push(format!("{:>13.3} ms  {words}", self.now_us as f64 / 1_000.0));
    }
}
