//! Burying the messages of a conversation that is over, with `endedConversation: 'bury'`: they become dead letters
//! without being sent. A few per turn, so that neither the engine thread nor the store holds others up.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::dispatcher::outcome::endings::Burial;
use crate::dispatcher::{Dispatcher, Step};
use crate::lanes::{Bar, EntryId, Numbers};
use crate::outcome::Reason;

/// The most messages buried per turn, and the most bytes loaded for it.
const MESSAGES_PER_TURN: usize = 256;
const BYTES_PER_TURN: usize = 1_048_576;
/// The wait between two turns, in which others have theirs.
const TURN_WAIT: Duration = Duration::from_millis(1);
/// The message of a dead letter that was never sent.
const NOT_SENT: &str = "the server said of an earlier message that the conversation is over, so this one was not sent";

impl Dispatcher {
    /// Buries the next messages of the first conversation in line. What is not in memory is loaded first.
    pub(in crate::dispatcher) fn bury_some(&mut self, step: &mut Step<'_>) {
        if self.standing.problem().is_some() {
            return;
        }
        let Some(Burial { conversation, up_to, told }) = self.endings.next_burial() else { return };
        let there_then = self.lanes.waiting_of(&conversation).filter(|entry_id| self.outbox.seq(*entry_id) <= up_to);
        let entry_ids: Vec<EntryId> = there_then.take(MESSAGES_PER_TURN).collect();
        if entry_ids.is_empty() {
            self.endings.end_burial();
            return self.lanes.open(&conversation, Bar::Ended);
        }
        let (loaded, absent): (Vec<EntryId>, Vec<EntryId>) =
            entry_ids.into_iter().partition(|entry_id| self.outbox.is_loaded(*entry_id));
        for entry_id in loaded {
            let reason =
                if self.outbox.delivery_state(entry_id).ambiguous { Reason::Ambiguous } else { Reason::Rejected };
            self.bury(step, entry_id, reason, told.response.clone(), Some(NOT_SENT.to_owned()));
        }
        self.load_within(BYTES_PER_TURN, absent, step.effects);
        self.endings.put_burial_last();
    }

    /// Called at the end of each turn: schedules the next one while there is something left to bury.
    pub(in crate::dispatcher) fn look_for_burial(&mut self, now: Timestamp) {
        if self.endings.has_burials() && self.standing.problem().is_none() {
            self.look_again(now.after(TURN_WAIT));
        }
    }
}
