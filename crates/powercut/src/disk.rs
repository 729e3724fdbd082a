//! What a disk has, what it only pretends to have, and when it fails.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

const SECTOR: usize = 512;

static DISKS: LazyLock<Mutex<HashMap<PathBuf, Arc<Disk>>>> = LazyLock::new(Mutex::default);

/// How operations fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No space is left: writes fail, the rest goes well.
    Full,
    /// Nothing can be made durable: syncs fail, the rest goes well.
    Unsynced,
    /// Nothing can be written.
    Broken,
    /// Nothing can be written, nor read.
    Dead,
    /// The power is gone: nothing works, and nothing will.
    Cut,
}

/// How reads fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFailure {
    /// `EIO`: a sector, a cable, a server.
    Io,
    /// `ESTALE`: a network file system has forgotten the file.
    Stale,
    /// `ENOMEM`.
    NoMemory,
    /// Fewer bytes than the file has.
    Short,
}

impl ReadFailure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Io, Self::Stale, Self::NoMemory, Self::Short];

    /// The system's number; `None` for a read that only ends early.
    pub(crate) fn errno(self) -> Option<i32> {
        match self {
            Self::Io => Some(5),
            Self::Stale => Some(116),
            Self::NoMemory => Some(12),
            Self::Short => None,
        }
    }

    /// What SQLite's own VFS makes of it: `EIO` is passed on as damage.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Io => ffi::SQLITE_IOERR_CORRUPTFS,
            Self::Stale | Self::NoMemory => ffi::SQLITE_IOERR_READ,
            Self::Short => ffi::SQLITE_IOERR_SHORT_READ,
        }
    }
}

/// The disk of one directory.
#[derive(Debug)]
pub struct Disk {
    directory: PathBuf,
    state: Mutex<State>,
    pace: Mutex<Pace>,
    paced: Condvar,
}

/// Whether syncs end, and what waits for it.
#[derive(Debug, Default)]
struct Pace {
    holds: bool,
    waiting: usize,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Stored>,
    /// Writes, syncs, truncations and deletions so far.
    operations: u64,
    failing: Option<(u64, Failure)>,
    /// Reads so far, and the bytes that they asked for by name.
    reads: u64,
    read_bytes: BTreeMap<PathBuf, u64>,
    /// Which reads fail, and how.
    unreadable: Option<(std::ops::Range<u64>, ReadFailure)>,
    /// Reads that have failed.
    failed_reads: u64,
    /// The file of the first operation that has failed since it was told to.
    failed_on: Option<PathBuf>,
}

/// A file: what is durable of it (nothing when it has no durable name), and what came since.
#[derive(Clone, Debug, Default)]
struct Stored {
    durable: Option<Vec<u8>>,
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
enum Pending {
    Write(u64, Vec<u8>),
    Truncate(u64),
    Delete,
}

/// What an operation does to a file.
pub(crate) enum Operation<'a> {
    Write(u64, &'a [u8]),
    Truncate(u64),
    Sync,
    Delete { durably: bool },
}

impl Disk {
    /// The disk of `directory`, new.
    pub fn of(directory: &Path) -> Arc<Self> {
        let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.into());
        let disk = Arc::new(Self {
            directory: directory.clone(),
            state: Mutex::default(),
            pace: Mutex::default(),
            paced: Condvar::new(),
        });
        disks().insert(directory, Arc::clone(&disk));
        disk
    }

    /// No longer needed.
    pub fn forget(&self) {
        disks().remove(&self.directory);
    }

