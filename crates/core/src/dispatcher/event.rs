//! What the world tells the dispatcher.

use std::time::Duration;

use super::AttemptId;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::lanes::EntryId;
use crate::lease::{Broadcast, Failure, Grant};
use crate::message::{Submission, Ticket};
use crate::outcome::LetterFilter;
use crate::retry::Answer;
use crate::stats::PauseScope;
use crate::store::{Loaded, Opening, Row, Salvage};
use crate::token::TokenId;

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
    /// An attempt leaves: it is given to a connection. It has just been asked whether it may.
    Left(AttemptId),
    /// What came of an attempt.
    Answered(AttemptId, Answer),
    /// An attempt is not sent, and never will be: it has waited for the disk or a connection, and may not leave any
    /// more.
    Withheld(AttemptId),
    /// What came of [`super::Effect::CheckReachable`]: whether a connection could be made.
    ReachableChecked(bool),
    /// What came of a token fetch.
    Token(TokenId, TokenEvent),
    /// An operator holds everything back, for this long or until somebody ends it.
    Pause(Ticket, Option<Duration>),
    /// An operator ends the pause: whatever is shut in this scope is probed at once.
    Resume(Ticket, PauseScope),
    /// A dead letter is to be sent again.
    Redrive(Ticket, Box<str>),
    /// All dead letters that the filter takes are to be sent again.
    RedriveAll(Ticket, LetterFilter<Timestamp>),
    /// A dead letter is to be forgotten.
    Drop(Ticket, Box<str>),
    /// The store found this of an earlier run.
    Found(Vec<Row>),
    /// The store has told all that an earlier run left.
    Opened(Box<Opening>),
    /// The store keeps these messages: they are accepted.
    Persisted(Vec<EntryId>),
    /// The store did not take these messages.
    Refused(Vec<EntryId>, Error),
    /// The store gives messages back, or can't.
    Loaded(Vec<Loaded>),
    /// The store can't keep anything for now, for this reason.
    StoreDegraded(Error),
    /// It can again.
    StoreRestored(Salvage),
    /// The store has another owner, for good: what was accepted is that one's to send.
    Disowned(Error),
    /// The store of the fleet has answered the renewal under way.
    Granted(Box<Grant>),
    /// It has not, and won't: the same renewal is to be sent again.
    RenewalFailed(Failure),
    /// It tells everybody this.
    FleetBroadcast(Broadcast),
    /// A caller wants to know when everything submitted so far is settled; until the time, if one is given.
    Drain(Ticket, Option<Timestamp>),
}

/// What came of a token fetch; the token itself stays with the HTTP client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenEvent {
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
