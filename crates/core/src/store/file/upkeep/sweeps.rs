//! When receipts are forgotten, for each organization that has its part of the file open. Where none is due, nothing
//! wakes for it.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::super::fault::Result;
use super::super::file_time::FileTime;
use super::super::part::Part;
use super::super::progress::RECEIPTS_MAX;
use super::super::receipts;
use super::super::times::natural;
use crate::clock::Timestamp;

/// Old receipts of a part are looked for so often at most.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// And after this many changes.
const SWEEP_CHANGES: usize = 4_096;
/// Rows of receipts that are looked at together, and how often in one step: more than changes come between two steps,
/// so that sweeping keeps up.
const SWEEP_ROWS: usize = 64;
const SWEEP_ROUNDS: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Sweeps(BTreeMap<Part, Sweep>);

#[derive(Debug)]
struct Sweep {
    /// How long receipts are kept; zero keeps none.
    dedupe: Duration,
    /// When the oldest receipt may have to go; none when there is no receipt.
    due: Option<Timestamp>,
    changes: usize,
}

impl Sweeps {
    /// A part is open: what an earlier run left in it is looked through as well.
    pub(super) fn begin(&mut self, part: Part, dedupe: Duration, now: Timestamp) {
        self.0.insert(part, Sweep { dedupe, due: Some(now.after(SWEEP_EVERY)), changes: 0 });
    }

    /// It isn't any more.
    pub(super) fn end(&mut self, part: Part) {
        self.0.remove(&part);
    }

    /// This many changes of a part were written.
    pub(super) fn wrote(&mut self, part: Part, changes: usize, now: Timestamp) {
        let Some(sweep) = self.0.get_mut(&part) else { return };
        sweep.changes += changes;
        if sweep.changes >= SWEEP_CHANGES {
            sweep.due = Some(now);
        } else if sweep.due.is_none() && !sweep.dedupe.is_zero() {
            sweep.due = Some(now.after(sweep.dedupe.max(SWEEP_EVERY)));
        }
    }

    /// When the next receipt may have to go.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.0.values().filter_map(|sweep| sweep.due).min()
    }

    /// Forgets receipts that are too old or too many, oldest first: none that memory still knows, since both count by
    /// the file's time. How many rows of them.
    pub(super) fn run(&mut self, db: &Connection, now: Timestamp, time: &FileTime) -> Result<usize> {
        let mut swept = 0;
        for (part, sweep) in self.0.iter_mut().filter(|(_, sweep)| sweep.due.is_some_and(|due| due <= now)) {
            // Also when it fails.
            (sweep.due, sweep.changes) = (Some(now.after(SWEEP_EVERY)), 0);
            let old_ms = time.forgets_before(sweep.dedupe);
            swept += forget(db, *part, old_ms, sweep.dedupe.is_zero())?;
            sweep.due = oldest_ms(db, *part)?.map(|at_ms| {
                let left = Duration::from_millis(natural(at_ms.saturating_sub(old_ms)));
                now.after(left.max(SWEEP_EVERY))
            });
        }
        Ok(swept)
    }
}

fn forget(db: &Connection, part: Part, old_ms: i64, forgets_all: bool) -> Result<usize> {
    let too_many = part.start().saturating_add(receipts::newest(db, part)?.saturating_sub(RECEIPTS_MAX));
    let mut statement = db.prepare_cached(
        "DELETE FROM deliveries
         WHERE number IN (SELECT number FROM deliveries WHERE number > ?5 AND number <= ?6 ORDER BY number LIMIT ?1)
         AND (at_ms < ?2 OR ?4 OR number <= ?3)",
    )?;
    let mut swept = 0;
    for _ in 0..SWEEP_ROUNDS {
        let gone =
            statement.execute(params![SWEEP_ROWS as i64, old_ms, too_many, forgets_all, part.start(), part.end()])?;
        swept += gone;
        if gone < SWEEP_ROWS {
            break;
        }
    }
    Ok(swept)
}

/// When a part's oldest receipts were written; the last one of its commit.
fn oldest_ms(db: &Connection, part: Part) -> Result<Option<i64>> {
    let sql = "SELECT at_ms FROM deliveries WHERE number > ?1 AND number <= ?2 ORDER BY number LIMIT 1";
    let mut statement = db.prepare_cached(sql)?;
    Ok(statement.query_row(params![part.start(), part.end()], |row| row.get(0)).optional()?)
}
