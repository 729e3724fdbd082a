//! What a host can say of the store's clock: how long ago, at least, it has heard of a reading.

use std::time::Duration;

use crate::clock::Timestamp;

/// A host tells of the same reading for so long: each change costs the store what a renewal and its answer travel.
const KEPT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
struct Reading {
    clock: Duration,
    heard_at: Timestamp,
}

/// Two readings of an epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Witness {
    /// The one that it tells of.
    told: Reading,
    /// The one that takes its place.
    next: Reading,
}

impl Witness {
    /// With a grant comes another reading.
    pub(super) fn heard(known: Option<Self>, now: Timestamp, clock: Duration) -> Self {
        let heard = Reading { clock, heard_at: now };
        match known {
            None => Self { told: heard, next: heard },
            Some(known) if now.since(known.next.heard_at) < KEPT => known,
            Some(known) => Self { told: known.next, next: heard },
        }
    }

    /// The reading, and how long ago that was.
    pub(super) fn tell(&self, now: Timestamp) -> (Duration, Duration) {
        (self.told.clock, now.since(self.told.heard_at))
    }
}
