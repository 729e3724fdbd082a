//! What doesn't wait in its lane: messages with a scheduled time, batches that are kept together, retries that are yet
//! to be paid for.

use super::Dispatcher;
use super::load::Load;
use super::outbox::{Course, Parking, State};
use super::timers::Timer;
use crate::clock::Timestamp;
use crate::lanes::Slot;
use crate::message::Cargo;

impl Dispatcher {
    /// A retry is paid for once, however long it waits for the budget afterwards.
    pub(super) fn pay_for_retry(&mut self, now: Timestamp, slot: Slot) -> Result<(), Timestamp> {
        let Course { attempts, retry_paid, .. } = *self.outbox.course(slot);
        if attempts > 0 && !retry_paid {
            self.health.pay_for_retry(now, self.outbox.get(slot).route)?;
            self.outbox.course_mut(slot).retry_paid = true;
        }
        Ok(())
    }

    /// A head that waits for a time of its own leaves its lane until then; a retry without retry budget joins the line
    /// of its route, unless the request that it would join is `paid` for.
    pub(super) fn park_if_early(&mut self, now: Timestamp, slot: Slot, paid: bool) -> bool {
        let course = self.outbox.course(slot);
        let is_first_attempt = course.attempts == 0;
        match course.not_before {
            Some(at) if at > now => {
                self.lanes.take(&self.outbox);
                self.park(slot, at, Parking::NotBefore);
                true
            }
            _ if paid || is_first_attempt => false,
            _ => match self.pay_for_retry(now, slot) {
                Ok(()) => false,
                Err(at) => {
                    self.lanes.take(&self.outbox);
                    self.line_up(slot);
                    // The lines were released before: without this, nothing would look at this one again.
                    self.look_again(at);
                    true
                }
            },
        }
    }

    pub(super) fn park(&mut self, slot: Slot, until: Timestamp, why: Parking) {
        self.outbox.set_state(slot, State::Parked(why));
        self.outbox.course_mut(slot).parked_until = Some(until);
        self.timers.set(until, Timer::Unpark(slot));
        self.unload_beyond_window(slot);
    }

    pub(super) fn unpark(&mut self, slot: Slot) {
        self.outbox.set_state(slot, State::Queued);
        let entry = self.outbox.get(slot);
        let (lane, item, is_call) = (entry.lane, entry.item(slot), matches!(entry.cargo, Cargo::Call(_)));
        self.lanes.put_back(lane, item, &self.outbox);
        if is_call && self.is_out() {
            self.held_calls.watch(slot);
        }
        self.unload_beyond_window(slot);
    }

    /// Keeps a load together until it may go again.
    pub(super) fn park_load(&mut self, load: Load, until: Timestamp) {
        self.bind(&load);
        if load.is_frozen() && load.following() == 0 {
            load.members.iter().for_each(|slot| self.unload_beyond_window(*slot));
        }
        let number = self.bound.park(load);
        self.timers.set(until, Timer::Release(number));
    }

    /// What waits for its next attempt waits no longer than what is shut: its own time said something of a server that
    /// somebody wants to be asked again.
    pub(super) fn end_backoffs(&mut self, now: Timestamp) {
        let is_retry = |timer: Timer| match timer {
            Timer::Unpark(slot) => self.outbox.get(slot).state() == State::Parked(Parking::Retry),
            timer => matches!(timer, Timer::Release(_)),
        };
        let waiting = self.timers.matching(is_retry);
        for (at, timer) in waiting.into_iter().filter(|(at, _)| *at > now) {
            self.timers.clear(at, timer);
            self.timers.set(now, timer);
            if let Timer::Unpark(slot) = timer {
                self.outbox.course_mut(slot).parked_until = Some(now);
            }
        }
    }

    pub(super) fn bind(&mut self, load: &Load) {
        for slot in load.all() {
            self.outbox.set_state(slot, State::Bound);
        }
    }

    /// Bytes of bodies that are in memory and not on the wire.
    pub(super) fn bytes_beside_wire(&self) -> usize {
        let (_, hot_bytes) = self.outbox.hot();
        hot_bytes.saturating_sub(self.attempts.bytes_in_flight())
    }

    /// Called for a message that goes on waiting, after an attempt or for a time of its own. Beyond the window for
    /// those, its body waits in the store: while the messages at the front fail, others follow them, and each would
    /// leave its body in memory.
    pub(super) fn unload_beyond_window(&mut self, slot: Slot) {
        let is_beyond = self.window.is_exceeded_by_waiting(self.bytes_beside_wire());
        if self.standing.is_durable() && is_beyond && self.outbox.may_unload(slot) {
            self.outbox.unload(slot);
        }
    }

    /// A message that isn't to be sent yet; a retry rides along where another one of the batch has paid.
    pub(super) fn is_early(&self, now: Timestamp, slot: Slot, paid: bool) -> bool {
        let course = self.outbox.course(slot);
        course.not_before.is_some_and(|at| at > now) || (course.attempts > 0 && !course.retry_paid && !paid)
    }

    /// What was split from the same batch goes on.
    pub(super) fn bind_next(&mut self, load: Load) {
        if let Some(next) = load.next() {
            self.bound.push_last(next);
        }
    }

    /// It was taken from its lane, and joins the line of its route.
    pub(super) fn line_up(&mut self, slot: Slot) {
        self.outbox.set_state(slot, State::Parked(Parking::Line));
        let entry = self.outbox.get(slot);
        let (route, seq) = (entry.route, entry.seq);
        self.health.line_up(route, (slot, seq));
        self.unload_beyond_window(slot);
    }
}
