//! Which messages travel with the one whose turn it is, and what they look like together.

use std::time::Duration;

use super::Dispatcher;
use super::load::Load;
use super::outbox::Outbox;
use crate::batcher::{ArraySize, Merge, join};
use crate::clock::Timestamp;
use crate::http::{MESSAGE_RESPONSE_BYTES_MAX, Shipment};
use crate::lanes::{LaneId, Slot};
use crate::message::{Call, Cargo, Message};
use crate::settings::{BatchMode, Cost, Settings};

/// <https://www.w3.org/TR/trace-context/>.
const TRACEPARENT: &str = "traceparent";

impl Dispatcher {
    /// Until when an array waits for more messages before the one whose turn it is leaves; none when it may leave.
    pub(super) fn lingers(&self, now: Timestamp, slot: Slot) -> Option<Timestamp> {
        let batch = &self.settings.batch;
        let entry = self.outbox.get(slot);
        if batch.mode != BatchMode::Array || matches!(entry.cargo, Cargo::Call(_)) {
            return None;
        }
        let limit = self.batch_limits.messages();
        let waiting = if batch.array_ordered { self.outbox.len() } else { self.lanes.ready() };
        let ready_at = entry.not_before.map_or(entry.submitted_at, |at| at.max(entry.submitted_at));
        let until = ready_at.after(batch.linger);
        (waiting < limit && entry.attempts == 0 && until > now).then_some(until)
    }

    /// What the next request costs at most; less when it turns out smaller.
    pub(super) fn cost(&self, members: usize) -> u32 {
        match self.settings.batch.cost {
            Cost::Request => 1,
            Cost::Message => u32::try_from(members).unwrap_or(u32::MAX),
        }
    }

    /// Messages that the budget lets travel together now, at least one.
    fn members_max(&self, now: Timestamp) -> usize {
        let affordable = match self.settings.batch.cost {
            Cost::Request => usize::MAX,
            Cost::Message => self.quota.available(now).min(self.quota.cost_max()) as usize,
        };
        self.batch_limits.messages().min(affordable).max(1)
    }

    /// Adds to the message that was just taken from `lane` what may travel with it.
    pub(super) fn gather(&mut self, now: Timestamp, lane: LaneId, first: Slot) -> Load {
        let mut members = vec![first];
        let limit = self.members_max(now);
        match (self.settings.batch.mode, &self.outbox.get(first).cargo) {
            (BatchMode::Array, Cargo::Message(_)) => self.gather_array(now, lane, &mut members, limit),
            (BatchMode::Merge, Cargo::Message(_)) => self.gather_texts(now, lane, &mut members, limit),
            (BatchMode::None, _) | (_, Cargo::Call(_)) => {}
        }
        Load::of(members)
    }

    /// One message of each conversation in turn; then, where the array's order is kept, more of the same ones.
    fn gather_array(&mut self, now: Timestamp, lane: LaneId, members: &mut Vec<Slot>, limit: usize) {
        let mut size = ArraySize::default().with(self.outbox.get(members[0]).cargo.len());
        let mut lanes = vec![lane];
        while members.len() < limit {
            let Some((_, slot)) = self.lanes.peek() else { break };
            if self.park_if_early(now, slot) {
                continue;
            }
            if !self.may_share_array(members[0], slot, &mut size) {
                return;
            }
            if let Some((lane, slot)) = self.lanes.take() {
                members.push(slot);
                lanes.push(lane);
            }
        }
        if !self.settings.batch.array_ordered {
            return;
        }
        let mut index = 0;
        while members.len() < limit && !lanes.is_empty() {
            let lane = lanes[index % lanes.len()];
            let next = self.lanes.head_of(lane).filter(|slot| !self.is_early(now, *slot));
            let fits = next.is_some_and(|slot| self.may_share_array(members[0], slot, &mut size));
            match if fits { self.lanes.take_from(lane) } else { None } {
                Some(slot) => {
                    members.push(slot);
                    index += 1;
                }
                None => lanes.retain(|other| *other != lane),
            }
        }
    }

