//! The dispatcher: a state machine without I/O. It is given the time as an argument, randomness from a seed and
//! everything that happens as [`Event`]s, and returns [`Effect`]s for the engine to perform. Every decision of Spillway
//! is made here, so that one seed replays a whole day.

mod admission;
mod audit;
mod auth;
mod auths;
mod backlog;
mod effect;
mod event;
mod explain;
mod health;
mod membership;
mod operator;
mod outbox;
mod outcome;
mod persistence;
mod schedule;
mod share;
mod step;
mod takeover;
mod witness;

use std::sync::Arc;

use self::admission::duplicates::Recent;
use self::admission::followers::Followers;
use self::admission::redrives::Redrives;
use self::admission::waiting::WaitingRoom;
use self::auths::Auths;
pub use self::backlog::{Backlog, BacklogWanted, OpenRequest, WaitingLane};
pub use self::effect::{Effect, Notice};
pub use self::event::{Event, TokenEvent};
pub use self::explain::{Explanation, Hold, Whereabouts};
use self::health::Health;
pub use self::health::{AttemptId, Cause};
use self::membership::Membership;
use self::outbox::Outbox;
use self::outcome::endings::Endings;
use self::outcome::letters::Letters;
use self::outcome::suspect::Suspects;
pub use self::persistence::carryover::Carryover;
use self::persistence::carryover::Saving;
use self::persistence::earlier_run::EarlierRun;
use self::persistence::standing::Standing;
use self::persistence::window::Window;
use self::schedule::attempts::Attempts;
use self::schedule::batching::Batching;
use self::schedule::bound::BoundBatches;
use self::schedule::drains::Drains;
use self::schedule::held_calls::HeldCalls;
use self::schedule::lately::Lately;
use self::schedule::limits_lookup::LimitsLookup;
use self::schedule::progress::LastLook;
use self::schedule::sounding::Sounding;
use self::schedule::timers::{Timer, Timers};
pub use self::share::Farewell;
use self::step::Step;
use crate::budget::Quota;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::lanes::Lanes;
use crate::message::Ticket;
use crate::outcome::DeadLetter;
use crate::random::Random;
use crate::settings::{Ambiguous, BatchMode, Ordering, Settings, TokenSource};
use crate::stats::{Counters, Depth, Pause, PauseScope, Snapshot, TokenStanding};
use crate::store::Change;
use crate::token::TokenId;
use crate::totals::{Amount, Holdings, Part, Totals};

/// Timers handled per turn, which takes a few milliseconds. A million messages may expire at the same moment, and other
/// organizations need their turns in between.
const DUE_PER_TURN: usize = 256;

/// Messages are posted.
const MESSAGE_METHOD: &str = "POST";

/// The state machine of one organization.
///
/// ```
/// use std::sync::Arc;
/// use spillway_core::clock::Timestamp;
/// use spillway_core::dispatcher::{Dispatcher, Effect, Event, TokenEvent};
/// use spillway_core::evidence::Evidence;
/// use spillway_core::message::{Payload, Message, Parts, Settle, Submission, Ticket};
/// use spillway_core::token::TokenId;
/// use spillway_core::{outcome::Response, random::Random, retry::Answer, settings::Settings};
///
/// let options = r#"{
///   "organization": "acme", "region": "us-east-1", "credentials": { "accessToken": "token" },
///   "route": "messaging", "store": "memory", "rateLimit": { "requests": 300, "perMs": 60000 }
/// }"#;
/// let settings = Arc::new(Settings::from_json(options)?);
/// let (now, mut effects) = (Timestamp::START, Vec::new());
/// let mut dispatcher = Dispatcher::new(settings, Random::from_seed(1), now);
///
/// let parts = Parts { id: "m-1", id_given: true, conversation: "c-1", body: "{}", ..Parts::default() };
/// let submission = Submission {
///     ticket: Ticket { handle: 1, number: 1 },
///     settle: Settle::OnOutcome,
///     payload: Payload::Message(Message::new(parts).expect("the texts fit")),
///     priority: 0,
///     expires_at: None,
///     not_before: None,
/// };
/// dispatcher.handle(now, Event::Submit(submission), &mut effects);
/// dispatcher.poll(now, &mut effects);
/// assert!(matches!(effects.pop(), Some(Effect::FetchToken(TokenId::FIRST))), "nothing leaves without a token");
///
/// dispatcher.handle(now, Event::Token(TokenId::FIRST, TokenEvent::Granted(None)), &mut effects);
/// dispatcher.poll(now, &mut effects);
/// let Some(Effect::Send { attempt, .. }) = effects.pop() else { panic!("a request") };
/// dispatcher.handle(now, Event::Left(attempt), &mut effects);
///
/// let response = Response { status: 200, ..Response::default() };
/// let answer = Answer::Answered { response, evidence: Evidence::default() };
/// dispatcher.handle(now, Event::Answered(attempt, answer), &mut effects);
/// assert!(effects.iter().any(|effect| matches!(effect, Effect::Delivered { .. })));
/// assert!(dispatcher.is_idle());
/// # Ok::<(), spillway_core::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Dispatcher {
    settings: Arc<Settings>,
    random: Random,
    outbox: Outbox,
    lanes: Lanes,
    waiting: WaitingRoom,
    followers: Followers,
    timers: Timers,
    quota: Quota,
    lately: Lately,
    health: Health,
    held_calls: HeldCalls,
    auths: Auths,
    recent: Recent,
    /// What it holds of that which the organizations of the process hold together.
    part: Part,
    letters: Letters,
    redrives: Redrives,
    drains: Drains,
    batching: Batching,
    limits_lookup: LimitsLookup,
    bound: BoundBatches,
    suspects: Suspects,
    endings: Endings,
    sounding: Option<Sounding>,
    attempts: Attempts,
    /// The number of the last message or call that was accepted.
    accepted: u64,
    last_look: LastLook,
    counters: Counters,
    standing: Standing,
    earlier_run: EarlierRun,
    window: Window,
    saving: Saving,
    /// This host's part in a fleet that shares the budget.
    membership: Option<Box<Membership>>,
}

