//! Messages and calls that wait for a limit of their route or conversation while everything else is sent.

use std::sync::Arc;
use std::time::Duration;

use super::Dispatcher;
use super::attempts::Attempt;
use super::deliver::TOO_MANY;
use super::health::{LaneNews, Pass, Scope};
use super::load::Load;
use crate::batcher::Item;
use crate::clock::Timestamp;
use crate::evidence::Evidence;
use crate::lanes::Bar;
use crate::message::Cargo;
use crate::retry::{Answer, Verdict};

/// A bound batch whose conversation is being probed looks again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Dispatcher {
    /// The limits that an answer tells of, each with what it says about it: one for a request that is refused; of an
    /// array whose messages have a status each, that of each message that is.
    pub(super) fn limits_met(
        &self,
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
            let conversation = self.conversation_of(&attempt.load);
            return vec![(self.health.scope_of(attempt.route, conversation, evidence), evidence.clone())];
        };
        let mut limits: Vec<(Scope, Evidence)> = Vec::new();
        for (item, slot) in items.iter().zip(&attempt.load.members) {
            let Some(item) = item.as_ref().filter(|item| item.status == TOO_MANY) else { continue };
            let mut evidence = evidence.clone();
            evidence.add_refusal(&item.body);
            let conversation = self.conversation_of(&Load::of_one(*slot));
            let scope = self.health.scope_of(attempt.route, conversation, &evidence);
            if !limits.iter().any(|(known, _)| *known == scope) {
                limits.push((scope, evidence));
            }
        }
        limits
    }

    /// The conversation of a load, if all of it is of one.
    fn conversation_of(&self, load: &Load) -> Option<Arc<str>> {
        let mut conversations = self.conversations_of(load);
        let first = conversations.next()?;
        conversations.all(|other| other == first).then(|| Arc::clone(first))
    }

    /// The conversations of its messages; each message's.
    pub(super) fn conversations_of(&self, load: &Load) -> impl Iterator<Item = &Arc<str>> {
        load.members.iter().filter_map(|slot| match &self.outbox.get(*slot).cargo {
            Cargo::Message(message) => Some(message.conversation_shared()),
            Cargo::Call(_) => None,
        })
    }

    /// Shuts the lanes of conversations that wait for a limit, and opens those whose time is over.
    pub(super) fn shut_lanes(&mut self, now: Timestamp) {
        if self.health.has_lane_news(now) {
            for one in self.health.lane_news(now) {
                match one {
                    LaneNews::Shut(conversation) => self.lanes.shut(&conversation, Bar::Limit),
                    LaneNews::Open(conversation) => self.lanes.open(&conversation, Bar::Limit),
                }
            }
        }
        self.health.conversation_due_at().into_iter().for_each(|at| self.look_again(at));
    }

    /// Until when a bound load waits for its conversations' limits; none if it may go.
    pub(super) fn load_waits(&mut self, now: Timestamp, load: &Load) -> Option<Timestamp> {
        if !self.health.has_limited_conversations() {
            return None;
        }
        let conversations: Vec<Arc<str>> = self.conversations_of(load).cloned().collect();
        let waits = conversations.iter().filter_map(|one| match self.health.conversation_pass(now, one) {
            Pass::Free | Pass::Probe => None,
            Pass::Shut(at) | Pass::AwaitProbe(Some(at)) => Some(at),
            Pass::AwaitProbe(None) => Some(now.after(LOOK_AGAIN)),
        });
        waits.max()
    }

    /// A request is about to leave: it probes the limits of its conversations that are due.
    pub(super) fn tell_departure(&mut self, now: Timestamp, id: super::AttemptId, load: &Load) {
        if !self.health.has_limited_conversations() {
            return;
        }
        let conversations: Vec<Arc<str>> = self.conversations_of(load).cloned().collect();
        conversations.iter().for_each(|one| self.health.departs_with(now, id, one));
    }
}
