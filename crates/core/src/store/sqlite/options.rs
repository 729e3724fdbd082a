//! What a store is opened with.

use std::path::PathBuf;
use std::time::Duration;

pub use crate::settings::Durability;

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database. Its companions (`-wal`, `-shm`, `-lock`) lie beside it.
    pub path: PathBuf,
    /// What an acknowledged change survives.
    pub durability: Durability,
    /// Whose messages they are: a file belongs to one organisation.
    pub organization: String,
    /// How long receipts are kept; zero keeps none.
    pub dedupe: Duration,
    /// How long closing tries to write what waits, when that fails.
    pub patience: Duration,
    /// When damage leaves unknown what was on the wire: how many messages at the head of each conversation, and priority,
    /// count as sent then. None where a message may be sent twice rather than given up.
    pub presumed_sent: usize,
    /// How long the write-ahead log becomes, about, before it is moved into the file.
    pub checkpoint_bytes: u64,
    /// The SQLite VFS; another one than the system's in tests alone.
    pub vfs: Option<String>,
}

impl Options {
    /// A store that survives a power cut, and keeps receipts for a day.
    pub fn new(path: impl Into<PathBuf>, organization: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::PowerLoss,
            organization: organization.into(),
            dedupe: Duration::from_secs(86_400),
            patience: Duration::from_secs(5),
            presumed_sent: 0,
            checkpoint_bytes: 12 * 1_048_576,
            vfs: None,
        }
    }
}
