//! The budgets of several access tokens of one organization, and the one over all of them. Each request is one token's;
//! the one goes first that was used longest ago, of those that have a slot.

use std::time::Duration;

use super::{Belief, Believed, Heard, NotYet, Quota, Turn};
use crate::clock::Timestamp;
use crate::evidence::RequestLimit;
use crate::token::{TokenId, TokenSet};

#[derive(Debug)]
struct OfToken {
    quota: Quota,
    /// Counts up with each request of any token.
    used: u64,
}

#[derive(Debug)]
pub(super) struct Tokens {
    each: Vec<OfToken>,
    /// The organization's, if that is known.
    all: Option<Quota>,
    uses: u64,
}

impl Tokens {
    pub(super) fn new(each: impl Iterator<Item = Quota>, all: Option<Quota>) -> Self {
        let each: Vec<OfToken> = each.map(|quota| OfToken { quota, used: 0 }).collect();
        debug_assert!(!each.is_empty(), "there is a token");
        Self { each, all, uses: 0 }
    }

    fn of(&self, token: TokenId) -> &Quota {
        &self.each[token.index()].quota
    }

    /// The budgets that a request of this token is charged to.
    fn charged(&mut self, token: TokenId) -> impl Iterator<Item = &mut Quota> {
        std::iter::once(&mut self.each[token.index()].quota).chain(&mut self.all)
    }

    fn every(&self) -> impl Iterator<Item = &Quota> {
        self.each.iter().map(|one| &one.quota).chain(&self.all)
    }

    fn every_mut(&mut self) -> impl Iterator<Item = &mut Quota> {
        self.each.iter_mut().map(|one| &mut one.quota).chain(&mut self.all)
    }

    pub(super) fn check(&mut self, now: Timestamp, usable: TokenSet, cost: u32) -> Result<TokenId, NotYet> {
        if let Some(all) = &mut self.all {
            all.check(now, usable, cost)?;
        }
        let (mut best, mut soonest) = (None, None);
        for token in usable.iter() {
            let one = &mut self.each[token.index()];
            match one.quota.check(now, usable, cost) {
                Ok(_) => {
                    let rank = (one.quota.turn(now, token).rank(), one.used);
                    if best.is_none_or(|(known, _)| rank < known) {
                        best = Some((rank, token));
                    }
                }
                Err(NotYet::Until(at)) => soonest = Some(soonest.map_or(at, |known: Timestamp| known.min(at))),
                Err(NotYet::AtAnswer | NotYet::AtGrant) => {}
            }
        }
        match best {
            Some((_, token)) => Ok(token),
            None => Err(soonest.map_or(NotYet::AtAnswer, NotYet::Until)),
        }
    }

    pub(super) fn turn(&self, now: Timestamp, token: TokenId) -> Turn {
        let of_all = self.all.as_ref().map_or(Turn::All, |all| all.turn(now, token));
        self.of(token).turn(now, token).and(of_all)
    }

    pub(super) fn turn_memory(&self) -> Option<Duration> {
        self.every().filter_map(Quota::turn_memory).max()
    }

    pub(super) fn reserve(&mut self, now: Timestamp, token: TokenId, cost: u32) {
        self.uses += 1;
        self.each[token.index()].used = self.uses;
        self.charged(token).for_each(|quota| quota.reserve(now, token, cost));
    }

    pub(super) fn left(&mut self, now: Timestamp, token: TokenId, cost: u32) {
        self.charged(token).for_each(|quota| quota.left(now, token, cost));
    }

    pub(super) fn cancel(&mut self, token: TokenId, cost: u32) {
        self.charged(token).for_each(|quota| quota.cancel(token, cost));
    }

    /// A refusal that the organization's limit has given is told as none of the token's.
    pub(super) fn heard(&mut self, now: Timestamp, token: TokenId, heard: Heard<'_>) {
        self.charged(token).for_each(|quota| quota.heard(now, token, heard));
    }

    pub(super) fn given_up(&mut self, left_at: Timestamp, now: Timestamp, token: TokenId, cost: u32) {
        self.charged(token).for_each(|quota| quota.given_up(left_at, now, token, cost));
    }

    pub(super) fn unsent(&mut self, now: Timestamp, left_at: Timestamp, token: TokenId, cost: u32) {
        self.charged(token).for_each(|quota| quota.unsent(now, left_at, token, cost));
    }

    pub(super) fn told_limits(&mut self, now: Timestamp, limits: &[RequestLimit]) {
        self.every_mut().for_each(|quota| quota.told_limits(now, limits));
    }

    pub(super) fn knows_nothing(&self) -> bool {
        self.each.iter().all(|one| one.quota.knows_nothing())
    }

    pub(super) fn restart(&mut self, now: Timestamp) {
        self.every_mut().for_each(|quota| quota.restart(now));
    }

    pub(super) fn restart_token(&mut self, now: Timestamp, token: TokenId) {
        self.each[token.index()].quota.restart(now);
    }

