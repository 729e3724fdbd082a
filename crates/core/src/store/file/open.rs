//! Opening: the lock, the file, what an earlier run left; and a damaged file, which is replaced by what can be read of
//! it.

use std::path::Path;

use super::companion::remove;
use super::connection;
use super::fault::Result;
use super::file_time::FileTime;
use super::lock::OwnerLock;
use super::opened::Opened;
use super::options::Options;
use super::organizations::Organizations;
use super::origin;
use super::part::Part;
use super::rescue;
use super::salvage::{self, name_of};
use super::trust::{self, Owner};
use crate::clock::Clock;
use crate::store::{Opening, StoreEvent};

/// A file that is open, for the first of its organizations.
pub(super) struct Ready {
    pub(super) opened: Opened,
    pub(super) time: FileTime,
    pub(super) organizations: Organizations,
    pub(super) part: Part,
    pub(super) opening: Opening,
}

/// Opens the store, and tells what is in it of the organization that opens it but for the last word.
pub(super) fn open(
    path: &Path,
    options: &Options,
    clock: &Clock,
    event: &mut dyn FnMut(StoreEvent),
) -> Result<(Ready, OwnerLock)> {
    connection::check_links(&options.path)?;
    trust::check(path, Owner::User)?;
    let lock = OwnerLock::take(path, options.lock_wait, &options.pulse)?;
    let mut is_made = false;
    match open_locked(path, options, clock, event, &lock, &mut is_made) {
        Ok(ready) => Ok((ready, lock)),
        Err(fault) => {
            // An empty file that was made for this, and that nobody else can have used.
            if is_made && lock.check().is_ok() {
                let _ = remove(path);
            }
            lock.undo();
            Err(fault)
        }
    }
}

fn open_locked(
    path: &Path,
    options: &Options,
    clock: &Clock,
    event: &mut dyn FnMut(StoreEvent),
    lock: &OwnerLock,
    is_made: &mut bool,
) -> Result<Ready> {
    let finished = rescue::patiently(options, clock, || salvage::finish(path, options))?;
    if path.exists() {
        origin::check(path, !lock.is_new())?;
        origin::recognize(path, options)?;
    }
    *is_made = connection::create(path)?;
    let rescue::Begun { db, time, organizations, part, mut opening } = rescue::read(path, options, clock, event)?;
    opening.salvage.set_aside = opening.salvage.set_aside.or_else(|| finished.as_deref().map(name_of));
    let opened = Opened::of(db, path)?;
    // What was read is as it is known from here on, unless another owner has begun since.
    lock.check()?;
    // The log and its index were made by name: by now nobody can have put others there.
    trust::check_files(path, Owner::User)?;
    Ok(Ready { opened, time, organizations, part, opening })
}
