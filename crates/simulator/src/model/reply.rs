//! What a server does about a request.

use crate::headers::Headers;

/// How long a request is under way, both parts drawn when it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Travel {
    /// Microseconds from its sending until the server counts it.
    pub arrival_us: u64,
    /// Microseconds from then until the client has the answer, without [`Reply::delay_us`].
    pub answer_us: u64,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It stays, and the answer is sent.
    None,
    /// It is reset; the request was not accepted, nor counted.
    Before,
    /// It is closed without a byte of an answer; the request was accepted.
    After,
    /// It gets bytes that aren't HTTP, and is closed; the request was accepted.
    Garbage,
}

/// An answer; one that is cut has status 0, no headers and no body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// When the request was counted, in microseconds since the start.
    pub arrived_us: u64,
    /// The status, 200 to 599.
    pub status: u16,
    /// The headers, names in lower case; `content-type` and `content-length` are left to the transport.
    pub headers: Headers,
    /// The body, JSON.
    pub body: String,
    /// How much later than usual the answer comes, in microseconds.
    pub delay_us: u64,
    /// What becomes of the connection.
    pub cut: Cut,
}

impl Reply {
    pub(super) fn json(arrived_us: u64, status: u16, body: String) -> Self {
        Self { arrived_us, status, headers: Headers::new(), body, delay_us: 0, cut: Cut::None }
    }

    pub(super) fn cut(arrived_us: u64, cut: Cut) -> Self {
        Self { arrived_us, status: 0, headers: Headers::new(), body: String::new(), delay_us: 0, cut }
    }
}
