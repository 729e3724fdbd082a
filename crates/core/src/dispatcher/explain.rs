//! Why a message waits, and when it will probably go.

use std::num::NonZeroU16;
use std::sync::Arc;

use super::Dispatcher;
use super::health::Cause;
use super::outbox::{Cold, Parking, State};
use crate::budget::Turn;
use crate::clock::Timestamp;
use crate::lanes::EntryId;
use crate::message::Payload;
use crate::settings::TokenSource;
use crate::stats::{Closure, Outage, Pause, PauseScope};
use crate::token::TokenId;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// Before the full outbox.
    WaitingRoom,
    /// In the outbox.
    Queued,
    /// On the wire.
    InFlight,
    /// Given up.
    DeadLetter,
}

/// One reason to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Others of its conversation go first; this many.
    Lane(usize),
    /// The quota is spent.
    Budget,
    /// The organization pauses after a 429.
    Pause,
    /// The route that messages take does.
    RoutePause,
    /// Its conversation does.
    ConversationPause,
    /// The server says that its conversation is over.
    Ended,
    /// An operator holds everything back.
    Operator,
    /// Its last attempt failed.
    Retry,
    /// It was refused with this status, perhaps for everybody's sake: others may tell, or its next attempt.
    Refusal(Option<NonZeroU16>),
    /// Its own `notBefore`.
    NotBefore,
    /// Others may come to share its request.
    BatchMates,
    /// It goes by itself: merging is on, and nothing has ever merged.
    Apart,
    /// There is no access token, or the credentials are refused.
    Auth,
    /// The server is down.
    Outage,
    /// The server refuses everybody's messages in the same way.
    Refused,
    /// As many requests are on the wire as may be.
    Connections,
    /// The outbox is full.
    Capacity,
    /// The store has yet to keep it, or can't keep anything for now.
    Store,
}

/// An answer to `explain(id)`.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The message's conversation.
    pub conversation: Box<str>,
    /// Where it is.
    pub whereabouts: Whereabouts,
    /// Why it isn't on the wire, with the time until which that holds if it is known.
    pub holds: Vec<(Hold, Option<Timestamp>)>,
    /// The pauses after a 429 that hold it, if there are any.
    pub pauses: Vec<Pause>,
    /// Messages that are expected to leave before it.
    pub ahead: usize,
    /// When a request checks whether the pause or the outage is over, if there is one and that is known.
    pub next_probe: Option<Timestamp>,
    /// What went wrong, if there is an outage or no token can be had.
    pub problem: Option<Box<str>>,
    /// The field that keeps messages from merging, while none ever has.
    pub apart: Option<Box<str>>,
    /// When it is expected to leave; none when nothing tells.
    pub expected_at: Option<Timestamp>,
    /// Attempts made.
    pub attempts: u32,
}

impl Dispatcher {
    /// Explains a message; none when its id is unknown, or it is delivered.
    pub fn explain(&self, now: Timestamp, id: &str) -> Option<Explanation> {
        if let Some(entry_id) = self.outbox.by_id(id) {
            return Some(self.explain_entry(now, entry_id));
        }
        if let Some((position, waiting)) = self.waiting.position(id) {
            let ahead = self.outbox.len() + position;
            let mut holds = vec![(Hold::Capacity, None)];
            let pauses = self.pauses_on(now, conversation_of(&waiting.submission.payload), &mut Vec::new());
            let expected_at = self.expected(now, &mut holds, ahead);
            return Some(Explanation {
                conversation: conversation(&waiting.submission.payload),
                whereabouts: Whereabouts::WaitingRoom,
                holds,
                pauses,
                ahead,
                next_probe: self.next_probe(),
                problem: self.problem(),
                apart: self.apart(),
                expected_at,
                attempts: 0,
            });
        }
        self.letters.get(id).map(|letter| Explanation {
            conversation: conversation(&letter.payload),
            whereabouts: Whereabouts::DeadLetter,
            holds: Vec::new(),
            pauses: Vec::new(),
            ahead: 0,
            next_probe: None,
            problem: None,
            apart: None,
            expected_at: None,
            attempts: letter.failure.attempts,
        })
    }

    fn explain_cold(&self, now: Timestamp, cold: &Cold, entry_id: EntryId) -> Explanation {
        let ahead_in_lane = self.lanes.ahead(cold.lane, entry_id, &self.outbox);
        let ahead = self.lanes.turns_before(cold.lane, ahead_in_lane);
        let mut holds = Vec::new();
        self.hold_in_lane(ahead_in_lane, &mut holds);
        self.hold_all(now, &mut holds);
        let conversation = self.lanes.conversation(cold.lane);
        let pauses = self.pauses_on(now, conversation, &mut holds);
        let expected_at = self.expected(now, &mut holds, ahead);
        Explanation {
            conversation: conversation.map(|conversation| Box::from(&**conversation)).unwrap_or_default(),
            whereabouts: Whereabouts::Queued,
            pauses,
            next_probe: self.next_probe(),
            problem: self.problem(),
            apart: self.apart(),
            expected_at,
            ahead,
            holds,
            attempts: 0,
        }
    }

