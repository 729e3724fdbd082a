//! A damaged file: set aside whole, never deleted, and what can be read of it written to a fresh one.
//!
//! The fresh file is complete, durable and named `PATH.recovered-TIME` before anything is moved; from then on a crash at any
//! moment leaves a swap that the next opening finishes.

mod tables;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::types::{FromSql, ToSql, Value};
use rusqlite::{Connection, OpenFlags, params, params_from_iter};

use self::tables::Table;
use super::apply::{meta, set_meta};
use super::companion::{companion, open_private};
use super::file::{self, sync_directory};
use super::open::{connect, connect_as, remove};
use super::options::{Durability, Options};
use super::times::integer;
use super::trouble::{Fault, Result};
use super::{recover, schema, wire};
use crate::clock::Clock;

const RECOVERING: &str = ".recovering";
const RECOVERED: &str = ".recovered-";
const CORRUPT: &str = ".corrupt-";
const COPY: &str = ".salvage";
const PAGE: usize = 4_096;
/// Damaged places of a table that are gone around, before the rest of it is given up.
const HOLES_MAX: u32 = 10_000;
/// Rows that are written to the fresh file at once.
const COMMIT_ROWS: u64 = 16_384;

/// What became of a damaged file.
#[derive(Debug)]
pub(super) struct Salvaged {
    pub(super) set_aside: PathBuf,
    pub(super) unreadable: u64,
}

/// Puts a fresh file in the place of a damaged one. Nobody may be connected to it.
pub(super) fn replace(path: &Path, options: &Options) -> Result<Salvaged> {
    let salvaged = begin(path, options)?;
    finish(path)?;
    Ok(salvaged)
}

/// Does all of it but what [`finish`] does.
pub(super) fn begin(path: &Path, options: &Options) -> Result<Salvaged> {
    let fresh = companion(path, RECOVERING);
    remove(&fresh)?;
    let unreadable = recover(path, &fresh, options).inspect_err(|_| drop(remove(&fresh)))?;
    let stamp = free_stamp(path)?;
    fs::rename(&fresh, companion(path, &format!("{RECOVERED}{stamp}")))?;
    sync_directory(path)?;
    Ok(Salvaged { set_aside: companion(path, &format!("{CORRUPT}{stamp}")), unreadable })
}

/// Finishes a swap that was begun, now or by a run that a crash has ended.
pub(super) fn finish(path: &Path) -> Result<()> {
    let Some(stamp) = begun(path)? else { return Ok(()) };
    let aside = companion(path, &format!("{CORRUPT}{stamp}"));
    for suffix in ["-wal", "-shm", ""] {
        let (from, to) = (companion(path, suffix), companion(&aside, suffix));
        if from.exists() && !to.exists() {
            fs::rename(from, to)?;
        }
    }
    // Names may reach the disk in another order: the damaged file must have its new one before its old one is taken.
    sync_directory(path)?;
    fs::rename(companion(path, &format!("{RECOVERED}{stamp}")), path)?;
    sync_directory(path)
}

/// The time in the name of a recovered file that has not taken its place yet.
pub(super) fn begun(path: &Path) -> Result<Option<String>> {
    let Some(name) = path.file_name() else { return Ok(None) };
    let prefix = format!("{}{RECOVERED}", name.to_string_lossy());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for entry in fs::read_dir(directory)? {
        if let Some(stamp) = entry?.file_name().to_string_lossy().strip_prefix(&prefix) {
            return Ok(Some(stamp.to_owned()));
        }
    }
    Ok(None)
}

/// The time, as a name that isn't taken.
fn free_stamp(path: &Path) -> Result<String> {
    let seconds = Clock::epoch_ms_now() / 1_000;
    // SQLite knows the calendar already.
    let stamp: String = Connection::open_in_memory()?.query_row(
        "SELECT strftime('%Y%m%dT%H%M%SZ', ?1, 'unixepoch')",
        params![integer(seconds)],
        |row| row.get(0),
    )?;
    let taken = |stamp: &str| companion(path, &format!("{CORRUPT}{stamp}")).exists();
    if !taken(&stamp) {
        return Ok(stamp);
    }
    let mut numbered = (2_u32..).map(|number| format!("{stamp}-{number}"));
    Ok(numbered.find(|stamp| !taken(stamp)).unwrap_or(stamp))
}

