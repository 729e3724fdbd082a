//! What was refused by a limit that nothing names, and so may have one of its own: it is shut, and everything else for
//! a moment, until others have probed.

use std::sync::Arc;
use std::time::Duration;

use super::limit::{Begun, Limit, Refused};
use super::scope::Suspect;
use super::{Cause, Gate, Health, Pass, RouteId, Sent};
use crate::clock::Timestamp;
use crate::dispatcher::{AttemptId, Effect, Step};
use crate::evidence::{Evidence, RESET_SLACK, WaitSource};
use crate::random::Random;
use crate::stats::PauseScope;

/// Everything waits for this long after a 429 that names nothing; then others probe.
const HOLD: Duration = Duration::from_millis(250);
/// A wait that is no longer is waited out: who probes earlier is refused, if it is a limit of all with windows of a
/// second.
const WAITED_OUT: Duration = Duration::from_secs(1);

/// What was refused, and may have a limit of its own.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    pub(super) suspect: Suspect,
    pub(super) since: Timestamp,
    /// The window that refused it lasts at least until then: what passes before, another one's limit has not refused.
    pub(super) window_until: Timestamp,
    /// What the server asked for.
    pub(super) asked: Option<(Timestamp, WaitSource)>,
    /// When it goes again.
    pub(super) until: Timestamp,
    /// Others have passed since, though not for sure in the same window.
    pub(super) have_others_passed: bool,
    /// Another route has passed in the same window: the limit is that of all messages, if not its own.
    pub(super) is_of_route: bool,
}

impl Suspicion {
    /// As an earlier engine has left it.
    pub(super) fn of(now: Timestamp, suspect: Suspect, gate: &Gate) -> Self {
        let (closure, source) = (gate.closure(), gate.throttled_by().unwrap_or(WaitSource::Backoff));
        let until = closure.as_ref().and_then(|closure| closure.until).unwrap_or(now);
        let asked = (source != WaitSource::Backoff).then_some((until, source));
        Self {
            suspect,
            since: closure.map_or(now, |closure| closure.since).min(now),
            window_until: asked.map_or(now, |_| until.before(RESET_SLACK)),
            asked,
            until,
            have_others_passed: false,
            is_of_route: false,
        }
    }
}

impl Health {
    /// Shuts what was refused, and everything else for a moment.
    pub(super) fn suspect(
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
    pub(super) fn find_everybodys(
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
                let Some(until) = suspicions.iter().map(|one| one.until).max() else { unreachable!("there are some") };
                self.organization.shut(step.now, until, Cause::Throttled(WaitSource::Backoff));
            }
        }
        let begun = self.organization.refuse(&Refused { now: step.now, is_new: is_probe, evidence, max_pause }, random);
        self.organization_limit.clone_from(&evidence.limit);
        if let Some(begun) = begun.or_else(|| Begun::of(&self.organization, step.now, max_pause)) {
            self.tell_pause(step, PauseScope::Organization, begun, evidence.limit.clone());
        }
        true
    }

    /// It has no limit of its own after all.
    pub(super) fn lift(&mut self, now: Timestamp, suspect: &Suspect) {
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

    pub(super) fn note_own(&mut self, now: Timestamp, suspect: &Suspect) {
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
}
