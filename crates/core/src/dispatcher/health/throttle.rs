//! 429s: whose limit it is, and what is shut for how long.

use std::sync::Arc;

use super::limit::{Refused, resumed};
use super::{Cause, Health, RouteId, Scope, Sent};
use crate::clock::Timestamp;
use crate::dispatcher::Effect;
use crate::evidence::Evidence;
use crate::random::Random;
use crate::stats::PauseScope;

impl Health {
    /// What a 429 applies to. `conversation`: that of the refused messages, if they all belong to one.
    pub(in crate::dispatcher) fn scope_of(
        &self,
        route: RouteId,
        conversation: Option<Arc<str>>,
        evidence: &Evidence,
    ) -> Scope {
        match &evidence.limit {
            Some(limit) => Scope::named(limit, route, conversation),
            None => Scope::Organization,
        }
    }

    /// A 429: nothing in its scope leaves until the pause is over, that included which waits for the disk or a
    /// connection. Only a request that was sent while the gate was open, or the probe, makes the backoff grow: the
    /// others were on the wire already and tell nothing new, unless they name a later time.
    pub(in crate::dispatcher) fn throttled(
        &mut self,
        now: Timestamp,
        sent: Sent,
        scope: &Scope,
        evidence: &Evidence,
        random: &mut Random,
        effects: &mut Vec<Effect>,
    ) {
        let Sent { attempt, left_at, .. } = sent;
        self.failures.end();
        let max_pause = self.max_pause;
        let route = self.routes.get_mut(sent.route);
        route.breaker.succeeded();
        // It tells nothing about the route's outage, nor about the limits of other scopes.
        route.gate.probe_lost(now, attempt);
        if !matches!(scope, Scope::Route(_)) {
            route.limit.gate.probe_lost(now, attempt);
        }
        let is_probe = self.organization.is_probe(attempt);
        if *scope != Scope::Organization {
            self.organization.probe_lost(now, attempt);
        }
        match scope {
            Scope::Organization => {
                self.conversations.lost(now, attempt);
                let is_news = is_probe || (self.organization.is_open() && left_at >= self.opened_at);
                self.pause(now, is_news, evidence, random, effects);
            }
            Scope::Route(id) => {
                self.conversations.lost(now, attempt);
                let route = self.routes.get_mut(*id);
                let begun = route.limit.refuse(now, (attempt, left_at), evidence, max_pause, random);
                let scope = PauseScope::Route(route.name.clone());
                effects.extend(begun.map(|begun| begun.notice(scope, evidence.limit.clone())));
            }
            Scope::Conversation(conversation) => {
                let limit = self.conversations.meet(now, conversation);
                let begun = limit.refuse(now, (attempt, left_at), evidence, max_pause, random);
                self.conversations.lost(now, attempt);
                let scope = PauseScope::Conversation(Arc::clone(conversation));
                effects.extend(begun.map(|begun| begun.notice(scope, evidence.limit.clone())));
            }
        }
    }

    /// Closes the organization's gate for as long as the server asks, or by our own backoff.
    pub(in crate::dispatcher) fn pause(
        &mut self,
        now: Timestamp,
        is_news: bool,
        evidence: &Evidence,
        random: &mut Random,
        effects: &mut Vec<Effect>,
    ) {
        let begun = self.organization.refuse(&Refused { now, is_news, evidence, max_pause: self.max_pause }, random);
        if begun.is_some() || is_news {
            self.organization_limit.clone_from(&evidence.limit);
        }
        effects.extend(begun.map(|begun| begun.notice(PauseScope::Organization, evidence.limit.clone())));
    }

    /// A request was answered with something else than a 429: the limits of its route and conversations that it has
    /// probed are no longer in force. Whether the route's was.
    pub(super) fn end_limits(&mut self, now: Timestamp, sent: Sent, effects: &mut Vec<Effect>) -> bool {
        if self.conversations.are_probed() {
            for (conversation, mut limit) in self.conversations.answered(sent.attempt) {
                let scope = PauseScope::Conversation(conversation);
                effects.extend(limit.open(now).map(|(name, paused)| resumed(scope, name, paused)));
            }
        }
        let route = self.routes.get_mut(sent.route);
        if !route.limit.gate.is_probe(sent.attempt) {
            return false;
        }
        let Some((name, paused)) = route.limit.open(now) else { return false };
        effects.push(resumed(PauseScope::Route(route.name.clone()), name, paused));
        true
    }

    /// The probe of a limit has no answer: its time holds, or another one goes.
    pub(super) fn limits_unanswered(&mut self, now: Timestamp, sent: Sent) {
        let every = self.max_pause;
        self.conversations.failed(now, sent.attempt, every);
        self.routes.get_mut(sent.route).limit.gate.probe_failed(now, sent.attempt, every);
    }

    /// Whether a pause of the organization is what shuts it.
    pub(super) fn is_throttled(&self) -> bool {
        matches!(self.organization.closed_by(), Some(Cause::Throttled(_)))
    }
}
