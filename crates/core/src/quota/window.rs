//! An exact rolling window over requests whose moment of arrival isn't known.
//!
//! A request arrives somewhere between its sending and its answer. Its slot is taken at the sending and given back one
//! window after the *answer*: so whenever a request arrives, every earlier arrival of the last window still holds a slot,
//! and there are only N of them.

use std::collections::VecDeque;
use std::time::Duration;

use super::NotYet;
use super::pacer::Pacer;
use crate::clock::Timestamp;
use crate::settings::Rate;

/// Servers count in milliseconds: two arrivals that are a window apart may be a millisecond less apart on their clock.
const GUARD: Duration = Duration::from_millis(1);

/// How finely a budget that comes back is told.
const READINGS_PER_WINDOW: u32 = 100;
const READING_GRAIN_MIN: Duration = Duration::from_millis(20);
const READING_GRAIN_MAX: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Window {
    rate: Rate,
    pacer: Pacer,
    on_the_wire: u32,
    /// When the slots of answered requests are free again, in order.
    cooling: VecDeque<Timestamp>,
}

impl Window {
    pub(super) fn new(rate: Rate, now: Timestamp) -> Self {
        Self { rate, pacer: Pacer::new(rate, now), on_the_wire: 0, cooling: VecDeque::new() }
    }

    /// Whether `cost` slots are free; [`Self::take`] takes them.
    pub(super) fn check(&mut self, now: Timestamp, cost: u32) -> Result<(), NotYet> {
        while self.cooling.front().is_some_and(|free| *free <= now) {
            self.cooling.pop_front();
        }
        let missing = (self.held() + cost as usize).saturating_sub(self.limit());
        if missing > 0 {
            return Err(self.cooling.get(missing - 1).map_or(NotYet::AtAnswer, |free| NotYet::Until(*free)));
        }
        self.pacer.check(now, cost).map_err(NotYet::Until)
    }

    pub(super) fn take(&mut self, cost: u32) {
        self.pacer.take(cost);
        self.on_the_wire += cost;
    }

    pub(super) fn answered(&mut self, at: Timestamp, cost: u32) {
        self.on_the_wire = self.on_the_wire.saturating_sub(cost);
        let free = at.after(self.rate.per + GUARD);
        // Nearly always the last: only a request that was given up may still be on its way.
        let place = self.cooling.partition_point(|other| *other <= free);
        for _ in 0..cost {
            self.cooling.insert(place, free);
        }
    }

    pub(super) fn unsent(&mut self, cost: u32) {
        self.on_the_wire = self.on_the_wire.saturating_sub(cost);
    }

    pub(super) fn restart(&mut self, now: Timestamp) {
        self.pacer.restart(now);
    }

    pub(super) fn available(&self, now: Timestamp) -> u32 {
        let cooled = self.cooling.partition_point(|free| *free <= now);
        self.limit().saturating_sub(self.held().saturating_sub(cooled)).try_into().unwrap_or(u32::MAX)
    }

    pub(super) fn next_free(&self, now: Timestamp) -> Option<Timestamp> {
        if self.available(now) > 0 { None } else { self.cooling.front().copied() }
    }

    /// When more is available than now, but no sooner than a small part of the window from now.
    pub(super) fn next_reading(&self, now: Timestamp) -> Option<Timestamp> {
        let cooled = self.cooling.partition_point(|free| *free <= now);
        let grain = (self.rate.per / READINGS_PER_WINDOW).clamp(READING_GRAIN_MIN, READING_GRAIN_MAX);
        self.cooling.get(cooled).map(|free| (*free).max(now.after(grain)))
    }

    /// When the requests were answered that hold a slot; those on the wire count as answered now.
    pub(super) fn spent(&self, now: Timestamp) -> Vec<Timestamp> {
        let held = self.cooling.iter().filter(|free| **free > now).map(|free| free.before(self.rate.per + GUARD));
        held.chain((0..self.on_the_wire).map(|_| now)).collect()
    }

    pub(super) fn all_free(&self, now: Timestamp) -> Timestamp {
        let cooled = self.cooling.back().copied().unwrap_or(now).max(now);
        if self.on_the_wire == 0 { cooled } else { cooled.max(now.after(self.rate.per + GUARD)) }
    }

    /// Holds the slots of requests that an earlier budget sent, answered at these times.
    pub(super) fn inherit(&mut self, now: Timestamp, answered: &[Timestamp]) {
        let free = answered.iter().map(|at| at.after(self.rate.per + GUARD)).filter(|free| *free > now);
        self.cooling.extend(free);
    }

    pub(super) fn time_for(&self, requests: u64) -> Duration {
        self.rate.per.mul_f64(requests as f64 / f64::from(self.rate.requests.get()))
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    fn held(&self) -> usize {
        self.on_the_wire as usize + self.cooling.len()
    }

    fn limit(&self) -> usize {
        self.rate.requests.get() as usize
    }
}
