//! The health of the server: the organization's gate, and each route's gate, breaker and retry budget.
//!
//! The dispatcher asks what may leave and reports the results. A 429 shuts the organization, a route or a conversation,
//! depending on whose limit it is. The *organization* has an outage when the host can't be reached or several routes
//! fail; a single route that fails holds back only its own requests. Each is probed by one request at a time.

mod bequest;
mod by_token;
mod caution;
mod conversations;
mod credentials;
mod doubt;
mod failures;
mod fleet;
mod gate;
mod hold;
mod in_use;
mod known_outage;
mod limit;
mod line;
mod notices;
mod outage;
mod own_limits;
mod passage;
mod probes;
mod reachability;
mod refusals;
mod route;
mod routes;
mod scope;
mod spacing;
mod spread;
mod standstill;
mod streak;
mod suspicion;
mod throttle;
mod unheard;

use std::time::Duration;

pub(super) use self::bequest::Bequest;
use self::by_token::ByToken;
use self::caution::Caution;
use self::conversations::Conversations;
pub(super) use self::conversations::LimitChange;
use self::credentials::TokenEvidence;
pub(super) use self::credentials::{Blame, Refusal, Subject};
use self::doubt::Doubt;
pub(super) use self::failures::Failure;
use self::failures::FailureRun;
pub(super) use self::gate::Gate;
pub(super) use self::gate::Pass;
pub use self::gate::{AttemptId, Cause};
pub(super) use self::hold::OperatorHold;
pub(super) use self::known_outage::KnownOutage;
pub(super) use self::limit::Limit;
use self::notices::PauseTold;
pub(super) use self::outage::LastFailure;
pub(super) use self::probes::Prospect;
pub(super) use self::probes::Rank;
use self::probes::{Patience, Probed};
use self::reachability::Reachability;
use self::refusals::RefusalRun;
pub(super) use self::refusals::{Fingerprint, MessageRefusal, Whom};
pub(super) use self::routes::RouteId;
use self::routes::Routes;
pub(super) use self::scope::{Scope, Suspect};
pub(super) use self::standstill::Span;
use self::standstill::Standstill;
pub(super) use self::unheard::{Unheard, UnheardRefusals};
use crate::clock::Timestamp;
use crate::dispatcher::Step;
use crate::evidence::NamedLimit;
use crate::message::Call;
use crate::random::Random;
use crate::retry::Backoff;
use crate::stats::Refusals;
use crate::token::TokenId;

/// Between probes while credentials are refused.
const AUTH_BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(60));

/// A request that has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) attempt: AttemptId,
    pub(super) route: RouteId,
    /// Which it shows.
    pub(super) token: TokenId,
    pub(super) left_at: Timestamp,
}

#[derive(Debug)]
pub(super) struct Health {
    organization: Gate,
    /// The limit behind its pause, if the server named one.
    organization_limit: Option<Box<NamedLimit>>,
    opened_at: Timestamp,
    /// A longer wait is probed at this interval, and a backoff is never longer.
    max_pause: Duration,
    routes: Routes,
    by_token: ByToken,
    conversations: Conversations,
    /// Whose limits are that nothing names.
    doubt: Doubt,
    failures: FailureRun,
    refusals: RefusalRun,
    /// `None` if requests with an unknown outcome are repeated.
    caution: Option<Caution>,
    /// The refusal that everybody gets, while it holds messages back.
    refused_with: Option<Refusals>,
    patience: Patience,
    probed: Probed,
    standstill: Standstill,
    /// Of the host, in an outage of the organization.
    reachability: Reachability,
    /// Routes that something waits for, longest first.
    lines: Vec<RouteId>,
    tokens: TokenEvidence,
    auth_problem: Option<String>,
    /// The outage of messages that was announced to listeners and whose end is still to be announced.
    outage_told: Option<Cause>,
    outage_problem: Option<String>,
    /// The pause of the organization's gate that was announced to listeners and whose end is still to be announced.
    pause_told: Option<PauseTold>,
    /// Of an outage of the organization the latest failure.
    last_failure: Option<Box<LastFailure>>,
    operator_hold: Option<OperatorHold>,
}

impl Health {
    /// Everything is open. `method` and `path` are the route of messages; `tokens` the name and the fingerprint of
    /// each.
    pub(super) fn new(
        now: Timestamp,
        max_pause: Duration,
        (method, path): (&str, &str),
        tokens: impl ExactSizeIterator<Item = (Box<str>, u64)>,
    ) -> Self {
        Self {
            organization: Gate::new(now),
            organization_limit: None,
            opened_at: now,
            max_pause,
            routes: Routes::new(now, route::name(method, path)),
            by_token: ByToken::new(now, tokens),
            conversations: Conversations::default(),
            doubt: Doubt::default(),
            failures: FailureRun::default(),
            refusals: RefusalRun::default(),
            caution: None,
            refused_with: None,
            patience: Patience::default(),
            probed: Probed::default(),
            standstill: Standstill::default(),
            reachability: Reachability::default(),
            lines: Vec::new(),
            tokens: TokenEvidence::default(),
            auth_problem: None,
            outage_told: None,
            outage_problem: None,
            pause_told: None,
            last_failure: None,
            operator_hold: None,
        }
    }

