//! Drains: each waits for the messages that were there when it began, and for no later one.
//!
//! A drain closes an epoch; messages belong to the epoch of their submission. An epoch whose messages, and those of all
//! earlier ones, are settled ends the drains that wait for it. That costs a counter an epoch, not a list of messages.

use std::collections::VecDeque;

use crate::clock::Timestamp;
use crate::message::Ticket;

/// Epochs by their numbers, which begin again after the last: only how far one is from another counts.
pub(in crate::dispatcher) type Epoch = u32;

#[derive(Debug)]
pub(in crate::dispatcher) struct Drains {
    first: Epoch,
    counts: VecDeque<usize>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    epoch: Epoch,
    ticket: Ticket,
    deadline: Option<Timestamp>,
}

impl Drains {
    pub(in crate::dispatcher) fn new() -> Self {
        Self { first: 0, counts: VecDeque::from([0]), waiting: VecDeque::new() }
    }

    /// A submission begins: its epoch.
    pub(in crate::dispatcher) fn enter(&mut self) -> Epoch {
        let Some(count) = self.counts.back_mut() else { unreachable!("an epoch is always open") };
        *count += 1;
        self.last()
    }

    /// The epoch that is open.
    fn last(&self) -> Epoch {
        self.first.wrapping_add(self.counts.len() as Epoch).wrapping_sub(1)
    }

    /// How many epochs before this one are still there.
    fn index(&self, epoch: Epoch) -> usize {
        epoch.wrapping_sub(self.first) as usize
    }

    /// A submission of this epoch has ended.
    pub(in crate::dispatcher) fn leave(&mut self, epoch: Epoch) {
        let index = self.index(epoch);
        let Some(count) = self.counts.get_mut(index) else { unreachable!("an epoch lasts as long as its submissions") };
        debug_assert!(*count > 0, "a submission ends once");
        *count -= 1;
    }

    /// Begins a drain.
    pub(in crate::dispatcher) fn begin(&mut self, ticket: Ticket, deadline: Option<Timestamp>) {
        let epoch = self.last();
        self.waiting.push_back(Waiting { epoch, ticket, deadline });
        self.counts.push_back(0);
    }

    /// Whether somebody waits for messages to be settled.
    pub(in crate::dispatcher) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next drain whose messages are all settled, with its deadline.
    pub(in crate::dispatcher) fn next_done(&mut self) -> Option<(Ticket, Option<Timestamp>)> {
        while self.counts.len() > 1 && self.counts.front() == Some(&0) {
            self.counts.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        // Epochs that have ended lie behind the first, which is all the way round from it.
        if self.index(self.waiting.front()?.epoch) < self.counts.len() {
            return None;
        }
        self.waiting.pop_front().map(|waiting| (waiting.ticket, waiting.deadline))
    }

    /// Gives all drains up, the first first; how many messages each of them waited for.
    pub(in crate::dispatcher) fn give_up_all(&mut self) -> Vec<(Ticket, usize)> {
        let tickets: Vec<Ticket> = self.waiting.iter().map(|waiting| waiting.ticket).collect();
        let given_up = |ticket| self.give_up(ticket).map(|(left, _)| (ticket, left));
        tickets.into_iter().filter_map(given_up).collect()
    }

    /// Gives a drain up; how many messages it waited for.
    pub(in crate::dispatcher) fn give_up(&mut self, ticket: Ticket) -> Option<(usize, Option<Timestamp>)> {
        let index = self.waiting.iter().position(|waiting| waiting.ticket == ticket)?;
        let waiting = self.waiting.remove(index)?;
        let epochs = self.index(waiting.epoch.wrapping_add(1));
        Some((self.counts.iter().take(epochs).sum(), waiting.deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_waits_for_earlier_messages_alone() {
        let ticket = |number| Ticket { handle: 0, number };
        let mut drains = Drains::new();
        let early = drains.enter();
        drains.begin(ticket(1), None);
        let late = drains.enter();
        drains.begin(ticket(2), None);
        assert_eq!(drains.next_done(), None);
        drains.leave(late);
        assert_eq!(drains.next_done(), None);
        drains.leave(early);
        assert_eq!(drains.next_done(), Some((ticket(1), None)));
        assert_eq!(drains.next_done(), Some((ticket(2), None)));
        drains.begin(ticket(3), None);
        assert_eq!(drains.next_done(), Some((ticket(3), None)));
    }

    #[test]
    fn giving_up_tells_what_was_left() {
        let ticket = Ticket { handle: 0, number: 1 };
        let mut drains = Drains::new();
        (0..3).for_each(|_| {
            drains.enter();
        });
        drains.begin(ticket, None);
        drains.enter();
        assert_eq!(drains.give_up(ticket), Some((3, None)));
        assert_eq!(drains.give_up(ticket), None);
    }
}
