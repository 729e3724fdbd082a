//! How a seed that fails is told and run again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many seeds are run at once: they wait for the store's threads more than they work.
const THREADS: usize = 8;

/// Runs `history` for `SPILLWAY_SEED`, or for so many seeds (`SPILLWAY_SEEDS` sets another number); fails with those
/// that fail.
pub fn every_seed(name: &str, count: u64, history: impl Fn(u64) + Sync) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds: Vec<u64> = match number("SPILLWAY_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SPILLWAY_SEEDS").unwrap_or(count)).collect(),
    };
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| history(*seed))) {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                        failed.lock().unwrap().push(format!("SPILLWAY_SEED={seed}: {}", text.unwrap_or_default()));
                        next.store(seeds.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{name}:\n{}", failed.join("\n"));
}
