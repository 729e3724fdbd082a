//! The VFS of every connection: SQLite learns of a failed read as such, not as of damage or of zeros.

use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags, ffi};

/// What stays as it is in the path of a URI.
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');

pub(super) const READ_ONLY: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Connects to a file without a log that nobody writes: SQLite makes nothing beside it then.
pub(super) fn unchanging(path: &Path, below: Option<&str>) -> rusqlite::Result<Connection> {
    let name = percent_encode(path.as_os_str().as_encoded_bytes(), &PLAIN);
    let (name, flags) = (format!("file:{name}?immutable=1"), READ_ONLY | OpenFlags::SQLITE_OPEN_URI);
    connect(name, flags, below)
}

/// Connects to a database, over `below` or the system's VFS.
pub(super) fn connect(name: impl AsRef<Path>, flags: OpenFlags, below: Option<&str>) -> rusqlite::Result<Connection> {
    let missing = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), None);
    Connection::open_with_flags_and_vfs(name, flags, spillway_vfs::over(below).ok_or_else(missing)?)
}
