//! The engine of an organization: a task on the engine thread that feeds the dispatcher and performs its effects.

mod callback;
mod coalescing;
#[cfg(test)]
mod hang_tests;
mod leases;
mod opening;
mod opening_watch;
#[cfg(test)]
mod ownership_tests;
mod panics;
mod perform;
mod persistence;
pub(crate) mod registry;
mod runtime;
pub mod sink;
#[cfg(test)]
mod store_fixture;
mod survival;
#[cfg(test)]
mod survival_tests;
#[cfg(test)]
mod tests;
mod turn;
mod watchdog;
mod workers;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hashbrown::HashMap;
use reqwest::header::HeaderValue;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::callback::Callback;
use self::coalescing::{Coalescing, Pressure};
use self::leases::{Leases, next_delivery};
use self::panics::{Panics, unwound};
use self::persistence::Persistence;
use self::registry::Published;
use self::sink::{Completion, GivenToken, Happening, Interest, LettersPage, LettersWanted, RequestEnd, Sink};
use self::turn::Turn;
use self::workers::{Worker, Workers};
use crate::clock::{Clock, Timestamp};
use crate::dispatcher::{AttemptId, BacklogWanted, Carryover, Dispatcher, Effect, Event, TokenEvent};
use crate::error::Error;
use crate::http::{Client, TokenAnswer};
use crate::lock::lock;
use crate::message::{Submission, Ticket};
use crate::random::Random;
use crate::retry::Answer;
use crate::settings::Settings;
use crate::shipment::Shipment;
use crate::store::StoreEvent;
use crate::token::TokenId;

/// The most bytes of bodies and answers in a page of dead letters, unless a single letter is larger. A page is written
/// in one turn of this thread and read in one turn of the event loop.
const LETTERS_PAGE_BYTES: usize = 1_048_576;
/// How long the caller's `accessToken` function may take.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(60);

/// What handles ask for.
pub(crate) enum Command {
    Join(u32, Arc<dyn Sink>),
    /// The handle's environment is gone; its messages stay.
    Leave(u32),
    Submit(Vec<Submission>),
    /// In a box, since it is rare and would be by far the largest: a channel has room for dozens from the start.
    Event(Box<Event>),
    Cancel(Ticket),
    Explain(Ticket, Box<str>),
    Letters(Ticket, LettersWanted),
    Backlog(Ticket, BacklogWanted),
    Listen(u32, Interest),
    Drain(Ticket, Option<Duration>),
    Close(Ticket, Duration),
    Token(u64, GivenToken),
    /// A handle wants to know when the engine can take messages.
    Ready(Ticket),
    /// A defect, for the tests of what comes of one.
    #[cfg(test)]
    Defect(Box<dyn FnOnce(&mut Engine) + Send>),
}

/// What the engine's own tasks report.
#[allow(
    clippy::large_enum_variant,
    reason = "the common one is the large one: a box would cost an allocation an answer"
)]
enum Report {
    Answer(AttemptId, Answer),
    ReachableChecked(bool),
    Token(TokenId, TokenAnswer),
    CallbackLate(u64),
}

struct Session {
    sink: Arc<dyn Sink>,
    interest: Interest,
    completions: Vec<Completion>,
    /// The last ticket of it that the engine has heard of.
    seen: u64,
}

impl Session {
    fn new(sink: Arc<dyn Sink>) -> Self {
        Self { sink, interest: Interest::default(), completions: Vec::new(), seen: 0 }
    }
}

/// A request that was sent.
struct OnTheWire {
    worker: Worker,
    /// What to tell of it at its end, if somebody listens.
    end: Option<Box<RequestEnd>>,
}

/// A drain that somebody waits for.
struct Drain {
    kind: DrainKind,
    deadline: Option<Timestamp>,
}

