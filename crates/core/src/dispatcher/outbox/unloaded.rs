//! What only the store has: cold messages, and the bodies of others that wait.

use super::{Outbox, Residency, State, StoredBody, count_of};
use crate::lanes::EntryId;
use crate::message::{Message, Payload};
use crate::store::Seq;

impl Outbox {
    /// Whether the message is in memory with its body, as whatever is sent or ended has to be.
    pub(in crate::dispatcher) fn is_loaded(&self, entry_id: EntryId) -> bool {
        match &self.places[entry_id as usize] {
            Residency::Hot(entry) => self.delivery_states.get(entry.delivery_state).stored_body.is_none(),
            Residency::Cold(_) => false,
        }
    }

    /// Whether something is not in memory.
    pub(in crate::dispatcher) fn has_unloaded(&self) -> bool {
        self.cold > 0 || self.unloaded > 0
    }

    /// Whether the body may wait in the store: the message is not on its way out, and nobody waits for it who could
    /// cancel it.
    pub(in crate::dispatcher) fn may_unload(&self, entry_id: EntryId) -> bool {
        let (entry, delivery_state) = (self.get(entry_id), self.delivery_state(entry_id));
        let waits = matches!(entry.state(), State::Queued | State::Parked(_) | State::Bound);
        let is_free = delivery_state.waiter.is_none() && !delivery_state.canceled;
        waits
            && is_free
            && self.is_loaded(entry_id)
            && matches!(&entry.payload, Payload::Message(_))
            && !entry.payload.is_empty()
    }

    /// Keeps all but the body of a message that the store holds whole.
    pub(in crate::dispatcher) fn unload(&mut self, entry_id: EntryId) {
        debug_assert!(self.may_unload(entry_id), "nothing is lost when a body is unloaded");
        let entry = self.get_mut(entry_id);
        let Payload::Message(message) = &mut entry.payload else { unreachable!("only messages are unloaded") };
        let bytes = message.body().len();
        *message = message.without_body();
        self.delivery_state_mut(entry_id).stored_body = Some(StoredBody::new(count_of(bytes)));
        self.hot_bytes -= bytes;
        self.unloaded += 1;
    }

    /// The body is in memory again; `message` is the same as the store has it. False if this one has its body, or is
    /// another one by now.
    pub(in crate::dispatcher) fn reload(&mut self, entry_id: EntryId, seq: Seq, mut message: Message) -> bool {
        if !self.is_unloaded(entry_id, seq) {
            return false;
        }
        let bytes = self.bytes_of(entry_id);
        let entry = self.get_mut(entry_id);
        let Payload::Message(own) = &mut entry.payload else { unreachable!("only messages are unloaded") };
        debug_assert!(own.id() == message.id() && bytes == message.body().len(), "a number is given once");
        message.share_conversation(own.conversation_shared());
        *own = message;
        self.delivery_state_mut(entry_id).stored_body = None;
        self.hot_bytes += bytes;
        self.unloaded -= 1;
        true
    }

    /// Whether it is the message with this number, in memory but for its body.
    pub(in crate::dispatcher) fn is_unloaded(&self, entry_id: EntryId, seq: Seq) -> bool {
        match self.places.get(entry_id as usize) {
            Some(Residency::Hot(entry)) => {
                entry.seq == seq && self.delivery_states.get(entry.delivery_state).stored_body.is_some()
            }
            Some(Residency::Cold(_)) | None => false,
        }
    }

    /// Notes that a message, or its body, is being loaded: its number. `None` if it is on its way already, or in
    /// memory.
    pub(in crate::dispatcher) fn begin_load(&mut self, entry_id: EntryId) -> Option<Seq> {
        let (seq, loading) = match &mut self.places[entry_id as usize] {
            Residency::Cold(cold) => (cold.seq, &mut cold.loading),
            Residency::Hot(entry) => {
                self.delivery_states.get(entry.delivery_state).stored_body?;
                (entry.seq, &mut self.delivery_states.get_mut(&mut entry.delivery_state).stored_body.as_mut()?.loading)
            }
        };
        (!std::mem::replace(loading, true)).then_some(seq)
    }
}
