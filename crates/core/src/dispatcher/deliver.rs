//! A 2xx: a receipt for each message, unless the answer lists other fates.

use std::time::Duration;

use super::attempts::Attempt;
use super::ends::Trip;
use super::load::{Load, Members};
use super::settle::Told;
use super::{Dispatcher, Effect};
use crate::batcher::{Item, read_items};
use crate::clock::Timestamp;
use crate::lanes::Slot;
use crate::outcome::{Reason, Response};
use crate::retry::{Answer, Verdict};

const MULTI_STATUS: u16 = 207;
/// The limit's, be it of a whole array or of a message of it.
pub(super) const TOO_MANY: u16 = 429;

impl Dispatcher {
    /// What a list of statuses says about each message of an array; none for any other answer.
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
        now: Timestamp,
        (attempt, left_at): (Attempt, Timestamp),
        told: Told,
        items: Option<Vec<Option<Item>>>,
        effects: &mut Vec<Effect>,
    ) {
        let Told { response, retry_after, .. } = told;
        let Some(response) = response else { unreachable!("only an answer says that a message is delivered") };
        let Attempt { load, bytes, .. } = attempt;
        self.batch_limits.passed(load.members.len(), bytes);
        let trip = Trip { batch_size: load.size(), left_at };
        let mut throttled = Members::new();
        // The last one takes the response itself: mostly there is one.
        let responses = std::iter::repeat_n(response, load.members.len());
        for ((index, slot), response) in load.members.iter().enumerate().zip(responses) {
            match items.as_ref().map(|items| items.get(index).cloned().flatten()) {
                None => {
                    self.conversation_lives(*slot);
                    self.succeed(now, *slot, trip, response, effects);
                }
                Some(Some(item)) if item.status == TOO_MANY => throttled.push(*slot),
                Some(item) => self.deliver_item(now, *slot, trip, item, (response, retry_after), effects),
            }
        }
        if !throttled.is_empty() {
            self.keep_places(now, Load::of(throttled), effects);
        }
        if load.members.iter().any(|slot| self.outbox.has(*slot)) {
            self.disband(now, load, effects);
        } else {
            self.bind_next(load);
        }
    }

    /// A message that the list says nothing certain about has an unknown outcome.
    fn deliver_item(
        &mut self,
        now: Timestamp,
        slot: Slot,
        trip: Trip,
        item: Option<Item>,
        (whole, retry_after): (Response, Option<Duration>),
        effects: &mut Vec<Effect>,
    ) {
        let alone = Load::of_one(slot);
        let Some(Item { status, body }) = item else {
            let problem = Some("the answer's list of statuses does not tell about this message".to_owned());
            return self.repeat_or_end(now, alone, &Told { problem, retry_after, ..Told::default() }, effects);
        };
        let response = Response { status, body, ..whole };
        let told = Told { response: Some(response.clone()), retry_after, ..Told::default() };
        match self.verdict(&Answer::Answered { response: response.clone(), evidence: Default::default() }, 1) {
            Verdict::Delivered => {
                self.conversation_lives(slot);
                self.succeed(now, slot, trip, response, effects);
            }
            Verdict::Transient => self.retry(now, alone, &told, effects),
            Verdict::Ambiguous => self.repeat_or_end(now, alone, &told, effects),
            // The request was authorized, so it is this message that isn't; what was throttled doesn't come here.
            Verdict::Rejected | Verdict::Unauthorized | Verdict::Throttled => {
                self.end(now, alone, Reason::Rejected, &told, effects)
            }
        }
    }

    /// Some messages of a part go again, each by its lane: so must the parts behind it, which may hold later messages
    /// of the same conversations.
    fn disband(&mut self, now: Timestamp, load: Load, effects: &mut Vec<Effect>) {
        for slot in load.into_rest().into_iter().rev() {
            if !self.end_if_due(now, slot, effects) {
                self.unpark(slot);
            }
        }
    }
}
