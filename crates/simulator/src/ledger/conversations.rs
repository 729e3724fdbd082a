//! What is known of each conversation.

use hashbrown::HashMap;

use super::IDS_MAX;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conversation {
    pub(super) in_flight: u64,
    /// The highest `seq` accepted, with the hash of its message's id.
    pub(super) highest: Option<(f64, u64)>,
}

/// Conversations by number, so that a name is looked up once for a request.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    numbers: HashMap<Box<str>, usize>,
    all: Vec<Conversation>,
}

impl Conversations {
    /// The number of this name; `None` when it is a new one, and there are too many.
    pub(super) fn number(&mut self, name: &str) -> Option<usize> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        let number = self.all.len();
        if number >= IDS_MAX {
            return None;
        }
        self.numbers.insert(name.into(), number);
        self.all.push(Conversation::default());
        Some(number)
    }

    pub(super) fn get_mut(&mut self, number: usize) -> &mut Conversation {
        &mut self.all[number]
    }
}
