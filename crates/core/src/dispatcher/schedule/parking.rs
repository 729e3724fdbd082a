//! What doesn't wait in its lane: messages with a scheduled time, batches that are kept together, retries that are yet
//! to be paid for.

use crate::clock::Timestamp;
use crate::dispatcher::Dispatcher;
use crate::dispatcher::outbox::{DeliveryState, Parking, State};
use crate::dispatcher::schedule::batch::Batch;
use crate::dispatcher::schedule::timers::Timer;
use crate::lanes::EntryId;
use crate::message::Payload;

impl Dispatcher {
    /// A retry is paid for once, however long it waits for the budget afterwards.
    pub(in crate::dispatcher) fn pay_for_retry(&mut self, now: Timestamp, entry_id: EntryId) -> Result<(), Timestamp> {
        let DeliveryState { attempts, retry_paid, .. } = *self.outbox.delivery_state(entry_id);
        if attempts > 0 && !retry_paid {
            self.health.pay_for_retry(now, self.outbox.get(entry_id).route)?;
            self.outbox.delivery_state_mut(entry_id).retry_paid = true;
        }
        Ok(())
    }

    /// A head that waits for a time of its own leaves its lane until then; a retry without retry budget joins the line
    /// of its route, unless the request that it would join is `paid` for.
    pub(in crate::dispatcher) fn park_if_early(&mut self, now: Timestamp, entry_id: EntryId, paid: bool) -> bool {
        let delivery_state = self.outbox.delivery_state(entry_id);
        let is_first_attempt = delivery_state.attempts == 0;
        match delivery_state.not_before {
            Some(at) if at > now => {
                self.lanes.take(&self.outbox);
                self.park(entry_id, at, Parking::NotBefore);
                true
            }
            _ if paid || is_first_attempt => false,
            _ => match self.pay_for_retry(now, entry_id) {
                Ok(()) => false,
                Err(at) => {
                    self.lanes.take(&self.outbox);
                    self.line_up(entry_id);
                    // The lines were released before: without this, nothing would look at this one again.
                    self.look_again(at);
                    true
                }
            },
        }
    }

    pub(in crate::dispatcher) fn park(&mut self, entry_id: EntryId, until: Timestamp, why: Parking) {
        self.outbox.set_state(entry_id, State::Parked(why));
        self.outbox.delivery_state_mut(entry_id).parked_until = Some(until);
        self.timers.set(until, Timer::Unpark(entry_id));
        self.unload_beyond_window(entry_id);
    }

    pub(in crate::dispatcher) fn unpark(&mut self, entry_id: EntryId) {
        self.outbox.set_state(entry_id, State::Queued);
        let entry = self.outbox.get(entry_id);
        let (lane, item, is_call) = (entry.lane, entry.item(entry_id), matches!(entry.payload, Payload::Call(_)));
        self.lanes.put_back(lane, item, &self.outbox);
        if is_call && self.is_out() {
            self.held_calls.watch(entry_id);
        }
        self.unload_beyond_window(entry_id);
    }

    /// Keeps a batch together until it may go again.
    pub(in crate::dispatcher) fn park_batch(&mut self, batch: Batch, until: Timestamp) {
        self.bind(&batch);
        if batch.is_frozen() && batch.following() == 0 {
            batch.members.iter().for_each(|entry_id| self.unload_beyond_window(*entry_id));
        }
        let number = self.bound.park(batch);
        self.timers.set(until, Timer::Release(number));
    }

    /// What waits for its next attempt waits no longer than what is shut: its own time said something of a server that
    /// somebody wants to be asked again.
    pub(in crate::dispatcher) fn end_backoffs(&mut self, now: Timestamp) {
        let is_retry = |timer: Timer| match timer {
            Timer::Unpark(entry_id) => self.outbox.get(entry_id).state() == State::Parked(Parking::Retry),
            timer => matches!(timer, Timer::Release(_)),
        };
        let waiting = self.timers.matching(is_retry);
        for (at, timer) in waiting.into_iter().filter(|(at, _)| *at > now) {
            self.timers.clear(at, timer);
            self.timers.set(now, timer);
            if let Timer::Unpark(entry_id) = timer {
                self.outbox.delivery_state_mut(entry_id).parked_until = Some(now);
            }
        }
    }

    pub(in crate::dispatcher) fn bind(&mut self, batch: &Batch) {
        for entry_id in batch.all() {
            self.outbox.set_state(entry_id, State::Bound);
        }
    }

    /// Bytes of bodies that are in memory and not on the wire.
    pub(in crate::dispatcher) fn bytes_beside_wire(&self) -> usize {
        let (_, hot_bytes) = self.outbox.hot();
        hot_bytes.saturating_sub(self.attempts.bytes_in_flight())
    }

    /// Called for a message that goes on waiting, after an attempt or for a time of its own. Beyond the window for
    /// those, its body waits in the store: while the messages at the front fail, others follow them, and each would
    /// leave its body in memory.
    pub(in crate::dispatcher) fn unload_beyond_window(&mut self, entry_id: EntryId) {
        let is_beyond = self.window.is_exceeded_by_waiting(self.bytes_beside_wire());
        if self.standing.is_durable() && is_beyond && self.outbox.may_unload(entry_id) {
            self.outbox.unload(entry_id);
        }
    }

    /// A message that isn't to be sent yet; a retry rides along where another one of the batch has paid.
    pub(in crate::dispatcher) fn is_early(&self, now: Timestamp, entry_id: EntryId, paid: bool) -> bool {
        let delivery_state = self.outbox.delivery_state(entry_id);
        delivery_state.not_before.is_some_and(|at| at > now)
            || (delivery_state.attempts > 0 && !delivery_state.retry_paid && !paid)
    }

    /// What was split from the same batch goes on.
    pub(in crate::dispatcher) fn bind_next(&mut self, batch: Batch) {
        if let Some(next) = batch.next() {
            self.bound.push_last(next);
        }
    }

    /// It was taken from its lane, and joins the line of its route.
    pub(in crate::dispatcher) fn line_up(&mut self, entry_id: EntryId) {
        self.outbox.set_state(entry_id, State::Parked(Parking::Line));
        let entry = self.outbox.get(entry_id);
        let (route, seq) = (entry.route, entry.seq);
        self.health.line_up(route, (entry_id, seq));
        self.unload_beyond_window(entry_id);
    }
}
