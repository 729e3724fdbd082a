//! Chance of a history: SplitMix64 from one seed, and how a seed that fails is told and run again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many seeds are run at once: they wait for the store's threads more than they work.
const THREADS: usize = 8;

#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }
}

/// Runs `history` for `SPILLWAY_SEED`, or for so many seeds (`SPILLWAY_SEEDS` sets another number); fails with those that fail.
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
