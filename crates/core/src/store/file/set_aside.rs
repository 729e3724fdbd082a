//! Damaged outboxes that were set aside: listed, and removed when somebody asks for it or after a time. They have the
//! texts of messages, so they are not kept forever.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};
use serde::Serialize;

use super::companion::{companion, remove};
use super::connection;
use super::fault::{Fault, Result};
use super::reader::told;
use super::times::{integer, natural};
use super::trust;
use crate::clock::Clock;
use crate::error::Error;

/// How long a damaged outbox is kept, from its setting aside.
pub const SET_ASIDE_KEPT: Duration = Duration::from_secs(30 * 86_400);
/// What their names have behind that of the outbox, and before the time.
const KINDS: [&str; 3] = [".corrupt-", ".recovered-", ".outdated-"];
const STAMP_BYTES: usize = "20261129T220500Z".len();

/// A file beside an outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetAside {
    /// Its name, in the directory of the outbox.
    pub name: String,
    /// When it was set aside: `20261129T220500Z`, in UTC.
    pub stamp: String,
    /// Whether it is a damaged outbox, rather than a recovered one whose place is taken by another file.
    pub damaged: bool,
    /// Its size, with its write-ahead log.
    pub bytes: u64,
}

/// What was set aside of the outbox at `path`, by name.
pub fn set_aside(path: &Path) -> std::result::Result<Vec<SetAside>, Error> {
    let path = connection::absolute(path);
    list(&path).map_err(|fault| told(&fault, &path))
}

/// Removes one of them, or all damaged ones; gives those that were there.
pub fn discard(path: &Path, name: Option<&str>) -> std::result::Result<Vec<SetAside>, Error> {
    let path = connection::absolute(path);
    let mut found = set_aside(&path)?;
    found.retain(|file| name.map_or(file.damaged, |name| file.name == name));
    if let (Some(name), true) = (name, found.is_empty()) {
        return Err(Error::NotFound { what: "file that was set aside", id: name.into() });
    }
    for file in &found {
        remove(&path.with_file_name(&file.name)).map_err(|fault| told(&fault, &path))?;
    }
    Ok(found)
}

/// Removes damaged outboxes of this user whose time is over; what can't be removed stays. Whether there are any left.
///
/// Their names have the wall clock's time, which may be wrong now or have been wrong then: they also have to be old by
/// the outbox's own time `now_ms`, which does not jump.
pub(super) fn expire(path: &Path, now_ms: i64) -> Result<bool> {
    let now_ms = Clock::epoch_ms_now().min(natural(now_ms));
    let oldest_ms = now_ms.saturating_sub(u64::try_from(SET_ASIDE_KEPT.as_millis()).unwrap_or(u64::MAX));
    let limit = stamp(oldest_ms)?;
    // In this form earlier times come first.
    let mut has_more = false;
    for file in list(path)?.into_iter().filter(|file| file.damaged) {
        let name = path.with_file_name(file.name);
        let is_gone = file.stamp < limit && trust::is_safe(&name) && remove(&name).is_ok();
        has_more |= !is_gone;
    }
    Ok(has_more)
}

/// A time as it stands in a name.
pub(super) fn stamp(epoch_ms: u64) -> Result<String> {
    let sql = "SELECT strftime('%Y%m%dT%H%M%SZ', ?1, 'unixepoch')";
    // SQLite knows the calendar already.
    Ok(Connection::open_in_memory()?.query_row(sql, params![integer(epoch_ms / 1_000)], |row| row.get(0))?)
}

fn list(path: &Path) -> Result<Vec<SetAside>> {
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(Fault::from)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(&*own) else { continue };
        let Some((kind, time)) = KINDS.iter().find_map(|kind| Some((*kind, rest.strip_prefix(kind)?))) else {
            continue;
        };
        let is_part = ["-wal", "-shm", "-journal"].iter().any(|suffix| time.ends_with(suffix));
        let Some(stamp) = time.get(..STAMP_BYTES).filter(|stamp| !is_part && is_stamp(stamp)) else { continue };
        let (stamp, damaged) = (stamp.to_owned(), kind == KINDS[0]);
        let whole = path.with_file_name(&name);
        let size = |suffix| fs::symlink_metadata(companion(&whole, suffix)).map_or(0, |found: Metadata| found.len());
        found.push(SetAside { name, stamp, damaged, bytes: size("") + size("-wal") });
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn is_stamp(text: &str) -> bool {
    text.bytes().enumerate().all(|(index, byte)| match index {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    })
}
