//! Batches: which messages may travel in one request, how their bodies become one, and how one answer becomes many.
//!
//! Pure functions and small state; the dispatcher decides when.

mod array;
mod cost;
mod difference;
mod idempotency_key;
mod items;
mod length;
mod limits;
mod merge;
mod text;

pub use self::array::{ArraySize, join};
pub use self::cost::CostMeter;
pub use self::idempotency_key::{first_of, key_of};
pub use self::items::{Item, read_items};
pub use self::limits::Limits;
pub use self::merge::Merge;