impl Dispatcher {
    /// An empty outbox and a full budget.
    pub fn new(settings: Arc<Settings>, random: Random, now: Timestamp) -> Self {
        let is_cautious = settings.retry.ambiguous == Ambiguous::Fail;
        let mut dispatcher = Self {
            lanes: Lanes::new(settings.ordering == Ordering::Conversation),
            quota: budget_of(&settings, now),
            health: Health::new(
                now,
                settings.retry.max_pause,
                (MESSAGE_METHOD, &settings.route.template()),
                settings.tokens.iter().map(|token| (token.name.clone(), token.fingerprint())),
            ),
            lately: Lately::default(),
            held_calls: HeldCalls::default(),
            auths: Auths::new(settings.tokens.len()),
            recent: Recent::new(settings.dedupe),
            part: Part::default(),
            drains: Drains::new(),
            outbox: Outbox::default(),
            waiting: WaitingRoom::default(),
            followers: Followers::default(),
            timers: Timers::default(),
            letters: Letters::default(),
            redrives: Redrives::default(),
            batching: Batching::new(&settings.batch),
            limits_lookup: if settings.learn.is_some_and(|learn| learn.read_limits) {
                LimitsLookup::Due
            } else {
                LimitsLookup::Over
            },
            bound: BoundBatches::default(),
            suspects: Suspects::default(),
            endings: Endings::default(),
            sounding: None,
            attempts: Attempts::default(),
            accepted: 0,
            last_look: LastLook::default(),
            counters: Counters::default(),
            standing: Standing::new(settings.store.is_durable()),
            earlier_run: EarlierRun::default(),
            window: Window::default(),
            saving: Saving::default(),
            membership: None,
            settings,
            random,
        };
        if is_cautious {
            dispatcher.health.be_cautious();
        }
        if dispatcher.settings.learn.is_none() && dispatcher.settings.shared.is_some() {
            dispatcher.membership = Some(Box::new(Membership::new(&mut dispatcher.random)));
        }
        dispatcher
    }

    /// What it holds counts among these totals, and is bounded by them.
    pub fn count_among(&mut self, totals: Arc<Totals>) {
        self.part = Part::new(totals);
        self.count();
    }

    /// Messages, dead letters and remembered ids.
    pub fn size(&self) -> usize {
        self.outbox.len() + self.waiting.len() + self.letters.len() + self.recent.len()
    }

    fn count(&mut self) {
        let queue =
            Amount { count: self.outbox.len() + self.waiting.len(), bytes: self.outbox.hot().1 + self.waiting.bytes() };
        self.part.set(Holdings { queue, letters: self.letters.amount(), ids: self.recent.len() });
    }

