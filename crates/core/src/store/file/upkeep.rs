//! What is done beside: moving the write-ahead log into the file, forgetting old receipts, giving space back after a
//! peak. In small steps, after an acknowledgement or while nothing is to be written; what fails is tried again, and is
//! no trouble as long as changes can be written.

mod sweeps;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use self::sweeps::Sweeps;
use super::connection;
use super::fault::Result;
use super::file_time::FileTime;
use super::headroom::{Headroom, Pages};
use super::log;
use super::options::{Durability, Options};
use super::part::Part;
use super::set_aside;
use crate::clock::Timestamp;

/// A log that is longer than this when nothing is to be done is cut off.
const IDLE_LOG_BYTES_MAX: u64 = 16 * 1_048_576;
/// When somebody reads from the log, so that it can't be emptied, that is tried again this much later.
const EMPTY_LOG_AGAIN: Duration = Duration::from_secs(1);
/// Files that were set aside are looked at so often, while there are any.
const SET_ASIDE_EVERY: Duration = Duration::from_secs(3_600);
/// Nothing to write for so long is idle.
const IDLE: Duration = Duration::from_secs(1);
/// Free pages that a file keeps, and those of one step.
const FREE_PAGES_KEPT: i64 = 1_024;
const VACUUM_PAGES: i64 = 512;
/// Those that are given back in between, and how often: few enough to hold no message up for long.
const SLICE_PAGES: i64 = 128;
const SLICE_EVERY: Duration = Duration::from_millis(250);
/// Those of one step where the log has little space to grow: as many as the next transaction has space for in any case.
const SHORT_OF_SPACE_PAGES: i64 = 32;
/// After more changes than this since the last slice the flow is no trickle, and will need most of the pages itself:
/// slices are rare then, but a flow that never ends does not keep the file of its highest peak.
const SLICE_CHANGES: usize = 1_024;
const SLICE_IN_FLOW_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Upkeep {
    path: PathBuf,
    pub(super) headroom: Headroom,
    sweeps: Sweeps,
    checkpoint_bytes: u64,
    /// The log has what was written since it began, also of messages that are gone meanwhile: it is emptied so often.
    empty_log_every: Duration,
    /// Whether commits wait for the disk, so that a log with room ahead of it is worth its price.
    waits_for_disk: bool,
    /// Bytes of the log that were in use at the last checkpoint.
    moved_at: u64,
    /// How long the log is known to be.
    log_bytes: u64,
    written_at: Timestamp,
    /// When old files that were set aside are removed the next time; none when there was none at the last look.
    expires_at: Option<Timestamp>,
    /// When the log is to be emptied; none when nothing was written since it was.
    empties_at: Option<Timestamp>,
    /// Something was written since the file was last seen to be in order.
    untidy: bool,
    /// The last step of tidying left more to do.
    more: bool,
    /// When free pages were last given back, or looked for, and what was written since.
    sliced_at: Timestamp,
    changes_since_slice: usize,
    pages: Option<Pages>,
}

impl Upkeep {
    pub(super) fn new(path: &Path, options: &Options, now: Timestamp) -> Self {
        Self {
            path: path.into(),
            headroom: Headroom::new(path),
            sweeps: Sweeps::default(),
            checkpoint_bytes: options.checkpoint_bytes,
            empty_log_every: options.empty_log_every,
            waits_for_disk: options.durability == Durability::PowerLoss,
            moved_at: 0,
            log_bytes: 0,
            written_at: now,
            expires_at: Some(now),
            // An earlier run may have left one.
            empties_at: Some(now.after(options.empty_log_every)),
            // What an earlier run left is looked through as well.
            untidy: true,
            more: false,
            sliced_at: now,
            changes_since_slice: 0,
            pages: None,
        }
    }

    /// An organization has opened its part of the file, and keeps receipts for so long.
    pub(super) fn begin_part(&mut self, part: Part, dedupe: Duration, now: Timestamp) {
        self.sweeps.begin(part, dedupe, now);
    }

    /// It has closed it.
    pub(super) fn end_part(&mut self, part: Part) {
        self.sweeps.end(part);
    }

    /// A damaged file may have been set aside.
    pub(super) fn look_aside(&mut self, now: Timestamp) {
        self.expires_at = Some(now);
    }

    /// This many changes of a part were written.
    pub(super) fn wrote_part(&mut self, part: Part, changes: usize, now: Timestamp) {
        self.sweeps.wrote(part, changes, now);
    }

    /// This many changes were written in all, and the database has these pages since.
    pub(super) fn wrote(&mut self, changes: usize, pages: Pages) {
        self.pages = Some(pages);
        self.changes_since_slice += changes;
        self.untidy = true;
    }

    /// The pages that the database had after the last commit, if nothing was written since: to ask takes a statement
    /// each. Who takes them is about to write.
    pub(super) fn take_pages(&mut self) -> Option<Pages> {
        self.pages.take()
    }

    /// What can't wait until nothing else is to be done.
    pub(super) fn after_commit(&mut self, db: &Connection, now: Timestamp, time: &FileTime) {
        self.written_at = now;
        let _ = self.sweep(db, now, time);
        if *self.empties_at.get_or_insert(now.after(self.empty_log_every)) <= now {
            self.empty_log(db, now);
        } else {
            self.tend_log(db);
        }
    }

