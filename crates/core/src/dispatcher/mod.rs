//! The dispatcher: a state machine without I/O. Time comes in as an argument, chance from a seed, the world as [`Event`]s;
//! what is to be done goes out as [`Effect`]s. Every decision of Spillway is made here, so that a seed replays a whole day.

mod answers;
mod auth;
mod deliver;
mod drains;
mod ends;
mod explain;
mod gate;
mod gather;
mod intake;
mod letters;
mod load;
mod outbox;
mod pump;
mod recent;
mod settle;
mod shipment;
mod timers;
mod waiting;
mod withdraw;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use self::auth::Auth;
pub use self::auth::Generation;
use self::drains::Drains;
pub use self::explain::{Explanation, Hold, Whereabouts};
use self::gate::Gate;
pub use self::gate::{AttemptId, Cause};
use self::letters::Letters;
use self::load::Load;
use self::outbox::Outbox;
use self::recent::Recent;
use self::timers::{Timer, Timers};
use self::waiting::WaitingRoom;
use crate::batcher::{CostMeter, Limits};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::http::Shipment;
use crate::lanes::{Lanes, Slot};
use crate::message::{Submission, Ticket};
use crate::outcome::{CallAnswer, DeadLetter, DeliveryFailure, Receipt};
use crate::quota::Quota;
use crate::random::Random;
use crate::retry::{Answer, Breaker, RetryBudget};
use crate::settings::{Ordering, Settings};
use crate::stats::{Closure, Counters, Depth, Snapshot};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A caller hands over a message or request.
    Submit(Submission),
    /// A caller no longer waits, and wants it not to be sent.
    Cancel(Ticket),
    /// What came of an attempt.
    Answered(AttemptId, Answer),
    /// What came of a token fetch.
    Token(TokenNews),
    /// A dead letter is to be sent again.
    Redrive(Ticket, Box<str>),
    /// A dead letter is to be forgotten.
    Drop(Ticket, Box<str>),
    /// A caller wants to know when everything submitted so far is settled; until the time, if one is given.
    Drain(Ticket, Option<Timestamp>),
}

/// What came of a token fetch; the token itself stays with the HTTP client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenNews {
    /// A token, and its life if that is known.
    Granted(Option<Duration>),
    /// The credentials are wrong.
    Refused(String),
    /// Try later.
    Failed {
        /// What went wrong.
        problem: String,
        /// The wait that the login host asked for.
        wait: Option<Duration>,
    },
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// An `enqueue` or `redrive` settles.
    Accepted {
        /// Whose.
        ticket: Ticket,
        /// The message's id.
        id: Box<str>,
        /// Whether the id was known already.
        duplicate: bool,
    },
    /// A message is delivered.
    Delivered {
        /// Whose promise it settles.
        waiter: Option<Ticket>,
        /// The receipt.
        receipt: Receipt,
        /// How long the delivering request took; none for a repetition of an older receipt, which is no news.
        request: Option<Duration>,
    },
    /// A message became a dead letter.
    Buried {
        /// Whose promise it settles.
        waiter: Option<Ticket>,
        /// The letter's conversation.
        conversation: Box<str>,
        /// Why.
        failure: DeliveryFailure,
    },
    /// A request is answered.
    CallAnswered(Ticket, CallAnswer),
    /// A promise is refused.
    Failed(Ticket, Error),
    /// An operation without a value is done.
    Done(Ticket),
    /// A drain ended; with how many messages left, when its time was up.
    Drained(Ticket, Option<usize>),
    /// Send this.
    Send {
        /// Its number, for the answer.
        attempt: AttemptId,
        /// The token to use.
        generation: Generation,
        /// The request.
        shipment: Shipment,
    },
    /// Nobody waits for this attempt any more: cut it.
    Cut(AttemptId),
    /// Ask for a token.
    FetchToken,
    /// Tell whoever listens.
    Notice(Notice),
}

/// News for listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The organisation pauses.
    Throttled {
        /// Where the length comes from.
        reason: &'static str,
        /// Until when.
        until: Timestamp,
        /// How long from now.
        pause: Duration,
        /// Whether it is longer than `maxPauseMs`.
        long: bool,
    },
    /// The pause is over: a probe was accepted.
    Resumed {
        /// How long it was.
        paused: Duration,
    },
    /// An outage begins or ends.
    Outage {
        /// `breaker` or `auth`.
        reason: &'static str,
        /// What went wrong.
        problem: String,
        /// Whether it begins.
        open: bool,
    },
    /// The outbox is empty.
    Empty,
}

/// A request on the wire.
#[derive(Debug)]
struct Attempt {
    load: Load,
    /// Slots of the quota that it holds.
    cost: u32,
    /// Bytes of its body.
    bytes: usize,
    generation: Generation,
    started_at: Timestamp,
}

/// The state machine of one organisation.
#[derive(Debug)]
pub struct Dispatcher {
    settings: Arc<Settings>,
    random: Random,
    outbox: Outbox,
    lanes: Lanes,
    waiting: WaitingRoom,
    followers: HashMap<Slot, Vec<Ticket>>,
    timers: Timers,
    quota: Quota,
    gate: Gate,
    auth: Auth,
    breaker: Breaker,
    retry_budget: RetryBudget,
    recent: Recent,
    letters: Letters,
    drains: Drains,
    batch_limits: Limits,
    cost: CostMeter,
    /// Bound loads that may go, before anything else: their lanes wait for them.
    bound: VecDeque<Load>,
    /// Bound loads that wait for their backoff.
    parked: HashMap<u64, Load>,
    parkings: u64,
    attempts: HashMap<AttemptId, Attempt>,
    attempts_made: AttemptId,
    accepted: u64,
    opened_at: Timestamp,
    auth_problem: Option<String>,
    /// Since when an array waits half empty for answers that are due.
    half_empty_since: Option<Timestamp>,
    /// When the budget or the token allows the next start; what else may start is decided by events.
    start_at: Option<Timestamp>,
    counters: Counters,
}

