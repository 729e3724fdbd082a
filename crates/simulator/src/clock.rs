//! The only file of this crate that reads a clock.
#![allow(clippy::disallowed_methods, reason = "time is read here and handed on as a number")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since a start that lies in the process's past; never goes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// The wall clock's time at `start`, in microseconds since 1970.
    pub(crate) epoch_us: u64,
}

impl Clock {
    /// A clock that shows 0 now.
    pub(crate) fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), epoch_us: since_1970.as_micros() as u64 }
    }

    /// Microseconds since the start.
    pub(crate) fn now_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}
