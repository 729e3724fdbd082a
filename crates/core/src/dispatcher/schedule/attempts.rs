//! Requests under way: those that are about to leave, and those that have left.
//!
//! A request is made and holds its slots of the quota; then it may wait for the disk or a connection. It counts, and
//! has a date, from when it leaves.

use hashbrown::HashMap;

use crate::clock::Timestamp;
use crate::dispatcher::auth::Generation;
use crate::dispatcher::health::{AttemptId, RouteId, Sent};
use crate::dispatcher::schedule::batch::Batch;
use crate::lanes::EntryId;
use crate::token::TokenId;

/// A request under way.
#[derive(Debug)]
pub(in crate::dispatcher) struct Attempt {
    pub(in crate::dispatcher) batch: Batch,
    pub(in crate::dispatcher) route: RouteId,
    /// Whose slots it holds, and which one it shows.
    pub(in crate::dispatcher) token: TokenId,
    /// Slots of the quota that it holds.
    pub(in crate::dispatcher) cost: u32,
    /// Bytes of its body.
    pub(in crate::dispatcher) bytes: usize,
}

/// How a request left.
#[derive(Clone, Copy, Debug)]
pub(in crate::dispatcher) struct Departure {
    pub(in crate::dispatcher) at: Timestamp,
    /// The token that it shows.
    pub(in crate::dispatcher) generation: Generation,
    /// That was fetched just before.
    pub(in crate::dispatcher) is_token_fresh: bool,
    /// When that was granted.
    pub(in crate::dispatcher) token_granted_at: Option<Timestamp>,
}

#[derive(Debug)]
struct UnderWay {
    attempt: Attempt,
    /// `None` until it leaves.
    departure: Option<Departure>,
}

/// The requests under way, by number.
#[derive(Debug, Default)]
pub(in crate::dispatcher) struct Attempts {
    under_way: HashMap<AttemptId, UnderWay>,
    in_flight: usize,
    /// Messages and calls in them.
    carried: usize,
    /// Bytes of the bodies of all, and of those that have left.
    bytes: usize,
    bytes_in_flight: usize,
    last: AttemptId,
    /// Counts requests that were made, have left or were called back: what changes with these has changed when it has.
    moves: u64,
}

impl Attempts {
    /// The numbers go on behind those of an earlier dispatcher, whose answers may still come.
    pub(in crate::dispatcher) fn continue_after(&mut self, earlier: &Self) {
        debug_assert!(self.last == 0, "nothing has been numbered yet");
        self.last = earlier.last;
    }

    /// A number for a request.
    pub(in crate::dispatcher) fn number(&mut self) -> AttemptId {
        self.last += 1;
        self.moves += 1;
        self.last
    }

    /// A request with this number is about to leave.
    pub(in crate::dispatcher) fn begin(&mut self, id: AttemptId, attempt: Attempt) {
        debug_assert!(!attempt.batch.members.is_empty(), "a request carries something");
        self.carried += attempt.batch.members.len();
        self.bytes += attempt.bytes;
        let before = self.under_way.insert(id, UnderWay { attempt, departure: None });
        debug_assert!(before.is_none(), "a number is given once");
    }

    /// It leaves.
    pub(in crate::dispatcher) fn leave(&mut self, id: AttemptId, departure: Departure) -> &Attempt {
        let Some(under_way) = self.under_way.get_mut(&id) else { unreachable!("only what may leave does") };
        debug_assert!(under_way.departure.is_none(), "a request leaves once");
        under_way.departure = Some(departure);
        self.in_flight += 1;
        self.bytes_in_flight += under_way.attempt.bytes;
        self.moves += 1;
        &under_way.attempt
    }

    /// Takes one that was answered; `None` if nobody waits for it any more.
    pub(in crate::dispatcher) fn take_answered(&mut self, id: AttemptId) -> Option<(Attempt, Departure)> {
        let UnderWay { attempt, departure } = self.take(id)?;
        let Some(departure) = departure else { unreachable!("what has not left has no answer") };
        Some((attempt, departure))
    }

    /// Takes one that has not left, and never will; `None` if it was called back before.
    pub(in crate::dispatcher) fn take_withheld(&mut self, id: AttemptId) -> Option<Attempt> {
        let UnderWay { attempt, departure } = self.take(id)?;
        debug_assert!(departure.is_none(), "what has left can't be withheld");
        self.moves += 1;
        Some(attempt)
    }

    /// Takes one that nobody waits for any more, whether or not it has left.
    pub(in crate::dispatcher) fn take_cut(&mut self, id: AttemptId) -> Option<(Attempt, Option<Departure>)> {
        let UnderWay { attempt, departure } = self.take(id)?;
        self.moves += 1;
        Some((attempt, departure))
    }

    fn take(&mut self, id: AttemptId) -> Option<UnderWay> {
        let taken = self.under_way.remove(&id)?;
        self.carried -= taken.attempt.batch.members.len();
        self.bytes -= taken.attempt.bytes;
        if taken.departure.is_some() {
            self.in_flight -= 1;
            self.bytes_in_flight -= taken.attempt.bytes;
        }
        Some(taken)
    }

    /// The one that carries a message or call that is under way.
    pub(in crate::dispatcher) fn carrying(&self, entry_id: EntryId) -> AttemptId {
        let carries = |attempt: &Attempt| attempt.batch.members.contains(&entry_id);
        let found = self.under_way.iter().find(|(_, under_way)| carries(&under_way.attempt));
        let Some((id, _)) = found else { unreachable!("what is under way is in an attempt") };
        *id
    }

    /// One that has not left yet.
    pub(in crate::dispatcher) fn departing(&self, id: AttemptId) -> Option<&Attempt> {
        let under_way = self.under_way.get(&id)?;
        under_way.departure.is_none().then_some(&under_way.attempt)
    }

    /// All, with when they left.
    pub(in crate::dispatcher) fn iter(&self) -> impl Iterator<Item = (AttemptId, &Attempt, Option<Departure>)> {
        self.under_way.iter().map(|(id, under_way)| (*id, &under_way.attempt, under_way.departure))
    }

    pub(in crate::dispatcher) fn batches_mut(&mut self) -> impl Iterator<Item = &mut Batch> {
        self.under_way.values_mut().map(|under_way| &mut under_way.attempt.batch)
    }

    /// Requests that are about to leave or have left.
    pub(in crate::dispatcher) fn len(&self) -> usize {
        self.under_way.len()
    }

    pub(in crate::dispatcher) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Requests that have left.
    pub(in crate::dispatcher) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Messages and calls in requests under way.
    pub(in crate::dispatcher) fn carried(&self) -> usize {
        self.carried
    }

    /// Bytes of the bodies of requests that have left.
    pub(in crate::dispatcher) fn bytes_in_flight(&self) -> usize {
        self.bytes_in_flight
    }

    /// Bytes of the bodies of those that are about to leave.
    pub(in crate::dispatcher) fn bytes_departing(&self) -> usize {
        self.bytes - self.bytes_in_flight
    }

    /// Rises with each request that is made, leaves or is called back.
    pub(in crate::dispatcher) fn moves(&self) -> u64 {
        self.moves
    }
}

impl Attempt {
    /// What the state of the server is concerned with.
    pub(in crate::dispatcher) fn sent(&self, attempt: AttemptId, left_at: Timestamp) -> Sent {
        Sent { attempt, route: self.route, token: self.token, left_at }
    }
}
