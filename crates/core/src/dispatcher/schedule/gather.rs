//! Which messages travel with the one whose turn it is.

use smallvec::smallvec;

use crate::batcher::ArraySize;
use crate::clock::Timestamp;
use crate::dispatcher::Dispatcher;
use crate::dispatcher::schedule::batch::{Batch, Members};
use crate::dispatcher::schedule::shipment::begin_merge;
use crate::lanes::{EntryId, LaneId};
use crate::message::Payload;
use crate::settings::{BatchMode, Ordering};
use crate::token::TokenId;

impl Dispatcher {
    /// Until when an array waits for more messages before the one whose turn it is leaves; `None` if it may leave.
    pub(in crate::dispatcher) fn lingers(&self, now: Timestamp, lane: LaneId, entry_id: EntryId) -> Option<Timestamp> {
        let batch = &self.settings.batch;
        let entry = self.outbox.get(entry_id);
        if batch.mode != BatchMode::Array || matches!(entry.payload, Payload::Call(_)) {
            return None;
        }
        let ready_at =
            self.outbox.delivery_state(entry_id).not_before.map_or(entry.submitted_at, |at| at.max(entry.submitted_at));
        let until = ready_at.after(batch.linger);
        // Whoever drains wants the outbox empty, not the arrays full.
        let waits = self.outbox.delivery_state(entry_id).attempts == 0
            && until > now
            && !self.drains.is_waiting()
            && !self.fills_an_array(lane);
        waits.then_some(until)
    }

    /// Until when an array waits half empty, though its messages have waited long enough: while the budget is short of
    /// what the outbox needs, for answers that are due, since they let go of more. Nobody is later for it: requests are
    /// what is scarce, and this one carries more.
    pub(in crate::dispatcher) fn wait_half_empty(
        &mut self,
        now: Timestamp,
        lane: LaneId,
        entry_id: EntryId,
    ) -> Option<Timestamp> {
        if self.settings.batch.mode != BatchMode::Array {
            return None;
        }
        let entry = self.outbox.get(entry_id);
        let is_first_attempt =
            matches!(entry.payload, Payload::Message(_)) && self.outbox.delivery_state(entry_id).attempts == 0;
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
        let entry_ids = self.lanes.on_offer(!self.takes_many_of_one());
        entry_ids.fold(ArraySize::default(), |size, entry_id| size.with(self.outbox.bytes_of(entry_id))).bytes()
    }

    /// Whether all messages of a request are of one conversation.
    pub(in crate::dispatcher) fn one_conversation_per_request(&self) -> bool {
        match self.settings.batch.mode {
            BatchMode::None => false,
            BatchMode::Array => self.settings.route.names_conversation(),
            BatchMode::Merge => true,
        }
    }

    fn takes_many_of_one(&self) -> bool {
        self.settings.batch.array_ordered || self.settings.ordering == Ordering::None
    }

    /// Messages that the budget of this token lets travel together now, at least one.
    pub(in crate::dispatcher) fn members_max(&self, now: Timestamp, token: TokenId) -> usize {
        self.batching.members_max(|| self.quota.available_to(now, token).min(self.quota.cost_max()))
    }

    /// Adds to the message that was just taken from `lane` what may travel with it.
    pub(in crate::dispatcher) fn gather(
        &mut self,
        now: Timestamp,
        token: TokenId,
        lane: LaneId,
        first: EntryId,
    ) -> Batch {
        let limit = self.members_max(now, token);
        match (self.settings.batch.mode, &self.outbox.get(first).payload) {
            (BatchMode::Array, Payload::Message(_)) => self.gather_array(now, lane, first, limit),
            (BatchMode::Merge, Payload::Message(_)) => self.gather_texts(now, lane, first, limit),
            (BatchMode::None, _) | (_, Payload::Call(_)) => Batch::of_one(first),
        }
    }

    /// One message of each conversation in turn; then, where the array's order is kept, more of the same ones.
    fn gather_array(&mut self, now: Timestamp, lane: LaneId, first: EntryId, limit: usize) -> Batch {
        let mut members: Members = smallvec![first];
        let mut size = ArraySize::default().with(self.outbox.get(first).payload.len());
        let mut lanes = vec![lane];
        // A batch is one request: one of its messages pays for the retry, and the others ride along.
        let mut paid = self.outbox.delivery_state(first).retry_paid;
        while members.len() < limit {
            let Some((_, entry_id)) = self.lanes.peek() else { break };
            if !self.outbox.is_loaded(entry_id) {
                break;
            }
            if self.park_if_early(now, entry_id, paid) {
                continue;
            }
            if !self.add_to_array(first, entry_id, &mut size) {
                break;
            }
            paid |= self.outbox.delivery_state(entry_id).retry_paid;
            let Some((lane, entry_id)) = self.lanes.take(&self.outbox) else {
                unreachable!("it was looked at just now")
            };
            members.push(entry_id);
            lanes.push(lane);
        }
        if self.settings.batch.array_ordered {
            self.gather_more_of(now, lanes, &mut members, size, limit, paid);
        }
        Batch::of(members)
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
            let next = self.loaded_head_of(lane).filter(|entry_id| !self.is_early(now, *entry_id, paid));
            let fits = next.is_some_and(|entry_id| self.add_to_array(members[0], entry_id, &mut size));
            match if fits { self.lanes.take_from(lane, &self.outbox) } else { None } {
                Some(entry_id) => {
                    members.push(entry_id);
                    index += 1;
                }
                None => {
                    lanes.remove(index);
                }
            }
        }
    }

    /// Counts this message in `size`, if the array takes it, too. Whether it does.
    fn add_to_array(&self, first: EntryId, entry_id: EntryId, size: &mut ArraySize) -> bool {
        let (Payload::Message(first), Payload::Message(message)) =
            (&self.outbox.get(first).payload, &self.outbox.get(entry_id).payload)
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
    fn gather_texts(&mut self, now: Timestamp, lane: LaneId, first: EntryId, limit: usize) -> Batch {
        let mut members: Members = smallvec![first];
        // Most lanes hold a single message: nothing to read then.
        let merge = self.loaded_head_of(lane).and_then(|_| begin_merge(&self.settings, &self.outbox, first));
        let Some(mut merge) = merge else { return Batch::of(members) };
        let mut apart = None;
        let paid = self.outbox.delivery_state(first).retry_paid;
        while members.len() < limit {
            let Some(entry_id) = self.loaded_head_of(lane) else { break };
            let (leader, next) = (self.outbox.get(first), self.outbox.get(entry_id));
            let (Payload::Message(leader), Payload::Message(message)) = (&leader.payload, &next.payload) else { break };
            if self.is_early(now, entry_id, paid) {
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
            debug_assert_eq!(taken, Some(entry_id), "it was looked at just now");
            members.push(entry_id);
        }
        self.batching.merged(members.len() - 1, apart.as_deref());
        if members.len() == 1 { Batch::of(members) } else { Batch::of(members).with_body(merge.into_body()) }
    }

    /// The head of a lane, if it is in memory: nothing waits for one that isn't.
    fn loaded_head_of(&self, lane: LaneId) -> Option<EntryId> {
        self.lanes.head_of(lane).filter(|entry_id| self.outbox.is_loaded(*entry_id))
    }
}
