//! The lives of the access tokens, one for each OAuth client of the organization. Nearly always there is one.

use super::auth::Auth;
use crate::clock::Timestamp;
use crate::stats::Closure;
use crate::token::TokenId;

#[derive(Debug)]
pub(super) struct Auths(Vec<Auth>);

impl Auths {
    pub(super) fn new(count: usize) -> Self {
        debug_assert!(count > 0, "there is a token");
        Self((0..count).map(|_| Auth::new()).collect())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = TokenId> + use<> {
        TokenId::all(self.0.len())
    }

    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    pub(super) fn of(&self, token: TokenId) -> &Auth {
        &self.0[token.index()]
    }

    pub(super) fn of_mut(&mut self, token: TokenId) -> &mut Auth {
        &mut self.0[token.index()]
    }

    /// The one that tells of all: of several, that which is asked for first.
    fn first(&self) -> &Auth {
        let soonest = self.0.iter().min_by_key(|auth| (auth.next_fetch().is_none(), auth.next_fetch()));
        soonest.unwrap_or_else(|| unreachable!("there is a token"))
    }

    /// Whether messages wait for want of any token, and listeners know.
    pub(super) fn is_out(&self) -> bool {
        self.0.iter().all(Auth::is_out)
    }

    /// Why, while that is so.
    pub(super) fn outage_problem(&self) -> Option<&str> {
        self.first().outage_problem().filter(|_| self.is_out())
    }

    /// The same, for who asks.
    pub(super) fn outage(&self) -> Option<Closure> {
        self.first().outage().filter(|_| self.is_out())
    }

    /// When the next token is asked for, if that waits for each.
    pub(super) fn next_fetch(&self) -> Option<Timestamp> {
        self.first().next_fetch()
    }

    /// Why there is no token, if fetching each one fails.
    pub(super) fn problem(&self) -> Option<&str> {
        let fails = |auth: &Auth| auth.problem().is_some();
        self.first().problem().filter(|_| self.0.iter().all(fails))
    }

    /// Whether each is being fetched that there is, or another one since the last has ended.
    pub(super) fn are_awaited(&self, now: Timestamp) -> bool {
        self.0.iter().all(|auth| auth.is_awaited(now))
    }

    /// There is a reason to believe that the next tokens are accepted: they needn't wait.
    pub(super) fn retry_now(&mut self) {
        self.0.iter_mut().for_each(Auth::retry_now);
    }

    /// All credentials are refused until then.
    pub(super) fn refused(&mut self, until: Timestamp) {
        self.0.iter_mut().for_each(|auth| auth.refused(until));
    }

    /// Goes on after a panic: who knows of an outage is told its end.
    pub(super) fn take_over(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(auth, other)| auth.take_over(other));
    }
}
