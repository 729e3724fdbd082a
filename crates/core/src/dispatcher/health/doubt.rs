//! Whose limit it is that a 429 doesn't name: what was refused is under suspicion until others tell.
//!
//! Everything waits for a moment; then one request probes that is of another conversation or route. If it passes while
//! the window that refused must last still, the limit is the suspect's own; if it is refused as well, the limit is
//! everybody's. Where the window may have ended meanwhile, both remain possible, and what becomes of the suspect's own
//! probe tells: a limit of all doesn't refuse one and the same again and again while others pass.
//! (docs/decisions/2026-11-30-limits-without-a-name.md)

use std::sync::Arc;

use super::RouteId;
use super::in_use::InUse;
use super::own_limits::OwnLimits;
use super::scope::Suspect;
use super::spread::Spread;
use super::streak::Streak;
use super::suspicion::Suspicion;
use super::unheard::UnheardRefusals;
use crate::clock::Timestamp;

/// As many that are refused before anything has passed are everybody.
const SUSPICIONS_MIN: usize = 3;
/// Suspects that are told apart; the oldest gives its place away.
const SUSPICIONS_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Doubt {
    suspicions: Vec<Suspicion>,
    /// The organization's gate is shut until somebody else has probed.
    holds_all: bool,
    in_use: InUse,
    streak: Option<Streak>,
    spread: Spread,
    own_limits: OwnLimits,
    unheard: UnheardRefusals,
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
            self.unheard.settle(&oldest.suspect, false);
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
        cleared.iter().for_each(|suspect| self.unheard.settle(suspect, false));
        let is_everybodys = self.spread.is_everybodys();
        unsure.iter().for_each(|suspect| self.unheard.settle(suspect, is_everybodys));
        own
    }

    /// Its limit is its own.
    pub(super) fn remember(&mut self, now: Timestamp, suspect: &Suspect) {
        self.forget(suspect);
        self.unheard.settle(suspect, false);
        self.spread.forget(suspect);
        if let Suspect::Conversation(conversation) = suspect {
            self.own_limits.remember(now, conversation);
        }
    }

    pub(super) fn remembers(&self, now: Timestamp, conversation: &str) -> bool {
        self.own_limits.has(now, conversation)
    }

    /// Nobody will know whose limit it was.
    pub(super) fn acquit(&mut self, suspect: &Suspect) {
        self.forget(suspect);
        self.unheard.settle(suspect, false);
    }

    fn forget(&mut self, suspect: &Suspect) {
        self.suspicions.retain(|one| one.suspect != *suspect);
    }

    /// Its own probe has passed: whose limit it was nobody knows, and everybody's is likelier.
    pub(super) fn passed_itself(&mut self, suspect: &Suspect) {
        let Some(suspicion) = self.get(suspect) else { unreachable!("only a suspect probes for itself") };
        let is_of_route = suspicion.is_of_route;
        self.forget(suspect);
        self.unheard.settle(suspect, !is_of_route);
    }

    /// Whether it is always this one that is refused, while others pass: that is no chance.
    pub(super) fn is_refused_again(&self, suspect: &Suspect) -> bool {
        self.streak.as_ref().is_some_and(|streak| streak.shows_own_limit_of(suspect))
    }

    /// It was refused, and nobody knows for whose limit's sake.
    pub(super) fn note_refused(&mut self, now: Timestamp, suspect: &Suspect) {
        self.spread.note_refused(now, suspect);
        self.streak = Some(Streak::with(suspect, self.streak.as_ref()));
    }

    /// The limit is everybody's: those that were under suspicion.
    pub(super) fn clear(&mut self) -> Vec<Suspicion> {
        self.streak = None;
        self.own_limits.clear();
        self.unheard.settle_all();
        std::mem::take(&mut self.suspicions)
    }

    /// It is all messages', or everybody's: those that were under suspicion, whose place `suspect` takes.
    pub(super) fn widen(&mut self, suspect: &Suspect) -> Vec<Suspicion> {
        self.unheard.widen(suspect);
        std::mem::take(&mut self.suspicions)
    }

    /// Whether it would tell anything new who has passed now.
    pub(super) fn asks_who_passes(&self, now: Timestamp) -> bool {
        self.streak.is_some() || !self.spread.is_empty() || !self.in_use.is_fresh(now)
    }

    /// Something of a route, or of a conversation, has passed.
    pub(super) fn note_passed(&mut self, now: Timestamp, route: RouteId, conversation: Option<&Arc<str>>) {
        self.spread.note_passed(route, conversation);
        if let Some(streak) = &mut self.streak {
            streak.note_passed(route, conversation);
        }
        self.in_use.note_passed(now, route, conversation);
    }

    pub(super) fn in_use(&self) -> &InUse {
        &self.in_use
    }

    pub(super) fn unheard(&self) -> &UnheardRefusals {
        &self.unheard
    }

    pub(super) fn unheard_mut(&mut self) -> &mut UnheardRefusals {
        &mut self.unheard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatcher::health::unheard::Unheard;
    use crate::evidence::{Evidence, WaitSource};

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
    fn the_learner_hears_of_what_is_everybodys() {
        let unheard = || Unheard {
            token: crate::token::TokenId::FIRST,
            sent_at: at_ms(0),
            answered_at: at_ms(0),
            cost: 1,
            evidence: Evidence::default(),
            suspect: conversation("a"),
        };
        let told = |doubt: &mut Doubt| -> Vec<bool> {
            doubt.unheard.take_settled(at_ms(0)).into_iter().map(|(_, refused)| refused).collect()
        };
        let mut doubt = suspecting(&["a"]);
        doubt.unheard_mut().put_off(unheard());
        doubt.clear();
        assert_eq!(told(&mut doubt), [true]);
        let mut doubt = suspecting(&["a"]);
        doubt.unheard_mut().put_off(unheard());
        doubt.remember(at_ms(0), &conversation("a"));
        assert_eq!(told(&mut doubt), [false]);
        assert!(doubt.remembers(at_ms(1), "a"));
    }
}
