//! Several OAuth clients of one organization: a window and a gate for each token, the organization's limit over all,
//! one queue and one order.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

#[path = "../limits/agenda.rs"]
mod agenda;
#[path = "../bench/mod.rs"]
mod bench;
#[path = "../simulation/draw.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod draw;
mod gates;
mod guarantees;
mod refused;
mod sim;
