//! When messages could not leave at all: a message does not age then.
//!
//! `retry.maxAgeMs` bounds how long the server may have to take a message. While a gate holds everything back, nothing
//! is tried, so that time does not count, nor does the time between two runs with the same store.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;

/// Spans that are told apart. Beyond that the two oldest become one, with the time between them: messages live a little
/// longer.
const SPANS_MAX: usize = 1_024;
/// Spans that the next run is told of.
const SPANS_CARRIED: usize = 64;

/// From then until then nothing was tried.
pub(in crate::dispatcher) type Span = (Timestamp, Timestamp);

#[derive(Debug, Default)]
pub(super) struct Standstill {
    /// The spans that are over, oldest first.
    spans: VecDeque<Span>,
    since: Option<Timestamp>,
}

impl Standstill {
    /// Notes whether messages are held back from now on. Whether that is news.
    pub(super) fn note(&mut self, now: Timestamp, is_held: bool) -> bool {
        match self.since {
            None if is_held => self.since = Some(now),
            Some(since) if !is_held => {
                self.since = None;
                self.spans.push_back((since, now));
                self.merge_oldest();
            }
            _ => return false,
        }
        true
    }

    /// Whether one lasts.
    pub(super) fn lasts(&self) -> bool {
        self.since.is_some()
    }

    /// For the next run: those of this one until now, oldest first. Of many, the oldest are one.
    pub(super) fn carried(&self, now: Timestamp) -> Vec<Span> {
        let current = self.since.map(|since| (since, now));
        let mut spans: Vec<Span> = self.spans.iter().copied().chain(current).collect();
        if let Some(excess) = spans.len().checked_sub(SPANS_CARRIED).filter(|excess| *excess > 0) {
            let start = spans[0].0;
            spans.drain(..excess);
            spans[0].0 = start;
        }
        spans
    }

    /// Those of earlier runs, whatever a file says of them.
    pub(super) fn inherit(&mut self, mut spans: Vec<Span>) {
        debug_assert!(self.spans.is_empty() && self.since.is_none(), "a run begins with those of the last");
        spans.retain(|(start, end)| start < end);
        spans.sort_unstable();
        for (start, end) in spans {
            match self.spans.back_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => self.spans.push_back((start, end)),
            }
        }
        while self.spans.len() > SPANS_MAX {
            self.merge_oldest();
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
    fn the_next_run_is_told_and_does_not_count_the_time_between_either() {
        let mut earlier = Standstill::default();
        assert!(earlier.note(at(10), true) && !earlier.note(at(11), true) && earlier.note(at(20), false));
        earlier.note(at(30), true);
        let mut spans = earlier.carried(at(40));
        assert_eq!(spans, [(at(10), at(20)), (at(30), at(40))]);
        // It ended then, and the next one began at 100.
        spans.push((at(40), at(100)));
        let mut standstill = Standstill::default();
        standstill.inherit(spans);
        assert_eq!(age(&standstill, 5, 110), 5 + 10 + 10);

        let mut damaged = Standstill::default();
        damaged.inherit(vec![(at(50), at(60)), (at(9), at(8)), (at(0), at(20)), (at(10), at(30))]);
        assert_eq!(damaged.carried(at(99)), [(at(0), at(30)), (at(50), at(60))]);
        let many = (0..200).map(|second| (at(10 * second), at(10 * second + 1))).collect();
        let mut standstill = Standstill::default();
        standstill.inherit(many);
        let carried = standstill.carried(at(2_000));
        assert_eq!(
            (carried.len(), carried[0], carried[1]),
            (SPANS_CARRIED, (at(0), at(1_361)), (at(1_370), at(1_371)))
        );
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
