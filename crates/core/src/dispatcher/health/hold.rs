//! A pause by an operator: nothing leaves, whatever the server would take.

use super::Health;
use super::limit::resumed;
use super::scope::Suspect;
use crate::clock::Timestamp;
use crate::dispatcher::{Effect, Notice, Step};
use crate::stats::{Closure, Pause, PauseScope};

/// Why, in events and stats.
const BY_OPERATOR: &str = "operator";

/// Since when, and until when; without an end it lasts until somebody ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) struct OperatorHold {
    pub(in crate::dispatcher) since: Timestamp,
    pub(in crate::dispatcher) until: Option<Timestamp>,
}

impl Health {
    /// Begins one, or changes the end of the one that there is, which is given.
    pub(in crate::dispatcher) fn hold(
        &mut self,
        hold: OperatorHold,
        effects: &mut Vec<Effect>,
    ) -> Option<OperatorHold> {
        let earlier = self.operator_hold;
        let since = earlier.map_or(hold.since, |earlier| earlier.since);
        self.operator_hold = Some(OperatorHold { since, ..hold });
        effects.push(Effect::Notice(Notice::Paused { reason: BY_OPERATOR, since: hold.since, until: hold.until }));
        earlier
    }

    /// Ends it, if there is one.
    pub(in crate::dispatcher) fn end_hold(&mut self, step: &mut Step<'_>) -> Option<OperatorHold> {
        let hold = self.operator_hold.take()?;
        step.effects.push(resumed(PauseScope::Organization, None, step.now.since(hold.since)));
        Some(hold)
    }

    /// Whose the limits are that no body names is not known: they may be the organization's.
    fn make_suspects_due(&mut self, now: Timestamp) {
        for one in self.doubt.suspicions() {
            match &one.suspect {
                Suspect::Route(id) => drop(self.routes.get_mut(*id).limit.gate.make_due(now)),
                Suspect::Conversation(name) => self.conversations.make_due(now, name),
            }
        }
    }

    pub(in crate::dispatcher) fn operator_hold(&self) -> Option<OperatorHold> {
        self.operator_hold
    }

    /// The same, for who asks.
    pub(in crate::dispatcher) fn hold_pause(&self) -> Option<Pause> {
        let OperatorHold { since, until } = self.operator_hold?;
        let closure = Closure { reason: BY_OPERATOR, since, until, next_probe: None };
        Some(Pause { scope: PauseScope::Organization, limit: None, closure })
    }

    /// An operator has a reason to believe that all is well again: what is shut is probed at once. The organization's
    /// is also what messages take.
    pub(in crate::dispatcher) fn probe_now(&mut self, now: Timestamp, scope: &PauseScope) {
        let route = match scope {
            PauseScope::Organization | PauseScope::Unknown => {
                self.organization.make_due(now);
                self.by_token.make_due(now);
                self.make_suspects_due(now);
                Some(super::RouteId::MESSAGES)
            }
            PauseScope::Route(name) => self.routes.find(name),
            // No operator names one.
            PauseScope::Token(_) => None,
            PauseScope::Conversation(conversation) => return self.conversations.make_due(now, conversation),
        };
        let Some(route) = route.map(|route| self.routes.get_mut(route)) else { return };
        route.gate.make_due(now);
        route.limit.gate.make_due(now);
    }
}
