//! The way in: duplicates, limits, the waiting room, acceptance.

use crate::batcher::ArraySize;
use crate::clock::Timestamp;
use crate::dispatcher::admission::redrives::Fate;
use crate::dispatcher::admission::waiting::Waiting;
use crate::dispatcher::outbox::{DeliveryState, Entry, Promise, State};
use crate::dispatcher::schedule::drains::Epoch;
use crate::dispatcher::schedule::timers::Timer;
use crate::dispatcher::{Dispatcher, Effect, Step};
use crate::error::Error;
use crate::lanes::EntryId;
use crate::message::{Message, Payload, Settle, Submission, Ticket};
use crate::outcome::{DeadLetter, Reason, Receipt, Response};
use crate::settings::{BatchMode, WhenFull};
use crate::totals::Amount;

/// Submissions that are let in from the waiting room per turn.
const ADMITTED_PER_TURN: usize = 1_024;

impl Dispatcher {
    pub(in crate::dispatcher) fn submit(&mut self, step: &mut Step<'_>, submission: Submission) {
        if let Err(error) = self.check(&submission) {
            step.effects.push(Effect::Failed(submission.ticket, error));
            return;
        }
        if let Some(error) = self.throttled_out(step.now, &submission) {
            step.effects.push(Effect::Failed(submission.ticket, error));
            return;
        }
        if self.answer_duplicate(step, &submission) {
            return;
        }
        let bytes = submission.payload.len();
        let epoch = self.drains.enter();
        if self.waiting.is_empty() && self.has_room(bytes) {
            self.admit(step, submission, Origin { submitted_at: step.now, epoch, letter: None });
        } else if self.may_wait(bytes) {
            let until = submission.waits_until();
            let waiting = Waiting { submission, submitted_at: step.now, epoch, redriven: false, gives_up_at: None };
            let number = self.waiting.push(waiting);
            if let Some(at) = until {
                self.timers.set(at, Timer::ExpireWaiting(number));
            }
            if self.is_out() && self.bound_waiting_call(step.now, number) {
                self.give_up_waiting(number, step.effects);
            }
        } else {
            self.drains.leave(epoch);
            step.effects.push(Effect::Failed(submission.ticket, self.full()));
        }
    }

    /// Lets in what waits, as far as there is room: some per turn, since a large message makes room for many small
    /// ones. Whether as many were let in as may be per turn.
    pub(in crate::dispatcher) fn admit_waiting(&mut self, step: &mut Step<'_>) -> bool {
        for _ in 0..ADMITTED_PER_TURN {
            let Some((number, first)) = self.waiting.first() else { return false };
            if !self.has_room(first.submission.payload.len()) {
                return false;
            }
            let Some(waiting) = self.leave_waiting(number) else { unreachable!("the first in the line is there") };
            let Waiting { submission, submitted_at, epoch, redriven, .. } = waiting;
            if redriven {
                self.admit_redriven(step, submission, epoch);
            } else if self.answer_duplicate(step, &submission) {
                self.drains.leave(epoch);
            } else {
                self.admit(step, submission, Origin { submitted_at, epoch, letter: None });
            }
        }
        true
    }

    /// Never accepted, so there is no dead letter: the caller still has it.
    pub(in crate::dispatcher) fn expire_waiting(&mut self, step: &mut Step<'_>, number: u64) {
        if let Some(Waiting { submission, epoch, .. }) = self.leave_waiting(number) {
            self.drains.leave(epoch);
            let timed_out = submission.payload.deadline().is_some_and(|deadline| deadline <= step.now);
            let failure =
                Self::failure(&submission.payload, if timed_out { Reason::TimedOut } else { Reason::Expired });
            step.effects.push(Effect::Failed(submission.ticket, Error::Delivery(Box::new(failure))));
        }
    }

    fn check(&self, submission: &Submission) -> Result<(), Error> {
        if let Some(error) = self.standing.disowned() {
            return Err(error.clone());
        }
        let (bytes, bytes_max) = (submission.payload.len(), self.settings.queue.max_bytes);
        if bytes > bytes_max {
            return Err(Error::message(
                "body",
                format!("must be at most queue.maxBytes, {bytes_max} bytes, got {bytes}"),
            ));
        }
        let Payload::Message(message) = &submission.payload else { return Ok(()) };
        let batch = &self.settings.batch;
        let alone = match batch.mode {
            BatchMode::None => 0,
            BatchMode::Array => ArraySize::default().with(bytes).bytes(),
            BatchMode::Merge => bytes,
        };
        if alone > batch.max_bytes {
            let own = if batch.mode == BatchMode::Array { " in an array of its own" } else { "" };
            let rule = format!("must fit into batch.maxBytes, {} bytes{own}, got {alone}", batch.max_bytes);
            return Err(Error::message("body", rule));
        }
        self.settings.route.check(message)
    }

