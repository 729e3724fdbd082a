//! 429s: for how long the organization's gate is shut.

use std::time::Duration;

use super::{Cause, Health, Sent};
use crate::clock::Timestamp;
use crate::dispatcher::Effect;
use crate::evidence::{Evidence, Wait, WaitSource};
use crate::random::Random;
use crate::retry::Backoff;

/// While 429s repeat and the server names no time.
const PAUSE_FLOOR: Duration = Duration::from_millis(100);
const PAUSE_BASE: Duration = Duration::from_millis(250);

impl Health {
    /// A 429: nothing leaves until the pause is over, that included which waits for the disk or a connection. Only a
    /// request that was sent while the gate was open, or the probe, makes the backoff grow: the others were on the wire
    /// already and tell nothing new, unless they name a later time.
    pub(in crate::dispatcher) fn throttled(
        &mut self,
        now: Timestamp,
        sent: Sent,
        evidence: &Evidence,
        random: &mut Random,
        effects: &mut Vec<Effect>,
    ) {
        self.failures.end();
        let route = self.routes.get_mut(sent.route);
        route.breaker.succeeded();
        // It tells nothing about the route's outage.
        route.gate.probe_lost(now, sent.attempt);
        let is_probe = self.organization.is_probe(sent.attempt);
        let is_news = is_probe || (self.organization.is_open() && sent.left_at >= self.opened_at);
        self.pause(now, is_news, evidence, random, effects);
    }

    /// Closes the organization's gate for as long as the server asks, or by our own backoff.
    pub(in crate::dispatcher) fn pause(
        &mut self,
        now: Timestamp,
        is_news: bool,
        evidence: &Evidence,
        random: &mut Random,
        effects: &mut Vec<Effect>,
    ) {
        let max_pause = self.max_pause;
        if let Some(Wait { span, source }) = evidence.wait_within(max_pause) {
            let until = now.after(span);
            if self.organization.pause(now, until, max_pause, source, is_news) {
                Self::tell_pause(source, until, span, span > max_pause, effects);
            }
        } else if is_news && !self.organization.uphold(now, max_pause) {
            let backoff = Backoff::new(PAUSE_FLOOR, PAUSE_BASE, max_pause);
            let span = backoff.wait(self.organization.strikes() + 1, random);
            let (until, source) = (now.after(span), WaitSource::Backoff);
            if self.organization.shut(now, until, Cause::Throttled(source)) {
                Self::tell_pause(source, until, span, false, effects);
            }
        }
        if is_news {
            self.organization.strike();
        }
    }
}
