//! What is shut, for listeners and for whoever asks; and what the next engine takes over.

use std::time::Duration;

use super::{Cause, Gate, Health, RouteId};
use crate::clock::Timestamp;
use crate::dispatcher::{Effect, Notice};
use crate::evidence::WaitSource;
use crate::stats::{Closure, Outage, Refusals};

impl Health {
    pub(super) fn tell_pause(
        source: WaitSource,
        until: Timestamp,
        pause: Duration,
        long: bool,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Notice(Notice::Throttled { reason: source.word(), until, pause, long }));
    }

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
        if flows && let Some(told) = self.outage_told.take() {
            self.outage_problem = None;
            effects.push(Effect::Notice(over(told)));
        }
    }

    /// Opens the organization's gate. Whether a pause or an outage is over.
    pub(super) fn reopen(&mut self, now: Timestamp, effects: &mut Vec<Effect>) -> bool {
        let Some((cause, paused)) = self.organization.open(now) else { return false };
        self.opened_at = now;
        self.tokens.reopened();
        if self.auth_problem.take().is_some() {
            effects.push(Effect::Notice(over(Cause::Auth)));
        }
        self.tell_outage_over(effects);
        if matches!(cause, Cause::Throttled(_)) {
            effects.push(Effect::Notice(Notice::Resumed { paused }));
        }
        cause != Cause::Auth
    }

    /// What holds all messages back, and why.
    pub(in crate::dispatcher) fn closure(&self) -> Option<(Cause, Closure)> {
        let gates = [&self.organization, &self.routes.get(RouteId::MESSAGES).gate];
        gates.into_iter().find_map(|gate| Some((gate.closed_by()?, gate.closure()?)))
    }

    /// A pause of the organization, while it holds something back.
    pub(in crate::dispatcher) fn pause_closure(&self, now: Timestamp) -> Option<Closure> {
        self.organization.throttled_by()?;
        self.organization.closure().filter(|_| self.organization.holds(now))
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
        let whole = whole.map(|closure| Outage { route: None, closure, problem: problem() });
        let routes = self.routes.iter().filter_map(|(_, route)| {
            let closure = route.gate.closure()?;
            Some(Outage { route: Some(route.name.clone()), closure, problem: None })
        });
        whole.into_iter().chain(routes).collect()
    }

    /// The organization's pause, for whoever sends next. Outages are its own to find.
    pub(in crate::dispatcher) fn bequest(&self, now: Timestamp) -> Option<Gate> {
        self.organization.bequest(now)
    }

    /// Goes on after a panic: what was sent before the gate last opened still tells nothing new.
    pub(in crate::dispatcher) fn take_over(&mut self, other: &Self) {
        self.opened_at = other.opened_at;
    }

    pub(in crate::dispatcher) fn inherit(&mut self, gate: Gate) {
        self.organization = gate;
    }
}

fn over(cause: Cause) -> Notice {
    Notice::Outage { reason: cause.word(), problem: String::new(), open: false }
}
