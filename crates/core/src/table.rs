//! A hash table that grows in small steps. An ordinary one moves all of its entries when it is full: with a million of
//! them that takes long, and meanwhile the thread that serves all organizations stands still.
//!
//! It is linear hashing (Litwin, 1980): the entries are spread over shards, and with every [`ENTRIES_PER_SHARD`] that
//! come, the next shard in turn is split in two. So a step moves the entries of one shard.

use hashbrown::HashTable;

/// The entries of a shard, on average: as many as are moved in one step, about.
const ENTRIES_PER_SHARD: usize = 2_048;
/// A shard is chosen by these bits of the hash and those above them; within a shard, hashbrown uses the lowest and the
/// highest.
const SHARD_BITS_FROM: u32 = 24;

/// Entries that are found by a hash.
#[derive(Debug)]
pub(crate) struct Table<T> {
    shards: Vec<HashTable<T>>,
    len: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { shards: vec![HashTable::new()], len: 0 }
    }
}

impl<T> Table<T> {
    /// Adds an entry, whether or not there is one like it. `rehash` gives the hash of any entry.
    pub(crate) fn insert(&mut self, hash: u64, entry: T, rehash: impl Fn(&T) -> u64) {
        let shard = self.shard_of(hash);
        self.shards[shard].insert_unique(hash, entry, &rehash);
        self.len += 1;
        if self.len > self.shards.len() * ENTRIES_PER_SHARD {
            self.split(rehash);
        }
    }

    /// The entry with this hash of which this is true.
    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&T> {
        self.shards[self.shard_of(hash)].find(hash, is_it)
    }

    /// Takes that entry out.
    pub(crate) fn remove(&mut self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<T> {
        let shard = self.shard_of(hash);
        let (entry, _) = self.shards[shard].find_entry(hash, is_it).ok()?.remove();
        self.len -= 1;
        if self.len == 0 && self.shards.len() > 1 {
            // What a peak has taken goes back.
            *self = Self::default();
        }
        Some(entry)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.shards.iter().flatten()
    }

    /// With 2^n shards and some split again: those before the next to split are chosen by one bit more.
    fn shard_of(&self, hash: u64) -> usize {
        if self.shards.len() == 1 {
            return 0;
        }
        let bits = (hash >> SHARD_BITS_FROM) as usize;
        let level = self.shards.len().ilog2();
        let shard = bits & ((2 << level) - 1);
        if shard < self.shards.len() { shard } else { bits & ((1 << level) - 1) }
    }

    /// Parts the entries of one shard between it and a new one.
    fn split(&mut self, rehash: impl Fn(&T) -> u64) {
        let parted = self.shards.len() - (1 << self.shards.len().ilog2());
        let entries = std::mem::take(&mut self.shards[parted]);
        self.shards.push(HashTable::with_capacity(entries.len() / 2));
        self.shards[parted].reserve(entries.len() / 2, &rehash);
        for entry in entries {
            let hash = rehash(&entry);
            let shard = self.shard_of(hash);
            debug_assert!(shard == parted || shard == self.shards.len() - 1, "it was in the shard that is parted");
            self.shards[shard].insert_unique(hash, entry, &rehash);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use super::*;

    fn hash(number: &u64) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one(number)
    }

    #[test]
    fn it_holds_what_was_put_in_and_not_taken_out() {
        let mut table = Table::default();
        for number in 0..50_000_u64 {
            table.insert(hash(&number), number, hash);
        }
        assert!(table.shards.len() > 16);
        for number in (0..50_000).step_by(3) {
            assert_eq!(table.remove(hash(&number), |other| *other == number), Some(number));
            assert_eq!(table.remove(hash(&number), |other| *other == number), None);
        }
        for number in 0..60_000 {
            let is_there = number < 50_000 && number % 3 != 0;
            assert_eq!(table.find(hash(&number), |other| *other == number).is_some(), is_there, "{number}");
        }
        assert_eq!((table.iter().count(), table.len()), (33_333, 33_333));
        for number in (0..50_000).filter(|number| number % 3 != 0) {
            table.remove(hash(&number), |other| *other == number);
        }
        assert_eq!((table.len(), table.shards.len()), (0, 1), "its room has gone back");
    }

    #[test]
    fn however_large_it_is_one_more_moves_few() {
        let mut table = Table::default();
        let most = (0..500_000_u64).map(|number| {
            let moved = Cell::new(0_usize);
            table.insert(hash(&number), number, |other| {
                moved.set(moved.get() + 1);
                hash(other)
            });
            moved.get()
        });
        assert!(most.max() < Some(6 * ENTRIES_PER_SHARD));
    }
}
