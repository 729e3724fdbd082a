//! What a store is opened with.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::settings::Durability;
use crate::store::Pulse;

/// Reads from a file at an offset, as much as one call gives.
pub type ReadAt = fn(&File, &mut [u8], u64) -> io::Result<usize>;

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database. Its companions (`-wal`, `-shm`, `-lock`) lie beside it.
    pub path: PathBuf,
    /// What an acknowledged change survives.
    pub durability: Durability,
    /// How long opening waits for another owner to close it.
    pub lock_wait: Duration,
    /// Whose messages they are. Several organizations of one process may share a file, each with its own options; those
    /// that are about the file are those of the first.
    pub organization: String,
    /// How long receipts are kept; zero keeps none.
    pub dedupe: Duration,
    /// How long closing tries to write what waits, when that fails.
    pub patience: Duration,
    /// When damage leaves unknown what was on the wire: how many messages at the head of each conversation, and
    /// priority, count as sent then. None where a message may be sent twice rather than given up.
    pub presumed_sent: usize,
    /// How long the write-ahead log becomes, about, before it is moved into the file.
    pub checkpoint_bytes: u64,
    /// How long the log may have what is no longer in the file.
    pub empty_log_every: Duration,
    /// How long a file that seems to be damaged is read again before that is believed.
    pub doubt: Duration,
    /// Reads what SQLite is not asked for; in tests alone another one than the system's.
    pub read_at: ReadAt,
    /// What shows that opening goes on.
    pub pulse: Pulse,
    /// The SQLite VFS; another one than the system's in tests alone.
    pub vfs: Option<String>,
}

impl Options {
    /// A store that survives a power cut, and keeps receipts for a day.
    pub fn new(path: impl Into<PathBuf>, organization: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::PowerLoss,
            lock_wait: Duration::ZERO,
            organization: organization.into(),
            dedupe: Duration::from_secs(86_400),
            patience: Duration::from_secs(5),
            presumed_sent: 0,
            checkpoint_bytes: 12 * 1_048_576,
            empty_log_every: Duration::from_secs(30),
            doubt: Duration::from_secs(1),
            read_at,
            pulse: Pulse::default(),
            vfs: None,
        }
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, offset)
}