/// How near the end of an engine is.
#[derive(Clone, Copy, PartialEq)]
enum Life {
    /// It ends when all handles have left and nothing is to do.
    Open,
    /// The last handle has closed: it ends unless another has come meanwhile.
    Closed,
    /// Out of the registry: nobody joins any more.
    Retired,
}

/// How a drain ends.
enum DrainKind {
    Plain(Duration),
    Close,
}

pub(crate) struct Engine {
    settings: Arc<Settings>,
    clock: Clock,
    dispatcher: Dispatcher,
    client: Arc<Client>,
    workers: Workers,
    inbox: UnboundedReceiver<Command>,
    reports: UnboundedReceiver<Report>,
    reporter: UnboundedSender<Report>,
    sessions: HashMap<u32, Session>,
    in_flight: HashMap<AttemptId, OnTheWire>,
    /// Requests that may leave as soon as there is a connection for them.
    outgoing: VecDeque<(AttemptId, Shipment)>,
    persistence: Option<Persistence>,
    /// There once it runs, if the budget is shared.
    leases: Option<Leases>,
    store_gone: bool,
    /// The last session, who is to hear that its handle has closed once the stores know.
    farewell: Option<Session>,
    drains: HashMap<Ticket, Drain>,
    /// Each by its place in the settings.
    tokens: Vec<Option<Arc<HeaderValue>>>,
    callback: Callback,
    published: Arc<Mutex<Published>>,
    effects: Vec<Effect>,
    /// Effects of the last turn that are not performed yet.
    performing: VecDeque<Effect>,
    /// Submissions of the last command that the dispatcher has not heard of yet.
    submissions: std::vec::IntoIter<Submission>,
    turn: Turn,
    panics: Panics,
    coalescing: Coalescing,
    life: Life,
}

impl Engine {
    pub(crate) fn new(
        settings: Arc<Settings>,
        client: Client,
        clock: Clock,
        inbox: UnboundedReceiver<Command>,
        published: Arc<Mutex<Published>>,
        carryover: Option<Carryover>,
    ) -> Self {
        let (reporter, reports) = unbounded_channel();
        let mut dispatcher = Dispatcher::new(Arc::clone(&settings), Random::from_entropy(), clock.now());
        if let Some(carryover) = carryover {
            dispatcher.inherit(clock.now(), carryover);
        }
        dispatcher.count_among(registry::totals());
        lock(&published).snapshot = Some(dispatcher.snapshot(clock.now()));
        let client = Arc::new(client);
        Self {
            workers: Workers::new(Arc::clone(&client), reporter.clone()),
            client,
            clock,
            dispatcher,
            tokens: vec![None; settings.tokens.len()],
            settings,
            inbox,
            reports,
            reporter,
            sessions: HashMap::new(),
            in_flight: HashMap::new(),
            outgoing: VecDeque::new(),
            persistence: None,
            leases: None,
            store_gone: false,
            farewell: None,
            drains: HashMap::new(),
            callback: Callback::default(),
            published,
            effects: Vec::new(),
            performing: VecDeque::new(),
            submissions: Vec::new().into_iter(),
            turn: Turn::default(),
            panics: Panics::default(),
            coalescing: Coalescing::new(),
            life: Life::Open,
        }
    }

    /// Runs until the last handle has closed, or all have left and nothing is to do. In a box, since each way to end
    /// takes the engine along, and its task would have room for all of them.
    pub(crate) async fn run(mut self: Box<Self>) {
        self.leases = Leases::join(&self.settings);
        if let Err(error) = self.open_store().await {
            return self.turn_away(error).await;
        }
        let mut turns = unwound(self.turns()).await;
        while turns.is_err() {
            if !self.survive() {
                return self.give_up().await;
            }
            turns = unwound(self.turns_after_panic()).await;
        }
        self.end().await;
    }

    async fn turns(&mut self) {
        while !self.retire_if_unused() {
            self.take_in().await;
            self.finish_turn();
            // Also between turns that nothing makes it wait for.
            if self.turn.is_over() || self.dispatcher.has_more(self.clock.now()) {
                tokio::task::yield_now().await;
                self.turn.begin();
            }
        }
    }

