//! Conversations that the server has reported as over: which of them are waiting for a turn, and which are having their
//! messages buried.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::clock::Timestamp;
use crate::dispatcher::outcome::settle::Reply;

/// Conversations tracked at a time. Beyond that, the least recently refused one is dropped.
const ENDED_MAX: usize = 1_024;
/// After this many refusals in a row, a conversation has to wait for its turn.
const REFUSALS_MIN: u32 = 2;
/// A conversation with nothing to send leaves the line after this time.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// A conversation whose last message was refused.
#[derive(Debug)]
struct Ending {
    refusals: u32,
    since: Timestamp,
    at: Timestamp,
    waits: bool,
}

/// A conversation whose messages are being buried, up to the last one accepted before the refusal.
#[derive(Clone, Debug)]
pub(in crate::dispatcher) struct Burial {
    pub(in crate::dispatcher) conversation: Arc<str>,
    /// The newest sequence number when the answer came. Messages accepted later are tried: the conversation may be
    /// back.
    pub(in crate::dispatcher) up_to: u64,
    pub(in crate::dispatcher) told: Reply,
}

#[derive(Debug, Default)]
pub(in crate::dispatcher) struct Endings {
    endings: HashMap<Arc<str>, Ending>,
    /// Conversations that wait for their turn, each shut.
    turns: VecDeque<Arc<str>>,
    next_turn: Option<Timestamp>,
    burials: VecDeque<Burial>,
}

impl Endings {
    pub(in crate::dispatcher) fn is_empty(&self) -> bool {
        self.endings.is_empty() && self.burials.is_empty()
    }

    /// Records a refusal. Returns the conversation that was dropped to make room for this one.
    pub(in crate::dispatcher) fn note(&mut self, now: Timestamp, conversation: &Arc<str>) -> Option<Arc<str>> {
        let mut forgotten = None;
        if self.endings.len() >= ENDED_MAX && !self.endings.contains_key(conversation) {
            forgotten = self.endings.iter().min_by_key(|(_, ending)| ending.at).map(|(name, _)| Arc::clone(name));
            forgotten.iter().for_each(|name| self.forget(name));
        }
        let new = Ending { refusals: 0, since: now, at: now, waits: false };
        let ending = self.endings.entry(Arc::clone(conversation)).or_insert(new);
        ending.refusals = ending.refusals.saturating_add(1);
        ending.at = now;
        forgotten
    }

    /// Puts a conversation in line if it has been refused often enough. Returns whether it is in line now.
    pub(in crate::dispatcher) fn line_up(&mut self, conversation: &Arc<str>) -> bool {
        let Some(ending) = self.endings.get_mut(conversation).filter(|ending| ending.refusals >= REFUSALS_MIN) else {
            return false;
        };
        if !std::mem::replace(&mut ending.waits, true) {
            self.turns.push_back(Arc::clone(conversation));
        }
        true
    }

    /// The conversation is alive after all, or an operator says so.
    pub(in crate::dispatcher) fn forget(&mut self, conversation: &str) {
        self.burials.retain(|burial| *burial.conversation != *conversation);
        if self.endings.remove(conversation).is_some_and(|ending| ending.waits) {
            self.turns.retain(|other| **other != *conversation);
        }
    }

    /// Removes conversations from the line that have nothing to send and have not been refused for a while.
    pub(in crate::dispatcher) fn take_idle(
        &mut self,
        now: Timestamp,
        has_messages: impl Fn(&str) -> bool,
    ) -> Vec<Arc<str>> {
        let mut idle = Vec::new();
        self.turns.retain(|name| {
            let Some(ending) = self.endings.get_mut(name) else { unreachable!("whatever waits has been refused") };
            ending.waits = now.since(ending.at) < IDLE_MAX || has_messages(name);
            if !ending.waits {
                idle.push(Arc::clone(name));
            }
            ending.waits
        });
        idle
    }

    /// The first conversation in line with messages: the time of its turn or, if that has come, the conversation
    /// itself, which leaves the line.
    pub(in crate::dispatcher) fn next(&mut self, now: Timestamp, has_messages: impl Fn(&str) -> bool) -> Option<Turn> {
        let place = self.turns.iter().position(|name| has_messages(name))?;
        if let Some(at) = self.next_turn.filter(|at| *at > now) {
            return Some(Turn::At(at));
        }
        let name = self.turns.remove(place)?;
        let Some(ending) = self.endings.get_mut(&name) else { unreachable!("whatever waits has been refused") };
        ending.waits = false;
        Some(Turn::Now(name))
    }

    /// No conversation has a turn before this time.
    pub(in crate::dispatcher) fn set_next_turn(&mut self, at: Timestamp) {
        self.next_turn = Some(at);
    }

    /// Moves the next turn to this time, unless one is scheduled already.
    pub(in crate::dispatcher) fn put_off(&mut self, now: Timestamp, at: Timestamp) {
        if self.next_turn.is_none_or(|next| next <= now) {
            self.next_turn = Some(at);
        }
    }

    /// The conversations in line, each with the time of its first refusal and the time of the next turn.
    pub(in crate::dispatcher) fn waiting(&self) -> impl Iterator<Item = (&Arc<str>, Timestamp, Option<Timestamp>)> {
        self.turns.iter().map(|name| (name, self.endings[name].since, self.next_turn))
    }

    /// The same for one conversation, if it is in line.
    pub(in crate::dispatcher) fn waits(&self, conversation: &str) -> Option<(Timestamp, Option<Timestamp>)> {
        let ending = self.endings.get(conversation).filter(|ending| ending.waits)?;
        Some((ending.since, self.next_turn))
    }

    pub(in crate::dispatcher) fn begin_burial(&mut self, burial: Burial) {
        self.burials.retain(|other| other.conversation != burial.conversation);
        self.burials.push_back(burial);
    }

    pub(in crate::dispatcher) fn next_burial(&self) -> Option<Burial> {
        self.burials.front().cloned()
    }

    pub(in crate::dispatcher) fn end_burial(&mut self) -> Option<Burial> {
        self.burials.pop_front()
    }

    /// Lets other burials make progress before this one continues.
    pub(in crate::dispatcher) fn put_burial_last(&mut self) {
        if self.burials.len() > 1 {
            self.burials.rotate_left(1);
        }
    }

    pub(in crate::dispatcher) fn has_burials(&self) -> bool {
        !self.burials.is_empty()
    }
}

/// When a conversation may send one request.
#[derive(Debug)]
pub(in crate::dispatcher) enum Turn {
    Now(Arc<str>),
    At(Timestamp),
}
