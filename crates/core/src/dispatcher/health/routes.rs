//! The routes that are known: each has a breaker, a gate, a retry budget, and a line of what waits for these.
//!
//! A route is remembered while anything in the outbox takes it. Beyond [`ROUTES_MAX`] the one that was used least
//! recently gives its place away, a healthy one before one that is shut; if all are in use, further routes share
//! [`RouteId::OTHERS`].

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::gate::Gate;
use super::limit::Limit;
use super::outage::LastFailure;
use crate::clock::Timestamp;
use crate::lanes::EntryId;
use crate::retry::{Breaker, RetryBudget};

/// Routes that are told apart at a time.
const ROUTES_MAX: usize = 256;

/// A route by its place, so that nobody compares texts for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::dispatcher) struct RouteId(u16);

impl RouteId {
    /// The sender's own route, which all messages take.
    pub(in crate::dispatcher) const MESSAGES: Self = Self(0);
    /// Shared by the routes for which there is no room.
    pub(in crate::dispatcher) const OTHERS: Self = Self(1);

    #[cfg(test)]
    pub(super) const fn of(index: u16) -> Self {
        Self(index)
    }

    /// Whether it is one route of calls, not that of the messages, nor several that share a place.
    pub(super) fn is_told_apart(self) -> bool {
        self != Self::MESSAGES && self != Self::OTHERS
    }

    fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What waits for its route, with the number that tells whether the entry id is still its own.
pub(in crate::dispatcher) type LineEntry = (EntryId, u64);

#[derive(Debug)]
pub(super) struct Route {
    pub(super) name: Box<str>,
    pub(super) breaker: Breaker,
    /// Shut while the route fails.
    pub(super) gate: Gate,
    /// While that is shut the latest failure.
    pub(super) last_failure: Option<Box<LastFailure>>,
    /// Shut while a limit of the route's own is in force.
    pub(super) limit: Limit,
    pub(super) retries: RetryBudget,
    /// When a request of it passed last, and when a 429 without a name was found to be of a limit of its own.
    pub(super) passed_at: Option<Timestamp>,
    pub(super) limited_at: Option<Timestamp>,
    /// It refused a fresh token at that time, and has accepted none since.
    pub(super) refused_at: Option<Timestamp>,
    /// First come, first served: retries without budget, and calls while the gate is shut.
    pub(super) line: VecDeque<LineEntry>,
    /// Calls in the outbox that take it.
    calls: u32,
    used: u64,
}

impl Route {
    fn new(now: Timestamp, name: Box<str>, used: u64) -> Self {
        let (breaker, gate, retries) = (Breaker::default(), Gate::new(now), RetryBudget::new(now));
        let limit = Limit::unmet(now);
        Self {
            name,
            breaker,
            gate,
            last_failure: None,
            limit,
            retries,
            passed_at: None,
            limited_at: None,
            refused_at: None,
            line: VecDeque::new(),
            calls: 0,
            used,
        }
    }

    /// Whether calls in the outbox take it.
    pub(super) fn has_calls(&self) -> bool {
        self.calls > 0
    }
}

#[derive(Debug)]
pub(super) struct Routes {
    routes: Vec<Route>,
    by_name: HashMap<Box<str>, RouteId>,
    uses: u64,
}

impl Routes {
    /// The sender's own route, and room for others.
    pub(super) fn new(now: Timestamp, own: String) -> Self {
        let own = own.into_boxed_str();
        let routes = vec![Route::new(now, own.clone(), 0), Route::new(now, "other routes".into(), 0)];
        Self { routes, by_name: HashMap::from_iter([(own, RouteId::MESSAGES)]), uses: 0 }
    }

    pub(super) fn get(&self, id: RouteId) -> &Route {
        &self.routes[id.index()]
    }

    pub(super) fn get_mut(&mut self, id: RouteId) -> &mut Route {
        &mut self.routes[id.index()]
    }

    /// A call takes the route of this name until [`Self::leave`].
    pub(super) fn join(&mut self, now: Timestamp, name: &str) -> RouteId {
        let id = self.know(now, name).unwrap_or(RouteId::OTHERS);
        self.uses += 1;
        let route = &mut self.routes[id.index()];
        route.calls += 1;
        route.used = self.uses;
        id
    }

    /// The route of this name, if there is room for it; nothing takes it yet.
    pub(super) fn know(&mut self, now: Timestamp, name: &str) -> Option<RouteId> {
        self.find(name).or_else(|| self.add(now, name))
    }

    pub(super) fn find(&self, name: &str) -> Option<RouteId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn leave(&mut self, id: RouteId) {
        let route = &mut self.routes[id.index()];
        debug_assert!(route.calls > 0, "every call leaves the route that it has joined, once");
        route.calls = route.calls.saturating_sub(1);
    }

    fn add(&mut self, now: Timestamp, name: &str) -> Option<RouteId> {
        let id = match self.routes.len() {
            length if length < ROUTES_MAX => RouteId(u16::try_from(length).ok()?),
            _ => self.least_useful()?,
        };
        let route = Route::new(now, name.into(), 0);
        match self.routes.get_mut(id.index()) {
            Some(place) => drop(self.by_name.remove(&std::mem::replace(place, route).name)),
            None => self.routes.push(route),
        }
        self.by_name.insert(name.into(), id);
        Some(id)
    }

    fn least_useful(&self) -> Option<RouteId> {
        let unused = self.iter().filter(|(id, route)| {
            let is_fixed = matches!(*id, RouteId::MESSAGES | RouteId::OTHERS);
            !is_fixed && route.calls == 0
        });
        let is_shut = |route: &Route| !route.gate.is_open() || !route.limit.gate.is_open();
        unused.min_by_key(|(_, route)| (is_shut(route), route.used)).map(|(id, _)| id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RouteId, &Route)> {
        (0..).map(RouteId).zip(&self.routes)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (RouteId, &mut Route)> {
        (0..).map(RouteId).zip(&mut self.routes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::gate::Cause;
    use super::*;

    fn routes() -> Routes {
        Routes::new(Timestamp::START, "POST /messages".to_owned())
    }

    #[test]
    fn a_name_is_one_route_and_the_senders_own_is_the_messages() {
        let mut routes = routes();
        let users = routes.join(Timestamp::START, "GET /users/{}");
        assert_eq!(routes.join(Timestamp::START, "GET /users/{}"), users);
        assert_ne!(routes.join(Timestamp::START, "POST /users/{}"), users);
        assert_eq!(routes.join(Timestamp::START, "POST /messages"), RouteId::MESSAGES);
    }

    #[test]
    fn the_least_recently_used_gives_its_place_away_a_healthy_one_first() {
        let mut routes = routes();
        let ids: Vec<RouteId> =
            (2..ROUTES_MAX).map(|index| routes.join(Timestamp::START, &format!("GET /{index}"))).collect();
        assert_eq!(routes.join(Timestamp::START, "GET /late"), RouteId::OTHERS, "all are in use");
        routes.leave(RouteId::OTHERS);
        ids.iter().for_each(|id| routes.leave(*id));
        let shut_until = Timestamp::START.after(std::time::Duration::from_secs(1));
        routes.get_mut(ids[0]).gate.shut(Timestamp::START, shut_until, Cause::Outage);
        assert_eq!(routes.join(Timestamp::START, "GET /late"), ids[1]);
        assert_eq!(routes.join(Timestamp::START, "GET /2"), ids[0], "the one that is shut is still known");
        assert_eq!(routes.join(Timestamp::START, "GET /3"), ids[2], "forgotten, and known again");
        assert_eq!(routes.iter().count(), ROUTES_MAX);
    }
}
