//! Cold messages come back into memory when their turn is near.

use super::drains::Epoch;
use super::outbox::{Course, Entry, State};
use super::{Dispatcher, Effect};
use crate::clock::Timestamp;
use crate::error::{Error, Trouble};
use crate::lanes::{LaneId, Slot};
use crate::message::Cargo;
use crate::outcome::Reason;
use crate::settings::BatchMode;
use crate::store::{Record, Seq};

/// Messages that are asked for together: so many fit between two looks at the disk, even at full speed.
const AHEAD_MAX: usize = 256;
/// So many turns are taken before the next ones are looked up.
const TURNS_PER_LOOK: u32 = 64;

impl Dispatcher {
    /// Whether the message has to be loaded before it can go; asks for it, and for those behind it, then.
    pub(super) fn must_load(&mut self, slot: Slot, effects: &mut Vec<Effect>) -> bool {
        let cold = self.outbox.cold(slot).is_some();
        if cold {
            self.load_ahead(Some(slot), effects);
        }
        cold
    }

    /// Called for every turn: asks now and then for messages whose turn is near, so that none of them has to wait.
    pub(super) fn look_ahead(&mut self, effects: &mut Vec<Effect>) {
        self.turns_to_look = self.turns_to_look.saturating_sub(1);
        if self.turns_to_look == 0 && self.outbox.has_cold() {
            self.load_ahead(None, effects);
        }
    }

    /// Asks for what is near, and for the one whose turn it is: now and then that is one of a lower priority, behind all others.
    fn load_ahead(&mut self, turn: Option<Slot>, effects: &mut Vec<Effect>) {
        self.turns_to_look = TURNS_PER_LOOK;
        let together = if self.settings.batch.mode == BatchMode::None { 1 } else { self.batch_limits.messages() };
        let depth = (AHEAD_MAX / self.lanes.offering().max(1)).max(together);
        let near: Vec<Slot> = turn.into_iter().chain(self.lanes.near(depth).take(AHEAD_MAX)).collect();
        let wanted = near.into_iter().filter_map(|slot| Some((slot, self.begin_load(slot)?)));
        let wanted: Vec<(Slot, Seq)> = wanted.collect();
        if !wanted.is_empty() {
            effects.push(Effect::Load(wanted));
        }
    }

    /// Asks for this one.
    pub(super) fn load_one(&mut self, slot: Slot, effects: &mut Vec<Effect>) {
        effects.extend(self.begin_load(slot).map(|seq| Effect::Load(vec![(slot, seq)])));
    }

    fn begin_load(&mut self, slot: Slot) -> Option<Seq> {
        let seq = self.outbox.cold(slot)?.seq;
        self.outbox.begin_load(slot).then_some(seq)
    }

    /// A message that was asked for is here; or it can't be read, and stays in the store for a repair.
    pub(super) fn loaded(
        &mut self,
        now: Timestamp,
        slot: Slot,
        seq: Seq,
        record: Option<Box<Record>>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(cold) = self.outbox.cold(slot).copied().filter(|cold| cold.seq == seq) else { return };
        let Some(record) = record else { return self.unreadable(slot, effects) };
        let (entry, course) = recovered(now, *record, cold.lane, cold.epoch);
        self.outbox.warm(slot, entry, Course { expires_at: cold.expires_at, ..course });
        if cold.expires_at.is_some_and(|at| at <= now) {
            self.expire(now, slot, effects);
        } else {
            self.bury_if_astray(now, slot, effects);
        }
    }

    /// A message of an earlier run, with another route, may have no path in this one: then it can't be sent. Whether it is so.
    pub(super) fn bury_if_astray(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) -> bool {
        let Cargo::Message(message) = &self.outbox.get(slot).cargo else { return false };
        let Err(problem) = self.settings.route.check_path(message) else { return false };
        let reason = if self.outbox.course(slot).ambiguous { Reason::Ambiguous } else { Reason::Rejected };
        self.bury(now, slot, reason, None, Some(problem.to_string()), effects);
        true
    }

    fn unreadable(&mut self, slot: Slot, effects: &mut Vec<Effect>) {
        let Some(cold) = self.outbox.remove_cold(slot) else { return };
        self.lanes.remove(cold.lane, slot, &self.outbox);
        self.timers.forget(slot);
        self.drains.leave(cold.epoch);
        for follower in self.followers.remove(&slot).unwrap_or_default() {
            let problem = "the store can't read this message: it stays in the file for a repair".to_owned();
            effects.push(Effect::Failed(follower.ticket, Error::Store { trouble: Trouble::Corrupt, problem }));
        }
        self.unreadable += 1;
        self.tell_if_empty(effects);
    }
}

/// A message as the store has it; its lane and its epoch are this run's. The clock may have been put back since it was submitted.
pub(super) fn recovered(now: Timestamp, record: Record, lane: LaneId, epoch: Epoch) -> (Entry, Course) {
    let mut entry = Entry::new(Cargo::Message(record.message), record.seq, record.submitted_at.min(now));
    entry.priority = record.priority;
    entry.lane = lane;
    entry.epoch = epoch;
    entry.state = State::Queued;
    let course = Course {
        attempts: record.attempts,
        ambiguous: record.ambiguous || record.sent,
        first_attempt_at: record.first_attempt_at,
        expires_at: record.expires_at,
        not_before: record.not_before,
        ..Course::NONE
    };
    (entry, course)
}
