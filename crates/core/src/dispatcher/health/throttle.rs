//! 429s: what is shut, and for how long.

use std::sync::Arc;

use super::limit::{Refused, resumed};
use super::scope::Suspect;
use super::{Cause, Health, Scope, Sent};
use crate::clock::Timestamp;
use crate::dispatcher::Step;
use crate::evidence::Evidence;
use crate::random::Random;
use crate::stats::PauseScope;

impl Health {
    /// All that a 429 refuses. It draws one backoff: what came together goes again together.
    pub(in crate::dispatcher) fn throttled_all(
        &mut self,
        step: &mut Step<'_>,
        sent: Sent,
        limits: &[(Scope, Evidence)],
        random: &mut Random,
    ) {
        let drawn = random.clone();
        for (scope, evidence) in limits {
            random.clone_from(&drawn);
            self.throttled(step, sent, scope, evidence, random);
        }
        // Not before all are told: a conversation that it has probed, and that is among the refused, has its answer.
        self.conversations.lost(step.now, sent.attempt);
    }

    /// A 429: nothing in its scope leaves until the pause is over, that included which waits for the disk or a
    /// connection. Only a request that was sent while the gate was open, or the probe, makes the backoff grow: the
    /// others were on the wire already and tell nothing new, unless they name a later time.
    fn throttled(&mut self, step: &mut Step<'_>, sent: Sent, scope: &Scope, evidence: &Evidence, random: &mut Random) {
        let Sent { attempt, left_at, .. } = sent;
        self.failures.end();
        let max_pause = self.max_pause;
        let route = self.routes.get_mut(sent.route);
        route.breaker.succeeded();
        // It tells nothing about the route's outage, nor about the limits of other scopes.
        route.gate.probe_lost(step.now, attempt);
        if !matches!(scope, Scope::Route(_) | Scope::Unknown(Suspect::Route(_))) {
            route.limit.gate.probe_lost(step.now, attempt);
        }
        let is_probe = self.organization.is_probe(attempt);
        let are_several = self.by_token.are_several();
        if matches!(scope, Scope::Token(_) | Scope::Route(_) | Scope::Conversation(_)) || are_several {
            self.organization.probe_lost(step.now, attempt);
        }
        if !matches!(scope, Scope::Token(_)) {
            self.by_token.lost(step.now, attempt, sent.token);
        }
        match scope {
            Scope::Organization => {
                let is_new = is_probe || (self.organization.is_open() && left_at >= self.opened_at);
                let is_found = evidence.limit.is_none() && self.find_everybodys(step, is_probe, evidence, random);
                if !is_found {
                    self.doubt.release_all();
                    self.pause(step, is_new, evidence, random);
                }
            }
            Scope::Route(id) => {
                let route = self.routes.get_mut(*id);
                let begun = route.limit.refuse(step.now, (attempt, left_at), evidence, max_pause, random);
                let scope = PauseScope::Route(route.name.clone());
                step.effects.extend(begun.map(|begun| route.limit.tell(begun, scope)));
                if evidence.limit.is_none() {
                    route.limited_at = Some(step.now);
                    self.doubt.remember(step.now, &Suspect::Route(*id));
                }
            }
            Scope::Conversation(conversation) => {
                let limit = self.conversations.meet(step.now, conversation);
                let begun = limit.refuse(step.now, (attempt, left_at), evidence, max_pause, random);
                let scope = PauseScope::Conversation(Arc::clone(conversation));
                step.effects.extend(begun.map(|begun| limit.tell(begun, scope)));
                if evidence.limit.is_none() {
                    self.doubt.remember(step.now, &Suspect::Conversation(Arc::clone(conversation)));
                }
            }
            Scope::Token(_) => self.token_throttled(step, sent, evidence, random),
            Scope::Unknown(suspect) if are_several => self.contest(step, sent, suspect, evidence, random),
            Scope::Unknown(suspect) => self.suspect(step, (sent, is_probe), suspect, evidence, random),
        }
    }

    /// Closes the organization's gate for as long as the server asks, or by our own backoff.
    pub(in crate::dispatcher) fn pause(
        &mut self,
        step: &mut Step<'_>,
        is_new: bool,
        evidence: &Evidence,
        random: &mut Random,
    ) {
        let begun =
            self.organization.refuse(&Refused { now: step.now, is_new, evidence, max_pause: self.max_pause }, random);
        if begun.is_some() || is_new {
            self.organization_limit.clone_from(&evidence.limit);
        }
        if let Some(begun) = begun {
            self.tell_pause(step, PauseScope::Organization, begun, evidence.limit.clone());
        }
    }

    /// A request was answered with something else than a 429: the limits of its route and conversations that it has
    /// probed are no longer in force. Whether the route's was.
    pub(super) fn end_limits(&mut self, step: &mut Step<'_>, sent: Sent) -> bool {
        if self.conversations.are_probed() {
            for (conversation, mut limit) in self.conversations.answered(sent.attempt) {
                let opened = limit.open(step.now).filter(|_| limit.is_told);
                let scope = PauseScope::Conversation(conversation);
                step.effects.extend(opened.map(|(name, paused)| resumed(scope, name, paused)));
            }
        }
        let route = self.routes.get_mut(sent.route);
        if !route.limit.gate.is_probe(sent.attempt) {
            return false;
        }
        let Some((name, paused)) = route.limit.open(step.now) else { return false };
        if std::mem::take(&mut route.limit.is_told) {
            step.effects.push(resumed(PauseScope::Route(route.name.clone()), name, paused));
        }
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
