//! Reads an answer within its limits.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONTENT_TYPE, DATE};
use once_cell::sync::Lazy;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::body::{self, End};
use super::headers::latin1;
use super::memory::{ANSWER_BYTES_MAX, Memory};
use crate::clock::Clock;
use crate::evidence::Evidence;
use crate::outcome::Response;
use crate::retry::Answer;
use crate::shipment::Shipment;
use crate::text::without_bom;

/// Of all engines.
static MEMORY: Lazy<Memory> = Lazy::new(|| Memory::new(ANSWER_BYTES_MAX));

const CORRELATION_ID: HeaderName = HeaderName::from_static("inin-correlation-id");
const CORRELATION_ID_CHARS_MAX: usize = 128;

const NO_MEMORY: &str = "the other answers of this process left no memory for it in time";

/// Lines of one name that are read for what they tell about limits.
const HEADER_LINES_MAX: usize = 8;

/// What is wanted of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    bytes_max: usize,
    keep_headers: bool,
}

impl Wanted {
    pub(super) fn of(shipment: &Shipment) -> Self {
        Self { bytes_max: shipment.response_bytes_max, keep_headers: shipment.keep_headers }
    }
}

/// Reads the body up to its limits; whether it was read to its end. The status is known here, so that a cut or slow
/// body doesn't make the outcome unknown. Its headers, emptied, are left in `spare`.
pub(super) async fn read<B: Body<Data = Bytes>>(
    response: hyper::Response<B>,
    wanted: Wanted,
    limit: Pin<&mut impl Future<Output = ()>>,
    spare: &mut HeaderMap,
) -> (Answer, bool) {
    let (mut head, body) = response.into_parts();
    let (mut bytes, mut reservation) = (Vec::new(), MEMORY.reservation());
    let end = tokio::select! {
        biased;
        end = body::read(body, wanted.bytes_max, &mut bytes, &mut reservation) => end,
        () = limit => End::Cut,
    };
    let problem = reservation.is_waiting().then_some(NO_MEMORY);
    let is_whole = matches!(end, End::Whole);
    let mut evidence = evidence(&head.headers, &bytes);
    if head.status == StatusCode::TOO_MANY_REQUESTS {
        evidence.add_refusal(&bytes);
    }
    let correlation_id = head.headers.get(&CORRELATION_ID).map(HeaderValue::as_bytes);
    let correlation_id = correlation_id.map(|id| latin1(&id[..id.len().min(CORRELATION_ID_CHARS_MAX)]));
    let (headers, status_text) = if wanted.keep_headers {
        (lower_case(&head.headers), status_text(&head))
    } else {
        (Vec::new(), Cow::Borrowed(""))
    };
    let is_html_by_type = begins_with_tag(&bytes) && is_html(head.headers.get(CONTENT_TYPE));
    head.headers.clear();
    *spare = head.headers;
    let status = head.status.as_u16();
    let body = reservation.into_body(bytes);
    let truncated = !is_whole;
    let response = Response { status, status_text, body, truncated, is_html_by_type, headers, correlation_id };
    let answer = match end {
        End::Cut if problem.is_some() => Answer::TooLarge { response, evidence, problem },
        End::TooLarge => Answer::TooLarge { response, evidence, problem: None },
        End::Whole | End::Cut => Answer::Answered { response, evidence },
    };
    (answer, is_whole)
}

/// Frameworks call the plainest text HTML if nobody says what it is.
fn begins_with_tag(body: &[u8]) -> bool {
    without_bom(body).trim_ascii_start().starts_with(b"<")
}

fn is_html(content_type: Option<&HeaderValue>) -> bool {
    let text = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
}

fn evidence(headers: &HeaderMap, body: &[u8]) -> Evidence {
    if !headers.keys().any(|name| Evidence::is_told_by(name.as_str())) {
        return Evidence::in_text(body);
    }
    // They are few, and asked for by many names. Several lines of one name are one list (RFC 9110, 5.3).
    let names = headers.keys().filter(|name| Evidence::is_told_by(name.as_str()) || **name == DATE);
    let texts: Vec<(&str, String)> = names
        .map(|name| {
            let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            (name.as_str(), lines.take(HEADER_LINES_MAX).collect::<Vec<_>>().join(", "))
        })
        .collect();
    let text = |name: &str| texts.iter().find(|(own, _)| *own == name).map(|(_, value)| &**value);
    Evidence::read(text, body, Clock::epoch_ms_now())
}

fn lower_case(headers: &HeaderMap) -> Vec<(String, String)> {
    let pair = |(name, value): (&HeaderName, &HeaderValue)| (name.as_str().to_owned(), latin1(value.as_bytes()));
    headers.iter().map(pair).collect()
}

/// The server's own words. hyper keeps them only where they aren't the usual ones.
fn status_text(head: &hyper::http::response::Parts) -> Cow<'static, str> {
    match head.extensions.get::<ReasonPhrase>() {
        Some(phrase) => latin1(phrase.as_bytes()).into(),
        None => head.status.canonical_reason().unwrap_or_default().into(),
    }
}
