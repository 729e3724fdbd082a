//! Conversations that have met a limit of their own: for a while their refusals need no other explanation.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::clock::Timestamp;

/// For how long after its last refusal a conversation or route is known to have a limit of its own.
const REMEMBERED: Duration = Duration::from_secs(600);
const REMEMBERED_MAX: usize = 1_024;

/// Whether a route that met a limit of its own at that time is known to have one.
pub(super) fn is_remembered(now: Timestamp, limited_at: Option<Timestamp>) -> bool {
    limited_at.is_some_and(|at| now.since(at) < REMEMBERED)
}

/// By conversation, when it was refused last.
#[derive(Debug, Default)]
pub(super) struct OwnLimits(HashMap<Arc<str>, Timestamp>);

impl OwnLimits {
    /// The one refused longest ago gives its place away.
    pub(super) fn remember(&mut self, now: Timestamp, conversation: &Arc<str>) {
        if self.0.len() >= REMEMBERED_MAX && !self.0.contains_key(conversation) {
            let oldest = self.0.iter().min_by_key(|(name, at)| (**at, Arc::clone(name)));
            let oldest = oldest.map(|(name, _)| Arc::clone(name));
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        self.0.insert(Arc::clone(conversation), now);
    }

    pub(super) fn has(&self, now: Timestamp, conversation: &str) -> bool {
        is_remembered(now, self.0.get(conversation).copied())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_s(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_limit_is_remembered_for_ten_minutes() {
        let mut limits = OwnLimits::default();
        limits.remember(at_s(0), &"a".into());
        assert!(limits.has(at_s(599), "a") && !limits.has(at_s(600), "a") && !limits.has(at_s(0), "b"));
        limits.clear();
        assert!(!limits.has(at_s(1), "a"));
    }

    #[test]
    fn beyond_the_room_the_one_refused_longest_ago_is_forgotten() {
        let mut limits = OwnLimits::default();
        for number in 0..=REMEMBERED_MAX as u64 {
            limits.remember(at_s(number / 1_000), &number.to_string().into());
        }
        assert_eq!(limits.0.len(), REMEMBERED_MAX);
        assert!(!limits.has(at_s(2), "0") && limits.has(at_s(2), "1024"));
    }
}