    /// Processes one event. Requests are started by [`Self::poll`] only, so that many events cost one pass over the
    /// lanes.
    pub fn handle(&mut self, now: Timestamp, event: Event, effects: &mut Vec<Effect>) {
        let earlier = effects.len();
        let is_fleets = matches!(event, Event::Granted(_) | Event::FleetBroadcast(_));
        let step = &mut Step { now, effects };
        match event {
            // These two are frequent, and neither shuts nor opens anything.
            Event::Submit(submission) => self.submit(step, submission),
            Event::Left(attempt) => self.left(step.now, attempt),
            Event::Answered(attempt, answer) => {
                self.answered(step, attempt, answer);
                self.note_standstill(step.now);
            }
            event => {
                self.handle_rare(step, event);
                self.note_standstill(step.now);
            }
        }
        if !is_fleets {
            self.report_pauses(&step.effects[earlier..]);
        }
        debug_assert!(self.health.stands_still() == self.is_held(), "whether messages age is always known");
        self.audit();
    }

    /// What comes once in a while, apart from the path that every message takes.
    fn handle_rare(&mut self, step: &mut Step<'_>, event: Event) {
        match event {
            Event::Submit(_) | Event::Left(_) | Event::Answered(..) => unreachable!("these are frequent"),
            Event::Cancel(ticket) => self.cancel(step, ticket),
            Event::Withheld(attempt) => self.withheld(step, attempt),
            Event::ReachableChecked(is) => self.health.host_checked(step.now, is, &mut self.random),
            Event::Token(token, news) => self.token_answered(step, token, news),
            Event::Redrive(ticket, id) => self.redrive(step, ticket, id),
            Event::RedriveAll(ticket, filter) => self.begin_sweep(ticket, filter, step.effects),
            Event::Drop(ticket, id) => self.drop_letter(ticket, id, step.effects),
            Event::Drain(ticket, deadline) => self.drain(ticket, deadline),
            Event::Pause(ticket, span) => self.pause(step, ticket, span),
            Event::Resume(ticket, scope) => {
                if scope == PauseScope::Organization {
                    self.end_suspense(step.now);
                }
                self.resume(step, ticket, &scope);
            }
            Event::Found(rows) => self.found(step, rows),
            Event::Opened(opening) => self.opened(step, &opening),
            Event::Persisted(entry_ids) => entry_ids.into_iter().for_each(|entry_id| self.persisted(step, entry_id)),
            Event::Refused(entry_ids, error) => {
                entry_ids.into_iter().for_each(|entry_id| self.refused(entry_id, &error, step.effects))
            }
            Event::Loaded(messages) => self.loaded(step, messages),
            Event::StoreDegraded(error) => self.store_degraded(error, step.effects),
            Event::Disowned(error) => self.begin_disowned(error, step.effects),
            Event::StoreRestored(salvage) => self.store_restored(salvage, step.effects),
            Event::Granted(grant) => self.granted(step, &grant),
            Event::RenewalFailed(failure) => self.renewal_failed(step, failure),
            Event::FleetBroadcast(news) => self.fleet_broadcast(step, &news),
        }
    }

    /// Fires the timers that are due and starts the requests that may leave.
    pub fn poll(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let earlier = effects.len();
        let step = &mut Step { now, effects };
        if self.standing.disowned().is_some() {
            return self.turn_away(step.effects);
        }
        let mut admits_more = false;
        for _ in 0..DUE_PER_TURN {
            let Some(timer) = self.timers.pop_due(step.now) else { break };
            self.fire(step, timer);
        }
        // No request starts while timers are overdue: expired messages must not be sent, and parked ones keep their
        // order.
        if !self.has_overdue(step.now) {
            self.bury_some(step);
            admits_more |= self.admit_waiting(step);
            self.sweep(step);
            self.pump(step);
            // What ends makes room for others, which may leave, or end as well.
            while self.end_held_calls(step) {
                admits_more |= self.admit_waiting(step);
                self.pump(step);
            }
            self.look_for_sweep(step.now);
            self.look_for_burial(step.now);
        }
        if admits_more {
            self.look_again(step.now);
        }
        self.report_pauses(&step.effects[earlier..]);
        self.renew(step);
        self.note_standstill(step.now);
        self.save(step);
        self.finish_drains(step.effects);
        self.count();
        self.audit();
    }

    /// Whether the last [`Self::poll`] has left timers overdue. The next one should follow at once, after other
    /// organizations have had a turn.
    pub fn has_overdue(&self, now: Timestamp) -> bool {
        self.timers.next().is_some_and(|at| at <= now)
    }

    /// Whether the last [`Self::poll`] has left anything that it could have done, had it not been enough for a turn.
    pub fn has_more(&self, now: Timestamp) -> bool {
        self.next_wake().is_some_and(|at| at <= now)
    }

