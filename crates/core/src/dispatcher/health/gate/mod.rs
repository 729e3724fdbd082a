//! A gate before the wire: closed, it holds everything in its scope back; a probe opens it again.
//!
//! The organization has one, and so has each route. A 429, an outage and refused credentials close it alike; they
//! differ in how long, and in what counts as a success.
//!
//! One probe at a time. A probe that is slow must not hold everything back until its own timeout, though: when it has
//! been out for longer than a usual round trip takes by far, one more may go, and later another. Each time the wait
//! doubles, so that a server that hangs sees a handful of requests, not a burst.
//!
//! A wait that the server asks for holds for ordinary traffic. If it is long, a probe checks at intervals whether it
//! still does, so that one absurd header can't stop an organization for a day.

mod carried;
mod cause;
mod pass;

use std::time::Duration;

pub use self::cause::Cause;
pub(in crate::dispatcher) use self::pass::Pass;
use crate::clock::Timestamp;
use crate::evidence::WaitSource;
use crate::stats::Closure;

/// A request on the wire, by its number.
pub type AttemptId = u64;

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
    /// The probes are out; another one may join them at this time, or not before the newest has left.
    Probing {
        more_at: Option<Timestamp>,
    },
}

/// Probes that are out at a time, at most.
pub(in crate::dispatcher) const PROBES_MAX: usize = 8;
/// The wait for one more probe ends its growth here.
const PATIENCE_MAX: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(in crate::dispatcher) struct Gate {
    state: State,
    cause: Cause,
    since: Timestamp,
    /// The end of the wait that the server asked for; it may lie beyond the next probe. `None` unless a 429 asked for
    /// one.
    asked_until: Option<Timestamp>,
    /// Of the time since then, what passed without anything to hold back: after a closure's time, before a probe.
    lapsed: Duration,
    /// Closures in a row without a success between them.
    strikes: u32,
    /// Those that are out; none unless the state says so.
    probes: Vec<AttemptId>,
}

impl Gate {
    pub(in crate::dispatcher) fn new(now: Timestamp) -> Self {
        Self {
            state: State::Open,
            cause: Cause::Outage,
            since: now,
            asked_until: None,
            lapsed: Duration::ZERO,
            strikes: 0,
            probes: Vec::new(),
        }
    }

    pub(in crate::dispatcher) fn pass(&mut self, now: Timestamp) -> Pass {
        if let State::Shut { until } = self.state {
            if now < until {
                return Pass::Shut(until);
            }
            self.state = State::Due { since: until };
        }
        match self.state {
            State::Open => Pass::Free,
            State::Due { .. } => Pass::Probe,
            State::Probing { .. } if self.probes.len() >= PROBES_MAX => Pass::AwaitProbe(None),
            State::Probing { more_at: Some(at) } if now >= at => Pass::Probe,
            State::Probing { more_at } => Pass::AwaitProbe(more_at),
            State::Shut { until } => Pass::Shut(until),
        }
    }

    /// Counts what has passed since the time was over, since something begins now.
    fn count_lapse(&mut self, now: Timestamp) {
        if let State::Shut { until: since } | State::Due { since } = self.state {
            self.lapsed += now.since(since);
        }
    }

