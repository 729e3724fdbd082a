//! A pause that is carried over to the next engine, or was carried over from an earlier one.

use std::time::Duration;

use super::{Cause, Gate, State};
use crate::clock::Timestamp;
use crate::evidence::WaitSource;
use crate::stats::Closure;

impl Gate {
    /// The pause as the next engine takes it over. Refused credentials are its own to find, and so are outages, but for
    /// a [`super::super::KnownOutage`].
    pub(in crate::dispatcher) fn bequest(&self, now: Timestamp) -> Option<Self> {
        let state = match self.state {
            State::Open => return None,
            State::Shut { .. } | State::Due { .. } => self.state,
            State::Probing { .. } => State::Due { since: now },
        };
        self.cause.is_throttle().then(|| Self { state, probes: Vec::new(), ..self.clone() })
    }

    /// An outage that an earlier run has left: a probe is due.
    pub(in crate::dispatcher) fn out(now: Timestamp, cause: Cause, since: Timestamp, strikes: u32) -> Self {
        debug_assert!(!cause.is_throttle(), "a pause has a time");
        let state = State::Due { since: now };
        Self { state, cause, since, asked_until: None, lapsed: Duration::ZERO, strikes, probes: Vec::new() }
    }

    /// A pause that an earlier run has left, when it was saved: its next probe, if that was not due yet, and what was
    /// asked for.
    pub(in crate::dispatcher) fn paused(
        source: WaitSource,
        closure: Closure,
        saved_at: Timestamp,
        strikes: u32,
    ) -> Self {
        let Closure { since, until: asked_until, next_probe, .. } = closure;
        let state = next_probe.map_or(State::Due { since: saved_at }, |until| State::Shut { until });
        let cause = Cause::Throttled(source);
        Self { state, cause, since, asked_until, lapsed: Duration::ZERO, strikes, probes: Vec::new() }
    }
}
