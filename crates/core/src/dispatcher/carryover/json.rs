//! A carryover as the store keeps it. Times are milliseconds from the moment of saving, since no clock of a process
//! outlives it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Carryover;
use crate::budget::Belief;
use crate::clock::Timestamp;
use crate::dispatcher::health::{Gate, OperatorHold};
use crate::evidence::WaitSource;
use crate::stats::Closure;

/// How finely spent slots are kept: this many steps of the widest window, each rounded to its later end.
const STEPS_PER_WINDOW: i64 = 64;
/// No window allows more requests, whatever a file says.
const SPENT_MAX: usize = 1_000_000;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Saved {
    /// When requests have arrived that hold a slot, and how many.
    spent: Vec<(i64, u32)>,
    under_way: u32,
    belief: Belief,
    pause: Option<SavedPause>,
    /// An operator's.
    hold: Option<SavedHold>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedHold {
    since_ms: i64,
    #[serde(default)]
    until_ms: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedPause {
    source: WaitSource,
    since_ms: i64,
    /// The next probe; `None` when that was due.
    until_ms: Option<i64>,
    /// The end of the wait that the server asked for, if it did.
    #[serde(default)]
    asked_until_ms: Option<i64>,
    strikes: u32,
}

impl Saved {
    pub(super) fn of(carryover: &Carryover, now: Timestamp) -> Self {
        Self {
            spent: steps(&carryover.spent, now),
            under_way: carryover.under_way,
            belief: carryover.belief.clone(),
            pause: carryover.pause.as_ref().and_then(|gate| SavedPause::of(gate, now)),
            hold: carryover.hold.map(|OperatorHold { since, until }| SavedHold {
                since_ms: -millis(now.since(since)),
                until_ms: until.map(|until| millis(until.since(now)) - millis(now.since(until))),
            }),
        }
    }

    pub(super) fn to_json(&self) -> Box<str> {
        match serde_json::to_string(self) {
            Ok(json) => json.into(),
            Err(error) => unreachable!("numbers and words are JSON: {error}"),
        }
    }

    /// What makes no sense is no evidence.
    pub(super) fn from_json(json: Option<&str>) -> Self {
        json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }

    /// By the clock of this process. A probe that is due waits for no longer than in this run's own pauses, whatever a
    /// file says.
    pub(super) fn carryover(self, saved_at: Timestamp, now: Timestamp, max_pause: Duration) -> Carryover {
        let steps = self.spent.iter().flat_map(|(ms, count)| std::iter::repeat_n(*ms, *count as usize));
        let mut spent: Vec<Timestamp> = steps.take(SPENT_MAX).map(|ms| shifted(saved_at, ms)).collect();
        spent.sort_unstable();
        let under_way = self.under_way.min(SPENT_MAX as u32);
        let pause = self.pause.map(|pause| pause.gate(saved_at, now, max_pause));
        let hold = self.hold.map(|SavedHold { since_ms, until_ms }| OperatorHold {
            since: shifted(saved_at, since_ms).min(now),
            until: until_ms.map(|ms| shifted(saved_at, ms)),
        });
        Carryover { spent, under_way, belief: self.belief, pause, hold, until: now }
    }
}

impl SavedPause {
    fn of(gate: &Gate, now: Timestamp) -> Option<Self> {
        let (closure, source) = (gate.closure()?, gate.throttled_by()?);
        let until_now = |at: Timestamp| millis(at.since(now)) - millis(now.since(at));
        Some(Self {
            source,
            since_ms: -millis(now.since(closure.since)),
            until_ms: closure.next_probe.map(until_now),
            asked_until_ms: closure.until.map(until_now),
            strikes: gate.strikes(),
        })
    }

    fn gate(self, saved_at: Timestamp, now: Timestamp, max_pause: Duration) -> Gate {
        let Self { source, since_ms, until_ms, asked_until_ms, strikes } = self;
        let [until, asked_until] = [until_ms, asked_until_ms.or(until_ms)].map(|ms| Some(shifted(saved_at, ms?)));
        let next_probe = until.map(|until| until.min(now.after(max_pause)));
        let closure =
            Closure { reason: source.word(), since: shifted(saved_at, since_ms), until: asked_until, next_probe };
        Gate::paused(source, closure, saved_at, strikes)
    }
}

/// Each at the later end of its step. What may still arrive is kept to the millisecond.
fn steps(spent: &[Timestamp], now: Timestamp) -> Vec<(i64, u32)> {
    let oldest = spent.first().map(|at| now.since(*at)).unwrap_or_default();
    let step = (millis(oldest) / STEPS_PER_WINDOW).max(1);
    let mut steps: Vec<(i64, u32)> = Vec::new();
    for at in spent {
        let at = if *at > now { millis(at.since(now)) + 1 } else { -(millis(now.since(*at)) / step * step) };
        match steps.last_mut() {
            Some((last, count)) if *last == at => *count += 1,
            _ => steps.push((at, 1)),
        }
    }
    steps
}

fn shifted(at: Timestamp, ms: i64) -> Timestamp {
    let span = Duration::from_millis(ms.unsigned_abs());
    if ms < 0 { at.before(span) } else { at.after(span) }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
