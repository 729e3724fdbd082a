//! The figures of rate control: the real dispatcher under full load against the simulator's model on a virtual clock,
//! for every kind of server, many seeds each. `cargo test --profile dev-release -p spillway-core --test limits --
//! --nocapture` prints the table; `SPILLWAY_SEEDS=<count>` runs more seeds of each row.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(clippy::print_stdout, reason = "the table is what this is for")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod agenda;
mod beside;
mod case;
#[path = "../simulation/draw.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod draw;
mod figures;
mod genesys;
mod hostile;
mod kept;
mod known;
mod late;
mod named;
mod oracle;
mod row;
mod score;
mod silent;
mod sim;
