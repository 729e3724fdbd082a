//! Dead letters: kept whole, in the order of their making, bounded in number and bytes.

use std::collections::{BTreeMap, HashMap};

use crate::outcome::DeadLetter;
use crate::totals::Amount;

/// Beyond these the oldest letters are dropped, and counted.
const LETTERS_MAX: usize = 100_000;
const LETTER_BYTES_MAX: usize = 268_435_456;
/// How much of an answer's body a letter keeps.
pub(in crate::dispatcher) const RESPONSE_BYTES_MAX: usize = 8_192;

#[derive(Debug, Default)]
pub(in crate::dispatcher) struct Letters {
    letters: BTreeMap<u64, DeadLetter>,
    by_id: HashMap<Box<str>, u64>,
    next: u64,
    bytes: usize,
    by_reason: BTreeMap<&'static str, usize>,
}

impl Letters {
    /// Keeps a letter, of at most `max`; the ids of old ones that had to go for it.
    pub(in crate::dispatcher) fn add(&mut self, letter: DeadLetter, max: Amount) -> Vec<Box<str>> {
        let max = max.at_most(Amount { count: LETTERS_MAX, bytes: LETTER_BYTES_MAX });
        let id = id_of(&letter);
        self.next += 1;
        self.by_id.insert(id.into(), self.next);
        self.enter(self.next, letter);
        let mut dropped = Vec::new();
        while self.letters.len() > max.count || (self.bytes > max.bytes && self.letters.len() > 1) {
            let Some((_, oldest)) = self.letters.first_key_value() else { unreachable!("more than none is there") };
            let oldest: Box<str> = id_of(oldest).into();
            self.take(&oldest);
            dropped.push(oldest);
        }
        dropped
    }

    pub(in crate::dispatcher) fn take(&mut self, id: &str) -> Option<DeadLetter> {
        self.take_numbered(id).map(|(_, letter)| letter)
    }

    /// The same, with its number.
    pub(in crate::dispatcher) fn take_numbered(&mut self, id: &str) -> Option<(u64, DeadLetter)> {
        let number = self.by_id.remove(id)?;
        let Some(letter) = self.letters.remove(&number) else { unreachable!("a letter is found by its id as well") };
        self.bytes -= letter.bytes();
        let count = self.by_reason.get_mut(letter.failure.reason.word());
        let Some(count) = count else { unreachable!("each letter is counted by its reason") };
        *count -= 1;
        Some((number, letter))
    }

    fn enter(&mut self, number: u64, letter: DeadLetter) {
        self.bytes += letter.bytes();
        *self.by_reason.entry(letter.failure.reason.word()).or_default() += 1;
        self.letters.insert(number, letter);
    }

    /// One that was taken is there again, in its place.
    pub(in crate::dispatcher) fn put_back(&mut self, number: u64, letter: DeadLetter) {
        let earlier = self.by_id.insert(id_of(&letter).into(), number);
        debug_assert!(earlier.is_none(), "its id was in the outbox meanwhile");
        self.enter(number, letter);
    }

    /// How many there are of each reason, by its word.
    pub(in crate::dispatcher) fn by_reason(&self) -> Vec<(&'static str, usize)> {
        self.by_reason.iter().map(|(reason, count)| (*reason, *count)).filter(|(_, count)| *count > 0).collect()
    }

    pub(in crate::dispatcher) fn numbered(&self, number: u64) -> Option<&DeadLetter> {
        self.letters.get(&number)
    }

    pub(in crate::dispatcher) fn get(&self, id: &str) -> Option<&DeadLetter> {
        self.letters.get(self.by_id.get(id)?)
    }

    /// Letters behind the number `after`, with theirs.
    pub(in crate::dispatcher) fn page(&self, after: u64) -> impl Iterator<Item = (u64, &DeadLetter)> {
        self.letters.range(after.saturating_add(1)..).map(|(number, letter)| (*number, letter))
    }

    /// The number of the newest letter that there ever was.
    pub(in crate::dispatcher) fn newest(&self) -> u64 {
        self.next
    }

    pub(in crate::dispatcher) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(in crate::dispatcher) fn amount(&self) -> Amount {
        Amount { count: self.letters.len(), bytes: self.bytes }
    }
}

/// Only messages become letters.
fn id_of(letter: &DeadLetter) -> &str {
    match letter.payload.id() {
        Some(id) => id,
        None => unreachable!("a dead letter is a message, which has an id"),
    }
}
