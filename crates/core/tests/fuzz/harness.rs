//! Runs a fuzz target: every input of its corpus first, then new inputs. A plain `cargo test` runs one round, always
//! the same.
//! `SPILLWAY_FUZZ_SECONDS` runs rounds until the time is over, from a seed that the clock gives, so that each run sees
//! other inputs, or from `SPILLWAY_FUZZ_FROM`. `SPILLWAY_SEED` runs the one round that failed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use spillway_core::clock::Clock;

/// What a check says of an input. A panic is a failure as well.
pub type Verdict = Result<(), TestCaseError>;

/// A check that takes longer than this never ends: each takes milliseconds, and the largest inputs a second.
const HANG: Duration = Duration::from_secs(120);

/// A fuzz target.
pub struct Target<C> {
    /// Names its corpus.
    pub name: &'static str,
    /// Inputs of a round.
    pub cases: u32,
    /// What must hold for every input.
    pub check: C,
}

impl<C: Fn(&[u8]) -> Verdict> Target<C> {
    /// Fails with the first input that the check refuses, as small as it can be made, and adds that input to the
    /// corpus.
    pub fn run(&self, inputs: &impl Strategy<Value = Vec<u8>>) {
        let watch = Watch::start(self.name);
        self.replay(&watch);
        let clock = Clock::start();
        let seconds = variable("SPILLWAY_FUZZ_SECONDS");
        let only = variable("SPILLWAY_SEED");
        let from = variable("SPILLWAY_FUZZ_FROM");
        let unlike_others = || if seconds.is_some() { Clock::epoch_ms_now() as f64 } else { 0.0 };
        let first = only.or(from).unwrap_or_else(unlike_others) as u64;
        let end = clock.now().after(Duration::from_secs_f64(seconds.filter(|_| only.is_none()).unwrap_or(0.0)));
        let mut seed = first;
        loop {
            self.round(seed, inputs, &watch);
            seed += 1;
            if clock.now() >= end {
                break;
            }
        }
        let rounds = seed - first;
        report(&format!("{}: {} inputs from seed {first} on", self.name, rounds * u64::from(self.cases)));
    }

    /// The inputs that failed once, and those that are known to be nasty.
    fn replay(&self, watch: &Watch) {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(corpus(self.name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{} has no corpus", self.name);
        for path in paths {
            let input = fs::read(&path).unwrap();
            watch.begin(&input);
            match catch_unwind(AssertUnwindSafe(|| (self.check)(&input))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => panic!("{}: {error}", path.display()),
                Err(_) => panic!("{}: the check panicked", path.display()),
            }
        }
    }

    fn round(&self, seed: u64, inputs: &impl Strategy<Value = Vec<u8>>, watch: &Watch) {
        let config =
            Config { cases: self.cases, failure_persistence: None, max_shrink_time: 60_000, ..Config::default() };
        let bytes: Vec<u8> = [seed, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let result = TestRunner::new_with_rng(config, rng).run(inputs, |input| {
            watch.begin(&input);
            (self.check)(&input)
        });
        match result {
            Ok(()) => {}
            Err(TestError::Abort(reason)) => panic!("{}: {reason}", self.name),
            Err(TestError::Fail(reason, input)) => {
                let path = corpus(self.name).join(format!("found-{seed}"));
                fs::write(&path, &input).unwrap();
                panic!("{reason}\n{}", again(self.name, seed, &path));
            }
        }
    }
}

fn again(name: &str, seed: u64, path: &std::path::Path) -> String {
    format!("The input is {}. To run it again: SPILLWAY_SEED={seed} npm run fuzz -- {name}", path.display())
}

/// A number that the environment gives.
fn variable(name: &str) -> Option<f64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")))
}

/// The crates that use this file lie at different depths of the repository.
fn corpus(name: &str) -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/fuzz/corpus", "crates/core/tests/fuzz/corpus"].map(|folder| manifest.join(folder).join(name));
    folders.into_iter().find(|folder| folder.is_dir()).unwrap_or_else(|| panic!("{name} has no corpus"))
}

/// Ends the process when a check hangs, since no test can end a thread.
struct Watch {
    begun: Sender<()>,
    input: Arc<Mutex<Vec<u8>>>,
}

impl Watch {
    fn start(name: &'static str) -> Self {
        let (begun, begins) = channel();
        let input = Arc::new(Mutex::new(Vec::new()));
        let watched = Arc::clone(&input);
        thread::spawn(move || {
            loop {
                match begins.recv_timeout(HANG) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        let path = corpus(name).join("found-hang");
                        let kept = fs::write(&path, &*watched.lock().unwrap());
                        report(&format!("{name} hangs on {} ({kept:?})", path.display()));
                        std::process::abort();
                    }
                }
            }
        });
        Self { begun, input }
    }

    fn begin(&self, input: &[u8]) {
        let mut current = self.input.lock().unwrap();
        current.clear();
        current.extend_from_slice(input);
        self.begun.send(()).unwrap();
    }
}

#[allow(clippy::print_stderr, reason = "how far a run came is for whoever started it")]
fn report(line: &str) {
    eprintln!("{line}");
}
