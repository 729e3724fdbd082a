//! What the store gives back: a cold message, or a body, that is in memory again, or that can't be read.

use crate::clock::Timestamp;
use crate::dispatcher::outbox::{Cold, DeliveryState, Entry, Promise, State, StoredBody};
use crate::dispatcher::schedule::drains::Epoch;
use crate::dispatcher::{Dispatcher, Effect, Notice, Step};
use crate::error::{Error, StoreErrorKind};
use crate::lanes::{EntryId, LaneId};
use crate::message::Payload;
use crate::outcome::{DeliveryFailure, Reason};
use crate::store::{Loaded, Record, Unreadable};

const STAYS: &str = "it stays in the store for a repair";

impl Dispatcher {
    /// Messages that were asked for are here; or can't be read, and stay in the store for a repair.
    pub(in crate::dispatcher) fn loaded(&mut self, step: &mut Step<'_>, messages: Vec<Loaded>) {
        let mut nameless = 0;
        for (entry_id, seq, outcome) in messages {
            if self.outbox.is_unloaded(entry_id, seq) {
                match outcome {
                    Ok(record) => self.reload(step, entry_id, *record),
                    Err(_) => self.give_up_unloaded(entry_id, step.effects),
                }
                continue;
            }
            let Some(cold) = self.outbox.cold(entry_id).copied().filter(|cold| cold.seq == seq) else { continue };
            match outcome {
                Ok(record) => self.warm(step, entry_id, &cold, *record),
                Err(Unreadable { id }) => {
                    // What seems to be its id may be another one's.
                    let id = id.filter(|id| self.outbox.key_of(id) == cold.key);
                    nameless += u64::from(id.is_none());
                    self.give_up_unreadable(entry_id, &cold, id, step.effects);
                }
            }
        }
        if nameless > 0 {
            let problem = format!(
                "messages could not be read from the store and were not sent: {nameless}. Their ids are unknown"
            );
            step.effects.push(Effect::Notice(Notice::Outage { reason: "store", problem, open: false }));
        }
        self.tell_if_empty(step.effects);
    }

    fn warm(&mut self, step: &mut Step<'_>, entry_id: EntryId, cold: &Cold, record: Record) {
        let (entry, delivery_state) = recovered(step.now, record, cold.lane, cold.epoch);
        self.outbox.warm(entry_id, entry, DeliveryState { expires_at: cold.expires_at, ..delivery_state });
        if cold.expires_at.is_some_and(|at| at <= step.now) {
            self.expire(step, entry_id);
        } else {
            self.bury_if_astray(step, entry_id);
        }
    }

    /// The body is here; what was to end without it ends now.
    fn reload(&mut self, step: &mut Step<'_>, entry_id: EntryId, record: Record) {
        let is_here = self.outbox.reload(entry_id, record.seq, record.message);
        debug_assert!(is_here, "it was looked at just now");
        if self.outbox.delivery_state(entry_id).expires_at.is_some_and(|at| at <= step.now) {
            self.expire(step, entry_id);
        } else {
            self.bury_if_astray(step, entry_id);
        }
    }

    /// A message of an earlier run, with another route, may have no path in this one: then it can't be sent. Whether it
    /// was buried for that; without its body it is when that is here.
    pub(in crate::dispatcher) fn bury_if_astray(&mut self, step: &mut Step<'_>, entry_id: EntryId) -> bool {
        let Payload::Message(message) = &self.outbox.get(entry_id).payload else { return false };
        let Err(problem) = self.settings.route.check_path(message) else { return false };
        if !self.outbox.is_loaded(entry_id) {
            self.load_one(entry_id, step.effects);
            return false;
        }
        let reason = if self.outbox.delivery_state(entry_id).ambiguous { Reason::Ambiguous } else { Reason::Rejected };
        self.bury(step, entry_id, reason, None, Some(problem.to_string()));
        true
    }

    /// It is told as given up, but is no dead letter: nothing of it is in memory that could be sent again.
    fn give_up_unreadable(&mut self, entry_id: EntryId, cold: &Cold, id: Option<Box<str>>, effects: &mut Vec<Effect>) {
        let conversation = self.lanes.conversation(cold.lane).map_or_else(Box::default, |name| Box::from(&**name));
        self.outbox.remove_cold(entry_id);
        self.lanes.remove(cold.lane, entry_id, cold.seq, &self.outbox);
        self.timers.forget(entry_id);
        self.drains.leave(cold.epoch);
        let followers = self.followers.take(entry_id);
        self.tell_unreadable(conversation, (id, 0, false), followers, effects);
    }

    /// The same of a message of which only the body was to be loaded.
    fn give_up_unloaded(&mut self, entry_id: EntryId, effects: &mut Vec<Effect>) {
        if self.outbox.get(entry_id).state() == State::Bound && !self.unbind(entry_id) {
            // The server may know its batch, which can't be repeated without it: then it isn't.
            self.disband_around(entry_id);
        }
        let DeliveryState { attempts, ambiguous, .. } = *self.outbox.delivery_state(entry_id);
        let payload = &self.outbox.get(entry_id).payload;
        let Payload::Message(message) = payload else { unreachable!("only messages are unloaded") };
        let (conversation, id) = (message.conversation().into(), message.id().into());
        let followers = self.remove(entry_id).followers;
        self.tell_unreadable(conversation, (Some(id), attempts, ambiguous), followers, effects);
    }

    /// The other messages of a batch that is repeated go by their lanes.
    fn disband_around(&mut self, entry_id: EntryId) {
        let batch = self.bound.take_with(entry_id);
        let others: Vec<EntryId> = batch.all().filter(|other| *other != entry_id).collect();
        others.into_iter().rev().for_each(|one| self.unpark(one));
    }

    fn tell_unreadable(
        &mut self,
        conversation: Box<str>,
        (id, attempts, ambiguous): (Option<Box<str>>, u32, bool),
        followers: Vec<Promise>,
        effects: &mut Vec<Effect>,
    ) {
        for follower in followers {
            let problem = format!("the store can't read this message: {STAYS}");
            effects.push(Effect::Failed(follower.ticket, Error::Store { kind: StoreErrorKind::Corrupt, problem }));
        }
        self.standing.count_unreadable();
        if id.is_some() {
            let failure = DeliveryFailure {
                reason: Reason::Unreadable,
                id,
                response: None,
                attempts,
                ambiguous,
                problem: Some(STAYS.to_owned()),
            };
            self.counters.dead_letters += 1;
            effects.push(Effect::Buried { waiter: None, conversation, failure });
        }
    }
}

/// A message as the store has it; its lane and its epoch are this run's. The clock may have been put back since it was
/// submitted.
pub(in crate::dispatcher) fn recovered(
    now: Timestamp,
    record: Record,
    lane: LaneId,
    epoch: Epoch,
) -> (Entry, DeliveryState) {
    let mut entry = Entry::new(Payload::Message(record.message), record.seq, record.submitted_at.min(now));
    entry.priority = record.priority;
    entry.lane = lane;
    entry.epoch = epoch;
    let delivery_state = DeliveryState {
        attempts: record.attempts,
        ambiguous: record.ambiguous || record.sent,
        first_attempt_at: record.first_attempt_at,
        expires_at: record.expires_at,
        not_before: record.not_before,
        stored_body: record.body_bytes.map(StoredBody::new),
        ..DeliveryState::NONE
    };
    (entry.into_queued(), delivery_state)
}
