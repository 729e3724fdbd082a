//! Chance of a simulated run: everything is drawn from one root seed, by SplitMix64, so that a seed is the same run on
//! every machine and with every version of a random number crate.

#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// One of several independent streams of a seed: drawing from one doesn't shift another.
    pub fn stream(seed: u64, stream: u64) -> Self {
        let mut draw = Self(seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03));
        draw.next();
        draw
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, and without, `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// From `low` to `high`, small ones as likely as large ones: each doubling has the same chance.
    pub fn scale(&mut self, low: u64, high: u64) -> u64 {
        let doublings = u64::from((high / low).ilog2());
        let top = (low << self.range(0, doublings)).saturating_mul(2).min(high);
        self.range(low, top)
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
}
