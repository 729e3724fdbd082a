//! A 2xx: a receipt for each message, unless the answer lists other fates.

use std::time::Duration;

use super::attempts::Attempt;
use super::ends::Trip;
use super::load::{Load, Members};
use super::settle::Told;
use super::{Dispatcher, Step};
use crate::batcher::{Item, read_items};
use crate::clock::Timestamp;
use crate::lanes::Slot;
use crate::outcome::{Reason, Response};
use crate::retry::{Answer, Verdict};

const MULTI_STATUS: u16 = 207;
/// The limit's, be it of a whole array or of a message of it.
pub(super) const TOO_MANY: u16 = 429;

impl Dispatcher {
    /// What a list of statuses says about each message of an array; `None` for any other answer.
    pub(super) fn items(&self, load: &Load, answer: &Answer) -> Option<Vec<Option<Item>>> {
        let Answer::Answered { response, .. } = answer else { return None };
        if !self.settings.route.is_array() || response.truncated {
            return None;
        }
        let ids: Vec<&str> = load.members.iter().filter_map(|slot| self.outbox.get(*slot).cargo.id()).collect();
        if ids.len() < load.members.len() {
            return None;
        }
        // A 207 says that there is a status for each, so without them nothing is certain.
        let unread = || (response.status == MULTI_STATUS).then(|| vec![None; ids.len()]);
        read_items(&response.body, &ids).or_else(unread)
    }

    /// One status for all, or one for each message of an array.
    pub(super) fn deliver(
        &mut self,
        step: &mut Step<'_>,
        (attempt, left_at): (Attempt, Timestamp),
        told: Told,
        items: Option<Vec<Option<Item>>>,
    ) {
        let Told { response, retry_after, .. } = told;
        let Some(response) = response else { unreachable!("only an answer says that a message is delivered") };
        let Attempt { load, bytes, .. } = attempt;
        self.batching.passed(load.members.len(), bytes);
        let trip = Trip { batch_size: load.size(), left_at };
        // The last one takes the response itself: mostly there is one.
        let responses = std::iter::repeat_n(response, load.members.len());
        let members = load.members.iter().zip(responses);
        let Some(items) = items else {
            for (slot, response) in members {
                self.conversation_lives(*slot);
                self.succeed(step, *slot, trip, response);
            }
            return self.bind_next(load);
        };
        debug_assert_eq!(items.len(), load.members.len(), "each message has its place in the list");
        let mut throttled = Members::new();
        for ((slot, response), item) in members.zip(items) {
            match item {
                Some(item) if item.status == TOO_MANY => throttled.push(*slot),
                item => self.deliver_item(step, *slot, trip, item, (response, retry_after)),
            }
        }
        if !throttled.is_empty() {
            self.keep_places(step, Load::of(throttled));
        }
        if load.members.iter().any(|slot| self.outbox.has(*slot)) {
            self.disband(step, load);
        } else {
            self.bind_next(load);
        }
    }

    /// A message that the list says nothing certain about has an unknown outcome.
    fn deliver_item(
        &mut self,
        step: &mut Step<'_>,
        slot: Slot,
        trip: Trip,
        item: Option<Item>,
        (whole, retry_after): (Response, Option<Duration>),
    ) {
        let alone = Load::of_one(slot);
        let Some(Item { status, body }) = item else {
            let problem = Some("the answer's list of statuses does not tell about this message".to_owned());
            return self.repeat_or_end(step, alone, &Told { problem, retry_after, ..Told::default() });
        };
        let response = Response { status, body, ..whole };
        let told = Told { response: Some(response.clone()), retry_after, ..Told::default() };
        match self.verdict(&Answer::Answered { response: response.clone(), evidence: Default::default() }, 1) {
            Verdict::Delivered => {
                self.conversation_lives(slot);
                self.succeed(step, slot, trip, response);
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
    fn disband(&mut self, step: &mut Step<'_>, load: Load) {
        for slot in load.into_rest().into_iter().rev() {
            if !self.end_if_due(step, slot) {
                self.unpark(slot);
            }
        }
    }
}
