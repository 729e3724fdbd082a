//! Slots that no host has, of one window.

use super::Micros;

/// Slots by the time at which they are free, earliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pool(Vec<(Micros, u32)>);

impl Pool {
    pub(super) fn total(&self) -> u32 {
        self.0.iter().map(|(_, slots)| slots).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn put(&mut self, free_at: Micros, slots: u32) {
        if slots == 0 {
            return;
        }
        let place = self.0.partition_point(|(at, _)| *at < free_at);
        match self.0.get_mut(place) {
            Some((at, there)) if *at == free_at => *there += slots,
            _ => self.0.insert(place, (free_at, slots)),
        }
    }

    /// Takes up to `wanted`, those first that are free first.
    pub(super) fn take(&mut self, wanted: u32) -> Vec<(Micros, u32)> {
        let mut taken = Vec::new();
        let mut missing = wanted;
        while missing > 0 && !self.0.is_empty() {
            let (at, there) = self.0[0];
            let slots = there.min(missing);
            taken.push((at, slots));
            missing -= slots;
            if slots == there {
                self.0.remove(0);
            } else {
                self.0[0].1 -= slots;
            }
        }
        taken
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
