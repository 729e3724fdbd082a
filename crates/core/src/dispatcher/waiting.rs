//! The waiting room before a full outbox, with `whenFull: 'wait'`: first come, first served.

use std::collections::{BTreeMap, HashMap};

use super::drains::Epoch;
use crate::clock::Timestamp;
use crate::message::{Submission, Ticket};

/// Submissions that wait at most; more are refused, since even a wait has a limit.
const SUBMISSIONS_MAX: usize = 1_000_000;
const BYTES_MAX: usize = 1_073_741_824;

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) submission: Submission,
    pub(super) submitted_at: Timestamp,
    pub(super) epoch: Epoch,
    /// It is a dead letter, and stays one until there is room.
    pub(super) redriven: bool,
}

#[derive(Debug, Default)]
pub(super) struct WaitingRoom {
    line: BTreeMap<u64, Waiting>,
    by_ticket: HashMap<Ticket, u64>,
    next: u64,
    bytes: usize,
}

impl WaitingRoom {
    /// Whether another one may wait here.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.line.len() < SUBMISSIONS_MAX && self.bytes + bytes <= BYTES_MAX
    }

    /// Joins the line; the number in it.
    pub(super) fn push(&mut self, waiting: Waiting) -> u64 {
        self.next += 1;
        self.bytes += waiting.submission.cargo.len();
        self.by_ticket.insert(waiting.submission.ticket, self.next);
        self.line.insert(self.next, waiting);
        self.next
    }

    pub(super) fn first(&self) -> Option<(u64, &Waiting)> {
        self.line.first_key_value().map(|(number, waiting)| (*number, waiting))
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Waiting> {
        let waiting = self.line.remove(&number)?;
        self.bytes -= waiting.submission.cargo.len();
        self.by_ticket.remove(&waiting.submission.ticket);
        Some(waiting)
    }

    pub(super) fn by_ticket(&self, ticket: Ticket) -> Option<u64> {
        self.by_ticket.get(&ticket).copied()
    }

    /// The place in the line of the message with this id, from 0.
    pub(super) fn position(&self, id: &str) -> Option<(usize, &Waiting)> {
        self.line.values().enumerate().find(|(_, waiting)| waiting.submission.cargo.id() == Some(id))
    }

    /// All that wait, the first first.
    pub(super) fn into_line(self) -> impl Iterator<Item = Waiting> {
        self.line.into_values()
    }

    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.line.values().map(|waiting| waiting.submission.ticket)
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }
}
