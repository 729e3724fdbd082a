//! The machine's clocks: one that is set and jumps, one that counts since the boot, and which boot that was.

use std::time::Duration;

use spillway_core::clock::{Moment, Timestamp};

use crate::draw::Draw;

/// A day in 2026.
const WALL_MS: i64 = 1_790_000_000_000;
const MINUTE_MS: u64 = 60_000;
const YEARS_MS: u64 = 3 * 365 * 24 * 60 * MINUTE_MS;
const SECOND_US: u64 = 1_000_000;
/// All suspends of a run together are shorter than ids are remembered.
const SUSPEND_MAX_US: u64 = 20 * 60 * SECOND_US;

#[derive(Debug, Default)]
pub struct Clocks {
    /// How far the wall clock is ahead of the real time.
    ahead_ms: i64,
    boots: u128,
    booted_us: u64,
    pub jumps: u64,
    pub reboots: u64,
    pub suspends: u64,
}

impl Clocks {
    pub fn moment(&self, now: Timestamp) -> Moment {
        let real_ms = WALL_MS + i64::try_from(now.as_micros() / 1_000).expect("a run is short");
        Moment {
            wall_ms: u64::try_from(real_ms + self.ahead_ms).expect("after 1970"),
            since_boot: Duration::from_micros(now.as_micros() - self.booted_us),
            boot: Some(self.boots),
        }
    }

    /// The wall clock is set to a time some minutes to years from the real one, or is right again.
    pub fn jump(&mut self, draw: &mut Draw) {
        self.jumps += 1;
        let by_ms = i64::try_from(draw.scale(MINUTE_MS, YEARS_MS)).expect("some years");
        self.ahead_ms = *draw.pick(&[by_ms, -by_ms, 0]);
    }

    pub fn reboot(&mut self, now: Timestamp) {
        self.reboots += 1;
        self.boots += 1;
        self.booted_us = now.as_micros();
    }

    /// For how long the machine is suspended, in microseconds.
    pub fn suspend(&mut self, draw: &mut Draw) -> u64 {
        self.suspends += 1;
        draw.scale(SECOND_US, SUSPEND_MAX_US)
    }
}
