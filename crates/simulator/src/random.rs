//! The only file of this crate that draws random numbers: always from a seed, so that a seed replays a run.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A seeded source of chance.
#[derive(Debug)]
pub(crate) struct Chance(SmallRng);

impl Chance {
    /// One of several independent streams of a seed: drawing from one doesn't shift another.
    pub(crate) fn stream(seed: u64, stream: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// Uniform in 0 (included) to 1 (excluded).
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// Uniform in `low` to `high`, both included; `low` when the range is empty.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        if low >= high { low } else { self.0.random_range(low..=high) }
    }

    /// Text in the shape of a UUID, as Genesys gives its ids.
    pub(crate) fn uuid(&mut self) -> String {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let bytes = self.0.random::<u128>().to_le_bytes();
        let mut text = String::with_capacity(36);
        for (index, byte) in bytes.into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push(HEX[usize::from(byte & 15)] as char);
            text.push(HEX[usize::from(byte >> 4)] as char);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays_and_streams_differ() {
        let draw = |seed, stream| Chance::stream(seed, stream).uuid();
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_eq!(draw(1, 0).len(), 36);
    }

    #[test]
    fn an_empty_range_is_its_low_end() {
        let mut chance = Chance::stream(1, 0);
        assert_eq!(chance.between(5, 5), 5);
        assert_eq!(chance.between(5, 4), 5);
        assert!((0..1000).all(|_| (2..=9).contains(&chance.between(2, 9))));
    }
}
