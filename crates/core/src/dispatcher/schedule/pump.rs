//! The way out: which request starts now, if any may.

use crate::budget::{NotYet, Turn};
use crate::clock::Timestamp;
use crate::dispatcher::health::{Pass, RouteId};
use crate::dispatcher::schedule::batch::Batch;
use crate::dispatcher::{Dispatcher, Effect, Step};
use crate::lanes::LaneId;
use crate::lease::Scope;
use crate::settings::BatchMode;
use crate::token::TokenId;

/// What goes next.
#[derive(Clone, Copy)]
enum Candidate {
    /// A batch that is repeated, or a part of one that was split.
    Bound,
    /// The head of the lane whose turn it is.
    Turn,
    /// The head of another lane: a request, while the messages before it may not go, or a better probe.
    Lane(LaneId),
}

/// Messages and requests that are started per turn; the next one begins with the others.
const STARTED_PER_TURN: usize = 1_024;

impl Dispatcher {
    /// Starts everything that gate, connections, token and budget allow; notes when to look again.
    pub(in crate::dispatcher) fn pump(&mut self, step: &mut Step<'_>) {
        self.last_look.begin();
        self.look_up_limits(step);
        self.hear_another_witness(step.now);
        self.shut_lanes(step.now);
        self.give_turn(step.now);
        if self.hear_settled(step.now) {
            self.tell_quota(step.effects);
        }
        self.health.unheard().settles_at().into_iter().for_each(|at| self.look_again(at));
        self.check_host(step);
        let mut has_released = false;
        let mut started = 0;
        loop {
            let is_there = self.peek_next();
            if !is_there && !self.health.has_lines() {
                return;
            }
            if started >= STARTED_PER_TURN {
                return self.look_again(step.now);
            }
            let is_probe = match self.health.pass(step.now) {
                Pass::Free => false,
                Pass::Probe if !self.obtain_probe(step.now, &Scope::Organization) => return,
                Pass::Probe => true,
                Pass::Shut(at) | Pass::AwaitProbe(Some(at)) => return self.look_again(at),
                Pass::AwaitProbe(None) => return,
            };
            if self.has_enough_attempts() {
                if self.next_is_due(step.now) {
                    self.last_look.note_full_wire();
                }
                return;
            }
            // Retries don't wait until nothing new comes; and what comes meanwhile doesn't look at the lines again.
            if !std::mem::replace(&mut has_released, true) || !is_there {
                self.release_lines(step.now);
            }
            let Some(candidate) = self.candidate(step, is_probe) else { return };
            let usable = self.obtain_tokens(step);
            if usable.is_empty() {
                return;
            }
            match self.quota.check(step.now, usable, self.least_cost(candidate)) {
                Ok(token) => {
                    let candidate = match self.in_turn(step.now, token, candidate, is_probe) {
                        Ok(candidate) => candidate,
                        Err(at) => {
                            self.note_held_back();
                            return self.look_again(at);
                        }
                    };
                    let Some(batch) = self.load(step.now, token, candidate) else {
                        unreachable!("the candidate is still there")
                    };
                    started += batch.members.len();
                    self.start(step, token, batch);
                    self.shut_lanes(step.now);
                }
                Err(not_yet) => {
                    self.note_held_back();
                    if let NotYet::Until(at) = not_yet {
                        self.look_again(at);
                    }
                    return;
                }
            }
        }
    }

    /// Has it checked whether the host can be reached, when that is due and something waits for it.
    fn check_host(&mut self, step: &mut Step<'_>) {
        match self.health.check_due_at(step.now) {
            Some(at) if at > step.now => self.look_again(at),
            Some(_) if self.peek_next() || self.health.has_lines() => {
                self.health.checks_host();
                step.effects.push(Effect::CheckReachable);
            }
            Some(_) | None => {}
        }
    }

    /// Who goes of the reserve: latecomers, and in between, evenly, those whose turn it is. Or until when nobody does.
    fn in_turn(
        &mut self,
        now: Timestamp,
        token: TokenId,
        candidate: Candidate,
        is_probe: bool,
    ) -> Result<Candidate, Timestamp> {
        let turn = self.quota.turn(now, token);
        if is_probe || turn == Turn::All {
            return Ok(candidate);
        }
        let late = self.latecomer(now, candidate);
        // Where both may go they take turns: however many come late, nobody waits for ever.
        let goes_first = !self.lately.went_last() || matches!(turn, Turn::LateUntil(_));
        if let Some(late) = late.filter(|_| goes_first) {
            self.lately.note_turn(true);
            return Ok(late);
        }
        if let Turn::LateUntil(at) = turn {
            return Err(at);
        }
        self.lately.note_turn(false);
        Ok(candidate)
    }

