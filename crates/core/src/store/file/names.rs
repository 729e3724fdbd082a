//! The names of the files beside a store.

use std::path::{Path, PathBuf};

/// What the names of an outbox's own companions end with: the log and its index, the journal that makes the log
/// possible, the lock.
pub(super) const COMPANIONS: [&str; 4] = ["-wal", "-shm", "-journal", "-lock"];

/// `PATH` with something behind it.
pub(super) fn companion(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
