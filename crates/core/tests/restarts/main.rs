//! Crashes by seed: the real dispatcher on a disk that forgets what it has not confirmed, with a virtual clock and a server
//! that loses requests and answers. Random commands (enqueue, send, cancel, redrive, drop, crash, a full disk) run against a
//! simple model, and at the end the model and the disk must agree on every message.
//!
//! A failing seed is printed with its last steps and is run again by `SPILLWAY_SEED=<seed> cargo test --test restarts`;
//! then it is kept in `KEPT`. `SPILLWAY_SEEDS=<count>` runs more.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by unwrapping it"
)]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod books;
mod disk;
#[path = "../simulation/draw.rs"]
mod draw;
mod plan;
mod server;
mod world;

use world::World;

/// Seeds that once failed.
const KEPT: [u64; 0] = [];
const SEEDS: u64 = 1_500;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs a seed; one that fails is run again for its report.
fn run(seed: u64) -> Result<World, String> {
    let mut world = World::new(seed);
    let Err(broken) = world.run() else { return Ok(world) };
    let mut again = World::new(seed);
    again.trace = Some(Vec::new());
    let _same = again.run();
    let trace = again.trace.unwrap_or_default().join("\n");
    Err(format!("{trace}\n{}\nseed {seed}: {broken}", again.plan.words))
}

#[test]
fn every_seed_keeps_what_was_accepted() {
    let seeds: Vec<u64> = match number("SPILLWAY_SEED") {
        Some(seed) => vec![seed],
        None => KEPT.into_iter().chain(0..number("SPILLWAY_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let (mut crashes, mut recovered, mut uncertain, mut refused, mut letters) = (0, 0, 0, 0, 0);
    for seed in &seeds {
        let world = run(*seed).unwrap_or_else(|report| panic!("\n{report}"));
        crashes += world.crashes;
        recovered += world.recovered;
        uncertain += world.books.uncertain.len() as u64;
        refused += world.books.refusals;
        letters += world.disk.durable.letters.len() as u64;
    }
    println!(
        "{} seeds: {crashes} crashes, {recovered} messages recovered, {uncertain} uncertain, {refused} refused, {letters} dead letters",
        seeds.len()
    );
    if seeds.len() > 500 {
        assert!(crashes > 1_000 && recovered > 1_000 && uncertain > 100 && refused > 100 && letters > 100, "too tame");
    }
}
