//! What waits for its route: calls whose route is shut, and retries that the route's budget has yet to pay for.

use crate::clock::Timestamp;
use crate::dispatcher::Dispatcher;
use crate::dispatcher::health::{Pass, Prospect, Rank, RouteId, Subject};
use crate::dispatcher::outbox::{Parking, State};
use crate::lanes::{EntryId, LaneId};
use crate::message::Payload;

/// Lanes that are looked at for the best probe.
const PROSPECTS_MAX: usize = 64;

impl Dispatcher {
    /// Whether the route lets a request through now; notes when to look again if not.
    pub(in crate::dispatcher) fn route_lets(&mut self, now: Timestamp, route: RouteId) -> bool {
        match self.health.route_pass(now, route) {
            Pass::Free => true,
            Pass::Probe => self.obtain_route_probe(now, route),
            Pass::Shut(at) | Pass::AwaitProbe(Some(at)) => {
                self.look_again(at);
                false
            }
            Pass::AwaitProbe(None) => false,
        }
    }

    /// Whether this host may find out for the fleet whether the route's limit is over, if that is what a probe does.
    fn obtain_route_probe(&mut self, now: Timestamp, route: RouteId) -> bool {
        let scope = self.membership.as_ref().and_then(|_| self.health.limit_to_probe(route));
        scope.is_none_or(|scope| self.obtain_probe(now, &scope))
    }

    /// Whether messages may go, as far as their route is concerned. Where it is shut nobody asks for calls alone.
    pub(super) fn route_lets_messages(&mut self, now: Timestamp) -> bool {
        // What only the store has is a message.
        let is_message = |entry_id: EntryId| {
            self.outbox.cold(entry_id).is_some() || matches!(self.outbox.get(entry_id).payload, Payload::Message(_))
        };
        let has_message = || {
            let mut heads = self.lanes.next_ready().take(PROSPECTS_MAX).filter_map(|lane| self.lanes.head_of(lane));
            self.bound.has_ready() || heads.any(is_message)
        };
        self.health.route_is_open(RouteId::MESSAGES) || (has_message() && self.route_lets(now, RouteId::MESSAGES))
    }

    /// A call whose route is shut leaves its lane, so that others go. Messages stay in theirs: all of them take one
    /// route.
    pub(in crate::dispatcher) fn hold_for_route(&mut self, now: Timestamp, lane: LaneId, entry_id: EntryId) -> bool {
        let entry = self.outbox.get(entry_id);
        let (route, is_call) = (entry.route, matches!(entry.payload, Payload::Call(_)));
        if !is_call || self.route_lets(now, route) {
            return false;
        }
        self.lanes.take_from(lane, &self.outbox);
        // It ages as if it had been tried: a caller gets an answer in the time that its settings say.
        self.outbox.delivery_state_mut(entry_id).first_attempt_at.get_or_insert(now);
        self.line_up(entry_id);
        self.held_calls.watch(entry_id);
        true
    }

    /// Lets those go that their routes let through, as many as find a connection.
    pub(in crate::dispatcher) fn release_lines(&mut self, now: Timestamp) {
        if !self.health.has_lines() {
            return;
        }
        let mut room = self.attempts_max().saturating_sub(self.attempts.len());
        let mut released = Vec::new();
        for route in self.health.next_lines() {
            if !self.route_lets(now, route) {
                continue;
            }
            let is_probe = self.health.route_pass(now, route) == Pass::Probe;
            let mut passes = if is_probe { room.min(1) } else { room };
            while let Some((entry_id, seq)) = self.health.first_in_line(route).filter(|_| passes > 0) {
                if self.is_in_line(entry_id, seq) {
                    if let Err(at) = self.pay_for_retry(now, entry_id) {
                        self.look_again(at);
                        break;
                    }
                    released.push(entry_id);
                    passes -= 1;
                    room -= 1;
                }
                self.health.leave_line(route);
            }
        }
        // Each goes to the front: the last one first keeps their turns.
        released.into_iter().rev().for_each(|entry_id| self.unpark(entry_id));
    }

    /// Whether it is still there: it may have ended meanwhile, and its entry id belong to another.
    fn is_in_line(&self, entry_id: EntryId, seq: u64) -> bool {
        if !self.outbox.has(entry_id) || self.outbox.cold(entry_id).is_some() {
            return false;
        }
        let entry = self.outbox.get(entry_id);
        entry.seq == seq && entry.state() == State::Parked(Parking::Line)
    }

    /// Calls that have ended leave the line of their route.
    pub(in crate::dispatcher) fn prune_line(&mut self, route: RouteId) {
        if self.health.first_in_line(route).is_none() || self.health.route_is_open(route) {
            return;
        }
        let mut line = self.health.take_line(route);
        line.retain(|(entry_id, seq)| self.is_in_line(*entry_id, *seq));
        self.health.put_line(route, line);
    }

    /// Whether something else than the one refused request may go, which has shut the gate for everything; then it
    /// finds out.
    pub(in crate::dispatcher) fn hear_another_witness(&mut self, now: Timestamp) {
        let Some(only) = self.health.only_witness().map(<[Subject]>::to_vec) else { return };
        let near: Vec<LaneId> = self.lanes.next_ready().take(PROSPECTS_MAX).collect();
        let is_another = |lane: LaneId| {
            let entry_id = self.lanes.head_of(lane)?;
            Some(!only.contains(&self.subject_of(entry_id)))
        };
        let is_there = near.into_iter().any(|lane| is_another(lane).unwrap_or(false));
        if is_there && self.health.hear_another_witness(now) {
            self.auths.retry_now();
        }
    }

    /// The lane whose head tells most as a probe, if one of those whose turn is near may go at once.
    pub(in crate::dispatcher) fn best_probe(&mut self, now: Timestamp) -> Option<LaneId> {
        let near: Vec<LaneId> = self.lanes.next_ready().take(PROSPECTS_MAX).collect();
        let prospects = near.into_iter().filter_map(|lane| self.prospect(now, lane));
        let ranked: Vec<(Rank, LaneId)> = prospects.collect();
        let (_, lane) = ranked.into_iter().min_by_key(|(rank, _)| *rank)?;
        let entry_id = self.lanes.head_of(lane)?;
        self.pay_for_retry(now, entry_id).is_ok().then_some(lane)
    }

    /// The same, if a bound batch would go before it, but was the last probe: it may be the one thing that fails.
    pub(in crate::dispatcher) fn better_probe_than_bound(&mut self, now: Timestamp) -> Option<LaneId> {
        let first = self.bound.first_member()?;
        let entry = self.outbox.get(first);
        let prospect = Prospect { lane: entry.lane, route: entry.route, is_slow: false };
        if self.health.probed_last(prospect) { self.best_probe(now) } else { None }
    }

    fn prospect(&mut self, now: Timestamp, lane: LaneId) -> Option<(Rank, LaneId)> {
        let entry_id = self.lanes.head_of(lane).filter(|entry_id| self.outbox.is_loaded(*entry_id))?;
        let (entry, usual) = (self.outbox.get(entry_id), self.settings.connections.request_timeout);
        let is_slow =
            matches!(&entry.payload, Payload::Call(call) if call.timeout.is_some_and(|timeout| timeout > usual));
        let prospect = Prospect { lane, route: entry.route, is_slow };
        let may_go = !self.is_early(now, entry_id, true) && self.lingers(now, lane, entry_id).is_none();
        (may_go && self.route_lets(now, prospect.route)).then(|| (self.health.rank(prospect), lane))
    }
}
