//! The file as somebody else than its owner sees it: read, and never changed. It works beside a running owner, who
//! isn't held up: every question is a short transaction of its own.

pub(super) mod check;
mod pages;
pub(super) mod shapes;
pub(super) mod stats;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use self::check::Verdict;
use self::shapes::{Found, LetterRow, MessageRow, Page, ReceiptRow};
use self::stats::Stats;
use super::companion::companion;
use super::connection;
use super::fault::{self, Fault, Result};
use super::lock;
use super::log;
use super::organizations;
use super::origin;
use super::part::Part;
use super::schema::{self, Kind};
use super::vfs;
use crate::error::{Error, StoreErrorKind};

/// How long a reader waits for another one that recovers the file after a crash.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Whether what was to be sent, and what was answered, is told as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// Ids, times and numbers alone.
    Hidden,
    /// Bodies, params and answers, too.
    Shown,
}

/// Reads the file of a store. All errors are [`Error::Store`].
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    link: Link,
    /// Who is meant, where that needs to be said.
    organization: Option<Box<str>>,
}

/// A connection to the file.
#[derive(Debug)]
struct Link {
    db: Connection,
    /// There was no log, so SQLite is told that nothing changes: then it makes none. It holds as long as there is no
    /// log, since whoever writes makes it first.
    still: bool,
}

impl Reader {
    /// Opens an outbox of this version that is there. Neither the file nor its directory need be writable, unless an
    /// owner that died has left its log behind.
    pub fn open(path: &Path) -> std::result::Result<Self, Error> {
        let path = connection::absolute(path);
        match linked(&path) {
            Ok(link) => Ok(Self { path, link, organization: None }),
            Err(fault) => Err(told(&fault, &path)),
        }
    }

    /// The same, for what an organization has in it: one of several has to be named.
    pub fn of(self, organization: Option<&str>) -> Self {
        Self { organization: organization.map(Box::from), ..self }
    }

    /// The messages behind number `after`, as many as fit a page.
    pub fn messages(&mut self, after: u64, texts: Texts) -> std::result::Result<Page<MessageRow>, Error> {
        self.read(|db, part| pages::messages(db, part()?, after, texts))
    }

    /// The dead letters behind number `after`, as many as fit a page.
    pub fn letters(&mut self, after: u64, texts: Texts) -> std::result::Result<Page<LetterRow>, Error> {
        self.read(|db, part| pages::letters(db, part()?, after, texts))
    }

    /// The receipts behind number `after`, as many as fit a page.
    pub fn receipts(&mut self, after: u64) -> std::result::Result<Page<ReceiptRow>, Error> {
        self.read(|db, part| pages::receipts(db, part()?, after))
    }

    /// All that is known of an id. Takes as long as reading the whole file: there is no index on ids.
    pub fn find(&mut self, id: &str, texts: Texts) -> std::result::Result<Vec<Found>, Error> {
        self.read(|db, part| pages::find(db, part()?, id, texts))
    }

    /// The file in numbers.
    pub fn stats(&mut self) -> std::result::Result<Stats, Error> {
        let path = self.path.clone();
        self.read(|db, part| stats::stats(db, part()?, &path))
    }

    /// Looks whether all of it is as it was written, and fits together, whoever's it is.
    pub fn check(&mut self) -> std::result::Result<Verdict, Error> {
        self.read(|db, _| check::check(db))
    }

    /// Asks the file, where the part is that is meant: damage can keep it from saying that.
    fn read<T>(
        &mut self,
        question: impl Fn(&Connection, &dyn Fn() -> Result<Part>) -> Result<T>,
    ) -> std::result::Result<T, Error> {
        let mut answer = self.ask(&question);
        // Somebody has begun to write: what was read meanwhile may be half of one state and half of another.
        if self.link.still && companion(&self.path, "-wal").exists() {
            answer = linked(&self.path).and_then(|link| {
                self.link = link;
                self.ask(&question)
            });
        }
        answer.map_err(|fault| told(&fault, &self.path))
    }

