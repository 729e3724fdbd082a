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

use std::collections::BTreeMap;
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
use super::fault::{Fault, Result};
use super::file_time::FileTime;
use super::options::{Durability, Options};
use super::organizations::{self, Organizations};
use super::part::{self, Part};
use super::times::{integer, natural};
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
    let (salvaged, stamp) = begin(path, source, options, &Organizations::new(), clock)?;
    exchange(path, &stamp)?;
    Ok(salvaged)
}

/// Does all of it but the [`exchange`], which goes by the time that is given with what became of the file. `known` are
/// the organizations that it is known to have, whatever can be read.
pub(super) fn begin(
    path: &Path,
    source: &str,
    options: &Options,
    known: &Organizations,
    clock: &Clock,
) -> Result<(Salvaged, String)> {
    let fresh = companion(path, RECOVERING);
    remove(&fresh)?;
    let outcome = write_fresh(path, &fresh, source, options, known, clock);
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
    known: &Organizations,
    clock: &Clock,
) -> Result<(Salvaged, String)> {
    let log = companion(path, "-wal");
    open_private(fresh)?;
    let stamp = swap::free_stamp(path)?;
    let fresh_options = Options { durability: Durability::ProcessCrash, ..options.clone() };
    let (target, mut salvaged) = write_rows(path, &log, fresh, &fresh_options, known, clock)?;
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
    known: &Organizations,
    clock: &Clock,
) -> Result<(Connection, Salvaged)> {
    let image = Image::open(path, log, options)?;
    let trees = Trees::read(&image)?;
    let meta = Meta::read(&image, &trees)?;
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
    name_parts(&target, &meta, known, &options.organization)?;
    let organizations = organizations::all(&target)?;
    let mut unreadable = copied.unreadable;
    // Nobody can send them. They are kept in the file that is set aside.
    let nameless = organizations::nameless(&target, &organizations)?;
    for part in &nameless {
        unreadable += part::forget(&target, *part)?;
    }
    let lost_wire = |lost: &Lost| lost.root.is_none_or(|root| root == WIRE);
    let lacks_wire = image.lacks_log() || copied.lacks_wire || !nameless.is_empty() || trees.lost.iter().any(lost_wire);
    let presumed_sent = meta.presumed_sent();
    // Who doesn't say it is as careful as the most careful of the others.
    let careful = presumed_sent.values().copied().max().unwrap_or_default().max(options.presumed_sent);
    for (name, part) in organizations {
        number_on(&target, part)?;
        if lacks_wire {
            let said = presumed_sent.get(&part).copied().unwrap_or(careful);
            let count = if *name == *options.organization { options.presumed_sent } else { said };
            wire::presume_sent(&target, part, count, now_ms)?;
        }
    }
    let last_seqs = meta.last_seqs();
    for lost in &trees.lost {
        unreadable += missing(lost, &target, &last_seqs)?.unwrap_or(0);
    }
    let unreadable_pages = trees.lost.len() as u64;
    Ok((target, Salvaged { set_aside: PathBuf::new(), unreadable, unreadable_pages }))
}

/// Whose the parts are, by the one or the other place that has a name. A file without a name in it, and with the rows
/// of one organization alone, is taken for that of whoever opens it.
fn name_parts(target: &Connection, meta: &Meta, known: &Organizations, opener: &str) -> Result<()> {
    let mut names: BTreeMap<Part, Box<str>> =
        meta.organizations().map(|(part, name)| (part, Box::from(name))).collect();
    names.extend(organizations::all(target)?.into_iter().map(|(name, part)| (part, name)));
    names.extend(known.iter().map(|(name, part)| (*part, name.clone())));
    if names.is_empty() && part::with_rows(target)?.into_iter().all(|part| part == Part::FIRST) {
        names.insert(Part::FIRST, opener.into());
    }
    names.iter().try_for_each(|(part, name)| organizations::add(target, *part, name))
}

/// A number never comes again: what knows of it would take one message for another.
fn number_on(target: &Connection, part: Part) -> Result<()> {
    // Where it says more than any store has counted, the copy would be as damaged as its source.
    let known = recover::last_seq(target, part).or_else(|_| part.newest(target, "messages", "seq").map(natural))?;
    part.set_meta(target, "last_seq", integer(known.max(wire::newest(target, part)?)))
}

/// How many rows a lost page had at most, by the numbers that are missing: none can be named where these don't tell.
fn missing(lost: &Lost, target: &Connection, last_seqs: &BTreeMap<Part, i64>) -> Result<Option<u64>> {
    let Some(Keys(low, high)) = lost.keys else { return Ok(None) };
    // The last message of all is that of the last part.
    let last_seq = last_seqs.last_key_value().map(|(part, seq)| part.start().saturating_add(*seq));
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