    fn has_room(&self, bytes: usize) -> bool {
        let limits = &self.settings.queue;
        let has_own = self.outbox.len() < limits.max_messages && self.outbox.bytes() + bytes <= limits.max_bytes;
        let held = Amount { count: self.outbox.len(), bytes: self.outbox.bytes() };
        has_own && (!self.part.is_queue_full() || is_within_share(held, bytes))
    }

    /// Whether one more may wait for room.
    fn may_wait(&self, bytes: usize) -> bool {
        let held = Amount { count: self.waiting.len(), bytes: self.waiting.bytes() };
        self.settings.queue.when_full == WhenFull::Wait
            && self.waiting.has_room(bytes)
            && (!self.part.is_queue_full() || is_within_share(held, bytes))
    }

    fn full(&self) -> Error {
        let limits = &self.settings.queue;
        if self.part.is_queue_full() {
            let (held, max) = (self.part.totals().held().queue, self.part.totals().max().queue);
            return Error::ProcessFull { held, max };
        }
        Error::QueueFull {
            messages: self.outbox.len(),
            bytes: self.outbox.bytes(),
            messages_max: limits.max_messages,
            bytes_max: limits.max_bytes,
        }
    }

    /// Answers a message whose id is known: in the outbox, delivered, or a dead letter. Whether it is.
    fn answer_duplicate(&mut self, step: &mut Step<'_>, submission: &Submission) -> bool {
        let Payload::Message(message) = &submission.payload else { return false };
        if !message.id_given() {
            return false;
        }
        let ticket = submission.ticket;
        let answer = if let Some(entry_id) = self.outbox.by_id(message.id()) {
            self.join_existing(entry_id, message.id(), submission, step.effects);
            return true;
        } else if let Some(letter) = self.letters.get(message.id()) {
            Some(Effect::Failed(ticket, Error::Delivery(Box::new(letter.failure.clone()))))
        } else if let Some(memory) = self.recent.find(step.now, message.id()) {
            let receipt = remembered(message, memory.status, memory.attempts);
            Some(Effect::Delivered { waiter: Some(ticket), receipt, request: None })
        } else {
            return false;
        };
        self.counters.duplicates += 1;
        match submission.settle {
            Settle::OnAcceptance => {
                step.effects.push(Effect::Accepted { ticket, id: message.id().into(), duplicate: true })
            }
            Settle::OnOutcome => step.effects.extend(answer),
        }
        true
    }

    /// The message is in the outbox already: one more waits for it.
    fn join_existing(&mut self, entry_id: EntryId, id: &str, submission: &Submission, effects: &mut Vec<Effect>) {
        self.counters.duplicates += 1;
        let cold = self.outbox.cold(entry_id).is_some();
        // Canceled on the wire, and now wanted again.
        let wanted_again = !cold && self.outbox.delivery_state(entry_id).canceled;
        if wanted_again {
            self.outbox.delivery_state_mut(entry_id).canceled = false;
        }
        let is_storing = !cold && self.outbox.get(entry_id).state() == State::Storing;
        let Submission { ticket, settle, .. } = *submission;
        if settle == Settle::OnOutcome || is_storing {
            effects.extend(self.follow(entry_id, Promise { ticket, settle }, wanted_again));
        } else {
            effects.push(Effect::Accepted { ticket, id: id.into(), duplicate: true });
        }
    }

    /// One more promise for a message that is in the outbox; as its own, if nobody else's is left.
    fn follow(&mut self, entry_id: EntryId, promise: Promise, as_own: bool) -> Option<Effect> {
        if let Some(error) = self.auth_error(entry_id) {
            return Some(Effect::Failed(promise.ticket, error));
        }
        if as_own {
            self.outbox.set_waiter(entry_id, promise);
            return None;
        }
        let had_room = self.followers.add(entry_id, promise);
        (!had_room).then(|| Effect::Failed(promise.ticket, self.full()))
    }

    /// Takes it into the outbox. It is accepted once the store keeps it; at once, where there is none.
    fn admit(&mut self, step: &mut Step<'_>, submission: Submission, origin: Origin) {
        let Submission { ticket, settle, payload, priority, expires_at, not_before } = submission;
        self.accepted += 1;
        let mut entry = Entry::new(payload, self.accepted, origin.submitted_at);
        entry.priority = priority;
        entry.epoch = origin.epoch;
        if let Payload::Call(call) = &entry.payload {
            entry.route = self.health.join(step.now, call);
        }
        let is_swept = origin.letter.as_ref().is_some_and(|letter| letter.sweep.is_some());
        let waiter = (!is_swept).then_some(Promise { ticket, settle });
        let not_before = not_before.filter(|at| *at > step.now);
        let delivery_state = DeliveryState { waiter, expires_at, not_before, ..DeliveryState::NONE };
        let entry_id = self.outbox.insert(entry, delivery_state);
        let insertion = self.insertion(entry_id, origin.letter.is_some());
        if let Some(FormerLetter { number, letter, sweep }) = origin.letter {
            self.redrives.returns(entry_id, number, letter, sweep);
        }
        match insertion {
            Some(change) => step.effects.push(Effect::Store(change)),
            None => self.persisted(step, entry_id),
        }
    }

