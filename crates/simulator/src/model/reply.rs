//! What a server does about a request.

use crate::answer;
use crate::config::{FixedAnswer, Outage, OutageKind};
use crate::headers::Headers;

/// How long a request waits that gets no answer: longer than any client.
const HANG_US: u64 = 48 * 3_600_000_000;

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
    /// The headers, names in lower case; `content-length` is left to the transport, and so is `content-type` when the
    /// body is JSON as usual.
    pub headers: Headers,
    /// The body.
    pub body: String,
    /// How much later than usual the answer comes, in microseconds.
    pub delay_us: u64,
    /// What becomes of the connection.
    pub cut: Cut,
    /// Whether the request took effect, whatever the answer says.
    pub accepted: bool,
}

impl Reply {
    pub(super) fn json(arrived_us: u64, status: u16, body: String) -> Self {
        Self { arrived_us, status, headers: Headers::new(), body, delay_us: 0, cut: Cut::None, accepted: false }
    }

    /// What an outage does about a request that takes no effect; `error`: the body of a status, unless one is laid
    /// down.
    pub(super) fn of_outage(arrived_us: u64, outage: &Outage, error: impl Fn(u16) -> String) -> Self {
        let status = outage.answer.status.unwrap_or(503);
        let mut reply = match outage.kind {
            OutageKind::Refused | OutageKind::Reset | OutageKind::Tls => return Self::cut(arrived_us, Cut::Before),
            OutageKind::Status => Self::json(arrived_us, status, error(status)),
            OutageKind::Html => Self::page(arrived_us, status),
            OutageKind::Hang => Self { delay_us: HANG_US, ..Self::json(arrived_us, status, error(status)) },
        };
        reply.change(&outage.answer);
        reply
    }

    fn page(arrived_us: u64, status: u16) -> Self {
        let headers = vec![("content-type".into(), "text/html".to_owned())];
        Self { headers, ..Self::json(arrived_us, status, answer::page(status)) }
    }

    /// Another answer in its place, as far as one is laid down.
    pub(super) fn change(&mut self, answer: &FixedAnswer) {
        if let Some(body) = &answer.body {
            self.body.clone_from(body);
        }
        for (name, value) in &answer.headers {
            self.headers.retain(|(own, _)| own != name);
            self.headers.push((name.clone().into(), value.clone()));
        }
    }

    pub(super) fn cut(arrived_us: u64, cut: Cut) -> Self {
        Self { arrived_us, status: 0, headers: Headers::new(), body: String::new(), delay_us: 0, cut, accepted: false }
    }
}
