//! Crashes by seed: the real dispatcher on a disk that forgets what it has not confirmed, with a virtual clock and a
//! server that loses requests and answers. Random commands (enqueue, send, cancel, redrive, drop, crash, a full disk)
//! run against a simple model, and at the end the model and the disk must agree on every message. The wall clock is set
//! by minutes to years, the machine is suspended and restarted, in a run and between two.
//!
//! A failing seed is printed with its last steps and is run again by `SPILLWAY_SEED=<seed> cargo test --test restarts`;
//! then it is kept in `KEPT`. `SPILLWAY_SEEDS=<count>` runs more.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by unwrapping it"
)]
#![allow(clippy::print_stdout, clippy::large_enum_variant, reason = "a test may talk, and has room")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod clocks;
mod disk;
#[path = "../simulation/draw.rs"]
mod draw;
mod oracle;
mod plan;
mod server;
mod sim;

use std::collections::BTreeSet;

use sim::Sim;

/// Seeds that once failed: a refusal that the learner had not heard of held no slot in the next run.
const KEPT: [u64; 1] = [365];
const SEEDS: u64 = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs a seed; one that fails is run again with fewer and fewer commands, and the smallest run that fails is reported.
fn run(seed: u64) -> Result<Sim, String> {
    let mut sim = Sim::new(seed, |_| true);
    if sim.run().is_ok() {
        return Ok(sim);
    }
    let commands = shrunk(seed, (0..sim.plan.actions).collect());
    let mut smallest = Sim::new(seed, |command| commands.contains(&command));
    smallest.trace = Some(Vec::new());
    let broken = smallest.run().err().unwrap_or_default();
    let trace = smallest.trace.unwrap_or_default().join("\n");
    Err(format!("{trace}\n{}\nseed {seed}, with {} commands: {broken}", smallest.plan.words, commands.len()))
}

/// Leaves out ever smaller parts of the commands, as long as the run fails without them.
fn shrunk(seed: u64, mut commands: BTreeSet<u64>) -> BTreeSet<u64> {
    let fails = |commands: &BTreeSet<u64>| Sim::new(seed, |command| commands.contains(&command)).run().is_err();
    let mut part = commands.len();
    while part > 0 {
        let list: Vec<u64> = commands.iter().copied().collect();
        for chunk in list.chunks(part) {
            let fewer: BTreeSet<u64> = commands.iter().filter(|command| !chunk.contains(command)).copied().collect();
            if fails(&fewer) {
                commands = fewer;
            }
        }
        part /= 2;
    }
    commands
}

#[test]
fn every_seed_keeps_what_was_accepted() {
    let seeds: Vec<u64> = match number("SPILLWAY_SEED") {
        Some(seed) => vec![seed],
        None => KEPT.into_iter().chain(0..number("SPILLWAY_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let (mut crashes, mut recovered, mut uncertain, mut refused, mut letters) = (0, 0, 0, 0, 0);
    let (mut jumps, mut reboots, mut suspends) = (0, 0, 0);
    for seed in &seeds {
        let sim = run(*seed).unwrap_or_else(|report| panic!("\n{report}"));
        crashes += sim.crashes;
        recovered += sim.recovered;
        uncertain += sim.oracle.uncertain.len() as u64;
        refused += sim.oracle.refusals;
        letters += sim.disk.durable.letters.len() as u64;
        jumps += sim.clocks.jumps;
        reboots += sim.clocks.reboots;
        suspends += sim.clocks.suspends;
    }
    println!(
        "{} seeds: {crashes} crashes, {recovered} messages recovered, {uncertain} uncertain, {refused} refused, {letters} dead letters,
         {jumps} jumps of the wall clock, {reboots} restarts of the machine, {suspends} suspends",
        seeds.len()
    );
    if seeds.len() >= 400 {
        assert!(crashes > 1_000 && recovered > 1_000 && uncertain > 100 && refused > 100 && letters > 100, "too tame");
        assert!(jumps > 500 && reboots > 200 && suspends > 200, "too tame a machine");
    }
}
