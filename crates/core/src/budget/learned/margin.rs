//! How much longer than usual slots rest, after refusals that the number of requests doesn't explain.

use std::time::Duration;

use crate::clock::Timestamp;

/// Each such refusal widens the rest by so much ...
const WIDENING: f64 = 1.15;
/// ... and it takes this many windows without another to come down by one step.
const WINDOWS: u32 = 200;
/// With this the rest is four times as long at most: by then it is a window after the answer.
const LEVEL_MAX: u32 = 9;

#[derive(Clone, Copy, Debug)]
pub(super) struct SafetyMargin {
    level: u32,
    moved_at: Timestamp,
}

impl SafetyMargin {
    pub(super) fn none(now: Timestamp) -> Self {
        Self { level: 0, moved_at: now }
    }

    pub(super) fn widen(&mut self, now: Timestamp) {
        *self = Self { level: (self.level + 1).min(LEVEL_MAX), moved_at: now };
    }

    pub(super) fn relax(&mut self, now: Timestamp, per: Duration) {
        if self.level > 0 && now.since(self.moved_at) > per * WINDOWS {
            *self = Self { level: self.level - 1, moved_at: now };
        }
    }

    /// How many times the usual rest.
    pub(super) fn factor(self) -> f64 {
        WIDENING.powi(self.level as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_refusals_and_ends_without() {
        let per = Duration::from_secs(1);
        let mut now = Timestamp::START;
        let mut margin = SafetyMargin::none(now);
        for _ in 0..20 {
            margin.widen(now);
        }
        assert!(margin.factor() > 3.5 && margin.factor() < 4.0);
        for _ in 0..(LEVEL_MAX * (WINDOWS + 1)) {
            now = now.after(per);
            margin.relax(now, per);
        }
        assert_eq!(margin.factor(), 1.0);
    }
}
