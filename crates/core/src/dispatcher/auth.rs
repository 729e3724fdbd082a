//! The access token's life: one fetch at a time, ahead of expiry, and again after a 401. The token itself stays with
//! the HTTP client; here it is a number that counts up.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::random::Random;
use crate::retry::Doubling;
use crate::stats::Closure;

/// The outage's reason, for listeners.
pub(super) const NO_TOKEN: &str = "token";

/// How often the n-th token was fetched.
pub(super) type Generation = u32;

/// Tokens are renewed this long before they end, or after four fifths of a short life.
const AHEAD_MAX: Duration = Duration::from_secs(60);
const AHEAD_SHARE: u32 = 5;
/// Between failed fetches, as between the probes of an outage: its end is found soon, and no login host is flooded.
const BACKOFF: Doubling = Doubling::new(Duration::from_millis(500), Duration::from_secs(10));
/// Failures in a row that are taken for an outage rather than for one request's bad luck.
const FAILURES_MIN: u32 = 2;
/// So is a fetch that takes this long while there is no token.
const SLOW: Duration = Duration::from_secs(15);
/// A token is as good as new for this long.
const FRESH_MAX: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug)]
struct Token {
    granted_at: Timestamp,
    /// When half of its life is over. It began when it was asked for, at the earliest: its answer may have been slow.
    is_half_over_at: Option<Timestamp>,
    refresh_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetch {
    Idle,
    Running { since: Timestamp },
    NotBefore(Timestamp),
}

/// Fetches that have failed since the last one that didn't.
#[derive(Clone, Debug)]
struct TokenFailure {
    since: Timestamp,
    failures: u32,
    problem: Box<str>,
    /// Messages wait for it, and listeners know.
    is_outage: bool,
}

/// What a request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The token.
    Granted,
    /// None yet.
    Wait(Option<Timestamp>),
}

#[derive(Debug)]
pub(super) struct Auth {
    generation: Generation,
    token: Option<Token>,
    fetch: Fetch,
    failing: Option<TokenFailure>,
}

impl Auth {
    pub(super) fn new() -> Self {
        Self { generation: 0, token: None, fetch: Fetch::Idle, failing: None }
    }

    /// The token to use now, and whether one must be fetched (then it is taken as running).
    pub(super) fn access(&mut self, now: Timestamp) -> (Access, bool) {
        if self.token.is_some_and(|token| token.expires_at.is_some_and(|end| end <= now)) {
            self.token = None;
        }
        let due = self.token.is_none_or(|token| token.refresh_at.is_some_and(|at| at <= now));
        let may = match self.fetch {
            Fetch::Idle => true,
            Fetch::Running { .. } => false,
            Fetch::NotBefore(at) => at <= now,
        };
        if due && may {
            self.fetch = Fetch::Running { since: now };
        }
        let access = match (self.token, self.fetch) {
            (Some(_), _) => Access::Granted,
            (None, Fetch::NotBefore(at)) => Access::Wait(Some(at)),
            (None, Fetch::Running { since }) if !self.is_out() => Access::Wait(Some(since.after(SLOW))),
            (None, _) => Access::Wait(None),
        };
        (access, due && may)
    }

    pub(super) fn granted(&mut self, now: Timestamp, lifetime: Option<Duration>) {
        let ahead = |life: Duration| AHEAD_MAX.min(life / AHEAD_SHARE);
        let asked_at = match self.fetch {
            Fetch::Running { since } => since,
            Fetch::Idle | Fetch::NotBefore(_) => now,
        };
        self.generation = self.generation.wrapping_add(1);
        self.token = Some(Token {
            granted_at: now,
            is_half_over_at: lifetime.map(|life| asked_at.after(life / 2)),
            refresh_at: lifetime.map(|life| now.after(life - ahead(life))),
            expires_at: lifetime.map(|life| now.after(life)),
        });
        self.fetch = Fetch::Idle;
    }

    pub(super) fn failed(&mut self, now: Timestamp, problem: String, wait: Option<Duration>, random: &mut Random) {
        let since = match self.fetch {
            Fetch::Running { since } => since,
            Fetch::Idle | Fetch::NotBefore(_) => now,
        };
        let failing = self.failing_since(since);
        failing.failures = failing.failures.saturating_add(1);
        failing.problem = problem.into_boxed_str();
        let backoff = BACKOFF.wait(failing.failures, random);
        self.fetch = Fetch::NotBefore(now.after(wait.map_or(backoff, |wait| wait.max(backoff))));
    }

