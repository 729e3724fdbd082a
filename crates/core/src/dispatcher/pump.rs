//! The way out: which request starts now, if any may.

use super::auth::Access;
use super::gate::Pass;
use super::load::Load;
use super::outbox::{Course, Parking, State};
use super::timers::Timer;
use super::{Attempt, Dispatcher, Effect, Generation};
use crate::clock::Timestamp;
use crate::lanes::{LaneId, Slot};
use crate::quota::NotYet;

/// What goes next.
#[derive(Clone, Copy)]
enum Candidate {
    /// A batch that is repeated, or a part of one that was split.
    Bound,
    /// The head of the lane whose turn it is.
    Turn,
    /// A request, while the messages before it wait for company.
    Request(LaneId),
}

impl Dispatcher {
    /// Starts everything that gate, connections, token and budget allow; notes when to look again.
    pub(super) fn pump(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.start_at = None;
        self.wire_is_full = false;
        self.inquire(now, effects);
        while !self.bound.is_empty() || self.lanes.peek().is_some() {
            let is_probe = match self.gate.pass(now) {
                Pass::Free => false,
                Pass::Probe => true,
                Pass::Shut(until) => return self.look_again(until),
                Pass::AwaitProbe => return,
            };
            if self.attempts.len() >= self.attempts_max() {
                self.wire_is_full = self.next_is_due(now);
                return;
            }
            let Some(candidate) = self.candidate(now, effects) else { return };
            let Some(generation) = self.access(now, effects) else { return };
            match self.quota.check(now, self.least_cost(candidate)) {
                Ok(()) => {
                    let Some(load) = self.load(now, candidate) else { return };
                    self.start(now, load, generation, is_probe, effects);
                }
                Err(NotYet::Until(at)) => return self.look_again(at),
                Err(NotYet::AtAnswer) => return,
            }
        }
    }

    pub(super) fn attempts_max(&self) -> usize {
        self.settings.attempts_per_connection() * self.settings.connections.max
    }

    /// Whether the wire alone holds what comes next: nobody has looked yet whether that has a time of its own, or is cold.
    fn next_is_due(&mut self, now: Timestamp) -> bool {
        let next = self.lanes.peek();
        let is_due = |slot| self.outbox.cold(slot).is_none() && !self.is_early(now, slot, true);
        !self.bound.is_empty() || next.is_some_and(|(_, slot)| is_due(slot))
    }

    /// Requests under way, and messages that leave as soon as some of these are answered: nothing else holds them.
    pub fn pressing(&self) -> usize {
        if !self.gate.is_open() {
            return 0;
        }
        // What waits for room in the outbox gets it, and goes, as others leave.
        let behind = if self.wire_is_full { self.bound.len() + self.lanes.ready() + self.waiting.len() } else { 0 };
        self.attempts.len() + behind
    }

    /// The earliest of the times that were noted: a batch may wait for company longer than a request for the budget.
    pub(super) fn look_again(&mut self, at: Timestamp) {
        self.start_at = Some(self.start_at.map_or(at, |earlier| earlier.min(at)));
    }

    fn candidate(&mut self, now: Timestamp, effects: &mut Vec<Effect>) -> Option<Candidate> {
        while let Some(mut load) = self.bound.pop_front() {
            if !load.is_frozen() {
                load.members.retain(|slot| !self.must_end(now, *slot, effects));
            }
            if load.members.is_empty() {
                self.bound.extend(load.next());
            } else if let Err(at) = self.pay_for_retry(now, load.members[0]) {
                self.park_load(load, at);
            } else {
                self.bound.push_front(load);
                return Some(Candidate::Bound);
            }
        }
        while let Some((lane, slot)) = self.lanes.peek() {
            if self.must_load(slot, effects) {
                return None;
            }
            if self.park_if_early(now, slot, false) {
                continue;
            }
            let until = self.lingers(now, lane, slot).or_else(|| self.spares_budget(now, lane, slot));
            let Some(until) = until else { return Some(Candidate::Turn) };
            self.look_again(until);
            // The token comes while the array waits, not after it.
            self.access(now, effects);
            return self.request_candidate(now);
        }
        None
    }

    fn request_candidate(&mut self, now: Timestamp) -> Option<Candidate> {
        while let Some(lane) = self.lanes.peek_request() {
            let slot = self.lanes.head_of(lane)?;
            match self.pay_for_retry(now, slot) {
                Ok(()) => return Some(Candidate::Request(lane)),
                Err(at) => {
                    self.lanes.take_from(lane, &self.outbox);
                    self.park(slot, at, Parking::Retry);
                }
            }
        }
        None
    }

