//! The store of a fleet: a real Redis.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by unwrapping it"
)]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod conformance;
mod server;
mod worker;
