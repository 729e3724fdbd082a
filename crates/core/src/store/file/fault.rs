//! What goes wrong with a file, in words: which file, what happened, what to do. Never what is in it.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use super::holder::Holder;
use crate::error::{Error, StoreErrorKind};
use crate::shortage::Shortage;

/// What went wrong, before the path is known that it goes with.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: StoreErrorKind,
    what: String,
    /// What to do about it, where that is another thing than about all of its kind.
    advice: Option<&'static str>,
    /// It is a lock of SQLite's own that stands in the way: another program has the file open.
    is_sqlite_lock: bool,
    /// A read has failed: it may go well the next time, and says nothing of what is in the file.
    is_read_error: bool,
    /// Another owner has the store since.
    is_disowned: bool,
    /// It stands in the way of new messages only: there is space for what is to be written about accepted ones.
    is_of_new_messages: bool,
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    pub(super) fn new(kind: StoreErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            advice: None,
            is_sqlite_lock: false,
            is_read_error: false,
            is_disowned: false,
            is_of_new_messages: false,
        }
    }

    /// With an advice of its own.
    pub(super) fn with_advice(self, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..self }
    }

    /// What is in the file makes no sense.
    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Corrupt, what)
    }

    /// The system has too little of something: the file may be as it should.
    fn short_of(shortage: Shortage, source: &str) -> Self {
        Self::new(StoreErrorKind::Failed, format!("can't be opened: {} ({source})", shortage.what()))
            .with_advice(shortage.advice())
    }

    /// Nothing keeps a second owner out there.
    fn without_locks(source: &str) -> Self {
        Self::new(StoreErrorKind::Failed, format!("is on a file system that can't lock files ({source})"))
            .with_advice("choose a path on a local file system, or mount this one with locks")
    }

    /// Whether a sender has the file, rather than some program that knows SQLite.
    pub(super) fn is_owned(&self) -> bool {
        self.kind == StoreErrorKind::Locked && !self.is_sqlite_lock
    }

    /// With the advice that all of its kind have.
    pub(super) fn without_advice(self) -> Self {
        Self { advice: None, ..self }
    }

    /// A read has failed, which is no damage.
    pub(super) fn unread(error: io::Error) -> Self {
        let what = match error.raw_os_error() {
            Some(code) => format!("can't be read (system error {code})"),
            None => format!("can't be read ({error})"),
        };
        Self { is_read_error: true, ..Self::new(StoreErrorKind::Failed, what) }
    }

    /// The same of a file that can't be damaged, since it was just written: it could not be read for a moment.
    pub(super) fn unless_corrupt(self) -> Self {
        if self.is_corrupt() { Self { is_read_error: true, kind: StoreErrorKind::Failed, ..self } } else { self }
    }

    /// The same, for good: another owner has begun, and what this one knows of the store is over.
    pub(super) fn for_good(self) -> Self {
        Self { is_disowned: true, ..self }
    }

    pub(super) fn is_disowned(&self) -> bool {
        self.is_disowned
    }

    pub(super) fn is_read_error(&self) -> bool {
        self.is_read_error
    }

    /// The same, of space that only new messages need.
    pub(super) fn of_new_messages(self) -> Self {
        Self { is_of_new_messages: true, ..self }
    }

    pub(super) fn is_of_new_messages(&self) -> bool {
        self.is_of_new_messages
    }

    /// What happened, without the path.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    pub(super) fn is_corrupt(&self) -> bool {
        self.kind == StoreErrorKind::Corrupt
    }

    /// As an error about the store at `path`.
    pub(super) fn at(&self, path: &Path) -> Error {
        self.advised(path, advice(self.kind))
    }

    /// The same of a store that could not be opened.
    pub(super) fn at_opening(&self, path: &Path) -> Error {
        match self.kind {
            StoreErrorKind::Full => {
                self.advised(path, "free some space, or raise the limit, and open the sender again")
            }
            _ => self.at(path),
        }
    }

    /// As an error about the store at `path`, with another advice than a sender's, unless it has one of its own.
    pub(super) fn advised(&self, path: &Path, advice: &str) -> Error {
        let advice = self.advice.unwrap_or(advice);
        let holder =
            if self.is_sqlite_lock { format!(": {}", Holder::of_database(path).with_program()) } else { String::new() };
        let problem = format!("the store {} {}{holder}; {advice}", path.display(), self.what);
        Error::Store { kind: self.kind, problem }
    }
}

