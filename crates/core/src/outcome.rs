//! The two ends of a message: a receipt, or a failure that is kept as a dead letter.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::message::{Message, Payload, Priority};
use crate::text::without_bom;

/// So much of a body is searched for the beginning of a page: comments may stand in front of it.
const HTML_SEARCHED: usize = 1_024;

/// What a server answered: status, bounded body, and the headers that matter.
///
/// ```
/// use spillway_core::outcome::Response;
///
/// let response = Response { status: 202, ..Response::default() };
/// assert!(response.is_success() && !response.is_html_page());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The status line's words, decoded as Latin-1; for `request()` only.
    pub status_text: Cow<'static, str>,
    /// The body as received; see `truncated`.
    pub body: Bytes,
    /// The body was longer than its limit, or was cut: `body` isn't the whole.
    pub truncated: bool,
    /// The body has a tag at its beginning, and `Content-Type` says that it is HTML: such a page may be a fragment.
    pub is_html_by_type: bool,
    /// All headers with lower-case names, their values decoded as Latin-1; for `request()` only.
    pub headers: Vec<(String, String)>,
    /// `ININ-Correlation-Id`: what Genesys support asks for.
    pub correlation_id: Option<String>,
}

impl Response {
    /// The body as text or JSON is read from it.
    pub fn text(&self) -> &[u8] {
        without_bom(&self.body)
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the body is a page of HTML: a proxy, a login page or a maintenance page answered in the API's place.
    pub fn is_html_page(&self) -> bool {
        let start = self.text().trim_ascii_start();
        let start = &start[..start.len().min(HTML_SEARCHED)];
        let has = |tag: &[u8]| start.windows(tag.len()).any(|part| part.eq_ignore_ascii_case(tag));
        // JSON begins otherwise, and may quote a page.
        self.is_html_by_type || (start.starts_with(b"<") && (has(b"<html") || has(b"<!doctype html")))
    }
}

/// A delivered message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message, with its id and conversation.
    pub message: Message,
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
///
/// ```
/// use spillway_core::outcome::Reason;
///
/// assert_eq!(Reason::of_letter(Reason::Expired.word()), Some(Reason::Expired));
/// ```
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
    /// The caller canceled it.
    Aborted,
    /// The answer is larger than `maxResponseBytes`.
    ResponseTooLarge,
    /// The deadline of the whole call has passed.
    TimedOut,
    /// A limit is in force for longer than the caller would wait.
    Throttled {
        /// For how long.
        retry_after: Duration,
    },
    /// The store can't read it any more.
    Unreadable,
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
            Self::TimedOut => "DELIVERY_TIMEOUT",
            Self::Throttled { .. } => "DELIVERY_THROTTLED",
            Self::Unreadable => "STORE_CORRUPT",
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
            Self::TimedOut => "timeout",
            Self::Throttled { .. } => "throttled",
            Self::Unreadable => "unreadable",
        }
    }

    /// The one that a dead letter's word stands for.
    pub fn of_letter(word: &str) -> Option<Self> {
        let all =
            [Self::Rejected, Self::Exhausted, Self::Ambiguous, Self::Expired, Self::Aborted, Self::ResponseTooLarge];
        all.into_iter().find(|reason| reason.word() == word)
    }
}

/// What became of the dead letters that a call wanted to be sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// Messages again.
    pub redriven: u64,
    /// Left as letters, since the outbox has no room for them.
    pub full: u64,
    /// Left as letters, since this sender would refuse them: its route has no path for them, or they are larger than
    /// its outbox.
    pub unsendable: u64,
}

/// Which dead letters are meant: those for which everything holds that is given. `T` is the time by which it counts.
///
/// ```
/// use spillway_core::outcome::{DeliveryFailure, LetterFilter, Reason, Response};
///
/// let refused = DeliveryFailure {
///     reason: Reason::Rejected,
///     id: Some("m-1".into()),
///     attempts: 1,
///     ambiguous: false,
///     response: Some(Response { status: 403, ..Response::default() }),
///     problem: None,
/// };
/// let of_that_day = LetterFilter { status: Some(403), since: Some(1_000), ..LetterFilter::ALL };
/// assert!(of_that_day.takes(&refused, 1_500));
/// assert!(!of_that_day.takes(&refused, 900), "given up before");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterFilter<T> {
    /// Given up for this reason.
    pub reason: Option<Reason>,
    /// The last attempt was answered with this status.
    pub status: Option<u16>,
    /// Given up at this time or later.
    pub since: Option<T>,
}

