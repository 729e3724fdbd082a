//! Space that is allocated before a message is accepted, so that it can still be sent on a disk that has become full.
//!
//! An accepted message needs more writes: that it leaves, and how it ended. On a full disk they succeed on three
//! conditions.
//!
//! 1. The log can be moved into the file, which needs all of its pages for that: `page count × 4,096` bytes.
//! 2. The log, which then begins again at its start, has the length of the next transaction: 32 bytes, and 24 + 4,096
//!    for each page that is changed (<https://sqlite.org/fileformat2.html#walformat>). Deleted texts are overwritten
//!    (`secure_delete`), so deleting a message changes as many pages as its body has, and burying it twice as many.
//! 3. A few more pages are left for receipts and dead letters.
//!
//! All of that is allocated beyond the end of the log, without changing its length: neither SQLite nor a copy sees it,
//! and no other program can take it. A descriptor of the database would do as well, but closing that drops SQLite's
//! locks. When writing fails, the space is released, and the log is moved into the file that grows by it. Where a file
//! system can't allocate, its free space has to be as large instead, which other programs may use up.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::companion::{companion, open_beside};
use super::fault::{Fault, Result};
use super::file_id::bytes_at;
use super::log;

const PAGE_BYTES: u64 = 4_096;
/// Pages that a file may grow by without new messages.
const SPARE_PAGES: u64 = 64;
/// Pages of a transaction that ends messages, apart from the pages of their bodies.
const NEXT_PAGES: u64 = 96;
/// Allocated at a time, if there is that much.
const STEP_BYTES: u64 = 1_048_576;

/// What is allocated, and for what.
#[derive(Debug)]
pub(super) struct Headroom {
    store: PathBuf,
    log: PathBuf,
    /// Bytes from the start of the log that are allocated; 0 when that is unknown.
    allocated: u64,
    /// Bytes of the log when they were last allocated.
    log_bytes: u64,
    /// Bytes of the largest body that the file may have.
    largest_body: u64,
}

/// How many pages the database has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pages {
    count: u64,
    /// Those of them that are free.
    free: u64,
}

impl Pages {
    pub(super) fn of(db: &Connection) -> Result<Self> {
        let number = |pragma: &str| -> Result<u64> {
            let number: i64 = db.prepare_cached(pragma)?.query_row([], |row| row.get(0))?;
            Ok(u64::try_from(number).unwrap_or(0))
        };
        Ok(Self { count: number("PRAGMA page_count")?, free: number("PRAGMA freelist_count")? })
    }

    /// Pages that are new, free, or no longer free, since `before`.
    pub(super) fn changed_since(self, before: Self) -> u64 {
        self.count.abs_diff(before.count) + self.free.abs_diff(before.free)
    }
}

impl Headroom {
    pub(super) fn new(store: &Path) -> Self {
        Self { store: store.into(), log: companion(store, "-wal"), allocated: 0, log_bytes: 0, largest_body: 0 }
    }

    /// A message with a body of this size is in the file, or about to be.
    pub(super) fn expect_body(&mut self, bytes: usize) {
        self.largest_body = self.largest_body.max(bytes as u64);
    }

    /// The log was cut off, or is another file.
    pub(super) fn forget(&mut self) {
        self.allocated = 0;
    }

    /// Allocates what is needed once a transaction has committed that changes `changed` pages, and some more.
    pub(super) fn ensure(&mut self, pages: Pages, changed: u64) -> Result<()> {
        let log_bytes = log::file_bytes(&self.store);
        if log_bytes < self.log_bytes {
            // It was cut off, and what was allocated with it.
            self.allocated = 0;
        }
        self.log_bytes = log_bytes;
        let file_bytes = bytes_at(&self.store)?;
        // A dead letter is written before its message is deleted.
        let body_pages = self.largest_body.div_ceil(PAGE_BYTES);
        let file_wanted = (pages.count + (SPARE_PAGES + body_pages).saturating_sub(pages.free)) * PAGE_BYTES;
        let next_log = log::bytes_of(NEXT_PAGES + 2 * body_pages);
        if file_limit().is_some_and(|limit| file_wanted.max(next_log) > limit) {
            return Err(Fault::from(io::Error::from(io::ErrorKind::FileTooLarge)).of_new_messages());
        }
        let appended = log::bytes_of(changed + NEXT_PAGES) + log::ROOM_BYTES as u64;
        let wanted = (log_bytes + appended).max(next_log) + file_wanted.saturating_sub(file_bytes);
        if wanted <= self.allocated {
            return Ok(());
        }
        let from = self.allocated.max(log_bytes);
        let log = open_beside(&self.log, OpenOptions::new().write(true))?;
        let rounded = wanted.next_multiple_of(STEP_BYTES);
        self.allocated = match allocate(&log, &self.store, from, rounded) {
            Ok(()) => rounded,
            Err(_) => {
                allocate(&log, &self.store, from, wanted).map_err(|error| Fault::from(error).of_new_messages())?;
                wanted
            }
        };
        Ok(())
    }

    /// Gives back what is allocated, to the file that is about to grow.
    pub(super) fn release(&mut self) {
        self.allocated = 0;
        // Setting the length that it has frees all beyond it.
        let _ =
            open_beside(&self.log, OpenOptions::new().write(true)).and_then(|log| log.set_len(log.metadata()?.len()));
    }
}

/// The limit on the size of a file of this process.
#[cfg(unix)]
fn file_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current
}

#[cfg(not(unix))]
fn file_limit() -> Option<u64> {
    None
}

/// Allocates the bytes `from..to` of the log, which is shorter.
#[cfg(target_os = "linux")]
fn allocate(log: &File, store: &Path, from: u64, to: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    let bytes = to.saturating_sub(from);
    match fallocate(log, FallocateFlags::KEEP_SIZE, from, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => compare(store, bytes),
        outcome => Ok(outcome?),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(_: &File, store: &Path, from: u64, to: u64) -> io::Result<()> {
    compare(store, to.saturating_sub(from))
}

/// Whether there is as much space, where it can't be allocated.
fn compare(store: &Path, bytes: u64) -> io::Result<()> {
    if bytes <= fs4::available_space(store)? { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
}
