//! The two ends of a message: a receipt, or a failure that is kept as a dead letter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::message::{Cargo, Priority};

/// What a server answered: status, bounded body, and the headers that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The body as received; see `truncated`.
    pub body: Bytes,
    /// The body was longer than its limit, or was cut: `body` isn't the whole.
    pub truncated: bool,
    /// All headers with lower-case names; for `request()` only.
    pub headers: Vec<(String, String)>,
    /// `ININ-Correlation-Id`: what Genesys support asks for.
    pub correlation_id: Option<String>,
}

/// A delivered message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message's id.
    pub id: Box<str>,
    /// Its conversation, by the name that its lane has.
    pub conversation: Arc<str>,
    /// The server's answer.
    pub response: Response,
    /// Requests that were made for it and that count as attempts; 429 and 401 don't.
    pub attempts: u32,
    /// Messages in the request that delivered it.
    pub batch_size: u32,
    /// From acceptance to the start of the request that delivered it.
    pub queued: Duration,
    /// An earlier message with this id was delivered; this is what is remembered of it (no body).
    pub duplicate: bool,
}

/// Why a message became a dead letter, or a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The server refused it for good.
    Rejected,
    /// `maxAttempts` or `maxAgeMs` is used up.
    Exhausted,
    /// It was sent, no answer came, and `retry.ambiguous` is `fail`.
    Ambiguous,
    /// `expiresInMs` passed before it could be sent.
    Expired,
    /// The caller withdrew it.
    Aborted,
    /// The answer is larger than `maxResponseBytes`.
    ResponseTooLarge,
}

impl Reason {
    /// The error code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Rejected => "DELIVERY_REJECTED",
            Self::Exhausted => "DELIVERY_EXHAUSTED",
            Self::Ambiguous => "DELIVERY_AMBIGUOUS",
            Self::Expired => "EXPIRED",
            Self::Aborted => "DELIVERY_ABORTED",
            Self::ResponseTooLarge => "DELIVERY_RESPONSE_TOO_LARGE",
        }
    }

    /// The word in a dead letter's `reason`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Exhausted => "exhausted",
            Self::Ambiguous => "ambiguous",
            Self::Expired => "expired",
            Self::Aborted => "aborted",
            Self::ResponseTooLarge => "response-too-large",
        }
    }
}

/// An end without a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryFailure {
    /// Why.
    pub reason: Reason,
    /// The message's id; none for a `request()`.
    pub id: Option<Box<str>>,
    /// The last answer, if there was one.
    pub response: Option<Response>,
    /// Attempts made.
    pub attempts: u32,
    /// Whether the server may have processed it all the same.
    pub ambiguous: bool,
    /// What went wrong below HTTP, without URL, secret or text.
    pub problem: Option<String>,
}

impl fmt::Display for DeliveryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.id.is_some() { "the message" } else { "the request" };
        match self.reason {
            Reason::Rejected if self.response.is_none() => write!(f, "{what} can't be sent")?,
            Reason::Rejected => write!(f, "the server refused {what}")?,
            Reason::Exhausted => write!(f, "{what} failed after {} attempts", self.attempts)?,
            Reason::Ambiguous => write!(f, "{what} was sent but not answered, so its outcome is unknown")?,
            Reason::Expired => write!(f, "{what} expired before it could be sent")?,
            Reason::Aborted => write!(f, "{what} was withdrawn by its caller")?,
            Reason::ResponseTooLarge => write!(f, "the response to {what} is larger than allowed")?,
        }
        if let Some(response) = &self.response {
            write!(f, " (status {})", response.status)?;
        }
        match &self.problem {
            Some(problem) => write!(f, ": {problem}"),
            None => Ok(()),
        }
    }
}

/// A message that was given up: kept, and able to be sent again.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The message or, never kept, a request.
    pub cargo: Cargo,
    /// Its priority.
    pub priority: Priority,
    /// Why it was given up.
    pub failure: DeliveryFailure,
    /// When.
    pub at: crate::clock::Timestamp,
}

/// The answer to a `request()`.
#[derive(Clone, Debug)]
pub struct CallAnswer {
    /// Status, headers, body.
    pub response: Response,
    /// Attempts made.
    pub attempts: u32,
    /// The body is wanted as bytes.
    pub raw: bool,
}
