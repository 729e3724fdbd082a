//! Refused messages of which nobody knows yet whether the refusal is theirs or everybody's.
//!
//! They are held until others tell: a message that left later and was accepted convicts them, refusals of the same kind
//! for other conversations acquit them, and all of them wait. Where nobody tells, since no other conversation has
//! anything to send or all that have are refused as well, they are tried again, at growing intervals and as often as
//! the settings allow: a gateway that is set up wrongly for minutes refuses a conversation that is alone, too. Only
//! what the answer says of the conversation itself ends at once then.

use std::collections::HashSet;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use crate::batcher::Item;
use crate::clock::Timestamp;
use crate::dispatcher::health::{Fingerprint, MessageRefusal, Whom};
use crate::dispatcher::outbox::Parking;
use crate::dispatcher::outcome::letters::RESPONSE_BYTES_MAX;
use crate::dispatcher::outcome::settle::Reply;
use crate::dispatcher::outcome::suspect::{RECENT, Suspect};
use crate::dispatcher::schedule::attempts::Attempt;
use crate::dispatcher::schedule::batch::Batch;
use crate::dispatcher::schedule::timers::Timer;
use crate::dispatcher::{AttemptId, Dispatcher, Step};
use crate::lanes::EntryId;
use crate::message::Payload;
use crate::outcome::{Reason, Response};
use crate::retry::{Answer, Doubling, Verdict};

/// Requests whose messages are held, at most: those of a further one are tried again without.
const SUSPECTS_MAX: usize = 256;
/// For as long others are waited for. By then their requests have answers, or there was no time for any.
const SUSPECT_WAIT: Duration = Duration::from_secs(30);
/// Between attempts of those that nobody else tells about: ten of them take six minutes.
const ALONE_BACKOFF: Doubling = Doubling::new(Duration::from_secs(1), Duration::from_secs(120));

impl Dispatcher {
    /// What the refusal of a message has in common with others, if it may be everybody's.
    pub(in crate::dispatcher) fn fingerprint(&self, batch: &Batch, answer: &Answer) -> Option<Fingerprint> {
        let (Answer::Answered { response, .. } | Answer::TooLarge { response, .. }) = answer else { return None };
        Fingerprint::of(response).filter(|_| !self.carries_call(batch) && !self.names_conversation_of(batch, response))
    }

    /// What a list of statuses says that refuses every message of an array in the same way: as much as if the answer
    /// had that status itself. Where the list takes a message, or names a fault of one, it tells of each what it says.
    pub(in crate::dispatcher) fn refusal_of_all(
        &self,
        batch: &Batch,
        items: Option<&[Option<Item>]>,
        whole: &Answer,
    ) -> Option<(Fingerprint, Answer)> {
        let Answer::Answered { response: whole, evidence } = whole else { return None };
        let mut common: Option<(Fingerprint, Answer)> = None;
        for (entry_id, item) in batch.members.iter().zip(items?) {
            let Item { status, body } = item.as_ref().filter(|item| item.status >= 300)?;
            let response = Response { status: *status, body: body.clone(), ..whole.clone() };
            let answer = Answer::Answered { response, evidence: evidence.clone() };
            let is_refusal = self.verdict(&answer, 1) == Verdict::Rejected;
            let fingerprint = self.fingerprint(&Batch::of_one(*entry_id), &answer).filter(|_| is_refusal)?;
            if fingerprint != common.get_or_insert_with(|| (fingerprint.clone(), answer)).0 {
                return None;
            }
        }
        common
    }

