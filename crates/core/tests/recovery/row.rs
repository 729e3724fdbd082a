//! A row of the table: one kind and length of outage with one setting, many seeds; the bars that it keeps, and the line
//! that is written of it.

use std::path::PathBuf;

use serde_json::{Value, json};
use spillway_core::settings::Ambiguous;

use super::case::{Case, Kind, Length};
use super::score::Outcome;
use super::sim::Sim;

/// Of a plain test run; more of them: `npm run bench:outages`.
const SEEDS: u64 = 9;
/// From the end of the outage to the full rate.
const BACK_US_MAX: u64 = 15_000_000;
/// The median seed of an outage of a minute, or of any in which no connection can be made, which attempts to connect
/// look for. With a request per ten seconds, as in longer ones, nobody's median is below five seconds and a round trip.
const BACK_US_MEDIAN: u64 = 5_000_000;
/// The same where messages are risked at intervals that double up to `retry.maxPauseMs`.
const DECEIVED_US_MAX: u64 = 180_000_000 + BACK_US_MAX;
/// Seeds that a bar once failed for, with their rows.
const KEPT: [(Kind, Ambiguous, u64); 1] = [
    // Eight messages left before the first unknown outcome came back.
    (Kind::CutAfter, Ambiguous::Fail, 91),
];

struct Run {
    seed: u64,
    case: Case,
    outcome: Outcome,
}

struct Row {
    kind: Kind,
    ambiguous: Ambiguous,
    length: Length,
    runs: Vec<Run>,
}

