//! The core of Spillway: queueing, the budget, and delivery to the Genesys Cloud API. It knows no Node.
//!
//! Floors, imports pointing downward only: `handle` → `engine` → `http`, `store`, `dispatcher` → `lanes`, `quota`, `retry` →
//! `message`, `outcome`, `settings`, `error`, `stats` → `clock`, `random`.

pub mod batcher;
pub mod clock;
pub mod dispatcher;
pub mod engine;
pub mod error;
pub mod handle;
pub mod http;
pub mod lanes;
pub mod message;
pub mod outcome;
pub mod quota;
pub mod random;
pub mod retry;
pub mod settings;
pub mod stats;
pub mod store;
