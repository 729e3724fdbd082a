//! Failures in a row, of any route: what tells an outage of the organization from that of one route.

use std::time::Duration;

use super::routes::RouteId;

/// Failures in a row that are taken for an outage rather than for a few requests' bad luck.
const FAILURES_MAX: u32 = 10;
/// So many are no bad luck of one message that would be given up for them.
const RUN_MIN: u32 = 3;
/// Routes that fail one after the other are several: the server is at fault. A cut connection says more than a status.
const ROUTES_ANSWERED_MIN: usize = 3;
const ROUTES_CUT_MIN: usize = 2;

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum Failure {
    /// It never reached the server: the way to the host fails, whatever the route.
    Unsent,
    /// It was sent, and no answer came.
    Unanswered,
    /// The server answered that it failed, and perhaps for how long.
    Answered { retry_after: Option<Duration> },
}

/// Failures since the last success of any route.
#[derive(Debug, Default)]
pub(super) struct FailureRun {
    unsent: u32,
    cut: u32,
    sent: u32,
    /// Routes of those that were sent; a few are enough to know that there are several.
    routes: [Option<RouteId>; ROUTES_ANSWERED_MIN],
}

impl FailureRun {
    /// A request succeeded: the server, and the way to it, are there.
    pub(super) fn end(&mut self) {
        if self.unsent != 0 || self.sent != 0 {
            *self = Self::default();
        }
    }

    /// Counts one.
    pub(super) fn add(&mut self, route: RouteId, failure: Failure) {
        if failure == Failure::Unsent {
            self.unsent = self.unsent.saturating_add(1);
            return;
        }
        self.sent = self.sent.saturating_add(1);
        self.cut = self.cut.saturating_add(u32::from(failure == Failure::Unanswered));
        if !self.routes.contains(&Some(route))
            && let Some(free) = self.routes.iter_mut().find(|known| known.is_none())
        {
            *free = Some(route);
        }
    }

    /// Whether the organization is out: the way to the host fails, or several routes do.
    pub(super) fn is_outage(&self) -> bool {
        let routes = self.routes.iter().flatten().count();
        self.unsent >= FAILURES_MAX
            || (self.sent >= FAILURES_MAX && routes >= ROUTES_ANSWERED_MIN)
            || (self.cut >= FAILURES_MAX && routes >= ROUTES_CUT_MIN)
    }

    /// Whether as many have failed in a row as one message may have for bad luck.
    pub(super) fn is_long(&self) -> bool {
        self.unsent.saturating_add(self.sent) >= RUN_MIN
    }

    /// Whether this route is not the only one that has failed.
    pub(super) fn has_other_than(&self, route: RouteId) -> bool {
        self.routes.iter().flatten().any(|other| *other != route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERED: Failure = Failure::Answered { retry_after: None };

    const ROUTES: [RouteId; 4] = [RouteId::MESSAGES, RouteId::of(7), RouteId::of(8), RouteId::of(9)];

    fn run(count: usize, routes: usize, failure: Failure) -> FailureRun {
        let mut run = FailureRun::default();
        (0..count).for_each(|index| run.add(ROUTES[index % routes], failure));
        run
    }

    #[test]
    fn one_route_is_no_outage_of_the_organization_however_often_it_fails() {
        assert!(!run(1_000, 1, ANSWERED).is_outage());
        assert!(!run(1_000, 1, Failure::Unanswered).is_outage());
        assert!(!run(1_000, 2, ANSWERED).is_outage());
    }

    #[test]
    fn the_way_to_the_host_or_several_routes_are() {
        assert!(!run(9, 1, Failure::Unsent).is_outage() && run(10, 1, Failure::Unsent).is_outage());
        assert!(!run(9, 3, ANSWERED).is_outage() && run(10, 3, ANSWERED).is_outage());
        assert!(!run(9, 2, Failure::Unanswered).is_outage() && run(10, 2, Failure::Unanswered).is_outage());
        assert!(run(10, 4, ANSWERED).is_outage());
    }

    #[test]
    fn a_success_ends_the_run() {
        let mut run = run(9, 3, ANSWERED);
        run.end();
        run.add(ROUTES[0], ANSWERED);
        assert!(!run.is_outage() && !run.has_other_than(ROUTES[0]) && run.has_other_than(ROUTES[1]));
    }
}
