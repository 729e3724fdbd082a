//! A pause by an operator: nothing leaves, whatever the server would take.

use super::Health;
use crate::clock::Timestamp;
use crate::dispatcher::{Effect, Notice};
use crate::stats::Closure;

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
    pub(in crate::dispatcher) fn end_hold(
        &mut self,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Option<OperatorHold> {
        let hold = self.operator_hold.take()?;
        effects.push(Effect::Notice(Notice::Resumed { paused: now.since(hold.since) }));
        Some(hold)
    }

    pub(in crate::dispatcher) fn operator_hold(&self) -> Option<OperatorHold> {
        self.operator_hold
    }

    /// The same, for who asks.
    pub(in crate::dispatcher) fn hold_closure(&self) -> Option<Closure> {
        let OperatorHold { since, until } = self.operator_hold?;
        Some(Closure { reason: BY_OPERATOR, since, until, next_probe: None })
    }

    /// An operator has a reason to believe that all is well again: what is shut is probed at once. `route` is its name;
    /// `None` is the organization, and what messages take.
    pub(in crate::dispatcher) fn probe_now(&mut self, now: Timestamp, route: Option<&str>) {
        if route.is_none() {
            self.organization.make_due(now);
            self.routes.get_mut(super::RouteId::MESSAGES).gate.make_due(now);
        }
        for (_, known) in self.routes.iter_mut().filter(|(_, known)| Some(&*known.name) == route) {
            known.gate.make_due(now);
        }
    }
}
