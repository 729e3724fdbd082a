//! What an earlier run left, read whatever the disk does: a read that fails is tried again for a while, and a damaged
//! file is replaced by what can be read of it.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::fault::Result;
use super::file_time::FileTime;
use super::options::Options;
use super::organizations::{self, Organizations};
use super::part::Part;
use super::progress::Progress;
use super::recover::{self, Readout};
use super::transaction::in_transaction;
use super::{connection, doubt, opened, salvage, second_look};
use crate::clock::{Clock, Timestamp};
use crate::store::{Opening, Salvage, StoreEvent};

/// Between two tries of a reading that has failed.
const WAIT: Duration = Duration::from_millis(50);

/// Tries again while reads fail, for as long as the options' patience lasts. Nothing is replaced by a try that fails.
pub(super) fn patiently<T>(options: &Options, clock: &Clock, mut work: impl FnMut() -> Result<T>) -> Result<T> {
    let started = clock.now();
    let may_wait = |now: Timestamp| now.since(started) < options.patience;
    loop {
        options.pulse.beat();
        match work() {
            Err(fault) if fault.is_read_error() && may_wait(clock.now()) => {
                second_look::wait(WAIT.min(options.patience))
            }
            outcome => return outcome,
        }
    }
}

/// A file that can be written, and what was told of it: all that the organization has in it that opens it.
pub(super) struct Begun {
    pub(super) db: Connection,
    pub(super) time: FileTime,
    pub(super) organizations: Organizations,
    pub(super) part: Part,
    pub(super) opening: Opening,
}

/// Tells what is in the file, but for the last word, and begins to write to it.
pub(super) fn read(path: &Path, options: &Options, clock: &Clock, event: &mut dyn FnMut(StoreEvent)) -> Result<Begun> {
    let mut reading = Reading { path, options, clock, progress: Progress::default(), salvaged: None };
    patiently(options, clock, || reading.attempt(event))
}

struct Reading<'a> {
    path: &'a Path,
    options: &'a Options,
    clock: &'a Clock,
    progress: Progress,
    /// What became of the damaged file that this reading has replaced.
    salvaged: Option<Salvage>,
}

impl Reading<'_> {
    /// Reads on from where the last attempt came to.
    fn attempt(&mut self, event: &mut dyn FnMut(StoreEvent)) -> Result<Begun> {
        let fault = match self.read_on(event) {
            Err(fault) if fault.is_corrupt() => fault,
            outcome => return outcome,
        };
        let Some(source) = doubt::damaged(self.path, self.options, self.clock)? else {
            return Err(fault.unless_corrupt());
        };
        if self.salvaged.is_some() {
            return Err(fault);
        }
        let replace = || salvage::replace(self.path, &source, self.options, self.clock);
        self.salvaged = Some(self.options.pulse.long(replace)?.salvage());
        self.progress.rewind();
        self.read_on(event).map_err(super::fault::Fault::unless_corrupt)
    }

    fn read_on(&mut self, event: &mut dyn FnMut(StoreEvent)) -> Result<Begun> {
        // An attempt may have come so far that only this is left of an exchange.
        salvage::finish(self.path, self.options)?;
        let db = opened::ready(self.path, self.options)?;
        let time = FileTime::of(&db, self.clock)?;
        let mut organizations = organizations::whole(&db)?;
        let (part, is_known) = opened::part_of(&organizations, &self.options.organization)?;
        let (dedupe, lenient) = (self.options.dedupe, self.salvaged.is_some());
        let readout = Readout { part, time: &time, dedupe, lenient };
        recover::tell_all(&db, &readout, &mut self.progress, event)?;
        let mut opening = opened::remembered(&db, part, &time)?;
        opening.salvage = salvage::notice(&db, self.path)?;
        opening.salvage.unreadable += self.progress.unreadable;
        // Damage to what only writing looks at is found here.
        connection::begin_writing(&db)?;
        opening.token = in_transaction(&db, || {
            let token = opened::claim(&db, part, is_known, self.options)?;
            time.save(&db)?;
            Ok(token)
        })?;
        organizations.insert(self.options.organization.as_str().into(), part);
        Ok(Begun { db, time, organizations, part, opening })
    }
}
