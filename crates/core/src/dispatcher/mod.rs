//! The dispatcher: a state machine without I/O. Time comes in as an argument, chance from a seed, the world as [`Event`]s;
//! what is to be done goes out as [`Effect`]s. Every decision of Spillway is made here, so that a seed replays a whole day.

mod answers;
mod auth;
mod deliver;
mod drains;
mod effect;
mod ends;
mod event;
mod explain;
mod gate;
mod gather;
mod inquiry;
mod intake;
mod keeping;
mod legacy;
mod letters;
mod load;
mod loading;
mod outbox;
mod pump;
mod recent;
mod recovery;
mod saved;
mod settle;
mod shipment;
mod timers;
mod waiting;
mod withdraw;

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use self::auth::Auth;
pub use self::auth::Generation;
use self::drains::Drains;
pub use self::effect::{Effect, Notice};
pub use self::event::{Event, TokenNews};
pub use self::explain::{Explanation, Hold, Whereabouts};
use self::gate::Gate;
pub use self::gate::{AttemptId, Cause};
use self::inquiry::Inquiry;
use self::keeping::Window;
pub use self::legacy::Legacy;
use self::letters::Letters;
use self::load::Load;
use self::outbox::{Outbox, Promise};
use self::recent::Recent;
use self::recovery::Batches;
use self::saved::Saving;
use self::timers::{Timer, Timers};
use self::waiting::WaitingRoom;
use crate::batcher::{CostMeter, Limits};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::lanes::{Lanes, Slot};
use crate::message::Ticket;
use crate::outcome::DeadLetter;
use crate::quota::Quota;
use crate::random::Random;
use crate::retry::{Breaker, RetryBudget};
use crate::settings::{Ordering, Settings};
use crate::stats::{Closure, Counters, Depth, Snapshot, StoreStanding};
use crate::store::Change;

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
    followers: HashMap<Slot, Vec<Promise>>,
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
    inquiry: Inquiry,
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
    /// Listeners know of an outage, and want to know when it ends.
    outage_told: bool,
    /// Since when an array waits half empty for answers that are due.
    half_empty_since: Option<Timestamp>,
    /// When the budget or the token allows the next start; what else may start is decided by events.
    start_at: Option<Timestamp>,
    /// The last look at the lanes ended since as many requests are under way as may be, with something left that could go else.
    wire_is_full: bool,
    counters: Counters,
    /// There is a store beside memory.
    durable: bool,
    store_problem: Option<Error>,
    /// Until the store has told all that an earlier run left.
    batches: Batches,
    /// Until then, too: messages that were on the wire and must not be sent again, in the order of their acceptance.
    unanswered: Vec<Slot>,
    recovered: u64,
    unreadable: u64,
    /// Where the damaged file lies that the store has replaced.
    set_aside: Option<Box<str>>,
    turns_to_look: u32,
    window: Window,
    saving: Saving,
}

impl Dispatcher {
    /// An empty outbox and a full budget.
    pub fn new(settings: Arc<Settings>, random: Random, now: Timestamp) -> Self {
        Self {
            lanes: Lanes::new(settings.ordering == Ordering::Conversation),
            quota: match settings.learn {
                Some(learn) => Quota::learning(learn, now),
                None => Quota::new(&settings.rates, now),
            },
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
            inquiry: if settings.learn.is_some_and(|learn| learn.read_limits) { Inquiry::Due } else { Inquiry::Over },
            bound: VecDeque::new(),
            parked: HashMap::new(),
            parkings: 0,
            attempts: HashMap::new(),
            attempts_made: 0,
            accepted: 0,
            opened_at: now,
            auth_problem: None,
            outage_told: false,
            half_empty_since: None,
            start_at: None,
            wire_is_full: false,
            counters: Counters::default(),
            durable: settings.store.is_durable(),
            store_problem: None,
            batches: Batches::default(),
            unanswered: Vec::new(),
            recovered: 0,
            unreadable: 0,
            set_aside: None,
            turns_to_look: 0,
            window: Window::default(),
            saving: Saving::default(),
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
            Event::Withheld(attempt) => self.withheld(now, attempt, effects),
            Event::Token(news) => self.token(now, news, effects),
            Event::Redrive(ticket, id) => self.redrive(now, ticket, id, effects),
            Event::Drop(ticket, id) => self.drop_letter(ticket, id, effects),
            Event::Drain(ticket, deadline) => self.drain(ticket, deadline),
            Event::Found(rows) => self.found(now, rows, effects),
            Event::Opened(opening) => self.opened(now, &opening, effects),
            Event::Kept(slots) => slots.into_iter().for_each(|slot| self.kept(now, slot, effects)),
            Event::Refused(slots, error) => slots.into_iter().for_each(|slot| self.refused(slot, &error, effects)),
            Event::Loaded(messages) => {
                messages.into_iter().for_each(|(slot, seq, record)| self.loaded(now, slot, seq, record, effects));
            }
            Event::StoreTrouble(error) => self.store_troubled(error, effects),
            Event::StoreHealed(salvage) => self.store_healed(salvage, effects),
        }
    }

