//! Where nothing may be sent twice, an outage is probed by a request that is safe to repeat, before a message is
//! risked.
//!
//! It asks for the date, which reads nothing of the organization. Any answer of the API will do, also that it isn't
//! permitted or that there is no such path: what counts is that something answers that is neither a failure nor a page
//! of a gateway. Where that was answered, and the message that followed failed all the same, it is the messages' own
//! path that is in trouble: from then on a GET of that path asks.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::dispatcher::{AttemptId, Dispatcher, Step};
use crate::message::Payload;
use crate::token::TokenId;

/// The date of the server: `getDate` in Genesys' SDK (`UtilitiesApi` of 262.0.0), which sends it with the access token.
const PATH: &str = "/api/v2/date";
/// A server that hangs is asked again after this time, whatever time messages have.
const TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// The one that is under way.
#[derive(Clone, Copy, Debug)]
pub(in crate::dispatcher) struct Sounding {
    attempt: AttemptId,
    token: TokenId,
    /// `None` until it leaves.
    left_at: Option<Timestamp>,
}

impl Sounding {
    /// When it left, if this is its number and it has.
    pub(in crate::dispatcher) fn left_at(&self, id: AttemptId) -> Option<Timestamp> {
        self.left_at.filter(|_| self.attempt == id)
    }

    /// The token that it shows.
    pub(in crate::dispatcher) fn token(&self) -> TokenId {
        self.token
    }

    pub(in crate::dispatcher) fn in_flight_since(&self) -> Option<Timestamp> {
        self.left_at
    }
}

impl Dispatcher {
    /// Whether a probe of the messages has to be one that costs none.
    pub(in crate::dispatcher) fn has_to_sound(&self) -> bool {
        self.health.has_to_sound() && (self.lanes.queued() > 0 || self.bound.has_ready())
    }

    /// Sends it, unless it is under way, as soon as token and budget allow it.
    pub(in crate::dispatcher) fn sound(&mut self, step: &mut Step<'_>) {
        if self.sounding.is_some() {
            return;
        }
        let path = self.sounding_path();
        let Some((attempt, token)) = self.make_own_request(step, &path, TIMEOUT_MAX) else { return };
        self.sounding = Some(Sounding { attempt, token, left_at: None });
        self.health.sounds(step.now, attempt, token);
    }

    fn sounding_path(&mut self) -> String {
        let own = if self.health.sounds_own_path() { self.next_message_path() } else { None };
        own.unwrap_or_else(|| PATH.to_owned())
    }

    /// Where the message goes that would be risked, as far as it is in memory.
    fn next_message_path(&mut self) -> Option<String> {
        let bound = self.bound.first_member();
        let slot = bound.or_else(|| self.lanes.peek().map(|(_, slot)| slot))?;
        match &self.outbox.get(slot).payload {
            Payload::Message(message) if self.outbox.cold(slot).is_none() => self.settings.route.path(message).ok(),
            Payload::Message(_) | Payload::Call(_) => None,
        }
    }

    /// Whether this is its number, and it has not left.
    pub(in crate::dispatcher) fn sounding_departs(&self, id: AttemptId) -> bool {
        self.sounding.is_some_and(|one| one.attempt == id && one.left_at.is_none())
    }

    pub(in crate::dispatcher) fn sounding_left(&mut self, now: Timestamp) {
        let Some(sounding) = &mut self.sounding else { unreachable!("only what is about to leave does") };
        sounding.left_at = Some(now);
        self.quota.left(now, sounding.token, 1);
    }

    pub(in crate::dispatcher) fn sounding_withheld(&mut self, now: Timestamp, id: AttemptId) {
        let Some(sounding) = self.sounding.take() else { unreachable!("only what is about to leave is withheld") };
        self.health.sounding_lost(now, id, sounding.token);
        self.quota.cancel(sounding.token, 1);
    }

    /// Whether as many messages are under way as may be lost at once: few, until the server has taken as many.
    pub(in crate::dispatcher) fn risks_enough(&self) -> bool {
        let Some(risk_max) = self.health.risk_max().filter(|most| *most < self.attempts_max()) else { return false };
        self.attempts
            .iter()
            .filter(|(_, attempt, _)| attempt.route == crate::dispatcher::health::RouteId::MESSAGES)
            .count()
            >= risk_max
    }
}
