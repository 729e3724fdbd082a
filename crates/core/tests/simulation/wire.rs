//! Between dispatcher and model: shipments as the model's requests, replies as the HTTP client would read them.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use spillway_core::dispatcher::TokenEvent;
use spillway_core::evidence::Evidence;
use spillway_core::outcome::Response;
use spillway_core::retry::Answer;
use spillway_core::shipment::Shipment;
use spillway_simulator::{Cut, Flight, Reply, Request};

/// The model's time 0 on the wall clock.
const EPOCH_MS: u64 = 1_767_225_600_000;

/// A request on the wire.
pub struct Wired {
    pub shipment: Shipment,
    pub authorization: String,
    pub flight: Flight,
    pub sent_us: u64,
    pub answer_us: u64,
}

impl Wired {
    pub fn timeout_at_us(&self) -> u64 {
        self.sent_us + self.shipment.timeout.as_micros() as u64
    }
}

pub fn request<'a>(shipment: &'a Shipment, authorization: &'a str) -> Request<'a> {
    Request {
        method: &shipment.method,
        path: &shipment.path,
        authorization: Some(authorization),
        // The ids of this test need no percent-encoding.
        idempotency_key: shipment.idempotency_key.as_deref(),
        body: shipment.body.as_deref().unwrap_or_default(),
    }
}

pub fn token_request(authorization: &str) -> Request<'_> {
    Request {
        method: "POST",
        path: "/oauth/token",
        authorization: Some(authorization),
        idempotency_key: None,
        body: b"grant_type=client_credentials",
    }
}

/// Whether it is a page of HTML, which is no answer of the API.
pub fn is_page(reply: &Reply) -> bool {
    reply.cut == Cut::None && reply.headers.iter().any(|(name, value)| name == "content-type" && value == "text/html")
}

pub fn evidence(reply: &Reply, now_us: u64) -> Evidence {
    let header = |name: &str| reply.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
    let mut evidence = Evidence::read(header, reply.body.as_bytes(), EPOCH_MS + now_us / 1_000);
    if reply.status == 429 {
        evidence.add_refusal(reply.body.as_bytes());
    }
    evidence
}

pub fn answer(reply: &Reply, now_us: u64) -> Answer {
    match reply.cut {
        Cut::None => Answer::Answered {
            response: Response {
                status: reply.status,
                body: Bytes::copy_from_slice(reply.body.as_bytes()),
                headers: if is_page(reply) { vec![("content-type".into(), "text/html".into())] } else { Vec::new() },
                ..Response::default()
            },
            evidence: evidence(reply, now_us),
        },
        Cut::Before | Cut::After | Cut::Garbage => Answer::Unanswered { problem: format!("{:?}", reply.cut) },
    }
}

/// What the OAuth client makes of the login host's answer, and the header that it keeps.
pub fn token_event(reply: &Reply, now_us: u64) -> (TokenEvent, Option<String>) {
    let failed = |problem: &str, wait| (TokenEvent::Failed { problem: problem.to_owned(), wait }, None);
    if reply.cut != Cut::None {
        return failed("cut", None);
    }
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let throttled = body["description"].as_str().is_some_and(|text| text.starts_with("rate limit exceeded"));
    match reply.status {
        200 => {
            let life = body["expires_in"].as_u64().filter(|seconds| *seconds > 0).map(Duration::from_secs);
            let token = body["access_token"].as_str().unwrap_or_default();
            (TokenEvent::Granted(life), Some(format!("Bearer {token}")))
        }
        400 if throttled => failed("throttled", evidence(reply, now_us).wait().map(|wait| wait.span)),
        400 | 401 | 403 => (TokenEvent::Refused(format!("status {}", reply.status)), None),
        status => failed(&format!("status {status}"), None),
    }
}
