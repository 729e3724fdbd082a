//! Whose limit it is that a 429 doesn't name: what was refused is under suspicion until others tell.
//!
//! Everything waits for a moment; then one request probes that is of another conversation or route. If it passes while
//! the window that refused must last still, the limit is the suspect's own; if it is refused as well, the limit is
//! everybody's. Where the window may have ended meanwhile, both remain possible, and what becomes of the suspect's own
//! probe tells: a limit of all doesn't refuse one and the same again and again while others pass.
//! (docs/decisions/2026-11-30-limits-without-a-name.md)

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use super::scope::Suspect;
use super::spread::Spread;
use super::{Gate, RouteId};
use crate::clock::Timestamp;
use crate::evidence::{Evidence, RESET_SLACK, WaitSource};

/// For so long everything waits after a 429 that names nothing; then others probe.
pub(super) const HOLD: Duration = Duration::from_millis(250);
/// A wait that is no longer is waited out: who probes earlier is refused, if it is a limit of all with windows of a
/// second.
pub(super) const WAITED_OUT: Duration = Duration::from_secs(1);
/// So many that are refused before anything has passed are everybody.
const SUSPICIONS_MIN: usize = 3;
/// Suspects that are told apart; the oldest gives its place away.
const SUSPICIONS_MAX: usize = 64;
/// What has passed so lately is in use.
const USE_MAX: Duration = Duration::from_secs(60);
/// For so long after its last refusal a conversation or route is known to have a limit of its own.
const REMEMBERED: Duration = Duration::from_secs(600);
const REMEMBERED_MAX: usize = 1_024;
/// The learner hears of a refusal after this time at the latest, and of one that is still in doubt as of none.
const UNHEARD_MAX: Duration = Duration::from_secs(3);
/// So many times likelier than not one and the same is refused again and again for its own limit's sake.
const ODDS_MIN: f64 = 20.0;

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

/// A refusal that the learner has not heard of yet.
#[derive(Clone, Debug)]
pub(in crate::dispatcher) struct Unheard {
    pub(in crate::dispatcher) sent_at: Timestamp,
    pub(in crate::dispatcher) answered_at: Timestamp,
    pub(in crate::dispatcher) cost: u32,
    pub(in crate::dispatcher) evidence: Evidence,
    pub(in crate::dispatcher) suspect: Suspect,
}

/// One and the same that is refused again and again, and what has passed since the last time.
#[derive(Debug)]
struct Streak {
    suspect: Suspect,
    own: u32,
    others: u32,
    odds: f64,
}

impl Streak {
    /// If its next request is refused as well.
    fn odds_now(&self) -> f64 {
        let own = f64::from(self.own) + 1.0;
        self.odds * (own + f64::from(self.others)) / own
    }
}

/// Who has passed, and when.
type Passed = (RouteId, Option<Arc<str>>, Timestamp);

#[derive(Debug, Default)]
pub(super) struct Doubt {
    suspicions: Vec<Suspicion>,
    /// The organization's gate is shut until somebody else has probed.
    holds_all: bool,
    /// The two that have passed last, the newest first.
    passed: [Option<Passed>; 2],
    streak: Option<Streak>,
    spread: Spread,
    remembered: HashMap<Arc<str>, Timestamp>,
    unheard: Vec<Unheard>,
    /// Whether they were refused for the organization's limit.
    settled: Vec<(Unheard, bool)>,
}

impl Doubt {
    pub(super) fn suspicions(&self) -> &[Suspicion] {
        &self.suspicions
    }

    pub(super) fn get(&self, suspect: &Suspect) -> Option<&Suspicion> {
        self.suspicions.iter().find(|one| one.suspect == *suspect)
    }

    pub(super) fn holds_all(&self) -> bool {
        self.holds_all
    }

    /// The organization's gate is shut for a moment.
    pub(super) fn hold_all(&mut self) {
        self.holds_all = true;
    }

    /// The organization's gate is open again, or shut for a limit of its own. Whether it was shut for a suspicion.
    pub(super) fn release_all(&mut self) -> bool {
        std::mem::take(&mut self.holds_all)
    }

    /// Whether this one's refusal shows that it is not about a single one: it probed for others that were refused, or
    /// as many were before anything has passed.
    pub(super) fn is_widened_by(&self, suspect: &Suspect, is_probe: bool) -> bool {
        let others = self.suspicions.iter().filter(|one| one.suspect != *suspect && !one.have_others_passed).count();
        others > 0 && self.get(suspect).is_none() && ((is_probe && self.holds_all) || others + 1 >= SUSPICIONS_MIN)
    }