    /// Messages were refused, perhaps for everybody's sake. That is no attempt of theirs then.
    pub(in crate::dispatcher) fn suspect(
        &mut self,
        step: &mut Step<'_>,
        id: AttemptId,
        (attempt, left_at): (Attempt, Timestamp),
        fingerprint: Fingerprint,
        answer: &Answer,
    ) {
        let reply = reply_of(answer);
        let response = reply.response.as_ref();
        let refusal = MessageRefusal {
            fingerprint,
            conversations: self.witnesses(&attempt.batch),
            correlation_id: response.and_then(|response| response.correlation_id.clone()),
            retry_after: reply.retry_after.unwrap_or_default(),
        };
        let last_status = response.and_then(|response| NonZeroU16::new(response.status));
        for entry_id in &attempt.batch.members {
            let delivery_state = self.outbox.delivery_state_mut(*entry_id);
            (delivery_state.last_status, delivery_state.refused_at) = (last_status, None);
        }
        let sent = attempt.sent(id, left_at);
        let whom = self.health.refused(step, sent, &refusal, &mut self.random);
        if whom == Whom::Everybody {
            self.acquit(step);
        }
        // Of whom nobody waits any more, or whose time is over, it need not be known whose the refusal was.
        let mut batch = attempt.batch;
        self.end_those_due(step, &mut batch);
        if batch.members.is_empty() {
            return self.bind_next(batch);
        }
        let is_shared = self.are_others_refused(&batch);
        let wait = self.others_may_tell(step.now, &batch);
        if whom == Whom::Everybody || (whom == Whom::Probe && wait.is_some()) {
            self.note_suspected(&batch, left_at);
            return self.keep_places(step, batch);
        }
        let is_about_conversation = !self.ended_by(&batch, &reply).is_empty();
        let asked_until = step.now.after(reply.retry_after.unwrap_or_default().min(self.settings.retry.max_pause));
        let alone_until =
            step.now.after(ALONE_BACKOFF.wait(self.attempts_of(&batch), &mut self.random)).max(asked_until);
        let until = wait.map_or(alone_until, |wait| step.now.after(wait).max(asked_until));
        // Its parts are witnesses of their own.
        let is_divisible = self.settings.route.is_array() && batch.members.len() > 1;
        let is_told = self.is_told_part(step.now, &batch);
        let is_last = wait.is_none() && (is_divisible || is_told || !self.may_try_again(&batch, until));
        self.unspend_attempt(&batch.members);
        self.keep_return(&batch, step.effects);
        self.bind(&batch);
        if is_shared {
            self.suspects.held.iter_mut().for_each(|suspect| suspect.is_open = true);
        }
        if self.suspects.held.len() >= SUSPECTS_MAX && !is_last {
            self.spend_attempt(&batch);
            return self.try_later(batch, alone_until);
        }
        let is_open = is_shared || wait.is_none();
        self.suspects.held.push(Suspect { batch, reply, left_at, until, asked_until, is_about_conversation, is_open });
        if wait.is_none() {
            let newest = self.suspects.held.len() - 1;
            self.convict(step, |place, suspect| suspect.is_about_conversation || (is_last && place == newest));
        } else {
            self.set_judge_timer();
        }
    }

    /// Whether other conversations were refused in the same way since the last success.
    fn are_others_refused(&self, batch: &Batch) -> bool {
        let is_of_batch = |name: &Arc<str>| self.conversations_of(batch).any(|own| own == name);
        self.health.refused_conversations().iter().any(|name| !is_of_batch(name))
    }

    /// Whether others have told about the batch of which a part is left: one of its messages was refused for its own
    /// sake, while theirs were accepted.
    fn is_told_part(&self, now: Timestamp, batch: &Batch) -> bool {
        let has_told = self.suspects.accepted_left_at.is_some_and(|accepted| now.since(accepted) <= SUSPECT_WAIT);
        has_told && batch.following() > 0
    }

    fn attempts_of(&self, batch: &Batch) -> u32 {
        let attempts = batch.members.iter().map(|entry_id| self.outbox.delivery_state(*entry_id).attempts);
        let Some(most) = attempts.max() else { unreachable!("a request that was refused carried something") };
        most
    }

    /// Whether all of its messages may be tried once more at that time, this attempt counted.
    fn may_try_again(&self, batch: &Batch, at: Timestamp) -> bool {
        let limits = self.settings.retry;
        batch.members.iter().all(|entry_id| {
            let delivery_state = self.outbox.delivery_state(*entry_id);
            let age = delivery_state.first_attempt_at.map_or(Duration::ZERO, |since| self.health.age(since, at));
            delivery_state.attempts < limits.max_attempts && age <= limits.max_age
        })
    }

    fn spend_attempt(&mut self, batch: &Batch) {
        for entry_id in &batch.members {
            self.outbox.delivery_state_mut(*entry_id).attempts += 1;
        }
    }

    /// Each goes by its lane again, or its batch as it is, at that time.
    fn try_later(&mut self, batch: Batch, at: Timestamp) {
        if batch.is_bound() {
            return self.park_batch(batch, at);
        }
        batch.members.iter().for_each(|entry_id| self.park(*entry_id, at, Parking::Retry));
    }

    /// The conversations that are evidence. One that was refused in an outage that is over is none: a success came in
    /// between.
    fn witnesses(&self, batch: &Batch) -> Vec<Arc<str>> {
        let is_evidence = |at: Timestamp| !self.suspects.has_accepted_since(at);
        let fresh = batch
            .members
            .iter()
            .filter(|entry_id| self.outbox.delivery_state(**entry_id).suspected_at.is_none_or(is_evidence));
        let names = fresh.filter_map(|entry_id| match &self.outbox.get(*entry_id).payload {
            Payload::Message(message) => Some(Arc::clone(message.conversation_shared())),
            Payload::Call(_) => None,
        });
        names.collect()
    }

    /// How long another conversation is waited for of which no message was refused since the last success: it has
    /// messages, or is likely to have one soon. What waits for the refused one, as a part of the same batch, can't
    /// tell.
    /// `None` if there is no such conversation.
    fn others_may_tell(&self, now: Timestamp, refused: &Batch) -> Option<Duration> {
        let held = self.suspects.batches().chain([refused]).flat_map(Batch::all);
        let lanes = held.filter_map(|entry_id| self.lanes.conversation(self.outbox.get(entry_id).lane));
        let told: HashSet<&str> = lanes.chain(self.health.refused_conversations()).map(|name| &**name).collect();
        let waiting = told.iter().filter(|name| self.lanes.has(name)).count();
        if self.lanes.conversations() > waiting {
            return Some(SUSPECT_WAIT);
        }
        // Others have told about the batch of which a part is left.
        let is_part = refused.all().count() > refused.members.len();
        let comes_again = |name: &Arc<str>| !is_part && !told.contains(&**name);
        self.suspects.recent(now).any(comes_again).then_some(RECENT)
    }

