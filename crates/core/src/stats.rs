//! Numbers about an engine, as `stats()` shows them.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::budget::Believed;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::evidence::NamedLimit;
use crate::joins::Joins;
use crate::lease::Host;

/// What happened since the engine's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that entered the outbox.
    pub accepted: u64,
    /// Messages whose id was known already.
    pub duplicates: u64,
    /// Receipts.
    pub delivered: u64,
    /// Dead letters made.
    pub dead_letters: u64,
    /// Dead letters that were dropped, oldest first, since there were too many.
    pub dead_letters_dropped: u64,
    /// Requests sent to the API.
    pub requests: u64,
    /// Of these, repeats after a failure.
    pub retries: u64,
    /// Answers with status 429.
    pub throttled: u64,
    /// Tokens asked for.
    pub token_requests: u64,
}

/// How full the engine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages and requests in the outbox.
    pub messages: usize,
    /// Bytes of their bodies.
    pub bytes: usize,
    /// Submissions that wait for room in the outbox.
    pub waiting: usize,
    /// Conversations with messages in the outbox.
    pub conversations: usize,
    /// Requests on the wire.
    pub in_flight: usize,
    /// Dead letters that are kept.
    pub dead_letters: usize,
    /// Refused messages that wait for their next attempt, since the refusal may be everybody's.
    pub refused: usize,
}

/// What keeps everything from being sent.
///
/// ```
/// use std::time::Duration;
/// use spillway_core::clock::Timestamp;
/// use spillway_core::stats::{Closure, Pause, PauseScope};
///
/// let since = Timestamp::START;
/// let until = since.after(Duration::from_secs(30));
/// let closure = Closure { reason: "retry-after", since, until: Some(until), next_probe: Some(until) };
/// let pause = Pause { scope: PauseScope::Route("GET /api/v2/users/{}".into()), limit: None, closure };
/// assert!(!pause.closure.is_over(since) && pause.closure.is_over(until));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closure {
    /// Why, in a word.
    pub reason: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// Until when, as far as it is known: the end of the wait that the server asked for, or the time of the next probe.
    pub until: Option<Timestamp>,
    /// When a request probes next; `None` while a probe is out or nothing has come that could probe.
    pub next_probe: Option<Timestamp>,
}

impl Closure {
    /// Whether its time has passed.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// The reason of a [`Closure`] of a conversation that is over.
pub const ENDED: &str = "ended";

/// For what a pause holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseScope {
    /// Everything.
    Organization,
    /// What shows one of several tokens, by its name.
    Token(Box<str>),
    /// What takes the route of this name: method and path template.
    Route(Box<str>),
    /// The messages of this conversation.
    Conversation(Arc<str>),
    /// Not known yet: what was refused waits for as long as the server asks, and everything else until one of it tells.
    Unknown,
}

/// A pause with its scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// For what it holds.
    pub scope: PauseScope,
    /// The limit that was exceeded, if the server named one.
    pub limit: Option<Box<NamedLimit>>,
    /// Why, since when and until when.
    pub closure: Closure,
}

/// With what a server refuses everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// The status.
    pub status: u16,
    /// The error code in the body, if there is one.
    pub code: Option<Box<str>>,
    /// Whether the body is a page of HTML.
    pub is_page: bool,
    /// `ININ-Correlation-Id` of the answer that told so.
    pub correlation_id: Option<Box<str>>,
}

/// Something that is shut because it fails: the organization, or one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Method and path template of the route; `None` for the organization.
    pub route: Option<Box<str>>,
    /// One of several tokens, by its name: everything else goes on.
    pub token: Option<Box<str>>,
    /// Why, since when and until when.
    pub closure: Closure,
    /// What went wrong, if that is known.
    pub problem: Option<Box<str>>,
}

/// The budget of one of several tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStanding {
    /// What it is called.
    pub name: Box<str>,
    /// Its limits; they hold together.
    pub quota: Vec<Believed>,
    /// Requests that may leave at once.
    pub available: u32,
}