    /// Does what falls due and starts what may start.
    pub fn poll(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some(timer) = self.timers.pop_due(now) {
            self.fire(now, timer, effects);
        }
        self.admit_waiting(now, effects);
        self.pump(now, effects);
        self.save(now, effects);
        self.finish_drains(effects);
    }

    /// When [`Self::poll`] has something to do again, if no event comes before.
    pub fn next_wake(&self) -> Option<Timestamp> {
        [self.timers.next(), self.start_at].into_iter().flatten().min()
    }

    /// When [`Self::snapshot`] shows a larger budget, though nothing happens and nothing is to be done.
    pub fn next_reading(&self, now: Timestamp) -> Option<Timestamp> {
        self.quota.next_reading(now)
    }

    fn fire(&mut self, now: Timestamp, timer: Timer, effects: &mut Vec<Effect>) {
        match timer {
            Timer::Unpark(slot) => self.unpark(slot),
            Timer::Release(number) => self.bound.extend(self.parked.remove(&number)),
            Timer::Expire(slot) => self.expire(now, slot, effects),
            Timer::ExpireWaiting(number) => self.expire_waiting(number, effects),
            Timer::Drain(ticket) => {
                if let Some((left, _)) = self.drains.give_up(ticket) {
                    // With no time given at all, the deadline comes before anybody has looked whether nothing is left.
                    effects.push(Effect::Drained(ticket, Some(left).filter(|left| *left > 0)));
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
        if self.letters.take(&id).is_some() {
            self.keep(Change::DropLetter { id }, effects);
            effects.push(Effect::Done(ticket));
        } else {
            effects.push(Effect::Failed(ticket, Error::NotFound { what: "dead letter", id: id.into() }));
        }
    }

    /// Whether nothing is left to do: no message, no request.
    pub fn is_idle(&self) -> bool {
        self.outbox.len() == 0 && self.waiting.is_empty()
    }

    /// Messages and requests that are not settled.
    pub fn unsettled(&self) -> usize {
        self.outbox.len() + self.waiting.len()
    }

    /// Messages of an earlier run that the store had.
    pub fn recovered(&self) -> u64 {
        self.recovered
    }

    /// Dead letters behind the number `after`, oldest first, with their numbers.
    pub fn letters(&self, after: u64) -> impl Iterator<Item = (u64, &DeadLetter)> {
        self.letters.page(after)
    }

    /// The number of the newest dead letter that there ever was: every later one has a higher number.
    pub fn newest_letter(&self) -> u64 {
        self.letters.newest()
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
            quota: self.quota.believed(),
            quota_since: self.quota.since(),
            available: self.quota.available(now),
            next_free: self.quota.next_free(now),
            pause: closure_of(true).filter(|_| self.gate.holds(now)),
            outage: closure_of(false),
            store: self.durable.then(|| StoreStanding {
                recovered: self.recovered,
                unreadable: self.unreadable,
                set_aside: self.set_aside.clone(),
                problem: self.store_problem.clone(),
            }),
        }
    }
}
