//! The time of a store, which goes on from run to run: milliseconds since the Unix epoch as its first run had them, and
//! then as much more as has really passed.
//!
//! The wall clock jumps: it is set, it is wrong until the network is there, it is wrong for a moment. If a store's
//! times followed it, a jump forward between two runs would give the budget back, end pauses, and forget which ids were
//! delivered. So a run reads the wall clock once, when it begins, and only if nothing better tells how much time has
//! passed:
//!
//! - On the same boot that is the machine's time since it was started, which counts while it is suspended.
//! - After another boot, or where the system doesn't tell its boots, the time between the runs is in doubt. Messages
//!   age
//!   by it, as far as the wall clock went forward. The budget, pauses and the ids that are remembered don't: spent
//!   slots and pauses rest for all that was left of them, and an id is remembered for at least as long as it has to be.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Moment, Timestamp};

/// Gaps that are remembered. Of more, the oldest two become one.
const GAPS_MAX: usize = 64;

/// What the next run needs in order to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// The store's time.
    store_ms: u64,
    wall_ms: u64,
    since_boot_ms: u64,
    /// In hexadecimal.
    boot: Option<String>,
    gaps: Vec<Gap>,
}

/// Time between two runs that is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Gap {
    end_ms: u64,
    length_ms: u64,
}

/// The time of a store in one run.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// The same moment on the engine's clock and in the store's time.
    began_at: Timestamp,
    began_ms: u64,
    gaps: Vec<Gap>,
}

impl Calendar {
    /// Begins a run at `now`, on a machine that stands at `moment`. `last` is the reading of the last run, and
    /// `known_ms` the latest time that it has left in the store.
    pub fn begin(last: Option<&Reading>, known_ms: Option<u64>, now: Timestamp, moment: &Moment) -> Self {
        let unknown =
            known_ms.map(|ms| Reading { store_ms: ms, wall_ms: ms, since_boot_ms: 0, boot: None, gaps: Vec::new() });
        let Some(last) = last.cloned().or(unknown) else {
            let began_ms = moment.wall_ms;
            return Self { began_at: now, began_ms, gaps: Vec::new() };
        };
        let mut gaps = last.gaps.clone();
        let left_ms = last.store_ms.max(known_ms.unwrap_or(0));
        if let Some(elapsed_ms) = last.elapsed_ms(moment) {
            let began_ms = last.store_ms.saturating_add(elapsed_ms).max(left_ms);
            return Self { began_at: now, began_ms, gaps };
        }
        // By the wall clock, from the reading on. What the store knows of that time is not in doubt.
        let by_wall_ms = last.store_ms.saturating_add(moment.wall_ms.saturating_sub(last.wall_ms));
        let began_ms = by_wall_ms.max(left_ms);
        if began_ms > left_ms {
            gaps.push(Gap { end_ms: began_ms, length_ms: began_ms - left_ms });
        }
        if gaps.len() > GAPS_MAX {
            let oldest = gaps.remove(0);
            gaps[0].length_ms += oldest.length_ms;
        }
        Self { began_at: now, began_ms, gaps }
    }

    /// What the next run needs in order to go on, at this moment.
    pub fn reading(&self, now: Timestamp, moment: &Moment) -> Reading {
        Reading {
            store_ms: self.ms(now),
            wall_ms: moment.wall_ms,
            since_boot_ms: millis(moment.since_boot),
            boot: moment.boot.map(|boot| format!("{boot:032x}")),
            gaps: self.gaps.clone(),
        }
    }

    /// A point of the engine's clock in the store's time.
    pub fn ms(&self, at: Timestamp) -> u64 {
        if at >= self.began_at {
            self.began_ms.saturating_add(millis(at.since(self.began_at)))
        } else {
            self.began_ms.saturating_sub(millis(self.began_at.since(at)))
        }
    }

    /// The point of the engine's clock at a time of the store's; the first point for anything earlier.
    pub fn at(&self, ms: u64) -> Timestamp {
        if ms >= self.began_ms {
            self.began_at.after(Duration::from_millis(ms - self.began_ms))
        } else {
            self.began_at.before(Duration::from_millis(self.began_ms - ms))
        }
    }

