//! What the world tells the dispatcher.

use std::time::Duration;

use super::AttemptId;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::lanes::Slot;
use crate::message::{Submission, Ticket};
use crate::retry::Answer;
use crate::store::{Opening, Record, Row, Salvage, Seq};

/// What happened.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "the common one is the large one: a box would cost an allocation an answer"
)]
pub enum Event {
    /// A caller hands over a message or request.
    Submit(Submission),
    /// A caller no longer waits, and wants it not to be sent.
    Cancel(Ticket),
    /// What came of an attempt.
    Answered(AttemptId, Answer),
    /// An attempt that waited for the disk or a connection is not sent: it may not leave any more.
    Withheld(AttemptId),
    /// What came of a token fetch.
    Token(TokenNews),
    /// A dead letter is to be sent again.
    Redrive(Ticket, Box<str>),
    /// A dead letter is to be forgotten.
    Drop(Ticket, Box<str>),
    /// The store found this of an earlier run.
    Found(Vec<Row>),
    /// The store has told all that an earlier run left.
    Opened(Box<Opening>),
    /// The store keeps these messages: they are accepted.
    Kept(Vec<Slot>),
    /// The store did not take these messages.
    Refused(Vec<Slot>, Error),
    /// The store gives messages back; none for one that it can't read.
    Loaded(Vec<(Slot, Seq, Option<Box<Record>>)>),
    /// The store can't keep anything for now.
    StoreTrouble(Error),
    /// It can again.
    StoreHealed(Salvage),
    /// A caller wants to know when everything submitted so far is settled; until the time, if one is given.
    Drain(Ticket, Option<Timestamp>),
}

/// What came of a token fetch; the token itself stays with the HTTP client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenNews {
    /// A token, and its life if that is known.
    Granted(Option<Duration>),
    /// The credentials are wrong.
    Refused(String),
    /// Try later.
    Failed {
        /// What went wrong.
        problem: String,
        /// The wait that the login host asked for.
        wait: Option<Duration>,
    },
}
