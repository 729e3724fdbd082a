//! The ends of a message: a receipt or a dead letter, and what both leave behind.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::dispatcher::admission::waiting::Waiting;
use crate::dispatcher::outbox::{DeliveryState, Entry, Promise, State};
use crate::dispatcher::outcome::letters::RESPONSE_BYTES_MAX;
use crate::dispatcher::schedule::batch::Batch;
use crate::dispatcher::schedule::timers::Timer;
use crate::dispatcher::{Dispatcher, Effect, Notice, Step};
use crate::error::Error;
use crate::lanes::EntryId;
use crate::message::{Payload, Ticket};
use crate::outcome::{CallAnswer, DeadLetter, DeliveryFailure, Reason, Receipt, Response};
use crate::store::Change;

/// The request that carried a message.
#[derive(Clone, Copy, Debug)]
pub(in crate::dispatcher) struct Carrier {
    pub(in crate::dispatcher) batch_size: u32,
    pub(in crate::dispatcher) left_at: Timestamp,
}

/// A message that has left the outbox.
pub(in crate::dispatcher) struct Removed {
    entry: Entry,
    attempts: u32,
    ambiguous: bool,
    pub(in crate::dispatcher) waiter: Option<Promise>,
    pub(in crate::dispatcher) followers: Vec<Promise>,
}

impl Dispatcher {
    /// The server took it.
    pub(in crate::dispatcher) fn succeed(
        &mut self,
        step: &mut Step<'_>,
        entry_id: EntryId,
        carrier: Carrier,
        response: Response,
    ) {
        let Removed { entry, attempts, waiter, followers, .. } = self.remove(entry_id);
        let waiter = waiter.map(|promise| promise.ticket);
        match entry.payload {
            Payload::Message(message) => {
                self.counters.delivered += 1;
                let (seq, status, batch_size) = (entry.seq, response.status, carrier.batch_size);
                let queued = carrier.left_at.since(entry.submitted_at);
                if self.standing.is_durable() {
                    let (id, id_given) = (message.id().into(), message.id_given());
                    let conversation = Arc::clone(message.conversation_shared());
                    let at = step.now;
                    let delivery =
                        Change::Deliver { seq, id, id_given, conversation, status, attempts, batch_size, queued, at };
                    step.effects.push(Effect::Store(delivery));
                }
                if message.id_given() {
                    let max = self.part.ids_max(self.recent.len());
                    self.recent.remember(step.now, message.id(), response.status, attempts, max);
                }
                let receipt = Receipt { message, response, attempts, batch_size, queued, duplicate: false };
                for Promise { ticket, .. } in followers {
                    let receipt = Receipt { duplicate: true, ..receipt.clone() };
                    step.effects.push(Effect::Delivered { waiter: Some(ticket), receipt, request: None });
                }
                let request = Some(step.now.since(carrier.left_at));
                step.effects.push(Effect::Delivered { waiter, receipt, request });
            }
            Payload::Call(call) => {
                let answer = CallAnswer { response, attempts, raw: call.raw };
                step.effects.extend(waiter.map(|ticket| Effect::CallAnswered(ticket, answer)));
            }
        }
        self.tell_if_empty(step.effects);
    }

    /// It is given up: a message is kept as a dead letter, a request's caller is told.
    pub(in crate::dispatcher) fn bury(
        &mut self,
        step: &mut Step<'_>,
        entry_id: EntryId,
        reason: Reason,
        response: Option<Response>,
        problem: Option<String>,
    ) {
        debug_assert!(self.outbox.is_loaded(entry_id), "a dead letter has its body");
        let Removed { entry, attempts, ambiguous, waiter, followers } = self.remove(entry_id);
        let waiter = waiter.map(|promise| promise.ticket);
        let failure =
            DeliveryFailure { attempts, ambiguous, response, problem, ..Self::failure(&entry.payload, reason) };
        let Payload::Message(message) = &entry.payload else {
            step.effects.extend(waiter.map(|ticket| call_failed(&entry.payload, ticket, failure)));
            self.tell_if_empty(step.effects);
            return;
        };
        let conversation = message.conversation().into();
        let kept = clipped(failure.clone());
        self.keep(Change::Bury { seq: entry.seq, failure: Box::new(kept.clone()), at: step.now }, step.effects);
        for Promise { ticket, .. } in followers {
            step.effects.push(Effect::Failed(ticket, Error::Delivery(Box::new(failure.clone()))));
        }
        step.effects.push(Effect::Buried { waiter, conversation, failure });
        self.counters.dead_letters += 1;
        let letter = DeadLetter { payload: entry.payload, priority: entry.priority, failure: kept, at: step.now };
        let max = self.part.letters_max(self.letters.amount());
        for id in self.letters.add(letter, max) {
            self.counters.dead_letters_dropped += 1;
            self.keep(Change::DropLetter { id }, step.effects);
        }
        self.tell_if_empty(step.effects);
    }

    /// Without a word to anyone: its caller knows already.
    pub(in crate::dispatcher) fn discard(&mut self, entry_id: EntryId) {
        self.remove(entry_id);
    }

