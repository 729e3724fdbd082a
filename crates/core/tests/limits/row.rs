//! One row of the table: a case for each seed, and the bars that the worst of them keeps.

use super::case::Case;
use super::draw::Draw;
use super::figures::Figures;
use super::world::World;

/// Every algorithm, family and form with some others; a hundred take a quarter of an hour.
const SEEDS: u64 = 9;

/// The worst seed may have so many times the refusals that the median may: token buckets let a try pass, and refuse it later.
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
        let median = figures.median(|outcome| outcome.goodput);
        assert!(median >= self.goodput, "{}: goodput {median:.4}, {} wanted", self.name, self.goodput);
        let (goodput, seed, words) = figures.least(|outcome| outcome.goodput);
        assert!(
            goodput >= self.worst,
            "{}: goodput {goodput:.4}, {} wanted; seed {seed}: {words}",
            self.name,
            self.worst
        );
        let median = figures.median(|outcome| outcome.refused);
        assert!(median <= self.refused, "{}: refused {median:.5}, {} allowed", self.name, self.refused);
        let (refused, seed, words) = figures.least(|outcome| -outcome.refused);
        let most = self.refused * WORST_REFUSED;
        assert!(-refused <= most, "{}: refused {:.5}, {most} allowed; seed {seed}: {words}", self.name, -refused);
    }

    pub fn run(&self, case_of: impl Fn(&mut Choice) -> Case) -> Figures {
        let count = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let only = count("SPILLWAY_SEED");
        let seeds = only.map_or(0..count("SPILLWAY_SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1);
        let mut figures = Figures::default();
        for seed in seeds {
            let mut choice = Choice { index: seed, draw: Draw::stream(seed, 1) };
            let case = case_of(&mut choice);
            figures.add(World::new(&case, seed).run(), seed, case.words);
        }
        let (goodput, seed, words) = figures.least(|outcome| outcome.goodput);
        let (refused, refused_seed, refused_words) = figures.least(|outcome| -outcome.refused);
        println!(
            "{:<58} goodput {:.4} median, {goodput:.4} worst (bar {:.3}; seed {seed}: {words})\n{:<58} 429s    {:.3} % median, {:.3} % worst (bar {:.2} %; seed {refused_seed}: {refused_words}); {} seeds, {} requests",
            self.name,
            figures.median(|outcome| outcome.goodput),
            self.goodput,
            "",
            100.0 * figures.median(|outcome| outcome.refused),
            -100.0 * refused,
            100.0 * self.refused,
            figures.count(),
            figures.requests(),
        );
        figures
    }
}
