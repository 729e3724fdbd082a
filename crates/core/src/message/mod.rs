//! What callers hand over: messages of conversations, and other API requests.

mod packed;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

pub use self::packed::{Message, Parts, Unfit};
use crate::clock::Timestamp;

/// Who waits for an answer: a handle of the engine and the number that this handle gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// The handle.
    pub handle: u32,
    /// The handle's own number; as JavaScript counts them, up to 2^53.
    pub number: u64,
}

/// When a ticket's promise settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// As soon as the message is accepted (`enqueue`, `redrive`).
    OnAcceptance,
    /// With the receipt or the failure (`send`, `request`).
    OnOutcome,
}

/// Values for the route's placeholders, beside `conversationId`.
pub type Params = BTreeMap<String, String>;

/// Higher goes first; 0 is the default.
pub type Priority = i8;

/// Any other API call inside the same budget.
#[derive(Clone, Debug)]
pub struct Call {
    /// Upper-case method.
    pub method: Box<str>,
    /// Path and query, percent-encoded.
    pub path: Box<str>,
    /// Extra headers.
    pub headers: Vec<(String, String)>,
    /// The body, if any.
    pub body: Option<Bytes>,
    /// Overrides `connections.requestTimeoutMs`.
    pub timeout: Option<Duration>,
    /// The largest response body that is read.
    pub response_bytes_max: usize,
    /// The answer is wanted as it is: its body as bytes, and whatever its status.
    pub raw: bool,
}

impl Call {
    /// Whether a repeat after an unknown outcome is harmless by HTTP's own rules (RFC 9110, 9.2.2).
    pub fn idempotent(&self) -> bool {
        matches!(&*self.method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS")
    }
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub enum Cargo {
    /// A message of a conversation.
    Message(Message),
    /// Any other API call.
    Call(Box<Call>),
}

impl Cargo {
    /// Bytes that count against `queue.maxBytes`: those of the serialised body.
    pub fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.body().len(),
            Self::Call(call) => call.body.as_ref().map_or(0, Bytes::len),
        }
    }

    /// Whether there is no body.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both are one message: its texts, and not only its id.
    pub fn is_same_message(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Message(one), Self::Message(other)) if one == other)
    }

    /// The message's id.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Message(message) => Some(message.id()),
            Self::Call(_) => None,
        }
    }
}

/// A message or request on its way into the outbox.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Who waits for it.
    pub ticket: Ticket,
    /// When the promise settles.
    pub settle: Settle,
    /// What is to be sent.
    pub cargo: Cargo,
    /// Higher goes first.
    pub priority: Priority,
    /// Given up, unless it is on the wire, at this time.
    pub expires_at: Option<Timestamp>,
    /// Not sent before this time.
    pub not_before: Option<Timestamp>,
}
