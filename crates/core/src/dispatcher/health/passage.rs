//! What may leave, and what becomes of a gate when something does.

use std::sync::Arc;

use super::conversations::LimitChange;
use super::gate::{AttemptId, Pass};
use super::hold::OperatorHold;
use super::{Gate, Health, RouteId, Sent, spacing};
use crate::clock::Timestamp;
use crate::lanes::LaneId;
use crate::message::Call;
use crate::token::TokenId;

impl Health {
    /// Whether a request of any route may leave.
    pub(in crate::dispatcher) fn pass(&mut self, now: Timestamp) -> Pass {
        match self.operator_hold {
            Some(OperatorHold { until: Some(until), .. }) => Pass::Shut(until),
            Some(_) => Pass::AwaitProbe(None),
            None => self.organization.pass(now),
        }
    }

    /// Whether a request of this route may leave, as far as the route is concerned.
    pub(in crate::dispatcher) fn route_pass(&mut self, now: Timestamp, route: RouteId) -> Pass {
        let route = self.routes.get_mut(route);
        route.gate.pass(now).and(route.limit.gate.pass(now))
    }

    pub(in crate::dispatcher) fn route_is_open(&self, route: RouteId) -> bool {
        let route = self.routes.get(route);
        route.gate.is_open() && route.limit.gate.is_open()
    }

    /// Until when a limit keeps this call from being sent, the organization's or that of its route; none where a
    /// request may find out whether it is over.
    pub(in crate::dispatcher) fn limited_until(&self, now: Timestamp, call: &Call) -> Option<Timestamp> {
        let route = self.routes.find(&super::route::name(&call.method, &call.path));
        let of_route = route.map(|route| &self.routes.get(route).limit.gate);
        let shut = of_route.into_iter().chain([&self.organization]).filter(|gate| gate.is_shut(now));
        shut.filter(|gate| gate.throttled_by().is_some()).filter_map(|gate| gate.closure()?.until).max()
    }

    /// Whether a request with a message of this conversation may leave, as far as the conversation is concerned.
    pub(in crate::dispatcher) fn conversation_pass(&mut self, now: Timestamp, conversation: &str) -> Pass {
        self.conversations.pass(now, conversation)
    }

    /// Whether a conversation waits for a limit of its own.
    pub(in crate::dispatcher) fn has_limited_conversations(&self) -> bool {
        !self.conversations.is_empty()
    }

    /// Whether a lane of a conversation opens or shuts.
    pub(in crate::dispatcher) fn has_limit_change(&self, now: Timestamp) -> bool {
        self.conversations.has_news(now)
    }

    /// Which lanes of conversations open and shut.
    pub(in crate::dispatcher) fn limit_change(&mut self, now: Timestamp) -> Vec<LimitChange> {
        self.conversations.news(now)
    }

    /// When the next of them opens.
    pub(in crate::dispatcher) fn conversation_due_at(&self) -> Option<Timestamp> {
        self.conversations.next_due()
    }

    /// Whether messages have to wait for a gate.
    pub(in crate::dispatcher) fn holds_messages(&self) -> bool {
        self.operator_hold.is_some()
            || !self.organization.is_open()
            || !self.route_is_open(RouteId::MESSAGES)
            || self.by_token.do_all_wait()
    }

    /// Whether a request that was made, and has waited for the disk or a connection since, may still leave.
    pub(in crate::dispatcher) fn may_leave<'a>(
        &self,
        attempt: AttemptId,
        (route, token): (RouteId, TokenId),
        mut conversations: impl Iterator<Item = &'a str>,
    ) -> bool {
        let lets = |gate: &Gate| gate.is_open() || gate.is_probe(attempt);
        let is_tokens = self.by_token.may_leave(attempt, token);
        let route = self.routes.get(route);
        self.operator_hold.is_none()
            && is_tokens
            && [&self.organization, &route.gate, &route.limit.gate].into_iter().all(lets)
            && (self.conversations.is_empty() || conversations.all(|one| self.conversations.may_leave(attempt, one)))
    }

    pub(in crate::dispatcher) fn is_open(&self) -> bool {
        self.operator_hold.is_none() && self.organization.is_open()
    }

    /// Whether nothing at all may leave for now, not even to find out.
    pub(in crate::dispatcher) fn is_shut(&self, now: Timestamp) -> bool {
        self.operator_hold.is_some() || self.organization.is_shut(now)
    }

    /// A request of a lane is about to leave: it is a probe of each gate that is due.
    pub(in crate::dispatcher) fn departs(
        &mut self,
        now: Timestamp,
        attempt: AttemptId,
        (route, token): (RouteId, TokenId),
        lane: LaneId,
    ) {
        self.by_token.departs(now, attempt, token);
        let state = self.routes.get_mut(route);
        if self.organization.is_open() && state.gate.is_open() && state.limit.gate.is_open() {
            return;
        }
        for gate in [&mut self.organization, &mut state.gate, &mut state.limit.gate] {
            if gate.pass(now) == Pass::Probe {
                gate.probe(now, attempt);
            }
        }
        self.probed.note(route, lane);
    }

    /// It was refused, and nobody knows yet whether it alone is: others tell more.
    pub(in crate::dispatcher) fn note_suspect(&mut self, route: RouteId, lane: LaneId) {
        self.probed.note(route, lane);
    }

    /// It has a message of this conversation.
    pub(in crate::dispatcher) fn departs_with(&mut self, now: Timestamp, attempt: AttemptId, conversation: &Arc<str>) {
        self.conversations.departs(now, attempt, conversation);
    }

    /// It leaves. When one more probe may join it, if it is one.
    pub(in crate::dispatcher) fn left(&mut self, sent: Sent, is_retry: bool) -> Option<Timestamp> {
        let Sent { attempt, route, token, left_at } = sent;
        let state = self.routes.get_mut(route);
        if !is_retry {
            state.retries.deposit();
        }
        let patience = self.patience.get();
        let of_conversation = self.conversations.left(left_at, attempt, patience);
        let gates = [&mut self.organization, &mut state.gate, &mut state.limit.gate].into_iter();
        let gates = gates.chain(self.by_token.shut_gate(token));
        let shut = gates.filter(|gate| !gate.is_open());
        let left = |gate: &mut Gate| gate.left(left_at, attempt, patience, spacing::apart(gate, left_at));
        let more_at = shut.filter_map(left);
        more_at.chain(of_conversation).min()
    }

    /// It has not left, was cut, or its answer says nothing about the limit: another request may probe.
    pub(in crate::dispatcher) fn lost(
        &mut self,
        now: Timestamp,
        attempt: AttemptId,
        (route, token): (RouteId, TokenId),
    ) {
        self.by_token.lost(now, attempt, token);
        let route = self.routes.get_mut(route);
        for gate in [&mut self.organization, &mut route.gate, &mut route.limit.gate] {
            gate.probe_lost(now, attempt);
        }
        self.conversations.lost(now, attempt);
    }
}