    /// What survived may go on at once, and who waits is to hear of it.
    async fn turns_after_panic(&mut self) {
        self.finish_turn();
        self.turns().await;
    }

    fn finish_turn(&mut self) {
        self.dispatcher.poll(self.clock.now(), &mut self.effects);
        self.perform();
        self.publish();
        self.tell();
    }

    /// Leaves the registry when nobody uses the engine any more. Whether it is out.
    fn retire_if_unused(&mut self) -> bool {
        let unused = self.sessions.is_empty() && (self.life != Life::Open || self.dispatcher.is_idle());
        // A new engine waits for its first session: the registry counts it already.
        unused && self.retire()
    }

    /// Leaves the registry, unless a session is on its way in. Only once: its place may be another engine's by then.
    fn retire(&mut self) -> bool {
        let carryover = || self.dispatcher.carryover(self.clock.now());
        if self.life != Life::Retired && registry::retire(&self.settings, self.clock.now(), carryover) {
            self.life = Life::Retired;
        }
        self.life == Life::Retired
    }

    /// Waits for something to happen, and takes in what has happened meanwhile.
    async fn take_in(&mut self) {
        // Without anything to do, it wakes now and then to publish a budget that comes back.
        let held_until =
            self.persistence.as_ref().and_then(|_| self.drains.values().filter_map(|drain| drain.deadline).min());
        let reading = self.dispatcher.next_reading(self.clock.now());
        let hangs_at = self.persistence.as_ref().and_then(|persistence| persistence.watchdog.due());
        let wakes = [self.dispatcher.next_wake(), reading, held_until, hangs_at, self.coalescing.due()];
        let wake = wakes.into_iter().flatten().min();
        let wake = wake.map(|at| tokio::time::Instant::from_std(self.clock.instant(at)));
        if self.submissions.as_slice().is_empty() {
            tokio::select! {
                Some(command) = self.inbox.recv() => self.command(command),
                Some(report) = self.reports.recv() => self.report(self.clock.now(), report),
                event = next_event(&mut self.persistence), if !self.store_gone => self.store_event(event),
                Some(delivery) = next_delivery(&mut self.leases) => self.delivered(delivery),
                () = sleep_until(wake) => {}
            }
        } else {
            self.submit_some();
        }
        while !self.turn.is_over()
            && let Ok(command) = self.inbox.try_recv()
        {
            self.command(command);
        }
        // One time for all: whoever reports is a task of this thread, and has done so before now.
        let now = self.clock.now();
        while !self.turn.is_over()
            && let Ok(report) = self.reports.try_recv()
        {
            self.report(now, report);
        }
        while !self.turn.is_over()
            && let Some(event) = self.persistence.as_mut().and_then(Persistence::try_next)
        {
            self.store_event(Some(event));
        }
        while !self.turn.is_over()
            && let Some(delivery) = self.leases.as_mut().and_then(Leases::try_next)
        {
            self.delivered(delivery);
        }
        self.watch_store();
        if held_until.is_some() {
            self.give_up_held_drains();
        }
    }

    fn handle(&mut self, event: Event) {
        self.dispatcher.handle(self.clock.now(), event, &mut self.effects);
    }

