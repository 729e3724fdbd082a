//! What outlives an engine: spent slots, learned quota and pause, for the next engine of the organization and for the
//! next process.
//!
//! The server goes on counting, whoever sends, and its quota stays what it was. Without this the next engine would
//! spend the quota a second time, and send into a pause that the server asked for.

mod json;

use std::time::Duration;

use self::json::Saved;
use crate::budget::{Belief, Quota};
use crate::clock::Timestamp;
use crate::dispatcher::Step;
use crate::dispatcher::health::{Bequest, KnownOutage, OperatorHold, Span};
use crate::dispatcher::{Dispatcher, Effect};
use crate::settings::TokenSource;
use crate::stats::Pause;
use crate::store::{Change, Opening};
use crate::token::TokenId;

/// For how long it is worth keeping what was learned.
const BELIEF_KEPT: Duration = Duration::from_secs(3_600);
/// How often spent slots are saved; departures in between are kept one by one, as they are about to leave.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// Spent budget, learned quota and pause of an engine that has ended, or of one at a moment.
#[derive(Clone, Debug)]
pub struct Carryover {
    /// By when the requests have arrived that hold a slot, in order.
    spent: Vec<Timestamp>,
    /// Slots of requests that may leave or arrive as long as the engine goes on. None, once it has ended.
    under_way: u32,
    belief: Belief,
    /// The same of each token, where there are several: what stands above is theirs together.
    tokens: Vec<OfToken>,
    pauses: Bequest,
    /// When messages did not age; only for those that the next process finds in the store.
    standstill: Vec<Span>,
    /// An operator's; only for the next process.
    hold: Option<OperatorHold>,
    until: Timestamp,
}

/// What one of several tokens has spent and learned.
#[derive(Clone, Debug)]
struct OfToken {
    /// Of its client, by which another run knows it.
    fingerprint: u64,
    spent: Vec<Timestamp>,
    under_way: u32,
    belief: Belief,
}

impl Carryover {
    /// From this time on it says nothing any more.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Of an engine that ended before `now`, nobody knows when: what was under way may have left until then. So it has
    /// arrived, or never will, a little later.
    fn ended_before(mut self, now: Timestamp) -> Self {
        let arrived = Quota::arrived_by(now, now);
        let spend = |spent: &mut Vec<Timestamp>, under_way: &mut u32| {
            spent.extend((0..std::mem::take(under_way)).map(|_| arrived));
            spent.sort_unstable();
        };
        spend(&mut self.spent, &mut self.under_way);
        self.tokens.iter_mut().for_each(|one| spend(&mut one.spent, &mut one.under_way));
        self
    }
}

/// What was saved last.
#[derive(Debug, Default)]
pub(in crate::dispatcher) struct Saving {
    at: Option<Timestamp>,
    moves: u64,
    paused: Vec<Pause>,
    held: Option<OperatorHold>,
    outage: Option<KnownOutage>,
    is_demanded: bool,
}

impl Saving {
    /// The next save comes whether or not anything has changed.
    pub(in crate::dispatcher) fn demand(&mut self) {
        self.is_demanded = true;
    }
}

impl Dispatcher {
    /// What the next engine must know, if this one ends now. Requests on the wire are cut with it, and may still
    /// arrive; what has not left never will.
    pub fn carryover(&self, now: Timestamp) -> Carryover {
        let mut spent = self.spent(now);
        spent.extend(self.arrivals(now).map(|(_, at)| at));
        spent.sort_unstable();
        let of = |token: TokenId| {
            let own = self.arrivals(now).filter(|(other, _)| *other == token).map(|(_, at)| at);
            let mut spent = self.quota.spent_of(now, token);
            spent.extend(own);
            spent.sort_unstable();
            (spent, 0)
        };
        self.carry(now, (spent, 0), of)
    }

    /// By when the slots of requests on the wire are spent, and whose they are.
    fn arrivals(&self, now: Timestamp) -> impl Iterator<Item = (TokenId, Timestamp)> {
        let attempts = self.attempts.iter();
        let attempts =
            attempts.filter_map(|(_, attempt, departure)| Some((attempt.token, departure?.at, attempt.cost)));
        let lookup = self.limits_lookup.token().zip(self.limits_lookup.in_flight_since());
        let sounding = self.sounding.and_then(|one| Some((one.token(), one.in_flight_since()?)));
        let own = lookup.into_iter().chain(sounding).map(|(token, left_at)| (token, left_at, 1));
        attempts.chain(own).flat_map(move |(token, left_at, cost)| {
            let arrived = Quota::arrived_by(left_at, now);
            (0..cost).map(move |_| (token, arrived))
        })
    }

    /// Slots of requests that are under way, of one token or of all.
    fn under_way(&self, token: Option<TokenId>) -> u32 {
        let is_its = |other: TokenId| token.is_none_or(|token| token == other);
        let attempts = self.attempts.iter().filter(|(_, attempt, _)| is_its(attempt.token));
        let own = self.limits_lookup.token().into_iter().chain(self.sounding.map(|one| one.token()));
        attempts.map(|(_, attempt, _)| attempt.cost).sum::<u32>()
            + own.filter(|other| is_its(*other)).map(|_| 1).sum::<u32>()
    }