    /// Loads are cut to what the budget holds, so one message is enough to begin with.
    fn least_cost(&self, candidate: Candidate) -> u32 {
        let members = match candidate {
            Candidate::Bound => self.bound.front().map_or(1, |load| load.members.len()),
            Candidate::Turn | Candidate::Request(_) => 1,
        };
        self.cost.of(members).min(self.quota.cost_max())
    }

    fn load(&mut self, now: Timestamp, candidate: Candidate) -> Option<Load> {
        match candidate {
            Candidate::Bound => self.bound.pop_front(),
            Candidate::Request(lane) => self.lanes.take_from(lane, &self.outbox).map(|slot| Load::of(vec![slot])),
            Candidate::Turn => {
                let (lane, slot) = self.lanes.take(&self.outbox)?;
                Some(self.gather(now, lane, slot))
            }
        }
    }

    /// A head that waits for a time of its own leaves its lane until then; so does a retry without retry budget, unless
    /// the request that it would join is `paid` for.
    pub(super) fn park_if_early(&mut self, now: Timestamp, slot: Slot, paid: bool) -> bool {
        let early = match self.outbox.course(slot).not_before {
            Some(at) if at > now => Some((at, Parking::NotBefore)),
            _ if paid => None,
            _ => self.pay_for_retry(now, slot).err().map(|at| (at, Parking::Retry)),
        };
        let Some((until, why)) = early else { return false };
        self.lanes.take(&self.outbox);
        self.park(slot, until, why);
        true
    }

    /// A retry is paid for once, however long it waits for the budget afterwards.
    fn pay_for_retry(&mut self, now: Timestamp, slot: Slot) -> Result<(), Timestamp> {
        let Course { attempts, retry_paid, .. } = *self.outbox.course(slot);
        if attempts > 0 && !retry_paid {
            self.retry_budget.withdraw(now)?;
            self.outbox.course_mut(slot).retry_paid = true;
        }
        Ok(())
    }

    pub(super) fn park(&mut self, slot: Slot, until: Timestamp, why: Parking) {
        self.outbox.get_mut(slot).state = State::Parked(why);
        self.outbox.course_mut(slot).parked_until = Some(until);
        self.timers.set(until, Timer::Unpark(slot));
    }

    pub(super) fn unpark(&mut self, slot: Slot) {
        let entry = self.outbox.get_mut(slot);
        entry.state = State::Queued;
        let (lane, item) = (entry.lane, entry.item(slot));
        self.lanes.put_back(lane, item, &self.outbox);
    }

    /// Keeps a load together until it may go again.
    pub(super) fn park_load(&mut self, load: Load, until: Timestamp) {
        self.bind(&load);
        self.parkings += 1;
        self.parked.insert(self.parkings, load);
        self.timers.set(until, Timer::Release(self.parkings));
    }

    pub(super) fn bind(&mut self, load: &Load) {
        for slot in load.all() {
            self.outbox.get_mut(slot).state = State::Bound;
        }
    }

    pub(super) fn access(&mut self, now: Timestamp, effects: &mut Vec<Effect>) -> Option<Generation> {
        let (access, fetch) = self.auth.access(now);
        if fetch {
            self.counters.token_requests += 1;
            effects.push(Effect::FetchToken);
        }
        match access {
            Access::Token(generation) => Some(generation),
            Access::Wait(until) => {
                until.into_iter().for_each(|at| self.look_again(at));
                None
            }
        }
    }

    fn start(
        &mut self,
        now: Timestamp,
        mut load: Load,
        generation: Generation,
        is_probe: bool,
        effects: &mut Vec<Effect>,
    ) {
        let cost = self.cost.of(load.members.len()).min(self.quota.cost_max());
        self.quota.take(now, cost);
        self.cost.started();
        self.half_empty_since = None;
        let mut is_retry = false;
        for slot in &load.members {
            self.outbox.get_mut(*slot).state = State::InFlight;
            let course = self.outbox.course_mut(*slot);
            course.attempts += 1;
            course.retry_paid = false;
            course.first_attempt_at.get_or_insert(now);
            is_retry |= course.attempts > 1;
        }
        self.counters.requests += 1;
        if is_retry {
            self.counters.retries += 1;
        } else {
            self.retry_budget.deposit();
        }
        self.keep_departure(now, &load, effects);
        self.look_ahead(effects);
        let shipment = self.shipment(&mut load);
        self.attempts_made += 1;
        let attempt = self.attempts_made;
        if is_probe {
            self.gate.probe(now, attempt);
        }
        let bytes = shipment.body.as_ref().map_or(0, bytes::Bytes::len);
        self.attempts.insert(attempt, Attempt { load, cost, bytes, generation, started_at: now });
        effects.push(Effect::Send { attempt, generation, shipment });
    }
}
