//! What a store holds.

use super::Seq;
use crate::clock::Timestamp;
use crate::message::{Message, Priority};
use crate::outcome::DeadLetter;

/// A message of the outbox, whole.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its number.
    pub seq: Seq,
    /// What is to be delivered.
    pub message: Message,
    /// Higher goes first.
    pub priority: Priority,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// Given up, unless it is on the wire, at this time.
    pub expires_at: Option<Timestamp>,
    /// Not sent before this time.
    pub not_before: Option<Timestamp>,
    /// Attempts spent.
    pub attempts: u32,
    /// When the first of them was.
    pub first_attempt_at: Option<Timestamp>,
    /// Some attempt was sent and not answered.
    pub ambiguous: bool,
    /// It was on the wire, with no answer yet, when the store was last written.
    pub sent: bool,
    /// Its place in the batch that it was on the wire in, or has to be repeated in.
    pub batch: Option<u64>,
    /// Bytes of the body, if the message came without: a large one is loaded when its turn is near.
    pub body_bytes: Option<u32>,
}

impl Record {
    /// A message that was never sent, with no time of its own.
    pub fn new(seq: Seq, message: Message, submitted_at: Timestamp) -> Self {
        Self {
            seq,
            message,
            priority: 0,
            submitted_at,
            expires_at: None,
            not_before: None,
            attempts: 0,
            first_attempt_at: None,
            ambiguous: false,
            sent: false,
            batch: None,
            body_bytes: None,
        }
    }
}

/// What an earlier run left.
#[derive(Clone, Debug)]
pub enum Row {
    /// A message that was never sent: what an engine needs to queue it, without its body.
    Waiting(Waiting),
    /// A message that was sent. With its body if it was on the wire or belongs to a batch.
    Started(Box<Record>),
    /// A dead letter.
    Letter(Box<DeadLetter>),
    /// An id that counts as known.
    Settled(Settled),
}

/// A message of which only the store holds the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number.
    pub seq: Seq,
    /// The de-duplication key.
    pub id: Box<str>,
    /// The FIFO lane.
    pub conversation: Box<str>,
    /// Higher goes first.
    pub priority: Priority,
    /// Bytes of its body.
    pub bytes: u32,
    /// Given up, unless it is on the wire, at this time.
    pub expires_at: Option<Timestamp>,
}

/// What is remembered of a delivered message whose caller chose its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The id.
    pub id: Box<str>,
    /// The answer's status.
    pub status: u16,
    /// Attempts made.
    pub attempts: u32,
    /// When.
    pub at: Timestamp,
}
