//! One window, as headers tell of it.

use std::time::Duration;

use super::span::{End, WAIT_MAX, wait};
use super::{HeaderLimit, usual_window};

/// What is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) told: HeaderLimit,
    /// The time until its end, also where that is too long to tell of a window.
    pub(super) wait: Option<Duration>,
    /// What is counted in it, where the headers say so themselves.
    pub(super) used: Option<u64>,
    /// Its end is rounded.
    is_rounded: bool,
}

impl Window {
    /// A window and its end.
    pub(super) fn new(told: HeaderLimit, end: Option<End>) -> Self {
        let seconds = end.map(|end| end.seconds);
        // No window is longer than the longest wait: a reset beyond it tells nothing of one.
        let reset = seconds.filter(|seconds| *seconds <= WAIT_MAX.as_secs_f64()).and_then(wait);
        let used = told.limit.zip(told.remaining).and_then(|(limit, rest)| limit.checked_sub(rest));
        let is_rounded = end.is_some_and(|end| end.is_rounded);
        Self { told: HeaderLimit { reset, ..told }, wait: seconds.and_then(wait), used, is_rounded }
    }

    /// The time until it ends; a window ends within its own length at the latest.
    pub(super) fn end(&self) -> Option<Duration> {
        self.wait.or(self.told.per)
    }

    /// Whether the headers don't tell which limit it is: they name no requests, or it ends later than the window ends
    /// whose length its reset suggests.
    pub(super) fn is_unnamed(&self) -> bool {
        let HeaderLimit { limit, reset, per, .. } = self.told;
        let outlasts = |reset: Duration| !self.is_rounded && reset > usual_window(reset);
        limit.is_none() || (per.is_none() && reset.is_some_and(outlasts))
    }
}
