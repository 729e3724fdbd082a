//! Batches on a virtual clock: the real dispatcher against a server that refuses, cuts and lists as a plan says. After
//! every step: nothing lost, nothing twice, order kept, sizes kept, and what the server may know repeated as it was.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bound;
mod budget;
mod callers;
mod draw;
mod linger;
mod oracle;
mod plan;
mod random;
mod server;
mod sim;
