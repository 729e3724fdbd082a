//! The question at the start: what is the organisation allowed? Asked once, inside the budget, when the setting wants it.
//!
//! It belongs to no caller: whatever comes of it, or doesn't, is no failure of anything, and messages wait for it only as they
//! wait for any first answer, and not for long.

use std::time::Duration;

use super::deliver::TOO_MANY;
use super::gate::Pass;
use super::{AttemptId, Dispatcher, Effect};
use crate::clock::Timestamp;
use crate::evidence::{Evidence, LIMITS_PATH, read_limits};
use crate::outcome::Response;
use crate::quota::{Heard, NotYet};
use crate::retry::Answer;
use crate::shipment::{MESSAGE_RESPONSE_BYTES_MAX, Shipment};
use crate::store::{Change, Flight};

/// The first message waits for it no longer.
const TIMEOUT_MAX: Duration = Duration::from_secs(2);
const OK: u16 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inquiry {
    /// To be made as soon as something may leave.
    Due,
    /// On the wire.
    Asked { attempt: AttemptId, at: Timestamp },
    /// Answered, not wanted, or too late: better is known.
    Over,
}

impl Dispatcher {
    /// Asks, if that is still to be done.
    pub(super) fn inquire(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.inquiry != Inquiry::Due {
            return;
        }
        if self.gate.pass(now) != Pass::Free || !self.quota.knows_nothing() {
            // A pause is for messages to end.
            self.inquiry = Inquiry::Over;
            return;
        }
        let Some(generation) = self.access(now, effects) else { return };
        match self.quota.check(now, 1) {
            Err(NotYet::Until(at)) => return self.look_again(at),
            Err(NotYet::AtAnswer) => return,
            Ok(()) => self.quota.take(now, 1),
        }
        self.counters.requests += 1;
        self.attempts_made += 1;
        let attempt = self.attempts_made;
        self.inquiry = Inquiry::Asked { attempt, at: now };
        // It spends a slot, though no message leaves with it.
        self.keep(Change::Depart(Flight::default()), effects);
        effects.push(Effect::Send { attempt, generation, shipment: self.question() });
    }

    fn question(&self) -> Shipment {
        Shipment {
            method: "GET".into(),
            path: LIMITS_PATH.to_owned(),
            headers: Vec::new(),
            body: None,
            idempotency_key: None,
            timeout: self.settings.connections.request_timeout.min(TIMEOUT_MAX),
            response_bytes_max: MESSAGE_RESPONSE_BYTES_MAX,
            keep_headers: false,
            messages: 0,
        }
    }

    /// Whether the answer is the inquiry's; then it is taken in. No right to ask, no such route, garbage: no evidence.
    pub(super) fn inquired(
        &mut self,
        now: Timestamp,
        id: AttemptId,
        answer: &Answer,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Inquiry::Asked { attempt, at } = self.inquiry else { return false };
        if attempt != id {
            return false;
        }
        self.inquiry = Inquiry::Over;
        match answer {
            Answer::Unsent { .. } => self.quota.unsent(now, at, 1),
            Answer::Unanswered { .. } => self.quota.given_up(at, self.left_at(now, at), now, 1),
            Answer::Answered { response, evidence } | Answer::TooLarge { response, evidence } => {
                self.told(now, at, response, evidence, effects);
            }
        }
        self.tell_quota(effects);
        true
    }

    fn told(
        &mut self,
        now: Timestamp,
        sent_at: Timestamp,
        response: &Response,
        evidence: &Evidence,
        effects: &mut Vec<Effect>,
    ) {
        let refused = response.status == TOO_MANY;
        self.quota.heard(now, Heard { sent_at, cost: 1, refused, evidence: Some(evidence) });
        if refused {
            self.counters.throttled += 1;
            self.pause(now, self.gate.is_open(), evidence, effects);
        }
        if response.status == OK && !response.truncated {
            self.quota.told_limits(now, &read_limits(&response.body));
        }
    }
}
