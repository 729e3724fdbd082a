//! The delivery table: from what came back to what it means.

use std::time::Duration;

use crate::evidence::Evidence;
use crate::outcome::Response;

/// What came back for a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The server answered.
    Answered {
        /// The answer.
        response: Response,
        /// What it tells about the limit.
        evidence: Evidence,
    },
    /// The request never reached the server (refused, no route, DNS, TLS): sending it again is safe.
    Unsent {
        /// What went wrong, without URL.
        problem: String,
    },
    /// The request was sent, and no answer came: the server may have processed it.
    Unanswered {
        /// What went wrong, without URL.
        problem: String,
    },
    /// The answer is larger than the caller allowed; its status is known.
    TooLarge {
        /// Status and headers.
        response: Response,
        /// What it tells about the limit.
        evidence: Evidence,
        /// What else than its own length was too much.
        problem: Option<&'static str>,
    },
}

/// What an answer means.
///
/// ```
/// use spillway_core::retry::{Answer, Verdict, classify};
///
/// let unsent = Answer::Unsent { problem: "connection refused".to_owned() };
/// assert_eq!(classify(&unsent), Verdict::Transient, "it has not arrived, so it may be sent again");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx.
    Delivered,
    /// 429: the organization pauses, the message keeps its place.
    Throttled,
    /// 401: the token is at fault, not the message.
    Unauthorized,
    /// It was not processed: the server refused it beforehand, or it never got there. Backoff; always safe to repeat.
    Transient,
    /// The server may have processed it: no answer came, or one that leaves it open.
    Ambiguous,
    /// The message is at fault.
    Rejected,
}

impl Answer {
    /// The status, if there is one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { response, .. } | Self::TooLarge { response, .. } => Some(response.status),
            Self::Unsent { .. } | Self::Unanswered { .. } => None,
        }
    }

    /// Whether a page of HTML came.
    pub fn is_html_page(&self) -> bool {
        match self {
            Self::Answered { response, .. } | Self::TooLarge { response, .. } => response.is_html_page(),
            Self::Unsent { .. } | Self::Unanswered { .. } => false,
        }
    }

    /// Whether the status is a server error.
    pub fn is_server_error(&self) -> bool {
        self.status().is_some_and(|status| status >= 500)
    }

    /// The wait that `Retry-After` asks for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { evidence, .. } | Self::TooLarge { evidence, .. } => evidence.retry_after,
            Self::Unsent { .. } | Self::Unanswered { .. } => None,
        }
    }
}

/// The table of the design.
///
/// ```
/// use spillway_core::retry::{Answer, Verdict, classify};
///
/// let refused = Answer::Unsent { problem: "connection refused".to_owned() };
/// assert_eq!(classify(&refused), Verdict::Transient, "always safe to repeat");
/// let cut = Answer::Unanswered { problem: "the connection was cut".to_owned() };
/// assert_eq!(classify(&cut), Verdict::Ambiguous, "the server may have processed it");
/// ```
pub fn classify(answer: &Answer) -> Verdict {
    match answer {
        Answer::Unsent { .. } => Verdict::Transient,
        Answer::Unanswered { .. } => Verdict::Ambiguous,
        Answer::Answered { response, .. } | Answer::TooLarge { response, .. } => match response.status {
            200..=299 => Verdict::Delivered,
            429 => Verdict::Throttled,
            401 => Verdict::Unauthorized,
            421 | 425 | 503 => Verdict::Transient,
            300..=400 | 402..=407 | 409..=499 | 501 | 505 => Verdict::Rejected,
            // RFC 9110, 15: an unknown status counts as the first of its class, and one beyond 599 as a server error. A
            // final 1xx was not asked for, and tells as little.
            _ => Verdict::Ambiguous,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the design, as sets.
    #[test]
    fn every_status_has_one_meaning() {
        for status in 100..=999 {
            let expected = match status {
                200..=299 => Verdict::Delivered,
                401 => Verdict::Unauthorized,
                429 => Verdict::Throttled,
                421 | 425 | 503 => Verdict::Transient,
                408 => Verdict::Ambiguous,
                501 | 505 | 300..=499 => Verdict::Rejected,
                _ => Verdict::Ambiguous,
            };
            let response = Response { status, ..Response::default() };
            assert_eq!(classify(&Answer::Answered { response, evidence: Evidence::default() }), expected, "{status}");
        }
    }

    #[test]
    fn statuses() {
        for (status, verdict) in [
            (200, Verdict::Delivered),
            (202, Verdict::Delivered),
            (299, Verdict::Delivered),
            (301, Verdict::Rejected),
            (400, Verdict::Rejected),
            (401, Verdict::Unauthorized),
            (403, Verdict::Rejected),
            (404, Verdict::Rejected),
            (408, Verdict::Ambiguous),
            (409, Verdict::Rejected),
            (421, Verdict::Transient),
            (422, Verdict::Rejected),
            (425, Verdict::Transient),
            (499, Verdict::Rejected),
            (413, Verdict::Rejected),
            (429, Verdict::Throttled),
            (500, Verdict::Ambiguous),
            (501, Verdict::Rejected),
            (502, Verdict::Ambiguous),
            (503, Verdict::Transient),
            (504, Verdict::Ambiguous),
            (505, Verdict::Rejected),
            (506, Verdict::Ambiguous),
            (511, Verdict::Ambiguous),
            (520, Verdict::Ambiguous),
            (530, Verdict::Ambiguous),
            (599, Verdict::Ambiguous),
            (600, Verdict::Ambiguous),
            (999, Verdict::Ambiguous),
            (101, Verdict::Ambiguous),
            (199, Verdict::Ambiguous),
        ] {
            let response = Response { status, ..Response::default() };
            assert_eq!(classify(&Answer::Answered { response, evidence: Evidence::default() }), verdict, "{status}");
        }
    }
}
