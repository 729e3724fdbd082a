//! The fleet's store: a Redis or Valkey that hosts lease their shares of the quota from.
//!
//! There is one worker per process and Redis. Each engine with a shared budget joins it, gives it renewals, and hears
//! what came of them. The rules of the store are those of [`crate::lease`], in a script.

mod connection;
mod failure;
pub mod inspection;
mod link;
mod members;
mod membership;
pub mod script;
mod stream;
pub mod wire;
mod worker;

pub use self::members::Delivery;
pub use self::membership::{Membership, join};
