//! Reads an answer within its limits.

use std::pin::{Pin, pin};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::clock::Clock;
use crate::evidence::Evidence;
use crate::outcome::Response;
use crate::retry::Answer;
use crate::shipment::Shipment;

const CORRELATION_ID: HeaderName = HeaderName::from_static("inin-correlation-id");
const CORRELATION_ID_CHARS_MAX: usize = 128;

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

/// How a body was read.
enum End {
    Whole,
    TooLarge,
    Cut,
}

/// Reads the body up to its limits; whether it was read to its end. The status is known here, so that a cut or slow body
/// doesn't make the outcome unknown. Its headers, emptied, are left in `spare`.
pub(super) async fn read<B: Body<Data = Bytes>>(
    response: hyper::Response<B>,
    wanted: Wanted,
    limit: Pin<&mut tokio::time::Sleep>,
    spare: &mut HeaderMap,
) -> (Answer, bool) {
    let (mut head, body) = response.into_parts();
    let mut bytes = Vec::new();
    let end = tokio::select! {
        biased;
        end = read_body(body, wanted.bytes_max, &mut bytes) => end,
        () = limit => End::Cut,
    };
    let is_whole = matches!(end, End::Whole);
    let evidence = evidence(&head.headers, &bytes);
    let correlation_id = head.headers.get(&CORRELATION_ID).and_then(|value| value.to_str().ok());
    // Visible ASCII, by `to_str`: a byte is a character.
    let correlation_id = correlation_id.map(|id| id[..id.len().min(CORRELATION_ID_CHARS_MAX)].to_owned());
    let headers = if wanted.keep_headers { lower_case(&head.headers) } else { Vec::new() };
    head.headers.clear();
    *spare = head.headers;
    let status = head.status.as_u16();
    let response = Response { status, body: bytes.into(), truncated: !is_whole, headers, correlation_id };
    let answer = match end {
        End::TooLarge => Answer::TooLarge { response, evidence },
        End::Whole | End::Cut => Answer::Answered { response, evidence },
    };
    (answer, is_whole)
}

fn evidence(headers: &HeaderMap, body: &[u8]) -> Evidence {
    if !headers.keys().any(|name| Evidence::is_told_by(name.as_str())) {
        return Evidence::in_text(body);
    }
    // They are few, and asked for by many names.
    let texts: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().ok())).collect();
    let text = |name: &str| texts.iter().find(|(own, _)| *own == name).and_then(|(_, value)| *value);
    Evidence::read(text, body, Clock::epoch_ms_now())
}

/// What has come is in `bytes`, also when the rest comes too late. Copied, since a chunk holds its connection's whole buffer.
async fn read_body<B: Body<Data = Bytes>>(body: B, bytes_max: usize, bytes: &mut Vec<u8>) -> End {
    let mut body = pin!(body);
    loop {
        let chunk = match body.frame().await {
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(_)) => return End::Cut,
            None => return End::Whole,
        };
        let fits = chunk.len().min(bytes_max - bytes.len());
        bytes.extend_from_slice(&chunk[..fits]);
        if fits < chunk.len() {
            return End::TooLarge;
        }
    }
}

fn lower_case(headers: &HeaderMap) -> Vec<(String, String)> {
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(pair).collect()
}
