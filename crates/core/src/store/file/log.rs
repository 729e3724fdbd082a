//! The write-ahead log: how much of it is used, and room ahead of that.
//!
//! A file that grows is dearer to make durable than one that is overwritten in place, since its new length has to be
//! durable, too. SQLite lets its log grow by a page for each small commit; so zeros are put ahead of it, many pages at
//! a time and after the acknowledgement. A log is read up to the first frame that is none of its own, and zeros are
//! none.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use rusqlite::Connection;

use super::companion::{companion, open_beside};
use super::fault::Result;
use super::file_id::bytes_at;

/// What the log keeps of its length when it starts anew: so much is overwritten in place, and more than a run of small
/// commits ever writes between two checkpoints.
pub(super) const BYTES_KEPT: u64 = 16 * 1_048_576;
/// What it is lengthened by, when less than half of that is left.
pub(super) const ROOM_BYTES: usize = 128 * 1_024;
pub(super) const ROOM_LEFT_MIN: u64 = ROOM_BYTES as u64 / 2;
const HEADER_BYTES: u64 = 32;
const FRAME_BYTES: u64 = 24 + 4_096;

/// Bytes that are in use.
pub(super) fn used_bytes(db: &Connection) -> Result<u64> {
    let mut statement = db.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
    let frames: i64 = statement.query_row([], |row| row.get(1))?;
    // Before its first frame it is -1: there is none.
    Ok(u64::try_from(frames).map_or(0, bytes_of))
}

/// Bytes of a log of this many pages.
pub(super) fn bytes_of(frames: u64) -> u64 {
    HEADER_BYTES + frames * FRAME_BYTES
}

/// Bytes of the file.
pub(super) fn file_bytes(store: &Path) -> u64 {
    bytes_at(&companion(store, "-wal")).unwrap_or(0)
}

/// Puts room ahead of what is used, if there is little; how long the log is then.
pub(super) fn make_room(store: &Path, used: u64) -> io::Result<u64> {
    let (length, room) = (file_bytes(store), ROOM_BYTES as u64);
    if length + room > BYTES_KEPT || length.saturating_sub(used) >= ROOM_LEFT_MIN {
        return Ok(length);
    }
    open_beside(&companion(store, "-wal"), OpenOptions::new().append(true))?.write_all(&[0; ROOM_BYTES])?;
    Ok(length + room)
}
