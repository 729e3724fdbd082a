//! One and the same that is refused again and again while others pass: that is no chance, but a limit of its own.

use std::sync::Arc;

use super::RouteId;
use super::scope::Suspect;

/// If a limit of its own is likelier than chance by this factor, it has one.
const ODDS_MIN: f64 = 20.0;

/// Refusals of the same suspect in a row, and what has passed since the last one.
#[derive(Debug)]
pub(super) struct Streak {
    suspect: Suspect,
    own: u32,
    others: u32,
    odds: f64,
}

impl Streak {
    /// It is refused, and `before` was the streak until now.
    pub(super) fn with(suspect: &Suspect, before: Option<&Self>) -> Self {
        let odds = before.filter(|before| before.suspect == *suspect).map_or(1.0, Self::odds_now);
        Self { suspect: suspect.clone(), own: 0, others: 0, odds }
    }

    /// Something has passed: it, or another one.
    pub(super) fn note_passed(&mut self, route: RouteId, conversation: Option<&Arc<str>>) {
        let is_it = self.suspect.is_one_of(route, conversation);
        let count = if is_it { &mut self.own } else { &mut self.others };
        *count = count.saturating_add(1);
    }

    /// Whether it is no chance, if this one's next request is refused as well.
    pub(super) fn shows_own_limit_of(&self, suspect: &Suspect) -> bool {
        self.suspect == *suspect && self.odds_now() >= ODDS_MIN
    }

    fn odds_now(&self) -> f64 {
        let own = f64::from(self.own) + 1.0;
        self.odds * (own + f64::from(self.others)) / own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(name: &str) -> Suspect {
        Suspect::Conversation(name.into())
    }

    fn passes(streak: &mut Streak, count: usize) {
        (0..count).for_each(|_| streak.note_passed(RouteId::MESSAGES, Some(&"b".into())));
    }

    #[test]
    fn one_that_is_always_refused_while_others_pass_is_no_chance() {
        let a = conversation("a");
        let mut streak = Streak::with(&a, None);
        passes(&mut streak, 4);
        assert!(!streak.shows_own_limit_of(&a));
        streak = Streak::with(&a, Some(&streak));
        passes(&mut streak, 4);
        assert!(streak.shows_own_limit_of(&a), "25 times likelier");
        streak = Streak::with(&conversation("b"), Some(&streak));
        assert!(!streak.shows_own_limit_of(&a), "it is not always the same one");
    }

    #[test]
    fn what_passes_of_itself_makes_it_less_likely() {
        let a = conversation("a");
        let mut streak = Streak::with(&a, None);
        passes(&mut streak, 30);
        assert!(streak.shows_own_limit_of(&a));
        streak.note_passed(RouteId::MESSAGES, Some(&"a".into()));
        assert!(!streak.shows_own_limit_of(&a));
    }
}