    /// Whether the array takes this message, too; counts it then.
    fn may_share_array(&self, first: Slot, slot: Slot, size: &mut ArraySize) -> bool {
        let (Cargo::Message(first), Cargo::Message(message)) =
            (&self.outbox.get(first).cargo, &self.outbox.get(slot).cargo)
        else {
            return false;
        };
        let larger = size.with(message.body.len());
        let fits = larger.bytes() <= self.batch_limits.bytes() && self.same_path(first, message);
        if fits {
            *size = larger;
        }
        fits
    }

    fn same_path(&self, first: &Message, message: &Message) -> bool {
        first.params == message.params
            && (first.conversation == message.conversation || !self.settings.route.names_conversation())
    }

    /// The texts that wait behind this one in its conversation, as far as they differ in nothing else.
    fn gather_texts(&mut self, now: Timestamp, lane: LaneId, members: &mut Vec<Slot>, limit: usize) {
        let settings = &self.settings;
        let Some(mut merge) = begin_merge(settings, &self.outbox, members[0]) else { return };
        while members.len() < limit {
            let Some(slot) = self.lanes.head_of(lane) else { return };
            let (first, next) = (self.outbox.get(members[0]), self.outbox.get(slot));
            let (Cargo::Message(leader), Cargo::Message(message)) = (&first.cargo, &next.cargo) else { return };
            let alike = leader.params == message.params && !self.is_early(now, slot);
            if !alike || !merge.add(&message.body, self.batch_limits.bytes()) {
                return;
            }
            if let Some(slot) = self.lanes.take_from(lane) {
                members.push(slot);
            }
        }
    }

    /// A message behind the first that isn't to be sent yet. A retry counts: it was paid for or not at its own turn.
    fn is_early(&self, now: Timestamp, slot: Slot) -> bool {
        let entry = self.outbox.get(slot);
        entry.not_before.is_some_and(|at| at > now) || (entry.attempts > 0 && !entry.retry_paid)
    }

    /// The request for a load.
    pub(super) fn shipment(&self, load: &Load) -> Shipment {
        match &self.outbox.get(load.members[0]).cargo {
            Cargo::Call(call) => call_shipment(call, self.settings.connections.request_timeout),
            Cargo::Message(message) => Shipment {
                method: "POST".into(),
                // Checked at the door, so there is a path.
                path: self.settings.route.path(message).unwrap_or_default(),
                headers: message
                    .traceparent
                    .iter()
                    .map(|parent| (TRACEPARENT.to_owned(), parent.to_string()))
                    .collect(),
                body: Some(self.body(message, load)),
                idempotency_key: Some(match load.members.len() {
                    1 => message.id.clone(),
                    // The same members, the same key.
                    count => format!("{}+{}", message.id, count - 1).into(),
                }),
                timeout: self.settings.connections.request_timeout,
                response_bytes_max: MESSAGE_RESPONSE_BYTES_MAX,
                keep_headers: false,
                messages: u32::try_from(load.members.len()).unwrap_or(u32::MAX),
            },
        }
    }

    fn body(&self, first: &Message, load: &Load) -> bytes::Bytes {
        let bodies = load.members.iter().filter_map(|slot| match &self.outbox.get(*slot).cargo {
            Cargo::Message(message) => Some(&message.body),
            Cargo::Call(_) => None,
        });
        if self.settings.route.is_array() {
            return join(bodies);
        }
        let merge =
            if load.members.len() > 1 { begin_merge(&self.settings, &self.outbox, load.members[0]) } else { None };
        match merge {
            None => first.body.clone(),
            Some(mut merge) => {
                // They fitted when they were gathered, so they do now.
                bodies.skip(1).for_each(|body| {
                    merge.add(body, usize::MAX);
                });
                merge.into_body().into()
            }
        }
    }
}

fn begin_merge<'a>(settings: &'a Settings, outbox: &Outbox, first: Slot) -> Option<Merge<'a>> {
    let Cargo::Message(message) = &outbox.get(first).cargo else { return None };
    let field = settings.route.text_field()?;
    Merge::begin(&message.body, field, settings.batch.text_units, settings.route.text_length_max())
}

fn call_shipment(call: &Call, timeout: Duration) -> Shipment {
    Shipment {
        method: call.method.clone(),
        path: call.path.to_string(),
        headers: call.headers.clone(),
        body: call.body.clone(),
        idempotency_key: None,
        timeout: call.timeout.unwrap_or(timeout),
        response_bytes_max: call.response_bytes_max,
        keep_headers: true,
        messages: 0,
    }
}
