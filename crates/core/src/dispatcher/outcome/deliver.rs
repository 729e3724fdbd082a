//! A 2xx: a receipt for each message, unless the answer lists other fates.

use std::time::Duration;

use crate::batcher::{Item, read_items};
use crate::clock::Timestamp;
use crate::dispatcher::outcome::ends::Carrier;
use crate::dispatcher::outcome::settle::Reply;
use crate::dispatcher::schedule::attempts::Attempt;
use crate::dispatcher::schedule::batch::{Batch, Members};
use crate::dispatcher::{Dispatcher, Step};
use crate::lanes::EntryId;
use crate::outcome::{Reason, Response};
use crate::retry::{Answer, Verdict};

const MULTI_STATUS: u16 = 207;
/// The limit's, be it of a whole array or of a message of it.
pub(in crate::dispatcher) const TOO_MANY: u16 = 429;

impl Dispatcher {
    /// What a list of statuses says about each message of an array; `None` for any other answer.
    pub(in crate::dispatcher) fn items(&self, batch: &Batch, answer: &Answer) -> Option<Vec<Option<Item>>> {
        let Answer::Answered { response, .. } = answer else { return None };
        if !self.settings.route.is_array() || response.truncated {
            return None;
        }
        let ids: Vec<&str> =
            batch.members.iter().filter_map(|entry_id| self.outbox.get(*entry_id).payload.id()).collect();
        if ids.len() < batch.members.len() {
            return None;
        }
        // A 207 says that there is a status for each, so without them nothing is certain.
        let unread = || (response.status == MULTI_STATUS).then(|| vec![None; ids.len()]);
        read_items(&response.body, &ids).or_else(unread)
    }

    /// One status for all, or one for each message of an array.
    pub(in crate::dispatcher) fn deliver(
        &mut self,
        step: &mut Step<'_>,
        (attempt, left_at): (Attempt, Timestamp),
        told: Reply,
        items: Option<Vec<Option<Item>>>,
    ) {
        let Reply { response, retry_after, .. } = told;
        let Some(response) = response else { unreachable!("only an answer says that a message is delivered") };
        let Attempt { batch, bytes, .. } = attempt;
        self.batching.passed(batch.members.len(), bytes);
        let carrier = Carrier { batch_size: batch.size(), left_at };
        // The last one takes the response itself: mostly there is one.
        let responses = std::iter::repeat_n(response, batch.members.len());
        let members = batch.members.iter().zip(responses);
        let Some(items) = items else {
            for (entry_id, response) in members {
                self.conversation_lives(*entry_id);
                self.succeed(step, *entry_id, carrier, response);
            }
            return self.bind_next(batch);
        };
        debug_assert_eq!(items.len(), batch.members.len(), "each message has its place in the list");
        let mut throttled = Members::new();
        for ((entry_id, response), item) in members.zip(items) {
            match item {
                Some(item) if item.status == TOO_MANY => throttled.push(*entry_id),
                item => self.deliver_item(step, *entry_id, carrier, item, (response, retry_after)),
            }
        }
        if !throttled.is_empty() {
            self.keep_places(step, Batch::of(throttled));
        }
        if batch.members.iter().any(|entry_id| self.outbox.has(*entry_id)) {
            self.disband(step, batch);
        } else {
            self.bind_next(batch);
        }
    }

    /// A message that the list says nothing certain about has an unknown outcome.
    fn deliver_item(
        &mut self,
        step: &mut Step<'_>,
        entry_id: EntryId,
        carrier: Carrier,
        item: Option<Item>,
        (whole, retry_after): (Response, Option<Duration>),
    ) {
        let alone = Batch::of_one(entry_id);
        let Some(Item { status, body }) = item else {
            let problem = Some("the answer's list of statuses does not tell about this message".to_owned());
            return self.repeat_or_end(step, alone, &Reply { problem, retry_after, ..Reply::default() });
        };
        let response = Response { status, body, ..whole };
        let told = Reply { response: Some(response.clone()), retry_after, ..Reply::default() };
        match self.verdict(&Answer::Answered { response: response.clone(), evidence: Default::default() }, 1) {
            Verdict::Delivered => {
                self.conversation_lives(entry_id);
                self.succeed(step, entry_id, carrier, response);
            }
            Verdict::Transient => self.retry(step, alone, &told),
            Verdict::Ambiguous => self.repeat_or_end(step, alone, &told),
            // The request was authorized, so it is this message that isn't; what was throttled doesn't come here.
            Verdict::Rejected | Verdict::Unauthorized | Verdict::Throttled => {
                self.end(step, alone, Reason::Rejected, &told)
            }
        }
    }

    /// Some messages of a part go again, each by its lane: so must the parts behind it, which may hold later messages
    /// of the same conversations.
    fn disband(&mut self, step: &mut Step<'_>, batch: Batch) {
        for entry_id in batch.into_rest().into_iter().rev() {
            if !self.end_if_due(step, entry_id) {
                self.unpark(entry_id);
            }
        }
    }
}