pub fn check_all(kinds: &[Kind]) {
    let mut broken = Vec::new();
    for kind in kinds {
        for ambiguous in [Ambiguous::Retry, Ambiguous::Fail] {
            let rows = Length::ALL.map(|length| Row::run(*kind, ambiguous, length));
            for row in &rows {
                let line = row.line();
                println!("{line}");
                write(&line);
                broken.extend(row.broken());
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// A sender that takes unknown outcomes for failures like any other, as one that may repeat messages does, misses the
/// bar: in every run.
pub fn check_control(kinds: &[Kind]) {
    for kind in kinds {
        for (length, seed) in Length::ALL.into_iter().flat_map(|length| (0..SEEDS).map(move |seed| (length, seed))) {
            let case = Case::of(*kind, Ambiguous::Fail, length, seed);
            let Outcome { doubts, doubts_max, .. } = Sim::careless(&case, seed).run();
            assert!(doubts > doubts_max, "{kind:?}, {length:?}, seed {seed}: {doubts} of at most {doubts_max}");
        }
    }
}

fn back_us(outcome: &Outcome) -> u64 {
    outcome.back_us.unwrap_or(u64::MAX)
}

/// `None` of nothing.
fn median(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

impl Row {
    fn run(kind: Kind, ambiguous: Ambiguous, length: Length) -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let seeds = match number("SPILLWAY_SEED") {
            Some(seed) => seed..seed + 1,
            None => 0..number("SPILLWAY_SEEDS").unwrap_or(SEEDS),
        };
        let is_kept = |seed: u64| KEPT.contains(&(kind, ambiguous, seed)) && number("SPILLWAY_SEED").is_none();
        let kept = KEPT.map(|(_, _, seed)| seed).into_iter().filter(|seed| is_kept(*seed) && !seeds.contains(seed));
        let runs = seeds.clone().chain(kept).map(|seed| {
            let case = Case::of(kind, ambiguous, length, seed);
            let outcome = Sim::new(&case, seed).run();
            Run { seed, case, outcome }
        });
        Self { kind, ambiguous, length, runs: runs.collect() }
    }

    /// What misses a bar.
    fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let is_early = self.length == Length::Minute && !self.runs.iter().any(|run| run.case.is_deceptive());
        let is_checked = self.kind.in_front().is_some();
        let median = median(self.runs.iter().map(|run| back_us(&run.outcome)));
        if self.runs.len() > 1 && (is_early || is_checked) && median.is_some_and(|back_us| back_us > BACK_US_MEDIAN) {
            broken.push(format!("median back in time: {:?}, {:?}: {median:?}", self.kind, self.ambiguous));
        }
        for Run { seed, case, outcome } in &self.runs {
            let Outcome { lost, unknown, doubts, doubts_max, twice, late, late_max, .. } = *outcome;
            let Outcome { checks, checks_max, back_us, burst, burst_max, .. } = *outcome;
            let back_us_max = if case.is_deceptive() { DECEIVED_US_MAX } else { BACK_US_MAX };
            let is_known = match self.ambiguous {
                Ambiguous::Fail => unknown == doubts && doubts <= doubts_max,
                Ambiguous::Retry => unknown == 0,
            };
            for (holds, bar) in [
                (lost == 0, "nothing is lost"),
                (is_known, "few outcomes are unknown"),
                (twice == 0, "nothing is sent twice"),
                (late <= late_max, "a request per ten seconds"),
                (checks <= checks_max, "a check of the host per second"),
                (back_us.is_some_and(|back_us| back_us <= back_us_max), "back in time"),
                (burst <= burst_max, "no burst"),
            ] {
                if !holds {
                    let (length, words) = (self.length, case.words());
                    broken.push(format!(
                        "{bar}: {:?}, {:?}, {length:?}, seed {seed} ({words}): {outcome:?}",
                        self.kind, self.ambiguous
                    ));
                }
            }
        }
        broken
    }

    fn line(&self) -> Value {
        let of = |figure: fn(&Outcome) -> u64| self.runs.iter().map(move |run| figure(&run.outcome));
        let both = |figure: fn(&Outcome) -> u64| json!({ "median": median(of(figure)), "most": of(figure).max() });
        let slowest = self.runs.iter().max_by_key(|run| back_us(&run.outcome)).unwrap();
        json!({
            "kind": self.kind.words(),
            "ambiguous": if self.ambiguous == Ambiguous::Fail { "fail" } else { "retry" },
            "minutes": self.length.minutes(),
            "seeds": self.runs.len(),
            "lost": of(|outcome| outcome.lost).sum::<u64>(),
            "twice": of(|outcome| outcome.twice).sum::<u64>(),
            "unknown": both(|outcome| outcome.unknown),
            "unknownMax": both(|outcome| outcome.doubts_max),
            "firstMinute": both(|outcome| outcome.first),
            "perTenSecondsLater": self.per_ten_seconds(),
            "checks": both(|outcome| outcome.checks),
            "probeMs": median(of(|outcome| outcome.probe_us)).map(|us| us / 1_000),
            "backMs": {
                "median": median(of(back_us)).map(|us| us / 1_000),
                "worst": back_us(&slowest.outcome) / 1_000,
                "seed": slowest.seed,
                "case": slowest.case.words(),
            },
            "overPaced": self.over(),
        })
    }

    /// Requests per ten seconds after the first minute, of the seed with the most; `None` where nothing is after it.
    fn per_ten_seconds(&self) -> Option<f64> {
        let is_long = self.length != Length::Minute;
        let share = |run: &Run| run.outcome.late as f64 / run.outcome.late_max as f64;
        is_long.then(|| self.runs.iter().map(share).fold(0.0, f64::max))
    }

    /// The most requests in a second beyond the paced rate.
    fn over(&self) -> Option<i64> {
        self.runs.iter().map(|run| run.outcome.burst as i64 - run.outcome.burst_max as i64 + 1).max()
    }
}

/// A file of a row's own in the folder that `SPILLWAY_FIGURES` names.
fn write(line: &Value) {
    let Some(folder) = std::env::var_os("SPILLWAY_FIGURES") else { return };
    let name = format!("{}-{}-{}", line["minutes"], line["kind"], line["ambiguous"]);
    let name = name.replace(|it: char| !it.is_ascii_alphanumeric(), "-");
    std::fs::write(PathBuf::from(folder).join(format!("{name}.json")), line.to_string()).unwrap();
}