    /// A message that left then was accepted: whoever left before, and was refused, was so for its own sake.
    pub(in crate::dispatcher) fn accepted(&mut self, step: &mut Step<'_>, left_at: Timestamp) {
        self.suspects.accepted_left_at = self.suspects.accepted_left_at.max(Some(left_at));
        if !self.suspects.held.is_empty() {
            self.convict(step, |_, suspect| suspect.left_at <= left_at && !suspect.is_open);
            // From now on they are no evidence of an outage: a success came in between.
            for suspect in self.suspects.take(|_, suspect| suspect.left_at <= left_at).into_iter().rev() {
                self.note_suspected(&suspect.batch, suspect.left_at);
                self.try_again(step, suspect);
            }
            self.set_judge_timer();
        }
    }

    /// Nobody has told for too long.
    pub(in crate::dispatcher) fn judge_overdue(&mut self, step: &mut Step<'_>) {
        let now = step.now;
        self.suspects.judged_at = None;
        self.convict(step, |_, suspect| suspect.until <= now && suspect.is_about_conversation);
        for suspect in self.suspects.take(|_, suspect| suspect.until <= now).into_iter().rev() {
            self.try_again(step, suspect);
        }
        self.set_judge_timer();
    }

    /// Those that may be tried again are, without waiting for others any longer.
    pub(in crate::dispatcher) fn end_suspense(&mut self, now: Timestamp) {
        let attempts_max = self.settings.retry.max_attempts;
        for suspect in self.suspects.held.iter_mut().filter(|suspect| !suspect.is_about_conversation) {
            let is_last = |entry_id: &EntryId| self.outbox.delivery_state(*entry_id).attempts + 1 >= attempts_max;
            if !suspect.batch.members.iter().any(is_last) {
                (suspect.until, suspect.asked_until) = (now, now);
            }
        }
        self.set_judge_timer();
    }

    /// Whether the refusal is everybody's is open still: its attempt counts, and another one follows if there may be
    /// one.
    fn try_again(&mut self, step: &mut Step<'_>, suspect: Suspect) {
        self.spend_attempt(&suspect.batch);
        let at = suspect.asked_until.max(step.now);
        if !self.may_try_again(&suspect.batch, at) {
            self.reject_for_good(step, suspect);
        } else if at > step.now {
            self.try_later(suspect.batch, at);
        } else {
            self.put_back(step, suspect.batch);
        }
    }

    fn convict(&mut self, step: &mut Step<'_>, is_guilty: impl Fn(usize, &Suspect) -> bool) {
        for suspect in self.suspects.take(is_guilty) {
            self.spend_attempt(&suspect.batch);
            self.reject_for_good(step, suspect);
        }
        self.set_judge_timer();
    }

    fn reject_for_good(&mut self, step: &mut Step<'_>, suspect: Suspect) {
        let Suspect { batch, reply, .. } = suspect;
        if batch.members.len() > 1 && self.settings.route.is_array() {
            self.halve(batch, true, step.effects);
        } else if self.settings.route.is_array() {
            self.end(step, batch.reunite(), Reason::Rejected, &reply);
        } else {
            self.end(step, batch, Reason::Rejected, &reply);
        }
    }

    /// Everybody is refused: they wait with the others.
    fn acquit(&mut self, step: &mut Step<'_>) {
        for Suspect { batch, left_at, .. } in self.suspects.take(|_, _| true).into_iter().rev() {
            self.note_suspected(&batch, left_at);
            self.put_back(step, batch);
        }
        self.set_judge_timer();
    }

    fn note_suspected(&mut self, batch: &Batch, left_at: Timestamp) {
        for entry_id in &batch.members {
            self.outbox.delivery_state_mut(*entry_id).suspected_at = Some(left_at);
        }
    }

    /// For the one that has been held for longest.
    fn set_judge_timer(&mut self) {
        let next = self.suspects.held.iter().map(|suspect| suspect.until).min();
        if next == self.suspects.judged_at {
            return;
        }
        self.suspects.judged_at.into_iter().for_each(|at| self.timers.clear(at, Timer::Judge));
        self.suspects.judged_at = next;
        next.into_iter().for_each(|at| self.timers.set(at, Timer::Judge));
    }
}

/// What is kept of the answer: as much as a dead letter keeps.
fn reply_of(answer: &Answer) -> Reply {
    let mut reply = Reply::of(answer);
    if let Some(Response { body, truncated, .. }) =
        reply.response.as_mut().filter(|one| one.body.len() > RESPONSE_BYTES_MAX)
    {
        *body = bytes::Bytes::copy_from_slice(&body[..RESPONSE_BYTES_MAX]);
        *truncated = true;
    }
    reply
}
