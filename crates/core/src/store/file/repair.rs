//! A store that takes no changes, and the way out of that: when to try again, and what the file needs before.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::companion::{companion, open_private, remove};
use super::connection;
use super::doubt;
use super::fault::{Fault, Result};
use super::identity;
use super::lock::OwnerLock;
use super::opened::{self, Opened};
use super::options::Options;
use super::organizations::Organizations;
use super::salvage;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, StoreErrorKind};
use crate::store::{Salvage, StoreEvent};

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// What SQLite's backup takes for as many pages as there are.
const ALL_PAGES: i32 = -1;
/// A file that is found to be whole so often, and still can't be written for damage, is replaced all the same.
const DOUBTS_MAX: u32 = 3;
/// A failure that comes back sooner is the same one, and waits as long.
const RELAPSE: Duration = Duration::from_secs(10);

/// Whether nothing can be written for now, why, and when to try again.
#[derive(Debug, Default)]
pub(super) struct Degradation {
    why: Option<(Error, StoreErrorKind, Timestamp)>,
    /// Another owner has the store since: it never ends.
    is_disowned: bool,
    /// Only new messages have to wait.
    is_of_new_messages: bool,
    wait: Duration,
    restored_at: Option<Timestamp>,
    /// How often the file has seemed to be damaged in it, and was found to be whole.
    doubts: u32,
    /// What became of damaged files in it.
    salvage: Salvage,
}

impl Degradation {
    pub(super) fn is_degraded(&self) -> bool {
        self.why.is_some()
    }

    pub(super) fn error(&self) -> Option<Error> {
        self.why.as_ref().map(|(error, ..)| error.clone())
    }

    pub(super) fn kind(&self) -> Option<StoreErrorKind> {
        self.why.as_ref().map(|(_, kind, _)| *kind)
    }

    /// Whether everything but new messages can be written.
    pub(super) fn is_of_new_messages(&self) -> bool {
        self.is_degraded() && self.is_of_new_messages
    }

    pub(super) fn may_try(&self, now: Timestamp) -> bool {
        self.why.as_ref().is_none_or(|(.., next)| now >= *next)
    }

    /// How long until the next try; `None` unless it is degraded.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        self.why.as_ref().map(|(.., next)| next.since(now))
    }

    /// A try has failed; as what the error is to be told, if it, or the reason, is news.
    pub(super) fn worsen(&mut self, now: Timestamp, error: Error, fault: &Fault) -> Option<fn(Error) -> StoreEvent> {
        let new = self.why.is_none();
        let is_new = self.error().is_none_or(|before| before.to_string() != error.to_string());
        let event: Option<fn(Error) -> StoreEvent> = match (fault.is_disowned(), self.is_disowned) {
            // Nothing comes after that.
            (_, true) => None,
            (true, false) => Some(StoreEvent::Disowned),
            (false, false) => is_new.then_some(StoreEvent::Degraded),
        };
        self.is_disowned |= fault.is_disowned();
        let relapse = self.restored_at.is_some_and(|at| now.since(at) < RELAPSE);
        self.wait = if new && !relapse { FIRST_WAIT } else { (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT) };
        self.why = Some((error, fault.kind, now.after(self.wait)));
        self.is_of_new_messages = fault.is_of_new_messages();
        event
    }

    /// It is over; what became of damaged files in it.
    pub(super) fn restore(&mut self, now: Timestamp) -> Salvage {
        self.why = None;
        self.restored_at = Some(now);
        self.doubts = 0;
        std::mem::take(&mut self.salvage)
    }
}

