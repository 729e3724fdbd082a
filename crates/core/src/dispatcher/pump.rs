//! The way out: which message starts now, if any may.

use std::time::Duration;

use super::auth::Access;
use super::gate::Pass;
use super::outbox::{Entry, Parking, State};
use super::timers::Timer;
use super::{Attempt, Dispatcher, Effect, Generation};
use crate::clock::Timestamp;
use crate::http::{MESSAGE_RESPONSE_BYTES_MAX, Shipment};
use crate::lanes::Slot;
use crate::message::Cargo;
use crate::outcome::Reason;
use crate::quota::NotYet;
use crate::settings::Settings;

impl Dispatcher {
    /// Starts everything that gate, connections, token and budget allow; notes when to look again.
    pub(super) fn pump(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.start_at = None;
        while let Some((_, slot)) = self.lanes.peek() {
            let is_probe = match self.gate.pass(now) {
                Pass::Free => false,
                Pass::Probe => true,
                Pass::Shut(until) => {
                    self.start_at = Some(until);
                    return;
                }
                Pass::AwaitProbe => return,
            };
            if self.attempts.len() >= self.settings.connections.max {
                return;
            }
            if self.park_if_early(now, slot) {
                continue;
            }
            let Some(generation) = self.access(now, effects) else { return };
            match self.quota.take(now) {
                Ok(()) => self.start(now, generation, is_probe, effects),
                Err(NotYet::Until(at)) => {
                    self.start_at = Some(at);
                    return;
                }
                Err(NotYet::AtAnswer) => return,
            }
        }
    }

    /// A head that waits for a time of its own leaves its lane until then; so does a retry without retry budget.
    fn park_if_early(&mut self, now: Timestamp, slot: Slot) -> bool {
        let entry = self.outbox.get_mut(slot);
        let early = match entry.not_before {
            Some(at) if at > now => Some((at, Parking::NotBefore)),
            _ if entry.attempts > 0 && !entry.retry_paid => {
                let refused = self.retry_budget.withdraw(now).err();
                entry.retry_paid = refused.is_none();
                refused.map(|at| (at, Parking::Retry))
            }
            _ => None,
        };
        let Some((until, why)) = early else { return false };
        self.lanes.take();
        self.park(slot, until, why);
        true
    }

    pub(super) fn park(&mut self, slot: Slot, until: Timestamp, why: Parking) {
        self.outbox.get_mut(slot).state = State::Parked { until, why };
        self.timers.set(until, Timer::Unpark(slot));
    }

    pub(super) fn unpark(&mut self, slot: Slot) {
        let entry = self.outbox.get_mut(slot);
        entry.state = State::Queued;
        let (lane, item) = (entry.lane, entry.item(slot));
        self.lanes.put_back(lane, item);
    }

    fn access(&mut self, now: Timestamp, effects: &mut Vec<Effect>) -> Option<Generation> {
        let (access, fetch) = self.auth.access(now);
        if fetch {
            self.counters.token_requests += 1;
            effects.push(Effect::FetchToken);
        }
        match access {
            Access::Token(generation) => Some(generation),
            Access::Wait(until) => {
                self.start_at = until;
                None
            }
        }
    }

    fn start(&mut self, now: Timestamp, generation: Generation, is_probe: bool, effects: &mut Vec<Effect>) {
        let Some((_, slot)) = self.lanes.take() else { return };
        let entry = self.outbox.get_mut(slot);
        entry.state = State::InFlight;
        entry.attempts += 1;
        entry.retry_paid = false;
        entry.first_attempt_at.get_or_insert(now);
        let is_retry = entry.attempts > 1;
        let shipment = shipment(entry, &self.settings);
        self.counters.requests += 1;
        if is_retry {
            self.counters.retries += 1;
        } else {
            self.retry_budget.deposit();
        }
        self.attempts_made += 1;
        let attempt = self.attempts_made;
        self.attempts.insert(attempt, Attempt { slot, generation, started_at: now });
        if is_probe {
            self.gate.probe(attempt);
        }
        effects.push(Effect::Send { attempt, generation, shipment });
    }

    /// A request that nobody waits for any more is cut; it may have arrived or be about to, so its slot
    /// stays taken for a window after that.
    pub(super) fn cut(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) {
        let Some(attempt) = self.attempts.iter().find(|(_, attempt)| attempt.slot == slot).map(|(id, _)| *id) else {
            return;
        };
        if let Some(Attempt { started_at, .. }) = self.attempts.remove(&attempt) {
            self.quota.given_up(started_at, now);
        }
        if self.gate.is_probe(attempt) {
            self.gate.probe_lost();
        }
        effects.push(Effect::Cut(attempt));
        self.outbox.get_mut(slot).ambiguous = true;
        self.bury(now, slot, Reason::Aborted, None, None, effects);
    }

    /// Expires a message that isn't on the wire; one that is has its answer to wait for.
    pub(super) fn expire(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) {
        if self.outbox.get(slot).state != State::InFlight {
            self.bury(now, slot, Reason::Expired, None, None, effects);
        }
    }
}

fn shipment(entry: &Entry, settings: &Settings) -> Shipment {
    let timeout: Duration = settings.connections.request_timeout;
    match &entry.cargo {
        Cargo::Message(message) => Shipment {
            method: "POST".into(),
            // Checked at the door, so there is a path.
            path: settings.route.path(message).unwrap_or_default(),
            headers: Vec::new(),
            body: Some(message.body.clone()),
            idempotency_key: Some(message.id.clone()),
            timeout,
            response_bytes_max: MESSAGE_RESPONSE_BYTES_MAX,
            keep_headers: false,
        },
        Cargo::Call(call) => Shipment {
            method: call.method.clone(),
            path: call.path.to_string(),
            headers: call.headers.clone(),
            body: call.body.clone(),
            idempotency_key: None,
            timeout: call.timeout.unwrap_or(timeout),
            response_bytes_max: call.response_bytes_max,
            keep_headers: true,
        },
    }
}
