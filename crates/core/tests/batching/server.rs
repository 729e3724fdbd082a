//! The server of a run: what it makes of a request, and what it says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use serde_json::{Value, json};
use spillway_core::evidence::Evidence;
use spillway_core::outcome::Response;
use spillway_core::retry::Answer;
use spillway_core::shipment::Shipment;

use super::draw::Draw;
use super::plan::Faults;

/// How much an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Each message's fate.
    All,
    /// Nothing: the batch is to be repeated as it is, if at all.
    Nothing,
    /// Of some messages nothing certain.
    Some,
    /// That it was not processed, and may come again in any company, unless it was to be repeated as it is.
    Refused,
}

/// What becomes of one request, whatever the faults say.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It is accepted, and its answer is cut.
    Cut,
    Status(u16),
    /// It is answered with these statuses, by position; 200 is accepted.
    List(Vec<u16>),
}

pub struct Verdict {
    pub answer: Answer,
    pub told: Told,
}

#[derive(Default)]
pub struct Server {
    pub faults: Faults,
    /// Of the next requests.
    pub script: VecDeque<Fate>,
    pub poison: BTreeSet<String>,
    /// How long the first answer takes, at least.
    pub slow_first_ms: u64,
    /// How often each message was accepted.
    pub accepted: BTreeMap<String, u64>,
}

impl Server {
    pub fn handle(&mut self, draw: &mut Draw, shipment: &Shipment, members: &[String]) -> Verdict {
        if let Some(fate) = self.script.pop_front() {
            return self.play(fate, members);
        }
        let faults = self.faults.clone();
        if draw.percent(faults.unsent) {
            return Verdict { answer: Answer::Unsent { problem: "refused".into() }, told: Told::Refused };
        }
        if draw.percent(faults.cut_before) {
            return Verdict { answer: Answer::Unanswered { problem: "cut".into() }, told: Told::Nothing };
        }
        if draw.percent(faults.too_many) {
            return status(429, Told::Refused);
        }
        if draw.percent(faults.unavailable) {
            return status(503, Told::Refused);
        }
        let size = shipment.body.as_ref().map_or(0, Bytes::len);
        if faults.max_bytes.is_some_and(|max| size > max) {
            return status(413, Told::All);
        }
        let lists = faults.lists && shipment.path.ends_with("/messages");
        if !lists && members.iter().any(|id| self.poison.contains(id)) {
            return status(400, Told::All);
        }
        let statuses: Vec<u16> = members.iter().map(|id| if lists { self.item(draw, id) } else { 200 }).collect();
        self.accept(members, &statuses);
        if draw.percent(faults.cut_after) {
            return Verdict { answer: Answer::Unanswered { problem: "cut".into() }, told: Told::Nothing };
        }
        let (body, told) = if lists { self.list(draw, members, &statuses) } else { ("{}".to_owned(), Told::All) };
        let is_array = shipment.path.ends_with("/messages");
        if draw.percent(faults.truncated) {
            let half = body[..body.len() / 2].to_owned();
            // The status alone decides, unless there might have been a list.
            let told = if is_array { Told::Nothing } else { Told::All };
            return answered(if lists { 207 } else { 200 }, half, true, told);
        }
        answered(if lists { 207 } else { 200 }, body, false, told)
    }

    fn play(&mut self, fate: Fate, members: &[String]) -> Verdict {
        match fate {
            Fate::Cut => {
                self.accept(members, &vec![200; members.len()]);
                Verdict { answer: Answer::Unanswered { problem: "cut".into() }, told: Told::Nothing }
            }
            Fate::Status(code) => status(code, if matches!(code, 400 | 413) { Told::All } else { Told::Refused }),
            Fate::List(statuses) => {
                self.accept(members, &statuses);
                let items = statuses.iter().map(|status| json!({ "status": status }));
                answered(207, Value::from_iter(items).to_string(), false, Told::All)
            }
        }
    }

    fn accept(&mut self, members: &[String], statuses: &[u16]) {
        for (id, _) in members.iter().zip(statuses).filter(|(_, status)| **status == 200) {
            *self.accepted.entry(id.clone()).or_default() += 1;
        }
    }

    fn item(&self, draw: &mut Draw, id: &str) -> u16 {
        match () {
            () if self.poison.contains(id) => 400,
            () if draw.percent(self.faults.item_unavailable) => 503,
            () if draw.percent(self.faults.item_too_many) => 429,
            () => 200,
        }
    }

    /// By id in any order, or by position; or a list that fits neither.
    fn list(&self, draw: &mut Draw, members: &[String], statuses: &[u16]) -> (String, Told) {
        let mut items: Vec<Value> =
            members.iter().zip(statuses).map(|(id, status)| json!({ "id": id, "status": status })).collect();
        if !draw.percent(self.faults.bad_list) {
            match draw.below(4) {
                0 => items.reverse(),
                1 => items = statuses.iter().map(|status| json!({ "statusCode": status.to_string() })).collect(),
                2 => return (json!({ "results": items }).to_string(), Told::All),
                _ => {}
            }
            return (Value::Array(items).to_string(), Told::All);
        }
        if members.is_empty() {
            // What probes an outage carries none.
            return (Value::Array(items).to_string(), Told::Some);
        }
        match draw.below(4) {
            0 => {
                items.pop();
            }
            1 => items.push(json!({ "id": members[0], "status": 599 })),
            2 => items[0] = json!({ "id": "nobody", "status": statuses[0] }),
            _ => items = (0..=members.len()).map(|_| json!({ "status": 200 })).collect(),
        }
        (Value::Array(items).to_string(), Told::Some)
    }
}

fn status(status: u16, told: Told) -> Verdict {
    answered(status, "{}".to_owned(), false, told)
}

fn answered(status: u16, body: String, truncated: bool, told: Told) -> Verdict {
    let response = Response { status, body: body.into(), truncated, ..Response::default() };
    Verdict { answer: Answer::Answered { response, evidence: Evidence::default() }, told }
}
