//! Messages that wait in a conversation that the server has reported as over. They must not spend everybody's budget
//! one by one: depending on the settings they are all buried after the first answer, or share a small part of the
//! budget.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::dispatcher::Dispatcher;
use crate::dispatcher::outbox::State;
use crate::dispatcher::outcome::endings::{Burial, Turn};
use crate::dispatcher::outcome::settle::Reply;
use crate::dispatcher::schedule::batch::Batch;
use crate::lanes::{Bar, EntryId};
use crate::message::Payload;
use crate::outcome::Response;
use crate::retry::{Ended, says_ended};
use crate::settings::EndedConversation;
use crate::stats::{Closure, ENDED, Pause, PauseScope};

/// All ended conversations together get one in this many requests; more when nobody else wants the budget.
const SHARE_BESIDE_OTHERS: u32 = 20;
const SHARE_ALONE: u32 = 2;
/// The bounds of the time between two of their requests.
const TURN_WAIT_MIN: Duration = Duration::from_millis(10);
const TURN_WAIT_MAX: Duration = Duration::from_secs(10);

impl Dispatcher {
    /// The conversations in a refused batch that the answer reports as over.
    pub(in crate::dispatcher) fn ended_by(&self, batch: &Batch, told: &Reply) -> Vec<Arc<str>> {
        let Some(response) = &told.response else { return Vec::new() };
        let is_in_path = self.settings.route.names_conversation();
        let mut ended: Vec<Arc<str>> = Vec::new();
        for conversation in self.conversations_of(batch) {
            if !ended.contains(conversation) && says_ended(response, conversation, is_in_path).is_some() {
                ended.push(Arc::clone(conversation));
            }
        }
        ended
    }

    /// Whether a refusal names a conversation of this batch, and so says nothing about others.
    pub(in crate::dispatcher) fn names_conversation_of(&self, batch: &Batch, response: &Response) -> bool {
        let is_in_path = self.settings.route.names_conversation();
        let is_named = |name: &Arc<str>| says_ended(response, name, is_in_path) == Some(Ended::Named);
        self.conversations_of(batch).any(is_named)
    }

    /// A message was buried because the server says that its conversation is over.
    pub(in crate::dispatcher) fn conversation_ended(&mut self, now: Timestamp, conversation: &Arc<str>, told: &Reply) {
        // What is left of a batch goes back to the lane, where the conversation's turns are kept.
        self.return_to_lane(conversation);
        match self.settings.retry.ended_conversation {
            EndedConversation::Bury => {
                let burial =
                    Burial { conversation: Arc::clone(conversation), up_to: self.accepted, told: told.clone() };
                self.endings.begin_burial(burial);
                self.lanes.shut(conversation, Bar::Ended);
            }
            EndedConversation::Each => {
                let forgotten = self.endings.note(now, conversation);
                forgotten.into_iter().for_each(|name| self.lanes.open(&name, Bar::Ended));
                if self.endings.line_up(conversation) {
                    self.lanes.shut(conversation, Bar::Ended);
                    let next = now.after(self.turn_wait(conversation));
                    self.endings.put_off(now, next);
                }
            }
        }
    }

    /// Takes a conversation's messages out of waiting batches, except out of those that the server may already know.
    fn return_to_lane(&mut self, conversation: &Arc<str>) {
        let bound: Vec<EntryId> =
            self.bound.iter().flat_map(Batch::all).filter(|entry_id| self.is_of(*entry_id, conversation)).collect();
        for entry_id in bound.into_iter().rev() {
            debug_assert!(self.outbox.get(entry_id).state() == State::Bound, "it waits in a batch");
            if self.bound.iter_mut().any(|batch| batch.remove(entry_id)) {
                self.unpark(entry_id);
            }
        }
    }

    fn is_of(&self, entry_id: EntryId, conversation: &Arc<str>) -> bool {
        matches!(&self.outbox.get(entry_id).payload, Payload::Message(message) if message.conversation_shared() == conversation)
    }

    /// The server accepted this message, so its conversation is alive.
    pub(in crate::dispatcher) fn conversation_lives(&mut self, entry_id: EntryId) {
        if self.endings.is_empty() {
            return;
        }
        if let Payload::Message(message) = &self.outbox.get(entry_id).payload {
            let conversation = Arc::clone(message.conversation_shared());
            self.try_conversation_again(&conversation);
        }
    }

    /// From now on its messages are sent like any others.
    pub(in crate::dispatcher) fn try_conversation_again(&mut self, conversation: &str) {
        self.endings.forget(conversation);
        self.lanes.open(conversation, Bar::Ended);
    }

    /// Lets the next ended conversation send one request, if its time has come.
    pub(in crate::dispatcher) fn give_turn(&mut self, now: Timestamp) {
        if self.endings.is_empty() {
            return;
        }
        let lanes = &self.lanes;
        let has_messages = |name: &str| lanes.queued_of(name) > 0;
        let idle = self.endings.take_idle(now, has_messages);
        let turn = self.endings.next(now, has_messages);
        idle.iter().for_each(|name| self.lanes.open(name, Bar::Ended));
        match turn {
            Some(Turn::At(at)) => self.look_again(at),
            Some(Turn::Now(conversation)) => {
                self.endings.set_next_turn(now.after(self.turn_wait(&conversation)));
                self.lanes.open(&conversation, Bar::Ended);
            }
            None => {}
        }
    }

    /// The time between two turns that keeps ended conversations to their share of the budget.
    fn turn_wait(&self, next: &str) -> Duration {
        let of_next = if self.endings.waits(next).is_some() { 0 } else { self.lanes.queued_of(next) };
        let of_ended: usize = self.endings.waiting().map(|(name, ..)| self.lanes.queued_of(name)).sum();
        let others_wait = self.lanes.queued() > of_ended + of_next;
        let share = if others_wait { SHARE_BESIDE_OTHERS } else { SHARE_ALONE };
        let believed = self.quota.believed();
        let per_request = believed.iter().map(|limit| limit.per / limit.share.unwrap_or(limit.requests).max(1)).max();
        per_request.unwrap_or_default().saturating_mul(share).clamp(TURN_WAIT_MIN, TURN_WAIT_MAX)
    }

    /// A request was made for this batch: its ended conversations go to the back of the line.
    pub(in crate::dispatcher) fn spend_turns(&mut self, batch: &Batch) {
        if self.endings.is_empty() {
            return;
        }
        let conversations: Vec<Arc<str>> = self.conversations_of(batch).cloned().collect();
        for conversation in conversations {
            if self.endings.line_up(&conversation) {
                self.lanes.shut(&conversation, Bar::Ended);
            }
        }
    }

    /// The conversations in line, for `stats()`.
    pub(in crate::dispatcher) fn ended_pauses(&self) -> impl Iterator<Item = Pause> {
        let waiting = self.endings.waiting().filter(|(name, ..)| self.lanes.queued_of(name) > 0);
        waiting.map(|(name, since, next)| ended_pause(name, since, next))
    }

    pub(in crate::dispatcher) fn ended_pause_of(&self, conversation: &Arc<str>) -> Option<Pause> {
        let (since, next) = self.endings.waits(conversation)?;
        Some(ended_pause(conversation, since, next))
    }
}

fn ended_pause(conversation: &Arc<str>, since: Timestamp, next_probe: Option<Timestamp>) -> Pause {
    let closure = Closure { reason: ENDED, since, until: None, next_probe };
    Pause { scope: PauseScope::Conversation(Arc::clone(conversation)), limit: None, closure }
}
