//! The server: it accepts, refuses, loses. Texts are ids, so that a body tells what is in it.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use spillway_core::evidence::Evidence;
use spillway_core::outcome::Response;
use spillway_core::retry::Answer;
use spillway_core::shipment::Shipment;

use crate::draw::Draw;
use crate::plan::Plan;

#[derive(Default)]
pub struct Server {
    /// How often each id was accepted.
    pub accepted: BTreeMap<String, u32>,
    arrivals: VecDeque<u64>,
}

/// What becomes of a request; drawn when it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Accepted,
    Lost,
    AnswerLost,
    Failed,
    Throttled,
}

impl Fate {
    pub fn draw(plan: &Plan, draw: &mut Draw) -> Self {
        let mut roll = draw.range(0, 99);
        for (share, fate) in [
            (plan.lost, Self::Lost),
            (plan.answers_lost, Self::AnswerLost),
            (plan.failed, Self::Failed),
            (plan.throttled, Self::Throttled),
        ] {
            if roll < share {
                return fate;
            }
            roll -= share;
        }
        Self::Accepted
    }
}

/// The ids in a body; none in what probes an outage where nothing may be sent twice.
pub fn ids(shipment: &Shipment) -> Vec<String> {
    let Some(body) = shipment.body.as_deref() else { return Vec::new() };
    let body: Value = serde_json::from_slice(body).expect("a body is JSON");
    let text =
        |value: &Value| value["text"].as_str().expect("a text").split('\n').map(str::to_owned).collect::<Vec<_>>();
    match &body {
        Value::Array(items) => items.iter().flat_map(text).collect(),
        one => text(one),
    }
}

/// A message that no server takes.
pub fn is_poison(id: &str) -> bool {
    id.ends_with('7')
}

impl Server {
    /// A request arrives.
    pub fn arrive(&mut self, plan: &Plan, now_us: u64, shipment: &Shipment, fate: Fate) -> Result<(), String> {
        while self.arrivals.front().is_some_and(|at| at + plan.per_us <= now_us) {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(now_us);
        if self.arrivals.len() as u64 > plan.requests {
            return Err(format!("3 budget: {} requests in a window of {}", self.arrivals.len(), plan.requests));
        }
        let ids = ids(shipment);
        if matches!(fate, Fate::Accepted | Fate::AnswerLost) && !ids.iter().any(|id| is_poison(id)) {
            ids.into_iter().for_each(|id| *self.accepted.entry(id).or_default() += 1);
        }
        Ok(())
    }

    pub fn answer(shipment: &Shipment, fate: Fate) -> Answer {
        let status = match fate {
            Fate::Lost | Fate::AnswerLost => return Answer::Unanswered { problem: "cut".to_owned() },
            Fate::Failed => 503,
            Fate::Throttled => 429,
            Fate::Accepted if ids(shipment).iter().any(|id| is_poison(id)) => 400,
            Fate::Accepted => 200,
        };
        Answer::Answered { response: Response { status, ..Response::default() }, evidence: Evidence::default() }
    }
}
