//! What many seeds reached.

use std::fmt;

use super::score::Outcome;

/// A seed's run.
#[derive(Debug)]
pub struct Run {
    pub outcome: Outcome,
    pub seed: u64,
    pub words: String,
    /// The goodput of the oracle, where ours is below the bar.
    pub oracle: Option<f64>,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { goodput, refused, .. } = self.outcome;
        write!(f, "goodput {goodput:.4}, refused {refused:.5}; seed {}: {}", self.seed, self.words)
    }
}

#[derive(Debug, Default)]
pub struct Figures(Vec<Run>);

impl Figures {
    pub fn add(&mut self, run: Run) {
        self.0.push(run);
    }

    pub fn median(&self, of: impl Fn(&Outcome) -> f64) -> f64 {
        let mut all: Vec<f64> = self.0.iter().map(|run| of(&run.outcome)).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }

    pub fn worst(&self) -> &Run {
        self.0.iter().min_by(|one, other| one.outcome.goodput.total_cmp(&other.outcome.goodput)).unwrap()
    }

    /// The one whose late messages, or those that flow beside what is limited, took longest.
    pub fn slowest(&self) -> &Run {
        self.0.iter().max_by(|one, other| one.outcome.late_s.total_cmp(&other.outcome.late_s)).unwrap()
    }

    pub fn most_refused(&self) -> &Run {
        self.0.iter().max_by(|one, other| one.outcome.refused.total_cmp(&other.outcome.refused)).unwrap()
    }

    /// Those below the row's bar that an oracle was asked about.
    pub fn missed(&self) -> Vec<&Run> {
        self.0.iter().filter(|run| run.oracle.is_some()).collect()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn requests(&self) -> u64 {
        self.0.iter().map(|run| run.outcome.requests).sum()
    }
}
