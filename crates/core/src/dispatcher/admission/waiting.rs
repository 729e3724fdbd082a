//! The waiting room before a full outbox, with `whenFull: 'wait'`: first come, first served.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::clock::Timestamp;
use crate::dispatcher::schedule::drains::Epoch;
use crate::message::{Payload, Submission, Ticket};
use crate::table::Table;

/// Submissions that wait at most; more are refused, since even a wait has a limit.
const SUBMISSIONS_MAX: usize = 1_000_000;
const BYTES_MAX: usize = 1_073_741_824;

#[derive(Debug)]
pub(in crate::dispatcher) struct Waiting {
    pub(in crate::dispatcher) submission: Submission,
    pub(in crate::dispatcher) submitted_at: Timestamp,
    pub(in crate::dispatcher) epoch: Epoch,
    /// It is a dead letter, and stays one until there is room.
    pub(in crate::dispatcher) redriven: bool,
    /// Until when it waits for the end of an outage, if it is a call and there is one.
    pub(in crate::dispatcher) gives_up_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(in crate::dispatcher) struct WaitingRoom {
    line: BTreeMap<u64, Waiting>,
    /// Their numbers, found by ticket.
    by_ticket: Table<u64>,
    /// The numbers of those with an id, found by it.
    by_id: Table<u64>,
    hasher: DefaultHashBuilder,
    next: u64,
    bytes: usize,
}

impl WaitingRoom {
    /// Whether another one may wait here.
    pub(in crate::dispatcher) fn has_room(&self, bytes: usize) -> bool {
        self.line.len() < SUBMISSIONS_MAX && self.bytes + bytes <= BYTES_MAX
    }

    /// Joins the line; the number in it.
    pub(in crate::dispatcher) fn push(&mut self, waiting: Waiting) -> u64 {
        self.next += 1;
        self.bytes += waiting.submission.payload.len();
        let (ticket, hash) = (waiting.submission.ticket, self.hash(&waiting));
        self.line.insert(self.next, waiting);
        let (line, hasher) = (&self.line, &self.hasher);
        let rehash = |number: &u64| hasher.hash_one(line[number].submission.ticket);
        self.by_ticket.insert(hasher.hash_one(ticket), self.next, rehash);
        if let Some(hash) = hash {
            self.by_id.insert(hash, self.next, |number| hasher.hash_one(line[number].submission.payload.id()));
        }
        self.next
    }

    pub(in crate::dispatcher) fn first(&self) -> Option<(u64, &Waiting)> {
        self.line.first_key_value().map(|(number, waiting)| (*number, waiting))
    }

    pub(in crate::dispatcher) fn remove(&mut self, number: u64) -> Option<Waiting> {
        let waiting = self.line.remove(&number)?;
        self.bytes -= waiting.submission.payload.len();
        self.by_ticket.remove(self.hasher.hash_one(waiting.submission.ticket), |other| *other == number);
        if let Some(hash) = self.hash(&waiting) {
            let found = self.by_id.remove(hash, |other| *other == number);
            debug_assert!(found.is_some(), "it is found by its id for as long as it waits");
        }
        Some(waiting)
    }

    fn hash(&self, waiting: &Waiting) -> Option<u64> {
        let id = waiting.submission.payload.id();
        id.is_some().then(|| self.hasher.hash_one(id))
    }

    pub(in crate::dispatcher) fn by_ticket(&self, ticket: Ticket) -> Option<u64> {
        let has_it = |number: &u64| self.line[number].submission.ticket == ticket;
        self.by_ticket.find(self.hasher.hash_one(ticket), has_it).copied()
    }

    /// The place in line of a message with this id, from 0. Once messages have left from the middle of the line it is
    /// an estimate, which assumes that they were evenly spaced: counting up to a million others would take too long.
    pub(in crate::dispatcher) fn position(&self, id: &str) -> Option<(usize, &Waiting)> {
        let named = |number: &u64| self.line[number].submission.payload.id() == Some(id);
        let number = *self.by_id.find(self.hasher.hash_one(Some(id)), named)?;
        let (first, _) = self.line.first_key_value()?;
        let (last, _) = self.line.last_key_value()?;
        let place = u128::from(number - first) * self.line.len() as u128 / u128::from(last - first + 1);
        Some((place as usize, &self.line[&number]))
    }

    /// Calls that have no time yet for which they wait for the end of an outage.
    pub(in crate::dispatcher) fn enduring_calls(&self) -> impl Iterator<Item = u64> {
        let is_enduring =
            |waiting: &Waiting| waiting.gives_up_at.is_none() && matches!(waiting.submission.payload, Payload::Call(_));
        self.line.iter().filter(move |(_, waiting)| is_enduring(waiting)).map(|(number, _)| *number)
    }

    pub(in crate::dispatcher) fn get(&self, number: u64) -> Option<&Waiting> {
        self.line.get(&number)
    }

    pub(in crate::dispatcher) fn set_end(&mut self, number: u64, gives_up_at: Option<Timestamp>) {
        self.line.entry(number).and_modify(|waiting| waiting.gives_up_at = gives_up_at);
    }

    /// All that wait, the first first.
    pub(in crate::dispatcher) fn into_line(self) -> impl Iterator<Item = Waiting> {
        self.line.into_values()
    }

    pub(in crate::dispatcher) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.line.values().map(|waiting| waiting.submission.ticket)
    }

    pub(in crate::dispatcher) fn len(&self) -> usize {
        self.line.len()
    }

    pub(in crate::dispatcher) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in crate::dispatcher) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, Parts, Payload, Settle};

    fn waiting(number: u64) -> Waiting {
        let id = format!("m{number}");
        let parts = Parts { id: &id, id_given: true, conversation: "c", body: "{}", ..Parts::default() };
        let payload = Payload::Message(Message::new(parts).unwrap());
        let ticket = Ticket { handle: 1, number };
        let settle = Settle::OnOutcome;
        let submission = Submission { ticket, settle, payload, priority: 0, expires_at: None, not_before: None };
        Waiting {
            submission,
            submitted_at: Timestamp::START,
            epoch: Epoch::default(),
            redriven: false,
            gives_up_at: None,
        }
    }

    fn place(room: &WaitingRoom, number: u64) -> Option<usize> {
        room.position(&format!("m{number}")).map(|(place, _)| place)
    }

    #[test]
    fn a_place_is_exact_while_nobody_leaves_from_the_middle_and_in_order_afterwards() {
        let mut room = WaitingRoom::default();
        let numbers: Vec<u64> = (0..1_000).map(|number| room.push(waiting(number))).collect();
        assert!((0..1_000).all(|number| place(&room, number) == Some(number as usize)));
        numbers[..100].iter().for_each(|number| drop(room.remove(*number)));
        assert_eq!(place(&room, 99), None);
        assert!((100..1_000).all(|number| place(&room, number) == Some(number as usize - 100)));
        numbers[100..].iter().step_by(2).for_each(|number| drop(room.remove(*number)));
        let left: Vec<usize> = (100..1_000).filter_map(|number| place(&room, number)).collect();
        assert_eq!(left.len(), 450);
        assert!(left.iter().enumerate().all(|(exact, place)| place.abs_diff(exact) <= 1), "{left:?}");
        assert_eq!(room.by_id.len(), room.len());
    }
}