    /// Whether all suspects take this route.
    pub(super) fn is_of_route(&self, route: RouteId) -> bool {
        self.suspicions.iter().all(|one| one.suspect.route() == route)
    }

    /// Adds one. The oldest, where there is no room for it.
    pub(super) fn add(&mut self, suspicion: Suspicion) -> Option<Suspicion> {
        if let Some(known) = self.suspicions.iter_mut().find(|one| one.suspect == suspicion.suspect) {
            known.until = known.until.max(suspicion.until);
            known.window_until = known.window_until.max(suspicion.window_until);
            known.asked = known.asked.max(suspicion.asked);
            return None;
        }
        let oldest = (self.suspicions.len() == SUSPICIONS_MAX).then(|| self.suspicions.remove(0));
        if let Some(oldest) = &oldest {
            self.settle(&oldest.suspect, false);
        }
        self.suspicions.push(suspicion);
        oldest
    }

    /// Something else than these has passed that left at `left_at`: those whose own the limit must be.
    pub(super) fn others_passed(&mut self, now: Timestamp, route: RouteId, left_at: Timestamp) -> Vec<Suspect> {
        let mut own = Vec::new();
        let (mut cleared, mut unsure) = (Vec::new(), Vec::new());
        for one in self.suspicions.iter_mut().filter(|one| one.since <= left_at) {
            let is_sure = now < one.window_until;
            if is_sure && route != one.suspect.route() && matches!(one.suspect, Suspect::Conversation(_)) {
                one.is_of_route = true;
                cleared.push(one.suspect.clone());
            } else {
                one.have_others_passed = true;
                if is_sure { &mut own } else { &mut unsure }.push(one.suspect.clone());
            }
        }
        cleared.iter().for_each(|suspect| self.settle(suspect, false));
        let is_everybodys = self.spread.is_everybodys();
        unsure.iter().for_each(|suspect| self.settle(suspect, is_everybodys));
        own
    }

    /// Its limit is its own.
    pub(super) fn remember(&mut self, now: Timestamp, suspect: &Suspect) {
        self.forget(suspect);
        self.settle(suspect, false);
        self.spread.forget(suspect);
        if let Suspect::Conversation(conversation) = suspect {
            if self.remembered.len() >= REMEMBERED_MAX && !self.remembered.contains_key(conversation) {
                let oldest = self.remembered.iter().min_by_key(|(_, at)| **at).map(|(name, _)| Arc::clone(name));
                oldest.map(|oldest| self.remembered.remove(&oldest));
            }
            self.remembered.insert(Arc::clone(conversation), now);
        }
    }

    pub(super) fn remembers(&self, now: Timestamp, conversation: &str) -> bool {
        self.remembered.get(conversation).is_some_and(|at| now.since(*at) < REMEMBERED)
    }

    /// Whether a route that met a limit of its own at that time is known to have one.
    pub(super) fn is_remembered(now: Timestamp, limited_at: Option<Timestamp>) -> bool {
        limited_at.is_some_and(|at| now.since(at) < REMEMBERED)
    }

    /// Nobody will know whose limit it was.
    pub(super) fn acquit(&mut self, suspect: &Suspect) {
        self.forget(suspect);
        self.settle(suspect, false);
    }

    fn forget(&mut self, suspect: &Suspect) {
        self.suspicions.retain(|one| one.suspect != *suspect);
    }

    /// Its own probe has passed: whose limit it was nobody knows, and everybody's is likelier.
    pub(super) fn passed_itself(&mut self, suspect: &Suspect) {
        let Some(suspicion) = self.get(suspect) else { return };
        let is_of_route = suspicion.is_of_route;
        self.forget(suspect);
        self.settle(suspect, !is_of_route);
    }

    /// Whether it is always this one that is refused, while others pass: that is no chance.
    pub(super) fn is_refused_again(&self, suspect: &Suspect) -> bool {
        self.streak.as_ref().is_some_and(|streak| streak.suspect == *suspect && streak.odds_now() >= ODDS_MIN)
    }

