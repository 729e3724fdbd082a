//! The gate before the wire: one closure stops the whole organisation, one probe opens it again.
//!
//! A 429, an outage and refused credentials close it alike; they differ in how long, and in what counts as a success.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::evidence::WaitSource;
use crate::stats::Closure;

/// A request on the wire, by its number.
pub type AttemptId = u64;

/// Why the gate is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server said 429.
    Throttled(WaitSource),
    /// The server, or the way to it, is down.
    Outage,
    /// The credentials are refused.
    Auth,
}

impl Cause {
    /// The word in events and stats.
    pub fn word(self) -> &'static str {
        match self {
            Self::Throttled(source) => source.word(),
            Self::Outage => "breaker",
            Self::Auth => "auth",
        }
    }

    fn is_throttle(self) -> bool {
        matches!(self, Self::Throttled(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Shut {
        until: Timestamp,
    },
    /// The time is over since then: the next request is a probe.
    Due {
        since: Timestamp,
    },
    Probing {
        attempt: AttemptId,
    },
}

/// Whether a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Go.
    Free,
    /// One may go, and decides.
    Probe,
    /// None before this time.
    Shut(Timestamp),
    /// None before the probe's answer.
    AwaitProbe,
}

#[derive(Clone, Debug)]
pub(super) struct Gate {
    state: State,
    cause: Cause,
    since: Timestamp,
    /// Of the time since then, what passed without anything to hold back: after a closure's time, before a probe.
    lapsed: Duration,
    /// Closures in a row without a success between them.
    strikes: u32,
}

impl Gate {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { state: State::Open, cause: Cause::Outage, since: now, lapsed: Duration::ZERO, strikes: 0 }
    }

    pub(super) fn pass(&mut self, now: Timestamp) -> Pass {
        if let State::Shut { until } = self.state {
            if now < until {
                return Pass::Shut(until);
            }
            self.state = State::Due { since: until };
        }
        match self.state {
            State::Open => Pass::Free,
            State::Due { .. } => Pass::Probe,
            State::Probing { .. } | State::Shut { .. } => Pass::AwaitProbe,
        }
    }

    /// Counts what has passed since the time was over, since something begins now.
    fn count_lapse(&mut self, now: Timestamp) {
        if let State::Shut { until: since } | State::Due { since } = self.state {
            self.lapsed += now.since(since);
        }
    }

    /// Closes, or stays closed for longer; never for less long than it is. True when the closing time changed.
    pub(super) fn shut(&mut self, now: Timestamp, until: Timestamp, cause: Cause) -> bool {
        let is_later = !matches!(self.state, State::Shut { until: current } if current >= until);
        // An outage ends with any success; a pause that falls into it must not.
        let takes_over = cause.is_throttle() && self.cause == Cause::Outage;
        if is_later || takes_over {
            if self.is_open() || self.cause.is_throttle() != cause.is_throttle() {
                self.since = now;
                self.lapsed = Duration::ZERO;
                self.strikes = 0;
            }
            self.cause = cause;
        }
        if is_later {
            // Of a closure that begins now nothing has passed.
            if self.since < now {
                self.count_lapse(now);
            }
            self.state = State::Shut { until };
        }
        is_later
    }

    /// Whether nothing may go for now, not even to find out.
    pub(super) fn is_shut(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Shut { until } if now < until)
    }

    /// Counts a closure that was decided by a request sent through the open gate or as a probe.
    pub(super) fn strike(&mut self) {
        self.strikes = self.strikes.saturating_add(1);
    }

    pub(super) fn strikes(&self) -> u32 {
        self.strikes
    }

    pub(super) fn probe(&mut self, now: Timestamp, attempt: AttemptId) {
        self.count_lapse(now);
        self.state = State::Probing { attempt };
    }

    pub(super) fn is_probe(&self, attempt: AttemptId) -> bool {
        self.state == State::Probing { attempt }
    }

    /// The probe ended without telling anything: another one may go.
    pub(super) fn probe_lost(&mut self, now: Timestamp) {
        self.state = State::Due { since: now };
    }

    /// The pause as the next engine takes it over: outages and refused credentials are its own to find.
    pub(super) fn bequest(&self, now: Timestamp) -> Option<Self> {
        let state = match self.state {
            State::Open => return None,
            State::Shut { .. } | State::Due { .. } => self.state,
            State::Probing { .. } => State::Due { since: now },
        };
        self.cause.is_throttle().then(|| Self { state, ..self.clone() })
    }

    /// A pause that an earlier run has left, when it was saved; without an end if that was over.
    pub(super) fn paused(
        source: WaitSource,
        since: Timestamp,
        until: Option<Timestamp>,
        saved_at: Timestamp,
        strikes: u32,
    ) -> Self {
        let state = until.map_or(State::Due { since: saved_at }, |until| State::Shut { until });
        Self { state, cause: Cause::Throttled(source), since, lapsed: Duration::ZERO, strikes }
    }

    /// Whether it holds requests back: until the time is over, and while the probe is out.
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        match self.state {
            State::Open | State::Due { .. } => false,
            State::Shut { until } => now < until,
            State::Probing { .. } => true,
        }
    }

    /// What tells how long the pause is, if it is one.
    pub(super) fn throttled_by(&self) -> Option<WaitSource> {
        match self.closed_by()? {
            Cause::Throttled(source) => Some(source),
            Cause::Outage | Cause::Auth => None,
        }
    }

    /// Opens; the cause of the closure that ends, and how long it has held.
    pub(super) fn open(&mut self, now: Timestamp) -> Option<(Cause, Duration)> {
        if self.is_open() {
            return None;
        }
        self.count_lapse(now);
        self.state = State::Open;
        self.strikes = 0;
        Some((self.cause, now.since(self.since).saturating_sub(self.lapsed)))
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Closed for this kind of cause.
    pub(super) fn closed_by(&self) -> Option<Cause> {
        (!self.is_open()).then_some(self.cause)
    }

    pub(super) fn closure(&self) -> Option<Closure> {
        let until = match self.state {
            State::Open => return None,
            State::Shut { until } => Some(until),
            State::Due { .. } | State::Probing { .. } => None,
        };
        Some(Closure { reason: self.cause.word(), since: self.since, until })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const THROTTLED: Cause = Cause::Throttled(WaitSource::RetryAfter);

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    fn opened(gate: &mut Gate, now: Timestamp) -> u128 {
        gate.open(now).unwrap().1.as_millis()
    }

    #[test]
    fn a_pause_is_as_long_as_it_holds_something_back() {
        let mut gate = Gate::new(at(0));
        gate.shut(at(0), at(1_000), THROTTLED);
        assert!(gate.holds(at(999)) && !gate.holds(at(1_000)));
        assert_eq!(gate.pass(at(6_000)), Pass::Probe);
        assert!(!gate.holds(at(6_000)));
        gate.probe(at(6_000), 1);
        assert!(gate.holds(at(6_050)));
        assert_eq!(opened(&mut gate, at(6_100)), 1_100);

        gate.shut(at(10_000), at(11_000), THROTTLED);
        gate.pass(at(12_000));
        gate.probe(at(12_000), 2);
        gate.probe_lost(at(12_300));
        gate.probe(at(20_000), 3);
        gate.shut(at(20_100), at(21_000), THROTTLED);
        gate.pass(at(21_000));
        gate.probe(at(21_000), 4);
        assert_eq!(opened(&mut gate, at(21_100)), 1_000 + 300 + 100 + 900 + 100);
    }

    #[test]
    fn what_is_over_sooner_leaves_a_pause_as_it_is() {
        let mut gate = Gate::new(at(0));
        gate.shut(at(0), at(60_000), THROTTLED);
        gate.strike();
        assert!(!gate.shut(at(10_000), at(12_000), Cause::Auth));
        assert_eq!((gate.throttled_by(), gate.strikes()), (Some(WaitSource::RetryAfter), 1));
        assert!(gate.is_shut(at(59_999)) && !gate.is_shut(at(60_000)));
        gate.pass(at(60_000));
        gate.probe(at(60_000), 1);
        assert_eq!(opened(&mut gate, at(60_100)), 60_100);
    }

    #[test]
    fn a_later_time_that_comes_when_the_first_is_over_leaves_a_gap() {
        let mut gate = Gate::new(at(0));
        gate.shut(at(0), at(1_000), THROTTLED);
        gate.shut(at(1_500), at(3_000), THROTTLED);
        gate.probe(at(3_000), 1);
        assert_eq!(opened(&mut gate, at(3_000)), 2_500);
    }
}
