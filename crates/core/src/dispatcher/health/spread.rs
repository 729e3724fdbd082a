//! How refusals whose limit is in doubt spread over those that were refused: a limit of all refuses whoever comes, one
//! of a few always these.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::RouteId;
use super::scope::Suspect;
use crate::clock::Timestamp;

/// Refusals that are looked back upon.
const REFUSALS_MAX: usize = 8;
/// Fewer tell nothing: two may be of two with limits of their own, as the next ones would show.
const REFUSALS_MIN: usize = 3;
/// After this time without one, the next is the first.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// If limits of these few are likelier than one of all by this factor, it is not everybody's.
const ODDS_MIN: f64 = 4.0;
/// Two with limits of their own are less likely than one by this factor, and so on.
const ODDS_OF_ONE_MORE: f64 = 2.0;

#[derive(Debug, Default)]
pub(super) struct Spread {
    refused: VecDeque<Suspect>,
    /// Of each of them, how many requests have passed since it was refused first.
    passed: Vec<(Suspect, u32)>,
    /// How many have passed altogether.
    total: u32,
    last: Option<Timestamp>,
}

impl Spread {
    pub(super) fn is_empty(&self) -> bool {
        self.refused.is_empty()
    }

    pub(super) fn note_refused(&mut self, now: Timestamp, suspect: &Suspect) {
        if self.last.is_some_and(|last| now.since(last) >= FORGOTTEN_AFTER) {
            *self = Self::default();
        }
        self.last = Some(now);
        if self.refused.len() == REFUSALS_MAX
            && let Some(oldest) = self.refused.pop_front()
            && !self.refused.contains(&oldest)
        {
            self.passed.retain(|(one, _)| *one != oldest);
        }
        self.refused.push_back(suspect.clone());
        if !self.passed.iter().any(|(one, _)| one == suspect) {
            self.passed.push((suspect.clone(), 0));
        }
    }

    pub(super) fn note_passed(&mut self, route: RouteId, conversation: Option<&Arc<str>>) {
        if self.refused.is_empty() {
            return;
        }
        self.total = self.total.saturating_add(1);
        for (suspect, count) in &mut self.passed {
            if suspect.is_one_of(route, conversation) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Its limit is its own, and says nothing about others.
    pub(super) fn forget(&mut self, suspect: &Suspect) {
        self.refused.retain(|one| one != suspect);
        self.passed.retain(|(one, _)| one != suspect);
    }

    /// Whether the limit is likelier everybody's than that of each of those that were refused.
    pub(super) fn is_everybodys(&self) -> bool {
        let (refusals, suspects) = (self.refused.len(), self.passed.len());
        if refusals < REFUSALS_MIN {
            return false;
        }
        // That one of these is refused, if everybody may be. The first refusal of each makes it one of these, and tells
        // nothing more.
        let passed: u32 = self.passed.iter().map(|(_, count)| *count).sum();
        let share = (f64::from(passed.min(self.total)) + suspects as f64) / (f64::from(self.total) + suspects as f64);
        share.powi(-((refusals - suspects) as i32)) < ODDS_MIN * ODDS_OF_ONE_MORE.powi(suspects as i32 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(refused: &[&str], others: usize) -> Spread {
        let mut spread = Spread::default();
        for name in refused {
            spread.note_refused(Timestamp::START, &Suspect::Conversation((*name).into()));
            for other in 0..others {
                spread.note_passed(RouteId::MESSAGES, Some(&Arc::from(format!("other {other}"))));
            }
        }
        spread
    }

    #[test]
    fn whoever_comes_is_refused_by_a_limit_of_all() {
        assert!(!spread(&["a", "b"], 10).is_everybodys(), "nobody knows");
        assert!(spread(&["a", "b", "c"], 10).is_everybodys());
        assert!(spread(&["a", "b", "c", "a", "d"], 10).is_everybodys(), "by chance");
        assert!(spread(&["a", "b", "a", "b", "b", "a", "a"], 0).is_everybodys(), "there are no others");
    }

    #[test]
    fn the_same_few_are_refused_by_limits_of_their_own() {
        assert!(!spread(&["a", "a", "a"], 10).is_everybodys());
        assert!(!spread(&["a", "b", "a"], 10).is_everybodys());
        assert!(!spread(&["a", "b", "a", "b"], 10).is_everybodys());
        assert!(spread(&["a", "b", "c", "d", "a", "b"], 3).is_everybodys(), "four are less likely than chance");
        let mut spread = spread(&["a", "a", "a", "b", "c"], 10);
        assert!(!spread.is_everybodys());
        spread.forget(&Suspect::Conversation("a".into()));
        spread.note_refused(Timestamp::START, &Suspect::Conversation("d".into()));
        assert!(spread.is_everybodys(), "what has a limit of its own says nothing about the others");
    }

    #[test]
    fn it_looks_back_for_a_while_and_over_a_few() {
        let mut old = spread(&["a", "b"], 10);
        old.note_refused(Timestamp::START.after(FORGOTTEN_AFTER), &Suspect::Conversation("c".into()));
        assert!(!old.is_everybodys());
        let names: Vec<String> = (0..30).map(|name| name.to_string()).collect();
        let many = spread(&names.iter().map(String::as_str).collect::<Vec<_>>(), 1);
        assert_eq!((many.refused.len(), many.passed.len()), (REFUSALS_MAX, REFUSALS_MAX));
    }
}
