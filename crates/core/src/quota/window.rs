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

    /// Whether a slot is free; [`Self::take`] takes it.
    pub(super) fn check(&mut self, now: Timestamp) -> Result<(), NotYet> {
        while self.cooling.front().is_some_and(|free| *free <= now) {
            self.cooling.pop_front();
        }
        if self.held() >= self.limit() {
            return Err(self.cooling.front().map_or(NotYet::AtAnswer, |free| NotYet::Until(*free)));
        }
        self.pacer.check(now).map_err(NotYet::Until)
    }

    pub(super) fn take(&mut self) {
        self.pacer.take();
        self.on_the_wire += 1;
    }

    pub(super) fn answered(&mut self, at: Timestamp) {
        self.on_the_wire = self.on_the_wire.saturating_sub(1);
        let free = at.after(self.rate.per + GUARD);
        // Nearly always the last: only a request that was given up may still be on its way.
        let place = self.cooling.partition_point(|other| *other <= free);
        self.cooling.insert(place, free);
    }

    pub(super) fn unsent(&mut self) {
        self.on_the_wire = self.on_the_wire.saturating_sub(1);
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