    /// How long until something is to be done, if nothing comes in; none when nothing is.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        let until_idle = IDLE.saturating_sub(now.since(self.written_at));
        let tidy = match (self.untidy, self.more) {
            (false, _) => None,
            (true, true) => Some(until_idle.min(self.until_slice(now))),
            (true, false) => Some(until_idle),
        };
        let due = [self.empties_at, self.sweeps.due(), self.expires_at].into_iter().flatten().min();
        tidy.into_iter().chain(due.map(|at| at.since(now))).min()
    }

    fn until_slice(&self, now: Timestamp) -> Duration {
        let every = if self.changes_since_slice > SLICE_CHANGES { SLICE_IN_FLOW_EVERY } else { SLICE_EVERY };
        every.saturating_sub(now.since(self.sliced_at))
    }

    /// Nothing else is to be done: one step, and whether there is another is in [`Self::wait`].
    pub(super) fn idle(&mut self, db: &Connection, now: Timestamp, time: &FileTime) {
        if self.sweep(db, now, time).is_ok_and(|swept| swept > 0) {
            self.untidy = true;
        }
        if self.empties_at.is_some_and(|at| at <= now) {
            self.empty_log(db, now);
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            let has_more = set_aside::expire(&self.path, time.times().now_ms()).unwrap_or(true);
            self.expires_at = has_more.then(|| now.after(SET_ASIDE_EVERY));
        }
        if !self.untidy {
            return;
        }
        let is_idle = now.since(self.written_at) >= IDLE;
        if !is_idle && !self.until_slice(now).is_zero() {
            return;
        }
        (self.sliced_at, self.changes_since_slice) = (now, 0);
        let had_more = self.more;
        self.more = self.vacuum(db, if is_idle { VACUUM_PAGES } else { SLICE_PAGES }).unwrap_or(false);
        if !self.more && (is_idle || had_more) {
            // This also shortens the file to the pages that it has left.
            self.checkpoint(db);
        }
        if is_idle && !self.more {
            if log::file_bytes(&self.path) > IDLE_LOG_BYTES_MAX {
                self.cut_log(db);
            }
            self.untidy = false;
        }
    }

    /// Moves the log into the file when it has become long, and gives it room while it may grow.
    fn tend_log(&mut self, db: &Connection) {
        let Ok(used) = log::used_bytes(db) else { return };
        if used < self.moved_at {
            // It has started again.
            self.moved_at = 0;
        }
        if used - self.moved_at >= self.checkpoint_bytes {
            self.checkpoint(db);
        } else if self.waits_for_disk && used + log::ROOM_LEFT_MIN > self.log_bytes {
            // Without room it works as well, if slower.
            self.log_bytes = log::make_room(&self.path, used).unwrap_or_default();
        }
    }

    /// Moves all of the log into the file, and cuts it off: overwriting it from its beginning would leave what is
    /// behind that.
    fn empty_log(&mut self, db: &Connection, now: Timestamp) {
        let is_empty = self.cut_log(db);
        self.empties_at = (!is_empty).then(|| now.after(EMPTY_LOG_AGAIN));
    }

    fn cut_log(&mut self, db: &Connection) -> bool {
        (self.moved_at, self.log_bytes) = (0, 0);
        let is_empty = connection::cut_log(db).unwrap_or(false);
        self.headroom.forget();
        // At once, before another program takes the space. If that has happened, the next message is refused.
        let _ = Pages::of(db).and_then(|pages| self.headroom.ensure(pages, 0));
        is_empty
    }

    /// A transaction has failed for lack of space: the log is moved into the file, and begins again. Whether that went
    /// well. Without
    /// `keeps_log` its space is given to the file as well.
    pub(super) fn make_space(&mut self, db: &Connection, keeps_log: bool) -> bool {
        self.headroom.release();
        if keeps_log {
            return connection::checkpoint(db, "PASSIVE").is_ok();
        }
        self.cut_log(db)
    }

    fn checkpoint(&mut self, db: &Connection) {
        // Also when it fails: the next one is due after as much again, and not at once.
        let _ = connection::checkpoint(db, "PASSIVE");
        self.moved_at = log::used_bytes(db).unwrap_or(0);
    }

    fn sweep(&mut self, db: &Connection, now: Timestamp, time: &FileTime) -> Result<usize> {
        if self.sweeps.due().is_none_or(|due| due > now) {
            return Ok(0);
        }
        self.pages = None;
        self.sweeps.run(db, now, time)
    }

    /// Gives free pages back, a few; whether there are more.
    fn vacuum(&mut self, db: &Connection, pages_max: i64) -> Result<bool> {
        let free: i64 = db.prepare_cached("PRAGMA freelist_count")?.query_row([], |row| row.get(0))?;
        let surplus = free - FREE_PAGES_KEPT;
        if surplus <= 0 {
            return Ok(false);
        }
        // Each page that moves changes the one that points to it, and its entry in the pointer map.
        let changed = |pages: i64| u64::try_from(3 * pages).unwrap_or(0);
        let mut pages = surplus.min(pages_max);
        let is_short_of_space = self.headroom.ensure(Pages::of(db)?, changed(pages)).is_err();
        if is_short_of_space {
            pages = pages.min(SHORT_OF_SPACE_PAGES);
        }
        self.pages = None;
        connection::pragma_call(db, &format!("incremental_vacuum({pages})"))?;
        if is_short_of_space {
            self.make_space(db, false);
            return Ok(surplus > pages);
        }
        self.tend_log(db);
        Ok(surplus > pages_max)
    }
}

#[cfg(test)]
mod tests;
