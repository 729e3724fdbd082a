//! What many seeds reached.

use super::score::Outcome;

#[derive(Debug, Default)]
pub struct Figures(Vec<(Outcome, u64, String)>);

impl Figures {
    pub fn add(&mut self, outcome: Outcome, seed: u64, words: String) {
        self.0.push((outcome, seed, words));
    }

    pub fn median(&self, of: impl Fn(&Outcome) -> f64) -> f64 {
        let mut all: Vec<f64> = self.0.iter().map(|(outcome, ..)| of(outcome)).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }

    pub fn least(&self, of: impl Fn(&Outcome) -> f64) -> (f64, u64, &str) {
        let worst = self.0.iter().min_by(|one, other| of(&one.0).total_cmp(&of(&other.0))).unwrap();
        (of(&worst.0), worst.1, &worst.2)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn requests(&self) -> u64 {
        self.0.iter().map(|(outcome, ..)| outcome.requests).sum()
    }
}
