//! A damaged file: set aside whole, never deleted, and what can be read of it written to a fresh one.
//!
//! The damaged file is read page by page without SQLite ([`image`], [`record`], [`tree`]): rows on whole pages are
//! found even where the pages above them are lost, and a failed read is an error, never damage. The fresh file is
//! written ([`copy`],
//! [`doubtful`]), read again by a new connection and compared, and the damaged one is read once more to see that it is
//! still what was copied. Only then the files are exchanged ([`swap`]).

mod candidate;
mod copy;
mod doubtful;
mod image;
mod meta;
mod record;
mod swap;
mod tables;
mod tree;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use self::image::Image;
pub(super) use self::image::fingerprint;
use self::meta::Meta;
pub(super) use self::swap::{begun, exchange, finish, forget_notice, notice};
use self::tree::{Keys, LETTERS, Lost, MESSAGES, Trees, WIRE};
use super::companion::{companion, open_private, remove};
use super::connection;
use super::file_time::FileTime;
use super::options::{Durability, Options};
use super::times::integer;
use super::trouble::{Fault, Result};
use super::values::set_meta;
use super::{recover, wire};
use crate::clock::Clock;
use crate::store::Salvage;

const RECOVERING: &str = ".recovering";
/// More rows than a page can hold: of so wide a gap it is unknown how many there were.
const ROWS_PER_PAGE: u64 = 120;

/// What became of a damaged file, which lies at `set_aside` once the swap is finished.
#[derive(Debug)]
pub(super) struct Salvaged {
    pub(super) set_aside: PathBuf,
    pub(super) unreadable: u64,
    pub(super) unreadable_pages: u64,
}

impl Salvaged {
    /// As it is told.
    pub(super) fn salvage(self) -> Salvage {
        Salvage {
            set_aside: Some(name_of(&self.set_aside)),
            unreadable: self.unreadable,
            unreadable_parts: self.unreadable_pages,
        }
    }
}

/// A file's path as it is told.
pub(super) fn name_of(path: &Path) -> Box<str> {
    path.display().to_string().into()
}

/// Puts a fresh file in the place of a damaged one, which has this fingerprint. Nobody may be connected to it.
pub(super) fn replace(path: &Path, source: &str, options: &Options, clock: &Clock) -> Result<Salvaged> {
    let (salvaged, stamp) = begin(path, source, options, clock)?;
    exchange(path, &stamp)?;
    Ok(salvaged)
}

/// Does all of it but the [`exchange`], which goes by the time that is given with what became of the file.
pub(super) fn begin(path: &Path, source: &str, options: &Options, clock: &Clock) -> Result<(Salvaged, String)> {
    let fresh = companion(path, RECOVERING);
    remove(&fresh)?;
    let outcome = write_fresh(path, &fresh, source, options, clock);
    if outcome.is_err() {
        let _ = remove(&fresh);
    }
    // What was just written can't be damaged, nor is the damaged file's damage an error: a read has failed.
    let (salvaged, stamp) = outcome.map_err(Fault::unless_corrupt)?;
    swap::begin(path, &fresh, &stamp)?;
    Ok((salvaged, stamp))
}

/// Writes what can be read at `path` to a file at `fresh`, and makes sure that it is there.
fn write_fresh(
    path: &Path,
    fresh: &Path,
    source: &str,
    options: &Options,
    clock: &Clock,
) -> Result<(Salvaged, String)> {
    let log = companion(path, "-wal");
    open_private(fresh)?;
    let stamp = swap::free_stamp(path)?;
    let fresh_options = Options { durability: Durability::ProcessCrash, ..options.clone() };
    let (target, mut salvaged) = write_rows(path, &log, fresh, &fresh_options, clock)?;
    salvaged.set_aside = swap::aside(path, &stamp);
    swap::note(&target, &salvaged, source)?;
    if !connection::checkpoint(&target, "TRUNCATE")? {
        return Err(Fault::corrupt("can't be recovered: its copy is in use"));
    }
    drop(target);
    connection::check_whole(&connection::connect(fresh, &fresh_options)?, "integrity_check")?;
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(companion(fresh, suffix));
    }
    File::open(fresh)?.sync_all()?;
    if fingerprint(path, &log, options)? != source {
        return Err(Fault::unread(std::io::Error::other("two readings differ")));
    }
    Ok((salvaged, stamp))
}

/// Copies all that can be read to a fresh file.
fn write_rows(
    path: &Path,
    log: &Path,
    fresh: &Path,
    options: &Options,
    clock: &Clock,
) -> Result<(Connection, Salvaged)> {
    let image = Image::open(path, log, options)?;
    let trees = Trees::read(&image)?;
    let meta = Meta::read(&image, &trees)?;
    meta.check_owner(&options.organization)?;
    meta.check_version(&image)?;
    let target = connection::open_prepared(fresh, options)?;
    let copied = copy::copy(&image, &trees, &target)?;
    meta.copy(&target)?;
    drop(target);
    // By another connection, which has nothing of it in memory.
    copy::compare(&connection::connect(fresh, options)?, &copied)?;
    let target = connection::open_prepared(fresh, options)?;
    let now_ms = FileTime::of(&target, clock)?.times().now_ms();
    doubtful::settle(&target, &copied, now_ms)?;
    // What was on the wire, of messages that are gone.
    target.execute("DELETE FROM returned WHERE seq NOT IN (SELECT seq FROM messages)", [])?;
    if recover::last_seq(&target).is_err() {
        // No store has counted that far: the copy would be as damaged as its source.
        target.execute("DELETE FROM meta WHERE name = 'last_seq'", [])?;
    }
    // A number never comes again: what knows of it would take one message for another.
    let newest = recover::last_seq(&target)?.max(wire::newest(&target)?);
    set_meta(&target, "last_seq", integer(newest))?;
    let lost_wire = |lost: &Lost| lost.root.is_none_or(|root| root == WIRE);
    if image.lacks_log() || copied.lacks_wire || trees.lost.iter().any(lost_wire) {
        wire::presume_sent(&target, options.presumed_sent, now_ms)?;
    }
    let mut unreadable = copied.unreadable;
    for lost in &trees.lost {
        unreadable += missing(lost, &target, meta.last_seq())?.unwrap_or(0);
    }
    let unreadable_pages = trees.lost.len() as u64;
    Ok((target, Salvaged { set_aside: PathBuf::new(), unreadable, unreadable_pages }))
}

/// How many rows a lost page had at most, by the numbers that are missing: none can be named where these don't tell.
fn missing(lost: &Lost, target: &Connection, last_seq: Option<i64>) -> Result<Option<u64>> {
    let Some(Keys(low, high)) = lost.keys else { return Ok(None) };
    let (sql, last) = match lost.root {
        Some(MESSAGES) => ("SELECT count(*) FROM messages WHERE seq > ?1 AND seq <= ?2", last_seq),
        Some(LETTERS) => ("SELECT count(*) FROM letters WHERE number > ?1 AND number <= ?2", None),
        _ => return Ok(None),
    };
    let Some(high) = high.or(last) else { return Ok(None) };
    // Numbers begin at 1.
    let low = low.max(0);
    let found: i64 = target.query_row(sql, [low, high], |row| row.get(0))?;
    let missing = high.saturating_sub(low).saturating_sub(found);
    Ok(u64::try_from(missing).ok().filter(|missing| *missing <= ROWS_PER_PAGE))
}
