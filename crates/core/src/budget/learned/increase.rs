//! The way up where no header names the quota: one request more, now and then, and more of them while that is accepted.

use std::time::Duration;

use crate::clock::Timestamp;

/// After this many full windows one request more is tried: with 50 requests per window that is one refusal in 600.
const WINDOWS_BETWEEN_TRIES_MAX: u32 = 12;
const WINDOWS_BETWEEN_TRIES_MIN: u32 = 2;
/// Tries may be refused to this share of the requests.
const REFUSED_MAX: f64 = 0.0015;
const HIGH_KEPT: Duration = Duration::from_secs(600);
/// A server that asks for long pauses makes a try dear: then rarer, so that tries cost at most this share of the time.
const COST_MAX: f64 = 0.01;
/// The weight of a new pause in the average cost: where in its window a refusal falls is chance.
const COST_WEIGHT: f64 = 0.25;
const WINDOWS_BETWEEN_DEAR_TRIES_MAX: u32 = 100;
/// Each step that was accepted makes the next one so much larger, up to half of what there is.
const STEP_FACTOR: u32 = 2;
const STEP_OF_NEWS: u32 = 8;
/// Slots of a bunch come back a little earlier or later than a window after each other.
const WHOLE_WINDOW: f64 = 0.9;
/// Before anything was ever refused, the quota doubles at most so often.
const DOUBLING_MIN: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(super) struct AdditiveIncrease {
    step: u32,
    windows_between: u32,
    /// What a refusal costs on average, in windows.
    cost: f64,
    windows: u32,
    /// A raise is in force that hasn't been filled and accepted yet.
    is_trying: bool,
    /// What held before it.
    base: u32,
    has_filled: bool,
    /// Nothing has ever been refused.
    is_first: bool,
    due_since: Option<Timestamp>,
    /// The highest that held lately, and when: what fell may come back.
    high: (u32, Timestamp),
    moved_at: Timestamp,
    /// The limit was reached when so much had been sent.
    filled: Option<u64>,
}

impl AdditiveIncrease {
    /// Before the first refusal: doubling.
    pub(super) fn first(now: Timestamp) -> Self {
        Self { is_first: true, ..Self::after_refusal(now) }
    }

    pub(super) fn after_refusal(now: Timestamp) -> Self {
        Self {
            step: 1,
            windows_between: WINDOWS_BETWEEN_TRIES_MIN,
            cost: 0.0,
            windows: 0,
            is_trying: false,
            base: 0,
            has_filled: false,
            is_first: false,
            due_since: None,
            high: (0, now),
            moved_at: now,
            filled: None,
        }
    }

    /// How many full windows are between two tries. A try costs a refusal, and of few requests that is a large part;
    /// but of what fell from far above there is more to regain than to lose.
    fn rest(&self, now: Timestamp, requests: u32) -> u32 {
        let (high, at) = self.high;
        let may_come_back = requests < high / 2 && now.since(at) < HIGH_KEPT;
        let dear = self.cost / COST_MAX;
        let least = if may_come_back {
            (dear * f64::from(requests) / f64::from(high)) as u32
        } else {
            (dear as u32).max((1.0 / REFUSED_MAX) as u32 / requests.max(1))
        };
        self.windows_between.min(least.clamp(WINDOWS_BETWEEN_TRIES_MAX, WINDOWS_BETWEEN_DEAR_TRIES_MAX))
    }

    /// The limit holds something back.
    pub(super) fn full(&mut self, sent: u64) {
        self.filled.get_or_insert(sent);
    }

    /// Everything up to this was settled, and nothing of it was refused.
    pub(super) fn settled(&mut self, now: Timestamp, settled: u64, requests: u32, per: Duration) {
        if self.filled.is_none_or(|filled| filled > settled) || self.due_since.is_some() || self.has_filled {
            return;
        }
        self.filled = None;
        if requests >= self.high.0 || now.since(self.high.1) >= HIGH_KEPT {
            self.high = (requests, now);
        }
        if self.is_trying {
            // All of the try has been accepted, if it has had a window's time for it.
            self.has_filled = true;
        } else if self.is_first {
            self.due_since = Some(now);
        } else if now.since(self.moved_at) >= per {
            self.moved_at = now;
            self.windows += 1;
            if self.windows >= self.rest(now, requests) {
                self.due_since = Some(now);
            }
        }
    }

    /// The higher limit to try, if it is time: at the start of a window, so that one refusal is all that it costs.
    pub(super) fn raise(&mut self, now: Timestamp, requests: u32, is_fresh: bool, per: Duration) -> Option<u32> {
        let windows = if self.step >= requests / STEP_OF_NEWS { WHOLE_WINDOW } else { WHOLE_WINDOW + 1.0 };
        if self.has_filled && now.since(self.moved_at) >= per.mul_f64(windows) {
            (self.is_trying, self.has_filled) = (false, false);
            if self.step >= requests / STEP_OF_NEWS {
                // More than chance, or a bucket's store, can have let pass: the quota is another.
                self.windows_between = WINDOWS_BETWEEN_TRIES_MIN;
            }
            self.step = self.step.saturating_mul(STEP_FACTOR);
            self.due_since = Some(now);
        }
        let due = self.due_since?;
        let step = if self.is_first {
            (now.since(self.moved_at) >= DOUBLING_MIN).then_some(requests)?
        } else {
            (is_fresh || now.since(due) >= per).then_some(self.step.min(requests / 2).max(1))?
        };
        self.due_since = None;
        self.moved_at = now;
        self.windows = 0;
        self.filled = None;
        self.is_trying = !self.is_first;
        self.base = requests;
        self.step = step;
        Some(requests.saturating_add(step))
    }

    /// A try was refused, or something that had been accepted before.
    pub(super) fn refused(&mut self, now: Timestamp) {
        let windows_between = (self.windows_between * 2).min(WINDOWS_BETWEEN_DEAR_TRIES_MAX);
        *self = Self { windows_between, cost: self.cost, high: self.high, ..Self::after_refusal(now) };
    }

    /// A refusal has cost this many windows: the dearer, the rarer.
    pub(super) fn cost(&mut self, windows: f64) {
        self.cost += (windows - self.cost) * COST_WEIGHT;
    }

    /// What was believed until now is no longer so: look around more often.
    pub(super) fn fell(&mut self, now: Timestamp) {
        *self = Self { cost: self.cost, high: self.high, ..Self::after_refusal(now) };
    }

    /// What to go back to when `used` of `requests` were accepted before one was refused.
    pub(super) fn fallback(&self, requests: u32, used: u32) -> u32 {
        if !self.is_trying {
            return used.min(requests.saturating_sub(1)).max(1);
        }
        // A little more may have been chance, or a bucket's store; much more is a larger quota.
        if used > self.base && used - self.base < self.base / STEP_OF_NEWS { self.base } else { used }
    }
}
