//! Refused messages of which nobody knows yet whether the refusal is theirs or everybody's.
//!
//! They are held until others tell: a message that left later and was accepted convicts them, refusals of the same kind
//! for other conversations acquit them, and all of them wait. Where no other conversation has anything to send, and
//! none had a moment ago, nobody could tell, and they end at once.

use std::collections::HashSet;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use super::attempts::Attempt;
use super::health::{Fingerprint, MessageRefusal, Whom};
use super::letters::RESPONSE_BYTES_MAX;
use super::load::Load;
use super::settle::Told;
use super::timers::Timer;
use super::{AttemptId, Dispatcher, Effect};
use crate::clock::Timestamp;
use crate::message::Cargo;
use crate::outcome::{Reason, Response};
use crate::retry::Answer;

/// Requests whose messages are held, at most: a further one ends at once.
const SUSPECTS_MAX: usize = 256;
/// For as long others are waited for. By then their requests have answers, or there was no time for any.
const SUSPECT_WAIT: Duration = Duration::from_secs(30);
/// A conversation that had a message accepted within this time is likely to have another one soon.
const RECENT: Duration = Duration::from_secs(10);
/// As many conversations as are refused before it is taken for an outage, and one more.
const RECENT_MAX: usize = 3;
/// While all of them are younger than this, no new one is noted: it would cost a busy queue something per message.
const RENEWED_AFTER: Duration = Duration::from_secs(1);

/// A refused message or batch that is held.
#[derive(Debug)]
struct Suspect {
    load: Load,
    told: Told,
    left_at: Timestamp,
    until: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Suspects {
    held: Vec<Suspect>,
    /// When the first of them has been held for too long.
    judged_at: Option<Timestamp>,
    /// When the latest request left whose message was accepted.
    accepted_left_at: Option<Timestamp>,
    /// The conversations that had messages accepted last, and when; the latest first.
    recent: Vec<(Arc<str>, Timestamp)>,
}

impl Suspects {
    pub(super) fn loads(&self) -> impl Iterator<Item = &Load> {
        self.held.iter().map(|suspect| &suspect.load)
    }

    pub(super) fn loads_mut(&mut self) -> impl Iterator<Item = &mut Load> {
        self.held.iter_mut().map(|suspect| &mut suspect.load)
    }

    fn take(&mut self, ends: impl Fn(&Suspect) -> bool) -> Vec<Suspect> {
        let (taken, held) = std::mem::take(&mut self.held).into_iter().partition(ends);
        self.held = held;
        taken
    }

    /// A message of this conversation was accepted.
    pub(super) fn note_accepted(&mut self, now: Timestamp, conversation: &Arc<str>) {
        if self.recent.len() >= RECENT_MAX && self.recent.iter().all(|(_, at)| now.since(*at) < RENEWED_AFTER) {
            return;
        }
        let is_own = |(name, _): &(Arc<str>, Timestamp)| Arc::ptr_eq(name, conversation) || name == conversation;
        match self.recent.iter().position(is_own) {
            Some(index) => {
                self.recent[index].1 = now;
                self.recent[..=index].rotate_right(1);
            }
            None => {
                self.recent.truncate(RECENT_MAX - 1);
                self.recent.insert(0, (Arc::clone(conversation), now));
            }
        }
    }

    /// Conversations that had a message accepted a moment ago.
    fn recent(&self, now: Timestamp) -> impl Iterator<Item = &Arc<str>> {
        self.recent.iter().filter(move |(_, at)| now.since(*at) <= RECENT).map(|(name, _)| name)
    }

    fn has_accepted_since(&self, left_at: Timestamp) -> bool {
        self.accepted_left_at.is_some_and(|accepted| accepted >= left_at)
    }
}

impl Dispatcher {
    /// What the refusal of a message has in common with others, if it may be everybody's.
    pub(super) fn fingerprint(&self, load: &Load, answer: &Answer) -> Option<Fingerprint> {
        let (Answer::Answered { response, .. } | Answer::TooLarge { response, .. }) = answer else { return None };
        Fingerprint::of(response).filter(|_| !self.carries_call(load))
    }

