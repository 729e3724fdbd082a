//! The core of Spillway: queuing, the budget, and delivery to the Genesys Cloud API. It knows no Node.
//!
//! Floors, imports pointing downward only: `handle` → `engine` → `http`, `dispatcher` → `store`, `batcher`, `lanes`,
//! `stats`,
//! `budget`, `retry` → `settings`, `error`, `outcome`, `message`, `shipment`, `evidence` → `json`, `clock`, `random`.
//! `npm run check:floors` has the whole order.

pub mod batcher;
pub mod budget;
pub mod clock;
pub mod dispatcher;
pub mod engine;
pub mod error;
pub mod evidence;
pub mod fleet;
pub mod handle;
pub mod http;
pub mod joins;
pub mod json;
pub mod lanes;
pub mod lease;
mod lock;
pub mod message;
pub mod outcome;
pub mod random;
pub mod retry;
pub mod settings;
pub mod shipment;
mod shortage;
pub mod stats;
pub mod store;
mod table;
mod text;
pub mod token;
pub mod totals;

// The fuzz targets of private functions share these with those in `tests/fuzz`.
#[cfg(test)]
extern crate self as spillway_core;
#[cfg(test)]
#[path = "../tests/fuzz/harness.rs"]
mod harness;
#[cfg(test)]
#[path = "../tests/fuzz/mutation.rs"]
mod mutation;
