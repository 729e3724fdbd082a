//! What goes wrong with a file, in words: which file, what happened, what to do. Never what is in it.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::error::{Error, Trouble};

/// What went wrong, before the path is known that it goes with.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) trouble: Trouble,
    what: String,
    /// What to do about it, where that is another thing than about all of its kind.
    advice: Option<&'static str>,
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    pub(super) fn new(trouble: Trouble, what: impl Into<String>) -> Self {
        Self { trouble, what: what.into(), advice: None }
    }

    /// With an advice of its own.
    pub(super) fn with_advice(self, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..self }
    }

    /// What is in the file makes no sense.
    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        Self::new(Trouble::Corrupt, what)
    }

    /// What happened, without the path.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    pub(super) fn is_corrupt(&self) -> bool {
        self.trouble == Trouble::Corrupt
    }

    /// As an error about the store at `path`.
    pub(super) fn at(&self, path: &Path) -> Error {
        self.advised(path, advice(self.trouble))
    }

    /// As an error about the store at `path`, with another advice than a sender's, unless it has one of its own.
    pub(super) fn advised(&self, path: &Path, advice: &str) -> Error {
        let advice = self.advice.unwrap_or(advice);
        let problem = format!("the store {} {}; {advice}", path.display(), self.what);
        Error::Store { trouble: self.trouble, problem }
    }
}

/// What a sender does about it, or its user.
pub(super) fn advice(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Locked => "close the other sender first, or give this one a store of its own",
        Trouble::Full => "free some space: it goes on by itself",
        Trouble::ReadOnly => "make the file and its directory writable for this user",
        Trouble::Missing => "create the directory, or bring it back",
        Trouble::Corrupt => {
            "it is set aside whole, and what can be read of it is recovered: at once, or when it is opened the next time"
        }
        Trouble::Version => "update spillway, or choose another path",
        Trouble::Mismatch => "choose another path",
        Trouble::Failed => "look after the disk and the system's log",
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
            | rusqlite::Error::QueryReturnedNoRows => return Self::corrupt("holds rows that make no sense"),
            _ => return Self::new(Trouble::Failed, "can't be used"),
        };
        let code = failure.extended_code;
        let (trouble, what) = match failure.code {
            ErrorCode::DiskFull => (Trouble::Full, "can't be written: the disk is full"),
            ErrorCode::ReadOnly if code == rusqlite::ffi::SQLITE_READONLY_DBMOVED => {
                (Trouble::Missing, "is no longer where it was opened")
            }
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => (Trouble::ReadOnly, "takes no writes"),
            ErrorCode::CannotOpen => (Trouble::Missing, "can't be opened"),
            ErrorCode::DatabaseCorrupt => (Trouble::Corrupt, "is damaged"),
            ErrorCode::NotADatabase => (Trouble::Corrupt, "is damaged: it is no SQLite database"),
            ErrorCode::SystemIoFailure if code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ => {
                (Trouble::Corrupt, "is damaged: it is shorter than it should be")
            }
            ErrorCode::SystemIoFailure => (Trouble::Failed, "can't be read or written: an I/O error"),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (Trouble::Locked, "is in use by another program"),
            // Tables or columns that aren't there: the first page is another one than was written.
            ErrorCode::Unknown if code == rusqlite::ffi::SQLITE_ERROR => {
                (Trouble::Corrupt, "is damaged: it lacks its tables")
            }
            _ => (Trouble::Failed, "can't be used"),
        };
        Self::new(trouble, format!("{what} (SQLite code {code})"))
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let (trouble, what) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (Trouble::Full, "can't be written: the disk is full")
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                (Trouble::ReadOnly, "takes no writes")
            }
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => (Trouble::Missing, "has no directory to lie in"),
            _ => (Trouble::Failed, "can't be read or written"),
        };
        match error.raw_os_error() {
            Some(code) => Self::new(trouble, format!("{what} (system error {code})")),
            None => Self::new(trouble, what),
        }
    }
}