/// Does to the file what it takes before another try can go well: it is open then. `known` are the organizations that
/// it is known to have.
pub(super) fn repair(
    path: &Path,
    options: &Options,
    degradation: &mut Degradation,
    opened: &mut Option<Opened>,
    lock: &mut OwnerLock,
    known: &Organizations,
    clock: &Clock,
) -> Result<()> {
    let kind = degradation.kind();
    // Nothing is made or moved by one that isn't the owner any more.
    match opened {
        Some(current) => current.identity.own(&current.db, lock)?,
        None => lock.check()?,
    }
    match (opened.as_mut(), kind) {
        (None, Some(StoreErrorKind::Corrupt)) => replace_damaged(path, options, degradation, opened, known, clock),
        (None, _) => finish_replacing(path, options, opened),
        (Some(current), Some(StoreErrorKind::Corrupt | StoreErrorKind::Missing)) => {
            match current.identity.check_names() {
                // In a file without a name everything is still to be saved, however damaged it is.
                Err(_) => bring_back(path, options, degradation, current),
                Ok(()) if kind == Some(StoreErrorKind::Corrupt) => {
                    replace_damaged(path, options, degradation, opened, known, clock)
                }
                Ok(()) => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// The file seems to be damaged while it is open. If it is, what can be read of it goes to a fresh one.
fn replace_damaged(
    path: &Path,
    options: &Options,
    degradation: &mut Degradation,
    opened: &mut Option<Opened>,
    known: &Organizations,
    clock: &Clock,
) -> Result<()> {
    // Nobody may be connected to it.
    *opened = None;
    if salvage::begun(path)?.is_some() {
        return finish_replacing(path, options, opened);
    }
    let source = match doubt::damaged(path, options, clock)? {
        Some(source) => source,
        None if degradation.doubts < DOUBTS_MAX => {
            degradation.doubts += 1;
            *opened = Some(reopened(path, options)?);
            return Ok(());
        }
        None => salvage::fingerprint(path, &companion(path, "-wal"), options)?,
    };
    let replaced = salvage::begin(path, &source, options, known, clock).and_then(|(salvaged, stamp)| {
        degradation.salvage.unreadable += salvaged.unreadable;
        degradation.salvage.unreadable_parts += salvaged.unreadable_pages;
        degradation.salvage.set_aside = Some(salvage::name_of(&salvaged.set_aside));
        salvage::exchange(path, &stamp)
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
    salvage::finish(path, options)?;
    *opened = Some(reopened(path, options)?);
    Ok(())
}

fn as_it_is(path: &Path, options: &Options) -> Result<Opened> {
    Opened::of(connection::connect(path, options)?, path)
}

/// The names that led to the file don't any more, but the connection has it open still: all of it goes to a new one.
fn bring_back(path: &Path, options: &Options, degradation: &mut Degradation, current: &mut Opened) -> Result<()> {
    if path.exists() && !current.identity.may_replace(path) {
        return Err(identity::replaced());
    }
    let fresh = companion(path, ".recovering");
    let is_damaged = match copy_rows(&current.db, &fresh) {
        Err(fault) if fault.is_corrupt() => {
            if degradation.doubts < DOUBTS_MAX {
                // Nothing can be read of it but by this connection, which must not have a page in memory that was read
                // badly.
                degradation.doubts += 1;
                current.db.release_memory()?;
                return Err(fault);
            }
            copy_pages(&current.db, &fresh, options)?;
            true
        }
        outcome => outcome.map(|()| false)?,
    };
    File::open(&fresh)?.sync_all()?;
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(companion(path, suffix));
    }
    // The connection that has everything is still the old one, until the copy is open: if it can't be opened now, it
    // stays the only file with a name, and the next try replaces it.
    current.identity.copied_to(&fresh)?;
    fs::rename(&fresh, path)?;
    connection::sync_directory(path)?;
    if is_damaged {
        // It has a name again, and is replaced as any other.
        *current = as_it_is(path, options)?;
        return Err(Fault::corrupt("is damaged"));
    }
    *current = reopened(path, options)?;
    Ok(())
}

fn copy_rows(db: &Connection, to: &Path) -> Result<()> {
    remove(to)?;
    open_private(to)?;
    db.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(())
}

/// Copies a file as it is, whatever is on its pages: then it can be set aside, and what can be read of it be recovered.
fn copy_pages(db: &Connection, to: &Path, options: &Options) -> Result<()> {
    remove(to)?;
    open_private(to)?;
    let mut copy = connection::connect(to, options)?;
    match Backup::new(db, &mut copy)?.step(ALL_PAGES)? {
        StepResult::Done => Ok(()),
        _ => Err(Fault::new(StoreErrorKind::Failed, "can't be copied")),
    }
}

fn reopened(path: &Path, options: &Options) -> Result<Opened> {
    let db = connection::open_prepared(path, options)?;
    connection::begin_writing(&db)?;
    opened::begin(&db)?;
    Opened::of(db, path)
}