/// Writes what can be read at `path` to a file at `fresh`; how many rows could not be.
fn recover(path: &Path, fresh: &Path, options: &Options) -> Result<u64> {
    open_private(fresh)?;
    let options = Options { durability: Durability::ProcessCrash, ..options.clone() };
    let copy = companion(path, COPY);
    remove(&copy)?;
    let source = source_in(path, &copy, &options);
    let outcome = match &source {
        // What is another organisation's must not become this one's.
        Some(source) => file::check_owner(&source.db, &options).and_then(|()| copy_to(fresh, source, &options)),
        // Not even its first page tells anything: an empty outbox is what is left.
        None => connect(fresh, &options).map(|target| (target, 1)),
    };
    drop(source);
    remove(&copy)?;
    let (target, unreadable) = outcome?;
    if !file::checkpoint(&target, "TRUNCATE")? {
        return Err(Fault::corrupt("can't be recovered: its copy is in use"));
    }
    drop(target);
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(companion(fresh, suffix));
    }
    File::open(fresh)?.sync_all()?;
    Ok(unreadable)
}

/// A damaged file that can be asked.
struct Source {
    db: Connection,
    /// The version of its tables.
    version: usize,
    /// Whether its log had to be left out.
    lacks_log: bool,
}

/// The damaged file, connected to as well as can be: as it is; else a copy of it with a new first page, since that is the same
/// in all stores of a version; else that without the log.
fn source_in(path: &Path, copy: &Path, options: &Options) -> Option<Source> {
    let versions = || (1..=schema::VERSION).rev();
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0) {
        for version in versions() {
            if let Ok(db) = read_only(path, version, options) {
                return Some(Source { db, version, lacks_log: false });
            }
        }
    }
    for (lacks_log, version) in
        [false, true].into_iter().flat_map(|lacks| versions().map(move |version| (lacks, version)))
    {
        if remove(copy).is_ok()
            && patched_copy(path, copy, version, !lacks_log, options).is_ok()
            && let Ok(db) = read_only(copy, version, options)
            // Another version's first page leads to other tables: what the file says of itself is on the same page in all.
            && schema::written_version(&db).is_none_or(|written| written == version)
        {
            return Some(Source { db, version, lacks_log });
        }
    }
    None
}

/// Connects to a file that has the tables of a version.
fn read_only(path: &Path, version: usize, options: &Options) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs.as_str())?,
        None => Connection::open_with_flags(path, flags)?,
    };
    source.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    file::pragma(&source, "cell_size_check", "ON")?;
    for table in tables::of(version) {
        source.prepare(table.select)?;
    }
    Ok(source)
}

/// A copy whose first page is that of a new store: the tables begin on the same pages in all of a version.
fn patched_copy(path: &Path, copy: &Path, version: usize, with_log: bool, options: &Options) -> Result<()> {
    let template = companion(path, ".template");
    remove(&template)?;
    open_private(&template)?;
    let db = connect_as(&template, options, version)?;
    file::checkpoint(&db, "TRUNCATE")?;
    drop(db);
    let whole = fs::read(&template)?;
    remove(&template)?;
    let mut page = whole.get(..PAGE).ok_or_else(|| Fault::corrupt("is damaged"))?.to_vec();
    let file = open_private(copy)?.file;
    fs::copy(path, copy)?;
    let pages = u32::try_from(fs::metadata(path)?.len() / PAGE as u64).unwrap_or(u32::MAX).max(1);
    page[28..32].copy_from_slice(&pages.to_be_bytes());
    // No free page is known: nothing is written to the copy.
    page[32..40].fill(0);
    write_at_start(&file, &page)?;
    let log = companion(path, "-wal");
    if with_log && log.exists() {
        open_private(&companion(copy, "-wal"))?;
        fs::copy(log, companion(copy, "-wal"))?;
    }
    Ok(())
}

fn write_at_start(mut file: &File, bytes: &[u8]) -> Result<()> {
    use std::io::{Seek, Write};
    file.rewind()?;
    Ok(file.write_all(bytes)?)
}

/// Copies all that can be read to a file of the same version, which becomes one of this then.
fn copy_to(fresh: &Path, source: &Source, options: &Options) -> Result<(Connection, u64)> {
    let target = connect_as(fresh, options, source.version)?;
    let (mut unreadable, mut wire_is_known) = (0, !source.lacks_log);
    for table in tables::of(source.version) {
        let lost = Copying { source: &source.db, target: &target, table, after: 0, unreadable: 0, written: 0 }.run()?;
        wire_is_known &= lost == 0 || !table.tells_wire;
        unreadable += lost;
    }
    copy_meta::<String>(&source.db, &target, "budget")?;
    for name in ["last_seq", "budget_ms", "created_ms"] {
        copy_meta::<i64>(&source.db, &target, name)?;
    }
    drop(target);
    let target = connect(fresh, options)?;
    // What was on the wire, of messages that are gone.
    target.execute("DELETE FROM returned WHERE seq NOT IN (SELECT seq FROM messages)", [])?;
    // A number never comes again: what knows of it would take one message for another.
    let newest = recover::last_seq(&target)?.max(wire::newest(&target)?);
    set_meta(&target, "last_seq", integer(newest))?;
    if !wire_is_known {
        wire::presume_sent(&target, options.presumed_sent)?;
    }
    Ok((target, unreadable))
}

