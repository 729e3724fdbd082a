//! A refused message or batch that is held, and what is known of those that were accepted meanwhile.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::dispatcher::outcome::settle::Reply;
use crate::dispatcher::schedule::batch::Batch;
use crate::lanes::EntryId;

/// A conversation that had a message accepted within this time is likely to have another one soon.
pub(super) const RECENT: Duration = Duration::from_secs(10);
/// As many conversations as are refused before it is taken for an outage, and one more.
const RECENT_MAX: usize = 3;
/// While all of them are younger than this, no new one is noted: it would cost a busy queue something per message.
const RENEWED_AFTER: Duration = Duration::from_secs(1);

/// A refused message or batch that is held.
#[derive(Debug)]
pub(super) struct Suspect {
    pub(super) batch: Batch,
    pub(super) reply: Reply,
    pub(super) left_at: Timestamp,
    pub(super) until: Timestamp,
    /// The answer asks not to be asked again before. Up to `retry.maxPauseMs`.
    pub(super) asked_until: Timestamp,
    /// The answer says that it is the conversation that is over.
    pub(super) is_about_conversation: bool,
    /// Others were refused in the same way, or there were none: the first success after that tells nothing of it, but
    /// that it is worth another attempt.
    pub(super) is_open: bool,
}

#[derive(Debug, Default)]
pub(in crate::dispatcher) struct Suspects {
    pub(super) held: Vec<Suspect>,
    /// When the first of them has been held for too long.
    pub(super) judged_at: Option<Timestamp>,
    /// When the latest request left whose message was accepted.
    pub(super) accepted_left_at: Option<Timestamp>,
    /// The conversations that had messages accepted last, and when; the latest first.
    recent: Vec<(Arc<str>, Timestamp)>,
}

impl Suspects {
    pub(in crate::dispatcher) fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.held.iter().map(|suspect| &suspect.batch)
    }

    pub(in crate::dispatcher) fn batches_mut(&mut self) -> impl Iterator<Item = &mut Batch> {
        self.held.iter_mut().map(|suspect| &mut suspect.batch)
    }

    /// How many refused messages are held.
    pub(in crate::dispatcher) fn messages(&self) -> usize {
        self.batches().map(|batch| batch.members.len()).sum()
    }

    /// When a message is tried again that is held, if nobody tells before.
    pub(in crate::dispatcher) fn until(&self, entry_id: EntryId) -> Option<Timestamp> {
        self.held.iter().find(|suspect| suspect.batch.all().any(|held| held == entry_id)).map(|suspect| suspect.until)
    }

    /// Takes those out of which that holds, by their places and what is known of them.
    pub(super) fn take(&mut self, ends: impl Fn(usize, &Suspect) -> bool) -> Vec<Suspect> {
        let mut looked_at = 0;
        let takes = |suspect: &mut Suspect| {
            looked_at += 1;
            ends(looked_at - 1, suspect)
        };
        self.held.extract_if(.., takes).collect()
    }

    /// A message of this conversation was accepted.
    pub(in crate::dispatcher) fn note_accepted(&mut self, now: Timestamp, conversation: &Arc<str>) {
        let oldest = self.recent.get(RECENT_MAX - 1);
        if oldest.is_some_and(|(_, at)| now.since(*at) < RENEWED_AFTER) {
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
    pub(super) fn recent(&self, now: Timestamp) -> impl Iterator<Item = &Arc<str>> {
        self.recent.iter().filter(move |(_, at)| now.since(*at) <= RECENT).map(|(name, _)| name)
    }

    pub(super) fn has_accepted_since(&self, left_at: Timestamp) -> bool {
        self.accepted_left_at.is_some_and(|accepted| accepted >= left_at)
    }
}
