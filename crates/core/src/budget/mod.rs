//! The budget: how many requests may leave now, so that the quota holds *at the server*.
//!
//! A quota that the caller configures is kept exactly (`exact`), or a host's share of one (`shared`). Without one, it
//! is learned from what the server says and refuses (`learned`). Where an organization has several access tokens, each
//! has such a budget (`tokens`).

mod belief;
mod exact;
mod learned;
mod pacer;
mod reserve;
mod shared;
mod slots;
mod tokens;

use std::time::Duration;

pub use self::belief::{Belief, Believed, BelievedPolicy, Why};
use self::exact::{GUARD, Window};
pub use self::learned::Heard;
use self::learned::Learner;
pub use self::reserve::Turn;
use self::shared::Share;
pub use self::shared::{Demand, Holding};
use self::tokens::Tokens;
use crate::clock::Timestamp;
use crate::evidence::RequestLimit;
use crate::lease::{Grant, WindowReport};
use crate::settings::{Learn, Rate, WhenUnreachable};
use crate::token::{TokenId, TokenSet};

/// A request without an answer arrives within this time of leaving, or never: a slow path and two retransmissions.
const ON_ITS_WAY_MAX: Duration = Duration::from_secs(1);

/// Why no slot is free, and when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// A slot is free at this time.
    Until(Timestamp),
    /// Every slot is on the wire: ask again after the next answer.
    AtAnswer,
    /// This host of a fleet has no slot: ask again after the next grant.
    AtGrant,
}

#[derive(Debug)]
enum Kind {
    /// All windows of an organization. A request needs a slot in each.
    Known(Vec<Window>),
    Learned(Box<Learner>),
    /// A share of windows that hosts have together.
    Shared(Box<Share>),
    /// One for each of several tokens.
    Tokens(Box<Tokens>),
}

/// The budget of an organization.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use spillway_core::{budget::{NotYet, Quota}, clock::Timestamp, settings::Rate};
/// use spillway_core::token::{TokenId, TokenSet};
///
/// let (now, one) = (Timestamp::START, NonZeroU32::MIN);
/// let mut quota = Quota::new(&[Rate { requests: one, per: Duration::from_secs(1), burst: one }], now);
/// assert_eq!(quota.check(now, TokenSet::FIRST, 1), Ok(TokenId::FIRST));
/// quota.reserve(now, TokenId::FIRST, 1);
/// quota.left(now, TokenId::FIRST, 1);
/// assert_eq!(quota.check(now, TokenSet::FIRST, 1), Err(NotYet::AtAnswer), "the slot is on the wire");
/// ```
#[derive(Debug)]
pub struct Quota {
    kind: Kind,
    started_at: Timestamp,
    /// When the newest slots were taken.
    taken_at: Option<Timestamp>,
}

impl Quota {
    /// A full budget.
    pub fn new(rates: &[Rate], now: Timestamp) -> Self {
        Self {
            kind: Kind::Known(rates.iter().map(|rate| Window::new(*rate, now)).collect()),
            started_at: now,
            taken_at: None,
        }
    }

    /// A share of a quota, which begins empty.
    pub fn shared(rates: &[Rate], when_unreachable: WhenUnreachable, now: Timestamp) -> Self {
        let share = Share::new(rates, when_unreachable, now);
        Self { kind: Kind::Shared(Box::new(share)), started_at: now, taken_at: None }
    }

    /// A budget whose quota is learned.
    pub fn learning(learn: Learn, now: Timestamp) -> Self {
        Self { kind: Kind::Learned(Box::new(Learner::new(learn, now))), started_at: now, taken_at: None }
    }

    /// A budget for each of several tokens; and one over all, if there are such rates.
    pub fn of_tokens(each: impl Iterator<Item = Self>, over_all: &[Rate], now: Timestamp) -> Self {
        let all = (!over_all.is_empty()).then(|| Self::new(over_all, now));
        Self { kind: Kind::Tokens(Box::new(Tokens::new(each, all))), started_at: now, taken_at: None }
    }

