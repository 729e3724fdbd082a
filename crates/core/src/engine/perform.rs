//! The effects of the dispatcher's decisions: answers to callers, requests, tokens, events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::panics::unwound;
use super::persistence::Persistence;
use super::sink::{Completion, Happening, RequestEnd};
use super::{CALLBACK_TIMEOUT, DrainKind, Engine, Life, OnTheWire, Report};
use crate::dispatcher::{AttemptId, Dispatcher, Effect, Event};
use crate::error::Error;
use crate::http::TokenAnswer;
use crate::lock::lock;
use crate::message::Ticket;
use crate::retry::Answer;
use crate::settings::Credentials;
use crate::shipment::Shipment;
use crate::token::TokenId;

/// For so many effects of a turn there is room already.
const EFFECTS_KEPT: usize = 1_024;

impl Engine {
    pub(super) fn perform(&mut self) {
        self.performing.extend(self.effects.drain(..));
        // The next turn has as many, about; what a peak has taken goes back.
        self.effects.shrink_to(EFFECTS_KEPT);
        // What a performance brings is for the next turn.
        for _ in 0..self.performing.len() {
            let Some(effect) = self.performing.pop_front() else { break };
            let effect = match &mut self.persistence {
                Some(persistence) => persistence.hold(effect),
                None => Some(effect),
            };
            if let Some(effect) = effect {
                self.perform_one(effect);
            }
        }
        self.performing.shrink_to(EFFECTS_KEPT);
        if let Some(persistence) = &mut self.persistence {
            persistence.flush(!self.in_flight.is_empty(), self.clock.now());
        }
    }