    /// It was refused, and nobody knows for whose limit's sake.
    pub(super) fn note_refused(&mut self, now: Timestamp, suspect: &Suspect) {
        self.spread.note_refused(now, suspect);
        let odds = self.streak.as_ref().filter(|streak| streak.suspect == *suspect).map_or(1.0, Streak::odds_now);
        self.streak = Some(Streak { suspect: suspect.clone(), own: 0, others: 0, odds });
    }

    /// The limit is everybody's: those that were under suspicion.
    pub(super) fn clear(&mut self) -> Vec<Suspicion> {
        self.streak = None;
        self.remembered.clear();
        self.settled.extend(self.unheard.drain(..).map(|unheard| (unheard, true)));
        std::mem::take(&mut self.suspicions)
    }

    /// It is all messages', or everybody's: those that were under suspicion, whose place `suspect` takes.
    pub(super) fn widen(&mut self, suspect: &Suspect) -> Vec<Suspicion> {
        self.unheard.iter_mut().for_each(|one| one.suspect = suspect.clone());
        std::mem::take(&mut self.suspicions)
    }

    /// Something of a route, or of a conversation, has passed.
    pub(super) fn note_passed(&mut self, now: Timestamp, route: RouteId, conversation: Option<&Arc<str>>) {
        self.spread.note_passed(route, conversation);
        if let Some(streak) = &mut self.streak {
            let is_it = streak.suspect.is_one_of(route, conversation);
            let count = if is_it { &mut streak.own } else { &mut streak.others };
            *count = count.saturating_add(1);
        }
        let is_same = |one: &Passed| one.0 == route && (one.1.as_ref() == conversation || route != RouteId::MESSAGES);
        match &mut self.passed {
            [Some(newest), _] if is_same(newest) => newest.2 = now,
            [newest, older] => *older = newest.replace((route, conversation.cloned(), now)),
        }
    }

    /// Whether anything has ever passed.
    pub(super) fn has_passed(&self) -> bool {
        self.passed[0].is_some()
    }

    /// Whether something else than this one has passed lately.
    pub(super) fn are_others_in_use(&self, now: Timestamp, suspect: &Suspect) -> bool {
        self.passed.iter().flatten().any(|(route, conversation, at)| {
            !suspect.is_one_of(*route, conversation.as_ref()) && now.since(*at) < USE_MAX
        })
    }

    /// Whether a route that has passed last at that time is in use.
    pub(super) fn is_in_use(now: Timestamp, passed_at: Option<Timestamp>) -> bool {
        passed_at.is_some_and(|at| now.since(at) < USE_MAX)
    }

    /// The learner is told when it is known whose limit has refused it.
    pub(super) fn put_off(&mut self, unheard: Unheard) {
        self.unheard.push(unheard);
    }

    pub(super) fn unheard(&self) -> impl Iterator<Item = (Timestamp, u32)> {
        let settled = self.settled.iter().map(|(unheard, _)| unheard);
        self.unheard.iter().chain(settled).map(|unheard| (unheard.answered_at, unheard.cost))
    }

    fn settle(&mut self, suspect: &Suspect, is_organizations: bool) {
        let (settled, unheard) = std::mem::take(&mut self.unheard).into_iter().partition(|one| one.suspect == *suspect);
        self.unheard = unheard;
        let settled: Vec<Unheard> = settled;
        self.settled.extend(settled.into_iter().map(|unheard| (unheard, is_organizations)));
    }

    /// What the learner is to hear, and whether it was the organization's limit. What is still in doubt after so long
    /// was not, as far as it is concerned.
    pub(super) fn take_settled(&mut self, now: Timestamp) -> Vec<(Unheard, bool)> {
        if self.unheard.is_empty() && self.settled.is_empty() {
            return Vec::new();
        }
        let is_late = |one: &Unheard| one.answered_at.after(UNHEARD_MAX) <= now;
        let (late, unheard) = std::mem::take(&mut self.unheard).into_iter().partition(is_late);
        self.unheard = unheard;
        let late: Vec<Unheard> = late;
        let mut settled = std::mem::take(&mut self.settled);
        settled.extend(late.into_iter().map(|unheard| (unheard, false)));
        settled
    }

