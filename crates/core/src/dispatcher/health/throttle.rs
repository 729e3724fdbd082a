//! 429s: whose limit it is, and what is shut for how long.

use std::sync::Arc;

use super::doubt::{Doubt, HOLD, Suspicion, Unheard, WAITED_OUT};
use super::limit::{Begun, Limit, Refused, resumed};
use super::scope::Suspect;
use super::{AttemptId, Cause, Health, Pass, RouteId, Scope, Sent};
use crate::clock::Timestamp;
use crate::dispatcher::{Effect, Step};
use crate::evidence::{Evidence, WaitSource};
use crate::random::Random;
use crate::stats::PauseScope;

impl Health {
    /// What a 429 to a request of our own applies to: everything, unless it names a limit.
    pub(in crate::dispatcher) fn scope_of_own(&self, route: RouteId, evidence: &Evidence) -> Scope {
        match &evidence.limit {
            Some(limit) => Scope::named(limit, route, None),
            None => Scope::Organization,
        }
    }

    /// What a 429 applies to. `conversation`: that of the refused messages, if they all belong to one.
    pub(in crate::dispatcher) fn scope_of(
        &self,
        now: Timestamp,
        (attempt, route): (AttemptId, RouteId),
        conversation: Option<Arc<str>>,
        evidence: &Evidence,
    ) -> Scope {
        if let Some(limit) = &evidence.limit {
            return Scope::named(limit, route, conversation);
        }
        let suspect = match conversation.filter(|_| route == RouteId::MESSAGES) {
            Some(conversation) => Suspect::Conversation(conversation),
            None => Suspect::Route(route),
        };
        if self.has_own_limit(now, &suspect) {
            return suspect.into_scope();
        }
        if route == RouteId::MESSAGES && self.has_own_limit(now, &Suspect::Route(route)) {
            return Scope::Route(route);
        }
        let is_probe = self.organization.is_probe(attempt);
        if self.is_throttled() && !self.doubt.holds_all() {
            // It is known to be everybody's, for now; a probe that is told of a later time may have met another limit.
            let until = self.organization.closure().and_then(|closure| closure.until);
            let asked = evidence.wait_within(self.max_pause).map(|wait| now.after(wait.span));
            let is_another = is_probe && asked.is_some_and(|asked| until.is_none_or(|until| asked > until));
            return if is_another { Scope::Unknown(suspect) } else { Scope::Organization };
        }
        let is_widened = self.doubt.is_widened_by(&suspect, is_probe);
        let may_be_routes = route == RouteId::MESSAGES && self.doubt.is_of_route(route) && self.are_calls_in_use(now);
        if is_widened && may_be_routes {
            return Scope::Unknown(Suspect::Route(route));
        }
        let is_of_many = suspect == Suspect::Route(RouteId::MESSAGES) && !self.are_calls_in_use(now);
        if is_widened || is_of_many { Scope::Organization } else { Scope::Unknown(suspect) }
    }

    /// Whether the suspect is known to have a limit of its own, so that its refusal needs no other explanation.
    fn has_own_limit(&self, now: Timestamp, suspect: &Suspect) -> bool {
        let (limit, is_remembered) = match suspect {
            Suspect::Route(id) => {
                let route = self.routes.get(*id);
                (Some(&route.limit), Doubt::is_remembered(now, route.limited_at))
            }
            Suspect::Conversation(name) => (self.conversations.get(name), self.doubt.remembers(now, name)),
        };
        // A limit that has a name gives it every time.
        let is_in_force = limit.is_some_and(|limit| !limit.gate.is_open() && limit.name.is_none());
        let is_suspect = self.doubt.get(suspect).is_some();
        is_remembered || (is_in_force && !is_suspect) || self.doubt.is_refused_again(suspect)
    }

    fn are_calls_in_use(&self, now: Timestamp) -> bool {
        let is_used = |(id, route): (RouteId, &super::routes::Route)| {
            id != RouteId::MESSAGES
                && route.limit.gate.is_open()
                && (route.has_calls() || Doubt::is_in_use(now, route.passed_at))
        };
        self.routes.iter().any(is_used)
    }

