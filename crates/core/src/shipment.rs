//! What the dispatcher hands to the wire.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

/// The largest answer to a message that is kept; a `request()` sets its own limit.
pub const MESSAGE_RESPONSE_BYTES_MAX: usize = 65_536;

/// One request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Shipment {
    /// Upper-case method.
    pub method: Cow<'static, str>,
    /// Path and query.
    pub path: String,
    /// Extra headers.
    pub headers: Vec<(String, String)>,
    /// Sent as JSON unless `headers` says otherwise.
    pub body: Option<Bytes>,
    /// The message's id, so that a server that knows how can recognize a repeat.
    pub idempotency_key: Option<Box<str>>,
    /// From sending to the last byte of the answer.
    pub timeout: Duration,
    /// The largest response body that is read.
    pub response_bytes_max: usize,
    /// Whether the answer's headers are wanted.
    pub keep_headers: bool,
    /// How many messages it carries; none for a `request()`.
    pub messages: u32,
}
