//! What the dispatcher hands to the wire.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;

use crate::token::TokenId;

/// The largest answer to a message that is kept; a `request()` sets its own limit.
pub const MESSAGE_RESPONSE_BYTES_MAX: usize = 65_536;

/// One request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Shipment {
    /// The token that it shows.
    pub token: TokenId,
    /// Upper-case method.
    pub method: Cow<'static, str>,
    /// Path and query.
    pub path: String,
    /// Extra headers.
    pub headers: Vec<(String, String)>,
    /// Sent as JSON unless `headers` says otherwise.
    pub body: Option<Bytes>,
    /// The message's id, so that a server that knows how can recognize a repeat.
    pub idempotency_key: Option<Key>,
    /// From sending to the last byte of the answer.
    pub timeout: Duration,
    /// The largest response body that is read.
    pub response_bytes_max: usize,
    /// Whether the answer's headers are wanted.
    pub keep_headers: bool,
    /// How many messages it carries; none for a `request()`.
    pub messages: u32,
}

/// An idempotency key. That of a single message is its id, and shares the message's bytes.
///
/// ```
/// use spillway_core::message::{Message, Parts};
/// use spillway_core::shipment::Key;
///
/// let message = Message::new(Parts { id: "m-1", body: "{}", ..Parts::default() }).expect("the texts fit");
/// let (id, body) = message.shared();
/// assert_eq!((&*id, &*body), ("m-1", &b"{}"[..]));
/// assert_eq!(id, Key::from(Box::from("m-1")));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Bytes);

impl Key {
    /// Bytes that a text shares.
    pub(crate) fn of_text(bytes: Bytes) -> Self {
        debug_assert!(std::str::from_utf8(&bytes).is_ok(), "it is a part of a text");
        Self(bytes)
    }

    /// Its bytes, not copied.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<Box<str>> for Key {
    fn from(key: Box<str>) -> Self {
        Self(Bytes::from(Box::<[u8]>::from(key)))
    }
}

impl Deref for Key {
    type Target = str;

    fn deref(&self) -> &str {
        match std::str::from_utf8(&self.0) {
            Ok(key) => key,
            Err(_) => unreachable!("a key is made of texts"),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}