    pub(super) fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::Accepted { ticket, id, duplicate } => {
                self.complete(ticket.handle, Completion::Accepted { ticket: ticket.number, id, duplicate });
            }
            Effect::Delivered { waiter, receipt, request } => {
                if let Some(request) = request {
                    self.measure(receipt.queued, request);
                    self.happen("delivered", || Happening::Delivered(receipt.clone()));
                }
                if let Some(ticket) = waiter {
                    self.complete(ticket.handle, Completion::Delivered(ticket.number, receipt));
                }
            }
            Effect::Buried { waiter, conversation, failure } => {
                let now = self.clock.now();
                self.happen("deadLetter", || Happening::DeadLetter(conversation.clone(), failure.clone(), now));
                if let Some(ticket) = waiter {
                    let error = Error::Delivery(Box::new(failure));
                    self.complete(ticket.handle, Completion::Failed(ticket.number, error));
                }
            }
            Effect::CallAnswered(ticket, answer) => {
                self.complete(ticket.handle, Completion::Answered(ticket.number, answer));
            }
            Effect::Failed(ticket, error) => self.complete(ticket.handle, Completion::Failed(ticket.number, error)),
            Effect::Done(ticket) => self.complete(ticket.handle, Completion::Done(ticket.number)),
            Effect::Redriven(ticket, outcome) => {
                self.complete(ticket.handle, Completion::Redriven(ticket.number, outcome));
            }
            Effect::Drained(ticket, left) => self.drained(ticket, left),
            Effect::Send { attempt, .. } if !self.dispatcher.may_leave_at(self.clock.now(), attempt) => {
                self.handle(Event::Withheld(attempt));
            }
            Effect::Send { attempt, shipment } if self.may_send() => self.send(attempt, shipment),
            Effect::Send { attempt, shipment } => self.outgoing.push_back((attempt, shipment)),
            Effect::Cut(attempt) => self.cut(attempt),
            Effect::Store(change) => {
                if let Some(persistence) = &mut self.persistence {
                    persistence.keep(change);
                }
            }
            Effect::Load(messages) => {
                if let Some(persistence) = &mut self.persistence {
                    persistence.load(messages);
                }
            }
            Effect::CheckReachable => self.check_reachable(),
            Effect::FetchToken(token) => self.fetch_token(token),
            Effect::Renew(renewal) => match &mut self.leases {
                Some(leases) => leases.renew(renewal),
                None => unreachable!("who shares no budget renews no lease"),
            },
            Effect::Notice(notice) => {
                let name = Happening::Notice(notice.clone()).name();
                self.happen(name, || Happening::Notice(notice.clone()));
            }
        }
    }

    fn measure(&mut self, queued: Duration, request: Duration) {
        let mut published = lock(&self.published);
        published.latencies.queued.record(queued);
        published.latencies.request.record(request);
        published.latencies.total.record(queued + request);
    }

    /// Whether there is a connection for one more. While there is, nothing is left in `outgoing`.
    fn may_send(&self) -> bool {
        self.in_flight.len() < self.settings.connections.max
    }

    /// Sends what may leave, as far as there are connections; what may not any more goes back.
    pub(super) fn send_outgoing(&mut self) {
        // One time for all: what goes back is what doesn't leave.
        let now = self.clock.now();
        let may_leave = |dispatcher: &Dispatcher, attempt: AttemptId| dispatcher.may_leave_at(now, attempt);
        let shut = self.outgoing.back().is_some_and(|(attempt, _)| !may_leave(&self.dispatcher, *attempt));
        if shut {
            let outgoing = std::mem::take(&mut self.outgoing);
            let (leaving, back) = outgoing.into_iter().partition(|(attempt, _)| may_leave(&self.dispatcher, *attempt));
            self.outgoing = leaving;
            self.withhold(back);
        }
        while self.may_send()
            && let Some((attempt, shipment)) = self.outgoing.pop_front()
        {
            if may_leave(&self.dispatcher, attempt) {
                self.send(attempt, shipment);
            }
        }
    }

    /// The last one first: each goes to the front of its lane, which keeps their turns.
    fn withhold(&mut self, back: VecDeque<(AttemptId, Shipment)>) {
        back.into_iter().rev().for_each(|(attempt, _)| self.handle(Event::Withheld(attempt)));
    }

    /// Nothing leaves any more: what has not left yet goes back.
    pub(super) fn withhold_all(&mut self) {
        let held = self.persistence.as_mut().map(Persistence::take_sends).unwrap_or_default();
        let outgoing = std::mem::take(&mut self.outgoing);
        held.into_iter().rev().for_each(|attempt| self.handle(Event::Withheld(attempt)));
        self.withhold(outgoing);
        self.perform();
    }

    fn cut(&mut self, attempt: AttemptId) {
        if let Some(wire) = self.in_flight.remove(&attempt) {
            wire.worker.cut();
            self.send_outgoing();
            return;
        }
        self.outgoing.retain(|(other, _)| *other != attempt);
    }

    fn send(&mut self, attempt: AttemptId, shipment: Shipment) {
        let Some(token) = self.tokens[shipment.token.index()].clone() else {
            unreachable!("a request is made once there is a token")
        };
        self.handle(Event::Left(attempt));
        let listening = self.sessions.values().any(|session| session.interest.has("request"));
        let end = listening.then(|| Box::new(RequestEnd::of(&shipment, self.clock.now())));
        let worker = self.workers.send(attempt, shipment, token);
        self.in_flight.insert(attempt, OnTheWire { worker, end });
    }

    pub(super) fn request_ended(&mut self, mut end: Box<RequestEnd>, answer: &Answer) {
        end.took = self.clock.now().since(end.started_at);
        match answer {
            Answer::Answered { response, .. } | Answer::TooLarge { response, .. } => {
                end.status = Some(response.status);
                end.correlation_id.clone_from(&response.correlation_id);
            }
            Answer::Unsent { problem } | Answer::Unanswered { problem } => end.problem = Some(problem.clone()),
        }
        self.happen("request", || Happening::Request(end.clone()));
    }

    fn check_reachable(&self) {
        let (client, reporter) = (Arc::clone(&self.client), self.reporter.clone());
        tokio::spawn(async move {
            let is_reachable = unwound(client.is_reachable()).await.unwrap_or(false);
            let _ = reporter.send(Report::ReachableChecked(is_reachable));
        });
    }

    pub(super) fn fetch_token(&mut self, token: TokenId) {
        if self.settings.tokens[token.index()].credentials == Credentials::Callback {
            let (number, reporter) = (self.callback.begin(), self.reporter.clone());
            self.ask_for_token();
            tokio::spawn(async move {
                tokio::time::sleep(CALLBACK_TIMEOUT).await;
                let _ = reporter.send(Report::CallbackLate(number));
            });
            return;
        }
        let (client, reporter) = (Arc::clone(&self.client), self.reporter.clone());
        tokio::spawn(async move {
            let answer = unwound(client.token(token)).await;
            let failed = |_| TokenAnswer::Failed {
                problem: "the token could not be asked for: a defect".to_owned(),
                wait: None,
            };
            let _ = reporter.send(Report::Token(token, answer.unwrap_or_else(failed)));
        });
    }

    /// Asks a session's function for the token that is wanted; another session's when the one that was asked has left.
    pub(super) fn ask_for_token(&mut self) {
        if let Some((handle, number)) = self.callback.ask(self.sessions.keys().copied()) {
            self.complete(handle, Completion::TokenWanted(number));
        }
    }

    pub(super) fn drained(&mut self, ticket: Ticket, left: Option<usize>) {
        let completion = match (self.drains.remove(&ticket).map(|drain| drain.kind), left) {
            (Some(DrainKind::Close), left) => return self.close(ticket, left.unwrap_or(0)),
            (Some(DrainKind::Plain(timeout)), Some(undelivered)) => {
                let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                let timed_out = Error::DrainTimeout { undelivered, timeout_ms };
                Completion::Failed(ticket.number, self.dispatcher.disowned().cloned().unwrap_or(timed_out))
            }
            _ => Completion::Done(ticket.number),
        };
        self.complete(ticket.handle, completion);
    }

    /// The session leaves before it is told so: who hears that the last sender has closed may open one with other
    /// options.
    fn close(&mut self, ticket: Ticket, left: usize) {
        self.complete(ticket.handle, Completion::Closed(ticket.number, left));
        let Some(session) = self.take_out(ticket.handle) else { return };
        let is_last = self.sessions.is_empty();
        if is_last {
            self.life = Life::Closed;
        }
        // With somebody on the way in the engine goes on, and there is nothing to wait for.
        if is_last && self.retire() && (self.persistence.is_some() || self.leases.is_some()) {
            self.farewell = Some(session);
            return;
        }
        // Who hears of the end may ask for the numbers at once.
        self.publish();
        session.sink.complete(session.completions, &self.clock);
    }
}