    /// Messages were refused, perhaps for everybody's sake. That is no attempt of theirs then.
    pub(super) fn suspect(
        &mut self,
        now: Timestamp,
        id: AttemptId,
        (attempt, left_at): (Attempt, Timestamp),
        fingerprint: Fingerprint,
        answer: &Answer,
        effects: &mut Vec<Effect>,
    ) {
        let told = told(answer);
        let response = told.response.as_ref();
        let refusal = MessageRefusal {
            fingerprint,
            conversations: self.witnesses(&attempt.load),
            correlation_id: response.and_then(|response| response.correlation_id.clone()),
        };
        let last_status = response.and_then(|response| NonZeroU16::new(response.status));
        for slot in &attempt.load.members {
            let course = self.outbox.course_mut(*slot);
            (course.last_status, course.refused_at) = (last_status, None);
        }
        let sent = attempt.sent(id, left_at);
        let whom = self.health.refused(now, sent, &refusal, &mut self.random, effects);
        if whom == Whom::Everybody {
            self.acquit(now, effects);
        }
        let load = attempt.load;
        let wait = self.others_may_tell(now, &load);
        if whom == Whom::Everybody || (whom == Whom::Probe && wait.is_some()) {
            self.note_suspected(&load, left_at);
            return self.keep_places(now, load, effects);
        }
        self.unspend_attempt(&load.members);
        self.keep_return(&load, effects);
        self.bind(&load);
        let is_crowded = self.suspects.held.len() >= SUSPECTS_MAX;
        let until = now.after(wait.unwrap_or_default());
        self.suspects.held.push(Suspect { load, told, left_at, until });
        if wait.is_none() {
            self.convict(now, |_| true, effects);
        } else if is_crowded {
            self.convict(now, |suspect| suspect.until == until, effects);
        } else {
            self.set_judge_timer();
        }
    }

    /// The conversations that are evidence. One that was refused in an outage that is over is none: a success came in
    /// between.
    fn witnesses(&self, load: &Load) -> Vec<Arc<str>> {
        let is_evidence = |at: Timestamp| !self.suspects.has_accepted_since(at);
        let fresh = load.members.iter().filter(|slot| self.outbox.course(**slot).suspected_at.is_none_or(is_evidence));
        let names = fresh.filter_map(|slot| match &self.outbox.get(*slot).cargo {
            Cargo::Message(message) => Some(Arc::clone(message.conversation_shared())),
            Cargo::Call(_) => None,
        });
        names.collect()
    }

    /// How long another conversation is waited for of which no message was refused since the last success: it has
    /// messages, or is likely to have one soon. What waits for the refused one, as a part of the same batch, can't
    /// tell.
    /// `None` if there is no such conversation.
    fn others_may_tell(&self, now: Timestamp, refused: &Load) -> Option<Duration> {
        let held = self.suspects.loads().chain([refused]).flat_map(Load::all);
        let lanes = held.filter_map(|slot| self.lanes.conversation(self.outbox.get(slot).lane));
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
    pub(super) fn accepted(&mut self, now: Timestamp, left_at: Timestamp, effects: &mut Vec<Effect>) {
        self.suspects.accepted_left_at = self.suspects.accepted_left_at.max(Some(left_at));
        if !self.suspects.held.is_empty() {
            self.convict(now, |suspect| suspect.left_at <= left_at, effects);
        }
    }

    /// Nobody has told for too long.
    pub(super) fn judge_overdue(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.suspects.judged_at = None;
        self.convict(now, |suspect| suspect.until <= now, effects);
    }

    fn convict(&mut self, now: Timestamp, is_guilty: impl Fn(&Suspect) -> bool, effects: &mut Vec<Effect>) {
        for Suspect { load, told, .. } in self.suspects.take(is_guilty) {
            for slot in &load.members {
                self.outbox.course_mut(*slot).attempts += 1;
            }
            if load.members.len() > 1 && self.settings.route.is_array() {
                self.halve(load, true, effects);
            } else if self.settings.route.is_array() {
                self.end(now, load.reunite(), Reason::Rejected, &told, effects);
            } else {
                self.end(now, load, Reason::Rejected, &told, effects);
            }
        }
        self.set_judge_timer();
    }

    /// Everybody is refused: they wait with the others.
    fn acquit(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for Suspect { load, left_at, .. } in self.suspects.take(|_| true).into_iter().rev() {
            self.note_suspected(&load, left_at);
            self.put_back(now, load, effects);
        }
        self.set_judge_timer();
    }

    fn note_suspected(&mut self, load: &Load, left_at: Timestamp) {
        for slot in &load.members {
            self.outbox.course_mut(*slot).suspected_at = Some(left_at);
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
fn told(answer: &Answer) -> Told {
    let mut told = Told::of(answer);
    if let Some(Response { body, truncated, .. }) =
        told.response.as_mut().filter(|one| one.body.len() > RESPONSE_BYTES_MAX)
    {
        *body = bytes::Bytes::copy_from_slice(&body[..RESPONSE_BYTES_MAX]);
        *truncated = true;
    }
    told
}
