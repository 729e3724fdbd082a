//! The figures of outages: the real dispatcher with steady traffic against the simulator's model on a virtual clock,
//! for outages of every kind and of three lengths, many seeds each. `cargo test --profile dev-release -p spillway-core
//! --test recovery -- --nocapture` prints the rows; `SPILLWAY_SEEDS=<count>` runs more seeds of each row,
//! `SPILLWAY_SEED=<seed>` one alone. `npm run bench:outages` makes the table of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(clippy::print_stdout, reason = "the rows are what this is for")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

#[path = "../limits/agenda.rs"]
mod agenda;
mod case;
#[path = "../simulation/draw.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod draw;
mod row;
mod score;
mod sim;
mod unknown;
#[path = "../simulation/wire.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod wire;

use case::Kind;

#[test]
fn the_way_to_the_server_is_gone() {
    row::check_all(&[Kind::Refused, Kind::Dns, Kind::Tls, Kind::Reset, Kind::CutAfter]);
}

#[test]
fn gateways_answer_in_its_place() {
    row::check_all(&[Kind::Status(502), Kind::Status(503), Kind::Status(504), Kind::RetryAfter]);
}

#[test]
fn pages_and_refusals_come_to_everybody() {
    row::check_all(&[Kind::Page(200), Kind::Page(503), Kind::Status(403)]);
}

#[test]
fn without_the_rule_of_caution_an_outage_costs_more_messages_than_the_bar_allows() {
    row::check_control(&[Kind::CutAfter, Kind::Reset, Kind::Status(502), Kind::Page(200)]);
}
