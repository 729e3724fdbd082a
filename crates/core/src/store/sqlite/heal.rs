//! Trouble, and the way out of it: when to try again, and what the file needs before.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::companion::{companion, open_private};
use super::file;
use super::lock::OwnerLock;
use super::open::{self, Opened};
use super::options::Options;
use super::salvage;
use super::trouble::{Fault, Result};
use crate::clock::Timestamp;
use crate::error::{Error, Trouble};
use crate::store::Salvage;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// What SQLite's backup takes for as many pages as there are.
const ALL_PAGES: i32 = -1;
/// Trouble that comes back sooner is the same trouble, and waits as long.
const RELAPSE: Duration = Duration::from_secs(10);

/// Whether nothing can be written for now, why, and when to try again.
#[derive(Debug, Default)]
pub(super) struct Ailment {
    why: Option<(Error, Trouble, Timestamp)>,
    wait: Duration,
    healed_at: Option<Timestamp>,
    /// What became of damaged files in it.
    salvage: Salvage,
}

impl Ailment {
    pub(super) fn is_ill(&self) -> bool {
        self.why.is_some()
    }

    pub(super) fn error(&self) -> Option<Error> {
        self.why.as_ref().map(|(error, ..)| error.clone())
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.why.as_ref().map(|(_, trouble, _)| *trouble)
    }

    pub(super) fn may_try(&self, now: Timestamp) -> bool {
        self.why.as_ref().is_none_or(|(.., next)| now >= *next)
    }

    /// How long until the next try; none when there is no trouble.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        self.why.as_ref().map(|(.., next)| next.since(now))
    }

    /// A try has failed; whether that is news.
    pub(super) fn worsen(&mut self, now: Timestamp, error: Error, trouble: Trouble) -> bool {
        let new = self.why.is_none();
        let relapse = self.healed_at.is_some_and(|at| now.since(at) < RELAPSE);
        self.wait = if new && !relapse { FIRST_WAIT } else { (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT) };
        self.why = Some((error, trouble, now.after(self.wait)));
        new
    }

    /// It is over; what became of damaged files in it.
    pub(super) fn heal(&mut self, now: Timestamp) -> Salvage {
        self.why = None;
        self.healed_at = Some(now);
        std::mem::take(&mut self.salvage)
    }
}

/// Does to the file what it takes before another try can go well: it is open then.
pub(super) fn mend(
    path: &Path,
    options: &Options,
    ailment: &mut Ailment,
    opened: &mut Option<Opened>,
    lock: &mut OwnerLock,
) -> Result<()> {
    let trouble = ailment.trouble();
    // Nothing is made or moved by one that isn't the owner any more.
    match opened {
        Some(current) => current.identity.own(&current.db, lock)?,
        None => lock.check()?,
    }
    match (opened.as_mut(), trouble) {
        (None, Some(Trouble::Corrupt)) => replace_damaged(path, options, ailment, opened),
        (None, _) => finish_replacing(path, options, opened),
        (Some(current), Some(Trouble::Corrupt | Trouble::Missing)) => match current.identity.check_names() {
            // In a file without a name everything is still to be saved, however damaged it is.
            Err(_) => bring_back(path, options, current),
            Ok(()) if trouble == Some(Trouble::Corrupt) => replace_damaged(path, options, ailment, opened),
            Ok(()) => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The file turned out to be damaged while it was open: what can be read of it goes to a fresh one.
fn replace_damaged(path: &Path, options: &Options, ailment: &mut Ailment, opened: &mut Option<Opened>) -> Result<()> {
    // Nobody may be connected to it.
    *opened = None;
    let replaced = salvage::begin(path, options).and_then(|salvaged| {
        ailment.salvage.set_aside = Some(salvaged.set_aside);
        ailment.salvage.unreadable += salvaged.unreadable;
        salvage::finish(path)
    });
    if let Err(fault) = replaced {
        // As long as nothing is moved, its messages can be read until the next try.
        if let Ok(None) = salvage::begun(path) {
            *opened = as_it_is(path, options).ok();
        }
        return Err(fault);
    }
    *opened = Some(reopened(path, options)?);
    Ok(())
}

/// An earlier try has come so far that the file is closed, and perhaps moved.
fn finish_replacing(path: &Path, options: &Options, opened: &mut Option<Opened>) -> Result<()> {
    salvage::finish(path)?;
    *opened = Some(reopened(path, options)?);
    Ok(())
}

fn as_it_is(path: &Path, options: &Options) -> Result<Opened> {
    Opened::of(file::connect(path, options)?, path)
}

/// The names that led to the file don't any more, but the connection has it open still: all of it goes to a new one.
fn bring_back(path: &Path, options: &Options, current: &mut Opened) -> Result<()> {
    if path.exists() && !current.identity.may_replace(path) {
        return Err(Fault::new(Trouble::Missing, "was replaced by another file"));
    }
    let fresh = companion(path, ".recovering");
    let is_damaged = match copy_rows(&current.db, &fresh) {
        Err(fault) if fault.is_corrupt() => {
            copy_pages(&current.db, &fresh, options)?;
            true
        }
        outcome => outcome.map(|()| false)?,
    };
    File::open(&fresh)?.sync_all()?;
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(companion(path, suffix));
    }
    // The connection that has everything is still the old one, until the copy is open: if it can't be opened now, it stays the
    // only file with a name, and the next try replaces it.
    current.identity.copied_to(&fresh)?;
    fs::rename(&fresh, path)?;
    file::sync_directory(path)?;
    if is_damaged {
        // It has a name again, and is replaced as any other.
        *current = as_it_is(path, options)?;
        return Err(Fault::corrupt("is damaged"));
    }
    *current = reopened(path, options)?;
    Ok(())
}

fn copy_rows(db: &Connection, to: &Path) -> Result<()> {
    open::remove(to)?;
    open_private(to)?;
    db.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(())
}

/// Copies a file as it is, whatever is on its pages: then it can be set aside, and what can be read of it be recovered.
fn copy_pages(db: &Connection, to: &Path, options: &Options) -> Result<()> {
    open::remove(to)?;
    open_private(to)?;
    let mut copy = file::connect(to, options)?;
    match Backup::new(db, &mut copy)?.step(ALL_PAGES)? {
        StepResult::Done => Ok(()),
        _ => Err(Fault::new(Trouble::Failed, "can't be copied")),
    }
}

fn reopened(path: &Path, options: &Options) -> Result<Opened> {
    let db = open::connect(path, options)?;
    file::widen(&db)?;
    open::begin(&db)?;
    Opened::of(db, path)
}
