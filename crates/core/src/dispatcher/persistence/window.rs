//! How much of the outbox waits in memory, where there is a store that has the rest; and when to look for what is next.

use crate::dispatcher::outbox::Outbox;

/// Messages and bytes that wait in memory apart from what is on its way; a backlog beyond them waits in the store only.
const HOT_MESSAGES_MAX: usize = 8_192;
const HOT_BYTES_MAX: usize = 8_388_608;

/// Bytes of bodies in memory apart from what is on the wire, up to which a message that comes back from there, or waits
/// for a scheduled time, keeps its body: half of what may be loaded ahead.
const WAITING_BYTES_MAX: usize = 33_554_432;

/// Of the messages that are asked for ahead, this part leaves before the next look.
const LOOKS_PER_AHEAD: usize = 4;

#[derive(Clone, Copy, Debug)]
pub(in crate::dispatcher) struct Window {
    messages: usize,
    bytes: usize,
    waiting_bytes: usize,
    /// How many more messages leave before the next check for cold messages whose turn is near.
    leaves_to_look: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { messages: HOT_MESSAGES_MAX, bytes: HOT_BYTES_MAX, waiting_bytes: WAITING_BYTES_MAX, leaves_to_look: 0 }
    }
}

impl Window {
    /// Fewer messages in memory, and the bodies of none that goes on waiting.
    pub(in crate::dispatcher) fn shrink_to(&mut self, messages: usize) {
        (self.messages, self.waiting_bytes) = (messages, 0);
    }

    /// Whether more is in memory than is to be: then the newest cool.
    pub(in crate::dispatcher) fn is_exceeded_by(&self, outbox: &Outbox) -> bool {
        let (messages, bytes) = outbox.hot();
        messages > self.messages || bytes > self.bytes
    }

    /// Whether bodies of as many bytes are more than what goes on waiting may keep in memory.
    pub(in crate::dispatcher) fn is_exceeded_by_waiting(&self, bytes: usize) -> bool {
        bytes > self.waiting_bytes
    }

    /// As many messages leave. Whether it is time to look ahead.
    pub(in crate::dispatcher) fn note_leaving(&mut self, messages: usize) -> bool {
        // A batch may be larger than what is left.
        self.leaves_to_look = self.leaves_to_look.saturating_sub(messages);
        self.leaves_to_look == 0
    }

    /// As many messages ahead were looked at.
    pub(in crate::dispatcher) fn note_looked(&mut self, ahead: usize) {
        self.leaves_to_look = ahead / LOOKS_PER_AHEAD;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_ahead_lasts_for_a_part_of_what_it_saw() {
        let mut window = Window::default();
        assert!(window.note_leaving(1), "nobody has looked yet");
        window.note_looked(8);
        assert!(!window.note_leaving(1));
        assert!(window.note_leaving(3), "a batch takes more than was left");
        assert!(window.note_leaving(1), "until somebody looks");
    }

    #[test]
    fn a_small_window_keeps_no_body_of_what_goes_on_waiting() {
        let mut window = Window::default();
        assert!(!window.is_exceeded_by_waiting(WAITING_BYTES_MAX));
        assert!(window.is_exceeded_by_waiting(WAITING_BYTES_MAX + 1));
        window.shrink_to(4);
        assert!(window.is_exceeded_by_waiting(1));
        assert!(!window.is_exceeded_by(&Outbox::default()));
    }
}