    /// The candidate itself, if it comes late, or one that does and may go in its place.
    fn latecomer(&mut self, now: Timestamp, candidate: Candidate) -> Option<Candidate> {
        let Candidate::Turn = candidate else { return None };
        let late = self.lanes.peek_late()?;
        if self.lanes.peek().is_some_and(|(lane, _)| self.lanes.is_late(lane))
            || self.settings.batch.mode == BatchMode::Array
        {
            return Some(candidate);
        }
        let slot = self.lanes.head_of(late)?;
        let may_go = self.outbox.is_loaded(slot) && !self.is_early(now, slot, false);
        may_go.then_some(Candidate::Lane(late))
    }

    pub(in crate::dispatcher) fn peek_next(&mut self) -> bool {
        self.bound.has_ready() || self.lanes.peek().is_some()
    }

    /// Whether the wire alone holds what comes next: nobody has looked yet whether that has a time of its own, or is in
    /// memory.
    fn next_is_due(&mut self, now: Timestamp) -> bool {
        let next = self.lanes.peek();
        let is_due = |slot| self.outbox.is_loaded(slot) && !self.is_early(now, slot, true);
        self.bound.has_ready() || next.is_some_and(|(_, slot)| is_due(slot))
    }

    fn candidate(&mut self, step: &mut Step<'_>, is_probe: bool) -> Option<Candidate> {
        if !self.route_lets_messages(step.now) {
            return self.request_candidate(step.now);
        }
        let is_of_all = is_probe;
        let is_probe = is_probe || !self.health.route_is_open(RouteId::MESSAGES);
        if is_probe && self.has_to_sound() {
            self.sound(step);
            return if is_of_all { None } else { self.request_candidate(step.now) };
        }
        if self.risks_enough() {
            return self.request_candidate(step.now);
        }
        if is_probe && let Some(lane) = self.better_probe_than_bound(step.now) {
            return Some(Candidate::Lane(lane));
        }
        while let Some(mut batch) = self.bound.take_first() {
            self.end_those_due(step, &mut batch);
            if batch.members.is_empty() {
                self.bind_next(batch);
            } else if let Some(at) = self.batch_waits(step.now, &batch) {
                self.park_batch(batch, at);
            } else if let Err(at) = self.pay_for_retry(step.now, batch.members[0]) {
                self.park_batch(batch, at);
            } else {
                let is_absent = self.load_members_if_absent(&batch.members, step.effects);
                self.bound.push_first(batch);
                return (!is_absent).then_some(Candidate::Bound);
            }
        }
        if is_probe && let Some(lane) = self.best_probe(step.now) {
            return Some(Candidate::Lane(lane));
        }
        while let Some((lane, slot)) = self.lanes.peek() {
            if self.load_if_absent(step, slot) {
                return None;
            }
            if self.hold_for_route(step.now, lane, slot) || self.park_if_early(step.now, slot, false) {
                continue;
            }
            let until = self.lingers(step.now, lane, slot).or_else(|| self.wait_half_empty(step.now, lane, slot));
            match until {
                None if self.load_batch_mates(step) => {}
                None => return Some(Candidate::Turn),
                Some(until) => self.look_again(until),
            }
            // The token comes while the array waits, not after it.
            self.obtain_tokens(step);
            return self.request_candidate(step.now);
        }
        None
    }

    /// A request that may go, whatever holds the messages before it.
    fn request_candidate(&mut self, now: Timestamp) -> Option<Candidate> {
        while let Some(lane) = self.lanes.peek_request() {
            let slot = self.lanes.head_of(lane)?;
            if self.hold_for_route(now, lane, slot) {
                continue;
            }
            match self.pay_for_retry(now, slot) {
                Ok(()) => return Some(Candidate::Lane(lane)),
                Err(at) => {
                    self.lanes.take_from(lane, &self.outbox);
                    self.line_up(slot);
                    self.look_again(at);
                }
            }
        }
        None
    }

    /// Batches are cut to what the budget holds, so one message is enough to begin with.
    fn least_cost(&self, candidate: Candidate) -> u32 {
        let members = match candidate {
            Candidate::Bound => self.bound.first().map_or(1, |batch| batch.members.len()),
            Candidate::Turn | Candidate::Lane(_) => 1,
        };
        self.batching.cost_of(members, self.quota.cost_max())
    }

    fn load(&mut self, now: Timestamp, token: TokenId, candidate: Candidate) -> Option<Batch> {
        match candidate {
            Candidate::Bound => self.bound.take_first(),
            Candidate::Lane(lane) => {
                let slot = self.lanes.take_from(lane, &self.outbox)?;
                Some(self.gather(now, token, lane, slot))
            }
            Candidate::Turn => {
                let (lane, slot) = self.lanes.take(&self.outbox)?;
                Some(self.gather(now, token, lane, slot))
            }
        }
    }
}
