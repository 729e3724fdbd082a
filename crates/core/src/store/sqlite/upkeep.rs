//! What is done beside: moving the write-ahead log into the file, forgetting old receipts, giving space back after a peak. In
//! small steps, after an acknowledgement or while nothing is to be written; what fails is tried again, and is no trouble
//! as long as changes can be written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, params};

use super::file;
use super::log;
use super::options::{Durability, Options};
use super::recover::RECEIPTS_MAX;
use super::times::integer;
use super::trouble::Result;
use crate::clock::{Clock, Timestamp};

/// A log that is longer than this when nothing is to be done is cut off.
const IDLE_LOG_BYTES_MAX: u64 = 16 * 1_048_576;
/// Nothing to write for so long is idle.
const IDLE: Duration = Duration::from_secs(1);
/// Old receipts are looked for so often.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
const SWEEP_CHANGES: usize = 4_096;
/// Rows of receipts that are looked at together, and how often in one step: more than changes come between two steps, so that
/// sweeping keeps up.
const SWEEP_ROWS: usize = 64;
const SWEEP_ROUNDS: usize = 128;
/// Free pages that a file keeps, and those of one step.
const FREE_PAGES_KEPT: i64 = 1_024;
const VACUUM_PAGES: i64 = 512;

#[derive(Debug)]
pub(super) struct Upkeep {
    path: PathBuf,
    dedupe: Duration,
    checkpoint_bytes: u64,
    /// Whether commits wait for the disk, so that a log with room ahead of it is worth its price.
    waits_for_disk: bool,
    /// Bytes of the log that were in use at the last checkpoint.
    moved_at: u64,
    /// How long the log is known to be.
    log_bytes: u64,
    written_at: Timestamp,
    swept_at: Timestamp,
    changes_since_sweep: usize,
    /// Something was written since the file was last seen to be in order.
    untidy: bool,
    /// The last step of tidying left more to do.
    more: bool,
}

impl Upkeep {
    pub(super) fn new(path: &Path, options: &Options, now: Timestamp) -> Self {
        Self {
            path: path.into(),
            dedupe: options.dedupe,
            checkpoint_bytes: options.checkpoint_bytes,
            waits_for_disk: options.durability == Durability::PowerLoss,
            moved_at: 0,
            log_bytes: 0,
            written_at: now,
            swept_at: now,
            changes_since_sweep: 0,
            // What an earlier run left is looked through as well.
            untidy: true,
            more: false,
        }
    }

    /// So many changes were written.
    pub(super) fn wrote(&mut self, changes: usize) {
        self.changes_since_sweep += changes;
        self.untidy = true;
        self.more = false;
    }

    /// What can't wait until nothing else is to be done.
    pub(super) fn after_commit(&mut self, db: &Connection, now: Timestamp) {
        self.written_at = now;
        if self.changes_since_sweep >= SWEEP_CHANGES {
            let _ = self.sweep(db, now);
        }
        self.tend_log(db);
    }

    /// How long until something is to be done, if nothing comes in.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        if !self.untidy {
            return SWEEP_EVERY;
        }
        if self.more { Duration::ZERO } else { IDLE.saturating_sub(now.since(self.written_at)) }
    }

    /// Nothing else is to be done: one step, and whether there is another is in [`Self::wait`].
    pub(super) fn idle(&mut self, db: &Connection, now: Timestamp) {
        if now.since(self.swept_at) >= SWEEP_EVERY && self.sweep(db, now).is_ok_and(|swept| swept > 0) {
            self.untidy = true;
        }
        if !self.untidy || now.since(self.written_at) < IDLE {
            return;
        }
        self.more = self.vacuum(db).unwrap_or(false);
        if !self.more {
            self.checkpoint(db);
            if log::file_bytes(&self.path) > IDLE_LOG_BYTES_MAX {
                let _ = file::cut_log(db);
                self.log_bytes = 0;
            }
            self.untidy = false;
        }
    }

    /// Moves the log into the file when it has become long, and gives it room while it may grow.
    fn tend_log(&mut self, db: &Connection) {
        let Ok(used) = log::used_bytes(db) else { return };
        if used < self.moved_at {
            // It has started anew.
            self.moved_at = 0;
        }
        if used - self.moved_at >= self.checkpoint_bytes {
            self.checkpoint(db);
        } else if self.waits_for_disk && used + log::ROOM_LEFT_MIN > self.log_bytes {
            // Without room it works as well, if slower.
            self.log_bytes = log::make_room(&self.path, used).unwrap_or_default();
        }
    }

    fn checkpoint(&mut self, db: &Connection) {
        // Also when it fails: the next one is due after as much again, and not at once.
        let _ = file::checkpoint(db, "PASSIVE");
        self.moved_at = log::used_bytes(db).unwrap_or(0);
    }

    /// Forgets receipts that are too old or too many, oldest first.
    fn sweep(&mut self, db: &Connection, now: Timestamp) -> Result<usize> {
        self.swept_at = now;
        self.changes_since_sweep = 0;
        let keep_ms = u64::try_from(self.dedupe.as_millis()).unwrap_or(u64::MAX);
        let old_ms = integer(Clock::epoch_ms_now().saturating_sub(keep_ms));
        let mut statement = db.prepare_cached(
            "DELETE FROM deliveries WHERE number IN (SELECT number FROM deliveries ORDER BY number LIMIT ?1)
             AND (at_ms < ?2 OR ?4 OR number <= (SELECT max(number) FROM deliveries) - ?3)",
        )?;
        let mut swept = 0;
        for _ in 0..SWEEP_ROUNDS {
            let gone = statement.execute(params![SWEEP_ROWS as i64, old_ms, RECEIPTS_MAX, self.dedupe.is_zero()])?;
            swept += gone;
            if gone < SWEEP_ROWS {
                break;
            }
        }
        Ok(swept)
    }

    /// Gives free pages back, a few; whether there are more.
    fn vacuum(&mut self, db: &Connection) -> Result<bool> {
        let free: i64 = db.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        let surplus = free - FREE_PAGES_KEPT;
        if surplus <= 0 {
            return Ok(false);
        }
        file::pragma_call(db, &format!("incremental_vacuum({})", surplus.min(VACUUM_PAGES)))?;
        self.tend_log(db);
        Ok(surplus > VACUUM_PAGES)
    }
}
