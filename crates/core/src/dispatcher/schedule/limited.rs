//! Messages and calls that wait for a limit of their route or conversation while everything else is sent.

use std::sync::Arc;
use std::time::Duration;

use crate::batcher::Item;
use crate::budget::Heard;
use crate::clock::Timestamp;
use crate::dispatcher::health::{LimitChange, Pass, Scope, Suspect, Unheard};
use crate::dispatcher::outcome::deliver::TOO_MANY;
use crate::dispatcher::schedule::attempts::Attempt;
use crate::dispatcher::schedule::batch::Batch;
use crate::dispatcher::{AttemptId, Dispatcher};
use crate::evidence::Evidence;
use crate::lanes::Bar;
use crate::lease;
use crate::message::Payload;
use crate::retry::{Answer, Verdict};
use crate::token::TokenId;

/// A bound batch whose conversation is being probed looks again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Dispatcher {
    /// The limits that an answer tells of, each with what it says about it: one for a request that is refused; of an
    /// array whose messages have a status each, that of each message that is.
    pub(in crate::dispatcher) fn limits_met(
        &self,
        now: Timestamp,
        id: AttemptId,
        attempt: &Attempt,
        standing: Verdict,
        answer: &Answer,
        items: Option<&[Option<Item>]>,
    ) -> Vec<(Scope, Evidence)> {
        let (Answer::Answered { evidence, .. } | Answer::TooLarge { evidence, .. }) = answer else { return Vec::new() };
        if standing != Verdict::Throttled {
            return Vec::new();
        }
        let Some(items) = items else {
            let conversation = self.conversation_of(&attempt.batch);
            return vec![(
                self.health.scope_of(now, (id, attempt.route, attempt.token), conversation, evidence),
                evidence.clone(),
            )];
        };
        let mut limits: Vec<(Scope, Evidence)> = Vec::new();
        for (item, slot) in items.iter().zip(&attempt.batch.members) {
            let Some(item) = item.as_ref().filter(|item| item.status == TOO_MANY) else { continue };
            let mut evidence = evidence.clone();
            evidence.add_refusal(&item.body);
            let conversation = self.conversation_of(&Batch::of_one(*slot));
            let scope = self.health.scope_of(now, (id, attempt.route, attempt.token), conversation, &evidence);
            if !limits.iter().any(|(known, _)| *known == scope) {
                limits.push((scope, evidence));
            }
        }
        limits
    }

    /// The conversation of a batch, if all of it is of one.
    fn conversation_of(&self, batch: &Batch) -> Option<Arc<str>> {
        let mut conversations = self.conversations_of(batch);
        let first = conversations.next()?;
        conversations.all(|other| other == first).then(|| Arc::clone(first))
    }

    /// The conversations of its messages; each message's.
    pub(in crate::dispatcher) fn conversations_of(&self, batch: &Batch) -> impl Iterator<Item = &Arc<str>> {
        batch.members.iter().filter_map(|slot| match &self.outbox.get(*slot).payload {
            Payload::Message(message) => Some(message.conversation_shared()),
            Payload::Call(_) => None,
        })
    }

    /// What is refused while nobody knows for whose limit's sake. True if the learner has heard, or will when that is
    /// known; a budget that is known needs not.
    pub(in crate::dispatcher) fn hear_in_doubt(
        &mut self,
        now: Timestamp,
        (token, cost, sent_at): (TokenId, u32, Timestamp),
        limits: &[(Scope, Evidence)],
    ) -> bool {
        let in_doubt = limits.iter().find_map(|(scope, evidence)| match scope {
            Scope::Unknown(suspect) => Some((suspect, evidence)),
            Scope::Organization | Scope::Token(_) | Scope::Route(_) | Scope::Conversation(_) => None,
        });
        let Some((suspect, evidence)) =
            in_doubt.filter(|_| self.settings.learn.is_some() && !self.health.has_several_tokens())
        else {
            return false;
        };
        if !self.health.can_others_tell(now, suspect, self.lanes.conversations()) {
            // Nothing else is sent: what limits this one limits everything.
            self.quota.heard(now, token, Heard { sent_at, cost, refused: true, evidence: Some(evidence) });
        } else if self.health.has_anything_passed() {
            let (suspect, evidence) = (suspect.clone(), evidence.clone());
            self.health.unheard_mut().put_off(Unheard { token, sent_at, answered_at: now, cost, evidence, suspect });
        } else {
            // It would keep the second request back, which tells.
            self.quota.heard(now, token, Heard { sent_at, cost, refused: false, evidence: None });
        }
        true
    }

    /// Tells the learner what it has not heard, since it is known by now for whose limit's sake it was refused. Whether
    /// there was something to tell.
    pub(in crate::dispatcher) fn hear_settled(&mut self, now: Timestamp) -> bool {
        if self.health.unheard().is_empty() {
            return false;
        }
        let settled = self.health.unheard_mut().take_settled(now);
        let has_settled = !settled.is_empty();
        for (unheard, refused) in settled {
            let Unheard { token, sent_at, answered_at, cost, evidence, .. } = unheard;
            let evidence = refused.then_some(&evidence);
            self.quota.heard(answered_at, token, Heard { sent_at, cost, refused, evidence });
        }
        has_settled
    }

    /// What was refused is the last of all that probes for others.
    pub(in crate::dispatcher) fn note_suspects(
        &mut self,
        now: Timestamp,
        attempt: &Attempt,
        limits: &[(Scope, Evidence)],
    ) {
        if limits.iter().any(|(scope, evidence)| matches!(scope, Scope::Token(_)) && evidence.limit.is_none()) {
            let suspect = Suspect::of(attempt.route, self.conversation_of(&attempt.batch).as_ref());
            if self.health.can_others_tell(now, &suspect, self.lanes.conversations()) {
                self.health.note_token_refused(suspect, attempt.token);
            }
        }
        if limits.iter().any(|(scope, _)| matches!(scope, Scope::Unknown(_))) {
            let lane = self.outbox.get(attempt.batch.members[0]).lane;
            self.health.note_suspect(attempt.route, lane);
        }
    }

    /// A request was taken: who sends.
    pub(in crate::dispatcher) fn note_passed(&mut self, now: Timestamp, attempt: &Attempt) {
        self.health.note_passed(now, attempt.route);
        if self.health.asks_who_passes(now) {
            let conversation = self.conversation_of(&attempt.batch);
            self.health.note_who_passed(now, attempt.route, conversation.as_ref());
        }
    }

    /// Shuts the lanes of conversations that wait for a limit, and opens those whose time is over.
    pub(in crate::dispatcher) fn shut_lanes(&mut self, now: Timestamp) {
        if self.health.has_limit_change(now) {
            for one in self.health.limit_change(now) {
                match one {
                    LimitChange::Due(conversation) if !self.obtain_conversation_probe(now, &conversation) => {
                        self.lanes.shut(&conversation, Bar::Limit);
                    }
                    LimitChange::Shut(conversation) => self.lanes.shut(&conversation, Bar::Limit),
                    LimitChange::Due(conversation) | LimitChange::Open(conversation) => {
                        self.lanes.open(&conversation, Bar::Limit);
                    }
                }
            }
        }
        self.health.conversation_due_at().into_iter().for_each(|at| self.look_again(at));
    }

    /// Whether this host may find out for the fleet whether the limit of a conversation is over. If not, it looks
    /// again.
    fn obtain_conversation_probe(&mut self, now: Timestamp, conversation: &Arc<str>) -> bool {
        // Without a message of it there is nothing to probe with, and others may have one.
        if self.membership.is_none() || !self.lanes.has(conversation) {
            return true;
        }
        let may_probe = self.obtain_probe(now, &lease::Scope::Conversation(Box::from(&**conversation)));
        if !may_probe {
            self.health.look_at_conversations_by(now.after(LOOK_AGAIN));
        }
        may_probe
    }

    /// Until when a bound batch waits for its conversations' limits; `None` if it may go.
    pub(in crate::dispatcher) fn batch_waits(&mut self, now: Timestamp, batch: &Batch) -> Option<Timestamp> {
        if !self.health.has_limited_conversations() {
            return None;
        }
        let conversations: Vec<Arc<str>> = self.conversations_of(batch).cloned().collect();
        let waits = conversations.iter().filter_map(|one| match self.health.conversation_pass(now, one) {
            Pass::Free => None,
            Pass::Probe => (!self.obtain_conversation_probe(now, one)).then(|| now.after(LOOK_AGAIN)),
            Pass::Shut(at) | Pass::AwaitProbe(Some(at)) => Some(at),
            Pass::AwaitProbe(None) => Some(now.after(LOOK_AGAIN)),
        });
        waits.max()
    }

    /// A request is about to leave: it probes the limits of its conversations that are due.
    pub(in crate::dispatcher) fn tell_departure(&mut self, now: Timestamp, id: AttemptId, batch: &Batch) {
        if !self.health.has_limited_conversations() {
            return;
        }
        let conversations: Vec<Arc<str>> = self.conversations_of(batch).cloned().collect();
        conversations.iter().for_each(|one| self.health.departs_with(now, id, one));
    }
}
