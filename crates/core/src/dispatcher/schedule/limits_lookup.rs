//! The question at the start: what is the organization allowed? Asked once, inside the budget, when the setting wants
//! it.
//!
//! It belongs to no caller: whatever comes of it, or doesn't, is no failure of anything, and messages wait for it only
//! as they wait for any first answer, and not for long.

use std::time::Duration;

use crate::budget::Heard;
use crate::clock::Timestamp;
use crate::dispatcher::health::{Pass, RouteId, Scope, Sent};
use crate::dispatcher::outcome::deliver::TOO_MANY;
use crate::dispatcher::{AttemptId, Dispatcher, Effect, Notice, Step};
use crate::evidence::{Evidence, Grant, LIMITS_PATH, read_limits};
use crate::outcome::Response;
use crate::retry::Answer;
use crate::settings::Credentials;
use crate::token::TokenId;

/// The first message waits for it no longer.
const TIMEOUT_MAX: Duration = Duration::from_secs(2);
const OK: u16 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum LimitsLookup {
    /// To be made as soon as something may leave.
    Due,
    /// Made, and about to leave.
    Departing { attempt: AttemptId, token: TokenId },
    /// On the wire.
    Asked { attempt: AttemptId, token: TokenId, left_at: Timestamp },
    /// Answered, not wanted, or too late: better is known.
    Over,
}

impl LimitsLookup {
    /// Whether this is its number, and it has not left yet.
    pub(in crate::dispatcher) fn is_departing(&self, id: AttemptId) -> bool {
        matches!(self, Self::Departing { attempt, .. } if *attempt == id)
    }

    /// The token that it shows, while it is under way.
    pub(in crate::dispatcher) fn token(&self) -> Option<TokenId> {
        match self {
            Self::Departing { token, .. } | Self::Asked { token, .. } => Some(*token),
            Self::Due | Self::Over => None,
        }
    }

    /// When it left, if it has no answer yet.
    pub(in crate::dispatcher) fn in_flight_since(&self) -> Option<Timestamp> {
        match self {
            Self::Asked { left_at, .. } => Some(*left_at),
            Self::Due | Self::Departing { .. } | Self::Over => None,
        }
    }
}

impl Dispatcher {
    /// Asks, if that is still to be done.
    pub(in crate::dispatcher) fn look_up_limits(&mut self, step: &mut Step<'_>) {
        if self.limits_lookup != LimitsLookup::Due {
            return;
        }
        if self.health.operator_hold().is_some() {
            return;
        }
        if self.health.pass(step.now) != Pass::Free || !self.quota.knows_nothing() {
            // A pause is for messages to end.
            self.limits_lookup = LimitsLookup::Over;
            return;
        }
        if let Some((attempt, token)) = self.make_own_request(step, LIMITS_PATH, TIMEOUT_MAX) {
            self.limits_lookup = LimitsLookup::Departing { attempt, token };
        }
    }

    pub(in crate::dispatcher) fn limits_lookup_left(&mut self, now: Timestamp) {
        let LimitsLookup::Departing { attempt, token } = self.limits_lookup else {
            unreachable!("only what is about to leave does")
        };
        self.limits_lookup = LimitsLookup::Asked { attempt, token, left_at: now };
        self.quota.left(now, token, 1);
    }

    pub(in crate::dispatcher) fn limits_lookup_withheld(&mut self) {
        let LimitsLookup::Departing { token, .. } = self.limits_lookup else {
            unreachable!("only what is about to leave is")
        };
        self.limits_lookup = LimitsLookup::Over;
        self.quota.cancel(token, 1);
    }

    /// Whether the answer is the limits lookup's; then it is taken in. No right to ask, no such route, garbage: no
    /// evidence.
    pub(in crate::dispatcher) fn looked_up_limits(
        &mut self,
        step: &mut Step<'_>,
        id: AttemptId,
        answer: &Answer,
    ) -> bool {
        let LimitsLookup::Asked { attempt, token, left_at } = self.limits_lookup else { return false };
        if attempt != id {
            return false;
        }
        self.limits_lookup = LimitsLookup::Over;
        match answer {
            Answer::Unsent { .. } => self.quota.unsent(step.now, left_at, token, 1),
            Answer::Unanswered { .. } => self.quota.given_up(left_at, step.now, token, 1),
            Answer::Answered { response, evidence } | Answer::TooLarge { response, evidence, .. } => {
                self.told(step, (attempt, token, left_at), response, evidence);
            }
        }
        self.tell_quota(step.effects);
        true
    }

    fn told(
        &mut self,
        step: &mut Step<'_>,
        (attempt, token, sent_at): (AttemptId, TokenId, Timestamp),
        response: &Response,
        evidence: &Evidence,
    ) {
        let scope = self.health.scope_of_own(RouteId::OTHERS, token, evidence);
        // A limit of the question's own route says nothing of what messages may do.
        let is_refusal = response.status == TOO_MANY;
        let refused = is_refusal && matches!(scope, Scope::Organization | Scope::Token(_));
        self.quota.heard(step.now, token, Heard { sent_at, cost: 1, refused, evidence: Some(evidence) });
        if refused {
            self.counters.throttled += 1;
            if scope == Scope::Organization {
                let is_new = self.health.is_open();
                self.health.pause(step, is_new, evidence, &mut self.random);
            } else {
                let sent = Sent { attempt, route: RouteId::OTHERS, token, left_at: sent_at };
                self.health.token_throttled(step, sent, evidence, &mut self.random);
            }
        }
        if response.status == OK && !response.truncated {
            let grant = match self.settings.tokens[token.index()].credentials {
                Credentials::Client { .. } => Grant::Client,
                Credentials::Token(_) | Credentials::Callback => Grant::User,
            };
            self.quota.told_limits(step.now, &read_limits(&response.body, grant));
        }
    }

    pub(in crate::dispatcher) fn tell_quota(&mut self, effects: &mut Vec<Effect>) {
        if let Some(quota) = self.quota.news() {
            effects.push(Effect::Notice(Notice::Quota { quota, since: self.quota.since() }));
        }
    }
}