    pub(in crate::dispatcher) fn failure(payload: &Payload, reason: Reason) -> DeliveryFailure {
        DeliveryFailure {
            reason,
            id: payload.id().map(Into::into),
            response: None,
            attempts: 0,
            ambiguous: false,
            problem: None,
        }
    }

    /// Takes a submission out of the waiting room, and its timers.
    pub(in crate::dispatcher) fn leave_waiting(&mut self, number: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(number)?;
        if let Some(at) = waiting.submission.waits_until() {
            self.timers.clear(at, Timer::ExpireWaiting(number));
        }
        waiting.gives_up_at.into_iter().for_each(|at| self.timers.clear(at, Timer::GiveUpWaiting(number)));
        Some(waiting)
    }

    /// Takes a message out of outbox, lane, timers and drains.
    pub(in crate::dispatcher) fn remove(&mut self, entry_id: EntryId) -> Removed {
        let (entry, delivery_state) = self.outbox.remove(entry_id);
        let DeliveryState { attempts, ambiguous, waiter, expires_at, parked_until, .. } = delivery_state;
        match entry.state() {
            State::Storing => {}
            State::Queued => self.lanes.remove(entry.lane, entry_id, entry.seq, &self.outbox),
            State::Parked(_) => {
                parked_until.into_iter().for_each(|at| self.timers.clear(at, Timer::Unpark(entry_id)));
                self.lanes.settle(entry.lane);
            }
            State::Departing | State::InFlight | State::Bound => self.lanes.settle(entry.lane),
        }
        if let Some(at) = expires_at {
            self.timers.clear(at, Timer::Expire(entry_id));
        }
        if let Some(at) = entry.payload.deadline() {
            self.timers.clear(at, Timer::Deadline(entry_id));
        }
        self.drains.leave(entry.epoch);
        if matches!(entry.payload, Payload::Call(_)) {
            self.health.leave(entry.route);
            self.held_calls.forget(entry_id, &mut self.timers);
        }
        Removed { entry, attempts, ambiguous, waiter, followers: self.followers.take(entry_id) }
    }

    pub(in crate::dispatcher) fn tell_if_empty(&self, effects: &mut Vec<Effect>) {
        if self.is_idle() {
            effects.push(Effect::Notice(Notice::Empty));
        }
    }

    /// What is kept of the answer to its last attempt.
    pub(in crate::dispatcher) fn last_answer(&self, entry_id: EntryId) -> Option<Response> {
        let status = self.outbox.delivery_state(entry_id).last_status?.get();
        Some(Response { status, ..Response::default() })
    }

    /// Ends a message that was canceled, or has expired, while it was on the wire or bound. Whether it did.
    pub(in crate::dispatcher) fn end_if_due(&mut self, step: &mut Step<'_>, entry_id: EntryId) -> bool {
        let entry = self.outbox.get(entry_id);
        let delivery_state = self.outbox.delivery_state(entry_id);
        let expired = delivery_state.expires_at.is_some_and(|at| at <= step.now);
        // A request whose promise was refused meanwhile has nobody to answer to.
        let orphaned = matches!(entry.payload, Payload::Call(_)) && delivery_state.waiter.is_none();
        let reason = match (delivery_state.canceled || orphaned, expired) {
            (true, _) => Reason::Aborted,
            (false, true) => Reason::Expired,
            (false, false) => return false,
        };
        self.bury(step, entry_id, reason, self.last_answer(entry_id), None);
        true
    }

    /// Ends those of a batch. A batch that the server may know stays whole.
    pub(in crate::dispatcher) fn end_those_due(&mut self, step: &mut Step<'_>, batch: &mut Batch) {
        if !batch.is_frozen() {
            batch.members.retain(|entry_id| !self.end_if_due(step, *entry_id));
        }
    }

    pub(in crate::dispatcher) fn keep(&self, change: Change, effects: &mut Vec<Effect>) {
        if self.standing.is_durable() {
            effects.push(Effect::Store(change));
        }
    }
}

/// How the caller of a request is told that it has failed. One who judges answers by himself gets the answer: then no
/// status is a failure.
pub(in crate::dispatcher) fn call_failed(payload: &Payload, ticket: Ticket, mut failure: DeliveryFailure) -> Effect {
    let is_raw = matches!(payload, Payload::Call(call) if call.raw);
    if !is_raw {
        return Effect::Failed(ticket, Error::Delivery(Box::new(failure)));
    }
    let is_final = matches!(failure.reason, Reason::Rejected | Reason::Exhausted | Reason::Ambiguous);
    match failure.response.take_if(|response| is_final && !response.truncated) {
        Some(response) => Effect::CallAnswered(ticket, CallAnswer { response, attempts: failure.attempts, raw: true }),
        // Half an answer is of no use to such a caller, and may be too much for the string in which errors cross.
        None => Effect::Failed(ticket, Error::Delivery(Box::new(clipped(failure)))),
    }
}

fn clipped(mut failure: DeliveryFailure) -> DeliveryFailure {
    if let Some(response) = failure.response.as_mut().filter(|response| response.body.len() > RESPONSE_BYTES_MAX) {
        // A copy, so that the letter doesn't hold on to the whole.
        response.body = bytes::Bytes::copy_from_slice(&response.body[..RESPONSE_BYTES_MAX]);
        response.truncated = true;
    }
    failure
}
