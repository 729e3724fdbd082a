//! A host's share of a fleet's quota: exact rolling windows over the slots that this host holds.
//!
//! Each window is that of a known quota, but for its size: the share, which changes with each grant. A slot is free, on
//! the wire, or cooling; what is given back is none of ours any more from before the store is told so. A slot that
//! comes with a rest cools first, as if a request of ours had used it.
//!
//! Nothing leaves when the lease is over. What the host holds stays as it is, since the store keeps it for a while: the
//! host may come back in time. If the store says then that it holds less, what is on the wire is more than the share
//! until it is answered, and nothing else leaves.

use std::time::Duration;

use super::exact::GUARD;
use super::pacer::Pacer;
use super::reserve::{self, Turn};
use super::slots::Slots;
use super::{NotYet, exact};
use crate::clock::Timestamp;
use crate::lease::{CADENCE_MAX, CADENCE_MIN, Grant, LATENESS, Rest, WindowReport};
use crate::settings::{Rate, WhenUnreachable};

/// A lease is renewed after as many requests, about.
const REQUESTS_PER_RENEWAL: u32 = 40;
/// Of what is used, a host asks for one part in so many more than that: demand is never quite even.
const SLACK_PARTS: u32 = 2;

/// One part in so many that is too much goes back when the lease is renewed anyway.
const FEW: u32 = 4;

#[derive(Debug)]
pub(super) struct Share {
    parts: Vec<Part>,
    /// Until when the lease is in force.
    until: Option<Timestamp>,
    /// What this host may send by itself while the store can't be reached.
    fallback: Option<Part>,
    /// It can't, and the lease is over.
    is_adrift: bool,
}

/// One window.
#[derive(Debug)]
struct Part {
    rate: Rate,
    pacer: Pacer,
    slots: Slots,
    share: u32,
    /// What is due to this host, by the last grant.
    target: u32,
    /// One of these is due for a turn.
    has_turn: bool,
    /// What it has said that it needs.
    needed: u32,
}

impl Part {
    fn new(rate: Rate, now: Timestamp, share: u32) -> Self {
        Self {
            rate,
            pacer: Pacer::new(rate, now),
            slots: Slots::default(),
            share,
            target: 0,
            has_turn: false,
            needed: 0,
        }
    }

    fn check(&mut self, now: Timestamp, cost: u32) -> Result<(), NotYet> {
        self.slots.check(now, cost, self.share)?;
        self.pacer.check(now, cost).map_err(NotYet::Until)
    }

    fn take(&mut self, cost: u32, is_by_it: bool) {
        self.slots.take(cost);
        if is_by_it {
            self.pacer.take(cost);
        }
    }

    /// Slots that the host can use: all that wait, where the share holds them back; else what it has used lately, and
    /// some more.
    fn need(&self, now: Timestamp, waiting: u32, is_held_back: bool) -> u32 {
        let used = self.slots.taken(now);
        let more = if is_held_back { waiting.saturating_add(1) } else { used / SLACK_PARTS + 1 };
        used.saturating_add(more).min(self.rate.requests.get())
    }
}

impl Part {
    /// Whether it has the slot that is due for a turn.
    fn is_in_turn(&self) -> bool {
        self.has_turn && self.target > 0 && self.share >= self.target
    }
}

impl Share {
    pub(super) fn new(rates: &[Rate], when_unreachable: WhenUnreachable, now: Timestamp) -> Self {
        let fallback = match when_unreachable {
            WhenUnreachable::Hold => None,
            WhenUnreachable::Static(rate) => Some(Part::new(rate, now, rate.requests.get())),
        };
        let mut parts: Vec<Part> = rates.iter().map(|rate| Part::new(*rate, now, 0)).collect();
        parts.sort_by_key(|part| part.rate.per);
        Self { parts, until: None, fallback, is_adrift: false }
    }

    pub(super) fn check(&mut self, now: Timestamp, cost: u32) -> Result<(), NotYet> {
        if !self.is_live(now) {
            return match self.adrift() {
                Some(part) => part.check(now, cost),
                None => Err(NotYet::AtGrant),
            };
        }
        if self.parts.iter().any(|part| part.share < cost) {
            return Err(NotYet::AtGrant);
        }
        let mut latest = None;
        for part in &mut self.parts {
            match part.check(now, cost) {
                Ok(()) => {}
                Err(NotYet::Until(at)) => latest = latest.max(Some(at)),
                Err(other) => return Err(other),
            }
        }
        latest.map_or(Ok(()), |at| Err(NotYet::Until(at)))
    }