    /// Closes, or stays closed for longer; never for less long than it is. True when the closing time changed.
    pub(in crate::dispatcher) fn shut(&mut self, now: Timestamp, until: Timestamp, cause: Cause) -> bool {
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
            self.asked_until = None;
        }
        if is_later {
            // Of a closure that begins now nothing has passed.
            if self.since < now {
                self.count_lapse(now);
            }
            self.state = State::Shut { until };
            self.probes.clear();
        }
        is_later
    }

    /// Closes as the server asks, and lets a probe through at the latest after `probe_every`. An answer that `is_new`
    /// replaces what was known; another one can only make the wait longer. True when the end of the pause changed.
    pub(in crate::dispatcher) fn pause(
        &mut self,
        now: Timestamp,
        asked_until: Timestamp,
        probe_every: Duration,
        source: WaitSource,
        is_new: bool,
    ) -> bool {
        let known = self.asked_until.filter(|_| !is_new);
        if known.is_some_and(|known| known >= asked_until) {
            return false;
        }
        let is_later = self.shut(now, asked_until.min(now.after(probe_every)), Cause::Throttled(source));
        let changes = is_later || known.is_some();
        if changes {
            self.cause = Cause::Throttled(source);
            self.asked_until = Some(asked_until);
        }
        debug_assert!(!changes || self.is_shut(now) || asked_until <= now, "what has just been asked for holds");
        changes
    }

    /// A probe was refused without a time: what the server asked for before still holds, and the next probe goes after
    /// `probe_every`. False if that time is over.
    pub(in crate::dispatcher) fn uphold(&mut self, now: Timestamp, probe_every: Duration) -> bool {
        debug_assert!(!self.is_open() || self.asked_until.is_none(), "nothing that was asked for outlives the pause");
        let Some(asked_until) = self.asked_until.filter(|asked_until| *asked_until > now) else { return false };
        self.count_lapse(now);
        self.state = State::Shut { until: asked_until.min(now.after(probe_every)) };
        self.probes.clear();
        true
    }

    /// Whether nothing may go for now, not even to find out.
    pub(in crate::dispatcher) fn is_shut(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Shut { until } if now < until)
    }

    /// Counts a closure that was decided by a request sent through the open gate or as a probe.
    pub(in crate::dispatcher) fn strike(&mut self) {
        self.strikes = self.strikes.saturating_add(1);
    }

    pub(in crate::dispatcher) fn strikes(&self) -> u32 {
        self.strikes
    }

    /// Nothing has to wait for its time any more: the next request is a probe. Whether that is news.
    pub(in crate::dispatcher) fn make_due(&mut self, now: Timestamp) -> bool {
        let is_shut = self.is_shut(now);
        if is_shut {
            self.state = State::Due { since: now };
        }
        is_shut
    }

    /// A probe is about to leave.
    pub(in crate::dispatcher) fn probe(&mut self, now: Timestamp, attempt: AttemptId) {
        debug_assert!(!self.is_open() && !self.is_shut(now), "only a gate whose time is over is probed");
        self.count_lapse(now);
        self.asked_until = self.asked_until.filter(|asked_until| *asked_until > now);
        self.probes.push(attempt);
        debug_assert!(self.probes.len() <= PROBES_MAX, "no more probes than may be out");
        self.state = State::Probing { more_at: None };
    }

    /// A request leaves. If it is the newest probe, one more may join it after `patience`, and the next ones after
    /// twice as long each, but none sooner than `apart`: when.
    pub(in crate::dispatcher) fn left(
        &mut self,
        now: Timestamp,
        attempt: AttemptId,
        patience: Duration,
        apart: Duration,
    ) -> Option<Timestamp> {
        let State::Probing { more_at } = &mut self.state else { return None };
        if self.probes.last() != Some(&attempt) {
            return None;
        }
        let wait = patience.saturating_mul(1 << (self.probes.len() - 1)).min(PATIENCE_MAX.max(patience));
        *more_at = Some(now.after(wait.max(apart)));
        *more_at
    }

    pub(in crate::dispatcher) fn is_probing(&self) -> bool {
        !self.probes.is_empty()
    }

    pub(in crate::dispatcher) fn is_probe(&self, attempt: AttemptId) -> bool {
        self.probes.contains(&attempt)
    }

    /// A probe, if it is one, ended without telling anything: another one may go if it was the last.
    pub(in crate::dispatcher) fn probe_lost(&mut self, now: Timestamp, attempt: AttemptId) {
        let Some(place) = self.probes.iter().position(|probe| *probe == attempt) else { return };
        self.probes.remove(place);
        if self.probes.is_empty() {
            self.state = State::Due { since: now };
        } else if let State::Probing { more_at } = &mut self.state
            && place == self.probes.len()
        {
            // It was time for one more when the newest was made, which may not have left.
            more_at.get_or_insert(now);
        }
    }

    /// A probe ended without an answer. If it was the last, the server's word holds, or another probe may go.
    pub(in crate::dispatcher) fn probe_failed(&mut self, now: Timestamp, attempt: AttemptId, probe_every: Duration) {
        self.probe_lost(now, attempt);
        if self.probes.is_empty() {
            self.uphold(now, probe_every);
        }
    }

    /// Whether it holds requests back: until the time is over, and while the probe is out.
    pub(in crate::dispatcher) fn holds(&self, now: Timestamp) -> bool {
        match self.state {
            State::Open => false,
            State::Due { .. } => self.asked_until.is_some_and(|asked_until| now < asked_until),
            State::Shut { until } => now < until,
            State::Probing { .. } => true,
        }
    }

    /// What tells how long the pause is, if it is one.
    pub(in crate::dispatcher) fn throttled_by(&self) -> Option<WaitSource> {
        match self.closed_by()? {
            Cause::Throttled(source) => Some(source),
            Cause::Outage | Cause::Refused | Cause::Auth => None,
        }
    }

    /// Opens; the cause of the closure that ends, and how long it has held.
    pub(in crate::dispatcher) fn open(&mut self, now: Timestamp) -> Option<(Cause, Duration)> {
        if self.is_open() {
            return None;
        }
        self.count_lapse(now);
        self.state = State::Open;
        self.asked_until = None;
        self.strikes = 0;
        self.probes.clear();
        Some((self.cause, now.since(self.since).saturating_sub(self.lapsed)))
    }

    pub(in crate::dispatcher) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Since it closed; nothing while it is open.
    pub(in crate::dispatcher) fn has_lasted(&self, now: Timestamp) -> Duration {
        if self.is_open() { Duration::ZERO } else { now.since(self.since) }
    }

    /// What has closed it.
    pub(in crate::dispatcher) fn closed_by(&self) -> Option<Cause> {
        (!self.is_open()).then_some(self.cause)
    }

    pub(in crate::dispatcher) fn closure(&self) -> Option<Closure> {
        let next_probe = match self.state {
            State::Open => return None,
            State::Shut { until } => Some(until),
            State::Due { .. } | State::Probing { .. } => None,
        };
        Some(Closure {
            reason: self.cause.word(),
            since: self.since,
            until: self.asked_until.max(next_probe),
            next_probe,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
