//! Numbers about an engine, as `stats()` shows them.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::quota::Believed;

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
}

/// What keeps everything from being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closure {
    /// Why, in a word.
    pub reason: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// Until when; none while a probe is on its way.
    pub until: Option<Timestamp>,
}

impl Closure {
    /// Whether its time has passed.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// How a store stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreStanding {
    /// Messages of an earlier run that went on in this one.
    pub recovered: u64,
    /// Messages that it could not give back: they are in its file still, or in the one that was set aside.
    pub unreadable: u64,
    /// Where the last damaged file lies that it has replaced.
    pub set_aside: Option<Box<str>>,
    /// Why nothing can be kept for now.
    pub problem: Option<Error>,
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
    /// Requests that may leave at once.
    pub available: u32,
    /// When the next one may, if none may now and it is known.
    pub next_free: Option<Timestamp>,
    /// A pause after 429.
    pub pause: Option<Closure>,
    /// An outage, or refused credentials.
    pub outage: Option<Closure>,
    /// The store, if there is one beside memory.
    pub store: Option<StoreStanding>,
}

/// A latency distribution with two significant digits, up to an hour.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u32>);

impl Latency {
    const MICROS_MAX: u64 = 3_600_000_000;

    /// Counts one.
    pub fn record(&mut self, span: Duration) {
        self.0.saturating_record(u64::try_from(span.as_micros()).unwrap_or(u64::MAX).min(Self::MICROS_MAX));
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
        let histogram = Histogram::new_with_max(Self::MICROS_MAX, 2);
        // The bounds are constants that the library accepts; one without bounds is the same, only larger.
        Self(histogram.or_else(|_| Histogram::new(2)).unwrap_or_else(|_| unreachable!("two digits are allowed")))
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
