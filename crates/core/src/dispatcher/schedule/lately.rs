//! Conversations that have sent something within the budget's longest window. All others count as latecomers, which go
//! first when the budget is short.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::clock::Timestamp;

/// Conversations remembered, about 5 MB. Beyond that, the one remembered for longest is forgotten and counts as a
/// latecomer again.
const CONVERSATIONS_MAX: usize = 65_536;

/// Keyed by a hash: a collision only costs a message its precedence.
#[derive(Debug, Default)]
pub(in crate::dispatcher) struct Lately {
    hasher: DefaultHashBuilder,
    sent: HashMap<u64, Timestamp>,
    /// Each conversation once, by the time at which it was last checked for expiry.
    by_age: VecDeque<(Timestamp, u64)>,
    /// The last message of the reserve was a latecomer's.
    went_last: bool,
}

impl Lately {
    /// A message of this conversation leaves.
    pub(in crate::dispatcher) fn sends(&mut self, now: Timestamp, conversation: &str, memory: Duration) {
        self.forget(now, memory);
        let key = self.hasher.hash_one(conversation);
        if self.sent.insert(key, now).is_none() {
            self.by_age.push_back((now, key));
        }
    }

    /// Whether nothing of this conversation has left within `memory`.
    pub(in crate::dispatcher) fn is_late(&self, now: Timestamp, conversation: &str, memory: Duration) -> bool {
        let sent = self.sent.get(&self.hasher.hash_one(conversation));
        sent.is_none_or(|at| now.since(*at) >= memory)
    }

    /// Whether a latecomer had the last turn of the budget's reserve.
    pub(in crate::dispatcher) fn went_last(&self) -> bool {
        self.went_last
    }

    /// A turn of the reserve goes to a latecomer, or to another.
    pub(in crate::dispatcher) fn note_turn(&mut self, is_late: bool) {
        self.went_last = is_late;
    }

    fn forget(&mut self, now: Timestamp, memory: Duration) {
        while let Some((looked_at, key)) = self.by_age.front().copied() {
            let is_full = self.by_age.len() >= CONVERSATIONS_MAX;
            if !is_full && now.since(looked_at) < memory {
                return;
            }
            self.by_age.pop_front();
            match self.sent.get(&key) {
                Some(at) if !is_full && now.since(*at) < memory => self.by_age.push_back((*at, key)),
                _ => {
                    self.sent.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at_s(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_conversation_is_late_until_it_sends_and_again_a_window_after_its_last() {
        let mut lately = Lately::default();
        assert!(lately.is_late(at_s(0), "a", MINUTE));
        lately.sends(at_s(0), "a", MINUTE);
        lately.sends(at_s(50), "a", MINUTE);
        lately.sends(at_s(70), "b", MINUTE);
        assert!(!lately.is_late(at_s(100), "a", MINUTE));
        assert!(lately.is_late(at_s(110), "a", MINUTE));
        lately.sends(at_s(200), "c", MINUTE);
        assert_eq!((lately.sent.len(), lately.by_age.len()), (1, 1), "what is old is forgotten");
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let mut lately = Lately::default();
        for number in 0..CONVERSATIONS_MAX + 10 {
            lately.sends(at_s(1), &number.to_string(), MINUTE);
        }
        assert_eq!((lately.sent.len(), lately.by_age.len()), (CONVERSATIONS_MAX, CONVERSATIONS_MAX));
        assert!(lately.is_late(at_s(1), "0", MINUTE) && !lately.is_late(at_s(1), "20", MINUTE));
    }
}
