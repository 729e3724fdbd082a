//! Where completions go: the other side of a handle.

use std::time::Duration;

use reqwest::header::HeaderValue;

use crate::batcher::first_of;
use crate::clock::{Clock, Timestamp};
use crate::dispatcher::{Backlog, Explanation, Notice};
use crate::error::Error;
use crate::http::TokenAnswer;
use crate::outcome::{CallAnswer, DeadLetter, DeliveryFailure, Receipt, Redriven};
use crate::shipment::Shipment;

/// One thing to tell a handle.
#[derive(Debug)]
pub enum Completion {
    /// An `enqueue` or `redrive`.
    Accepted {
        /// Whose promise.
        ticket: u64,
        /// The message's id.
        id: Box<str>,
        /// Whether it was known.
        duplicate: bool,
    },
    /// A `send`.
    Delivered(u64, Receipt),
    /// A `request`.
    Answered(u64, CallAnswer),
    /// Refused, whatever it was.
    Failed(u64, Error),
    /// An operation without a value.
    Done(u64),
    /// A `redrive` of many, with what became of them.
    Redriven(u64, Redriven),
    /// A `close`, with what is left.
    Closed(u64, usize),
    /// The engine can take messages; with how many of an earlier run go on.
    Ready(u64, u64),
    /// An `explain`, with the message's id.
    Explained(u64, Box<str>, Box<Explanation>),
    /// A page of dead letters.
    Letters(u64, LettersPage),
    /// What waits longest, what is on the wire, and the dead letters by reason.
    Backlog(u64, Box<Backlog>),
    /// The caller's `accessToken` function is to be called.
    TokenWanted(u64),
    /// An event that the handle listens to.
    Event(Happening),
    /// The engine has failed, and answers nothing more.
    Broken,
    /// The engine has failed and goes on. Of the handle's tickets up to the first number only the others still wait:
    /// nobody answers the rest.
    Survived(u64, Vec<u64>),
}

/// A page of dead letters that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct LettersWanted {
    /// Those behind this number.
    pub after: u64,
    /// Those up to this number; none for the first page of a reading, which ends at the newest that there is then.
    pub until: Option<u64>,
    /// The most letters of a page.
    pub limit: usize,
}

/// A page of dead letters.
#[derive(Debug)]
pub struct LettersPage {
    /// With their numbers.
    pub letters: Vec<(u64, DeadLetter)>,
    /// The number at which this reading ends.
    pub until: u64,
    /// Whether there are more before it.
    pub more: bool,
}

/// An event of the sender's.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A receipt.
    Delivered(Receipt),
    /// A message of this conversation was given up, and when.
    DeadLetter(Box<str>, DeliveryFailure, Timestamp),
    /// A request came to its end.
    Request(Box<RequestEnd>),
    /// Pauses, outages, an empty outbox.
    Notice(Notice),
}

/// A request that came to its end, whatever the end is.
#[derive(Clone, Debug)]
pub struct RequestEnd {
    /// Upper-case method.
    pub method: Box<str>,
    /// Path and query.
    pub path: String,
    /// How many messages it carried; none for a `request()`.
    pub messages: u32,
    /// The id of its first message.
    pub message_id: Option<Box<str>>,
    /// When it was sent.
    pub started_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The answer's status, if one came.
    pub status: Option<u16>,
    /// `ININ-Correlation-Id`.
    pub correlation_id: Option<String>,
    /// What went wrong below HTTP.
    pub problem: Option<String>,
}

/// The events that a handle wants, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest(u8);

impl Interest {
    const NAMES: [&'static str; 8] =
        ["delivered", "deadLetter", "throttled", "resumed", "quota", "outage", "drain", "request"];

    /// By the events' names; unknown ones are nothing.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let bit = |name| Self::NAMES.iter().position(|known| *known == name).map_or(0, |index| 1 << index);
        Self(names.into_iter().map(bit).fold(0, |bits, bit| bits | bit))
    }

    /// Whether it has the event of this name.
    pub fn has(self, name: &str) -> bool {
        // Most have none, and needn't look for the name.
        self.0 != 0 && self.0 & Self::of([name]).0 != 0
    }

    /// Both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Happening {
    /// The event's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delivered(_) => "delivered",
            Self::DeadLetter(..) => "deadLetter",
            Self::Request(_) => "request",
            Self::Notice(Notice::Throttled { .. } | Notice::Paused { .. }) => "throttled",
            Self::Notice(Notice::Resumed { .. }) => "resumed",
            Self::Notice(Notice::Outage { .. } | Notice::TokenOutage { .. }) => "outage",
            Self::Notice(Notice::Quota { .. }) => "quota",
            Self::Notice(Notice::Empty) => "drain",
        }
    }
}

/// Takes completions; called on the engine's thread, once for many.
pub trait Sink: Send + Sync {
    /// Must neither block nor panic.
    fn complete(&self, completions: Vec<Completion>, clock: &Clock);
}

/// The caller's answer to [`Completion::TokenWanted`].
#[derive(Debug)]
pub enum GivenToken {
    /// The token as a header.
    Token(HeaderValue, Option<Duration>),
    /// What it gave is none, and why.
    Refused(String),
    /// It threw: another call may give one.
    Failed(String),
}

impl GivenToken {
    /// A token as the caller's function gave it.
    pub fn of(token: &str) -> Self {
        match TokenAnswer::given(token) {
            TokenAnswer::Granted { header, lifetime } => Self::Token(header, lifetime),
            TokenAnswer::Refused(problem) | TokenAnswer::Failed { problem, .. } => Self::Refused(problem),
        }
    }
}

impl RequestEnd {
    /// What is known at the start.
    pub(super) fn of(shipment: &Shipment, started_at: Timestamp) -> Self {
        Self {
            method: (*shipment.method).into(),
            path: shipment.path.clone(),
            messages: shipment.messages,
            message_id: shipment.idempotency_key.as_deref().map(|key| first_of(key, shipment.messages).into()),
            started_at,
            took: Duration::ZERO,
            status: None,
            correlation_id: None,
            problem: None,
        }
    }
}