    pub(crate) fn at(path: &Path) -> Option<Arc<Self>> {
        let directory = fs::canonicalize(path.parent()?).ok()?;
        disks().get(&directory).cloned()
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// From operation `at` on (the first is 1), counted from the disk's beginning, it fails.
    pub fn fail_at(&self, at: u64, failure: Failure) {
        let mut state = self.state();
        state.failing = Some((at, failure));
        state.failed_on = None;
    }

    /// Reads so far, of any file.
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    /// Bytes that all reads so far have asked for, of the file with this name.
    pub fn read_bytes(&self, path: &Path) -> u64 {
        self.state().read_bytes.get(path).copied().unwrap_or(0)
    }

    /// Reads that have failed since [`Self::fail_reads`].
    pub fn failed_reads(&self) -> u64 {
        self.state().failed_reads
    }

    /// These reads fail; the first of the disk is 1.
    pub fn fail_reads(&self, which: std::ops::Range<u64>, failure: ReadFailure) {
        let mut state = self.state();
        state.unreadable = Some((which, failure));
        state.failed_reads = 0;
    }

    /// One read of so many bytes; how it fails, if it does.
    pub(crate) fn read(&self, path: &Path, bytes: usize) -> Option<ReadFailure> {
        let mut state = self.state();
        state.reads += 1;
        match state.read_bytes.get_mut(path) {
            Some(sum) => *sum += bytes as u64,
            None => drop(state.read_bytes.insert(path.into(), bytes as u64)),
        }
        let failure = state.unreadable.as_ref().filter(|(which, _)| which.contains(&state.reads));
        let failure = failure.map(|(_, failure)| *failure);
        state.failed_reads += u64::from(failure.is_some());
        failure
    }

    /// It works again; not after a power cut.
    pub fn mend(&self) {
        let mut state = self.state();
        (state.failing, state.unreadable) = (None, None);
    }

    /// From now on it is slow: a sync doesn't end before [`Self::go_on`].
    pub fn stall(&self) {
        self.pace().holds = true;
    }

    /// Waits until a sync is stalled.
    pub fn wait_until_stalled(&self) {
        let waiting = |pace: &mut Pace| pace.waiting == 0;
        drop(self.paced.wait_while(self.pace(), waiting).unwrap_or_else(PoisonError::into_inner));
    }

    /// It is fast again.
    pub fn go_on(&self) {
        self.pace().holds = false;
        self.paced.notify_all();
    }

    /// A sync is about to end.
    pub(crate) fn keep_pace(&self) {
        let mut pace = self.pace();
        pace.waiting += 1;
        self.paced.notify_all();
        let mut pace = self.paced.wait_while(pace, |pace| pace.holds).unwrap_or_else(PoisonError::into_inner);
        pace.waiting -= 1;
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has begun to fail.
    pub fn has_failed(&self) -> bool {
        let state = self.state();
        state.failing.is_some_and(|(at, _)| state.operations >= at)
    }

    /// The file of the first operation that has failed since [`Self::fail_at`].
    pub fn failed_on(&self) -> Option<PathBuf> {
        self.state().failed_on.clone()
    }

    /// Leaves of every file what a power cut leaves: `draw` gives numbers of chance. Nothing may have the files open.
    pub fn lose_power(&self, draw: &mut dyn FnMut() -> u64) {
        let mut state = self.state();
        for (path, file) in std::mem::take(&mut state.files) {
            match survivor(file, draw) {
                Some(bytes) => fs::write(&path, bytes).expect("the disk under the disk works"),
                None => drop(fs::remove_file(&path)),
            }
        }
        state.failing = None;
    }

    pub(crate) fn opened(&self, path: &Path, existed: bool) {
        let mut state = self.state();
        // Deleted and made again, it is one more thing that is pending.
        if !state.files.contains_key(path) {
            let durable = if existed { fs::read(path).ok() } else { None };
            state.files.insert(path.into(), Stored { durable, pending: Vec::new() });
        }
    }

    pub(crate) fn is_cut(&self) -> bool {
        let state = self.state();
        matches!(state.failing, Some((at, Failure::Cut)) if state.operations >= at)
    }

    pub(crate) fn is_unreadable(&self) -> bool {
        let state = self.state();
        matches!(state.failing, Some((at, Failure::Dead | Failure::Cut)) if state.operations >= at)
    }

    /// Takes one operation in; the code that it fails with, or that it is to be done.
    pub(crate) fn operate(&self, path: &Path, operation: Operation<'_>) -> Result<(), i32> {
        let mut state = self.state();
        let dead = matches!(state.failing, Some((at, Failure::Cut)) if state.operations >= at);
        if dead {
            return Err(ffi::SQLITE_IOERR);
        }
        state.operations += 1;
        let failing = state.failing.filter(|(at, _)| state.operations >= *at).map(|(_, failure)| failure);
        let failed = match (failing, &operation) {
            (None, _) => None,
            (Some(Failure::Full), Operation::Write(..)) => Some(ffi::SQLITE_FULL),
            (Some(Failure::Unsynced), Operation::Sync) => Some(ffi::SQLITE_IOERR_FSYNC),
            (Some(Failure::Full | Failure::Unsynced), _) => None,
            (Some(_), Operation::Write(..)) => Some(ffi::SQLITE_IOERR_WRITE),
            (Some(_), Operation::Truncate(_)) => Some(ffi::SQLITE_IOERR_TRUNCATE),
            (Some(_), Operation::Sync) => Some(ffi::SQLITE_IOERR_FSYNC),
            (Some(_), Operation::Delete { .. }) => Some(ffi::SQLITE_IOERR_DELETE),
        };
        if failed.is_some() {
            state.failed_on.get_or_insert_with(|| path.into());
        }
        // What the power cut came into may have reached the disk, or a part of it.
        if failed.is_none() || failing == Some(Failure::Cut) {
            let file = state.files.entry(path.into()).or_default();
            file.take(operation, failed.is_some());
        }
        failed.map_or(Ok(()), Err)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stored {
    fn take(&mut self, operation: Operation<'_>, cut: bool) {
        match operation {
            Operation::Write(offset, bytes) => self.pending.push(Pending::Write(offset, bytes.into())),
            Operation::Truncate(length) => self.pending.push(Pending::Truncate(length)),
            Operation::Delete { durably } => {
                self.pending.push(Pending::Delete);
                if durably && !cut {
                    self.sync();
                }
            }
            Operation::Sync if !cut => self.sync(),
            Operation::Sync => {}
        }
    }

    fn sync(&mut self) {
        let gone = matches!(self.pending.last(), Some(Pending::Delete));
        let mut bytes = self.durable.take().unwrap_or_default();
        for pending in self.pending.drain(..) {
            pending.apply(&mut bytes);
        }
        self.durable = (!gone).then_some(bytes);
    }
}

impl Pending {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, written) => overwrite(bytes, *offset as usize, written),
            Self::Truncate(length) => bytes.resize(*length as usize, 0),
            Self::Delete => bytes.clear(),
        }
    }
}

fn overwrite(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}

/// What is left of a file: each operation that wasn't synced is kept, lost, or kept in part.
fn survivor(file: Stored, draw: &mut dyn FnMut() -> u64) -> Option<Vec<u8>> {
    let (mut bytes, mut named) = match file.durable {
        Some(bytes) => (bytes, true),
        // Its name may have reached the disk without being asked for.
        None => (Vec::new(), draw().is_multiple_of(2)),
    };
    for pending in file.pending {
        let fate = draw() % 4;
        match (&pending, fate) {
            (_, 0) => {}
            (Pending::Write(offset, written), 1) => {
                let mut at = 0;
                while at < written.len() {
                    // Up to the next border of a sector of the file.
                    let step = (SECTOR - (*offset as usize + at) % SECTOR).min(written.len() - at);
                    if draw().is_multiple_of(2) {
                        overwrite(&mut bytes, *offset as usize + at, &written[at..at + step]);
                    }
                    at += step;
                }
            }
            (Pending::Delete, _) => {
                bytes.clear();
                named = false;
            }
            _ => {
                pending.apply(&mut bytes);
                named = true;
            }
        }
    }
    named.then_some(bytes)
}

fn disks() -> MutexGuard<'static, HashMap<PathBuf, Arc<Disk>>> {
    DISKS.lock().unwrap_or_else(PoisonError::into_inner)
}