    /// Of the tokens that are `usable` one that has `cost` slots free in every window.
    ///
    /// # Errors
    /// When to ask again.
    pub fn check(&mut self, now: Timestamp, usable: TokenSet, cost: u32) -> Result<TokenId, NotYet> {
        let windows = match &mut self.kind {
            Kind::Known(windows) => windows,
            Kind::Learned(learner) => return learner.check(now, cost).map(|()| TokenId::FIRST),
            Kind::Shared(share) => return share.check(now, cost).map(|()| TokenId::FIRST),
            Kind::Tokens(tokens) => return tokens.check(now, usable, cost),
        };
        let mut latest = None;
        for window in windows {
            match window.check(now, cost) {
                Ok(()) => {}
                Err(NotYet::Until(at)) => latest = latest.max(Some(at)),
                Err(other) => return Err(other),
            }
        }
        match latest {
            Some(at) => Err(NotYet::Until(at)),
            None => Ok(TokenId::FIRST),
        }
    }

    /// Whose turn it is, if slots are free: half of a long window's is spread, except for those who come late.
    pub fn turn(&self, now: Timestamp, token: TokenId) -> Turn {
        let last = self.taken_at;
        match &self.kind {
            Kind::Known(windows) => windows.iter().map(|window| window.turn(now, last)).fold(Turn::All, Turn::and),
            Kind::Learned(learner) => learner.turn(now, last),
            Kind::Shared(share) => share.turn(now, last),
            Kind::Tokens(tokens) => tokens.turn(now, token),
        }
    }

    /// Who has sent within this time doesn't come late; none where nobody is kept waiting for who does.
    pub fn turn_memory(&self) -> Option<Duration> {
        let longest = match &self.kind {
            Kind::Known(windows) => widest(windows).map_or(Duration::ZERO, |window| window.rate().per),
            Kind::Learned(learner) => learner.longest(),
            Kind::Shared(share) => share.longest(),
            Kind::Tokens(tokens) => return tokens.turn_memory(),
        };
        reserve::memory(longest)
    }

