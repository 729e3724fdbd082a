//! What Spillway refuses and why: one type, a stable code each.

use std::io;

use thiserror::Error;

use crate::message::Unfit;
use crate::outcome::DeliveryFailure;
use crate::shortage::Shortage;
use crate::totals::Amount;

/// An error that reaches the caller. `Display` names the field, the value and what is allowed; never a secret or a
/// text.
///
/// ```
/// use spillway_core::error::{Error, StoreErrorKind};
/// use spillway_core::settings::Settings;
///
/// let options = r#"{ "organization": "acme", "region": "us-east-9" }"#;
/// let Err(error) = Settings::from_json(options) else { panic!("there is no such region") };
/// assert_eq!(error.code(), "CONFIG_INVALID");
/// assert!(error.to_string().starts_with("region "), "{error}");
///
/// let full = Error::Store { kind: StoreErrorKind::Full, problem: "/var/outbox.db has no space left".to_owned() };
/// assert_eq!(full.code(), "STORE_FULL");
/// ```
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Error {
    /// An option is wrong.
    #[error("{field} {problem}")]
    Config {
        /// The option, as a path: `retry.maxAttempts`.
        field: String,
        /// What is allowed and what was given.
        problem: String,
    },
    /// A second sender of the organization asks for another setting than the engine runs with.
    #[error(
        "{field} is {wanted} here, but the running engine of organization {organization:?} has {running}: senders of one \
         organization share one engine, so their options must be equal"
    )]
    Conflict {
        /// The option that differs.
        field: String,
        /// The organization.
        organization: String,
        /// The value that the new sender asked for.
        wanted: String,
        /// The value in force.
        running: String,
    },
    /// A message or request can't be sent as it is.
    #[error("{field} {problem}")]
    MessageInvalid {
        /// The field of the message.
        field: String,
        /// What is allowed and what was given.
        problem: String,
    },
    /// The outbox has no room, and `whenFull` is `reject` (or the waiting room is full, too).
    #[error("the queue is full: {messages} messages and {bytes} bytes of at most {messages_max} and {bytes_max}")]
    QueueFull {
        /// Messages in the outbox.
        messages: usize,
        /// Bytes of their bodies.
        bytes: usize,
        /// The limit on messages.
        messages_max: usize,
        /// The limit on bytes.
        bytes_max: usize,
    },
    /// The outboxes of all organizations of the process together have no room.
    #[error(
        "the queues of all organizations of this process are full: {} messages and {} bytes in memory, of at most {} and {}",
        held.count, held.bytes, max.count, max.bytes
    )]
    ProcessFull {
        /// What they hold.
        held: Amount,
        /// What they may hold.
        max: Amount,
    },
    /// A message or request ended without a receipt.
    #[error("{0}")]
    Delivery(Box<DeliveryFailure>),
    /// The credentials were refused. Messages stay in the outbox.
    #[error("{problem}")]
    Auth {
        /// What the login or API host said, and what becomes of the message.
        problem: String,
        /// The message whose promise this error settles.
        message_id: Option<String>,
    },
    /// The sender is closed, or closing.
    #[error("the sender is closed")]
    Closed,
    /// No message or dead letter has this id.
    #[error("no {what} has the id {id:?}")]
    NotFound {
        /// `message` or `dead letter`.
        what: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// `drain` ran into its `timeoutMs`.
    #[error("{undelivered} messages were not settled within {timeout_ms} ms")]
    DrainTimeout {
        /// The messages that were accepted before the call and are not settled.
        undelivered: usize,
        /// The timeout, in milliseconds.
        timeout_ms: u64,
    },
    /// The store can't be opened, read or written.
    #[error("{problem}")]
    Store {
        /// What kind of error it is.
        kind: StoreErrorKind,
        /// What happened, with the path, and what to do about it.
        problem: String,
    },
    /// The system has run out of something: descriptors, threads, memory. The same call works once some are free again.
    #[error("{problem}")]
    Resources {
        /// What could not be done, for want of what.
        problem: String,
    },
}

/// What can be wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// Another owner has it, or has had it since.
    Locked,
    /// It has no space left.
    Full,
    /// It takes no writes.
    ReadOnly,
    /// It isn't where it should be, or is no longer.
    Missing,
    /// What is in it makes no sense.
    Corrupt,
    /// It was written by a newer version.
    Version,
    /// It belongs to another organization, or is something else than an outbox.
    Mismatch,
    /// Anything else, such as an I/O error.
    Failed,
}

impl StoreErrorKind {
    /// The error code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Locked => "STORE_LOCKED",
            Self::Full => "STORE_FULL",
            Self::ReadOnly => "STORE_READ_ONLY",
            Self::Missing => "STORE_MISSING",
            Self::Corrupt => "STORE_CORRUPT",
            Self::Version => "STORE_VERSION",
            Self::Mismatch => "STORE_MISMATCH",
            Self::Failed => "STORE_FAILED",
        }
    }
}

impl Error {
    /// A wrong option.
    pub fn config(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { field: field.into(), problem: problem.into() }
    }

    /// The system could not do `what`.
    pub fn resources(what: &str, error: &io::Error) -> Self {
        let shortage = Shortage::of(error).map_or_else(String::new, |shortage| format!("; {}", shortage.advice()));
        Self::Resources { problem: format!("could not {what}: {error}{shortage}") }
    }

    /// A wrong message.
    pub fn message(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::MessageInvalid { field: field.into(), problem: problem.into() }
    }

    /// The stable code: part of the public API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "CONFIG_INVALID",
            Self::Conflict { .. } => "CONFIG_CONFLICT",
            Self::MessageInvalid { .. } => "MESSAGE_INVALID",
            Self::QueueFull { .. } | Self::ProcessFull { .. } => "QUEUE_FULL",
            Self::Delivery(failure) => failure.reason.code(),
            Self::Auth { .. } => "AUTH_REJECTED",
            Self::Closed => "CLOSED",
            Self::NotFound { .. } => "NOT_FOUND",
            Self::DrainTimeout { .. } => "DRAIN_TIMEOUT",
            Self::Store { kind, .. } => kind.code(),
            Self::Resources { .. } => "RESOURCES_EXHAUSTED",
        }
    }
}

impl From<Unfit> for Error {
    fn from(Unfit { field, rule }: Unfit) -> Self {
        Self::message(field, rule)
    }
}
