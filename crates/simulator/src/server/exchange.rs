//! One request and its answer.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};

use super::body;
use super::shared::Shared;
use crate::ledger::Flight;
use crate::model::{Cut, Reply};
use crate::request;

/// What is read of a body beyond the longest one that is accepted; a longer one ends the connection, too.
const BODY_SLACK_BYTES: usize = 64 * 1024;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The connection ends here, without an answer.
#[derive(Debug)]
pub(super) struct Severed;

impl fmt::Display for Severed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for Severed {}

/// Counts a request as in flight while it lives; also when its client vanishes and hyper drops it.
struct InFlight<'s> {
    shared: &'s Shared,
    flight: Option<Flight>,
}

impl<'s> InFlight<'s> {
    fn open(shared: &'s Shared, request: &request::Request<'_>) -> Self {
        let flight = shared.model.borrow_mut().open(request);
        Self { shared, flight: Some(flight) }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.shared.model.borrow_mut().close(flight);
        }
    }
}

/// Answers a request, or notes in `cut` how the connection has to end.
pub(super) async fn exchange(
    shared: Rc<Shared>,
    cut: Rc<Cell<Cut>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Severed> {
    let (mut head, incoming) = request.into_parts();
    let kept_bytes_max = shared.model.borrow().config().max_body_bytes + BODY_SLACK_BYTES;
    let body = body::read(incoming, kept_bytes_max).await.map_err(|_| Severed)?;
    let reply = travel(&shared, &head, &body.bytes).await;
    if reply.cut != Cut::None {
        cut.set(reply.cut);
        return Err(Severed);
    }
    // Its room serves the answer, and hyper takes it back from there for the connection's next request.
    head.headers.clear();
    let mut response = respond(reply, head.headers);
    if !body.complete {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// The way to the model and back, with its delays.
async fn travel(shared: &Shared, head: &Parts, body: &[u8]) -> Reply {
    let request = request::Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        authorization: text(&head.headers, &AUTHORIZATION),
        idempotency_key: text(&head.headers, &IDEMPOTENCY_KEY),
        body,
    };
    let is_token_request = request.is_token_request();
    let _in_flight = (!is_token_request).then(|| InFlight::open(shared, &request));
    let travel = shared.model.borrow_mut().travel();
    pause(travel.arrival_us).await;
    let now_us = shared.clock.now_us();
    let reply = match is_token_request {
        true => shared.model.borrow_mut().oauth(now_us, &request),
        false => shared.model.borrow_mut().arrive(now_us, &request),
    };
    pause(travel.answer_us + reply.delay_us).await;
    reply
}

async fn pause(us: u64) {
    // Without latency no timer is touched.
    if us > 0 {
        tokio::time::sleep(Duration::from_micros(us)).await;
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `headers` is an empty map.
fn respond(reply: Reply, mut headers: HeaderMap) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if bodiless { Bytes::new() } else { Bytes::from(reply.body) };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in reply.headers {
        let name = match name {
            Cow::Borrowed(name) => Ok(HeaderName::from_static(name)),
            Cow::Owned(name) => HeaderName::try_from(name),
        };
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