    fn explain_entry(&self, now: Timestamp, entry_id: EntryId) -> Explanation {
        if let Some(cold) = self.outbox.cold(entry_id) {
            return self.explain_cold(now, cold, entry_id);
        }
        let entry = self.outbox.get(entry_id);
        let (ahead_in_lane, ahead) = match entry.state() {
            State::Queued => {
                let ahead = self.lanes.ahead(entry.lane, entry_id, &self.outbox);
                (ahead, self.lanes.turns_before(entry.lane, ahead))
            }
            State::Storing | State::Parked(_) | State::Bound | State::Departing | State::InFlight => (0, 0),
        };
        let in_flight = entry.state() == State::InFlight;
        let mut holds = if in_flight { Vec::new() } else { self.holds(now, entry_id, ahead_in_lane) };
        if entry.state() == State::Queued && ahead_in_lane == 0 {
            holds.extend(self.lingers(now, entry.lane, entry_id).map(|until| (Hold::BatchMates, Some(until))));
        }
        let conversation_shared = conversation_of(&entry.payload).filter(|_| !in_flight);
        let pauses = self.pauses_on(now, conversation_shared, &mut holds);
        let expected_at = if in_flight { None } else { self.expected(now, &mut holds, ahead) };
        Explanation {
            pauses,
            conversation: conversation(&entry.payload),
            whereabouts: if in_flight { Whereabouts::InFlight } else { Whereabouts::Queued },
            next_probe: self.next_probe(),
            problem: self.problem(),
            apart: self.apart(),
            expected_at,
            ahead,
            holds,
            attempts: self.outbox.delivery_state(entry_id).attempts,
        }
    }

    fn holds(&self, now: Timestamp, entry_id: EntryId, ahead_in_lane: usize) -> Vec<(Hold, Option<Timestamp>)> {
        let mut holds = Vec::new();
        let delivery_state = self.outbox.delivery_state(entry_id);
        match self.outbox.get(entry_id).state() {
            State::Parked(Parking::Retry | Parking::Line) => holds.push((Hold::Retry, delivery_state.parked_until)),
            State::Parked(Parking::NotBefore) => holds.push((Hold::NotBefore, delivery_state.parked_until)),
            State::Bound => holds.push(match self.suspects.until(entry_id) {
                Some(until) => (Hold::Refusal(delivery_state.last_status), Some(until)),
                None => (Hold::Retry, None),
            }),
            State::Storing => holds.push((Hold::Store, None)),
            State::Departing if self.attempts.in_flight() < self.settings.connections.max => {
                holds.push((Hold::Store, None))
            }
            State::Departing => holds.push((Hold::Connections, None)),
            State::Queued | State::InFlight => {
                holds.extend(delivery_state.not_before.filter(|at| *at > now).map(|at| (Hold::NotBefore, Some(at))));
            }
        }
        self.hold_in_lane(ahead_in_lane, &mut holds);
        self.hold_all(now, &mut holds);
        holds
    }

    /// Those before it in its lane, and why it can't go with them.
    fn hold_in_lane(&self, ahead: usize, holds: &mut Vec<(Hold, Option<Timestamp>)>) {
        if ahead > 0 {
            holds.push((Hold::Lane(ahead), None));
            holds.extend(self.batching.joins().obstacle().map(|_| (Hold::Apart, None)));
        }
    }

    fn next_probe(&self) -> Option<Timestamp> {
        match self.health.closure() {
            Some((_, closure)) => closure.next_probe,
            None => self.auths.next_fetch(),
        }
    }

    fn apart(&self) -> Option<Box<str>> {
        self.batching.joins().obstacle().map(Into::into)
    }

    fn problem(&self) -> Option<Box<str>> {
        let of_budget = || self.budget_outage().map(|(_, problem)| problem);
        self.health.problem().or_else(|| self.auths.problem()).or_else(of_budget).map(Into::into)
    }

    /// What holds messages back for another reason than a 429, and what went wrong.
    pub(super) fn outage(&self) -> Option<(Closure, Option<Box<str>>)> {
        let shut = self.health.outage_closure().map(|closure| (closure, self.health.problem()));
        let unauthorized = || self.auths.outage().map(|closure| (closure, self.auths.problem()));
        let of_budget = || self.budget_outage().map(|(closure, problem)| (closure, Some(problem)));
        let (closure, problem) = shut.or_else(unauthorized).or_else(of_budget)?;
        Some((closure, problem.map(Into::into)))
    }

