//! What is left to do, and when to look again.

use crate::clock::Timestamp;
use crate::dispatcher::Dispatcher;

/// Bytes of bodies that wait for the disk or a connection, so that no connection waits for them. With less than one
/// request for each connection under way, another one begins however large it is.
const DEPARTING_BYTES_MAX: usize = 16_777_216;

/// How the last pass over the lanes ended.
#[derive(Debug, Default)]
pub(in crate::dispatcher) struct LastLook {
    /// When the budget or the token allows the next request. Whatever else may start one comes as an event.
    again_at: Option<Timestamp>,
    /// It stopped at the limit of requests under way, with work still ready.
    found_full_wire: bool,
}

impl LastLook {
    /// Another pass begins.
    pub(in crate::dispatcher) fn begin(&mut self) {
        *self = Self::default();
    }

    /// There is work that can only go when others are answered.
    pub(in crate::dispatcher) fn note_full_wire(&mut self) {
        self.found_full_wire = true;
    }

    pub(in crate::dispatcher) fn again_at(&self) -> Option<Timestamp> {
        self.again_at
    }
}

impl Dispatcher {
    /// Whether nothing is left to do: no message, no request.
    pub fn is_idle(&self) -> bool {
        self.outbox.len() == 0 && self.waiting.is_empty()
    }

    /// Messages and requests that are not settled.
    pub fn unsettled(&self) -> usize {
        self.outbox.len() + self.waiting.len()
    }

    /// Whether messages have to wait for a pause, an outage or refused credentials to end.
    pub fn holds_messages(&self) -> bool {
        self.health.holds_messages()
    }

    /// Whether nothing can be tried, so that messages don't age.
    pub(in crate::dispatcher) fn is_held(&self) -> bool {
        self.auths.is_out() || self.health.holds_messages() || self.is_out_of_budget()
    }

    /// Whether nothing can be sent since the store of the fleet can't be reached.
    fn is_out_of_budget(&self) -> bool {
        self.membership.as_ref().is_some_and(|member| member.is_out()) && !self.quota.has_fallback()
    }

    /// Called wherever something may have changed that holds all messages back.
    pub(in crate::dispatcher) fn note_standstill(&mut self, now: Timestamp) {
        if self.health.note_standstill(now, self.is_held()) {
            self.saving.demand();
        }
    }

    /// The earliest of the times that were noted: a batch may wait for company longer than a request for the budget.
    pub(in crate::dispatcher) fn look_again(&mut self, at: Timestamp) {
        self.last_look.again_at = Some(self.last_look.again_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// While requests wait for a disk that is slow and connections for them, more are made.
    pub(in crate::dispatcher) fn attempts_max(&self) -> usize {
        let connections = self.settings.connections.max;
        let waits_for_disk = self.attempts.in_flight() < connections;
        self.settings.attempts_per_connection(waits_for_disk) * connections
    }

    /// Whether as many requests are under way as may be.
    pub(in crate::dispatcher) fn has_enough_attempts(&self) -> bool {
        let attempts = self.attempts.len();
        let all_carry = attempts >= self.settings.connections.max;
        attempts >= self.attempts_max() || (all_carry && self.attempts.bytes_departing() >= DEPARTING_BYTES_MAX)
    }

    /// Requests under way, and messages that leave as soon as some of these are answered: nothing else holds them.
    pub fn pressing(&self) -> usize {
        if !self.health.is_open() {
            return 0;
        }
        // What waits for room in the outbox gets it, and goes, as others leave.
        let behind = if self.last_look.found_full_wire {
            self.bound.ready() + self.lanes.ready() + self.waiting.len()
        } else {
            0
        };
        self.attempts.len() + behind
    }
}
