//! The slots of one window: which are taken, and when they are free again.

use std::collections::VecDeque;
use std::time::Duration;

use super::NotYet;
use crate::clock::Timestamp;
use crate::lease::Rest;

/// How finely a budget that comes back is told.
const READINGS_PER_WINDOW: u32 = 100;
const READING_GRAIN_MIN: Duration = Duration::from_millis(20);
const READING_GRAIN_MAX: Duration = Duration::from_secs(10);
/// Rests of slots that are given back are whole units of this, the longer ones: fewer are told.
const REST_GRAIN: Duration = Duration::from_millis(1);
/// Of the slots that come back, so many are looked at to spread what is free.
const LOOKS_MAX: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    on_the_wire: u32,
    /// When the slots of answered requests are free again, in order.
    cooling: VecDeque<Timestamp>,
}

impl Slots {
    /// Whether `cost` of `limit` slots are free.
    pub(super) fn check(&mut self, now: Timestamp, cost: u32, limit: u32) -> Result<(), NotYet> {
        while self.cooling.front().is_some_and(|free| *free <= now) {
            self.cooling.pop_front();
        }
        let missing = (self.held() + cost as usize).saturating_sub(limit as usize);
        if missing == 0 {
            return Ok(());
        }
        Err(self.cooling.get(missing - 1).map_or(NotYet::AtAnswer, |free| NotYet::Until(*free)))
    }

    pub(super) fn take(&mut self, cost: u32) {
        self.on_the_wire += cost;
    }

    /// What was on the wire holds its slots until `free`.
    pub(super) fn cool(&mut self, free: Timestamp, cost: u32) {
        self.release(cost);
        self.hold(free, cost);
    }

    /// Holds slots for something that was never on our wire, or no longer is.
    pub(super) fn hold(&mut self, free: Timestamp, cost: u32) {
        // Nearly always the last: only a request that was given up may still be on its way.
        let place = self.cooling.partition_point(|other| *other <= free);
        for _ in 0..cost {
            self.cooling.insert(place, free);
        }
    }

    /// Of answered requests so many hold a slot at most: the newest.
    pub(super) fn keep(&mut self, count: usize) {
        let surplus = self.cooling.len().saturating_sub(count);
        self.cooling.drain(..surplus);
    }

    /// What was on the wire is free at once.
    pub(super) fn release(&mut self, cost: u32) {
        self.on_the_wire = self.on_the_wire.saturating_sub(cost);
    }

    pub(super) fn available(&self, now: Timestamp, limit: u32) -> u32 {
        let held = self.held() - self.cooled(now);
        (limit as usize).saturating_sub(held).try_into().unwrap_or(u32::MAX)
    }

    pub(super) fn next_free(&self, now: Timestamp, limit: u32) -> Option<Timestamp> {
        if self.available(now, limit) > 0 { None } else { self.cooling.get(self.cooled(now)).copied() }
    }

    /// When more is available than now, but no sooner than a small part of the window from now.
    pub(super) fn next_reading(&self, now: Timestamp, per: Duration) -> Option<Timestamp> {
        let grain = (per / READINGS_PER_WINDOW).clamp(READING_GRAIN_MIN, READING_GRAIN_MAX);
        self.cooling.get(self.cooled(now)).map(|free| (*free).max(now.after(grain)))
    }

    /// How long after `last` the next of `free` slots is taken, if they and what comes back are spread evenly, so that
    /// one is always left until a window from now.
    pub(super) fn even_gap(&self, now: Timestamp, last: Timestamp, free: u32, per: Duration) -> Duration {
        let spent = self.cooled(now);
        let back = self.cooling.len() - spent;
        let gap = |until: Timestamp, count: usize| until.since(last).div_f64(f64::from(free) + count as f64 + 1.0);
        // Those between two that are looked at hardly differ from them.
        let looked_at = (0..back).step_by(back.div_ceil(LOOKS_MAX).max(1));
        let gaps = looked_at.filter_map(|index| Some(gap(*self.cooling.get(spent + index)?, index)));
        // What is on the wire comes back after all of that.
        gaps.max().unwrap_or_default().max(gap(now.after(per), back))
    }

    /// The last moment within `span` of `at` at which a slot is free again.
    pub(super) fn last_within(&self, at: Timestamp, span: Duration) -> Timestamp {
        let behind = self.cooling.partition_point(|free| *free <= at.after(span));
        behind.checked_sub(1).and_then(|index| self.cooling.get(index)).map_or(at, |free| at.max(*free))
    }

    /// Gives up to `count` of `limit` slots away, those that are free first; by their rests.
    pub(super) fn give(&mut self, now: Timestamp, count: u32, limit: u32) -> Vec<Rest> {
        self.cooling.drain(..self.cooled(now));
        let free = count.min(self.available(now, limit));
        let mut rests = Vec::new();
        if free > 0 {
            rests.push(Rest { span: Duration::ZERO, slots: free });
        }
        let resting = ((count - free) as usize).min(self.cooling.len());
        for free_at in self.cooling.drain(..resting) {
            let grains = free_at.since(now).as_micros().div_ceil(REST_GRAIN.as_micros());
            let span = REST_GRAIN.saturating_mul(u32::try_from(grains).unwrap_or(u32::MAX));
            match rests.last_mut() {
                Some(last) if last.span == span => last.slots += 1,
                _ => rests.push(Rest { span, slots: 1 }),
            }
        }
        rests
    }

    /// Slots that are not free.
    pub(super) fn taken(&self, now: Timestamp) -> u32 {
        (self.held() - self.cooled(now)).try_into().unwrap_or(u32::MAX)
    }

    /// When the held slots are free, those of answered requests alone.
    pub(super) fn cooling(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        self.cooling.iter().copied().filter(move |free| *free > now)
    }

    pub(super) fn on_the_wire(&self) -> u32 {
        self.on_the_wire
    }

    /// Taken slots, as of the last [`Self::check`].
    pub(super) fn held(&self) -> usize {
        self.on_the_wire as usize + self.cooling.len()
    }

    fn cooled(&self, now: Timestamp) -> usize {
        self.cooling.partition_point(|free| *free <= now)
    }
}