    /// The times at which slots were spent, in order. Includes refusals that the learner has not been told of yet.
    fn spent(&self, now: Timestamp) -> Vec<Timestamp> {
        let mut spent = self.quota.spent(now);
        let earlier = spent.len();
        spent.extend(self.health.unheard().costs().flat_map(|(at, cost)| (0..cost).map(move |_| at)));
        if spent.len() > earlier {
            spent.sort_unstable();
        }
        spent
    }

    /// What the next process must know, if this one ends at some time that nobody tells.
    fn checkpoint(&self, now: Timestamp) -> Carryover {
        let of = |token: TokenId| (self.quota.spent_of(now, token), self.under_way(Some(token)));
        let carried = self.carry(now, (self.spent(now), self.under_way(None)), of);
        Carryover { hold: self.health.operator_hold(), ..carried }
    }

    /// `of`: what one token has spent, and its slots under way.
    fn carry(
        &self,
        now: Timestamp,
        (spent, under_way): (Vec<Timestamp>, u32),
        of: impl Fn(TokenId) -> (Vec<Timestamp>, u32),
    ) -> Carryover {
        let pauses = self.health.bequest(now);
        let paused_until = pauses.until();
        let belief = self.quota.belief(now);
        let of_token = |(token, source): (TokenId, &TokenSource)| {
            let (spent, under_way) = of(token);
            OfToken { fingerprint: source.fingerprint(), spent, under_way, belief: self.quota.belief_of(now, token) }
        };
        let tokens: Vec<OfToken> = match self.auths.are_several() {
            true => self.auths.all().zip(&self.settings.tokens).map(of_token).collect(),
            false => Vec::new(),
        };
        let is_belief = |belief: &Belief| !belief.policies.is_empty();
        let has_belief = is_belief(&belief) || tokens.iter().any(|one| is_belief(&one.belief));
        let has_learned = has_belief || pauses.unknown > 0;
        let learned_until = has_learned.then(|| now.after(BELIEF_KEPT));
        let free_at = spent.last().map(|last| last.after(self.quota.held_for()));
        let until = [free_at, paused_until, learned_until].into_iter().flatten().max().unwrap_or(now).max(now);
        let standstill = self.health.standstill(now);
        Carryover { spent, under_way, belief, tokens, pauses, standstill, hold: None, until }
    }

    /// Begins where an engine of the same organization and server has ended.
    pub fn inherit(&mut self, now: Timestamp, carryover: Carryover) {
        debug_assert!(carryover.under_way == 0, "it has ended");
        self.inherit_budget(now, &carryover);
        self.health.inherit(now, carryover.pauses);
        self.health.inherit_standstill(carryover.standstill);
        self.note_standstill(now);
    }

    fn inherit_budget(&mut self, now: Timestamp, carryover: &Carryover) {
        if !self.auths.are_several() || carryover.tokens.is_empty() {
            // What one token has spent counts for all, if it isn't known which of them it was.
            self.quota.restore(now, &carryover.belief);
            return self.quota.inherit(now, &carryover.spent);
        }
        self.quota.inherit_of_all(now, &carryover.spent);
        for (token, source) in self.auths.all().zip(&self.settings.tokens) {
            let fingerprint = source.fingerprint();
            if let Some(one) = carryover.tokens.iter().find(|one| one.fingerprint == fingerprint) {
                self.quota.restore_of(now, token, &one.belief);
                self.quota.inherit_of(now, token, &one.spent);
            }
        }
    }

    /// Saves a checkpoint when the budget has changed: a new pause or outage at once, spent slots now and then.
    pub(in crate::dispatcher) fn save(&mut self, step: &mut Step<'_>) {
        if !self.standing.is_durable() {
            return;
        }
        let paused = self.health.limits_in_force(step.now);
        let held = self.health.operator_hold();
        let outage = self.health.known_outage();
        let due = self.saving.at.is_none_or(|at| step.now.since(at) >= SAVE_EVERY);
        let spent = self.saving.moves != self.attempts.moves() && due;
        let is_saved = paused == self.saving.paused && held == self.saving.held && outage == self.saving.outage;
        if !spent && is_saved && !self.saving.is_demanded {
            return;
        }
        let moves = self.attempts.moves();
        self.saving = Saving { at: Some(step.now), moves, paused, held, outage, is_demanded: false };
        let budget = Saved::of(&self.checkpoint(step.now), step.now).to_json();
        step.effects.push(Effect::Store(Change::Save { budget, on_wire: self.on_wire(step.now) }));
    }

    /// Goes on where the store's last run ended; what makes no sense is no evidence.
    pub(in crate::dispatcher) fn restore(&mut self, step: &mut Step<'_>, opening: &Opening) {
        let saved = Saved::from_json(opening.budget.as_deref());
        // A wall clock that was put back meanwhile must not make a future out of the past.
        let saved_at = opening.budget_at.unwrap_or(step.now).min(step.now);
        let mut carryover = saved.carryover(saved_at, step.now, self.settings.retry.max_pause);
        // They were about to leave after that.
        let departed = u32::try_from(opening.departed.len()).unwrap_or(u32::MAX);
        carryover.under_way = carryover.under_way.saturating_add(departed);
        // With which of several tokens isn't known.
        for one in &mut carryover.tokens {
            one.under_way = one.under_way.saturating_add(departed);
        }
        if let Some(hold) = carryover.hold.filter(|hold| hold.until.is_none_or(|until| until > step.now)) {
            self.hold(hold, step.effects);
        }
        self.inherit(step.now, carryover.ended_before(step.now));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
