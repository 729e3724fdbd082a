//! The store in a file: SQLite with a write-ahead log, written by one thread that takes whatever has been handed over
//! since its last commit, so that many changes share one wait for the disk.
//!
//! Below [`SqliteStore`], which is only the way into an `inbox`: `writer` decides what is written when, `apply` says it
//! in SQL,
//! `trouble` says what went wrong in words; `wire` and `receipts` are rows that gather much that is small; `open`,
//! `recover` and `salvage` are the beginning of a run. `reader` and `editor` are for
//! who looks at a file from outside.

mod apply;
mod backlog;
mod backup;
mod companion;
mod connection;
mod doubt;
mod editor;
mod failure;
mod file_id;
mod file_time;
#[cfg(test)]
#[path = "../../../tests/fuzz/rows.rs"]
mod fuzz;
mod headroom;
mod heal;
mod hold;
mod holder;
mod identity;
mod inbox;
mod lock;
mod log;
mod names;
mod open;
mod opened;
mod options;
mod origin;
mod reader;
mod receipts;
mod recover;
mod rescue;
mod rows;
mod salvage;
mod schema;
mod second_look;
mod set_aside;
mod times;
mod told;
mod trouble;
mod trust;
mod upkeep;
mod values;
mod vfs;
mod wire;
mod writer;

use std::io;
use std::sync::mpsc::Sender;
use std::thread;

pub use self::backup::backup;
pub use self::editor::{Editor, Marked, Redriven};
use self::inbox::{Command, Inbox};
pub use self::options::{Durability, Options, ReadAt};
pub use self::reader::check::{Counted, Finding, Verdict};
pub use self::reader::shapes::{Content, Envelope, Found, LetterRow, MessageRow, Page, ReceiptRow, State};
pub use self::reader::stats::{Budget, Files, Letters, Messages, Pause, Receipts, Stats};
pub use self::reader::{Reader, Texts};
pub use self::set_aside::{SET_ASIDE_KEPT, SetAside, discard, set_aside};
use self::writer::Writer;
use super::{Change, FencingToken, News, Seq, Store};
use crate::clock::Clock;
use crate::lanes::Slot;

/// A store in a file.
#[derive(Debug)]
pub struct SqliteStore {
    commands: Sender<Command>,
}

impl SqliteStore {
    /// Opens the file, on a thread of its own: how it went is told by `news`, like everything else. `news` may wait;
    /// that holds the store up, and nothing else.
    pub fn open(options: Options, clock: Clock, news: Box<dyn FnMut(News) + Send>) -> io::Result<Self> {
        let (commands, inbox) = Inbox::new(clock);
        // All of it on the thread: on a disk that hangs, looking at the path alone takes forever.
        let run = move || Writer::new(options, clock, news, inbox).run();
        thread::Builder::new().name("spillway-store".into()).spawn(run)?;
        Ok(Self { commands })
    }

    fn command(&self, command: Command) {
        // After its end there is nobody to take it, and nobody who waits for it either.
        let _ = self.commands.send(command);
    }
}

impl Store for SqliteStore {
    fn apply(&self, token: FencingToken, changes: Vec<Change>) {
        self.command(Command::Apply(token, changes));
    }

    fn load(&self, messages: Vec<(Slot, Seq)>) {
        self.command(Command::Load(messages));
    }

    fn close(&self) {
        self.command(Command::Close);
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.command(Command::Close);
    }
}