    fn command(&mut self, command: Command) {
        self.note(&command);
        self.turn.command(&command);
        match command {
            Command::Join(handle, sink) => {
                self.sessions.insert(handle, Session::new(sink));
                self.life = Life::Open;
                self.ask_for_token();
            }
            Command::Leave(handle) => drop(self.take_out(handle)),
            Command::Submit(submissions) => {
                debug_assert!(self.submissions.as_slice().is_empty(), "one command after another");
                self.submissions = submissions.into_iter();
                self.submit_some();
            }
            Command::Event(event) => self.handle(*event),
            Command::Cancel(ticket) => {
                self.drains.remove(&ticket);
                self.handle(Event::Cancel(ticket));
            }
            Command::Explain(ticket, id) => self.explain(ticket, id),
            Command::Letters(ticket, wanted) => self.letters(ticket, wanted),
            Command::Backlog(ticket, wanted) => {
                let backlog = Box::new(self.dispatcher.backlog(wanted));
                self.complete(ticket.handle, Completion::Backlog(ticket.number, backlog));
            }
            Command::Listen(handle, interest) => {
                if let Some(session) = self.sessions.get_mut(&handle) {
                    session.interest = interest;
                }
            }
            Command::Drain(ticket, timeout) => {
                self.begin_drain(ticket, DrainKind::Plain(timeout.unwrap_or_default()), timeout);
            }
            Command::Close(ticket, timeout) => {
                self.begin_drain(ticket, DrainKind::Close, Some(timeout));
            }
            Command::Token(number, given) => self.token_given(number, given),
            Command::Ready(ticket) => self.ready(ticket),
            #[cfg(test)]
            Command::Defect(defect) => defect(self),
        }
    }

    /// Hands the dispatcher what a handle submitted together, as much as is left of the turn.
    fn submit_some(&mut self) {
        let now = self.clock.now();
        while !self.turn.is_over()
            && let Some(submission) = self.submissions.next()
        {
            self.turn.submission();
            self.dispatcher.handle(now, Event::Submit(submission), &mut self.effects);
        }
    }

    fn begin_drain(&mut self, ticket: Ticket, kind: DrainKind, timeout: Option<Duration>) {
        let deadline = timeout.map(|timeout| self.clock.now().after(timeout));
        self.drains.insert(ticket, Drain { kind, deadline });
        self.handle(Event::Drain(ticket, deadline));
    }

    fn take_out(&mut self, handle: u32) -> Option<Session> {
        let session = self.sessions.remove(&handle)?;
        registry::leave(&self.settings.organization);
        self.drains.retain(|ticket, _| ticket.handle != handle);
        self.ask_for_token();
        Some(session)
    }

    fn explain(&mut self, ticket: Ticket, id: Box<str>) {
        let completion = match self.dispatcher.explain(self.clock.now(), &id) {
            Some(explanation) => Completion::Explained(ticket.number, id, Box::new(explanation)),
            None => Completion::Failed(ticket.number, Error::NotFound { what: "message", id: id.into() }),
        };
        self.complete(ticket.handle, completion);
    }

    /// The first page of a reading says where it ends: a letter that fails again, once it was redriven, is a newer one.
    fn letters(&mut self, ticket: Ticket, wanted: LettersWanted) {
        let LettersWanted { after, until, limit } = wanted;
        let until = until.unwrap_or_else(|| self.dispatcher.newest_letter());
        let mut there_then = self.dispatcher.letters(after).take_while(|(number, _)| *number <= until).peekable();
        let (mut letters, mut bytes) = (Vec::new(), 0);
        while let Some((number, letter)) = there_then.next_if(|(_, letter)| {
            bytes += letter.bytes();
            letters.is_empty() || (letters.len() < limit && bytes <= LETTERS_PAGE_BYTES)
        }) {
            letters.push((number, letter.clone()));
        }
        let more = there_then.next().is_some();
        drop(there_then);
        self.complete(ticket.handle, Completion::Letters(ticket.number, LettersPage { letters, until, more }));
    }

