//! Guarantee 3 at the server: never more than N arrivals in any rolling W, for every window, exactly.

use std::collections::VecDeque;

use spillway_core::settings::Rate;

use super::violation::{Checked, hold};

pub struct Arrivals(Vec<Window>);

struct Window {
    requests: usize,
    per_us: u64,
    arrived_at_us: VecDeque<u64>,
    most: usize,
}

impl Arrivals {
    pub fn new(rates: &[Rate]) -> Self {
        let window = |rate: &Rate| Window {
            requests: rate.requests.get() as usize,
            per_us: rate.per.as_micros() as u64,
            arrived_at_us: VecDeque::new(),
            most: 0,
        };
        Self(rates.iter().map(window).collect())
    }

    pub fn arrived(&mut self, now_us: u64) -> Checked {
        for window in &mut self.0 {
            while window.arrived_at_us.front().is_some_and(|at| at + window.per_us <= now_us) {
                window.arrived_at_us.pop_front();
            }
            window.arrived_at_us.push_back(now_us);
            window.most = window.most.max(window.arrived_at_us.len());
            hold(window.most <= window.requests, "3 budget", || {
                format!("{} arrivals within {} µs, {} are allowed", window.most, window.per_us, window.requests)
            })?;
        }
        Ok(())
    }

    /// The most in the first window, as the model's ledger counts it, too.
    pub fn most(&self) -> u64 {
        self.0.first().map_or(0, |window| window.most as u64)
    }
}
