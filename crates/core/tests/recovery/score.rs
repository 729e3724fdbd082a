//! What counts of a run.

use std::collections::{BTreeSet, HashSet};

use spillway_core::dispatcher::Effect;
use spillway_core::outcome::Reason;
use spillway_core::settings::Ambiguous;

use super::case::Case;
use super::unknown::Unknown;

const SECOND_US: u64 = 1_000_000;
/// Probes are seldom from then on.
const FIRST_US: u64 = 60 * SECOND_US;
/// The full rate is reached where so much of it leaves in so long a time from there.
const FULL: f64 = 0.9;
const FULL_US: u64 = 5 * SECOND_US;
/// A burst would come in this time.
const BURST_US: u64 = 20 * SECOND_US;

/// What a run reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Messages that ended otherwise than delivered, or didn't end; those of [`Self::unknown`] apart.
    pub lost: u64,
    /// Those that are dead letters since their outcome is unknown, as `ambiguous: 'fail'` says.
    pub unknown: u64,
    /// Requests with a message whose outcome is unknown, and how many may be with `'fail'`.
    pub doubts: u64,
    pub doubts_max: u64,
    /// Those that left again after an unknown outcome, or were accepted twice.
    pub twice: u64,
    /// Requests in the first minute of the outage, and from then on until its end.
    pub first: u64,
    pub late: u64,
    /// As many may be, after the first minute.
    pub late_max: u64,
    /// Attempts to connect without a request during the outage, and how many may be.
    pub checks: u64,
    pub checks_max: u64,
    /// From the end of the outage to the next request.
    pub probe_us: u64,
    /// From the end of the outage to the full rate; `None` if it was never reached.
    pub back_us: Option<u64>,
    /// The most requests in any second afterwards, and how many may be.
    pub burst: u64,
    pub burst_max: u64,
}

#[derive(Debug, Default)]
pub struct Score {
    sent: BTreeSet<String>,
    left_us: Vec<u64>,
    checked_us: Vec<u64>,
    doubtful: HashSet<String>,
    twice: u64,
    unknown: u64,
    lost: u64,
}

impl Score {
    /// A message is handed over.
    pub fn submitted(&mut self, name: &str) {
        self.sent.insert(name.to_owned());
    }

    /// A request leaves; `name` is that of its message.
    pub fn left(&mut self, now_us: u64, name: Option<&str>) {
        self.left_us.push(now_us);
        if let Some(name) = name {
            assert!(self.sent.contains(name), "{name} leaves, and has ended or was never handed over");
            self.twice += u64::from(self.doubtful.contains(name));
        }
    }

    /// The host is checked, without a request.
    pub fn checked(&mut self, now_us: u64) {
        self.checked_us.push(now_us);
    }

    /// Its outcome is unknown.
    pub fn doubted(&mut self, name: &str) {
        self.doubtful.insert(name.to_owned());
    }

    pub fn effect(&mut self, effect: &Effect) {
        let id = match effect {
            Effect::Delivered { receipt, .. } => receipt.message.id().to_owned(),
            Effect::Buried { failure, .. } => {
                let id = failure.id.as_deref().unwrap_or_default();
                let is_told = failure.reason == Reason::Ambiguous && self.doubtful.contains(id);
                *(if is_told { &mut self.unknown } else { &mut self.lost }) += 1;
                id.to_owned()
            }
            _ => return,
        };
        assert!(self.sent.remove(&id), "{id} ends twice");
    }

    /// `accepted_again`: what the server has accepted more than once.
    pub fn end(self, case: &Case, doubts: &Unknown, accepted_again: u64) -> Outcome {
        let Case { begins_us, ends_us, .. } = *case;
        let late_us = begins_us + FIRST_US;
        let left = |from: u64, to: u64| self.left_us.iter().filter(|at| (from..to).contains(*at)).count() as u64;
        let after = || self.left_us.iter().copied().filter(|at| *at >= ends_us);
        let is_full = |at: &u64| left(*at, at + FULL_US) as f64 >= FULL * case.paced(FULL_US);
        let first_us = after().next().unwrap_or(ends_us);
        let burst = after().take_while(|at| *at < first_us + BURST_US).map(|at| left(at, at + SECOND_US)).max();
        let may_repeat = case.ambiguous == Ambiguous::Retry;
        Outcome {
            lost: self.lost + self.sent.len() as u64,
            unknown: self.unknown,
            doubts: doubts.count() as u64,
            doubts_max: if may_repeat { 0 } else { doubts.max(case) as u64 },
            twice: if may_repeat { 0 } else { self.twice + accepted_again },
            first: left(begins_us, late_us.min(ends_us)),
            late: left(late_us, ends_us.max(late_us)),
            late_max: ends_us.saturating_sub(late_us).div_ceil(10 * SECOND_US),
            checks: self.checked_us.iter().filter(|at| (begins_us..ends_us).contains(*at)).count() as u64,
            // Nothing is checked where connections can be made.
            checks_max: if case.kind.in_front().is_some() { (ends_us - begins_us).div_ceil(SECOND_US) } else { 0 },
            probe_us: first_us - ends_us,
            back_us: after().find(is_full).map(|at| at - ends_us),
            burst: burst.unwrap_or(0),
            burst_max: case.paced(SECOND_US).ceil() as u64 + 1,
        }
    }
}