    /// All that fails, with its scope.
    pub(super) fn outages(&self) -> Vec<Outage> {
        let mut outages = self.health.outages();
        let problem = || self.auths.problem().map(Into::into);
        outages.extend(self.auths.outage().map(|closure| Outage {
            route: None,
            token: None,
            closure,
            problem: problem(),
        }));
        let of_budget = |(closure, problem): (Closure, &str)| Outage {
            route: None,
            token: None,
            closure,
            problem: Some(problem.into()),
        };
        outages.extend(self.budget_outage().map(of_budget));
        if self.auths.are_several() {
            let of_token = |(token, source): (TokenId, &TokenSource)| {
                let auth = self.auths.of(token);
                let problem = auth.problem().map(Into::into);
                Some(Outage { route: None, token: Some(source.name.clone()), closure: auth.outage()?, problem })
            };
            outages.extend(self.auths.all().zip(&self.settings.tokens).filter_map(of_token));
        }
        outages
    }

    /// What holds every message alike.
    fn hold_all(&self, now: Timestamp, holds: &mut Vec<(Hold, Option<Timestamp>)>) {
        if self.standing.problem().is_some() {
            holds.push((Hold::Store, None));
        }
        if let Some(hold) = self.health.operator_hold() {
            holds.push((Hold::Operator, hold.until));
        }
        if let Some((cause, closure)) = self.health.closure() {
            let hold = match cause {
                Cause::Throttled(_) => Hold::Pause,
                Cause::Auth => Hold::Auth,
                Cause::Outage => Hold::Outage,
                Cause::Refused => Hold::Refused,
            };
            holds.push((hold, closure.until));
        } else if self.auths.problem().is_some() {
            holds.push((Hold::Auth, self.auths.next_fetch()));
        }
        if self.has_enough_attempts() {
            holds.push((Hold::Connections, None));
        }
        if self.quota.available(now) == 0 {
            holds.push((Hold::Budget, self.quota.next_free(now)));
        } else if let Turn::LateUntil(at) = self.quota.turn(now, TokenId::FIRST) {
            holds.push((Hold::Budget, Some(at)));
        }
    }

    /// The pauses that hold a message of this conversation; those that don't hold everything are added to `holds`.
    fn pauses_on(
        &self,
        now: Timestamp,
        conversation: Option<&Arc<str>>,
        holds: &mut Vec<(Hold, Option<Timestamp>)>,
    ) -> Vec<Pause> {
        let Some(conversation) = conversation else { return Vec::new() };
        let own = self.health.pauses_of(conversation);
        for Pause { scope, closure, .. } in &own {
            let hold = match scope {
                PauseScope::Organization | PauseScope::Token(_) => continue,
                PauseScope::Unknown => {
                    // It waits for longer than the moment for which everything does.
                    holds.retain(|(hold, _)| *hold != Hold::Pause);
                    Hold::Pause
                }
                PauseScope::Route(_) => Hold::RoutePause,
                PauseScope::Conversation(_) => Hold::ConversationPause,
            };
            holds.push((hold, closure.until));
        }
        let ended = self.ended_pause_of(conversation);
        holds.extend(ended.as_ref().map(|pause| (Hold::Ended, pause.closure.next_probe)));
        self.health.organization_pause(now).into_iter().chain(own).chain(ended).collect()
    }

    /// When a message with `ahead` others before it leaves, if nothing leaves before the times of its `holds`. Where
    /// there are none it may be the token alone that it waits for, and nobody knows for how long.
    fn expected(&self, now: Timestamp, holds: &mut Vec<(Hold, Option<Timestamp>)>, ahead: usize) -> Option<Timestamp> {
        if holds.is_empty() && self.auths.are_awaited(now) {
            holds.push((Hold::Auth, None));
            return None;
        }
        let earliest = holds.iter().filter_map(|(_, until)| *until).max().unwrap_or(now);
        if self.health.operator_hold().is_some_and(|hold| hold.until.is_none()) {
            return None;
        }
        let gate_known = match self.health.closure() {
            Some((_, closure)) => closure.until.is_some(),
            None => !self.auths.is_out() || self.auths.next_fetch().is_some(),
        };
        let beyond_budget = (ahead as u64).saturating_sub(u64::from(self.quota.available(now)).saturating_sub(1));
        gate_known.then(|| earliest.max(now).after(self.quota.time_for(beyond_budget)))
    }
}

fn conversation_of(payload: &Payload) -> Option<&Arc<str>> {
    match payload {
        Payload::Message(message) => Some(message.conversation_shared()),
        Payload::Call(_) => None,
    }
}

fn conversation(payload: &Payload) -> Box<str> {
    conversation_of(payload).map(|conversation| Box::from(&**conversation)).unwrap_or_default()
}
