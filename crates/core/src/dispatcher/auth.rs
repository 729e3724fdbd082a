//! The access token's life: one fetch at a time, ahead of expiry, and again after a 401. The token itself stays with the
//! HTTP client; here it is a number that counts up.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::random::Random;
use crate::retry::Backoff;

/// How often the n-th token was fetched.
pub type Generation = u32;

/// Tokens are renewed this long before they end, or after four fifths of a short life.
const AHEAD_MAX: Duration = Duration::from_secs(60);
const AHEAD_SHARE: u32 = 5;
/// Between failed fetches. The floor keeps even a login host that fails at once from being flooded.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(60));

#[derive(Clone, Copy, Debug)]
struct Token {
    refresh_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetch {
    Idle,
    Running,
    NotBefore(Timestamp),
}

/// What a request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// This token.
    Token(Generation),
    /// None yet.
    Wait(Option<Timestamp>),
}

#[derive(Debug)]
pub(super) struct Auth {
    generation: Generation,
    token: Option<Token>,
    fetch: Fetch,
    failures: u32,
}

impl Auth {
    pub(super) fn new() -> Self {
        Self { generation: 0, token: None, fetch: Fetch::Idle, failures: 0 }
    }

    /// The token to use now, and whether one must be fetched (then it is taken as running).
    pub(super) fn access(&mut self, now: Timestamp) -> (Access, bool) {
        if self.token.is_some_and(|token| token.expires_at.is_some_and(|end| end <= now)) {
            self.token = None;
        }
        let due = self.token.is_none_or(|token| token.refresh_at.is_some_and(|at| at <= now));
        let may = match self.fetch {
            Fetch::Idle => true,
            Fetch::Running => false,
            Fetch::NotBefore(at) => at <= now,
        };
        if due && may {
            self.fetch = Fetch::Running;
        }
        let access = match (self.token, self.fetch) {
            (Some(_), _) => Access::Token(self.generation),
            (None, Fetch::NotBefore(at)) => Access::Wait(Some(at)),
            (None, _) => Access::Wait(None),
        };
        (access, due && may)
    }

    pub(super) fn granted(&mut self, now: Timestamp, lifetime: Option<Duration>) {
        let ahead = |life: Duration| AHEAD_MAX.min(life / AHEAD_SHARE);
        self.generation = self.generation.wrapping_add(1);
        self.token = Some(Token {
            refresh_at: lifetime.map(|life| now.after(life - ahead(life))),
            expires_at: lifetime.map(|life| now.after(life)),
        });
        self.fetch = Fetch::Idle;
        self.failures = 0;
    }

    pub(super) fn failed(&mut self, now: Timestamp, wait: Option<Duration>, random: &mut Random) {
        self.failures = self.failures.saturating_add(1);
        let backoff = BACKOFF.wait(self.failures, random);
        self.fetch = Fetch::NotBefore(now.after(wait.map_or(backoff, |wait| wait.max(backoff))));
    }

    /// The login host has refused: that fetch is over.
    pub(super) fn fetch_over(&mut self) {
        self.fetch = Fetch::Idle;
    }

    /// The credentials are refused: no token, and no fetch before the gate opens again. One that runs still counts: two at
    /// once would spend two tokens.
    pub(super) fn refused(&mut self, until: Timestamp) {
        self.token = None;
        if self.fetch != Fetch::Running {
            self.fetch = Fetch::NotBefore(until);
        }
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
        self.fetch == Fetch::Running && !has_token
    }

    /// Failed fetches in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}