    fn adrift(&mut self) -> Option<&mut Part> {
        self.fallback.as_mut().filter(|_| self.is_adrift)
    }

    /// Whether what was made may leave: the lease is in force, and each of its requests has a slot.
    pub(super) fn may_leave(&self, now: Timestamp) -> bool {
        if self.is_live(now) {
            return self.parts.iter().all(|part| part.slots.taken(now) <= part.share);
        }
        self.is_adrift && self.fallback.as_ref().is_some_and(|part| part.slots.taken(now) <= part.share)
    }

    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    pub(super) fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// The store can't be reached, or it can.
    pub(super) fn set_adrift(&mut self, is_adrift: bool) {
        self.is_adrift = is_adrift;
    }

    pub(super) fn has_fallback(&self) -> bool {
        self.fallback.is_some()
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Part> {
        self.parts.iter_mut().chain(&mut self.fallback)
    }

    /// Slots are counted for both, lease and fallback. The pacer is only that of the one by which the request leaves:
    /// what goes at the other's rate would be a debt that is paid for long after.
    pub(super) fn take(&mut self, now: Timestamp, cost: u32) {
        let is_live = self.is_live(now);
        for part in &mut self.parts {
            part.take(cost, is_live);
        }
        if let Some(part) = &mut self.fallback {
            part.take(cost, !is_live);
        }
    }

    pub(super) fn release(&mut self, cost: u32) {
        self.all().for_each(|part| part.slots.release(cost));
    }

    pub(super) fn answered(&mut self, at: Timestamp, cost: u32) {
        self.all().for_each(|part| part.slots.cool(at.after(part.rate.per + GUARD), cost));
    }

    pub(super) fn restart(&mut self, now: Timestamp) {
        self.all().for_each(|part| part.pacer.restart(now));
    }

    pub(super) fn turn(&self, now: Timestamp, last: Option<Timestamp>) -> Turn {
        let turn = |part: &Part| reserve::turn(now, last, &part.slots, part.share, part.rate.per);
        self.parts.iter().map(turn).fold(Turn::All, Turn::and)
    }

    pub(super) fn longest(&self) -> Duration {
        self.parts.last().map_or(Duration::ZERO, |part| part.rate.per)
    }

    /// No request costs more than there are slots for it.
    pub(super) fn cost_max(&self) -> u32 {
        self.parts.iter().map(|part| part.rate.burst.get().min(part.share.max(1))).min().unwrap_or(u32::MAX)
    }

    pub(super) fn available(&self, now: Timestamp) -> u32 {
        if !self.is_live(now) {
            let own = self.fallback.as_ref().filter(|_| self.is_adrift);
            return own.map_or(0, |part| part.slots.available(now, part.share));
        }
        self.parts.iter().map(|part| part.slots.available(now, part.share)).min().unwrap_or(u32::MAX)
    }

    pub(super) fn next_free(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.is_live(now) || self.lacks_slots() {
            return None;
        }
        let spent = self.parts.iter().filter(|part| part.slots.available(now, part.share) == 0);
        spent.map(|part| part.slots.next_free(now, part.share)).try_fold(now, |latest, at| at.map(|at| latest.max(at)))
    }

    pub(super) fn next_reading(&self, now: Timestamp) -> Option<Timestamp> {
        self.parts.iter().filter_map(|part| part.slots.next_reading(now, part.rate.per)).min()
    }

    pub(super) fn time_for(&self, requests: u64) -> Duration {
        let time = |part: &Part| exact::time_for(requests, part.share.max(1), part.rate.per);
        self.parts.iter().map(time).max().unwrap_or_default()
    }

    pub(super) fn rates(&self) -> impl Iterator<Item = Rate> {
        self.parts.iter().map(|part| part.rate)
    }

    pub(super) fn holding(&self) -> Holding {
        let any = |is: fn(&Part) -> bool| self.parts.iter().any(is);
        Holding {
            share: self.parts.first().map_or(0, |part| part.share),
            target: self.parts.first().map_or(0, |part| part.target),
            has_slots: any(|part| part.share > 0),
            has_turn: any(Part::is_in_turn),
            can_give: any(|part| part.share > part.slots.on_the_wire()),
            lacks_slots: self.lacks_slots(),
            is_short: any(|part| part.share < part.target),
            has_surplus: any(|part| {
                let surplus = part.share.saturating_sub(part.target.max(part.slots.on_the_wire()));
                surplus > 0 && surplus.saturating_mul(FEW) >= part.share
            }),
            could_have_more: any(|part| part.share < part.rate.requests.get())
                && self.parts.iter().all(|part| part.target >= part.needed),
        }
    }

    fn lacks_slots(&self) -> bool {
        self.parts.iter().any(|part| part.share == 0)
    }

    /// How long the host may go without a renewal.
    pub(super) fn cadence(&self) -> Duration {
        let cadence = |part: &Part| part.rate.per.saturating_mul(REQUESTS_PER_RENEWAL) / part.share.max(1);
        let cadence = self.parts.iter().map(cadence).max().unwrap_or_default().clamp(CADENCE_MIN, CADENCE_MAX);
        if self.lacks_slots() { CADENCE_MIN } else { cadence }
    }

    /// What is reported of each window; what is given back is no longer ours. Keeps what is needed, or what is due if
    /// that is less and others lack slots.
    pub(super) fn report(&mut self, now: Timestamp, demand: Demand) -> Vec<WindowReport> {
        let report = |part: &mut Part| {
            let need = match demand {
                Demand::None | Demand::Leaving => 0,
                Demand::Some { waiting, is_held_back, .. } => part.need(now, waiting, is_held_back),
            };
            let keep = match demand {
                Demand::None | Demand::Leaving => 0,
                Demand::Some { others_lack: true, ends_turn, .. } => {
                    let is_over = ends_turn && part.is_in_turn();
                    need.min(part.target - u32::from(is_over))
                }
                Demand::Some { .. } => part.share,
            };
            part.needed = need;
            let held = part.share;
            let mut back = part.slots.give(now, held.saturating_sub(keep), held);
            part.share -= back.iter().map(|rest| rest.slots).sum::<u32>();
            if demand == Demand::Leaving && part.share > 0 {
                // Nobody waits for what is on the wire: it arrives soon, or never.
                let span = LATENESS + part.rate.per + GUARD;
                back.push(Rest { span, slots: std::mem::take(&mut part.share) });
            }
            WindowReport { per: part.rate.per, requests: part.rate.requests, held, need, back }
        };
        self.parts.iter_mut().map(report).collect()
    }

    /// The store has answered a renewal that was sent at `sent_at`.
    pub(super) fn granted(&mut self, now: Timestamp, sent_at: Timestamp, grant: &Grant) {
        self.until = Some(sent_at.after(grant.lasts));
        let has_fallback = self.fallback.is_some();
        for (part, granted) in self.parts.iter_mut().zip(&grant.windows) {
            debug_assert!(part.rate.per == granted.per, "the windows are those of the renewal");
            let fresh: u32 = granted.fresh.iter().map(|rest| rest.slots).sum();
            if granted.share == fresh && !has_fallback {
                // What it held before is others' by now, when nothing of it counts any more.
                part.slots.keep(0);
            }
            part.share = granted.share;
            part.target = granted.target;
            part.has_turn = granted.has_turn;
            let resting = granted.fresh.iter().filter(|rest| !rest.span.is_zero());
            resting.for_each(|Rest { span, slots }| part.slots.hold(now.after(*span), *slots));
        }
    }
}

/// How a share stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Slots of the shortest window that this host holds.
    pub share: u32,
    /// What is due of these.
    pub target: u32,
    /// It holds slots of some window.
    pub has_slots: bool,
    /// A slot of some window is there for a turn.
    pub has_turn: bool,
    /// Not all of these are on the wire.
    pub can_give: bool,
    /// It holds none of some window.
    pub lacks_slots: bool,
    /// It has less of some window than is due.
    pub is_short: bool,
    /// It has much more of some window than is due, and not all of that on the wire.
    pub has_surplus: bool,
    /// It could have more, as far as it knows: it has been given what it needed when it last asked.
    pub could_have_more: bool,
}

/// What a host would send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing, and nothing has been under way for a while.
    None,
    /// Nothing any more, whatever is under way.
    Leaving,
    /// Something.
    Some {
        /// Messages that wait.
        waiting: u32,
        /// Since the last renewal something had to wait for a slot.
        is_held_back: bool,
        /// Other hosts lack slots.
        others_lack: bool,
        /// The host has had its turn, where slots go round.
        ends_turn: bool,
    },
}

#[cfg(test)]
mod tests;
