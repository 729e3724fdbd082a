//! What an earlier run left in the store, taken in before anything else happens.

use crate::dispatcher::outbox::{Cold, DeliveryState, State};
use crate::dispatcher::persistence::loaded::recovered;
use crate::dispatcher::schedule::batch::Batch;
use crate::dispatcher::schedule::timers::Timer;
use crate::dispatcher::{Dispatcher, Effect, Notice, Step};
use crate::lanes::EntryId;
use crate::outcome::Reason;
use crate::settings::Ambiguous;
use crate::store::{Change, Opening, Record, Row, Waiting};
use crate::totals::Amount;

impl Dispatcher {
    /// Takes in what the store found: messages in the order of their acceptance, but for those of a damaged file whose
    /// rows stood in the wrong place.
    pub(in crate::dispatcher) fn found(&mut self, step: &mut Step<'_>, rows: Vec<Row>) {
        for row in rows {
            match row {
                Row::Waiting(waiting) => self.found_waiting(waiting),
                Row::Started(record) => {
                    self.found_started(step, *record);
                }
                Row::Letter(letter) => {
                    // Those of the file stay, however much others hold.
                    self.letters.add(*letter, Amount { count: usize::MAX, bytes: usize::MAX });
                }
                Row::Settled(settled) => {
                    self.recent.remember(settled.at, &settled.id, settled.status, settled.attempts, usize::MAX);
                }
            }
        }
    }

    /// Nobody in this run waits for it, so it can wait cold.
    fn found_waiting(&mut self, waiting: Waiting) {
        self.standing.count_recovered();
        let Waiting { seq, id, conversation, bytes, priority, expires_at } = waiting;
        let (lane, key) = (self.lanes.of_conversation(&conversation.into()), self.outbox.key_of(&id));
        let epoch = self.drains.enter();
        let cold = Cold { seq, key, epoch, expires_at, lane, bytes, priority, loading: false };
        let entry_id = self.outbox.insert_cold(cold);
        self.lanes.push_in_order(lane, cold.item(entry_id), &self.outbox);
        if let Some(at) = expires_at {
            self.timers.set(at, Timer::Expire(entry_id));
        }
    }

    /// It was sent. If no answer to it is on record, its outcome is unknown, and the setting decides.
    pub(in crate::dispatcher) fn found_started(&mut self, step: &mut Step<'_>, mut record: Record) -> EntryId {
        self.standing.count_recovered();
        let Record { seq, sent, batch, .. } = record;
        let lane = self.lanes.join(&mut record.message);
        let (entry, delivery_state) = recovered(step.now, record, lane, self.drains.enter());
        let DeliveryState { attempts, first_attempt_at, ambiguous, expires_at, .. } = delivery_state;
        debug_assert!(
            delivery_state.stored_body.is_none() || (batch.is_none() && !sent),
            "those may have to end, or be compared"
        );
        let entry_id = self.outbox.insert(entry, delivery_state);
        if let Some(at) = expires_at {
            self.timers.set(at, Timer::Expire(entry_id));
        }
        if sent && self.settings.retry.ambiguous == Ambiguous::Fail {
            self.lanes.push_in_order(lane, self.outbox.get(entry_id).item(entry_id), &self.outbox);
            // Its letter is newer than those that are still to be read, and the outbox isn't empty before all is told.
            self.earlier_run.add_unanswered(entry_id);
            return entry_id;
        }
        if sent {
            // It isn't on the wire any more: what is saved next won't say that it was.
            self.keep(Change::Return { seq, attempts, first_attempt_at, ambiguous, batch }, step.effects);
        }
        if let Some(batch) = batch {
            self.lanes.hold(lane);
            self.outbox.set_state(entry_id, State::Bound);
            // Places rise by one, whatever the order of acceptance was.
            self.earlier_run.add_member(batch, entry_id);
        } else {
            self.lanes.push_in_order(lane, self.outbox.get(entry_id).item(entry_id), &self.outbox);
            self.unload_beyond_window(entry_id);
        }
        entry_id
    }

    /// All is told: batches are put together again, and the budget goes on where it was.
    pub(in crate::dispatcher) fn opened(&mut self, step: &mut Step<'_>, opening: &Opening) {
        self.accepted = self.accepted.max(opening.last_seq);
        self.earlier_run.ended_at(opening.last_seq);
        if let Some(problem) = self.standing.salvaged(&opening.salvage) {
            step.effects.push(Effect::Notice(Notice::Outage { reason: "store", problem, open: false }));
        }
        self.put_batches_together();
        self.restore(step, opening);
        let mut any_buried = self.bury_unanswered(step, "the process ended before the answer came");
        let started: Vec<EntryId> = self.outbox.hot_slots().collect();
        for entry_id in started {
            any_buried |= self.bury_if_astray(step, entry_id);
        }
        // Whoever buries the last one tells so.
        if !any_buried {
            self.tell_if_empty(step.effects);
        }
    }

    /// Batches whose members are all told are to be repeated as they were.
    pub(in crate::dispatcher) fn put_batches_together(&mut self) {
        for members in self.earlier_run.take_batches() {
            if self.make_one_request(&members) {
                members.iter().for_each(|entry_id| self.unload_beyond_window(*entry_id));
                self.bound.push_last(Batch::of(members.into()).freeze());
            } else {
                // With another route or mode it can't be repeated as it was: each goes by itself, and may arrive twice.
                members.into_iter().rev().for_each(|entry_id| self.unpark(entry_id));
            }
        }
    }

    /// Ends messages that were on the wire and must not be sent again. Whether there were any.
    pub(in crate::dispatcher) fn bury_unanswered(&mut self, step: &mut Step<'_>, problem: &str) -> bool {
        let unanswered = self.earlier_run.take_unanswered();
        let any = !unanswered.is_empty();
        for entry_id in unanswered {
            self.bury(step, entry_id, Reason::Ambiguous, None, Some(problem.to_owned()));
        }
        any
    }
}
