//! What the runs went through: a simulation that meets no 429 proves nothing about pauses.

use std::collections::BTreeMap;

use spillway_core::dispatcher::{Effect, Notice};
use spillway_core::error::Error;

#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<&'static str, u64>);

/// Everything that a thousand seeds must have met.
const EXPECTED: [&str; 30] = [
    "401",
    "429",
    "429 of a route",
    "accepted again",
    "accepted, then failed",
    "arrived after its cut",
    "auth outage",
    "call answered",
    "cut",
    "DELIVERY_ABORTED",
    "DELIVERY_AMBIGUOUS",
    "DELIVERY_EXHAUSTED",
    "DELIVERY_REJECTED of a call",
    "delivered",
    "delivered again",
    "drain gave up",
    "drained",
    "EXPIRED",
    "four unknown outcomes in a row",
    "given up unsent",
    "limited alone",
    "lost answer",
    "message refused alone",
    "QUEUE_FULL",
    "resumed",
    "outage by time",
    "route shut alone",
    "server outage",
    "sounding",
    "unsent",
];

impl Tally {
    pub fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub fn effect(&mut self, effect: &Effect) {
        let what = match effect {
            Effect::Accepted { duplicate: true, .. } => "accepted again",
            Effect::Accepted { .. } => "accepted",
            Effect::Delivered { request: Some(_), .. } => "delivered",
            Effect::Delivered { .. } => "delivered again",
            Effect::Buried { failure, .. } => failure.reason.code(),
            Effect::CallAnswered(..) => "call answered",
            Effect::Failed(_, Error::Delivery(failure)) if failure.id.is_none() => match failure.reason.code() {
                "DELIVERY_REJECTED" => "DELIVERY_REJECTED of a call",
                code => code,
            },
            Effect::Failed(_, error) => error.code(),
            Effect::Drained(_, None) => "drained",
            Effect::Drained(..) => "drain gave up",
            Effect::Send { .. } => "sent",
            Effect::Cut(_) => "cut",
            Effect::CheckReachable => "host checked",
            Effect::FetchToken(_) => "token asked for",
            Effect::Notice(Notice::Throttled { .. }) => "throttled",
            Effect::Notice(Notice::Resumed { .. }) => "resumed",
            Effect::Notice(Notice::Outage { reason: "auth", open: true, .. }) => "auth outage",
            Effect::Notice(Notice::Outage { open: true, .. }) => "server outage",
            Effect::Done(_)
            | Effect::Redriven(..)
            | Effect::Notice(_)
            | Effect::Store(_)
            | Effect::Load(_)
            | Effect::Renew(_) => return,
        };
        self.count(what);
    }

    pub fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, count)| *self.0.entry(what).or_default() += count);
    }

    pub fn missing(&self) -> Vec<&'static str> {
        EXPECTED.into_iter().filter(|what| !self.0.contains_key(what)).collect()
    }
}