    /// When the next of them is late.
    pub(super) fn settles_at(&self) -> Option<Timestamp> {
        self.unheard.iter().map(|one| one.answered_at.after(UNHEARD_MAX)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    fn conversation(name: &str) -> Suspect {
        Suspect::Conversation(name.into())
    }

    /// Refused at 0, by a window that lasts until 9 s.
    fn suspicion(suspect: Suspect) -> Suspicion {
        Suspicion {
            suspect,
            since: at_ms(0),
            window_until: at_ms(9_000),
            asked: Some((at_ms(10_000), WaitSource::RetryAfter)),
            until: at_ms(10_000),
            have_others_passed: false,
            is_of_route: false,
        }
    }

    fn suspecting(names: &[&str]) -> Doubt {
        let mut doubt = Doubt::default();
        doubt.hold_all();
        names.iter().for_each(|name| drop(doubt.add(suspicion(conversation(name)))));
        doubt
    }

    #[test]
    fn what_passes_in_the_window_that_has_refused_clears_all_others() {
        let own = |ms: u64, left_ms: u64| {
            let mut doubt = suspecting(&["a"]);
            doubt.others_passed(at_ms(ms), RouteId::MESSAGES, at_ms(left_ms)).len()
        };
        assert_eq!(own(8_999, 250), 1);
        assert_eq!(own(9_000, 250), 0, "it may be of the next window");
        let mut doubt = suspecting(&[]);
        doubt.add(Suspicion { since: at_ms(100), ..suspicion(conversation("a")) });
        assert!(doubt.others_passed(at_ms(200), RouteId::MESSAGES, at_ms(99)).is_empty(), "it left before");
    }

    #[test]
    fn another_route_clears_the_organization_alone() {
        let mut doubt = suspecting(&["a"]);
        assert!(doubt.others_passed(at_ms(300), RouteId::of(7), at_ms(250)).is_empty());
        assert!(doubt.get(&conversation("a")).is_some_and(|one| one.is_of_route));
    }

    #[test]
    fn a_probe_or_three_widen_it() {
        let one = suspecting(&["a"]);
        assert!(one.is_widened_by(&conversation("b"), true));
        assert!(!one.is_widened_by(&conversation("b"), false), "it was on the wire: there may be two");
        assert!(!one.is_widened_by(&conversation("a"), true), "it is the same one");
        assert!(suspecting(&["a", "b"]).is_widened_by(&conversation("c"), false));
        assert!(!suspecting(&[]).is_widened_by(&conversation("a"), true));
    }

    #[test]
    fn one_that_is_always_refused_while_others_pass_is_no_chance() {
        let mut doubt = suspecting(&["a"]);
        let a = conversation("a");
        let passes = |doubt: &mut Doubt, count: usize| {
            (0..count).for_each(|_| doubt.note_passed(at_ms(0), RouteId::MESSAGES, Some(&"b".into())));
        };
        doubt.note_refused(at_ms(0), &a);
        passes(&mut doubt, 4);
        assert!(!doubt.is_refused_again(&a));
        doubt.note_refused(at_ms(0), &a);
        passes(&mut doubt, 4);
        assert!(doubt.is_refused_again(&a), "25 times likelier");
        doubt.note_refused(at_ms(0), &conversation("b"));
        assert!(!doubt.is_refused_again(&a), "it is not always the same one");
    }

    #[test]
    fn the_learner_hears_of_what_is_everybodys() {
        let unheard = |name: &str, ms: u64| Unheard {
            sent_at: at_ms(ms),
            answered_at: at_ms(ms),
            cost: 1,
            evidence: Evidence::default(),
            suspect: conversation(name),
        };
        let told = |doubt: &mut Doubt, ms: u64| -> Vec<bool> {
            doubt.take_settled(at_ms(ms)).into_iter().map(|(_, refused)| refused).collect()
        };
        let mut doubt = suspecting(&["a", "b"]);
        doubt.put_off(unheard("a", 0));
        doubt.put_off(unheard("b", 1_000));
        assert!(told(&mut doubt, 2_999).is_empty());
        assert_eq!(doubt.settles_at(), Some(at_ms(3_000)));
        assert_eq!(told(&mut doubt, 3_000), [false], "still in doubt");
        doubt.clear();
        assert_eq!(told(&mut doubt, 3_000), [true]);
        let mut doubt = suspecting(&["a"]);
        doubt.put_off(unheard("a", 0));
        doubt.remember(at_ms(0), &conversation("a"));
        assert_eq!(told(&mut doubt, 0), [false]);
        assert!(doubt.remembers(at_ms(599_000), "a") && !doubt.remembers(at_ms(600_000), "a"));
    }
}
