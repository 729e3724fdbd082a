//! The gate before the wire: one closure stops the whole organisation, one probe opens it again.
//!
//! A 429, an outage and refused credentials close it alike; they differ in how long, and in what counts as a success.

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
    Shut { until: Timestamp },
    Probing { attempt: Option<AttemptId> },
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
    /// Closures in a row without a success between them.
    strikes: u32,
}

impl Gate {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { state: State::Open, cause: Cause::Outage, since: now, strikes: 0 }
    }

    pub(super) fn pass(&mut self, now: Timestamp) -> Pass {
        if let State::Shut { until } = self.state {
            if now < until {
                return Pass::Shut(until);
            }
            self.state = State::Probing { attempt: None };
        }
        match self.state {
            State::Open => Pass::Free,
            State::Probing { attempt: None } => Pass::Probe,
            State::Probing { .. } | State::Shut { .. } => Pass::AwaitProbe,
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
                self.strikes = 0;
            }
            self.cause = cause;
        }
        if is_later {
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

    pub(super) fn probe(&mut self, attempt: AttemptId) {
        self.state = State::Probing { attempt: Some(attempt) };
    }

    pub(super) fn is_probe(&self, attempt: AttemptId) -> bool {
        self.state == State::Probing { attempt: Some(attempt) }
    }

    /// The probe ended without telling anything: another one may go.
    pub(super) fn probe_lost(&mut self) {
        self.state = State::Probing { attempt: None };
    }

    /// The pause as the next engine takes it over: outages and refused credentials are its own to find.
    pub(super) fn bequest(&self) -> Option<Self> {
        let state = match self.state {
            State::Open => return None,
            State::Shut { until } => State::Shut { until },
            State::Probing { .. } => State::Probing { attempt: None },
        };
        self.cause.is_throttle().then(|| Self { state, ..self.clone() })
    }

    /// A pause that an earlier run has left; without an end if a probe was out.
    pub(super) fn paused(source: WaitSource, since: Timestamp, until: Option<Timestamp>, strikes: u32) -> Self {
        let state = until.map_or(State::Probing { attempt: None }, |until| State::Shut { until });
        Self { state, cause: Cause::Throttled(source), since, strikes }
    }

    /// What tells how long the pause is, if it is one.
    pub(super) fn throttled_by(&self) -> Option<WaitSource> {
        match self.closed_by()? {
            Cause::Throttled(source) => Some(source),
            Cause::Outage | Cause::Auth => None,
        }
    }

    /// Opens; the cause and the start of the closure that ends.
    pub(super) fn open(&mut self) -> Option<(Cause, Timestamp)> {
        if self.is_open() {
            return None;
        }
        self.state = State::Open;
        self.strikes = 0;
        Some((self.cause, self.since))
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
            State::Probing { .. } => None,
        };
        Some(Closure { reason: self.cause.word(), since: self.since, until })
    }
}
