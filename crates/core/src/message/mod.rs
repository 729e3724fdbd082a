//! What callers hand over: messages of conversations, and other API requests.

mod call;
mod packed;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use self::call::{Call, CallLimits};
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

/// What is to be sent.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A message of a conversation.
    Message(Message),
    /// Any other API call.
    Call(Box<Call>),
}

impl Payload {
    /// Bytes that count against `queue.maxBytes`: those of the serialized body.
    pub fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.body().len(),
            Self::Call(call) => call.body.as_ref().map_or(0, Bytes::len),
        }
    }

    /// When a call ends, wherever it is by then. Messages have no such time.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Message(_) => None,
            Self::Call(call) => call.limits.deadline,
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
///
/// ```
/// use std::time::Duration;
/// use spillway_core::clock::Timestamp;
/// use spillway_core::message::{Call, CallLimits, Message, Parts, Payload, Settle, Submission, Ticket};
///
/// let parts = Parts { id: "m-1", id_given: true, conversation: "c-1", body: r#"{"text":"Hi"}"#, ..Parts::default() };
/// let message = Payload::Message(Message::new(parts).expect("its texts are short enough"));
/// assert_eq!((message.id(), message.len()), (Some("m-1"), 13));
///
/// let call = Call {
///     method: "POST".into(),
///     path: "/api/v2/users/search".into(),
///     headers: Vec::new(),
///     body: None,
///     timeout: None,
///     response_bytes_max: 65_536,
///     raw: false,
///     idempotent: Some(true),
///     limits: CallLimits { deadline: Some(Timestamp::from_micros(5_000_000)), ..CallLimits::default() },
/// };
/// assert_eq!(call.is_repeatable(), Some(true), "a POST isn't, unless its caller says so");
///
/// let submission = Submission {
///     ticket: Ticket { handle: 1, number: 1 },
///     settle: Settle::OnOutcome,
///     payload: Payload::Call(Box::new(call)),
///     priority: 0,
///     expires_at: Some(Timestamp::START.after(Duration::from_secs(60))),
///     not_before: None,
/// };
/// assert_eq!(submission.waits_until(), Some(Timestamp::from_micros(5_000_000)), "the earlier of the two");
/// ```
#[derive(Clone, Debug)]
pub struct Submission {
    /// Who waits for it.
    pub ticket: Ticket,
    /// When the promise settles.
    pub settle: Settle,
    /// What is to be sent.
    pub payload: Payload,
    /// Higher goes first.
    pub priority: Priority,
    /// Given up, unless it is on the wire, at this time.
    pub expires_at: Option<Timestamp>,
    /// Not sent before this time.
    pub not_before: Option<Timestamp>,
}

impl Submission {
    /// The earlier of the times at which it no longer waits.
    pub fn waits_until(&self) -> Option<Timestamp> {
        [self.expires_at, self.payload.deadline()].into_iter().flatten().min()
    }
}
