//! The delivery table: from what came back to what it means.

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
    },
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx.
    Delivered,
    /// 429: the organisation pauses, the message keeps its place.
    Throttled,
    /// 401: the token is at fault, not the message.
    Unauthorised,
    /// The server or the way to it is at fault: backoff, an attempt is spent.
    Transient,
    /// Nobody knows whether it was delivered.
    Ambiguous,
    /// The message is at fault.
    Rejected,
}

/// The table of the design.
pub fn classify(answer: &Answer) -> Verdict {
    match answer {
        Answer::Unsent { .. } => Verdict::Transient,
        Answer::Unanswered { .. } => Verdict::Ambiguous,
        Answer::Answered { response, .. } | Answer::TooLarge { response, .. } => match response.status {
            200..=299 => Verdict::Delivered,
            429 => Verdict::Throttled,
            401 => Verdict::Unauthorised,
            408 | 500 | 502 | 503 | 504 => Verdict::Transient,
            _ => Verdict::Rejected,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        for (status, verdict) in [
            (200, Verdict::Delivered),
            (202, Verdict::Delivered),
            (299, Verdict::Delivered),
            (301, Verdict::Rejected),
            (400, Verdict::Rejected),
            (401, Verdict::Unauthorised),
            (403, Verdict::Rejected),
            (404, Verdict::Rejected),
            (408, Verdict::Transient),
            (413, Verdict::Rejected),
            (429, Verdict::Throttled),
            (500, Verdict::Transient),
            (501, Verdict::Rejected),
            (502, Verdict::Transient),
            (503, Verdict::Transient),
            (504, Verdict::Transient),
            (505, Verdict::Rejected),
            (999, Verdict::Rejected),
        ] {
            let response = Response { status, ..Response::default() };
            assert_eq!(classify(&Answer::Answered { response, evidence: Evidence::default() }), verdict, "{status}");
        }
    }
}
