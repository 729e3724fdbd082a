//! Promises for a message that is in the outbox already, because its id was sent again: one list per message, found by
//! message or by ticket.

use hashbrown::HashMap;

use crate::dispatcher::outbox::Promise;
use crate::lanes::EntryId;
use crate::message::Ticket;

/// Promises that may wait for one message, since its id was sent again.
pub(in crate::dispatcher) const FOLLOWERS_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub(in crate::dispatcher) struct Followers {
    /// Oldest first; no list is empty.
    of: HashMap<EntryId, Vec<Promise>>,
    /// The message that each ticket follows. Without this index, cancelling a ticket would search all lists.
    followed: HashMap<Ticket, EntryId>,
}

impl Followers {
    /// Adds a promise. Returns whether there was room for it.
    pub(in crate::dispatcher) fn add(&mut self, entry_id: EntryId, promise: Promise) -> bool {
        let list = self.of.entry(entry_id).or_default();
        let has_room = list.len() < FOLLOWERS_MAX;
        if has_room {
            list.push(promise);
            let before = self.followed.insert(promise.ticket, entry_id);
            debug_assert!(before.is_none(), "a ticket follows one message");
        }
        has_room
    }

    /// Removes and returns all promises for a message.
    pub(in crate::dispatcher) fn take(&mut self, entry_id: EntryId) -> Vec<Promise> {
        if self.of.is_empty() {
            return Vec::new();
        }
        let list = self.of.remove(&entry_id).unwrap_or_default();
        for promise in &list {
            let followed = self.followed.remove(&promise.ticket);
            debug_assert_eq!(followed, Some(entry_id), "a ticket is found for as long as its promise is there");
        }
        list
    }

    /// Removes and returns the promises that the predicate selects, in order.
    pub(in crate::dispatcher) fn take_if(
        &mut self,
        entry_id: EntryId,
        is_chosen: impl Fn(&Promise) -> bool,
    ) -> Vec<Promise> {
        if !self.has(entry_id) {
            return Vec::new();
        }
        let (chosen, left) = self.take(entry_id).into_iter().partition(is_chosen);
        self.put(entry_id, left);
        chosen
    }

    /// Removes and returns the oldest promise.
    pub(in crate::dispatcher) fn take_first(&mut self, entry_id: EntryId) -> Option<Promise> {
        let first = self.of.get_mut(&entry_id)?.remove(0);
        self.followed.remove(&first.ticket);
        self.drop_if_empty(entry_id);
        Some(first)
    }

    /// The caller with this ticket has stopped waiting.
    pub(in crate::dispatcher) fn forget(&mut self, ticket: Ticket) {
        let Some(entry_id) = self.followed.remove(&ticket) else { return };
        let Some(list) = self.of.get_mut(&entry_id) else {
            unreachable!("a ticket is in the list that it is found by")
        };
        list.retain(|promise| promise.ticket != ticket);
        self.drop_if_empty(entry_id);
    }

    /// Gives a message this list of promises, such as those that an earlier dispatcher kept for it.
    pub(in crate::dispatcher) fn put(&mut self, entry_id: EntryId, list: Vec<Promise>) {
        debug_assert!(!self.of.contains_key(&entry_id), "nobody else follows it");
        if !list.is_empty() {
            self.followed.extend(list.iter().map(|promise| (promise.ticket, entry_id)));
            self.of.insert(entry_id, list);
        }
    }

    pub(in crate::dispatcher) fn has(&self, entry_id: EntryId) -> bool {
        self.of.contains_key(&entry_id)
    }

    /// The messages that are followed.
    pub(in crate::dispatcher) fn entry_ids(&self) -> impl Iterator<Item = EntryId> {
        self.of.keys().copied()
    }

    pub(in crate::dispatcher) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.followed.keys().copied()
    }

    fn drop_if_empty(&mut self, entry_id: EntryId) {
        if self.of.get(&entry_id).is_some_and(Vec::is_empty) {
            self.of.remove(&entry_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Settle;

    fn promise(number: u64) -> Promise {
        Promise { ticket: Ticket { handle: 1, number }, settle: Settle::OnOutcome }
    }

    fn numbers(list: &[Promise]) -> Vec<u64> {
        list.iter().map(|promise| promise.ticket.number).collect()
    }

    fn assert_consistent(followers: &Followers) {
        let listed =
            followers.of.iter().flat_map(|(entry_id, list)| list.iter().map(|promise| (promise.ticket, *entry_id)));
        assert_eq!(listed.collect::<HashMap<_, _>>(), followers.followed);
        assert!(followers.of.values().all(|list| !list.is_empty()));
    }

    #[test]
    fn a_ticket_that_leaves_is_in_no_list_and_the_others_keep_their_order() {
        let mut followers = Followers::default();
        for number in 1..=6 {
            assert!(followers.add((number % 2) as EntryId, promise(number)));
        }
        followers.forget(promise(3).ticket);
        followers.forget(promise(3).ticket);
        assert_consistent(&followers);
        assert_eq!(followers.take_first(0).map(|first| first.ticket.number), Some(2));
        assert_eq!(numbers(&followers.take(1)), [1, 5]);
        assert_consistent(&followers);
        followers.forget(promise(4).ticket);
        followers.forget(promise(6).ticket);
        assert!(!followers.has(0) && followers.tickets().next().is_none());
        assert_consistent(&followers);
    }

    #[test]
    fn a_list_has_a_limit_and_gives_away_those_that_are_chosen() {
        let mut followers = Followers::default();
        let all = (0..=FOLLOWERS_MAX as u64).map(|number| followers.add(7, promise(number)));
        assert_eq!(all.filter(|had_room| *had_room).count(), FOLLOWERS_MAX);
        assert_eq!(numbers(&followers.take_if(7, |promise| promise.ticket.number % 400 == 0)), [0, 400, 800]);
        assert_consistent(&followers);
        assert_eq!(followers.take(7).len(), FOLLOWERS_MAX - 3);
        assert_consistent(&followers);
    }
}