    /// Whether calls wait, or are on the wire, whose route has no limit of its own.
    fn are_calls_there(&self, suspect: &Suspect) -> bool {
        let is_other = |id: RouteId| id != RouteId::MESSAGES && id != suspect.route();
        self.routes.iter().any(|(id, route)| is_other(id) && route.limit.gate.is_open() && route.has_calls())
    }

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
        if matches!(scope, Scope::Route(_) | Scope::Conversation(_)) {
            self.organization.probe_lost(step.now, attempt);
        }
        match scope {
            Scope::Organization => {
                let is_news = is_probe || (self.organization.is_open() && left_at >= self.opened_at);
                let is_found = evidence.limit.is_none() && self.find_everybodys(step, is_probe, evidence, random);
                if !is_found {
                    self.doubt.release_all();
                    self.pause(step, is_news, evidence, random);
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
            Scope::Unknown(suspect) => self.suspect(step, (sent, is_probe), suspect, evidence, random),
        }
    }

    /// Shuts what was refused, and everything else for a moment.
    fn suspect(
        &mut self,
        step: &mut Step<'_>,
        (sent, is_probe): (Sent, bool),
        suspect: &Suspect,
        evidence: &Evidence,
        random: &mut Random,
    ) {
        self.doubt.note_refused(step.now, suspect);
        let (max_pause, opened_at) = (self.max_pause, self.opened_at);
        let widened = match suspect {
            Suspect::Route(RouteId::MESSAGES) => self.doubt.widen(suspect),
            _ => Vec::new(),
        };
        let asked = widened.iter().filter_map(|one| one.asked).max();
        for one in &widened {
            self.lift(step.now, &one.suspect);
        }
        let limit = match suspect {
            Suspect::Route(id) => &mut self.routes.get_mut(*id).limit,
            Suspect::Conversation(name) => self.conversations.meet(step.now, name),
        };
        limit.opened_by(opened_at);
        if let Some((asked, source)) = asked.filter(|(asked, _)| *asked > step.now && evidence.wait().is_none()) {
            limit.gate.pause(step.now, asked, max_pause, source, false);
        }
        let begun = limit.refuse(step.now, (sent.attempt, sent.left_at), evidence, max_pause, random);
        let closure = limit.gate.closure();
        let source = limit.gate.throttled_by();
        let (Some(closure), Some(source)) = (closure, source) else {
            // It was on the wire when the gate opened last, and says no time.
            return self.lift(step.now, suspect);
        };
        let until = closure.next_probe.unwrap_or(step.now);
        let forgotten = self.doubt.add(Suspicion {
            suspect: suspect.clone(),
            since: step.now,
            window_until: evidence.window_left().map_or(step.now, |left| step.now.after(left)),
            asked: evidence.wait_within(max_pause).map(|wait| (step.now.after(wait.span), wait.source)),
            until,
            have_others_passed: false,
            is_of_route: false,
        });
        forgotten.into_iter().for_each(|one| self.lift(step.now, &one.suspect));
        if is_probe || !self.is_throttled() {
            let moment = if until.since(step.now) <= WAITED_OUT { until } else { step.now.after(HOLD) };
            self.organization.shut(step.now, moment, Cause::Throttled(source));
            self.organization.strike();
            self.doubt.hold_all();
            self.organization_limit = None;
        }
        if let Some(begun) = begun {
            self.tell_pause(step, PauseScope::Unknown, begun, None);
        }
    }

    /// A probe that was to tell whose limit it is has no answer: the next one goes after a moment.
    pub(super) fn hold_on(&mut self, now: Timestamp) {
        if let Some(Cause::Throttled(source)) = self.organization.closed_by().filter(|_| self.doubt.holds_all())
            && self.organization.pass(now) == Pass::Probe
        {
            self.organization.shut(now, now.after(HOLD), Cause::Throttled(source));
        }
    }

    /// A limit is everybody's that single ones were suspected of. False if none was.
    fn find_everybodys(
        &mut self,
        step: &mut Step<'_>,
        is_probe: bool,
        evidence: &Evidence,
        random: &mut Random,
    ) -> bool {
        let was_held = self.doubt.release_all();
        let suspicions = self.doubt.clear();
        for one in &suspicions {
            self.lift(step.now, &one.suspect);
        }
        if suspicions.is_empty() || !was_held {
            return false;
        }
        let max_pause = self.max_pause;
        let says_nothing = evidence.wait_within(max_pause).is_none();
        if !is_probe || says_nothing {
            // The newest word of the server is the probe's, if that says something.
            let asked = suspicions.iter().filter_map(|one| one.asked).filter(|(asked, _)| *asked > step.now).max();
            if let Some((asked, source)) = asked {
                self.organization.pause(step.now, asked, max_pause, source, false);
            } else if !is_probe && says_nothing {
                let until = suspicions.iter().map(|one| one.until).max().unwrap_or(step.now);
                self.organization.shut(step.now, until, Cause::Throttled(WaitSource::Backoff));
            }
        }
        let begun =
            self.organization.refuse(&Refused { now: step.now, is_news: is_probe, evidence, max_pause }, random);
        self.organization_limit.clone_from(&evidence.limit);
        if let Some(begun) = begun.or_else(|| Begun::of(&self.organization, step.now, max_pause)) {
            self.tell_pause(step, PauseScope::Organization, begun, evidence.limit.clone());
        }
        true
    }

    /// It has no limit of its own after all.
    fn lift(&mut self, now: Timestamp, suspect: &Suspect) {
        match suspect {
            Suspect::Route(id) => self.routes.get_mut(*id).limit = Limit::unmet(now),
            Suspect::Conversation(name) => self.conversations.lift(name),
        }
    }

    /// Something has passed: suspects whose own the limit must be have one.
    pub(super) fn clear_up(&mut self, step: &mut Step<'_>, sent: Sent) {
        if self.doubt.suspicions().is_empty() {
            return;
        }
        for suspect in self.suspects_probed(sent.attempt) {
            self.doubt.passed_itself(&suspect);
        }
        for suspect in self.doubt.others_passed(step.now, sent.route, sent.left_at) {
            self.note_own(step.now, &suspect);
            step.effects.extend(self.begun(step.now, &suspect));
        }
    }

    /// Suspects that this request probes for themselves.
    pub(super) fn suspects_probed(&self, attempt: AttemptId) -> Vec<Suspect> {
        let is_probed = |suspect: &Suspect| match suspect {
            Suspect::Route(id) => self.routes.get(*id).limit.gate.is_probe(attempt),
            Suspect::Conversation(name) => {
                self.conversations.get(name).is_some_and(|limit| limit.gate.is_probe(attempt))
            }
        };
        self.doubt.suspicions().iter().map(|one| one.suspect.clone()).filter(is_probed).collect()
    }

    fn note_own(&mut self, now: Timestamp, suspect: &Suspect) {
        if let Suspect::Route(id) = suspect {
            self.routes.get_mut(*id).limited_at = Some(now);
        }
        self.doubt.remember(now, suspect);
    }

    /// That a suspect's pause is its own, for listeners.
    fn begun(&mut self, now: Timestamp, suspect: &Suspect) -> Option<Effect> {
        let max_pause = self.max_pause;
        let (limit, scope) = match suspect {
            Suspect::Route(id) => {
                let route = self.routes.get_mut(*id);
                (&mut route.limit, PauseScope::Route(route.name.clone()))
            }
            Suspect::Conversation(name) => {
                (self.conversations.get_mut(name)?, PauseScope::Conversation(Arc::clone(name)))
            }
        };
        Some(limit.tell(Begun::of(&limit.gate, now, max_pause)?, scope))
    }

    /// Closes the organization's gate for as long as the server asks, or by our own backoff.
    pub(in crate::dispatcher) fn pause(
        &mut self,
        step: &mut Step<'_>,
        is_news: bool,
        evidence: &Evidence,
        random: &mut Random,
    ) {
        let begun =
            self.organization.refuse(&Refused { now: step.now, is_news, evidence, max_pause: self.max_pause }, random);
        if begun.is_some() || is_news {
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

    /// Something was taken: it is among those that are in use.
    pub(in crate::dispatcher) fn note_passed(
        &mut self,
        now: Timestamp,
        route: RouteId,
        conversation: Option<&Arc<str>>,
    ) {
        self.doubt.note_passed(now, route, conversation);
        self.routes.get_mut(route).passed_at = Some(now);
    }

    /// Whether others can tell whose limit has refused the suspect: they are in use, or wait. `conversations`: that
    /// have messages in the outbox.
    pub(in crate::dispatcher) fn can_others_tell(
        &self,
        now: Timestamp,
        suspect: &Suspect,
        conversations: usize,
    ) -> bool {
        let others = match suspect {
            Suspect::Route(RouteId::MESSAGES) => return self.are_calls_there(suspect),
            Suspect::Route(_) => conversations,
            Suspect::Conversation(_) => conversations.saturating_sub(1),
        };
        others > 0 || self.are_calls_there(suspect) || self.doubt.are_others_in_use(now, suspect)
    }

    /// Whether anything has ever been taken.
    pub(in crate::dispatcher) fn has_anything_passed(&self) -> bool {
        self.doubt.has_passed()
    }

    /// When those were answered that the learner has not heard of yet, and what they cost.
    pub(in crate::dispatcher) fn unheard(&self) -> impl Iterator<Item = (Timestamp, u32)> {
        self.doubt.unheard()
    }

    pub(in crate::dispatcher) fn put_off(&mut self, unheard: Unheard) {
        self.doubt.put_off(unheard);
    }

    pub(in crate::dispatcher) fn take_settled(&mut self, now: Timestamp) -> Vec<(Unheard, bool)> {
        self.doubt.take_settled(now)
    }

    pub(in crate::dispatcher) fn settles_at(&self) -> Option<Timestamp> {
        self.doubt.settles_at()
    }
}