    /// A dead letter goes through the door again: same id, attempts from zero, no expiry. It waits for room as any
    /// message, and is a letter meanwhile.
    pub(in crate::dispatcher) fn redrive(&mut self, step: &mut Step<'_>, ticket: Ticket, id: Box<str>) {
        let Some(letter) = self.letters.get(&id) else {
            step.effects.push(Effect::Failed(ticket, Error::NotFound { what: "dead letter", id: id.into() }));
            return;
        };
        let path = self.check_path(letter);
        if let Some(problem) = self.standing.problem().cloned().or(path.err()) {
            step.effects.push(Effect::Failed(ticket, problem));
            return;
        }
        let submission = anew(letter, ticket);
        let bytes = submission.payload.len();
        // With smaller limits than those that it was accepted under there is never room.
        let may_wait = bytes <= self.settings.queue.max_bytes && self.may_wait(bytes);
        if self.waiting.is_empty() && self.has_room(bytes) {
            let epoch = self.drains.enter();
            self.admit_redriven(step, submission, epoch);
        } else if may_wait {
            let epoch = self.drains.enter();
            self.waiting.push(Waiting { submission, submitted_at: step.now, epoch, redriven: true, gives_up_at: None });
        } else {
            step.effects.push(Effect::Failed(ticket, self.full()));
        }
    }

    /// There is room for it. It may be a letter no more; and while nothing can be kept, it stays one.
    fn admit_redriven(&mut self, step: &mut Step<'_>, submission: Submission, epoch: Epoch) {
        let Some(id) = submission.payload.id() else { unreachable!("a dead letter is a message, which has an id") };
        // Another message may have its id by now, and be dead, too.
        let is_there = self.letters.get(id).is_some_and(|letter| letter.payload.is_same_message(&submission.payload));
        let problem = match self.standing.problem() {
            _ if !is_there => Some(Error::NotFound { what: "dead letter", id: id.to_owned() }),
            problem => problem.cloned(),
        };
        if let Some(problem) = problem {
            self.drains.leave(epoch);
            step.effects.push(Effect::Failed(submission.ticket, problem));
            // It may be that nothing else was left.
            return self.tell_if_empty(step.effects);
        }
        self.readmit(step, submission, None, epoch);
    }

    /// The same for one of many: it doesn't wait for room, nor overtakes who does.
    pub(in crate::dispatcher) fn redrive_numbered(&mut self, step: &mut Step<'_>, number: u64, sweep: Ticket) -> Fate {
        let Some(letter) = self.letters.numbered(number) else { return Fate::Unsendable };
        let bytes = letter.payload.len();
        if self.check_path(letter).is_err() || bytes > self.settings.queue.max_bytes {
            return Fate::Unsendable;
        }
        if !self.waiting.is_empty() || !self.has_room(bytes) {
            return Fate::Full;
        }
        let submission = anew(letter, sweep);
        let epoch = self.drains.enter();
        self.readmit(step, submission, Some(sweep), epoch);
        Fate::Returns
    }

    fn readmit(&mut self, step: &mut Step<'_>, submission: Submission, sweep: Option<Ticket>, epoch: Epoch) {
        let taken = submission.payload.id().and_then(|id| self.letters.take_numbered(id));
        let Some((number, letter)) = taken else { unreachable!("the letter was found just now") };
        let letter = Some(FormerLetter { number, letter, sweep });
        self.admit(step, submission, Origin { submitted_at: step.now, epoch, letter });
    }

    /// The route may have been another one when it was accepted.
    fn check_path(&self, letter: &DeadLetter) -> Result<(), Error> {
        match &letter.payload {
            Payload::Message(message) => self.settings.route.check_path(message),
            Payload::Call(_) => Ok(()),
        }
    }
}

/// Whether it may be held with this, however much other organizations hold. A body that is larger than that is alone.
fn is_within_share(held: Amount, bytes: usize) -> bool {
    held.count < Amount::ALWAYS.count && (held.bytes + bytes <= Amount::ALWAYS.bytes || held.bytes == 0)
}

/// Where a submission comes from.
struct Origin {
    submitted_at: Timestamp,
    /// Of the drains that wait for it.
    epoch: Epoch,
    /// What it was, if that is a dead letter.
    letter: Option<FormerLetter>,
}

struct FormerLetter {
    number: u64,
    letter: DeadLetter,
    /// The call that has this one sent again with others.
    sweep: Option<Ticket>,
}

/// Same id, attempts from zero, no expiry.
fn anew(letter: &DeadLetter, ticket: Ticket) -> Submission {
    Submission {
        ticket,
        settle: Settle::OnAcceptance,
        payload: letter.payload.clone(),
        priority: letter.priority,
        expires_at: None,
        not_before: None,
    }
}

fn remembered(message: &Message, status: u16, attempts: u32) -> Receipt {
    Receipt {
        message: message.clone(),
        response: Response { status, ..Response::default() },
        attempts,
        batch_size: 1,
        queued: std::time::Duration::ZERO,
        duplicate: true,
    }
}
