//! One row of the table: a case for each seed, the bars that they keep, and the line that is written of it.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::case::Case;
use super::draw::Draw;
use super::figures::{Figures, Run};
use super::oracle;
use super::sim::Sim;

/// Every algorithm with every start and family or form; more of them: `npm run test:limits`.
const SEEDS: u64 = 27;

/// The worst seed may have so many times the refusals that the median may: token buckets let a try pass, and refuse it
/// later.
const WORST_REFUSED: f64 = 1.5;

pub struct Row {
    pub name: &'static str,
    /// The median seed reaches this.
    pub goodput: f64,
    /// And the worst this.
    pub worst: f64,
    /// The share of 429s in the requests of the median seed is at most this.
    pub refused: f64,
}

/// What a seed decides.
pub struct Choice {
    /// Its number, for going round lists.
    pub index: u64,
    pub draw: Draw,
}

impl Choice {
    /// Lists that are asked for one after the other are gone through in all combinations.
    pub fn of<T: Copy>(&mut self, list: &[T]) -> T {
        let length = list.len() as u64;
        let picked = list[(self.index % length) as usize];
        self.index /= length;
        picked
    }
}

impl Row {
    pub fn check(&self, case_of: impl Fn(&mut Choice) -> Case) {
        self.assert(&self.run(case_of));
    }

    pub fn assert(&self, figures: &Figures) {
        self.assert_within(figures, WORST_REFUSED);
    }

    /// The worst seed may have so many times the refusals that the median may.
    pub fn assert_within(&self, figures: &Figures, worst_refused: f64) {
        let worst = figures.worst();
        assert!(worst.outcome.goodput >= self.worst, "{}: {worst} ({} wanted)", self.name, self.worst);
        let most = self.refused * worst_refused;
        let most_refused = figures.most_refused();
        assert!(most_refused.outcome.refused <= most, "{}: {most_refused} ({most} allowed)", self.name);
        if figures.count() == 1 {
            // The other bars are the median's.
            return;
        }
        let median = figures.median(|outcome| outcome.goodput);
        assert!(median >= self.goodput, "{}: goodput {median:.4}, {} wanted", self.name, self.goodput);
        let median = figures.median(|outcome| outcome.refused);
        assert!(median <= self.refused, "{}: refused {median:.5}, {} allowed", self.name, self.refused);
    }

    pub fn run(&self, case_of: impl Fn(&mut Choice) -> Case) -> Figures {
        let count = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let only = count("SPILLWAY_SEED");
        let seeds = only.map_or(0..count("SPILLWAY_SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1);
        let mut figures = Figures::default();
        for seed in seeds {
            let mut choice = Choice { index: seed, draw: Draw::stream(seed, 1) };
            let case = case_of(&mut choice);
            let outcome = Sim::new(&case, seed).run();
            // It sends whole quotas at once, which is no way to find two of them.
            let has_one = !case.server["quota"].is_array();
            let oracle = (outcome.goodput < self.goodput && has_one).then(|| oracle::reaches(&case, seed).goodput);
            figures.add(Run { outcome, seed, words: case.words, oracle });
        }
        let line = self.line(&figures);
        println!("{line}");
        write(&line);
        figures
    }

    fn line(&self, figures: &Figures) -> Value {
        let run = |run: &Run, value: f64| json!({ "value": value, "seed": run.seed, "case": run.words });
        let (worst, most_refused) = (figures.worst(), figures.most_refused());
        let missed = figures.missed();
        json!({
            "row": self.name,
            "seeds": figures.count(),
            "requests": figures.requests(),
            "goodput": {
                "bar": self.goodput,
                "median": figures.median(|outcome| outcome.goodput),
                "worst": run(worst, worst.outcome.goodput),
            },
            "refused": {
                "bar": self.refused,
                "median": figures.median(|outcome| outcome.refused),
                "worst": run(most_refused, most_refused.outcome.refused),
            },
            "underBar": {
                "seeds": missed.len(),
                "oracleToo": missed.iter().filter(|run| run.oracle.is_some_and(|reached| reached < self.goodput)).count(),
                "oracleOnWorst": worst.oracle,
            },
            "othersGet": figures.median(|outcome| outcome.others),
        })
    }
}

/// A file of a row's own in the folder that `SPILLWAY_FIGURES` names: rows run beside each other.
fn write(line: &Value) {
    let Some(folder) = std::env::var_os("SPILLWAY_FIGURES") else { return };
    let name = line["row"].as_str().unwrap().replace(|it: char| !it.is_ascii_alphanumeric(), "-");
    std::fs::write(PathBuf::from(folder).join(format!("{name}.json")), line.to_string()).unwrap();
}
