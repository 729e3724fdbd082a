//! Requests of our own, which carry no message: the question what the organization is allowed, and the probe that risks
//! no message.

use std::time::Duration;

use crate::budget::NotYet;
use crate::dispatcher::{AttemptId, Dispatcher, Effect, Step};
use crate::shipment::{MESSAGE_RESPONSE_BYTES_MAX, Shipment};
use crate::store::{Change, Flight};
use crate::token::TokenId;

impl Dispatcher {
    /// Makes a `GET` of this path, if token and budget allow it now; its number, and the token that it shows.
    pub(in crate::dispatcher) fn make_own_request(
        &mut self,
        step: &mut Step<'_>,
        path: &str,
        timeout_max: Duration,
    ) -> Option<(AttemptId, TokenId)> {
        let usable = self.obtain_tokens(step);
        if usable.is_empty() {
            return None;
        }
        let token = match self.quota.check(step.now, usable, 1) {
            Err(NotYet::Until(at)) => {
                self.look_again(at);
                return None;
            }
            Err(NotYet::AtAnswer | NotYet::AtGrant) => return None,
            Ok(token) => token,
        };
        self.quota.reserve(step.now, token, 1);
        let attempt = self.attempts.number();
        // It spends a slot, though no message leaves with it.
        self.keep(Change::Depart(Flight::default()), step.effects);
        let shipment = Shipment {
            token,
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
        Some((attempt, token))
    }
}
