//! The most arrivals in any rolling window, exactly.

use std::collections::VecDeque;

/// The most arrivals of one window that are remembered (80 MB); the count of a fuller window stops there.
const ARRIVALS_MAX: usize = 10_000_000;

/// Counts arrivals whose times never go back. Two arrivals exactly a window apart are not in one window.
#[derive(Debug)]
pub(crate) struct RollingWindow {
    length_us: u64,
    /// The arrivals of the window that ends with the newest.
    arrived_at_us: VecDeque<u64>,
    most: usize,
}

impl RollingWindow {
    pub(crate) fn new(length_us: u64) -> Self {
        Self { length_us, arrived_at_us: VecDeque::new(), most: 0 }
    }

    pub(crate) fn arrived(&mut self, now_us: u64) {
        while self.arrived_at_us.front().is_some_and(|at| at + self.length_us <= now_us) {
            self.arrived_at_us.pop_front();
        }
        if self.arrived_at_us.len() < ARRIVALS_MAX {
            self.arrived_at_us.push_back(now_us);
        }
        // A window with the most arrivals can always be moved so that it ends with an arrival.
        self.most = self.most.max(self.arrived_at_us.len());
    }

    pub(crate) fn most(&self) -> u64 {
        self.most as u64
    }

    pub(crate) fn length_us(&self) -> u64 {
        self.length_us
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_edge_is_outside() {
        let mut window = RollingWindow::new(1_000);
        for now_us in [0, 999, 1_000, 1_999] {
            window.arrived(now_us);
        }
        assert_eq!(window.most(), 2);
    }

    proptest! {
        #[test]
        fn as_brute_force_counts(length_us in 1_u64..2_000, gaps in prop::collection::vec(0_u64..500, 1..200)) {
            let mut window = RollingWindow::new(length_us);
            let mut times = Vec::new();
            for gap in gaps {
                let now_us = times.last().copied().unwrap_or(0) + gap;
                times.push(now_us);
                window.arrived(now_us);
            }
            let within = |start: &u64| times.iter().filter(|at| (*start..start + length_us).contains(at)).count();
            let most = times.iter().map(within).max().unwrap_or(0);
            prop_assert_eq!(window.most(), most as u64);
        }
    }
}
