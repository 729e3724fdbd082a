//! Requests of our own, which carry no message: the question what the organization is allowed, and the probe that risks
//! no message.

use std::time::Duration;

use crate::budget::NotYet;
use crate::dispatcher::{AttemptId, Dispatcher, Effect, Step};
use crate::shipment::{MESSAGE_RESPONSE_BYTES_MAX, Shipment};
use crate::store::{Change, Flight};

impl Dispatcher {
    /// Makes a `GET` of this path, if token and budget allow it now; its number.
    pub(in crate::dispatcher) fn make_own_request(
        &mut self,
        step: &mut Step<'_>,
        path: &str,
        timeout_max: Duration,
    ) -> Option<AttemptId> {
        if !self.obtain_token(step) {
            return None;
        }
        match self.quota.check(step.now, 1) {
            Err(NotYet::Until(at)) => {
                self.look_again(at);
                return None;
            }
            Err(NotYet::AtAnswer | NotYet::AtGrant) => return None,
            Ok(()) => self.quota.reserve(step.now, 1),
        }
        let attempt = self.attempts.number();
        // It spends a slot, though no message leaves with it.
        self.keep(Change::Depart(Flight::default()), step.effects);
        let shipment = Shipment {
            method: "GET".into(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
            idempotency_key: None,
            timeout: self.settings.connections.request_timeout.min(timeout_max),
            response_bytes_max: MESSAGE_RESPONSE_BYTES_MAX,
            keep_headers: false,
            messages: 0,
        };
        step.effects.push(Effect::Send { attempt, shipment });
        Some(attempt)
    }
}