    /// The same for what holds a budget back: gaps don't count, also those of earlier runs that saved nothing.
    /// Rounded to the later end, since both times are cut to milliseconds.
    pub fn at_undoubted(&self, ms: u64) -> Timestamp {
        self.at(self.without_gaps(ms).saturating_add(1))
    }

    /// When an id was remembered, so that it is remembered for long enough: gaps don't count.
    pub fn remembered_at(&self, ms: u64) -> Timestamp {
        self.at(self.without_gaps(ms))
    }

    /// A time of the store's, later by all gaps since.
    fn without_gaps(&self, ms: u64) -> u64 {
        let doubted_ms: u64 = self.gaps.iter().filter(|gap| gap.end_ms > ms).map(|gap| gap.length_ms).sum();
        ms.saturating_add(doubted_ms)
    }

    /// The store's time up to which everything that was remembered has been for longer than `span` at `now`.
    pub fn ms_before(&self, now: Timestamp, span: Duration) -> u64 {
        let mut before_ms = self.ms(now).saturating_sub(millis(span));
        for gap in self.gaps.iter().rev() {
            if before_ms < gap.end_ms {
                before_ms = before_ms.saturating_sub(gap.length_ms);
            }
        }
        before_ms
    }
}

impl Reading {
    /// How much time has passed since; `None` if that is in doubt.
    fn elapsed_ms(&self, moment: &Moment) -> Option<u64> {
        let boot = moment.boot.map(|boot| format!("{boot:032x}"))?;
        if self.boot.as_ref() != Some(&boot) {
            return None;
        }
        // A snapshot of a machine that is brought back may have an earlier time of the same boot.
        millis(moment.since_boot).checked_sub(self.since_boot_ms)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;
    /// A day in 2026.
    const WALL: u64 = 1_790_000_000_000;

    fn moment(wall_ms: u64, since_boot_ms: u64, boot: Option<u128>) -> Moment {
        Moment { wall_ms, since_boot: Duration::from_millis(since_boot_ms), boot }
    }

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from_micros((100 * DAY + ms) * 1_000)
    }

    fn ms_since(from: Timestamp, at: Timestamp) -> i64 {
        at.as_micros() as i64 / 1_000 - from.as_micros() as i64 / 1_000
    }

    /// A first run that reads its clocks a second after it began.
    fn first() -> (Calendar, Reading) {
        let calendar = Calendar::begin(None, None, at_ms(0), &moment(WALL, 5_000, Some(7)));
        let reading = calendar.reading(at_ms(1_000), &moment(WALL + 1_000, 6_000, Some(7)));
        (calendar, reading)
    }

    #[test]
    fn the_first_run_begins_with_the_wall_clock_and_does_not_follow_it() {
        let (calendar, reading) = first();
        assert_eq!((calendar.ms(at_ms(0)), calendar.ms(at_ms(60_000))), (WALL, WALL + 60_000));
        assert_eq!(calendar.at(WALL + 60_000), at_ms(60_000));
        let jumped = calendar.reading(at_ms(1_000), &moment(WALL + 9 * DAY, 6_000, Some(7)));
        assert_eq!(jumped.store_ms, reading.store_ms);
    }

    #[test]
    fn on_the_same_boot_time_is_that_of_the_boot_whatever_the_wall_clock_says() {
        let (_, reading) = first();
        for wall_ms in [0, WALL - 400 * DAY, WALL + 1_000, WALL + 1_250, WALL + HOUR, WALL + 400 * DAY, u64::MAX] {
            let next = Calendar::begin(Some(&reading), Some(WALL + 900), at_ms(0), &moment(wall_ms, 6_250, Some(7)));
            assert_eq!(next.ms(at_ms(0)), WALL + 1_250);
            assert_eq!(ms_since(next.at(WALL + 1_000), at_ms(0)), 250);
            assert_eq!(ms_since(next.at_undoubted(WALL + 1_000), at_ms(0)), 249, "a millisecond later");
            assert_eq!(ms_since(next.remembered_at(WALL + 1_000), at_ms(0)), 250);
        }
        // Suspended for a night.
        let next = Calendar::begin(Some(&reading), None, at_ms(0), &moment(WALL, 6_000 + 8 * HOUR, Some(7)));
        assert_eq!(ms_since(next.at_undoubted(WALL + 999), at_ms(0)), 8 * HOUR as i64);
    }

