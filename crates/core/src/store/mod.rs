//! The store: where accepted messages live beyond the engine, so that a crash or a power cut loses none.
//!
//! With `store: 'memory'` there is none. Otherwise the dispatcher says what changes, as it says everything else: by
//! effects. The engine hands the changes over, as [`Handover`] orders them, and holds back whatever they must come
//! before (a promise, an event, a request on its way out) until the store says that they are durable. So the dispatcher
//! decides, the store keeps, and neither waits for the other.

pub mod calendar;
pub mod change;
pub mod claim;
pub mod file;
pub mod handover;
pub mod news;
pub mod open;
pub mod pulse;
pub mod record;

use std::fmt::Debug;

pub use self::change::{Change, Departure, Flight};
pub use self::claim::FencingToken;
pub use self::handover::Handover;
pub use self::news::{Loaded, News, Opening, Salvage, Unreadable};
pub use self::open::{Begun, open};
pub use self::pulse::Pulse;
pub use self::record::{Record, Row, Settled, Waiting};
use crate::lanes::Slot;

/// A message's number: counts up by acceptance over all runs of a store, so it is the order of a lane, too.
pub type Seq = u64;

/// The number of a message's place in the batch whose first message is `first`: places of one batch rise by one.
pub fn batch_number(first: Seq, place: usize) -> u64 {
    first * PLACES_PER_BATCH + place as u64
}

/// The batch that this number is a place in.
pub fn batch_of(number: u64) -> u64 {
    number / PLACES_PER_BATCH
}

/// The largest number of a message: the places of its batch are numbers that SQLite can hold.
pub(crate) const SEQ_MAX: Seq = i64::MAX as u64 / PLACES_PER_BATCH - 1;

/// More than any batch has messages (`batch.maxMessages` is 10,000 at most).
const PLACES_PER_BATCH: u64 = 16_384;

/// Keeps the outbox, for one owner at a time. What comes of it is told by [`News`], to whoever the store was opened
/// for.
///
/// Opening claims the store: [`Opening::token`] is larger than that of every claim before it. From then on the store
/// takes nothing of an earlier owner: that one is told [`News::Disowned`], now or with its next change. How a store
/// keeps earlier owners out is its own matter (a lock that ends with its process, an epoch that each write compares),
/// but no change of an earlier token may become durable after a later claim was told.
pub trait Store: Debug + Send + Sync {
    /// Takes changes over, in order, of the owner with this token. The first change ever is number 1, and each one
    /// counts, kept or refused. Changes that are handed over together are durable together: a batch that comes back
    /// does so whole.
    ///
    /// Only an insert can be refused. Everything else is about messages that were accepted: it is tried again until it
    /// is durable, and later changes wait behind it; or until another owner has the store, after which nothing of this
    /// one is kept, and it is not told that anything is.
    fn apply(&self, token: FencingToken, changes: Vec<Change>);

    /// Asks for messages of which the engine holds no more than their number. Answered in order, and after the changes
    /// that were handed over before.
    fn load(&self, messages: Vec<(Slot, Seq)>);

    /// Makes everything durable that was handed over, gives back what it owns, and tells [`News::Closed`].
    fn close(&self);
}
