//! Dead letters on their way back into the outbox: those that the store has yet to keep, and how far each call has come
//! that wants many of them sent again.

use hashbrown::HashMap;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::lanes::EntryId;
use crate::message::Ticket;
use crate::outcome::{DeadLetter, LetterFilter, Redriven};

/// Letters of one call that the store has not answered for yet, at most: what callers send meanwhile waits behind them.
const UNKEPT_MAX: usize = 1_024;

/// A letter that becomes a message again when the store keeps it, and stays a letter if the store refuses it.
#[derive(Debug)]
struct Returning {
    number: u64,
    letter: DeadLetter,
    /// Of the call that wants many of them.
    sweep: Option<Ticket>,
}

/// A call that wants all letters sent again that its filter takes.
#[derive(Debug)]
struct Sweep {
    ticket: Ticket,
    filter: LetterFilter<Timestamp>,
    /// The letter that was looked at last, and the newest that there was at the call.
    after: u64,
    until: u64,
    is_through: bool,
    unkept: usize,
    outcome: Redriven,
}

/// The next letters to look at.
#[derive(Clone, Copy, Debug)]
pub(in crate::dispatcher) struct Span {
    pub(in crate::dispatcher) ticket: Ticket,
    pub(in crate::dispatcher) filter: LetterFilter<Timestamp>,
    pub(in crate::dispatcher) after: u64,
    pub(in crate::dispatcher) until: u64,
}

/// What became of a letter that a filter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum Fate {
    /// It waits for the store, if there is one, and becomes a message once it is stored.
    Returns,
    /// The outbox is full.
    Full,
    /// This sender would refuse it if it were sent again.
    Unsendable,
}

#[derive(Debug, Default)]
pub(in crate::dispatcher) struct Redrives {
    returning: HashMap<EntryId, Returning>,
    sweeps: Vec<Sweep>,
}

impl Redrives {
    pub(in crate::dispatcher) fn begin(&mut self, ticket: Ticket, filter: LetterFilter<Timestamp>, until: u64) {
        let outcome = Redriven::default();
        self.sweeps.push(Sweep { ticket, filter, after: 0, until, is_through: false, unkept: 0, outcome });
    }

    /// Whether a call has letters to look at as soon as there is time.
    pub(in crate::dispatcher) fn has_more(&self) -> bool {
        self.next().is_some()
    }

    /// Of the first call that isn't through, unless the store has enough of it to do.
    pub(in crate::dispatcher) fn next(&self) -> Option<Span> {
        let Sweep { ticket, filter, after, until, unkept, .. } = self.sweeps.iter().find(|sweep| !sweep.is_through)?;
        (*unkept < UNKEPT_MAX).then_some(Span { ticket: *ticket, filter: *filter, after: *after, until: *until })
    }

    /// Letters up to this one were looked at; `None` when they were the last.
    pub(in crate::dispatcher) fn note_looked(&mut self, ticket: Ticket, up_to: Option<u64>) {
        let Some(sweep) = self.of(ticket) else { unreachable!("a call whose letters were looked at goes on") };
        match up_to {
            Some(number) => sweep.after = number,
            None => sweep.is_through = true,
        }
    }

    pub(in crate::dispatcher) fn count(&mut self, ticket: Ticket, fate: Fate) {
        let Some(sweep) = self.of(ticket) else { unreachable!("a call whose letters were looked at goes on") };
        match fate {
            // It is counted when the store keeps it.
            Fate::Returns => {}
            Fate::Full => sweep.outcome.full += 1,
            Fate::Unsendable => sweep.outcome.unsendable += 1,
        }
    }

    /// The letter with this number is on its way into the outbox.
    pub(in crate::dispatcher) fn returns(
        &mut self,
        entry_id: EntryId,
        number: u64,
        letter: DeadLetter,
        sweep: Option<Ticket>,
    ) {
        if let Some(sweep) = sweep.and_then(|ticket| self.of(ticket)) {
            sweep.unkept += 1;
        }
        let earlier = self.returning.insert(entry_id, Returning { number, letter, sweep });
        debug_assert!(earlier.is_none(), "a place in the outbox holds one message");
    }

    /// A message is kept; mostly it was no letter.
    pub(in crate::dispatcher) fn persisted(&mut self, entry_id: EntryId) {
        if self.returning.is_empty() {
            return;
        }
        let sweep = self.returning.remove(&entry_id).and_then(|one| one.sweep).and_then(|ticket| self.of(ticket));
        if let Some(sweep) = sweep {
            sweep.unkept -= 1;
            sweep.outcome.redriven += 1;
        }
    }

    /// The store did not take it: the letter that it stays, with its number, and the call that ends by it.
    pub(in crate::dispatcher) fn refused(&mut self, entry_id: EntryId) -> Option<(u64, DeadLetter, Option<Ticket>)> {
        let Returning { number, letter, sweep } = self.returning.remove(&entry_id)?;
        let ended = sweep.and_then(|ticket| self.end(ticket));
        Some((number, letter, ended))
    }

    /// The calls that are through, with what they have done.
    pub(in crate::dispatcher) fn take_done(&mut self) -> Vec<(Ticket, Redriven)> {
        let is_done = |sweep: &mut Sweep| sweep.is_through && sweep.unkept == 0;
        self.sweeps.extract_if(.., is_done).map(|sweep| (sweep.ticket, sweep.outcome)).collect()
    }

    /// Ends a call early: what it has not looked at stays as it is.
    pub(in crate::dispatcher) fn end(&mut self, ticket: Ticket) -> Option<Ticket> {
        let index = self.sweeps.iter().position(|sweep| sweep.ticket == ticket)?;
        Some(self.sweeps.remove(index).ticket)
    }

    pub(in crate::dispatcher) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.sweeps.iter().map(|sweep| sweep.ticket)
    }

    /// How a call ends for which nothing more can be done.
    pub(in crate::dispatcher) fn fail_all(&mut self, error: &Error) -> Vec<(Ticket, Error)> {
        self.sweeps.drain(..).map(|sweep| (sweep.ticket, error.clone())).collect()
    }

    fn of(&mut self, ticket: Ticket) -> Option<&mut Sweep> {
        self.sweeps.iter_mut().find(|sweep| sweep.ticket == ticket)
    }
}
