//! Which messages travel with the one whose turn it is.

use smallvec::smallvec;

use super::Dispatcher;
use super::load::{Load, Members};
use super::shipment::begin_merge;
use crate::batcher::ArraySize;
use crate::clock::Timestamp;
use crate::lanes::{LaneId, Slot};
use crate::message::Cargo;
use crate::settings::{BatchMode, Ordering};

impl Dispatcher {
    /// Until when an array waits for more messages before the one whose turn it is leaves; `None` if it may leave.
    pub(super) fn lingers(&self, now: Timestamp, lane: LaneId, slot: Slot) -> Option<Timestamp> {
        let batch = &self.settings.batch;
        let entry = self.outbox.get(slot);
        if batch.mode != BatchMode::Array || matches!(entry.cargo, Cargo::Call(_)) {
            return None;
        }
        let ready_at = self.outbox.course(slot).not_before.map_or(entry.submitted_at, |at| at.max(entry.submitted_at));
        let until = ready_at.after(batch.linger);
        // Whoever drains wants the outbox empty, not the arrays full.
        let waits = self.outbox.course(slot).attempts == 0
            && until > now
            && !self.drains.is_waiting()
            && !self.fills_an_array(lane);
        waits.then_some(until)
    }

    /// Until when an array waits half empty, though its messages have waited long enough: while the budget is short of
    /// what the outbox needs, for answers that are due, since they let go of more. Nobody is later for it: requests are
    /// what is scarce, and this one carries more.
    pub(super) fn wait_half_empty(&mut self, now: Timestamp, lane: LaneId, slot: Slot) -> Option<Timestamp> {
        if self.settings.batch.mode != BatchMode::Array {
            return None;
        }
        let entry = self.outbox.get(slot);
        let is_first_attempt = matches!(entry.cargo, Cargo::Message(_)) && self.outbox.course(slot).attempts == 0;
        let requests = self.lanes.queued() / self.batching.messages();
        let more_is_due = self.lanes.queued() > self.lanes.offered() && !self.attempts.is_empty();
        let waits = is_first_attempt
            && more_is_due
            && !self.batching.is_cost_per_message()
            && !self.drains.is_waiting()
            && requests > self.quota.available(now) as usize
            && !self.fills_an_array(lane);
        self.batching.wait_half_empty(now, waits)
    }

    /// Whether what may go with the head of this lane is as much as an array takes.
    fn fills_an_array(&self, lane: LaneId) -> bool {
        let per_conversation = self.settings.route.names_conversation();
        let company = match (per_conversation, self.takes_many_of_one()) {
            (false, true) => self.lanes.offered(),
            (false, false) => self.lanes.offering(),
            (true, true) => self.lanes.offered_by(lane),
            // Nothing can ever join it.
            (true, false) => return true,
        };
        company >= self.batching.messages()
            // The outbox holds more than what is on offer: only then is it worth the exact look.
            || (self.outbox.bytes() >= self.batching.bytes() && self.offered_bytes() > self.batching.bytes())
    }

    fn offered_bytes(&self) -> usize {
        let slots = self.lanes.on_offer(!self.takes_many_of_one());
        slots.fold(ArraySize::default(), |size, slot| size.with(self.outbox.bytes_of(slot))).bytes()
    }

    /// Whether all messages of a request are of one conversation.
    pub(super) fn one_conversation_per_request(&self) -> bool {
        match self.settings.batch.mode {
            BatchMode::None => false,
            BatchMode::Array => self.settings.route.names_conversation(),
            BatchMode::Merge => true,
        }
    }

    fn takes_many_of_one(&self) -> bool {
        self.settings.batch.array_ordered || self.settings.ordering == Ordering::None
    }

    /// Messages that the budget lets travel together now, at least one.
    pub(super) fn members_max(&self, now: Timestamp) -> usize {
        self.batching.members_max(|| self.quota.available(now).min(self.quota.cost_max()))
    }

    /// Adds to the message that was just taken from `lane` what may travel with it.
    pub(super) fn gather(&mut self, now: Timestamp, lane: LaneId, first: Slot) -> Load {
        let limit = self.members_max(now);
        match (self.settings.batch.mode, &self.outbox.get(first).cargo) {
            (BatchMode::Array, Cargo::Message(_)) => self.gather_array(now, lane, first, limit),
            (BatchMode::Merge, Cargo::Message(_)) => self.gather_texts(now, lane, first, limit),
            (BatchMode::None, _) | (_, Cargo::Call(_)) => Load::of_one(first),
        }
    }

