//! What becomes of messages, as the store is to remember it.

use std::sync::Arc;
use std::time::Duration;

use super::{Record, Seq};
use crate::clock::Timestamp;
use crate::lanes::EntryId;
use crate::outcome::DeliveryFailure;

/// One change; a store applies it whole or not at all.
#[derive(Clone, Debug)]
pub enum Change {
    /// A message comes in. Its promise settles when this is durable, or refused.
    Insert {
        /// The engine's place for it, for the answer.
        entry_id: EntryId,
        /// The message.
        record: Box<Record>,
    },
    /// A dead letter comes in again: the letter with the record's id goes, the message comes, and neither without the
    /// other.
    Redrive {
        /// The engine's place for it.
        entry_id: EntryId,
        /// The message.
        record: Box<Record>,
    },
    /// A request is about to leave with these messages, or with none if it is a `request()` or the limits lookup, which
    /// only count. Messages leave when it is durable, so that a crash leaves one whose outcome is unknown known as one.
    /// The store notes the time of writing: the request leaves no earlier, but it may have to wait for a connection
    /// after that.
    Depart(Flight),
    /// A message is off the wire, and goes on waiting.
    Return {
        /// Which.
        seq: Seq,
        /// Attempts spent.
        attempts: u32,
        /// When the first of them was.
        first_attempt_at: Option<Timestamp>,
        /// Whether some attempt was sent and not answered.
        ambiguous: bool,
        /// Its place in the batch that it has to be repeated in.
        batch: Option<u64>,
    },
    /// A message is delivered: its receipt takes its place.
    Deliver {
        /// Which.
        seq: Seq,
        /// Its id, and whether its caller chose it.
        id: Box<str>,
        /// See `id`.
        id_given: bool,
        /// Its conversation.
        conversation: Arc<str>,
        /// The answer's status.
        status: u16,
        /// Attempts made.
        attempts: u32,
        /// Messages in the request that delivered it.
        batch_size: u32,
        /// From acceptance to the start of that request.
        queued: Duration,
        /// When.
        at: Timestamp,
    },
    /// A message is given up: a dead letter takes its place.
    Bury {
        /// Which.
        seq: Seq,
        /// Why; the answer's body is short already.
        failure: Box<DeliveryFailure>,
        /// When.
        at: Timestamp,
    },
    /// A dead letter is forgotten.
    DropLetter {
        /// Its message's id.
        id: Box<str>,
    },
    /// What the next run must know, as a whole: it takes the place of what was saved before, and of the departures
    /// since.
    Save {
        /// The budget: spent, learned, paused. JSON of the dispatcher's.
        budget: Box<str>,
        /// What is on the wire, and since when.
        on_wire: Vec<(Timestamp, Flight)>,
    },
}

/// Messages that are on the wire in one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// If they are several, the number of the first one's place in the batch; the others' follow it. What the server
    /// may know as one request is repeated as one.
    pub batch: Option<u64>,
    /// The messages in the order of the body.
    pub members: Vec<Departure>,
}

/// A message that leaves in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Which.
    pub seq: Seq,
    /// Attempts spent, this one included.
    pub attempts: u32,
    /// When the first of them was.
    pub first_attempt_at: Timestamp,
}
