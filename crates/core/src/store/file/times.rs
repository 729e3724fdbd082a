//! Times of the engine's clock as the file has them, in milliseconds since the Unix epoch, and back.

use std::time::Duration;

use crate::clock::Timestamp;

/// Both times at one moment: read once a batch, not once a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    now: Timestamp,
    now_ms: u64,
}

impl Times {
    pub(super) fn new(now: Timestamp, now_ms: u64) -> Self {
        Self { now, now_ms }
    }

    pub(super) fn now_ms(&self) -> i64 {
        integer(self.now_ms)
    }

    pub(super) fn ms(&self, at: Timestamp) -> i64 {
        if at >= self.now {
            integer(self.now_ms.saturating_add(millis(at.since(self.now))))
        } else {
            integer(self.now_ms.saturating_sub(millis(self.now.since(at))))
        }
    }

    /// The first point of the clock for anything earlier.
    pub(super) fn at(&self, epoch_ms: i64) -> Timestamp {
        let epoch_ms = natural(epoch_ms);
        if epoch_ms >= self.now_ms {
            self.now.after(Duration::from_millis(epoch_ms - self.now_ms))
        } else {
            self.now.before(Duration::from_millis(self.now_ms - epoch_ms))
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// As SQLite has it: numbers of ours are never that large.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// No time of ours is negative.
pub(super) fn natural(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