/// How a store stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreStanding {
    /// Messages of an earlier run that went on in this one.
    pub recovered: u64,
    /// Messages that it could not give back: they are in its file still, or in the one that was set aside.
    pub unreadable: u64,
    /// Pages of damaged files that could not be read: how many messages they had is unknown.
    pub unreadable_pages: u64,
    /// Where the last damaged file lies that it has replaced.
    pub set_aside: Option<Box<str>>,
    /// Why nothing can be kept for now.
    pub problem: Option<Error>,
}

/// A host's part in a fleet that shares its budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetStanding {
    /// Its name in the fleet.
    pub host: Host,
    /// Hosts that have a lease, by the last answer of the store.
    pub hosts: u32,
    /// Slots of the shortest window that it holds.
    pub share: u32,
    /// What is due of these.
    pub target: u32,
    /// Until when its lease is in force, if it is.
    pub lease_until: Option<Timestamp>,
    /// The store is new, or has forgotten who holds what: until then it hands out nothing.
    pub forgetting_until: Option<Timestamp>,
    /// Hosts have configured different quotas: the lowest counts.
    pub differs: bool,
    /// It sends by its static share, since the store can't be reached.
    pub is_static: bool,
    /// Renewals sent, repetitions included.
    pub renewals: u64,
    /// Why the store does not answer.
    pub problem: Option<Box<str>>,
}

/// A reading of everything but the latencies.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Timestamp,
    /// What happened.
    pub counters: Counters,
    /// How full.
    pub depth: Depth,
    /// The limits in force; they hold together.
    pub quota: Vec<Believed>,
    /// Since when they are.
    pub quota_since: Timestamp,
    /// Each token's part of it, where there are several.
    pub tokens: Vec<TokenStanding>,
    /// Requests that may leave at once.
    pub available: u32,
    /// When the next one may, if none may now and it is known.
    pub next_free: Option<Timestamp>,
    /// A pause by an operator, or after a 429.
    pub pause: Option<Closure>,
    /// All that are in force, each with its scope.
    pub pauses: Vec<Pause>,
    /// An outage of what carries messages, refused credentials, or no token.
    pub outage: Option<Closure>,
    /// What went wrong then, if that is known.
    pub outage_problem: Option<Box<str>>,
    /// With what everybody is refused, if that is the outage.
    pub refusals: Option<Refusals>,
    /// The same with its scope, and routes of calls that are out.
    pub outages: Vec<Outage>,
    /// The fleet that shares the budget, if there is one.
    pub fleet: Option<Box<FleetStanding>>,
    /// How texts merge, if they are to.
    pub joins: Option<Joins>,
    /// The store, if there is one beside memory.
    pub store: Option<StoreStanding>,
}

/// A latency distribution with two significant digits, up to an hour.
///
/// ```
/// use std::time::Duration;
/// use spillway_core::stats::Latency;
///
/// let mut latency = Latency::default();
/// (1..=100).for_each(|ms| latency.record(Duration::from_millis(ms)));
/// assert_eq!(latency.count(), 100);
/// assert!((49.0..=51.0).contains(&latency.quantile_ms(0.5)));
/// ```
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u32>);

impl Latency {
    const MICROS_MAX: u64 = 3_600_000_000;

    /// Counts one.
    pub fn record(&mut self, span: Duration) {
        let recorded = self.0.record(u64::try_from(span.as_micros()).unwrap_or(u64::MAX).min(Self::MICROS_MAX));
        debug_assert!(recorded.is_ok(), "a histogram that grows takes any value");
    }

    /// Milliseconds below which the share `quantile` (0 to 1) lies.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// The largest, in milliseconds.
    pub fn max_ms(&self) -> f64 {
        self.0.max() as f64 / 1_000.0
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }
}

impl Default for Latency {
    fn default() -> Self {
        // It grows with the largest value: at its full size it would be most of what an idle sender costs.
        Self(Histogram::new(2).unwrap_or_else(|_| unreachable!("two digits are allowed")))
    }
}

/// The latencies of delivered messages.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// From acceptance to the start of the request that delivered.
    pub queued: Latency,
    /// From that start to its answer.
    pub request: Latency,
    /// Both.
    pub total: Latency,
}