    /// The route of a call, from now until [`Self::leave`].
    pub(super) fn join(&mut self, now: Timestamp, call: &Call) -> RouteId {
        self.routes.join(now, &route::name(&call.method, &call.path))
    }

    pub(super) fn leave(&mut self, route: RouteId) {
        self.routes.leave(route);
    }

    /// Method and path template of a route.
    pub(super) fn route_name(&self, route: RouteId) -> &str {
        &self.routes.get(route).name
    }

    /// How suitable this one is as a probe; lower is better.
    pub(super) fn rank(&self, prospect: Prospect) -> Rank {
        self.probed.rank(prospect)
    }

    /// Whether this one was the last probe.
    pub(super) fn probed_last(&self, prospect: Prospect) -> bool {
        self.probed.was_last(prospect)
    }

    /// Must be called whenever a gate or anything else that holds all messages back may have changed. Whether it has.
    pub(super) fn note_standstill(&mut self, now: Timestamp, is_held: bool) -> bool {
        self.standstill.note(now, is_held)
    }

    /// Whether messages are noted as held back.
    pub(super) fn stands_still(&self) -> bool {
        self.standstill.lasts()
    }

    /// When messages did not age, until now.
    pub(super) fn standstill(&self, now: Timestamp) -> Vec<Span> {
        self.standstill.carried(now)
    }

    /// When they did not in earlier runs.
    pub(super) fn inherit_standstill(&mut self, spans: Vec<Span>) {
        self.standstill.inherit(spans);
    }

    /// Refusals that the learner has not heard of yet.
    pub(super) fn unheard(&self) -> &UnheardRefusals {
        self.doubt.unheard()
    }

    pub(super) fn unheard_mut(&mut self) -> &mut UnheardRefusals {
        self.doubt.unheard_mut()
    }

    /// The age of something at that time, without the time during which messages were held back.
    pub(super) fn age(&self, since: Timestamp, at: Timestamp) -> Duration {
        self.standstill.age(since, at)
    }

    /// Withdraws a retry from the budget of its route.
    pub(super) fn pay_for_retry(&mut self, now: Timestamp, route: RouteId) -> Result<(), Timestamp> {
        self.routes.get_mut(route).retries.withdraw(now)
    }

    /// The server accepted the request, or refused it because of the request itself. Returns whether messages may leave
    /// that could not before.
    pub(super) fn passed(&mut self, step: &mut Step<'_>, sent: Sent) -> bool {
        self.patience.learn(step.now.since(sent.left_at));
        self.failures.end();
        self.tokens.accepted(step.now, sent.route);
        let are_accepted = self.end_refusals(sent);
        if sent.route == RouteId::MESSAGES {
            self.caution.iter_mut().for_each(Caution::succeeded);
        }
        let is_probe = self.organization.is_probe(sent.attempt);
        self.clear_up(step, sent);
        self.token_accepted(step, sent);
        // Nearly always none is in force, and so none is probed.
        let may_end = self.conversations.are_probed() || !self.routes.get(sent.route).limit.gate.is_open();
        let ends_limit = may_end && self.end_limits(step, sent) && sent.route == RouteId::MESSAGES;
        let route = self.routes.get_mut(sent.route);
        route.breaker.succeeded();
        route.retries.succeeded();
        route.refused_at = None;
        if self.organization.is_open() && route.gate.is_open() {
            return ends_limit;
        }
        let is_known = route.gate.closed_by() == Some(Cause::Refused) && !are_accepted;
        let opens = !is_known && route.gate.open(step.now).is_some() && sent.route == RouteId::MESSAGES;
        if opens {
            self.refused_with = None;
        }
        let opens = opens || ends_limit;
        if is_probe || self.organization.closed_by() == Some(Cause::Outage) {
            return self.reopen(step) || opens;
        }
        self.tell_outage_over(step.effects);
        opens
    }

