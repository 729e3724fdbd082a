//! Any other API call, and what it says about its own retries.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;

/// Any other API call inside the same budget.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method, as it goes on the wire.
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
    /// Whether a repeat after an unknown outcome is harmless, if the caller says so. Decides before the method does.
    pub idempotent: Option<bool>,
    /// Its own bounds.
    pub limits: CallLimits,
}

/// The bounds that a call sets for itself. Where it sets none, the sender's hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallLimits {
    /// Attempts, the first included.
    pub max_attempts: Option<NonZeroU32>,
    /// How long after its first attempt it may be tried again.
    pub max_age: Option<Duration>,
    /// When it ends, wherever it is by then: in the queue, between two attempts, or on the wire.
    pub deadline: Option<Timestamp>,
}

impl Call {
    /// Whether it may be repeated after an unknown outcome: by the caller's word, or by HTTP's own rules (RFC 9110,
    /// 9.2.2).
    /// `None` leaves it to the sender's settings.
    pub fn is_repeatable(&self) -> Option<bool> {
        let by_method = matches!(&*self.method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS").then_some(true);
        self.idempotent.or(by_method)
    }
}
