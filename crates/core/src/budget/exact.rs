//! An exact rolling window over requests whose moment of arrival isn't known.
//!
//! A request arrives somewhere between its sending and its answer. Its slot is taken before the sending and given back
//! one window after the *answer*: so whenever a request arrives, every earlier arrival of the last window still holds a
//! slot, and there are only N of them.

use std::time::Duration;

use super::NotYet;
use super::pacer::Pacer;
use super::reserve::{self, Turn};
use super::slots::Slots;
use crate::clock::Timestamp;
use crate::settings::Rate;

/// Our clock and the server's are cut to whole units in different places. A server that counts in milliseconds needs no
/// more: two moments that are a window apart stay a window apart when both are cut to milliseconds.
pub(super) const GUARD: Duration = Duration::from_micros(250);

#[derive(Debug)]
pub(super) struct Window {
    rate: Rate,
    pacer: Pacer,
    slots: Slots,
}

impl Window {
    pub(super) fn new(rate: Rate, now: Timestamp) -> Self {
        Self { rate, pacer: Pacer::new(rate, now), slots: Slots::default() }
    }

    /// Whether `cost` slots are free; [`Self::take`] takes them.
    pub(super) fn check(&mut self, now: Timestamp, cost: u32) -> Result<(), NotYet> {
        self.slots.check(now, cost, self.limit())?;
        self.pacer.check(now, cost).map_err(NotYet::Until)
    }

    pub(super) fn turn(&self, now: Timestamp, last: Option<Timestamp>) -> Turn {
        reserve::turn(now, last, &self.slots, self.limit(), self.rate.per)
    }

    pub(super) fn take(&mut self, cost: u32) {
        self.pacer.take(cost);
        self.slots.take(cost);
    }

    pub(super) fn answered(&mut self, at: Timestamp, cost: u32) {
        debug_assert!(self.slots.on_the_wire() >= cost, "only what was taken is answered");
        self.slots.cool(at.after(self.rate.per + GUARD), cost);
    }

    pub(super) fn release(&mut self, cost: u32) {
        debug_assert!(self.slots.on_the_wire() >= cost, "only what was taken is released");
        self.slots.release(cost);
    }

    pub(super) fn restart(&mut self, now: Timestamp) {
        self.pacer.restart(now);
    }

    pub(super) fn available(&self, now: Timestamp) -> u32 {
        self.slots.available(now, self.limit())
    }

    pub(super) fn next_free(&self, now: Timestamp) -> Option<Timestamp> {
        self.slots.next_free(now, self.limit())
    }

    pub(super) fn next_reading(&self, now: Timestamp) -> Option<Timestamp> {
        self.slots.next_reading(now, self.rate.per)
    }

    /// When the requests were answered that hold a slot.
    pub(super) fn spent(&self, now: Timestamp) -> Vec<Timestamp> {
        self.slots.cooling(now).map(|free| free.before(self.rate.per + GUARD)).collect()
    }

    /// Holds the slots of requests that an earlier budget sent, answered at these times.
    pub(super) fn inherit(&mut self, now: Timestamp, answered: &[Timestamp]) {
        let free = answered.iter().map(|at| at.after(self.rate.per + GUARD)).filter(|free| *free > now);
        free.for_each(|free| self.slots.hold(free, 1));
    }

    pub(super) fn time_for(&self, requests: u64) -> Duration {
        time_for(requests, self.limit(), self.rate.per)
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    fn limit(&self) -> u32 {
        self.rate.requests.get()
    }
}

pub(super) fn time_for(requests: u64, limit: u32, per: Duration) -> Duration {
    per.mul_f64(requests as f64 / f64::from(limit.max(1)))
}
