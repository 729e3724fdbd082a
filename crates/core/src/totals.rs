//! What the organizations of a process hold together. Each has limits of its own; a thousand of them need common ones.
//!
//! At a common limit nobody is starved: an organization may always hold a small share, and beyond it nobody grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// All outboxes and waiting rooms, and the bytes of bodies in them, as far as these are in memory.
const ALL_MESSAGES_MAX: usize = 10_000_000;
const ALL_BYTES_MAX: usize = 4_294_967_296;
/// All dead letters, and the bytes of their bodies and answers.
const ALL_LETTERS_MAX: usize = 1_000_000;
const ALL_LETTER_BYTES_MAX: usize = 1_073_741_824;
/// All remembered ids of delivered messages. About 400 MB when full.
const ALL_IDS_MAX: usize = 4_000_000;
/// What an organization may hold of each, and in bytes, however much the others hold.
const COUNT_ALWAYS: usize = 1_000;
const BYTES_ALWAYS: usize = 1_048_576;

/// A number of things and of their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub count: usize,
    /// How many bytes.
    pub bytes: usize,
}

impl Amount {
    /// What an organization may hold in any case.
    pub(crate) const ALWAYS: Self = Self { count: COUNT_ALWAYS, bytes: BYTES_ALWAYS };

    /// The larger of each.
    pub(crate) fn at_least(self, other: Self) -> Self {
        Self { count: self.count.max(other.count), bytes: self.bytes.max(other.bytes) }
    }

    /// The smaller of each.
    pub(crate) fn at_most(self, other: Self) -> Self {
        Self { count: self.count.min(other.count), bytes: self.bytes.min(other.bytes) }
    }
}

/// What one organization holds, or all do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Messages and requests in outboxes and waiting rooms, and the bytes of bodies that are in memory.
    pub queue: Amount,
    /// Dead letters, and the bytes of their bodies and answers.
    pub letters: Amount,
    /// Remembered ids of delivered messages.
    pub ids: usize,
}

#[derive(Debug, Default)]
struct Total {
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl Total {
    fn change(&self, from: Amount, to: Amount) {
        for (total, from, to) in [(&self.count, from.count, to.count), (&self.bytes, from.bytes, to.bytes)] {
            if from != to {
                // It wraps, so the order of both is of no account.
                total.fetch_add(to.wrapping_sub(from), Ordering::Relaxed);
            }
        }
    }

    fn held(&self) -> Amount {
        Amount { count: self.count.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    fn is_full(&self, max: Amount) -> bool {
        let held = self.held();
        held.count >= max.count || held.bytes >= max.bytes
    }
}

/// What is held together, and how much it may be.
///
/// ```
/// use spillway_core::totals::{Amount, Holdings, Totals};
///
/// let max = Holdings { queue: Amount { count: 1_000, bytes: 1 << 20 }, ..Holdings::default() };
/// let totals = Totals::new(max);
/// assert_eq!((totals.held(), totals.max()), (Holdings::default(), max));
/// ```
#[derive(Debug)]
pub struct Totals {
    queue: Total,
    letters: Total,
    ids: Total,
    max: Holdings,
}

impl Default for Totals {
    fn default() -> Self {
        Self::new(Holdings {
            queue: Amount { count: ALL_MESSAGES_MAX, bytes: ALL_BYTES_MAX },
            letters: Amount { count: ALL_LETTERS_MAX, bytes: ALL_LETTER_BYTES_MAX },
            ids: ALL_IDS_MAX,
        })
    }
}

impl Totals {
    /// Totals of which nothing is held yet.
    pub fn new(max: Holdings) -> Self {
        Self { queue: Total::default(), letters: Total::default(), ids: Total::default(), max }
    }

    /// What is held.
    pub fn held(&self) -> Holdings {
        Holdings { queue: self.queue.held(), letters: self.letters.held(), ids: self.ids.held().count }
    }

    /// How much that may be.
    pub fn max(&self) -> Holdings {
        self.max
    }
}

/// One organization's part of the totals, which ends when it is dropped. It is counted again once per turn.
#[derive(Debug, Default)]
pub(crate) struct Part {
    totals: Arc<Totals>,
    own: Holdings,
}

impl Part {
    pub(crate) fn new(totals: Arc<Totals>) -> Self {
        Self { totals, own: Holdings::default() }
    }

    /// The organization holds this much now.
    pub(crate) fn set(&mut self, own: Holdings) {
        let of_ids = |holdings: Holdings| Amount { count: holdings.ids, bytes: 0 };
        let Totals { queue, letters, ids, .. } = &*self.totals;
        queue.change(self.own.queue, own.queue);
        letters.change(self.own.letters, own.letters);
        ids.change(of_ids(self.own), of_ids(own));
        self.own = own;
    }

    /// Whether the queues of all are full.
    pub(crate) fn is_queue_full(&self) -> bool {
        self.totals.queue.is_full(self.totals.max.queue)
    }

    /// What the organization's letters may be of at most, which hold `own` now.
    pub(crate) fn letters_max(&self, own: Amount) -> Amount {
        let is_full = self.totals.letters.is_full(self.totals.max.letters);
        if is_full { own.at_least(Amount::ALWAYS) } else { Amount { count: usize::MAX, bytes: usize::MAX } }
    }

    /// How many ids the organization may remember at most, which remembers `own` now.
    pub(crate) fn ids_max(&self, own: usize) -> usize {
        if self.totals.ids.held().count >= self.totals.max.ids { own.max(COUNT_ALWAYS) } else { usize::MAX }
    }

    /// What all hold, and may hold.
    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.set(Holdings::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(count: usize, bytes: usize) -> Holdings {
        Holdings { queue: Amount { count, bytes }, ..Holdings::default() }
    }

    #[test]
    fn parts_add_up_and_what_is_dropped_is_held_no_more() {
        let totals = Arc::new(Totals::new(queue(10, 1_000)));
        let [mut one, mut other] = [Part::new(Arc::clone(&totals)), Part::new(Arc::clone(&totals))];
        one.set(queue(4, 100));
        other.set(queue(5, 200));
        assert_eq!(totals.held(), queue(9, 300));
        assert!(!one.is_queue_full());
        one.set(queue(5, 90));
        assert!(one.is_queue_full() && other.is_queue_full());
        drop(other);
        assert_eq!(totals.held(), queue(5, 90));
        one.set(queue(1, 1_000));
        assert!(one.is_queue_full(), "of bytes");
        drop(one);
        assert_eq!(totals.held(), Holdings::default());
    }

    #[test]
    fn at_the_limit_nobody_grows_beyond_what_everybody_may_hold() {
        let totals = Arc::new(Totals::new(Holdings { ids: 2_000, ..Holdings::default() }));
        let mut large = Part::new(Arc::clone(&totals));
        let small = Part::new(Arc::clone(&totals));
        assert_eq!(large.ids_max(0), usize::MAX);
        large.set(Holdings { ids: 2_000, ..Holdings::default() });
        assert_eq!((large.ids_max(2_000), small.ids_max(3)), (2_000, COUNT_ALWAYS));
        let own = Amount { count: 5_000, bytes: 7 };
        assert_eq!(large.letters_max(own), Amount { count: 5_000, bytes: BYTES_ALWAYS });
    }
}
