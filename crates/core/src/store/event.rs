//! What a store tells its engine.

use super::{FencingToken, Record, Row, Seq};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::lanes::EntryId;

/// One thing to tell. Errors are [`Error::Store`].
#[derive(Debug)]
pub enum StoreEvent {
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
        kept: Vec<EntryId>,
    },
    /// Inserts that are not kept, and why. They count as done: `Committed` goes past them.
    Refused(Vec<EntryId>, Error),
    /// Messages that were asked for.
    Loaded(Vec<Loaded>),
    /// Nothing can be made durable for now: changes wait, and inserts are refused. Told again when the reason is
    /// another one.
    Degraded(Error),
    /// It can again, and what waited is durable.
    Restored(Salvage),
    /// Another owner has claimed the store since: nothing of this one is kept any more, and inserts that were not told
    /// to be kept are refused. What was accepted is the other owner's to send. It comes once; only refusals, loads that
    /// fail and `Closed` follow.
    Disowned(Error),
    /// Closed, as was asked; nothing follows.
    Closed,
}

/// A message that was asked for, where it waits and its number.
pub type Loaded = (EntryId, Seq, Result<Box<Record>, Unreadable>);

/// A message that is damaged or gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// Its id, if the file still seems to have that.
    pub id: Option<Box<str>>,
}

/// What became of a store that was found to be damaged; nothing, if none was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvage {
    /// Where the damaged original is kept that a copy has replaced, as a user finds it: a path for a file.
    pub set_aside: Option<Box<str>>,
    /// Rows of it that could not be read, as far as they can be counted.
    pub unreadable: u64,
    /// Larger parts of it that could not be read, such as pages: how many rows they had is unknown.
    pub unreadable_parts: u64,
}

/// How an opening went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// The claim that this opening has made. Every change carries it.
    pub token: FencingToken,
    /// The number of the last message ever accepted; 0 when there was none.
    pub last_seq: Seq,
    /// The budget of the last [`super::Change::Save`].
    pub budget: Option<Box<str>>,
    /// When that was written.
    pub budget_at: Option<Timestamp>,
    /// When requests left after that, oldest first.
    pub departed: Vec<Timestamp>,
    /// What became of a store that was damaged, in this run or in one that ended before that was told.
    pub salvage: Salvage,
}