impl Dispatcher {
    /// An empty outbox and a full budget.
    pub fn new(settings: Arc<Settings>, random: Random, now: Timestamp) -> Self {
        Self {
            lanes: Lanes::new(settings.ordering == Ordering::Conversation),
            quota: Quota::new(&settings.rates, now),
            gate: Gate::new(now),
            auth: Auth::new(),
            breaker: Breaker::default(),
            retry_budget: RetryBudget::new(now),
            recent: Recent::new(settings.dedupe),
            drains: Drains::new(),
            outbox: Outbox::default(),
            waiting: WaitingRoom::default(),
            followers: HashMap::new(),
            timers: Timers::default(),
            letters: Letters::default(),
            batch_limits: Limits::new(&settings.batch),
            cost: CostMeter::new(settings.batch.cost),
            bound: VecDeque::new(),
            parked: HashMap::new(),
            parkings: 0,
            attempts: HashMap::new(),
            attempts_made: 0,
            accepted: 0,
            opened_at: now,
            auth_problem: None,
            half_empty_since: None,
            start_at: None,
            counters: Counters::default(),
            settings,
            random,
        }
    }

    /// Takes one event in. Nothing is started before [`Self::poll`], so that many events cost one look at the lanes.
    pub fn handle(&mut self, now: Timestamp, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Submit(submission) => self.submit(now, submission, effects),
            Event::Cancel(ticket) => self.cancel(now, ticket, effects),
            Event::Answered(attempt, answer) => self.answered(now, attempt, answer, effects),
            Event::Token(news) => self.token(now, news, effects),
            Event::Redrive(ticket, id) => self.redrive(now, ticket, id, effects),
            Event::Drop(ticket, id) => self.drop_letter(ticket, id, effects),
            Event::Drain(ticket, deadline) => self.drain(ticket, deadline),
        }
    }

    /// Does what falls due and starts what may start.
    pub fn poll(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some(timer) = self.timers.pop_due(now) {
            self.fire(now, timer, effects);
        }
        self.admit_waiting(now, effects);
        self.pump(now, effects);
        self.finish_drains(effects);
    }

    /// When [`Self::poll`] has something to do again, if no event comes before.
    pub fn next_wake(&self) -> Option<Timestamp> {
        [self.timers.next(), self.start_at].into_iter().flatten().min()
    }

    fn fire(&mut self, now: Timestamp, timer: Timer, effects: &mut Vec<Effect>) {
        match timer {
            Timer::Unpark(slot) => self.unpark(slot),
            Timer::Release(number) => self.bound.extend(self.parked.remove(&number)),
            Timer::Expire(slot) => self.expire(now, slot, effects),
            Timer::ExpireWaiting(number) => self.expire_waiting(number, effects),
            Timer::Drain(ticket) => {
                if let Some((left, _)) = self.drains.give_up(ticket) {
                    effects.push(Effect::Drained(ticket, Some(left)));
                }
            }
        }
    }

    fn drain(&mut self, ticket: Ticket, deadline: Option<Timestamp>) {
        self.drains.begin(ticket, deadline);
        if let Some(at) = deadline {
            self.timers.set(at, Timer::Drain(ticket));
        }
    }

    fn finish_drains(&mut self, effects: &mut Vec<Effect>) {
        while let Some((ticket, deadline)) = self.drains.next_done() {
            if let Some(at) = deadline {
                self.timers.clear(at, Timer::Drain(ticket));
            }
            effects.push(Effect::Drained(ticket, None));
        }
    }

    fn drop_letter(&mut self, ticket: Ticket, id: Box<str>, effects: &mut Vec<Effect>) {
        effects.push(match self.letters.take(&id) {
            Some(_) => Effect::Done(ticket),
            None => Effect::Failed(ticket, Error::NotFound { what: "dead letter", id: id.into() }),
        });
    }

    /// Whether nothing is left to do: no message, no request.
    pub fn is_idle(&self) -> bool {
        self.outbox.len() == 0 && self.waiting.is_empty()
    }

    /// Messages and requests that are not settled.
    pub fn unsettled(&self) -> usize {
        self.outbox.len() + self.waiting.len()
    }

    /// Dead letters behind the number `after`, oldest first, with their numbers.
    pub fn letters(&self, after: u64) -> impl Iterator<Item = (u64, &DeadLetter)> {
        self.letters.page(after)
    }

    /// Numbers for `stats()`.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let closure_of = |throttle: bool| -> Option<Closure> {
            let cause = self.gate.closed_by()?;
            (matches!(cause, Cause::Throttled(_)) == throttle).then(|| self.gate.closure())?
        };
        Snapshot {
            at: now,
            counters: self.counters,
            depth: Depth {
                messages: self.outbox.len(),
                bytes: self.outbox.bytes(),
                waiting: self.waiting.len(),
                conversations: self.lanes.conversations(),
                in_flight: self.attempts.len(),
                dead_letters: self.letters.len(),
            },
            rates: self.quota.rates().collect(),
            available: self.quota.available(now),
            next_free: self.quota.next_free(now),
            pause: closure_of(true),
            outage: closure_of(false),
        }
    }
}
