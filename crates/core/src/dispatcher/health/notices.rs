//! What is shut, for listeners and for whoever asks; and what the next engine takes over.

use std::sync::Arc;
use std::time::Duration;

use super::bequest::Bequest;
use super::limit::{Begun, resumed};
use super::reachability::Reachability;
use super::suspicion::Suspicion;
use super::{Cause, Gate, Health, Limit, RouteId, Suspect};
use crate::clock::Timestamp;
use crate::dispatcher::{Effect, Notice, Step};
use crate::evidence::NamedLimit;
use crate::stats::{Closure, Outage, Pause, PauseScope, Refusals};

/// A pause that listeners know of.
#[derive(Debug)]
pub(super) struct PauseTold {
    scope: PauseScope,
    limit: Option<Box<NamedLimit>>,
    since: Timestamp,
    until: Timestamp,
}

impl Health {
    /// Tells of an outage that listeners don't know of. One takes the other's place: they are one wait to them.
    pub(super) fn tell_outage(&mut self, cause: Cause, problem: impl FnOnce() -> String, effects: &mut Vec<Effect>) {
        match self.outage_told.replace(cause) {
            Some(told) if told == cause => return,
            Some(told) => effects.push(Effect::Notice(over(told))),
            None => {}
        }
        let problem = problem();
        self.outage_problem = Some(problem.clone());
        effects.push(Effect::Notice(Notice::Outage { reason: cause.word(), problem, open: true }));
    }

    /// Tells that messages may leave again, if listeners believe that they can't.
    pub(super) fn tell_outage_over(&mut self, effects: &mut Vec<Effect>) {
        let flows = self.organization.is_open() && self.routes.get(RouteId::MESSAGES).gate.is_open();
        if flows {
            // Listeners may not know of one that an earlier engine has left.
            self.outage_problem = None;
            effects.extend(self.outage_told.take().map(|told| Effect::Notice(over(told))));
        }
    }

    /// Tells of a pause that shuts the organization's gate. If it takes the place of another one's, that is over.
    pub(super) fn tell_pause(
        &mut self,
        step: &mut Step<'_>,
        scope: PauseScope,
        begun: Begun,
        limit: Option<Box<NamedLimit>>,
    ) {
        let (since, until) = match self.pause_told.take() {
            Some(told) if told.scope == scope => (told.since, begun.until.max(told.until)),
            Some(told) => {
                step.effects.push(resumed(told.scope, told.limit, step.now.since(told.since)));
                (step.now, begun.until)
            }
            None => (step.now, begun.until),
        };
        self.pause_told = Some(PauseTold { scope: scope.clone(), limit: limit.clone(), since, until });
        step.effects.push(begun.notice(scope, limit));
    }

    /// Tells that it is over, if listeners believe that it is in force. `held`: for how long the gate has held.
    fn tell_pause_over(&mut self, step: &mut Step<'_>, held: Duration) {
        let Some(PauseTold { scope, limit, since, until }) = self.pause_told.take() else { return };
        let paused = match scope {
            // Others could have gone before what was refused, but nobody was there.
            PauseScope::Unknown => held.max(until.min(step.now).since(since)),
            _ => held,
        };
        step.effects.push(resumed(scope, limit, paused));
    }

    /// Opens the organization's gate. Whether a pause or an outage is over.
    pub(super) fn reopen(&mut self, step: &mut Step<'_>) -> bool {
        let Some((cause, paused)) = self.organization.open(step.now) else { return false };
        self.opened_at = step.now;
        self.reachability = Reachability::default();
        self.tokens.reopened();
        if self.auth_problem.take().is_some() {
            step.effects.push(Effect::Notice(over(Cause::Auth)));
        }
        self.tell_outage_over(step.effects);
        self.doubt.release_all();
        self.organization_limit = None;
        self.tell_pause_over(step, paused);
        cause != Cause::Auth
    }

    /// What holds all messages back, and why.
    pub(in crate::dispatcher) fn closure(&self) -> Option<(Cause, Closure)> {
        let gates = [&self.organization, &self.routes.get(RouteId::MESSAGES).gate];
        gates.into_iter().find_map(|gate| Some((gate.closed_by()?, gate.closure()?)))
    }

