//! Messages whose outcome nobody knows, where nothing may be sent twice: each is given up. How many there may be
//! follows from what the run has seen, so that a bar is neither luck nor slack:
//!
//! - what left before anything could tell of the outage, which no sender avoids;
//! - what finds out: four unknown outcomes in a row, with two messages on the wire at a time;
//! - where everything that is safe to repeat is answered meanwhile, the messages that look whether the outage is over.

use std::collections::HashMap;

use spillway_core::dispatcher::AttemptId;

use super::case::Case;

/// Four in a row show an outage. Two are on the wire at a time, so that a fifth is there when the fourth comes back.
const FINDING_MAX: usize = 5;
/// The first two messages that look may follow at once. Then they wait for twice this time, twice as long, and so on
/// up to `retry.maxPauseMs`.
const LOOKS_AT_ONCE: usize = 2;
const LOOK_US: u64 = 10_000_000;
const LOOK_US_MAX: u64 = 180_000_000;

#[derive(Clone, Copy, Debug)]
struct Departure {
    /// Orders departures.
    number: u64,
    left_us: u64,
}

/// The first unknown outcome since a message was taken: from there on the sender knows that something is wrong.
#[derive(Clone, Copy, Debug)]
struct First {
    /// What had left by then.
    departures: u64,
    /// Unknown outcomes before it.
    earlier: usize,
}

/// The messages of a run whose outcome is unknown.
#[derive(Debug, Default)]
pub struct Unknown {
    departures: u64,
    under_way: HashMap<AttemptId, Departure>,
    unknown: Vec<Departure>,
    first: Option<First>,
}

impl Unknown {
    /// A message leaves.
    pub fn left(&mut self, now_us: u64, attempt: AttemptId) {
        self.under_way.insert(attempt, Departure { number: self.departures, left_us: now_us });
        self.departures += 1;
    }

    /// It has another outcome. One that left before the outage and is taken says once more that all is well.
    pub fn known(&mut self, attempt: AttemptId, is_taken: bool, case: &Case) {
        let departure = self.under_way.remove(&attempt);
        if is_taken && departure.is_some_and(|departure| departure.left_us < case.begins_us) {
            self.first = None;
        }
    }

    /// Nobody knows whether the server has taken it.
    pub fn unknown(&mut self, attempt: AttemptId) {
        let Some(departure) = self.under_way.remove(&attempt) else { unreachable!("it has left") };
        self.first.get_or_insert(First { departures: self.departures, earlier: self.unknown.len() });
        self.unknown.push(departure);
    }

    pub fn count(&self) -> usize {
        self.unknown.len()
    }

    /// As many may be.
    pub fn max(&self, case: &Case) -> usize {
        if !case.kind.leaves_unknown() {
            // What leaves in the outage surely was not processed.
            return self.unknown.iter().filter(|departure| departure.left_us < case.begins_us).count();
        }
        let Some(First { departures, earlier }) = self.first else { return self.unknown.len() };
        let unavoidable = self.unknown.iter().filter(|departure| departure.number < departures).count();
        let looks = if case.is_deceptive() { looks(case.ends_us - case.begins_us) } else { 0 };
        earlier + (unavoidable - earlier).max(FINDING_MAX) + looks
    }
}

/// Messages that look for the end of an outage within this time.
fn looks(lasts_us: u64) -> usize {
    let waits_us = (1..).map(|doublings: u32| (LOOK_US << doublings.min(10)).min(LOOK_US_MAX));
    let ats_us = waits_us.scan(0, |at_us, wait_us| {
        *at_us += wait_us;
        Some(*at_us)
    });
    LOOKS_AT_ONCE + ats_us.take_while(|at_us| *at_us < lasts_us).count()
}