    #[test]
    fn after_another_boot_only_messages_age_and_by_no_less_than_nothing() {
        let (_, reading) = first();
        let known = Some(WALL + 1_500);
        for (boot, since_boot_ms) in [(Some(8), 3_000), (Some(8), 99_000), (None, 99_000), (Some(7), 5_999)] {
            for (jump_ms, aged_ms) in [(0, 0), (2_500, 2_000), (DAY, DAY - 500)] {
                let next = Calendar::begin(
                    Some(&reading),
                    known,
                    at_ms(0),
                    &moment(WALL + 1_000 + jump_ms, since_boot_ms, boot),
                );
                assert_eq!(ms_since(next.at(WALL + 1_500), at_ms(0)), aged_ms as i64, "{boot:?} {jump_ms}");
                assert_eq!(next.at_undoubted(WALL + 1_499), at_ms(0));
                assert_eq!(next.remembered_at(WALL + 1_500), at_ms(0));
            }
            let back = Calendar::begin(Some(&reading), known, at_ms(0), &moment(WALL - DAY, since_boot_ms, boot));
            assert_eq!((back.at(WALL + 1_500), back.at_undoubted(WALL + 1_499)), (at_ms(0), at_ms(0)));
        }
    }

    #[test]
    fn a_gap_stays_in_doubt_for_a_budget_that_no_run_has_saved_since() {
        let (_, mut reading) = first();
        let saved_ms = WALL + 999;
        // Another boot with a clock that is a day ahead; each process crashes within a second, before it saves.
        for crashes in 0..3 {
            let began = moment(WALL + DAY, 1_000 + crashes * 1_000, Some(8));
            let run = Calendar::begin(Some(&reading), Some(saved_ms), at_ms(0), &began);
            assert_eq!(ms_since(run.at_undoubted(saved_ms), at_ms(0)), (crashes * 1_000) as i64, "{crashes}");
            reading = run.reading(at_ms(0), &began);
        }
    }

    #[test]
    fn a_store_without_a_reading_is_in_doubt_and_an_empty_one_has_nothing_to_doubt() {
        let old = Calendar::begin(None, Some(WALL), at_ms(0), &moment(WALL + DAY, 1_000, Some(7)));
        assert_eq!((ms_since(old.at(WALL), at_ms(0)), old.at_undoubted(WALL - 1)), (DAY as i64, at_ms(0)));
        let ahead = Calendar::begin(None, Some(WALL), at_ms(0), &moment(WALL - DAY, 1_000, Some(7)));
        assert_eq!(ahead.at(WALL), at_ms(0), "time doesn't go back");
    }

    #[test]
    fn an_id_is_remembered_through_gaps_on_disk_as_in_memory() {
        let (_, mut reading) = first();
        let written_ms = WALL + 500;
        let mut store_ms = 0;
        // A hundred boots, each with a clock that is a day ahead, and a minute of work.
        for boot in 0..100_u64 {
            let began = moment(WALL + 1_000 + (boot + 1) * DAY, 0, Some(100 + u128::from(boot)));
            let run = Calendar::begin(Some(&reading), None, at_ms(0), &began);
            let worked_ms = boot * 60_000;
            assert!(run.ms(at_ms(0)) > store_ms, "time goes on");
            store_ms = run.ms(at_ms(0));
            let age_ms = ms_since(run.remembered_at(written_ms), at_ms(0));
            assert!((0..=500 + worked_ms as i64).contains(&age_ms), "{boot}: {age_ms}");
            // What memory still knows at this age is not swept, and what it doesn't may be.
            assert!(run.ms_before(at_ms(0), Duration::from_millis(age_ms as u64)) <= written_ms);
            assert!(boot > 60 || run.ms_before(at_ms(0), Duration::from_millis(age_ms as u64 - 1)) > written_ms);
            assert!(run.gaps.len() <= GAPS_MAX);
            let end = moment(began.wall_ms + 60_000, 60_000, began.boot);
            reading = run.reading(at_ms(60_000), &end);
            reading.wall_ms = began.wall_ms;
        }
        let json = serde_json::to_string(&reading).unwrap();
        assert_eq!(serde_json::from_str::<Reading>(&json).unwrap(), reading);
    }
}
