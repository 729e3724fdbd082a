//! What only the store has: cold messages, and the bodies of others that wait.

use super::{Outbox, Place, State, StoredBody, count_of};
use crate::lanes::Slot;
use crate::message::{Cargo, Message};
use crate::store::Seq;

impl Outbox {
    /// Whether the message is in memory with its body, as whatever is sent or ended has to be.
    pub(in crate::dispatcher) fn is_loaded(&self, slot: Slot) -> bool {
        match &self.places[slot as usize] {
            Place::Hot(entry) => self.courses.get(entry.course).stored_body.is_none(),
            Place::Cold(_) => false,
        }
    }

    /// Whether something is not in memory.
    pub(in crate::dispatcher) fn has_unloaded(&self) -> bool {
        self.cold > 0 || self.unloaded > 0
    }

    /// Whether the body may wait in the store: the message is not on its way out, and nobody waits for it who could
    /// withdraw it.
    pub(in crate::dispatcher) fn may_unload(&self, slot: Slot) -> bool {
        let (entry, course) = (self.get(slot), self.course(slot));
        let waits = matches!(entry.state(), State::Queued | State::Parked(_) | State::Bound);
        let is_free = course.waiter.is_none() && !course.withdrawn;
        waits && is_free && self.is_loaded(slot) && matches!(&entry.cargo, Cargo::Message(_)) && !entry.cargo.is_empty()
    }

    /// Keeps all but the body of a message that the store holds whole.
    pub(in crate::dispatcher) fn unload(&mut self, slot: Slot) {
        debug_assert!(self.may_unload(slot), "nothing is lost when a body is unloaded");
        let entry = self.get_mut(slot);
        let Cargo::Message(message) = &mut entry.cargo else { unreachable!("only messages are unloaded") };
        let bytes = message.body().len();
        *message = message.without_body();
        self.course_mut(slot).stored_body = Some(StoredBody::new(count_of(bytes)));
        self.hot_bytes -= bytes;
        self.unloaded += 1;
    }

    /// The body is in memory again; `message` is the same as the store has it. False if this one has its body, or is
    /// another one by now.
    pub(in crate::dispatcher) fn reload(&mut self, slot: Slot, seq: Seq, mut message: Message) -> bool {
        if !self.is_unloaded(slot, seq) {
            return false;
        }
        let bytes = self.bytes_of(slot);
        let entry = self.get_mut(slot);
        let Cargo::Message(own) = &mut entry.cargo else { unreachable!("only messages are unloaded") };
        debug_assert!(own.id() == message.id() && bytes == message.body().len(), "a number is given once");
        message.share_conversation(own.conversation_shared());
        *own = message;
        self.course_mut(slot).stored_body = None;
        self.hot_bytes += bytes;
        self.unloaded -= 1;
        true
    }

    /// Whether it is the message with this number, in memory but for its body.
    pub(in crate::dispatcher) fn is_unloaded(&self, slot: Slot, seq: Seq) -> bool {
        match self.places.get(slot as usize) {
            Some(Place::Hot(entry)) => entry.seq == seq && self.courses.get(entry.course).stored_body.is_some(),
            Some(Place::Cold(_)) | None => false,
        }
    }

    /// Notes that a message, or its body, is being loaded: its number. `None` if it is on its way already, or in
    /// memory.
    pub(in crate::dispatcher) fn begin_load(&mut self, slot: Slot) -> Option<Seq> {
        let (seq, loading) = match &mut self.places[slot as usize] {
            Place::Cold(cold) => (cold.seq, &mut cold.loading),
            Place::Hot(entry) => {
                self.courses.get(entry.course).stored_body?;
                (entry.seq, &mut self.courses.get_mut(&mut entry.course).stored_body.as_mut()?.loading)
            }
        };
        (!std::mem::replace(loading, true)).then_some(seq)
    }
}