    fn failing_since(&mut self, since: Timestamp) -> &mut TokenFailure {
        self.failing.get_or_insert_with(|| TokenFailure {
            since,
            failures: 0,
            problem: format!("none has come for {} s", SLOW.as_secs()).into(),
            is_outage: false,
        })
    }

    /// Whether messages have to wait from now on for want of a token: why.
    pub(super) fn begin_outage(&mut self, now: Timestamp) -> Option<&str> {
        if self.token.is_some_and(|token| token.expires_at.is_none_or(|end| end > now)) {
            return None;
        }
        if let Fetch::Running { since } = self.fetch
            && now.since(since) >= SLOW
        {
            self.failing_since(since).failures = FAILURES_MIN.max(self.failures());
        }
        let failing = self.failing.as_mut().filter(|failing| failing.failures >= FAILURES_MIN)?;
        (!std::mem::replace(&mut failing.is_outage, true)).then_some(&*failing.problem)
    }

    /// The login host has given a token, or said that there is none. Whether an outage is over.
    pub(super) fn end_degraded(&mut self) -> bool {
        self.failing.take().is_some_and(|failing| failing.is_outage)
    }

    /// Whether messages wait for want of a token, and listeners know.
    pub(super) fn is_out(&self) -> bool {
        self.failing.as_ref().is_some_and(|failing| failing.is_outage)
    }

    /// Why, while that is so.
    pub(super) fn outage_problem(&self) -> Option<&str> {
        self.failing.as_ref().filter(|failing| failing.is_outage).map(|failing| &*failing.problem)
    }

    /// The same, for who asks.
    pub(super) fn outage(&self) -> Option<Closure> {
        let failing = self.failing.as_ref().filter(|failing| failing.is_outage)?;
        let next = self.next_fetch();
        Some(Closure { reason: NO_TOKEN, since: failing.since, until: next, next_probe: next })
    }

    /// When the next token is asked for, if that waits.
    pub(super) fn next_fetch(&self) -> Option<Timestamp> {
        match self.fetch {
            Fetch::NotBefore(at) => Some(at),
            Fetch::Idle | Fetch::Running { .. } => None,
        }
    }

    /// Why there is no token, if fetching one fails.
    pub(super) fn problem(&self) -> Option<&str> {
        self.failing.as_ref().map(|failing| &*failing.problem)
    }

    /// Goes on after a panic: who knows of an outage is told its end.
    pub(super) fn take_over(&mut self, other: &Self) {
        self.failing.clone_from(&other.failing);
    }

    /// The login host has refused: that fetch is over.
    pub(super) fn fetch_over(&mut self) {
        self.fetch = Fetch::Idle;
    }

    /// The credentials are refused: no token, and no fetch before the gate opens again. One that runs still counts: two
    /// at once would spend two tokens.
    pub(super) fn refused(&mut self, until: Timestamp) {
        self.token = None;
        if !matches!(self.fetch, Fetch::Running { .. }) {
            self.fetch = Fetch::NotBefore(until);
        }
    }

    /// There is a reason to believe that the next token is accepted: it needn't wait.
    pub(super) fn retry_now(&mut self) {
        if matches!(self.fetch, Fetch::NotBefore(_)) {
            self.fetch = Fetch::Idle;
        }
    }

    /// Which token a request shows that leaves now.
    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    /// When the token was granted, if there is one.
    pub(super) fn granted_at(&self) -> Option<Timestamp> {
        self.token.map(|token| token.granted_at)
    }

    /// Whether the token was granted so shortly ago that it can't have ended on the way of a request that leaves now.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.token.is_some_and(|token| {
            now.since(token.granted_at) <= FRESH_MAX && token.is_half_over_at.is_none_or(|half| now < half)
        })
    }

    /// A request with this token got a 401; an older token's 401 says nothing about this one.
    pub(super) fn invalidate(&mut self, generation: Generation) {
        if generation == self.generation {
            self.token = None;
        }
    }

    /// Whether the first token, or another one since the last has ended, is being fetched.
    pub(super) fn is_awaited(&self, now: Timestamp) -> bool {
        let has_token = self.token.is_some_and(|token| token.expires_at.is_none_or(|end| end > now));
        matches!(self.fetch, Fetch::Running { .. }) && !has_token
    }

    /// Failed fetches in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failing.as_ref().map_or(0, |failing| failing.failures)
    }
}
