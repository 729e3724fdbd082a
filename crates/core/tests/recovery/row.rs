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
/// The median seed of an outage of a minute. With a request per ten seconds, as in longer ones, nobody's median is
/// below five seconds and a round trip.
const BACK_US_MEDIAN: u64 = 5_000_000;
/// The same where messages are risked at intervals that double up to `retry.maxPauseMs`.
const DECEIVED_US_MAX: u64 = 180_000_000 + BACK_US_MAX;
/// Messages with an unknown outcome with `'fail'`: what is on its way when the outage begins, and what finds out.
const UNKNOWN_MAX: u64 = 8;

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
        let runs = seeds.map(|seed| {
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
        let median = median(self.runs.iter().map(|run| back_us(&run.outcome)));
        if self.runs.len() > 1 && is_early && median.is_some_and(|back_us| back_us > BACK_US_MEDIAN) {
            broken.push(format!("median back in time: {:?}, {:?}: {median:?}", self.kind, self.ambiguous));
        }
        for Run { seed, case, outcome } in &self.runs {
            let Outcome { lost, unknown, twice, late, late_max, back_us, burst, burst_max, .. } = *outcome;
            let (back_us_max, unknown_max) = match (case.is_deceptive(), self.ambiguous) {
                (true, _) => (DECEIVED_US_MAX, UNKNOWN_MAX + 2 + self.length.minutes() / 3),
                (false, Ambiguous::Fail) => (BACK_US_MAX, UNKNOWN_MAX),
                (false, Ambiguous::Retry) => (BACK_US_MAX, 0),
            };
            for (holds, bar) in [
                (lost == 0, "nothing is lost"),
                (unknown <= unknown_max, "few outcomes are unknown"),
                (twice == 0, "nothing is sent twice"),
                (late <= late_max, "a request per ten seconds"),
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
            "firstMinute": both(|outcome| outcome.first),
            "perTenSecondsLater": self.per_ten_seconds(),
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
