//! Refusals that the learner has not heard of: it does when it is known whose limit they met, or after a while.

use std::time::Duration;

use super::scope::Suspect;
use crate::clock::Timestamp;
use crate::evidence::Evidence;
use crate::token::TokenId;

/// The learner hears of a refusal after this time at the latest, and of one that is still in doubt as of none.
const UNHEARD_MAX: Duration = Duration::from_secs(3);

/// A refusal that the learner has not heard of yet.
#[derive(Clone, Debug)]
pub(in crate::dispatcher) struct Unheard {
    pub(in crate::dispatcher) token: TokenId,
    pub(in crate::dispatcher) sent_at: Timestamp,
    pub(in crate::dispatcher) answered_at: Timestamp,
    pub(in crate::dispatcher) cost: u32,
    pub(in crate::dispatcher) evidence: Evidence,
    pub(in crate::dispatcher) suspect: Suspect,
}

#[derive(Debug, Default)]
pub(in crate::dispatcher) struct UnheardRefusals {
    in_doubt: Vec<Unheard>,
    /// Whether they were refused for the organization's limit.
    settled: Vec<(Unheard, bool)>,
}

impl UnheardRefusals {
    /// The learner is told when it is known whose limit has refused it.
    pub(in crate::dispatcher) fn put_off(&mut self, unheard: Unheard) {
        self.in_doubt.push(unheard);
    }

    pub(in crate::dispatcher) fn is_empty(&self) -> bool {
        self.in_doubt.is_empty() && self.settled.is_empty()
    }

    /// When they were answered, and what they cost.
    pub(in crate::dispatcher) fn costs(&self) -> impl Iterator<Item = (Timestamp, u32)> {
        let settled = self.settled.iter().map(|(unheard, _)| unheard);
        self.in_doubt.iter().chain(settled).map(|unheard| (unheard.answered_at, unheard.cost))
    }

    /// It is known whose limit has refused this one.
    pub(super) fn settle(&mut self, suspect: &Suspect, is_organizations: bool) {
        let settled = self.in_doubt.extract_if(.., |one| one.suspect == *suspect);
        self.settled.extend(settled.map(|unheard| (unheard, is_organizations)));
    }

    /// It was the organization's that has refused all of them.
    pub(super) fn settle_all(&mut self) {
        self.settled.extend(self.in_doubt.drain(..).map(|unheard| (unheard, true)));
    }

    /// All of them are suspected as one from now on.
    pub(super) fn widen(&mut self, suspect: &Suspect) {
        self.in_doubt.iter_mut().for_each(|one| one.suspect = suspect.clone());
    }

    /// What the learner is to hear, and whether it was the organization's limit. What is still in doubt after that time
    /// was not, as far as it is concerned.
    pub(in crate::dispatcher) fn take_settled(&mut self, now: Timestamp) -> Vec<(Unheard, bool)> {
        let late = self.in_doubt.extract_if(.., |one| one.answered_at.after(UNHEARD_MAX) <= now);
        self.settled.extend(late.map(|unheard| (unheard, false)));
        std::mem::take(&mut self.settled)
    }

    /// When the next of them is late.
    pub(in crate::dispatcher) fn settles_at(&self) -> Option<Timestamp> {
        self.in_doubt.iter().map(|one| one.answered_at.after(UNHEARD_MAX)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    fn unheard(name: &str, ms: u64) -> Unheard {
        Unheard {
            token: TokenId::FIRST,
            sent_at: at_ms(ms),
            answered_at: at_ms(ms),
            cost: 1,
            evidence: Evidence::default(),
            suspect: Suspect::Conversation(name.into()),
        }
    }

    fn told(unheard: &mut UnheardRefusals, ms: u64) -> Vec<bool> {
        unheard.take_settled(at_ms(ms)).into_iter().map(|(_, refused)| refused).collect()
    }

    #[test]
    fn each_is_heard_of_once_when_it_is_settled_or_late() {
        let mut refusals = UnheardRefusals::default();
        refusals.put_off(unheard("a", 0));
        refusals.put_off(unheard("b", 1_000));
        assert!(told(&mut refusals, 2_999).is_empty());
        assert_eq!(refusals.settles_at(), Some(at_ms(3_000)));
        assert_eq!(told(&mut refusals, 3_000), [false], "still in doubt");
        refusals.settle_all();
        assert_eq!(refusals.costs().count(), 1, "it still holds its slot");
        assert_eq!(told(&mut refusals, 3_000), [true]);
        assert_eq!((refusals.settles_at(), told(&mut refusals, 9_000).len()), (None, 0));
    }

    #[test]
    fn those_of_one_suspect_are_settled_and_what_is_widened_is_of_another() {
        let mut refusals = UnheardRefusals::default();
        refusals.put_off(unheard("a", 0));
        refusals.put_off(unheard("b", 0));
        refusals.settle(&Suspect::Conversation("a".into()), false);
        assert_eq!(told(&mut refusals, 0), [false]);
        refusals.widen(&Suspect::Conversation("c".into()));
        refusals.settle(&Suspect::Conversation("b".into()), true);
        assert!(told(&mut refusals, 0).is_empty());
        refusals.settle(&Suspect::Conversation("c".into()), true);
        assert_eq!(told(&mut refusals, 0), [true]);
    }
}