    /// The server or the network failed. Returns whether messages may leave that could not before.
    pub(super) fn failed(
        &mut self,
        step: &mut Step<'_>,
        sent: Sent,
        failure: Failure,
        problem: impl FnOnce() -> String,
        random: &mut Random,
    ) -> bool {
        let Sent { attempt, route, .. } = sent;
        let is_probe = self.organization.is_probe(attempt);
        self.failures.add(route, failure);
        let trips = self.blame_route(sent, failure);
        let asked = match failure {
            Failure::Answered { retry_after } => retry_after.unwrap_or_default(),
            Failure::Unsent | Failure::Unanswered => Duration::ZERO,
        };
        let wait = asked.max(self.caution.map_or(Duration::ZERO, Caution::risk_wait)).min(self.max_pause);
        if route == RouteId::MESSAGES {
            self.caution.iter_mut().for_each(Caution::failed);
        }
        // Any answer other than a 429 shows that the limit is no longer in force.
        match failure {
            Failure::Answered { .. } => {
                let probed = self.suspects_probed(attempt);
                self.end_limits(step, sent);
                probed.iter().for_each(|suspect| self.doubt.acquit(suspect));
                self.token_accepted(step, sent);
            }
            Failure::Unsent | Failure::Unanswered => {
                self.limits_unanswered(step.now, sent);
                self.token_unanswered(step.now, sent);
            }
        }
        if is_probe && self.is_throttled() {
            self.shut_route(step.now, sent, trips, wait, random);
            if matches!(failure, Failure::Answered { .. }) {
                return self.reopen(step);
            }
            self.organization.probe_failed(step.now, attempt, self.max_pause);
            self.hold_on(step.now);
        } else if is_probe || (self.organization.is_open() && self.is_outage(route, trips)) {
            self.shut_organization(step.now, sent, wait, random);
            match failure {
                Failure::Unsent => self.reachability.unsent(step.now, !wait.is_zero(), random),
                Failure::Unanswered | Failure::Answered { .. } => self.reachability.sent(),
            }
            self.tell_outage(Cause::Outage, problem, step.effects);
        } else if self.shut_route(step.now, sent, trips, wait, random) && route == RouteId::MESSAGES {
            let cause = self.routes.get(route).gate.closed_by().unwrap_or(Cause::Outage);
            self.tell_outage(cause, problem, step.effects);
        }
        false
    }

    /// A message would be given up for its age, though the server has never processed it: if nothing has passed since
    /// several failures, that is an outage which too few messages have met to tell it sooner.
    pub(super) fn find_outage(
        &mut self,
        step: &mut Step<'_>,
        sent: Sent,
        problem: impl FnOnce() -> String,
        random: &mut Random,
    ) {
        if self.failures.is_long() && self.shut_route(step.now, sent, true, Duration::ZERO, random) {
            self.tell_outage(Cause::Outage, problem, step.effects);
        }
    }

    /// Counts a failure of the route. Returns whether the route has an outage.
    fn blame_route(&mut self, sent: Sent, failure: Failure) -> bool {
        let route = self.routes.get_mut(sent.route);
        route.retries.failed();
        let trips = failure != Failure::Unsent && route.breaker.failed();
        trips || (sent.route == RouteId::MESSAGES && self.caution.is_some_and(Caution::is_outage))
    }

    /// Whether the organization has an outage: the host can't be reached, or this route trips while another is shut.
    fn is_outage(&self, route: RouteId, trips: bool) -> bool {
        let is_shut =
            |(id, other): (RouteId, &routes::Route)| id != route && other.gate.closed_by() == Some(Cause::Outage);
        self.failures.is_outage() || (trips && self.failures.has_other_than(route) && self.routes.iter().any(is_shut))
    }

    /// Shuts everything, for at least as long as the server asks. Outages of single routes become part of it.
    fn shut_organization(&mut self, now: Timestamp, sent: Sent, wait: Duration, random: &mut Random) {
        let until = spacing::next_probe(&self.organization, now, sent.left_at, random).max(now.after(wait));
        self.caution.iter_mut().for_each(Caution::failed);
        self.organization.shut(now, until, Cause::Outage);
        self.organization.strike();
        let fails = |gate: &Gate| gate.closed_by() == Some(Cause::Outage);
        for (_, route) in self.routes.iter_mut().filter(|(_, route)| fails(&route.gate)) {
            route.gate.open(now);
        }
    }

    /// Shuts a route whose breaker trips or whose probe fails. Returns whether it did.
    fn shut_route(&mut self, now: Timestamp, sent: Sent, trips: bool, wait: Duration, random: &mut Random) -> bool {
        let gate = &mut self.routes.get_mut(sent.route).gate;
        let shuts = gate.is_probe(sent.attempt) || (trips && gate.is_open());
        if shuts {
            self.caution.iter_mut().for_each(Caution::failed);
            let until = spacing::next_probe(gate, now, sent.left_at, random).max(now.after(wait));
            // A failure doesn't say that refusals are over.
            let cause = gate.closed_by().filter(|cause| *cause == Cause::Refused).unwrap_or(Cause::Outage);
            gate.shut(now, until, cause);
            gate.strike();
        }
        shuts
    }
}