    pub(super) fn cost_max(&self) -> u32 {
        self.every().map(Quota::cost_max).min().unwrap_or(u32::MAX)
    }

    /// Of all tokens together.
    pub(super) fn available(&self, now: Timestamp) -> u32 {
        let of_tokens = self.each.iter().fold(0_u32, |sum, one| sum.saturating_add(one.quota.available(now)));
        self.all.as_ref().map_or(of_tokens, |all| all.available(now).min(of_tokens))
    }

    pub(super) fn available_to(&self, now: Timestamp, token: TokenId) -> u32 {
        let own = self.of(token).available(now);
        self.all.as_ref().map_or(own, |all| all.available(now).min(own))
    }

    pub(super) fn next_free(&self, now: Timestamp) -> Option<Timestamp> {
        let is_spent = |quota: &Quota| quota.available(now) == 0;
        let of_all = match self.all.as_ref().filter(|all| is_spent(all)) {
            Some(all) => Some(all.next_free(now)?),
            None => None,
        };
        let of_tokens = match self.each.iter().all(|one| is_spent(&one.quota)) {
            true => Some(self.each.iter().filter_map(|one| one.quota.next_free(now)).min()?),
            false => None,
        };
        of_all.max(of_tokens)
    }

    pub(super) fn next_reading(&self, now: Timestamp) -> Option<Timestamp> {
        self.every().filter_map(|quota| quota.next_reading(now)).min()
    }

    /// Of all tokens, in order.
    pub(super) fn spent(&self, now: Timestamp) -> Vec<Timestamp> {
        let mut spent: Vec<Timestamp> = self.each.iter().flat_map(|one| one.quota.spent(now)).collect();
        if let Some(all) = self.all.as_ref().map(|all| all.spent(now)).filter(|all| all.len() > spent.len()) {
            // It has a longer window.
            return all;
        }
        spent.sort_unstable();
        spent
    }

    pub(super) fn spent_of(&self, now: Timestamp, token: TokenId) -> Vec<Timestamp> {
        self.of(token).spent(now)
    }

    pub(super) fn held_for(&self) -> Duration {
        self.every().map(Quota::held_for).max().unwrap_or_default()
    }

    /// Nobody knows which token has spent it: it counts for each.
    pub(super) fn inherit(&mut self, now: Timestamp, spent: &[Timestamp]) {
        self.every_mut().for_each(|quota| quota.inherit(now, spent));
    }

    pub(super) fn inherit_of_all(&mut self, now: Timestamp, spent: &[Timestamp]) {
        self.all.iter_mut().for_each(|quota| quota.inherit(now, spent));
    }

    pub(super) fn inherit_of(&mut self, now: Timestamp, token: TokenId, spent: &[Timestamp]) {
        self.each[token.index()].quota.inherit(now, spent);
    }

    /// At the rate of all tokens together.
    pub(super) fn time_for(&self, requests: u64) -> Duration {
        let part = requests.div_ceil(self.each.len() as u64);
        let of_tokens = self.each.iter().map(|one| one.quota.time_for(part)).max().unwrap_or_default();
        self.all.as_ref().map_or(of_tokens, |all| all.time_for(requests).max(of_tokens))
    }

    /// What all of them allow together, and the organization's limits.
    pub(super) fn believed(&self) -> Vec<Believed> {
        let mut together: Vec<Believed> = Vec::new();
        for window in self.each.iter().flat_map(|one| one.quota.believed()) {
            match together.iter_mut().find(|known| known.per == window.per) {
                Some(known) => {
                    known.requests = known.requests.saturating_add(window.requests);
                    known.share = known.share.zip(window.share).map(|(known, more)| known.saturating_add(more));
                }
                None => together.push(window),
            }
        }
        together.extend(self.all.iter().flat_map(Quota::believed));
        together
    }

    pub(super) fn believed_of(&self, token: TokenId) -> Vec<Believed> {
        self.of(token).believed()
    }

    pub(super) fn since(&self) -> Option<Timestamp> {
        self.every().map(Quota::since).max()
    }

    pub(super) fn news(&mut self) -> Option<Vec<Believed>> {
        // Each is asked, so that none tells the same again.
        let news = self.each.iter_mut().filter_map(|one| one.quota.news()).count();
        (news > 0).then(|| self.believed())
    }

    pub(super) fn belief_of(&self, now: Timestamp, token: TokenId) -> Belief {
        self.of(token).belief(now)
    }

    pub(super) fn restore_of(&mut self, now: Timestamp, token: TokenId, belief: &Belief) {
        self.each[token.index()].quota.restore(now, belief);
    }

    /// Each begins with what the only token of an earlier run has learned.
    pub(super) fn restore(&mut self, now: Timestamp, belief: &Belief) {
        self.each.iter_mut().for_each(|one| one.quota.restore(now, belief));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
