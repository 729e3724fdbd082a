//! The N-API floor: shapes in, shapes out. It decides nothing; it turns frames into submissions and completions into
//! JSON, with one wake for many completions.

mod completions;
mod errors;
#[cfg_attr(test, allow(dead_code))]
mod exposition;
#[cfg_attr(test, allow(dead_code))]
mod fleet;
mod frame;
mod json;
mod mailbox;
mod ops;
// napi leaves its registration out of a test build.
#[cfg_attr(test, allow(dead_code))]
mod outbox;
mod receipt;
#[cfg_attr(test, allow(dead_code))]
mod roots;
mod sender;
mod simulator;
mod stats;
mod waker;

#[cfg(test)]
#[path = "../crates/core/tests/fuzz/harness.rs"]
mod harness;
#[cfg(test)]
#[path = "../crates/core/tests/fuzz/mutation.rs"]
mod mutation;

use napi_derive::napi;

/// The version of the native part; equal to the package's.
#[napi(catch_unwind)]
pub fn core_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