    /// Limits that are in force, the organization's first.
    pub(in crate::dispatcher) fn pauses(&self, now: Timestamp) -> Vec<Pause> {
        let routes = self.routes.iter().filter_map(|(id, route)| {
            let is_shut = !route.limit.gate.is_open();
            is_shut.then(|| route.limit.pause(now, self.scope_shown(Suspect::Route(id))))?
        });
        let conversations = self
            .conversations
            .iter()
            .filter_map(|(name, limit)| limit.pause(now, self.scope_shown(Suspect::Conversation(Arc::clone(name)))));
        let own: Vec<Pause> = routes.chain(conversations).collect();
        // While it is in doubt whose a limit is, what was refused says more than the moment that everything waits for.
        let is_shown = !self.doubt.holds_all() || own.iter().all(|pause| pause.scope != PauseScope::Unknown);
        let organization = self.organization_pause(now).filter(|_| is_shown);
        organization.into_iter().chain(self.token_pauses(now)).chain(own).collect()
    }

    /// The scope of a limit of a route's or conversation's, as far as it is known.
    fn scope_shown(&self, suspect: Suspect) -> PauseScope {
        match suspect {
            suspect if self.doubt.get(&suspect).is_some() => PauseScope::Unknown,
            Suspect::Route(id) => PauseScope::Route(self.routes.get(id).name.clone()),
            Suspect::Conversation(name) => PauseScope::Conversation(name),
        }
    }

    /// The same, whether or not anything is there to be held back: what the next run must know.
    pub(in crate::dispatcher) fn limits_in_force(&self, now: Timestamp) -> Vec<Pause> {
        let Bequest { organization, tokens, routes, conversations, .. } = self.bequest(now);
        let pause = |scope, limit: Limit| {
            let closure = limit.gate.closure()?;
            Some(Pause { scope, limit: limit.name, closure })
        };
        let organization = organization.and_then(|limit| pause(PauseScope::Organization, limit));
        let routes = routes.into_iter().filter_map(|(name, limit)| pause(PauseScope::Route(name), limit));
        let conversations =
            conversations.into_iter().filter_map(|(name, limit)| pause(PauseScope::Conversation(name), limit));
        let tokens =
            tokens.into_iter().filter_map(|(id, limit)| pause(PauseScope::Token(id.to_string().into()), limit));
        organization.into_iter().chain(tokens).chain(routes).chain(conversations).collect()
    }

    /// A pause of the organization, while it holds something back.
    pub(in crate::dispatcher) fn organization_pause(&self, now: Timestamp) -> Option<Pause> {
        self.organization.throttled_by()?;
        let closure = self.organization.closure().filter(|_| self.organization.holds(now))?;
        let scope = if self.doubt.holds_all() { PauseScope::Unknown } else { PauseScope::Organization };
        Some(Pause { scope, limit: self.organization_limit.clone(), closure })
    }

    /// The limits that keep all messages from being sent: the organization's, and that of the route that they take.
    pub(in crate::dispatcher) fn messages_pause(&self, now: Timestamp) -> Option<Pause> {
        if self.doubt.holds_all()
            && let Some(pause) = self.pauses(now).into_iter().find(|pause| pause.scope == PauseScope::Unknown)
        {
            return Some(pause);
        }
        self.organization_pause(now).or_else(|| {
            let route = self.routes.get(RouteId::MESSAGES);
            route.limit.pause(now, self.scope_shown(Suspect::Route(RouteId::MESSAGES)))
        })
    }

    /// The limits that a message of this conversation waits for besides the organization's.
    pub(in crate::dispatcher) fn pauses_of(&self, conversation: &Arc<str>) -> Vec<Pause> {
        let route = self.routes.get(RouteId::MESSAGES);
        let shut = |limit: &Limit, scope: PauseScope| {
            let closure = limit.gate.closure()?;
            Some(Pause { scope, limit: limit.name.clone(), closure })
        };
        let of_route = shut(&route.limit, self.scope_shown(Suspect::Route(RouteId::MESSAGES)));
        let own = self.conversations.get(conversation);
        let scope = || self.scope_shown(Suspect::Conversation(Arc::clone(conversation)));
        let own = own.and_then(|limit| shut(limit, scope()));
        of_route.into_iter().chain(own).collect()
    }

    /// An outage of what carries messages, or refused credentials.
    pub(in crate::dispatcher) fn outage_closure(&self) -> Option<Closure> {
        let gates = [&self.organization, &self.routes.get(RouteId::MESSAGES).gate];
        gates.into_iter().filter(|gate| gate.throttled_by().is_none()).find_map(Gate::closure)
    }