impl<T: PartialOrd> LetterFilter<T> {
    /// Takes every letter.
    pub const ALL: Self = Self { reason: None, status: None, since: None };

    /// Whether it takes every letter.
    pub fn takes_all(&self) -> bool {
        self.reason.is_none() && self.status.is_none() && self.since.is_none()
    }

    /// Whether it takes one that was given up in this way at that time.
    pub fn takes(&self, failure: &DeliveryFailure, at: T) -> bool {
        let status = failure.response.as_ref().map(|response| response.status);
        self.reason.is_none_or(|reason| reason == failure.reason)
            && self.status.is_none_or(|wanted| status == Some(wanted))
            && self.since.as_ref().is_none_or(|since| at >= *since)
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
            Reason::Exhausted if self.attempts == 0 => write!(f, "{what} was not sent because of an outage")?,
            Reason::Exhausted if self.attempts == 1 => write!(f, "{what} failed after 1 attempt")?,
            Reason::Exhausted => write!(f, "{what} failed after {} attempts", self.attempts)?,
            Reason::Ambiguous => write!(f, "{what} was sent but not answered, so its outcome is unknown")?,
            Reason::Expired => write!(f, "{what} expired before it could be sent")?,
            Reason::Aborted => write!(f, "{what} was canceled by its caller")?,
            Reason::ResponseTooLarge => write!(f, "the response to {what} is larger than allowed")?,
            Reason::TimedOut => write!(f, "{what} was not answered within its deadlineMs")?,
            Reason::Throttled { retry_after } => {
                let seconds = retry_after.as_secs_f64().ceil();
                write!(f, "{what} was not sent: a limit is in force for {seconds} more seconds")?;
            }
            Reason::Unreadable => write!(f, "the store can't read {what}, so it was not sent")?,
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
    pub payload: Payload,
    /// Its priority.
    pub priority: Priority,
    /// Why it was given up.
    pub failure: DeliveryFailure,
    /// When.
    pub at: crate::clock::Timestamp,
}

impl DeadLetter {
    /// Bytes of its body, and of the answer that it keeps.
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.failure.response.as_ref().map_or(0, |response| response.body.len())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_in_words_that_fit() {
        let told = |attempts| {
            let (reason, id, response, problem) = (Reason::Exhausted, None, None, None);
            DeliveryFailure { reason, id, response, attempts, ambiguous: false, problem }.to_string()
        };
        assert_eq!(told(0), "the request was not sent because of an outage");
        assert_eq!(told(1), "the request failed after 1 attempt");
        assert_eq!(told(2), "the request failed after 2 attempts");
    }

    fn is_html_page(body: &str) -> bool {
        Response { body: Bytes::copy_from_slice(body.as_bytes()), ..Response::default() }.is_html_page()
    }

    #[test]
    fn a_page_of_html_is_told_from_what_the_api_answers() {
        for page in [
            "<!DOCTYPE html><html><head>",
            "\u{feff}\r\n  <!doctype HTML>",
            "<html lang=\"en\">",
            "<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC>",
            "<!-- maintenance -->\n<HTML>",
        ] {
            assert!(is_html_page(page), "{page}");
        }
        let far = format!("<!--{}--><html>", " ".repeat(HTML_SEARCHED));
        for other in [
            "",
            "{}",
            "[]",
            "\"<html>\"",
            "{\"text\":\"<html>\"}",
            "ok",
            "<ok/>",
            "<?xml version=\"1.0\"?><answer/>",
            &far,
        ] {
            assert!(!is_html_page(other), "{other:.40}");
        }
        let by_type = Response { body: "<h1>Sign in</h1>".into(), is_html_by_type: true, ..Response::default() };
        assert!(by_type.is_html_page());
    }
}
