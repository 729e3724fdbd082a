//! The exchange of a damaged file for a fresh one, which a crash at any moment leaves to the next opening to finish.
//!
//! The fresh file is complete, verified and durable, and is named `PATH.recovered-TIME` before anything is moved. It
//! says itself what it replaces and what was lost, so that this is told even if the process ends before telling it.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::image::{Image, fingerprint};
use super::meta::Meta;
use super::tree::Trees;
use super::{Salvaged, candidate, name_of};
use crate::clock::Clock;
use crate::store::Salvage;
use crate::store::file::companion::companion;
use crate::store::file::connection::sync_directory;
use crate::store::file::fault::Result;
use crate::store::file::options::Options;
use crate::store::file::times::integer;
use crate::store::file::values::{meta, set_meta};
use crate::store::file::{second_look, set_aside, trust};

const RECOVERED: &str = ".recovered-";
const CORRUPT: &str = ".corrupt-";
const OUTDATED: &str = ".outdated-";
/// What belongs to a database; the file itself is moved last.
const PARTS: [&str; 4] = ["-wal", "-shm", "-journal", ""];
/// What a fresh file says of the damaged one.
const SET_ASIDE: &str = "set_aside";
const UNREADABLE: &str = "unreadable";
const UNREADABLE_PAGES: &str = "unreadable_pages";
const SOURCE: &str = "salvaged_from";

/// Where a damaged file will lie.
pub(super) fn aside(path: &Path, stamp: &str) -> PathBuf {
    companion(path, &format!("{CORRUPT}{stamp}"))
}

/// Where the fresh file lies until it takes its place.
fn recovered(path: &Path, stamp: &str) -> PathBuf {
    companion(path, &format!("{RECOVERED}{stamp}"))
}

/// Gives the fresh file the name by which the exchange begins.
pub(super) fn begin(path: &Path, fresh: &Path, stamp: &str) -> Result<()> {
    fs::rename(fresh, recovered(path, stamp))?;
    sync_directory(path)
}

/// Finishes an exchange that was begun, now or by a run that a crash has ended: where what was set aside lies then.
pub(in crate::store::file) fn finish(path: &Path, options: &Options) -> Result<Option<PathBuf>> {
    let Some(stamp) = begun(path)? else { return Ok(None) };
    let fresh = recovered(path, &stamp);
    let place = aside(path, &stamp);
    let is_for_here = |db: &Connection| Ok(replaces(db)?.is_some_and(|name| place.file_name() == Some(name.as_ref())));
    let is_ours = second_look::confirmed(options, || candidate::verify(&fresh, is_for_here, options))?;
    is_ours.ok_or_else(|| candidate::refused(fresh.file_name().unwrap_or_default()))?;
    if is_outdated(path, &fresh, &aside(path, &stamp), options)? {
        // The file was used again since: the copy lacks what has happened in it.
        let outdated = companion(path, &format!("{OUTDATED}{stamp}"));
        fs::rename(fresh, &outdated)?;
        sync_directory(path)?;
        return Ok(Some(outdated));
    }
    exchange(path, &stamp).map(Some)
}

/// Sets the damaged file aside, and puts the fresh one in its place: where the damaged one lies then.
pub(in crate::store::file) fn exchange(path: &Path, stamp: &str) -> Result<PathBuf> {
    let (fresh, aside) = (recovered(path, stamp), aside(path, stamp));
    for suffix in PARTS {
        let (from, to) = (companion(path, suffix), companion(&aside, suffix));
        if from.exists() && !to.exists() {
            fs::rename(from, to)?;
        }
    }
    // Names may reach the disk in another order: the damaged file must have its new one before its old one is taken.
    sync_directory(path)?;
    fs::rename(fresh, path)?;
    sync_directory(path)?;
    Ok(aside)
}

/// Whether the file at `path` is another one by now than the one that the fresh file was made of.
fn is_outdated(path: &Path, fresh: &Path, aside: &Path, options: &Options) -> Result<bool> {
    if !path.exists() || aside.exists() {
        return Ok(false);
    }
    let image = Image::open(fresh, &companion(fresh, "-wal"), options)?;
    let values = Meta::read(&image, &Trees::read(&image)?)?;
    let Some(source) = values.text(SOURCE) else { return Ok(false) };
    let moved = companion(aside, "-wal");
    let log = if moved.exists() { moved } else { companion(path, "-wal") };
    Ok(fingerprint(path, &log, options)? != source)
}

/// The time in the name of a recovered file that has not taken its place yet.
pub(in crate::store::file) fn begun(path: &Path) -> Result<Option<String>> {
    let Some(name) = path.file_name() else { return Ok(None) };
    let prefix = format!("{}{RECOVERED}", name.to_string_lossy());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut stranger = None;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(stamp) = entry.file_name().to_string_lossy().strip_prefix(&prefix)
            && !stamp.ends_with("-wal")
            && !stamp.ends_with("-shm")
        {
            if trust::is_safe(&entry.path()) {
                return Ok(Some(stamp.to_owned()));
            }
            stranger = Some(entry.file_name());
        }
    }
    match stranger {
        // The outbox may be the one that was to be replaced by it, and have lost its name already.
        Some(name) if !path.exists() => Err(candidate::refused(&name)),
        _ => Ok(None),
    }
}

/// The time, as a name that isn't taken.
pub(super) fn free_stamp(path: &Path) -> Result<String> {
    let stamp = set_aside::stamp(Clock::epoch_ms_now())?;
    let taken = |stamp: &str| aside(path, stamp).exists();
    if !taken(&stamp) {
        return Ok(stamp);
    }
    let mut numbered = (2_u32..).map(|number| format!("{stamp}-{number}"));
    Ok(numbered.find(|stamp| !taken(stamp)).unwrap_or(stamp))
}

/// Makes a fresh file say what it replaces, and by what bytes of it this can be recognized.
pub(super) fn note(db: &Connection, salvaged: &Salvaged, source: &str) -> Result<()> {
    let name = salvaged.set_aside.file_name().unwrap_or_default().to_string_lossy();
    set_meta(db, SOURCE, source)?;
    set_meta(db, UNREADABLE, integer(salvaged.unreadable))?;
    set_meta(db, UNREADABLE_PAGES, integer(salvaged.unreadable_pages))?;
    set_meta(db, SET_ASIDE, &*name)
}

/// The name that a file says the damaged one has which it replaces, without its directory.
fn replaces(db: &Connection) -> Result<Option<String>> {
    meta(db, SET_ASIDE)
}

/// What a file says of the damaged one that it replaced, until a run that has told it was closed.
pub(in crate::store::file) fn notice(db: &Connection, path: &Path) -> Result<Salvage> {
    let count =
        |name| Ok::<_, super::Fault>(meta::<i64>(db, name)?.and_then(|count| u64::try_from(count).ok()).unwrap_or(0));
    Ok(Salvage {
        set_aside: replaces(db)?.map(|name| name_of(&path.with_file_name(name))),
        unreadable: count(UNREADABLE)?,
        unreadable_parts: count(UNREADABLE_PAGES)?,
    })
}

pub(in crate::store::file) fn forget_notice(db: &Connection) -> Result<()> {
    db.execute("DELETE FROM meta WHERE name IN (?1, ?2, ?3, ?4)", [SET_ASIDE, UNREADABLE, UNREADABLE_PAGES, SOURCE])?;
    Ok(())
}
