//! When messages could not leave at all: a message does not age then.
//!
//! `retry.maxAgeMs` bounds how long the server may have to take a message. While a gate holds everything back, nothing
//! is tried, so that time does not count.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;

/// Spans that are told apart. Beyond that the two oldest become one, with the time between them: messages live a little
/// longer.
const SPANS_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Standstill {
    /// The spans that are over, oldest first.
    spans: VecDeque<(Timestamp, Timestamp)>,
    since: Option<Timestamp>,
}

impl Standstill {
    /// Notes whether messages are held back from now on.
    pub(super) fn note(&mut self, now: Timestamp, is_held: bool) {
        match self.since {
            None if is_held => self.since = Some(now),
            Some(since) if !is_held => {
                self.since = None;
                self.spans.push_back((since, now));
                self.merge_oldest();
            }
            _ => {}
        }
    }

    fn merge_oldest(&mut self) {
        if self.spans.len() > SPANS_MAX
            && let Some((start, _)) = self.spans.pop_front()
            && let Some(next) = self.spans.front_mut()
        {
            next.0 = start;
        }
    }

    /// How much time has passed since then, without the time in which messages were held back.
    pub(super) fn age(&self, since: Timestamp, now: Timestamp) -> Duration {
        let current = self.since.map(|start| (start, now));
        let newest_first = self.spans.iter().rev().copied();
        let held: Duration = current
            .into_iter()
            .chain(newest_first)
            .take_while(|(_, end)| *end > since)
            .map(|(start, end)| end.since(start.max(since)))
            .sum();
        now.since(since).saturating_sub(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn age(standstill: &Standstill, since: u64, now: u64) -> u64 {
        standstill.age(at(since), at(now)).as_secs()
    }

    #[test]
    fn time_without_a_way_out_does_not_count() {
        let mut standstill = Standstill::default();
        assert_eq!(age(&standstill, 3, 10), 7);
        standstill.note(at(10), true);
        standstill.note(at(20), true);
        assert_eq!(age(&standstill, 3, 100), 7, "it is held to this day");
        assert_eq!(age(&standstill, 50, 100), 0, "since before it began");
        standstill.note(at(100), false);
        standstill.note(at(110), false);
        assert_eq!(age(&standstill, 3, 120), 7 + 20);
        assert_eq!(age(&standstill, 60, 120), 20);
        assert_eq!(age(&standstill, 110, 120), 10);
        standstill.note(at(120), true);
        standstill.note(at(130), false);
        assert_eq!(age(&standstill, 3, 140), 7 + 20 + 10);
    }

    #[test]
    fn what_is_too_long_ago_to_be_told_apart_counts_as_held() {
        let mut standstill = Standstill::default();
        for second in (0..4 * SPANS_MAX as u64).step_by(2) {
            standstill.note(at(second), true);
            standstill.note(at(second + 1), false);
        }
        assert_eq!(standstill.spans.len(), SPANS_MAX);
        let now = 4 * SPANS_MAX as u64;
        assert_eq!(age(&standstill, now - 100, now), 50);
        assert_eq!(age(&standstill, 0, now), SPANS_MAX as u64, "of the newest spans alone");
    }
}
