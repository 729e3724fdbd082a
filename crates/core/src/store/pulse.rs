//! Signs of life of a store that is being opened. Opening may take long on a disk that works: there may be gigabytes to
//! read, and another owner to wait for. On a disk that hangs the thread does nothing at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Shared by the thread that opens and the one that watches it.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Signs>);

#[derive(Debug, Default)]
struct Signs {
    beats: AtomicU64,
    /// Steps under way that may take any time, such as writing the copy of a damaged file.
    long_steps: AtomicUsize,
}

impl Pulse {
    /// The thread does something.
    pub fn beat(&self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has; `None` while that says nothing.
    pub fn beats(&self) -> Option<u64> {
        (self.0.long_steps.load(Ordering::Relaxed) == 0).then(|| self.0.beats.load(Ordering::Relaxed))
    }

    /// Does what may take any time without a sign.
    pub(in crate::store) fn long<T>(&self, step: impl FnOnce() -> T) -> T {
        self.0.long_steps.fetch_add(1, Ordering::Relaxed);
        let outcome = step();
        self.0.long_steps.fetch_sub(1, Ordering::Relaxed);
        self.beat();
        outcome
    }
}