/// What a sender does about it, or its user.
pub(super) fn advice(kind: StoreErrorKind) -> &'static str {
    match kind {
        StoreErrorKind::Locked => "close the other sender first, or give this one a store of its own",
        StoreErrorKind::Full => "free disk space, or raise the limit; writing resumes automatically",
        StoreErrorKind::ReadOnly => "make the file and its directory writable for this user",
        StoreErrorKind::Missing => "create the directory, or bring it back",
        StoreErrorKind::Corrupt => {
            "it is read again; if that confirms damage, it is set aside whole, and what can be read of it is recovered: \
             at once, or when it is opened the next time"
        }
        StoreErrorKind::Version => {
            "use the version that wrote it, or a newer one, until its messages are sent: another path would leave them behind"
        }
        StoreErrorKind::Mismatch => "choose another path",
        StoreErrorKind::Failed => "check the disk and the system log",
    }
}

/// How the system says that there is no room: on the disk, in a user's share of it, or below the limit on a file's
/// size.
fn full(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::StorageFull => "can't be written: the disk is full",
        io::ErrorKind::QuotaExceeded => "can't be written: this user's share of the disk is used up",
        io::ErrorKind::FileTooLarge => "can't be written: a file has reached the limit on its size",
        _ => return None,
    })
}

const TOO_LONG: &str = "has a path that is too long";

/// What the system has said of a call of SQLite's that has just failed. SQLite's codes put a quota together with a
/// broken disk, and a full disk with a missing directory, depending on the call; nothing was called since that could
/// have failed otherwise.
fn refined(kind: StoreErrorKind, what: &'static str) -> (StoreErrorKind, &'static str) {
    let error = io::Error::last_os_error();
    match full(&error) {
        Some(what) => (StoreErrorKind::Full, what),
        None if error.kind() == io::ErrorKind::InvalidFilename => (StoreErrorKind::Failed, TOO_LONG),
        None => (kind, what),
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let failure = match error {
            // The second when a statement doesn't fit the tables.
            rusqlite::Error::SqliteFailure(failure, _) | rusqlite::Error::SqlInputError { error: failure, .. } => {
                failure
            }
            // A value of another type than was written: only damage does that.
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::QueryReturnedNoRows => return Self::corrupt("contains rows that cannot be decoded"),
            _ => return Self::new(StoreErrorKind::Failed, "can't be used"),
        };
        let code = failure.extended_code;
        if failure.code == ErrorCode::CannotOpen || code == rusqlite::ffi::SQLITE_IOERR_SHMOPEN {
            // SQLite does not say why a file can't be opened.
            if let Some(shortage) = Shortage::of_descriptors_now() {
                return Self::short_of(shortage, &format!("SQLite code {code}"));
            }
        }
        let (kind, what) = match failure.code {
            ErrorCode::DiskFull => (StoreErrorKind::Full, "can't be written: the disk is full"),
            ErrorCode::ReadOnly if code == rusqlite::ffi::SQLITE_READONLY_DBMOVED => {
                (StoreErrorKind::Missing, "is no longer where it was opened")
            }
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => (StoreErrorKind::ReadOnly, "is not writable"),
            ErrorCode::CannotOpen => refined(StoreErrorKind::Missing, "can't be opened"),
            ErrorCode::DatabaseCorrupt => (StoreErrorKind::Corrupt, "is damaged, or could not be read"),
            ErrorCode::NotADatabase => (StoreErrorKind::Corrupt, "is damaged: it is no SQLite database"),
            ErrorCode::SystemIoFailure if code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ => {
                (StoreErrorKind::Corrupt, "is damaged: it is shorter than it should be")
            }
            ErrorCode::SystemIoFailure if is_about_locks(code) => {
                return Self::without_locks(&format!("SQLite code {code}"));
            }
            // The system's last error may be older than a read that was merely short.
            ErrorCode::SystemIoFailure if code == rusqlite::ffi::SQLITE_IOERR_READ => {
                (StoreErrorKind::Failed, "can't be read: an I/O error")
            }
            ErrorCode::SystemIoFailure => refined(StoreErrorKind::Failed, "can't be read or written: an I/O error"),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                let what = format!("is locked by another program that has it open as a database (SQLite code {code})");
                let advice = "close that program; to look into it, use \"spillway outbox\"";
                return Self { is_sqlite_lock: true, ..Self::new(StoreErrorKind::Locked, what).with_advice(advice) };
            }
            // Tables or columns that aren't there: the first page is another one than was written.
            ErrorCode::Unknown if code == rusqlite::ffi::SQLITE_ERROR => {
                (StoreErrorKind::Corrupt, "is damaged: it lacks its tables")
            }
            _ => (StoreErrorKind::Failed, "can't be used"),
        };
        let is_read_error = code == rusqlite::ffi::SQLITE_IOERR_READ;
        Self { is_read_error, ..Self::new(kind, format!("{what} (SQLite code {code})")) }
    }
}

