//! Pauses that other hosts of the fleet have met, and that they have found to be over.

use std::sync::Arc;
use std::time::Duration;

use super::limit::{Begun, Limit, resumed};
use super::{Gate, Health, RouteId};
use crate::clock::Timestamp;
use crate::dispatcher::Step;
use crate::evidence::WaitSource;
use crate::lease::Scope;
use crate::stats::PauseScope;

/// A pause that this host knows already is told with another end, by as much as the telling takes.
const SAME: Duration = Duration::from_secs(1);

/// Shuts the gate, unless it is shut for as long already.
fn shut(gate: &mut Gate, now: Timestamp, lasts: Duration, max_pause: Duration) -> bool {
    let until = now.after(lasts);
    let known = gate.closure().and_then(|closure| closure.until);
    let is_known = gate.is_shut(now) && known.is_some_and(|known| known.after(SAME) >= until);
    !is_known && gate.pause(now, until, max_pause, WaitSource::RetryAfter, false)
}

impl Health {
    /// What of the fleet's the next request of a route would probe, if the route has met a limit of its own.
    pub(in crate::dispatcher) fn limit_to_probe(&self, route: RouteId) -> Option<Scope> {
        let route = self.routes.get(route);
        (!route.limit.gate.is_open()).then(|| Scope::Route(route.name.clone()))
    }

    /// Whether a request of this host finds out whether a pause is over.
    pub(in crate::dispatcher) fn is_probing(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Organization => self.organization.is_probing(),
            Scope::Route(name) => {
                self.routes.find(name).is_some_and(|route| self.routes.get(route).limit.gate.is_probing())
            }
            Scope::Conversation(name) => self.conversations.get(name).is_some_and(|limit| limit.gate.is_probing()),
        }
    }

    /// The lanes of conversations are to be looked at again by then: another host may probe, or this one.
    pub(in crate::dispatcher) fn look_at_conversations_by(&mut self, at: Timestamp) {
        self.conversations.look_again_by(at);
    }

    /// Another host was refused.
    pub(in crate::dispatcher) fn fleet_paused(&mut self, step: &mut Step<'_>, scope: &Scope, lasts: Duration) {
        let (now, max_pause) = (step.now, self.max_pause);
        let own_limit = |limit: &mut Limit, scope: PauseScope| {
            let begun = shut(&mut limit.gate, now, lasts, max_pause).then(|| Begun::of(&limit.gate, now, max_pause));
            begun.flatten().map(|begun| limit.tell(begun, scope))
        };
        match scope {
            Scope::Organization => {
                if shut(&mut self.organization, now, lasts, max_pause)
                    && let Some(begun) = Begun::of(&self.organization, now, max_pause)
                {
                    self.doubt.release_all();
                    self.organization_limit = None;
                    self.tell_pause(step, PauseScope::Organization, begun, None);
                }
            }
            Scope::Route(name) => {
                if let Some(id) = self.routes.know(now, name) {
                    let route = self.routes.get_mut(id);
                    step.effects.extend(own_limit(&mut route.limit, PauseScope::Route(name.clone())));
                }
            }
            Scope::Conversation(name) => {
                let name: Arc<str> = Arc::from(&**name);
                let limit = self.conversations.meet(now, &name);
                step.effects.extend(own_limit(limit, PauseScope::Conversation(name)));
            }
        }
    }

    /// Another host was let through, or the fleet has forgotten the pause. Whether everything may go again.
    pub(in crate::dispatcher) fn fleet_resumed(&mut self, step: &mut Step<'_>, scope: &Scope) -> bool {
        match scope {
            Scope::Organization => self.is_throttled() && self.reopen(step),
            Scope::Route(name) => {
                let Some(id) = self.routes.find(name) else { return false };
                let ended = self.routes.get_mut(id).limit.open(step.now);
                let scope = PauseScope::Route(name.clone());
                step.effects.extend(ended.map(|(limit, paused)| resumed(scope, limit, paused)));
                false
            }
            Scope::Conversation(name) => {
                // Its next message finds out, and needs nobody's leave for that any more.
                self.conversations.make_due(step.now, name);
                self.conversations.look_again_by(step.now);
                false
            }
        }
    }
}