    /// All that a question reads is of one moment.
    fn ask<T>(&self, question: impl Fn(&Connection, &dyn Fn() -> Result<Part>) -> Result<T>) -> Result<T> {
        let db = &self.link.db;
        db.execute_batch("BEGIN")?;
        let part = || organizations::meant(&organizations::all(db)?, self.organization.as_deref());
        let answer = question(db, &part);
        // Nothing was written; a transaction that has failed is over already.
        let _ = db.execute_batch("ROLLBACK");
        answer
    }
}

/// An error with the advice for somebody who looks on from outside.
pub(super) fn told(fault: &Fault, path: &Path) -> Error {
    let advice = match fault.kind {
        StoreErrorKind::Missing => "check the path, and whether this user may read it",
        StoreErrorKind::Corrupt => {
            "open it with a sender once: that sets it aside whole, and recovers what can be read of it"
        }
        StoreErrorKind::ReadOnly => "copy it, with the file of its name and -wal, to where this user may write",
        StoreErrorKind::Locked => "try again",
        other => fault::advice(other),
    };
    fault.advised(path, advice)
}

/// Whether a file that might be an outbox is there. It isn't opened for that: closing it again would take SQLite's
/// locks away from an owner in this very process.
pub(super) fn look(path: &Path) -> Result<()> {
    let Ok(metadata) = fs::metadata(path) else {
        return Err(Fault::new(StoreErrorKind::Missing, "isn't there"));
    };
    connection::check_kind(path)?;
    match (metadata.len(), log::file_bytes(path)) {
        // SQLite would take the log for a leftover, and delete it.
        (0, 1..) => Err(Fault::corrupt("is damaged: it is empty, but its write-ahead log isn't")),
        (0, 0) => Err(empty()),
        _ => Ok(()),
    }
}

/// Refuses what is no outbox of this version.
pub(super) fn recognize(db: &Connection) -> Result<()> {
    match schema::kind(db)? {
        Kind::Current => Ok(()),
        Kind::Empty => Err(empty()),
        Kind::Older(version) => {
            let what = format!("was written by an older version of spillway (schema {version}) and not opened since");
            Err(Fault::new(StoreErrorKind::Version, what)
                .with_advice("open it with a sender once: that brings it to this version"))
        }
    }
}

fn empty() -> Fault {
    Fault::new(StoreErrorKind::Missing, "is empty: no sender has used it yet")
}

/// A connection that may only read.
pub(super) fn link(path: &Path) -> Result<Connection> {
    linked(path).map(|link| link.db)
}

fn linked(path: &Path) -> Result<Link> {
    match connect(path) {
        // Nobody's locks are taken away by opening what nobody owns.
        Err(fault) if fault.is_corrupt() && lock::owner(path).is_none() => {
            origin::check(path, companion(path, "-lock").exists()).and(Err(fault))
        }
        outcome => outcome,
    }
}

fn connect(path: &Path) -> Result<Link> {
    look(path)?;
    let still = !companion(path, "-wal").exists() && lock::owner(path).is_none();
    let had_index = companion(path, "-shm").exists();
    let db = if still { vfs::unchanging(path, None)? } else { vfs::connect(path, vfs::READ_ONLY, None)? };
    db.busy_timeout(BUSY_WAIT)?;
    // The last one to close would move the log into the file, and delete it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection::pragma(&db, "cell_size_check", "ON")?;
    connection::pragma(&db, "trusted_schema", "OFF")?;
    connection::pragma(&db, "query_only", "ON")?;
    let known = recognize(&db);
    if !had_index {
        make_private(&companion(path, "-shm"));
    }
    known.map(|()| Link { db, still })
}

/// SQLite gives what it makes the mode of the file; a copy may have another one than the file of a sender. It isn't
/// opened for that: closing it again would take SQLite's locks away.
fn make_private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
            let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}