/// Copies one of the single values, if it is there and of its type.
fn copy_meta<T: FromSql + ToSql>(source: &Connection, target: &Connection, name: &str) -> Result<()> {
    match meta::<T>(source, name) {
        Ok(Some(value)) => set_meta(target, name, value),
        _ => Ok(()),
    }
}

struct Copying<'a> {
    source: &'a Connection,
    target: &'a Connection,
    table: &'a Table,
    after: i64,
    unreadable: u64,
    written: u64,
}

/// Why copying stopped before the end of a table.
enum Stop {
    /// The next row can't be read.
    Damage,
    /// The fresh file can't be written.
    Target(Fault),
}

impl Copying<'_> {
    fn run(mut self) -> Result<u64> {
        self.target.execute_batch("BEGIN")?;
        for _ in 0..HOLES_MAX {
            match self.copy_on() {
                Ok(()) => break,
                Err(Stop::Target(fault)) => return Err(fault),
                Err(Stop::Damage) => {}
            }
            let before = self.after;
            // How many there are behind damage without an end, nobody knows.
            let next = self.next_readable();
            self.unreadable += next.map_or(1, |next| next.abs_diff(before).saturating_sub(1).max(1));
            let Some(next) = next else { break };
            self.after = next.saturating_sub(1).max(before + 1);
        }
        self.target.execute_batch("COMMIT")?;
        Ok(self.unreadable)
    }

    /// Copies from `after` on, up to the end or to damage.
    fn copy_on(&mut self) -> std::result::Result<(), Stop> {
        let mut select = self.source.prepare_cached(self.table.select).map_err(|_| Stop::Damage)?;
        let columns = select.column_count();
        let mut insert = self.target.prepare_cached(self.table.insert).map_err(|error| Stop::Target(error.into()))?;
        let mut found = select.query(params![self.after]).map_err(|_| Stop::Damage)?;
        while let Some(row) = found.next().map_err(|_| Stop::Damage)? {
            let values: Vec<Value> =
                (0..columns).map(|index| row.get(index)).collect::<rusqlite::Result<_>>().map_err(|_| Stop::Damage)?;
            let Value::Integer(key) = values[self.table.key] else { return Err(Stop::Damage) };
            if key <= self.after {
                return Err(Stop::Damage);
            }
            if (self.table.sound)(row) {
                // A row that the table doesn't take (a null where none may be) is damage, not the fresh file's fault.
                match insert.execute(params_from_iter(values)) {
                    Ok(_) => {}
                    Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
                        self.unreadable += 1
                    }
                    Err(error) => return Err(Stop::Target(error.into())),
                }
            } else {
                self.unreadable += 1;
            }
            self.after = key;
            self.written += 1;
            if self.written.is_multiple_of(COMMIT_ROWS) {
                self.target.execute_batch("COMMIT; BEGIN").map_err(|error| Stop::Target(error.into()))?;
            }
        }
        Ok(())
    }

    /// The key of the first row behind the damage: steps that double find a place behind it, halving finds its edge.
    fn next_readable(&self) -> Option<i64> {
        let (mut bad, mut step) = (self.after, 1_i64);
        let mut good = loop {
            let from = self.after.checked_add(step)?;
            match self.probe(from) {
                Some(_) => break from,
                None => bad = from,
            }
            step = step.checked_mul(2)?;
        };
        while good - bad > 1 {
            let middle = bad + (good - bad) / 2;
            if self.probe(middle).is_some() { good = middle } else { bad = middle }
        }
        self.probe(good).flatten()
    }

    /// The first row behind `after`: its key, or that there is none; nothing when it can't be read.
    fn probe(&self, after: i64) -> Option<Option<i64>> {
        let mut select = self.source.prepare_cached(self.table.select).ok()?;
        let columns = select.column_count();
        let mut found = select.query(params![after]).ok()?;
        let Some(row) = found.next().ok()? else { return Some(None) };
        for index in 0..columns {
            row.get_ref(index).ok()?;
        }
        let key: i64 = row.get(self.table.key).ok()?;
        (key > after).then_some(Some(key))
    }
}
