//! The store: where accepted messages live beyond the engine, so that a crash or a power cut loses none.
//!
//! With `store: 'memory'` there is none. Otherwise the dispatcher emits changes as effects. The engine passes them to
//! the store in the order of [`WriteQueue`], and holds back every output that depends on them (a promise, an event, an
//! outgoing request) until the store reports them durable. The dispatcher decides, the store keeps, and neither waits
//! for the other.
//!
//! ```
//! use std::sync::mpsc::channel;
//! use spillway_core::clock::{Clock, Timestamp};
//! use spillway_core::message::{Message, Parts};
//! use spillway_core::settings::Settings;
//! use spillway_core::store::{self, Begun, Change, Opening, Record, StoreEvent};
//!
//! let folder = tempfile::tempdir()?;
//! let options = format!(
//!     r#"{{ "organization": "acme", "region": "us-east-1", "credentials": {{ "accessToken": "token" }},
//!           "route": "messaging", "store": "file:{}", "rateLimit": {{ "requests": 300, "perMs": 60000 }} }}"#,
//!     folder.path().join("outbox.db").display()
//! );
//! let (tell, told) = channel();
//! let tell = Box::new(move |event| drop(tell.send(event)));
//! let begun = store::open(&Settings::from_json(&options)?, Clock::start(), tell)?;
//! let Some(Begun { store, .. }) = begun else { panic!("a file is a store") };
//! let token = told.iter().find_map(|event| match event {
//!     StoreEvent::Opened(Opening { token, .. }) => Some(token),
//!     _ => None,
//! });
//!
//! let parts = Parts { id: "m-1", id_given: true, conversation: "c-1", body: "{}", ..Parts::default() };
//! let record = Record::new(1, Message::new(parts).expect("its texts fit"), Timestamp::START);
//! store.apply(token.expect("it opens"), vec![Change::Insert { entry_id: 7, record: Box::new(record) }]);
//! let is_kept = |event| matches!(event, StoreEvent::Committed { kept, .. } if kept == [7]);
//! assert!(told.iter().any(is_kept), "now its promise may settle");
//! store.close();
//! assert!(told.iter().any(|event| matches!(event, StoreEvent::Closed)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod calendar;
pub mod change;
pub mod claim;
pub mod event;
pub mod file;
pub mod open;
pub mod pulse;
pub mod record;
pub mod write_queue;

use std::fmt::Debug;

pub use self::change::{Change, Departure, Flight};
pub use self::claim::FencingToken;
pub use self::event::{Loaded, Opening, Salvage, StoreEvent, Unreadable};
pub use self::open::{Begun, open};
pub use self::pulse::Pulse;
pub use self::record::{Record, Row, Settled, Waiting};
pub use self::write_queue::WriteQueue;
use crate::lanes::EntryId;

/// A message's number. It counts up by acceptance over all runs of a store, so it also orders a lane.
pub type Seq = u64;

/// The number of a message's place in the batch whose first message is `first`. Consecutive places have consecutive
/// numbers.
pub fn batch_number(first: Seq, place: usize) -> u64 {
    first * PLACES_PER_BATCH + place as u64
}

/// The batch that the place with this number belongs to.
pub fn batch_of(number: u64) -> u64 {
    number / PLACES_PER_BATCH
}

/// The largest number of a message: more than an organization accepts in a hundred years at a thousand a second. What a
/// file has of its 64 bits beside it tells organizations apart.
pub(crate) const SEQ_MAX: Seq = (1 << 43) - 1;
const _: () = assert!(SEQ_MAX < i64::MAX as u64 / PLACES_PER_BATCH, "the places of its batch fit, too");

/// More than any batch has messages (`batch.maxMessages` is 10,000 at most).
const PLACES_PER_BATCH: u64 = 16_384;

/// Keeps the outbox, for one owner at a time. Results are reported as [`StoreEvent`] to the owner that opened it.
///
/// Opening claims the store: [`Opening::token`] is larger than the token of every earlier claim. From then on the store
/// accepts nothing from an earlier owner, which gets [`StoreEvent::Disowned`], immediately or with its next change. How
/// a store keeps earlier owners out is up to it (a lock that ends with its process, an epoch that each write compares),
/// but no change with an earlier token may become durable after a later claim was reported.
pub trait Store: Debug + Send + Sync {
    /// Applies changes of the owner with this token, in order. They are numbered from 1, refused ones included. Changes
    /// that are passed together become durable together, so that a batch returns whole after a crash.
    ///
    /// Only an insert can be refused. Every other change concerns accepted messages: it is retried until it is durable,
    /// and later changes wait for it. Once another owner has claimed the store, nothing of this one is kept, and
    /// nothing is reported to it as durable.
    fn apply(&self, token: FencingToken, changes: Vec<Change>);

    /// Requests messages of which the engine holds only the number. Answered in order, after the changes that were
    /// passed before.
    fn load(&self, messages: Vec<(EntryId, Seq)>);

    /// Makes everything durable that was passed to it, releases what it owns, and reports [`StoreEvent::Closed`].
    fn close(&self);
}