    /// Takes slots that [`Self::check`] found free, for a request that is about to leave: nobody else gets them
    /// meanwhile.
    pub fn reserve(&mut self, now: Timestamp, token: TokenId, cost: u32) {
        self.taken_at = Some(now);
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.take(cost)),
            Kind::Learned(learner) => learner.reserve(now, cost),
            Kind::Shared(share) => share.take(now, cost),
            Kind::Tokens(tokens) => tokens.reserve(now, token, cost),
        }
    }

    /// A request with reserved slots leaves, and may arrive from now on.
    pub fn left(&mut self, now: Timestamp, token: TokenId, cost: u32) {
        match &mut self.kind {
            // A known quota counts from the answer.
            Kind::Known(_) | Kind::Shared(_) => {}
            Kind::Learned(learner) => learner.left(now, cost),
            Kind::Tokens(tokens) => tokens.left(now, token, cost),
        }
    }

    /// A request with reserved slots will never leave. They are free immediately.
    pub fn cancel(&mut self, token: TokenId, cost: u32) {
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.release(cost)),
            Kind::Learned(learner) => learner.cancel(cost),
            Kind::Shared(share) => share.release(cost),
            Kind::Tokens(tokens) => tokens.cancel(token, cost),
        }
    }

    /// The request was answered. Its slots are free again one window later.
    pub fn heard(&mut self, now: Timestamp, token: TokenId, heard: Heard<'_>) {
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.answered(now, heard.cost)),
            Kind::Learned(learner) => learner.heard(now, heard),
            Kind::Shared(share) => share.answered(now, heard.cost),
            Kind::Tokens(tokens) => tokens.heard(now, token, heard),
        }
    }

    /// The request has no answer and is no longer waited for, but it may still arrive.
    pub fn given_up(&mut self, left_at: Timestamp, now: Timestamp, token: TokenId, cost: u32) {
        let at = Self::arrived_by(left_at, now);
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.answered(at, cost)),
            Kind::Learned(learner) => {
                learner.heard(at, Heard { sent_at: left_at, cost, refused: false, evidence: None });
            }
            Kind::Shared(share) => share.answered(at, cost),
            Kind::Tokens(tokens) => tokens.given_up(left_at, now, token, cost),
        }
    }

    /// The latest time at which a request can arrive that left at `left_at` and is given up `now`.
    pub fn arrived_by(left_at: Timestamp, now: Timestamp) -> Timestamp {
        now.max(left_at.after(ON_ITS_WAY_MAX))
    }

    /// The request never reached the server. Its slots are free immediately.
    pub fn unsent(&mut self, now: Timestamp, left_at: Timestamp, token: TokenId, cost: u32) {
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.release(cost)),
            Kind::Learned(learner) => learner.unsent(now, left_at, cost),
            Kind::Shared(share) => share.release(cost),
            Kind::Tokens(tokens) => tokens.unsent(now, left_at, token, cost),
        }
    }

    /// Takes the organization's list of limits as the quota until answers to messages tell more. A known quota doesn't
    /// change.
    pub fn told_limits(&mut self, now: Timestamp, limits: &[RequestLimit]) {
        match &mut self.kind {
            Kind::Known(_) | Kind::Shared(_) => {}
            Kind::Learned(learner) => learner.told_limits(now, limits),
            Kind::Tokens(tokens) => tokens.told_limits(now, limits),
        }
    }

    /// Whether a quota is to be learned and nothing was learned yet.
    pub fn knows_nothing(&self) -> bool {
        match &self.kind {
            Kind::Known(_) | Kind::Shared(_) => false,
            Kind::Learned(learner) => learner.knows_nothing(),
            Kind::Tokens(tokens) => tokens.knows_nothing(),
        }
    }

    /// Spaces requests evenly at first, after a pause, so that they don't leave in a burst.
    pub fn restart(&mut self, now: Timestamp) {
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.restart(now)),
            Kind::Learned(learner) => learner.restart(now),
            Kind::Shared(share) => share.restart(now),
            Kind::Tokens(tokens) => tokens.restart(now),
        }
    }

    /// The same for the requests of one token, whose pause is over.
    pub fn restart_token(&mut self, now: Timestamp, token: TokenId) {
        match &mut self.kind {
            Kind::Known(_) | Kind::Learned(_) | Kind::Shared(_) => self.restart(now),
            Kind::Tokens(tokens) => tokens.restart_token(now, token),
        }
    }

    /// The most that one request may cost: the capacity of the smallest window or burst.
    pub fn cost_max(&self) -> u32 {
        match &self.kind {
            Kind::Known(windows) => windows.iter().map(|window| window.rate().burst.get()).min().unwrap_or(u32::MAX),
            Kind::Learned(learner) => learner.cost_max(),
            Kind::Shared(share) => share.cost_max(),
            Kind::Tokens(tokens) => tokens.cost_max(),
        }
    }

    /// Slots that are free in every window; of several tokens, those of all.
    pub fn available(&self, now: Timestamp) -> u32 {
        match &self.kind {
            Kind::Known(windows) => windows.iter().map(|window| window.available(now)).min().unwrap_or(u32::MAX),
            Kind::Learned(learner) => learner.available(now),
            Kind::Shared(share) => share.available(now),
            Kind::Tokens(tokens) => tokens.available(now),
        }
    }

    /// The same for a request of this token.
    pub fn available_to(&self, now: Timestamp, token: TokenId) -> u32 {
        match &self.kind {
            Kind::Known(_) | Kind::Learned(_) | Kind::Shared(_) => self.available(now),
            Kind::Tokens(tokens) => tokens.available_to(now, token),
        }
    }

    /// When a slot is free in every window, if none is now; `None` also while that depends on the next answer.
    pub fn next_free(&self, now: Timestamp) -> Option<Timestamp> {
        let windows = match &self.kind {
            Kind::Known(windows) => windows,
            Kind::Learned(learner) => return learner.next_free(now),
            Kind::Shared(share) => return share.next_free(now),
            Kind::Tokens(tokens) => return tokens.next_free(now),
        };
        let mut latest = None;
        for spent in windows.iter().filter(|window| window.available(now) == 0) {
            latest = latest.max(Some(spent.next_free(now)?));
        }
        latest
    }

    /// When enough more than now is available to be worth showing; `None` if no slot is released without an answer.
    pub fn next_reading(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.kind {
            Kind::Known(windows) => windows.iter().filter_map(|window| window.next_reading(now)).min(),
            Kind::Learned(learner) => learner.next_reading(now),
            Kind::Shared(share) => share.next_reading(now),
            Kind::Tokens(tokens) => tokens.next_reading(now),
        }
    }

    /// When the requests were answered that still hold a slot of the widest window, in order.
    pub fn spent(&self, now: Timestamp) -> Vec<Timestamp> {
        match &self.kind {
            Kind::Known(windows) => widest(windows).map(|window| window.spent(now)).unwrap_or_default(),
            Kind::Learned(learner) => learner.spent(now),
            // The store keeps the share of a host that has ended until nothing of it counts.
            Kind::Shared(_) => Vec::new(),
            Kind::Tokens(tokens) => tokens.spent(now),
        }
    }

    /// The same of one of several tokens.
    pub fn spent_of(&self, now: Timestamp, token: TokenId) -> Vec<Timestamp> {
        match &self.kind {
            Kind::Known(_) | Kind::Learned(_) | Kind::Shared(_) => self.spent(now),
            Kind::Tokens(tokens) => tokens.spent_of(now, token),
        }
    }

    /// How long after its answer a request holds a slot of the widest window.
    pub fn held_for(&self) -> Duration {
        match &self.kind {
            Kind::Known(windows) => widest(windows).map_or(Duration::ZERO, |window| window.rate().per + GUARD),
            Kind::Learned(learner) => learner.widest() + GUARD,
            Kind::Shared(share) => share.longest() + GUARD,
            Kind::Tokens(tokens) => tokens.held_for(),
        }
    }

    /// Takes over what an earlier budget has spent. Where it isn't known with which of several tokens, it counts for
    /// each.
    pub fn inherit(&mut self, now: Timestamp, spent: &[Timestamp]) {
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.inherit(now, spent)),
            Kind::Learned(learner) => learner.inherit(now, spent),
            Kind::Shared(_) => {}
            Kind::Tokens(tokens) => tokens.inherit(now, spent),
        }
    }

    /// Takes over what one of several tokens has spent.
    pub fn inherit_of(&mut self, now: Timestamp, token: TokenId, spent: &[Timestamp]) {
        match &mut self.kind {
            Kind::Known(_) | Kind::Learned(_) | Kind::Shared(_) => self.inherit(now, spent),
            Kind::Tokens(tokens) => tokens.inherit_of(now, token, spent),
        }
    }

    /// Takes over what several tokens have spent together, for the limit over all of them alone.
    pub fn inherit_of_all(&mut self, now: Timestamp, spent: &[Timestamp]) {
        match &mut self.kind {
            Kind::Known(_) | Kind::Learned(_) | Kind::Shared(_) => self.inherit(now, spent),
            Kind::Tokens(tokens) => tokens.inherit_of_all(now, spent),
        }
    }

    /// How long `requests` further requests take at the rate of the slowest window.
    pub fn time_for(&self, requests: u64) -> Duration {
        match &self.kind {
            Kind::Known(windows) => windows.iter().map(|window| window.time_for(requests)).max().unwrap_or_default(),
            Kind::Learned(learner) => learner.time_for(requests),
            Kind::Shared(share) => share.time_for(requests),
            Kind::Tokens(tokens) => tokens.time_for(requests),
        }
    }

    /// The limits in force, and why they are believed; of several tokens, what they allow together.
    pub fn believed(&self) -> Vec<Believed> {
        let configured =
            |Rate { requests, per, .. }| Believed { requests: requests.get(), per, why: Why::Configured, share: None };
        match &self.kind {
            Kind::Known(windows) => windows.iter().map(|window| configured(window.rate())).collect(),
            Kind::Learned(learner) => learner.believed(),
            Kind::Shared(share) => share.rates().map(configured).collect(),
            Kind::Tokens(tokens) => tokens.believed(),
        }
    }

    /// The limits of one of several tokens.
    pub fn believed_of(&self, token: TokenId) -> Vec<Believed> {
        match &self.kind {
            Kind::Known(_) | Kind::Learned(_) | Kind::Shared(_) => self.believed(),
            Kind::Tokens(tokens) => tokens.believed_of(token),
        }
    }

    /// Since when these limits are in force.
    pub fn since(&self) -> Timestamp {
        match &self.kind {
            Kind::Known(_) | Kind::Shared(_) => self.started_at,
            Kind::Learned(learner) => learner.since().unwrap_or(self.started_at),
            Kind::Tokens(tokens) => tokens.since().unwrap_or(self.started_at),
        }
    }

    /// The limits in force, if they differ enough from those that this last returned.
    pub fn news(&mut self) -> Option<Vec<Believed>> {
        match &mut self.kind {
            Kind::Known(_) | Kind::Shared(_) => None,
            Kind::Learned(learner) => learner.news(),
            Kind::Tokens(tokens) => tokens.news(),
        }
    }

    /// What was learned, for the next engine or the next run; empty for a known quota.
    pub fn belief(&self, now: Timestamp) -> Belief {
        match &self.kind {
            Kind::Known(_) | Kind::Shared(_) | Kind::Tokens(_) => Belief::default(),
            Kind::Learned(learner) => learner.belief(now),
        }
    }

    /// The same of one of several tokens.
    pub fn belief_of(&self, now: Timestamp, token: TokenId) -> Belief {
        match &self.kind {
            Kind::Known(_) | Kind::Learned(_) | Kind::Shared(_) => self.belief(now),
            Kind::Tokens(tokens) => tokens.belief_of(now, token),
        }
    }

    /// Starts from what was learned before. A known quota doesn't change.
    pub fn restore(&mut self, now: Timestamp, belief: &Belief) {
        match &mut self.kind {
            Kind::Known(_) | Kind::Shared(_) => {}
            Kind::Learned(learner) => learner.restore(now, belief),
            Kind::Tokens(tokens) => tokens.restore(now, belief),
        }
    }

    /// The same for one of several tokens.
    pub fn restore_of(&mut self, now: Timestamp, token: TokenId, belief: &Belief) {
        match &mut self.kind {
            Kind::Known(_) | Kind::Learned(_) | Kind::Shared(_) => self.restore(now, belief),
            Kind::Tokens(tokens) => tokens.restore_of(now, token, belief),
        }
    }

    fn share(&self) -> Option<&Share> {
        match &self.kind {
            Kind::Shared(share) => Some(share),
            Kind::Known(_) | Kind::Learned(_) | Kind::Tokens(_) => None,
        }
    }

    fn share_mut(&mut self) -> Option<&mut Share> {
        match &mut self.kind {
            Kind::Shared(share) => Some(share),
            Kind::Known(_) | Kind::Learned(_) | Kind::Tokens(_) => None,
        }
    }

    /// Whether what was made may leave: the lease of the share is in force, and what was made has its slots.
    pub fn lease_lets(&self, now: Timestamp) -> bool {
        self.share().is_none_or(|share| share.may_leave(now))
    }

    /// Whether there is a lease, in force.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.share().is_some_and(|share| share.is_live(now))
    }

    /// Until when the lease is, or was, in force.
    pub fn lease_until(&self) -> Option<Timestamp> {
        self.share().and_then(Share::until)
    }

    /// How the share stands.
    pub fn holding(&self) -> Holding {
        self.share().map(Share::holding).unwrap_or_default()
    }

    /// How long this host may go without renewing its lease.
    pub fn cadence(&self) -> Duration {
        self.share().map(Share::cadence).unwrap_or_default()
    }

    /// Whether this host has a static share for when the store can't be reached.
    pub fn has_fallback(&self) -> bool {
        self.share().is_some_and(Share::has_fallback)
    }

    /// The lease is over and the store can't be reached; or that is over.
    pub fn set_adrift(&mut self, is_adrift: bool) {
        if let Some(share) = self.share_mut() {
            share.set_adrift(is_adrift);
        }
    }

    /// What a renewal says of each window. What it gives back is no longer ours.
    pub fn report(&mut self, now: Timestamp, demand: Demand) -> Vec<WindowReport> {
        self.share_mut().map(|share| share.report(now, demand)).unwrap_or_default()
    }

    /// The store has answered the renewal that was sent at `sent_at`.
    pub fn granted(&mut self, now: Timestamp, sent_at: Timestamp, grant: &Grant) {
        if let Some(share) = self.share_mut() {
            share.granted(now, sent_at, grant);
        }
    }
}

fn widest(windows: &[Window]) -> Option<&Window> {
    windows.iter().max_by_key(|window| window.rate().per)
}
