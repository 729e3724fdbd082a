//! Where nothing may be sent twice: how many messages are risked, and what is asked before one is in an outage.

use std::time::Duration;

use super::{AttemptId, Cause, Health, RouteId};
use crate::clock::Timestamp;
use crate::token::TokenId;

/// Unknown outcomes in a row that are taken for an outage: each is a message that is given up.
const UNKNOWN_MAX: u32 = 4;
/// Messages under way at first, and after an unknown outcome. Each that is taken makes it one more.
const RISK_MIN: usize = 2;
/// An answer to what is safe to repeat is worth little where the messages that follow it fail all the same: they are
/// risked at intervals that double, from this one on.
const RISK_WAIT: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
pub(super) struct Caution {
    unknown: u32,
    risk_max: usize,
    /// The server has answered since the last failure, at this time: a message may probe.
    cleared_at: Option<Timestamp>,
    /// Messages that were risked after such an answer, and have an unknown outcome, since the last that was taken.
    deceived: u32,
}

impl Caution {
    pub(super) fn new() -> Self {
        Self { unknown: 0, risk_max: RISK_MIN, cleared_at: None, deceived: 0 }
    }

    /// Unknown outcomes in a row of the last engine.
    pub(super) fn inherit(&mut self, unknown: u32) {
        self.unknown = unknown;
    }

    pub(super) fn succeeded(&mut self) {
        (self.unknown, self.deceived) = (0, 0);
        self.risk_max = self.risk_max.saturating_add(1);
    }

    /// True when it is an outage.
    pub(super) fn is_outage(self) -> bool {
        self.unknown >= UNKNOWN_MAX
    }

    /// A message failed, whatever was answered while it was under way, or an outage begins.
    pub(super) fn failed(&mut self) {
        self.cleared_at = None;
    }

    /// How long no message is risked after this failure, at least.
    pub(super) fn risk_wait(self) -> Duration {
        match self.deceived.checked_sub(2).filter(|_| self.cleared_at.is_some()) {
            Some(doublings) => RISK_WAIT.saturating_mul(2 << doublings.min(30)),
            None => Duration::ZERO,
        }
    }
}

impl Health {
    /// Nothing may be sent twice.
    pub(in crate::dispatcher) fn be_cautious(&mut self) {
        self.caution = Some(Caution::new());
    }

    /// Since the last message that was taken.
    pub(super) fn unknown_outcomes(&self) -> u32 {
        self.caution.map_or(0, |caution| caution.unknown)
    }

    /// It is not known whether the server has taken a message, which is given up for it.
    pub(in crate::dispatcher) fn note_unknown(&mut self, left_at: Timestamp) {
        if let Some(caution) = &mut self.caution {
            caution.unknown = caution.unknown.saturating_add(1);
            caution.risk_max = RISK_MIN;
            let is_deceived = caution.cleared_at.is_some_and(|at| at <= left_at);
            caution.deceived = caution.deceived.saturating_add(u32::from(is_deceived));
        }
    }

    /// Messages that may be under way at a time; `None` if they may be sent again.
    pub(in crate::dispatcher) fn risk_max(&self) -> Option<usize> {
        self.caution.map(|caution| caution.risk_max)
    }

    /// Whether a message that probes would be risked in an outage of which nothing is known yet. An outage may have
    /// begun while everybody is refused.
    pub(in crate::dispatcher) fn has_to_sound(&self) -> bool {
        let gates = [&self.organization, &self.routes.get(RouteId::MESSAGES).gate];
        let fails = gates.into_iter().any(|gate| gate.closed_by() == Some(Cause::Outage));
        self.caution.is_some_and(|caution| (fails || caution.is_outage()) && caution.cleared_at.is_none())
    }

    /// Whether what everybody may ask has been answered while messages failed: their own path tells more then.
    pub(in crate::dispatcher) fn sounds_own_path(&self) -> bool {
        self.caution.is_some_and(|caution| caution.deceived > 0)
    }

    /// It probes what is due.
    pub(in crate::dispatcher) fn sounds(&mut self, now: Timestamp, attempt: AttemptId, token: TokenId) {
        self.by_token.departs(now, attempt, token);
        for gate in [&mut self.organization, &mut self.routes.get_mut(RouteId::MESSAGES).gate] {
            if !gate.is_open() && !gate.is_shut(now) {
                gate.probe(now, attempt);
            }
        }
    }

    /// The server has answered it: a message probes next.
    pub(in crate::dispatcher) fn note_sounded(&mut self, now: Timestamp, attempt: AttemptId, token: TokenId) {
        if let Some(caution) = &mut self.caution {
            caution.cleared_at = Some(now);
        }
        self.sounding_lost(now, attempt, token);
    }

    pub(in crate::dispatcher) fn sounding_lost(&mut self, now: Timestamp, attempt: AttemptId, token: TokenId) {
        self.lost(now, attempt, (RouteId::MESSAGES, token));
    }
}
