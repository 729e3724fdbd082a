//! The oracle of a run: what was handed over, what is on the wire, how it ended; and what must hold at each step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use spillway_core::clock::Timestamp;
use spillway_core::outcome::Reason;
use spillway_core::shipment::Shipment;

use super::plan::{Mode, Plan};

#[derive(Debug)]
pub struct Known {
    pub conversation: String,
    pub submitted_at: Timestamp,
    pub left_at: Option<Timestamp>,
    pub aborted: bool,
    pub expires: bool,
    /// How often its outcome was unknown.
    pub unknown: u64,
    pub end: Option<Result<u32, Reason>>,
}

#[derive(Default)]
pub struct Oracle {
    /// In the order of acceptance.
    pub order: Vec<String>,
    pub known: BTreeMap<String, Known>,
    on_the_wire: BTreeSet<String>,
    bodies: BTreeMap<String, Bytes>,
    /// What the server may know: to be repeated under this key, with this body.
    frozen: BTreeMap<String, (String, Bytes)>,
    arrivals: VecDeque<(Timestamp, u64)>,
    pub requests: u64,
    /// Sizes of the batches, in the order of their sending.
    pub sizes: Vec<usize>,
}

impl Oracle {
    /// Who is in a body.
    pub fn members(plan: &Plan, body: &[u8]) -> Vec<String> {
        let value: Value = serde_json::from_slice(body).unwrap();
        let name = |text: &str| text.split(':').next().unwrap().to_owned();
        match value {
            Value::Array(list) => list.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect(),
            one if plan.mode == Mode::Merge => one["text"].as_str().unwrap().split('\n').map(name).collect(),
            one => vec![name(one["text"].as_str().unwrap())],
        }
    }

    pub fn sent(&mut self, plan: &Plan, now: Timestamp, shipment: &Shipment) -> Vec<String> {
        let body = shipment.body.clone().unwrap();
        let members = Self::members(plan, &body);
        self.requests += 1;
        self.sizes.push(members.len());
        assert!(members.len() as u64 <= plan.max_messages.max(1) || plan.mode == Mode::None, "too many in {members:?}");
        assert!(body.len() as u64 <= plan.max_bytes || plan.mode == Mode::None, "{} bytes", body.len());
        if members.len() > 1 && plan.mode == Mode::Merge {
            let text: Value = serde_json::from_slice(&body).unwrap();
            assert!(text["text"].as_str().unwrap().chars().count() as u64 <= plan.max_text_length);
        }
        self.check_order(plan, &members);
        let key = shipment.idempotency_key.as_deref().unwrap().to_owned();
        let earlier = self.bodies.entry(key.clone()).or_insert_with(|| body.clone());
        assert_eq!(*earlier, body, "the key {key} came with two bodies");
        for id in &members {
            assert!(self.on_the_wire.insert(id.clone()), "{id} is on the wire twice");
            let known = self.known.get_mut(id).unwrap();
            assert_eq!(known.end, None, "{id} was sent after its end");
            known.left_at.get_or_insert(now);
            if let Some((frozen_key, frozen_body)) = self.frozen.get(id) {
                assert_eq!((frozen_key, frozen_body), (&key, &body), "{id} was to be repeated as it was");
            }
        }
        members
    }

    /// Everything before it in its conversation has ended, or goes before it in the same request.
    fn check_order(&self, plan: &Plan, members: &[String]) {
        if !plan.ordered {
            return;
        }
        for (index, id) in members.iter().enumerate() {
            let conversation = &self.known[id].conversation;
            let before = self.order.iter().take_while(|other| *other != id);
            for other in before.filter(|other| self.known[*other].conversation == *conversation) {
                let ended = self.known[other].end.is_some();
                assert!(ended || members[..index].contains(other), "{id} was sent before the end of {other}");
                let together = plan.mode == Mode::ArrayOrdered || plan.mode == Mode::Merge;
                assert!(ended || together, "{id} and {other} of one conversation are in one array");
            }
        }
    }

    /// It arrives at the server.
    pub fn arrived(&mut self, plan: &Plan, now: Timestamp, members: usize) {
        let cost = if plan.cost_message { members as u64 } else { 1 };
        self.arrivals.push_back((now, cost));
        while self.arrivals.front().is_some_and(|(at, _)| now.since(*at) >= Duration::from_secs(1)) {
            self.arrivals.pop_front();
        }
        let spent: u64 = self.arrivals.iter().map(|(_, cost)| cost).sum();
        assert!(spent <= plan.requests_per_second, "{spent} in a second");
    }

    /// An answer is here; `knows_nothing`: it tells nothing about any of them.
    pub fn answered(&mut self, members: &[String], shipment: &Shipment, knows_nothing: bool, settles: bool) {
        // A request carries no message.
        if members.is_empty() {
            return;
        }
        let fate = (shipment.idempotency_key.as_deref().unwrap().to_owned(), shipment.body.clone().unwrap());
        for id in members {
            self.on_the_wire.remove(id);
            if knows_nothing && members.len() > 1 {
                self.frozen.insert(id.clone(), fate.clone());
            } else if settles {
                self.frozen.remove(id);
            }
        }
    }

    pub fn unknown(&mut self, members: &[String]) {
        members.iter().for_each(|id| self.known.get_mut(id).unwrap().unknown += 1);
    }

    pub fn ended(&mut self, id: &str, end: Result<u32, Reason>) {
        let known = self.known.get_mut(id).unwrap();
        assert_eq!(known.end, None, "{id} ended twice");
        known.end = Some(end);
    }
}
