//! What a request costs of the quota: as the setting says, or as the server's own count shows.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::settings::Cost;

/// Votes in a row that turn the cost: others who use the same quota may fake one now and then.
const VOTES_TO_TURN: u32 = 3;

/// What the server had counted when nothing was on the wire.
#[derive(Clone, Copy, Debug)]
struct Reading {
    used: u64,
    /// The end of the window in which it was counted, if that is known.
    until: Option<Timestamp>,
}

/// The cost in force.
///
/// ```
/// use spillway_core::{batcher::CostMeter, settings::Cost};
///
/// assert_eq!(CostMeter::new(Cost::Request).of(10), 1);
/// assert_eq!(CostMeter::new(Cost::Message).of(10), 10);
/// ```
#[derive(Debug)]
pub struct CostMeter {
    per_message: bool,
    learns: bool,
    last: Option<Reading>,
    /// Requests since the last reading.
    left: u32,
    votes_against: u32,
}

impl CostMeter {
    /// By the setting; a learner begins with one for each request.
    pub fn new(cost: Cost) -> Self {
        Self { per_message: cost == Cost::Message, learns: cost == Cost::Learn, last: None, left: 0, votes_against: 0 }
    }

    /// Whether each message of a batch counts.
    pub fn is_per_message(&self) -> bool {
        self.per_message
    }

    /// What a request with this many messages costs.
    pub fn of(&self, messages: usize) -> u32 {
        if self.per_message { u32::try_from(messages).unwrap_or(u32::MAX) } else { 1 }
    }

    /// A request leaves.
    pub fn left(&mut self) {
        self.left = self.left.saturating_add(1);
    }

    /// An answer is here. Only one that leaves nothing on the wire (`alone`) can be read, and only a batch that was the
    /// single request since the reading before votes. `messages` is none where nothing was accepted.
    pub fn answered(
        &mut self,
        now: Timestamp,
        used: Option<u64>,
        reset: Option<Duration>,
        messages: Option<usize>,
        alone: bool,
    ) {
        if !self.learns {
            return;
        }
        let before = self.last.take();
        let Some(used) = used.filter(|_| alone) else { return };
        let single = std::mem::take(&mut self.left) == 1;
        self.last = Some(Reading { used, until: reset.map(|span| now.after(span)) });
        let same_window = |reading: &Reading| reading.until.is_none_or(|until| now < until);
        let (Some(before), Some(messages)) = (before.filter(|reading| single && same_window(reading)), messages) else {
            return;
        };
        match used.checked_sub(before.used) {
            Some(1) if messages > 1 => self.vote(false),
            Some(cost) if messages > 1 && cost == messages as u64 => self.vote(true),
            _ => {}
        }
    }

    fn vote(&mut self, per_message: bool) {
        self.votes_against = if per_message == self.per_message { 0 } else { self.votes_against + 1 };
        if self.votes_against == VOTES_TO_TURN {
            self.per_message = per_message;
            self.votes_against = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

    /// Feeds answers of single requests, as `(used, messages)`, a second apart.
    fn after(meter: &mut CostMeter, readings: &[(u64, usize)]) -> bool {
        for (index, (used, messages)) in readings.iter().enumerate() {
            meter.left();
            let now = Timestamp::from_micros(1_000_000 * index as u64);
            meter.answered(now, Some(*used), MINUTE, Some(*messages), true);
        }
        meter.is_per_message()
    }

    #[test]
    fn three_votes_in_a_row_turn_it_and_three_turn_it_back() {
        let mut meter = CostMeter::new(Cost::Learn);
        assert!(!after(&mut meter, &[(10, 10), (20, 10), (25, 5)]));
        assert!(after(&mut meter, &[(30, 5), (35, 5), (42, 7), (52, 10)]));
        assert_eq!((meter.of(7), meter.of(1)), (7, 1));
        assert!(!after(&mut meter, &[(1, 10), (2, 10), (3, 10), (4, 10)]));
        assert_eq!(meter.of(7), 1);
    }

    #[test]
    fn what_proves_nothing_is_no_vote() {
        // Single messages; others between; a new window; a vote for the other side in between.
        for readings in [
            &[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)][..],
            &[(10, 10), (23, 10), (36, 10), (49, 10), (62, 10)],
            &[(90, 10), (10, 10), (0, 10), (10, 10), (5, 10)],
            &[(10, 10), (20, 10), (30, 10), (31, 10), (41, 10), (51, 10)],
        ] {
            assert!(!after(&mut CostMeter::new(Cost::Learn), readings), "{readings:?}");
        }
        let mut meter = CostMeter::new(Cost::Learn);
        for used in 0..10 {
            // Two on the wire, an unanswered one between, a window that ended meanwhile, and a refusal.
            let now = Timestamp::from_micros(used * 1_000_000);
            meter.left();
            meter.left();
            meter.answered(now, Some(used * 20), MINUTE, Some(10), false);
            meter.answered(now, Some(used * 20 + 10), MINUTE, Some(10), true);
            meter.left();
            meter.answered(now, None, None, None, true);
            meter.left();
            meter.answered(now, Some(used * 20 + 20), MINUTE, None, true);
        }
        assert!(!meter.is_per_message());
        let mut meter = CostMeter::new(Cost::Learn);
        for used in 0..10 {
            meter.left();
            let now = Timestamp::from_micros(used * 1_000_000);
            meter.answered(now, Some(used * 10), Some(Duration::from_millis(900)), Some(10), true);
        }
        assert!(!meter.is_per_message());
    }

    #[test]
    fn a_setting_is_a_setting() {
        for (cost, per_message) in [(Cost::Request, false), (Cost::Message, true)] {
            for step in [1, 10] {
                let readings: Vec<_> = (1..10).map(|index| (index * step, 10)).collect();
                assert_eq!(after(&mut CostMeter::new(cost), &readings), per_message);
            }
        }
    }
}
