//! Notices a disk that hangs while a store is opened. Its thread can't report that, and there is nobody yet who would
//! hear of an outage.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Error, StoreErrorKind};
use crate::store::Pulse;

/// An opening that shows no sign of life for this long hangs: longer than it waits for other programs' locks, of which
/// it hears nothing.
const HANGS_AFTER: Duration = Duration::from_secs(4);

/// When the check itself is this late, the whole process was stopped, and the store's thread with it.
const LATE: Duration = Duration::from_secs(1);

/// The signs of life that were seen, and when.
#[derive(Debug)]
pub(super) struct OpeningWatch {
    place: Box<str>,
    pulse: Pulse,
    beats: Option<u64>,
    beat_at: Timestamp,
    checked_at: Timestamp,
}

impl OpeningWatch {
    /// Between two checks.
    pub(super) const EVERY: Duration = Duration::from_millis(250);

    pub(super) fn new(place: Box<str>, pulse: Pulse, now: Timestamp) -> Self {
        Self { place, beats: pulse.beats(), pulse, beat_at: now, checked_at: now }
    }

    /// Fails once the disk hangs.
    pub(super) fn check(&mut self, now: Timestamp) -> Result<(), Error> {
        let beats = self.pulse.beats();
        let is_late = now.since(self.checked_at) > Self::EVERY + LATE;
        self.checked_at = now;
        if beats.is_none() || beats != self.beats || is_late {
            (self.beats, self.beat_at) = (beats, now);
        }
        if now.since(self.beat_at) < HANGS_AFTER {
            return Ok(());
        }
        let problem = format!(
            "the store {} could not be opened, since its disk or file server has not answered for {} s; check the disk and the \
             system's log, and open the sender again once the disk answers",
            self.place,
            HANGS_AFTER.as_secs()
        );
        Err(Error::Store { kind: StoreErrorKind::Failed, problem })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    #[test]
    fn an_opening_without_a_sign_of_life_for_four_seconds_hangs() {
        let pulse = Pulse::default();
        let mut watch = OpeningWatch::new("/outbox.db".into(), pulse.clone(), at(0));
        let mut hangs = |from: u64, to: u64| (from..=to).step_by(250).find(|ms| watch.check(at(*ms)).is_err());
        assert_eq!(hangs(250, 3_750), None);
        pulse.beat();
        assert_eq!(hangs(4_000, 7_750), None, "there was a sign at 4 s");
        assert_eq!(hangs(60_000, 63_750), None, "the process was stopped meanwhile");
        assert_eq!(hangs(64_000, 70_000), Some(64_000));
        let error = watch.check(at(64_250)).unwrap_err();
        assert!(error.code() == "STORE_FAILED" && error.to_string().contains("/outbox.db"), "{error}");
    }
}