/// Whether it is the file system that can't lock, not another owner who has locked.
fn is_about_locks(code: i32) -> bool {
    use rusqlite::ffi;
    let about = [ffi::SQLITE_IOERR_LOCK, ffi::SQLITE_IOERR_RDLOCK, ffi::SQLITE_IOERR_UNLOCK, ffi::SQLITE_IOERR_SHMLOCK];
    about.contains(&code) || code == ffi::SQLITE_IOERR_CHECKRESERVEDLOCK
}

/// Whether the file system says that it has no locks.
fn has_no_locks(error: &io::Error) -> bool {
    #[cfg(unix)]
    let is_about_locks = error.raw_os_error() == Some(libc::ENOLCK);
    #[cfg(not(unix))]
    let is_about_locks = false;
    is_about_locks || error.kind() == io::ErrorKind::Unsupported
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let source =
            error.raw_os_error().map_or_else(|| error.kind().to_string(), |code| format!("system error {code}"));
        if let Some(shortage) = Shortage::of(&error) {
            return Self::short_of(shortage, &source);
        }
        if has_no_locks(&error) {
            return Self::without_locks(&source);
        }
        let (kind, what) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                (StoreErrorKind::Full, full(&error).unwrap_or_default())
            }
            io::ErrorKind::InvalidFilename => (StoreErrorKind::Failed, TOO_LONG),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                (StoreErrorKind::ReadOnly, "is not writable")
            }
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                (StoreErrorKind::Missing, "can't be made: its directory does not exist")
            }
            _ => (StoreErrorKind::Failed, "can't be read or written"),
        };
        match error.raw_os_error() {
            Some(code) => Self::new(kind, format!("{what} (system error {code})")),
            None => Self::new(kind, what),
        }
    }
}

/// What can't be read as what it is.
pub(super) fn damage<E>(_: E) -> Fault {
    Fault::corrupt("contains rows that cannot be decoded")
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_and_a_file_system_without_locks_are_named() {
        for (code, shown, advised) in [
            (libc::EMFILE, "no file descriptors left", "ulimit -n"),
            (libc::ENFILE, "no file descriptors left", "fs.file-max"),
            (libc::ENOLCK, "can't lock files", "local file system"),
            (libc::EOPNOTSUPP, "can't lock files", "local file system"),
            (libc::ENOSYS, "can't lock files", "local file system"),
            (libc::EIO, "can't be read or written", "disk"),
        ] {
            let error = Fault::from(io::Error::from_raw_os_error(code)).at(Path::new("/outbox.db"));
            let text = error.to_string();
            assert_eq!(error.code(), "STORE_FAILED", "{text}");
            assert!(text.contains("/outbox.db") && text.contains(shown) && text.contains(advised), "{text}");
            assert!(text.contains(&code.to_string()), "{text}");
        }
        for (code, shown) in [
            (rusqlite::ffi::SQLITE_IOERR_LOCK, "can't lock files"),
            (rusqlite::ffi::SQLITE_CANTOPEN, "can't be opened"),
        ] {
            let failure = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            assert!(Fault::from(failure).what().contains(shown), "{code}");
        }
    }
}
