//! Fuzz targets for everything that strangers write: answers, frames, rows and files. `npm run fuzz` runs them for a
//! minute each.
//!
//! A target is a generator of inputs that are nearly valid, and a check that states what must hold for any input.
//! `harness` runs it. The targets that check private functions (`frames`, `oauth` and `rows`) are compiled into the
//! modules that they check.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod answers;
mod damaged;
mod evidence;
#[path = "../store/fixture.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod fixture;
mod harness;
mod mutation;
