//! The file's own time, which goes on from run to run.

use std::time::Duration;

use rusqlite::Connection;

use super::fault::{Result, damage};
use super::rows::checksum;
use super::times::{Times, integer};
use super::values::{meta, set_meta};
use super::wire;
use crate::clock::Clock;
use crate::store::calendar::{Calendar, Reading};

/// The file's time while somebody has it open.
#[derive(Clone, Debug)]
pub(super) struct FileTime {
    clock: Clock,
    pub(super) calendar: Calendar,
}

impl FileTime {
    /// The time of a file that nothing is in yet.
    pub(super) fn new(clock: Clock) -> Self {
        let calendar = Calendar::begin(None, None, clock.now(), &clock.moment());
        Self { clock, calendar }
    }

    /// Goes on where the last run has ended.
    pub(super) fn of(db: &Connection, clock: &Clock) -> Result<Self> {
        let departed_ms = wire::last_departed_ms(db)?;
        let known_ms = departed_ms.max(last_saved_ms(db)?).and_then(|ms| u64::try_from(ms).ok());
        let last = meta::<String>(db, "clock")?.and_then(|text| intact(&text));
        let calendar = Calendar::begin(last.as_ref(), known_ms, clock.now(), &clock.moment());
        Ok(Self { clock: *clock, calendar })
    }

    /// Keeps what the next run needs in order to go on.
    pub(super) fn save(&self, db: &Connection) -> Result<()> {
        let reading = self.calendar.reading(self.clock.now(), &self.clock.moment());
        let text = serde_json::to_string(&reading).map_err(damage)?;
        set_meta(db, "clock", format!("{} {text}", checksum(0, &text)))
    }

    /// For the rows of one batch.
    pub(super) fn times(&self) -> Times {
        let now = self.clock.now();
        Times::new(now, self.calendar.ms(now))
    }

    /// A time of the wall clock in the file's time.
    pub(super) fn of_wall(&self, wall_ms: i64) -> i64 {
        let ahead_ms = self.times().now_ms().saturating_sub(integer(self.clock.moment().wall_ms));
        wall_ms.saturating_add(ahead_ms)
    }

    /// Receipts of before this time are remembered no longer.
    pub(super) fn forgets_before(&self, dedupe: Duration) -> i64 {
        integer(self.calendar.ms_before(self.clock.now(), dedupe))
    }
}

/// When a budget was last saved, whoever's it was.
fn last_saved_ms(db: &Connection) -> Result<Option<i64>> {
    let sql = "SELECT max(value) FROM meta WHERE name > 'budget_ms/' AND name < 'budget_ms0'";
    Ok(db.query_row(sql, [], |row| row.get(0))?)
}

/// A reading as it was written; without one, the time since is in doubt.
fn intact(text: &str) -> Option<Reading> {
    let (sum, json) = text.split_once(' ')?;
    (sum.parse() == Ok(checksum(0, json))).then(|| serde_json::from_str(json).ok())?
}