    fn report(&mut self, now: Timestamp, report: Report) {
        self.turn.answer();
        match report {
            Report::Answer(attempt, answer) => {
                let end = self.in_flight.remove(&attempt).and_then(|wire| {
                    self.workers.take_back(wire.worker);
                    wire.end
                });
                if let Some(end) = end {
                    self.request_ended(end, &answer);
                }
                self.dispatcher.handle(now, Event::Answered(attempt, answer), &mut self.effects);
                // Behind the answer, which may have shut the gate.
                self.send_outgoing();
            }
            Report::ReachableChecked(is_reachable) => self.handle(Event::ReachableChecked(is_reachable)),
            Report::Token(token, answer) => self.token_answered(token, answer),
            Report::CallbackLate(number) => {
                if self.callback.end(number) {
                    let problem = format!("the accessToken function gave none within {} s", CALLBACK_TIMEOUT.as_secs());
                    self.token_answered(TokenId::FIRST, TokenAnswer::Failed { problem, wait: None });
                }
            }
        }
    }

    fn token_answered(&mut self, token: TokenId, answer: TokenAnswer) {
        let event = match answer {
            TokenAnswer::Granted { header, lifetime } => {
                self.tokens[token.index()] = Some(Arc::new(header));
                TokenEvent::Granted(lifetime)
            }
            TokenAnswer::Refused(problem) => TokenEvent::Refused(problem),
            TokenAnswer::Failed { problem, wait } => TokenEvent::Failed { problem, wait },
        };
        self.handle(Event::Token(token, event));
    }

    fn token_given(&mut self, number: u64, given: GivenToken) {
        if !self.callback.end(number) {
            return;
        }
        let answer = match given {
            GivenToken::Token(header, lifetime) => TokenAnswer::Granted { header, lifetime },
            GivenToken::Refused(problem) => TokenAnswer::Refused(problem),
            GivenToken::Failed(problem) => TokenAnswer::Failed { problem, wait: None },
        };
        // A function is asked where there is one token.
        self.token_answered(TokenId::FIRST, answer);
    }

    fn complete(&mut self, handle: u32, completion: Completion) {
        if !matches!(completion, Completion::Delivered(..)) {
            self.coalescing.hurry();
        }
        if let Some(session) = self.sessions.get_mut(&handle) {
            session.completions.push(completion);
        }
    }

    fn happen(&mut self, name: &str, happening: impl Fn() -> Happening) {
        for session in self.sessions.values_mut().filter(|session| session.interest.has(name)) {
            session.completions.push(Completion::Event(happening()));
        }
    }

    fn publish(&self) {
        lock(&self.published).snapshot = Some(self.dispatcher.snapshot(self.clock.now()));
    }

    /// A panic has ended it: the organization gets another engine, and nobody is to wait for an answer of this one.
    fn fail(&mut self) {
        registry::abandon(&self.settings);
        // Who has joined a moment ago stands there still.
        while let Ok(command) = self.inbox.try_recv() {
            if let Command::Join(handle, sink) = command {
                self.sessions.insert(handle, Session::new(sink));
            }
        }
        for (_, session) in self.sessions.drain() {
            // A sink may be the one that panics: the others are to hear of it all the same.
            let _ = panics::caught(|| session.sink.complete(vec![Completion::Broken], &self.clock));
        }
    }

    /// Hands over what has come together for each session, when it is time.
    fn tell(&mut self) {
        let senders = self.sessions.values().filter(|session| !session.completions.is_empty()).count();
        if senders == 0 {
            return self.coalescing.forget();
        }
        let pressure = Pressure::of(&self.dispatcher, self.in_flight.len());
        if !self.coalescing.take_turn(self.clock.now(), senders, pressure) {
            return;
        }
        for session in self.sessions.values_mut().filter(|session| !session.completions.is_empty()) {
            session.sink.complete(std::mem::take(&mut session.completions), &self.clock);
        }
    }
}

impl Drop for Engine {
    /// Whatever is on the wire when the engine ends is cut with it.
    fn drop(&mut self) {
        self.cut_all();
        if self.life != Life::Retired {
            self.fail();
        }
    }
}

async fn next_event(persistence: &mut Option<Persistence>) -> Option<StoreEvent> {
    match persistence {
        Some(persistence) => persistence.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