    /// With what everybody's messages are refused, while that holds them back.
    pub(in crate::dispatcher) fn refused_with(&self) -> Option<&Refusals> {
        self.refused_with.as_ref()
    }

    /// What went wrong, while something holds messages back for another reason than a 429.
    pub(in crate::dispatcher) fn problem(&self) -> Option<&str> {
        self.auth_problem.as_deref().or(self.outage_problem.as_deref())
    }

    /// Everything that is shut for another reason than a 429, with its scope.
    pub(in crate::dispatcher) fn outages(&self) -> Vec<Outage> {
        let whole = self.organization.closure().filter(|_| self.organization.throttled_by().is_none());
        let problem = || self.problem().map(Into::into);
        let whole = whole.map(|closure| Outage { route: None, token: None, closure, problem: problem() });
        let routes = self.routes.iter().filter_map(|(_, route)| {
            let closure = route.gate.closure()?;
            Some(Outage { route: Some(route.name.clone()), token: None, closure, problem: None })
        });
        whole.into_iter().chain(self.token_outages()).chain(routes).collect()
    }

    /// The pauses, for the engine that sends next, and the outage that it must not need a message to find. It finds
    /// others by itself.
    pub(in crate::dispatcher) fn bequest(&self, now: Timestamp) -> Bequest {
        let routes = self.routes.iter().filter_map(|(_, route)| Some((route.name.clone(), route.limit.bequest(now)?)));
        let conversations = self.conversations.iter();
        let conversations = conversations.filter(|(_, limit)| limit.gate.holds(now));
        let conversations =
            conversations.filter_map(|(name, limit)| Some((Arc::clone(name), limit.bequest(now)?))).collect();
        let organization = self.organization.bequest(now);
        let organization = organization.map(|gate| Limit::of(now, gate, self.organization_limit.clone()));
        let is_in_doubt = organization.is_some() && self.doubt.holds_all();
        let (unknown, outage) = (self.unknown_outcomes(), self.known_outage());
        let tokens = self.by_token.limits();
        let tokens = tokens.filter_map(|(id, limit)| Some((id, limit.bequest(now)?))).collect();
        Bequest { organization, is_in_doubt, tokens, routes: routes.collect(), conversations, unknown, outage }
    }

    /// Goes on after a panic: what was sent before the gate last opened still tells nothing new.
    pub(in crate::dispatcher) fn take_over(&mut self, other: &Self) {
        self.opened_at = other.opened_at;
    }

    pub(in crate::dispatcher) fn inherit(&mut self, now: Timestamp, bequest: Bequest) {
        let Bequest { organization, is_in_doubt, tokens, routes, conversations, unknown, outage } = bequest;
        self.inherit_outage(now, unknown, outage);
        tokens.into_iter().for_each(|(fingerprint, limit)| self.by_token.inherit(fingerprint, limit));
        if let Some(Limit { gate, name, .. }) = organization {
            self.organization = gate;
            let scope = if is_in_doubt { PauseScope::Unknown } else { PauseScope::Organization };
            let limit = name.clone();
            self.pause_told = Some(PauseTold { scope, limit, since: now, until: now });
            self.organization_limit = name;
        }
        for (name, mut limit) in routes {
            if let Some(route) = self.routes.know(now, &name) {
                self.suspect_again(now, is_in_doubt, Suspect::Route(route), &mut limit);
                self.routes.get_mut(route).limit = limit;
            }
        }
        for (conversation, mut limit) in conversations {
            self.suspect_again(now, is_in_doubt, Suspect::Conversation(Arc::clone(&conversation)), &mut limit);
            self.conversations.put(conversation, limit);
        }
    }

    /// The last engine did not know whose limit this is.
    fn suspect_again(&mut self, now: Timestamp, is_in_doubt: bool, suspect: Suspect, limit: &mut Limit) {
        if is_in_doubt && limit.name.is_none() {
            self.doubt.hold_all();
            limit.is_told = false;
            self.doubt.add(Suspicion::of(now, suspect, &limit.gate));
        }
    }
}

fn over(cause: Cause) -> Notice {
    Notice::Outage { reason: cause.word(), problem: String::new(), open: false }
}
