//! A limit that a 429 told of: its gate, and what the server calls it.

use std::time::Duration;

use super::gate::{Cause, Gate};
use crate::clock::Timestamp;
use crate::dispatcher::{AttemptId, Effect, Notice};
use crate::evidence::{Evidence, NamedLimit, Wait, WaitSource};
use crate::random::Random;
use crate::retry::Backoff;
use crate::stats::{Pause, PauseScope};

/// While 429s repeat and the server names no time.
const PAUSE_FLOOR: Duration = Duration::from_millis(100);
const PAUSE_BASE: Duration = Duration::from_millis(250);

/// A refusal, as far as a gate is concerned.
pub(super) struct Refused<'a> {
    pub(super) now: Timestamp,
    /// It was sent while the gate was open, or is the probe: what was on the wire already tells nothing new, unless it
    /// names a later time.
    pub(super) is_new: bool,
    pub(super) evidence: &'a Evidence,
    pub(super) max_pause: Duration,
}

/// A pause that begins, or becomes longer.
pub(super) struct Begun {
    source: WaitSource,
    pub(super) until: Timestamp,
    span: Duration,
    is_long: bool,
}

impl Begun {
    /// The pause of a gate, if it is one.
    pub(super) fn of(gate: &Gate, now: Timestamp, max_pause: Duration) -> Option<Self> {
        let (source, until) = (gate.throttled_by()?, gate.closure()?.until.unwrap_or(now));
        let span = until.since(now);
        Some(Self { source, until, span, is_long: span > max_pause })
    }

    pub(super) fn notice(self, scope: PauseScope, limit: Option<Box<NamedLimit>>) -> Effect {
        let Self { source, until, span, is_long } = self;
        Effect::Notice(Notice::Throttled { scope, limit, reason: source.word(), until, pause: span, long: is_long })
    }
}

impl Gate {
    /// Shuts for as long as the server asks, or by our own backoff.
    pub(super) fn refuse(&mut self, refused: &Refused<'_>, random: &mut Random) -> Option<Begun> {
        let Refused { now, is_new, evidence, max_pause } = *refused;
        let mut begun = None;
        if let Some(Wait { span, source }) = evidence.wait_within(max_pause) {
            let until = now.after(span);
            let is_long = span > max_pause;
            begun = self.pause(now, until, max_pause, source, is_new).then_some(Begun { source, until, span, is_long });
        } else if is_new && !self.uphold(now, max_pause) {
            let backoff = Backoff::new(PAUSE_FLOOR, PAUSE_BASE, max_pause);
            let span = backoff.wait(self.strikes() + 1, random);
            let (until, source) = (now.after(span), WaitSource::Backoff);
            begun = self.shut(now, until, Cause::Throttled(source)).then_some(Begun {
                source,
                until,
                span,
                is_long: false,
            });
        }
        if is_new {
            self.strike();
        }
        begun
    }
}

/// The limit of one route or conversation.
#[derive(Clone, Debug)]
pub(in crate::dispatcher) struct Limit {
    pub(in crate::dispatcher) gate: Gate,
    pub(in crate::dispatcher) name: Option<Box<NamedLimit>>,
    /// Listeners know of its pause, and that it is its own.
    pub(super) is_told: bool,
    /// What was sent before tells nothing new.
    opened_at: Timestamp,
}

impl Limit {
    /// None is known so far: whatever is refused is news.
    pub(super) fn unmet(now: Timestamp) -> Self {
        Self { gate: Gate::new(now), name: None, is_told: false, opened_at: Timestamp::START }
    }

    /// Everything was let through at this time: what was sent before tells nothing new.
    pub(super) fn opened_by(&mut self, opened_at: Timestamp) {
        self.opened_at = self.opened_at.max(opened_at);
    }

    /// One that an earlier run has left.
    pub(in crate::dispatcher) fn of(now: Timestamp, gate: Gate, name: Option<Box<NamedLimit>>) -> Self {
        Self { gate, name, is_told: true, opened_at: now }
    }

    /// A request of its scope was refused.
    pub(super) fn refuse(
        &mut self,
        now: Timestamp,
        (attempt, left_at): (AttemptId, Timestamp),
        evidence: &Evidence,
        max_pause: Duration,
        random: &mut Random,
    ) -> Option<Begun> {
        let is_new = self.gate.is_probe(attempt) || (self.gate.is_open() && left_at >= self.opened_at);
        let begun = self.gate.refuse(&Refused { now, is_new, evidence, max_pause }, random);
        if begun.is_some() || is_new {
            self.name.clone_from(&evidence.limit);
        }
        begun
    }

    /// That its pause begins, for listeners.
    pub(super) fn tell(&mut self, begun: Begun, scope: PauseScope) -> Effect {
        self.is_told = true;
        begun.notice(scope, self.name.clone())
    }

    /// Its probe was answered: what it is called, and how long it has held.
    pub(super) fn open(&mut self, now: Timestamp) -> Option<(Option<Box<NamedLimit>>, Duration)> {
        let (_, paused) = self.gate.open(now)?;
        self.opened_at = now;
        Some((self.name.take(), paused))
    }

    /// As the next engine takes it over.
    pub(super) fn bequest(&self, now: Timestamp) -> Option<Self> {
        Some(Self { gate: self.gate.bequest(now)?, ..self.clone() })
    }

    /// For who asks, while it holds something back.
    pub(super) fn pause(&self, now: Timestamp, scope: PauseScope) -> Option<Pause> {
        let closure = self.gate.closure().filter(|_| self.gate.holds(now))?;
        Some(Pause { scope, limit: self.name.clone(), closure })
    }
}

pub(super) fn resumed(scope: PauseScope, limit: Option<Box<NamedLimit>>, paused: Duration) -> Effect {
    Effect::Notice(Notice::Resumed { scope, limit, paused })
}
