//! What a store tells its engine.

use std::path::PathBuf;

use super::{Record, Row, Seq};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::lanes::Slot;

/// One thing to tell. Errors are [`Error::Store`].
#[derive(Debug)]
pub enum News {
    /// Some of what an earlier run left: messages by number, then letters and ids, oldest first.
    Found(Vec<Row>),
    /// All of it is told, and changes are welcome.
    Opened(Opening),
    /// It can't be opened, and nothing was changed by trying; nothing follows.
    Failed(Error),
    /// Changes are durable.
    Committed {
        /// The number of the last one.
        up_to: u64,
        /// The inserts and redrives among them.
        kept: Vec<Slot>,
    },
    /// Inserts that are not kept, and why. They count as done: `Committed` goes past them.
    Refused(Vec<Slot>, Error),
    /// Messages that were asked for; none for one that is damaged or gone.
    Loaded(Vec<(Slot, Seq, Option<Box<Record>>)>),
    /// Nothing can be made durable for now: changes wait, and inserts are refused.
    Troubled(Error),
    /// It can again, and what waited is durable.
    Healed(Salvage),
    /// Closed, as was asked; nothing follows.
    Closed,
}

/// What became of a file that was found to be damaged while it was open; nothing, if none was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvage {
    /// Where the damaged file lies that another one has replaced.
    pub set_aside: Option<PathBuf>,
    /// What could not be read of it, in rows, as far as they can be counted.
    pub unreadable: u64,
}

/// How an opening went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// The number of the last message ever accepted; 0 when there was none.
    pub last_seq: Seq,
    /// The budget of the last [`super::Change::Save`].
    pub budget: Option<Box<str>>,
    /// When that was written.
    pub budget_at: Option<Timestamp>,
    /// When requests left after that, oldest first.
    pub departed: Vec<Timestamp>,
    /// Where the damaged file lies that this one replaces.
    pub set_aside: Option<PathBuf>,
    /// What could not be read of it, in rows, as far as they can be counted.
    pub unreadable: u64,
}
