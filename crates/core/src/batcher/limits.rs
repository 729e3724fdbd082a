//! How large a batch may be: the settings, and below them what the server was seen to take.

use crate::settings::BatchSettings;

/// Batches of the largest size that pass before a larger one is tried.
const PASSES_TO_GROW: u32 = 20;
/// A larger one has this share more: an eighth.
const GROWTH_DIVISOR: usize = 8;

/// The working size, learned from 413.
///
/// ```
/// use spillway_core::batcher::Limits;
/// use spillway_core::settings::{BatchMode, BatchSettings};
///
/// let mut limits = Limits::new(&BatchSettings::of(BatchMode::Array));
/// limits.too_large(10, 200_000);
/// assert_eq!((limits.messages(), limits.bytes()), (5, 100_000), "half of what was refused");
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    ceiling: (usize, usize),
    messages: usize,
    bytes: usize,
    passes: u32,
}

impl Limits {
    /// Begins at the settings.
    pub fn new(settings: &BatchSettings) -> Self {
        let ceiling = (settings.max_messages, settings.max_bytes);
        Self { ceiling, messages: ceiling.0, bytes: ceiling.1, passes: 0 }
    }

    /// Messages in a batch now.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// Bytes of a batch's body now.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The server found a batch too large: the working size is half of it.
    pub fn too_large(&mut self, messages: usize, bytes: usize) {
        self.messages = self.messages.min(messages / 2).max(1);
        self.bytes = self.bytes.min(bytes / 2).max(1);
        self.passes = 0;
    }

    /// A batch passed; after a row of full ones a larger one is tried.
    pub fn passed(&mut self, messages: usize, bytes: usize) {
        let is_learned = self.messages < self.ceiling.0 || self.bytes < self.ceiling.1;
        if !is_learned || (messages < self.messages && bytes < self.bytes / 2) {
            return;
        }
        self.passes += 1;
        if self.passes >= PASSES_TO_GROW {
            self.passes = 0;
            let grown = |size: usize, ceiling: usize| (size + (size / GROWTH_DIVISOR).max(1)).min(ceiling);
            self.messages = grown(self.messages, self.ceiling.0);
            self.bytes = grown(self.bytes, self.ceiling.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::BatchMode;

    #[test]
    fn halves_remembers_and_grows_again() {
        let settings = BatchSettings { max_messages: 16, max_bytes: 1_600, ..BatchSettings::of(BatchMode::Array) };
        let mut limits = Limits::new(&settings);
        limits.too_large(16, 1_600);
        assert_eq!((limits.messages(), limits.bytes()), (8, 800));
        limits.too_large(1, 1);
        assert_eq!((limits.messages(), limits.bytes()), (1, 1));
        for _ in 0..100 * PASSES_TO_GROW {
            limits.passed(limits.messages(), limits.bytes());
        }
        assert_eq!((limits.messages(), limits.bytes()), (16, 1_600));
    }
}