    /// One message of each conversation in turn; then, where the array's order is kept, more of the same ones.
    fn gather_array(&mut self, now: Timestamp, lane: LaneId, first: Slot, limit: usize) -> Load {
        let mut members: Members = smallvec![first];
        let mut size = ArraySize::default().with(self.outbox.get(first).cargo.len());
        let mut lanes = vec![lane];
        // A batch is one request: one of its messages pays for the retry, and the others ride along.
        let mut paid = self.outbox.course(first).retry_paid;
        while members.len() < limit {
            let Some((_, slot)) = self.lanes.peek() else { break };
            if !self.outbox.is_loaded(slot) {
                break;
            }
            if self.park_if_early(now, slot, paid) {
                continue;
            }
            if !self.add_to_array(first, slot, &mut size) {
                break;
            }
            paid |= self.outbox.course(slot).retry_paid;
            let Some((lane, slot)) = self.lanes.take(&self.outbox) else { unreachable!("it was looked at just now") };
            members.push(slot);
            lanes.push(lane);
        }
        if self.settings.batch.array_ordered {
            self.gather_more_of(now, lanes, &mut members, size, limit, paid);
        }
        Load::of(members)
    }

    fn gather_more_of(
        &mut self,
        now: Timestamp,
        mut lanes: Vec<LaneId>,
        members: &mut Members,
        mut size: ArraySize,
        limit: usize,
        paid: bool,
    ) {
        let mut index = 0;
        while members.len() < limit && !lanes.is_empty() {
            index %= lanes.len();
            let lane = lanes[index];
            let next = self.loaded_head_of(lane).filter(|slot| !self.is_early(now, *slot, paid));
            let fits = next.is_some_and(|slot| self.add_to_array(members[0], slot, &mut size));
            match if fits { self.lanes.take_from(lane, &self.outbox) } else { None } {
                Some(slot) => {
                    members.push(slot);
                    index += 1;
                }
                None => {
                    lanes.remove(index);
                }
            }
        }
    }

    /// Counts this message in `size`, if the array takes it, too. Whether it does.
    fn add_to_array(&self, first: Slot, slot: Slot, size: &mut ArraySize) -> bool {
        let (Cargo::Message(first), Cargo::Message(message)) =
            (&self.outbox.get(first).cargo, &self.outbox.get(slot).cargo)
        else {
            return false;
        };
        let larger = size.with(message.body().len());
        let fits = larger.bytes() <= self.batching.bytes() && self.same_head(first, message);
        if fits {
            *size = larger;
        }
        fits
    }

    /// The texts that wait behind this one in its conversation, as far as they differ in nothing else.
    fn gather_texts(&mut self, now: Timestamp, lane: LaneId, first: Slot, limit: usize) -> Load {
        let mut members: Members = smallvec![first];
        // Most lanes hold a single message: nothing to read then.
        let merge = self.loaded_head_of(lane).and_then(|_| begin_merge(&self.settings, &self.outbox, first));
        let Some(mut merge) = merge else { return Load::of(members) };
        let mut apart = None;
        let paid = self.outbox.course(first).retry_paid;
        while members.len() < limit {
            let Some(slot) = self.loaded_head_of(lane) else { break };
            let (leader, next) = (self.outbox.get(first), self.outbox.get(slot));
            let (Cargo::Message(leader), Cargo::Message(message)) = (&leader.cargo, &next.cargo) else { break };
            if self.is_early(now, slot, paid) {
                break;
            }
            let body = message.body().as_bytes();
            if !self.same_head(leader, message) {
                apart = Some(if leader.has_headers_of(message) { "params" } else { "headers" }.to_owned());
                break;
            }
            if !merge.add(body, self.batching.bytes()) {
                apart = merge.obstacle(body).map(|field| format!("body.{field}"));
                break;
            }
            let taken = self.lanes.take_from(lane, &self.outbox);
            debug_assert_eq!(taken, Some(slot), "it was looked at just now");
            members.push(slot);
        }
        self.batching.merged(members.len() - 1, apart.as_deref());
        if members.len() == 1 { Load::of(members) } else { Load::of(members).with_body(merge.into_body()) }
    }

    /// The head of a lane, if it is in memory: nothing waits for one that isn't.
    fn loaded_head_of(&self, lane: LaneId) -> Option<Slot> {
        self.lanes.head_of(lane).filter(|slot| self.outbox.is_loaded(*slot))
    }
}