    /// When [`Self::poll`] must be called again, unless an event comes earlier.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let wakes = self.standing.disowned().is_none().then_some([self.timers.next(), self.last_look.again_at()]);
        wakes.into_iter().flatten().flatten().min()
    }

    /// When [`Self::snapshot`] shows a larger budget, though nothing happens and nothing is to be done.
    pub fn next_reading(&self, now: Timestamp) -> Option<Timestamp> {
        self.quota.next_reading(now)
    }

    fn fire(&mut self, step: &mut Step<'_>, timer: Timer) {
        match timer {
            Timer::Unpark(entry_id) => self.unpark(entry_id),
            Timer::Resume => self.end_hold(step),
            Timer::Judge => self.judge_overdue(step),
            Timer::Release(number) => self.bound.release(number),
            Timer::Expire(entry_id) => self.expire(step, entry_id),
            Timer::ExpireWaiting(number) => self.expire_waiting(step, number),
            Timer::Deadline(entry_id) => self.time_out(step, entry_id),
            Timer::GiveUp(entry_id) => self.held_calls.watch(entry_id),
            Timer::GiveUpWaiting(number) => self.give_up_waiting(number, step.effects),
            Timer::Drain(ticket) => {
                if let Some((left, _)) = self.drains.give_up(ticket) {
                    // A deadline of zero fires before the first check for whether anything is left.
                    step.effects.push(Effect::Drained(ticket, Some(left).filter(|left| *left > 0)));
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
        if let Some(error) = self.standing.disowned().cloned() {
            effects.push(Effect::Failed(ticket, error));
        } else if self.letters.take(&id).is_some() {
            self.keep(Change::DropLetter { id }, effects);
            effects.push(Effect::Done(ticket));
        } else {
            effects.push(Effect::Failed(ticket, Error::NotFound { what: "dead letter", id: id.into() }));
        }
    }

    /// Messages of an earlier run that the store had.
    pub fn recovered(&self) -> u64 {
        self.standing.recovered()
    }

    /// Dead letters behind the number `after`, oldest first, with their numbers.
    pub fn letters(&self, after: u64) -> impl Iterator<Item = (u64, &DeadLetter)> {
        self.letters.page(after)
    }

    /// The number of the newest dead letter that there ever was: every later one has a higher number.
    pub fn newest_letter(&self) -> u64 {
        self.letters.newest()
    }

    /// All that are in force, an operator's first; last those of conversations that are over.
    fn pauses(&self, now: Timestamp) -> Vec<Pause> {
        let shut = self.health.hold_pause().into_iter().chain(self.health.pauses(now));
        shut.chain(self.ended_pauses()).collect()
    }

    /// The budget of each token, if there are several.
    fn token_standings(&self, now: Timestamp) -> Vec<TokenStanding> {
        if !self.health.has_several_tokens() {
            return Vec::new();
        }
        let standing = |(token, source): (TokenId, &TokenSource)| TokenStanding {
            name: source.name.clone(),
            quota: self.quota.believed_of(token),
            available: self.quota.available_to(now, token),
        };
        self.auths.all().zip(&self.settings.tokens).map(standing).collect()
    }

    /// Numbers for `stats()`.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let (outage, outage_problem) = self.outage().unzip();
        Snapshot {
            at: now,
            counters: self.counters,
            depth: Depth {
                messages: self.outbox.len(),
                bytes: self.outbox.bytes(),
                waiting: self.waiting.len(),
                conversations: self.lanes.conversations(),
                in_flight: self.attempts.in_flight(),
                dead_letters: self.letters.len(),
                refused: self.suspects.messages(),
            },
            quota: self.quota.believed(),
            quota_since: self.quota.since(),
            tokens: self.token_standings(now),
            available: self.quota.available(now),
            next_free: self.quota.next_free(now),
            pause: self.health.hold_pause().or_else(|| self.health.messages_pause(now)).map(|pause| pause.closure),
            pauses: self.pauses(now),
            outage,
            outage_problem: outage_problem.flatten(),
            refusals: self.health.refused_with().cloned(),
            outages: self.outages(),
            fleet: self.fleet_standing(now),
            joins: (self.settings.batch.mode == BatchMode::Merge).then(|| self.batching.joins().clone()),
            store: self.standing.told(),
        }
    }
}

/// A full budget: one for each token, where there are several, and one over all of them if that is set.
fn budget_of(settings: &Settings, now: Timestamp) -> Quota {
    let of_one = || match (settings.learn, &settings.shared) {
        (Some(learn), _) => Quota::learning(learn, now),
        (None, Some(shared)) => Quota::shared(&settings.rates, shared.when_unreachable, now),
        (None, None) => Quota::new(&settings.rates, now),
    };
    if settings.tokens.len() == 1 && settings.organization_rates.is_empty() {
        return of_one();
    }
    Quota::of_tokens(settings.tokens.iter().map(|_| of_one()), &settings.organization_rates, now)
}
