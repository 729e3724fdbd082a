//! What the store gives back: a cold message that is in memory again, or that can't be read.

use super::drains::Epoch;
use super::outbox::{Cold, Course, Entry};
use super::{Dispatcher, Effect, Notice};
use crate::clock::Timestamp;
use crate::error::{Error, Trouble};
use crate::lanes::{LaneId, Slot};
use crate::message::Cargo;
use crate::outcome::{DeliveryFailure, Reason};
use crate::store::{Loaded, Record, Unreadable};

const STAYS: &str = "it stays in the store for a repair";

impl Dispatcher {
    /// Messages that were asked for are here; or can't be read, and stay in the store for a repair.
    pub(super) fn loaded(&mut self, now: Timestamp, messages: Vec<Loaded>, effects: &mut Vec<Effect>) {
        let mut nameless = 0;
        for (slot, seq, outcome) in messages {
            let Some(cold) = self.outbox.cold(slot).copied().filter(|cold| cold.seq == seq) else { continue };
            match outcome {
                Ok(record) => self.warm(now, slot, &cold, *record, effects),
                Err(Unreadable { id }) => {
                    // What seems to be its id may be another one's.
                    let id = id.filter(|id| self.outbox.key_of(id) == cold.key);
                    nameless += u64::from(id.is_none());
                    self.give_up_unreadable(slot, &cold, id, effects);
                }
            }
        }
        if nameless > 0 {
            let problem = format!(
                "messages could not be read from the store and were not sent: {nameless}. Their ids are unknown"
            );
            effects.push(Effect::Notice(Notice::Outage { reason: "store", problem, open: false }));
        }
        self.tell_if_empty(effects);
    }

    fn warm(&mut self, now: Timestamp, slot: Slot, cold: &Cold, record: Record, effects: &mut Vec<Effect>) {
        let (entry, course) = recovered(now, record, cold.lane, cold.epoch);
        self.outbox.warm(slot, entry, Course { expires_at: cold.expires_at, ..course });
        if cold.expires_at.is_some_and(|at| at <= now) {
            self.expire(now, slot, effects);
        } else {
            self.bury_if_astray(now, slot, effects);
        }
    }

    /// A message of an earlier run, with another route, may have no path in this one: then it can't be sent. Whether it
    /// is so.
    pub(super) fn bury_if_astray(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) -> bool {
        let Cargo::Message(message) = &self.outbox.get(slot).cargo else { return false };
        let Err(problem) = self.settings.route.check_path(message) else { return false };
        let reason = if self.outbox.course(slot).ambiguous { Reason::Ambiguous } else { Reason::Rejected };
        self.bury(now, slot, reason, None, Some(problem.to_string()), effects);
        true
    }

    /// It is told as given up, but is no dead letter: nothing of it is in memory that could be sent again.
    fn give_up_unreadable(&mut self, slot: Slot, cold: &Cold, id: Option<Box<str>>, effects: &mut Vec<Effect>) {
        let conversation = self.lanes.conversation(cold.lane).map_or_else(Box::default, |name| Box::from(&**name));
        self.outbox.remove_cold(slot);
        self.lanes.remove(cold.lane, slot, cold.seq, &self.outbox);
        self.timers.forget(slot);
        self.drains.leave(cold.epoch);
        for follower in self.followers.take(slot) {
            let problem = format!("the store can't read this message: {STAYS}");
            effects.push(Effect::Failed(follower.ticket, Error::Store { trouble: Trouble::Corrupt, problem }));
        }
        self.unreadable += 1;
        if id.is_some() {
            let failure = DeliveryFailure {
                reason: Reason::Unreadable,
                id,
                response: None,
                attempts: 0,
                ambiguous: false,
                problem: Some(STAYS.to_owned()),
            };
            self.counters.dead_letters += 1;
            effects.push(Effect::Buried { waiter: None, conversation, failure });
        }
    }
}

/// A message as the store has it; its lane and its epoch are this run's. The clock may have been put back since it was
/// submitted.
pub(super) fn recovered(now: Timestamp, record: Record, lane: LaneId, epoch: Epoch) -> (Entry, Course) {
    let mut entry = Entry::new(Cargo::Message(record.message), record.seq, record.submitted_at.min(now));
    entry.priority = record.priority;
    entry.lane = lane;
    entry.epoch = epoch;
    let course = Course {
        attempts: record.attempts,
        ambiguous: record.ambiguous || record.sent,
        first_attempt_at: record.first_attempt_at,
        expires_at: record.expires_at,
        not_before: record.not_before,
        ..Course::NONE
    };
    (entry.into_queued(), course)
}
