//! What has passed lately, and so is in use: whoever is refused meanwhile is not the only one that sends.

use std::sync::Arc;
use std::time::Duration;

use super::RouteId;
use super::scope::Suspect;
use crate::clock::Timestamp;

/// For how long.
const USE_MAX: Duration = Duration::from_secs(60);
/// While both are younger than this, there is no need to note another: it would cost a busy queue something per
/// message.
const FRESH: Duration = Duration::from_secs(1);

/// Whether a route that has passed last at that time is in use.
pub(super) fn is_in_use(now: Timestamp, passed_at: Option<Timestamp>) -> bool {
    passed_at.is_some_and(|at| now.since(at) < USE_MAX)
}

#[derive(Debug)]
struct Passed {
    route: RouteId,
    /// Of messages; `None` if they were of several.
    conversation: Option<Arc<str>>,
    at: Timestamp,
}

impl Passed {
    fn is_of(&self, route: RouteId, conversation: Option<&Arc<str>>) -> bool {
        self.route == route && (self.conversation.as_ref() == conversation || route != RouteId::MESSAGES)
    }
}

/// The two that have passed last, the newest first: if one is the suspect, the other is not.
#[derive(Debug, Default)]
pub(super) struct InUse([Option<Passed>; 2]);

impl InUse {
    /// Whether two have passed a moment ago.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.0[1].as_ref().is_some_and(|older| now.since(older.at) < FRESH)
    }

    pub(super) fn note_passed(&mut self, now: Timestamp, route: RouteId, conversation: Option<&Arc<str>>) {
        match &mut self.0 {
            [Some(newest), _] if newest.is_of(route, conversation) => newest.at = now,
            [newest, older] => {
                *older = newest.replace(Passed { route, conversation: conversation.cloned(), at: now });
            }
        }
    }

    /// Whether anything has ever passed.
    pub(super) fn has_any(&self) -> bool {
        self.0[0].is_some()
    }

    /// Whether something else than this one has passed lately.
    pub(super) fn has_others_than(&self, now: Timestamp, suspect: &Suspect) -> bool {
        let is_other = |passed: &Passed| !suspect.is_one_of(passed.route, passed.conversation.as_ref());
        self.0.iter().flatten().any(|passed| is_other(passed) && is_in_use(now, Some(passed.at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_in_use_for_a_minute_however_often_the_suspect_passes() {
        let at_s = |seconds: u64| Timestamp::from_micros(seconds * 1_000_000);
        let suspect = Suspect::Conversation("a".into());
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        let mut in_use = InUse::default();
        assert!(!in_use.has_any());
        in_use.note_passed(at_s(0), RouteId::MESSAGES, Some(&b));
        for seconds in 1..20 {
            in_use.note_passed(at_s(seconds), RouteId::MESSAGES, Some(&a));
        }
        assert!(in_use.has_any() && in_use.has_others_than(at_s(59), &suspect));
        assert!(!in_use.has_others_than(at_s(60), &suspect));
        in_use.note_passed(at_s(61), RouteId::of(7), None);
        assert!(in_use.has_others_than(at_s(62), &suspect), "a call is another");
    }
}
