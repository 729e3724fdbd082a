//! Which seeds run, on how many threads, and what is said about one that fails.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::scoped;
use super::sim::Sim;
use super::tally::Tally;
use super::weather::{self, Weather};

/// Seeds that have failed once: they always run first.
pub const KEPT: &[u64] = &[
    1, 3, 4,    // a promise that follows another was left without its message when that one was canceled
    870,  // a token that ended as soon as it was granted was the message's fault
    1008, // a message canceled on the wire, and answered with 429, was called ambiguous
    3428, // another witness of refused credentials went into a pause
    3746, 5613, // two token requests at once, after a second 401 while the first was under way
    6403, 6586, 6757,       // an aborted request arrived after its slot's window had begun
    20485,      // a message that failed after what is safe to repeat had been answered left that answer in force
    8589937313, // a message that was canceled on the wire, and refused as if everybody were, waited for others to tell
    8589939887, // one of all messages, whose route had a limit of its own, was refused
    9634,       // with a slow budget a message that was refused twice took every slot, with a token that had ended
];
/// One more seed per this many has a single route or conversation that fails.
const SCOPED_SHARE: u64 = 5;
/// And one more has weather of the whole server.
const WEATHER_SHARE: u64 = 5;
/// Fresh seeds of a plain test run; `SPILLWAY_SEEDS` sets another number.
const FRESH: u64 = 3_000;
const THREADS: usize = 2;

/// One seed alone when `SPILLWAY_SEED` names it.
pub fn chosen() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect(name));
    match number("SPILLWAY_SEED") {
        Some(seed) => vec![seed],
        None => {
            let fresh = number("SPILLWAY_SEEDS").unwrap_or(FRESH);
            let scoped = scoped::FIRST_SEED..scoped::FIRST_SEED + fresh.div_ceil(SCOPED_SHARE);
            let weather = weather::FIRST_SEED..weather::FIRST_SEED + fresh.div_ceil(WEATHER_SHARE);
            let weather = weather.filter(|seed| Weather::of(*seed).is_some_and(Weather::is_stood));
            let limited = scoped::FIRST_LIMITED_SEED..scoped::FIRST_LIMITED_SEED + fresh.div_ceil(SCOPED_SHARE);
            KEPT.iter().copied().chain(0..fresh).chain(scoped).chain(weather).chain(limited).collect()
        }
    }
}

/// Runs them all: the reports of those that fail, a few at most (panics of the dispatcher count, too), and what all of
/// them went through.
pub fn run(seeds: &[u64]) -> (Vec<String>, Tally) {
    const REPORTS_MAX: usize = 3;
    let (next, reports) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let all = Mutex::new(Tally::default());
    let work = || {
        let mut tally = Tally::default();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(report) = report(*seed, &mut tally) {
                let mut reports = reports.lock().expect("no thread panics");
                reports.push(report);
                if reports.len() >= REPORTS_MAX {
                    next.store(seeds.len(), Ordering::Relaxed);
                }
            }
        }
        all.lock().expect("no thread panics").add(&tally);
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    (reports.into_inner().expect("no thread panics"), all.into_inner().expect("no thread panics"))
}

/// None when all rules hold. A failing seed runs again for its trace, which proves that it is the same run again.
fn report(seed: u64, tally: &mut Tally) -> Option<String> {
    let verdict = |sim: &mut Sim| {
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sim.run()));
        match run {
            Ok(Ok(_)) => None,
            Ok(Err(violation)) => Some(violation.to_string()),
            Err(panic) => Some(format!("panic: {:?}", panic.downcast_ref::<String>())),
        }
    };
    let mut sim = Sim::new(seed);
    let broken = verdict(&mut sim);
    tally.add(&sim.tally);
    let broken = broken?;
    sim = Sim::new(seed);
    sim.trace = Some(VecDeque::new());
    let again = verdict(&mut sim);
    let same = if again.as_ref() == Some(&broken) {
        ""
    } else {
        "\nTHE SECOND RUN DIFFERS: something asked the clock or drew a number"
    };
    let trace: Vec<_> = sim.trace.take().unwrap_or_default().into();
    Some(format!(
        "seed {seed} breaks a rule at {:.3} ms of virtual time\nrule    {broken}{same}\n{}\nthe last steps:\n{}\n\
         again:  SPILLWAY_SEED={seed} npm run test:seed\n",
        sim.now_us as f64 / 1_000.0,
        sim.words(),
        trace.join("\n"),
    ))
}
