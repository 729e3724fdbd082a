//! The store in a file: SQLite with a write-ahead log, written by one thread that takes whatever has been handed over
//! since its last commit, so that many changes share one wait for the disk. Several organizations may have a `part` of
//! one file: they share its thread and its commits.
//!
//! Below [`SqliteStore`], which is only the way into an `inbox`: `hosts` knows the threads, `writer` decides what is
//! written when, `apply` says it in SQL,
//! `fault` says what went wrong in words; `wire` and `receipts` are rows that gather much that is small; `open`,
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
mod fault;
mod file_id;
mod file_time;
#[cfg(test)]
#[path = "../../../tests/fuzz/rows.rs"]
mod fuzz;
mod headroom;
mod hold;
mod holder;
mod hosts;
mod identity;
mod inbox;
mod lock;
mod log;
mod names;
mod open;
mod opened;
mod options;
mod organizations;
mod origin;
mod part;
mod progress;
mod reader;
mod receipts;
mod recover;
mod repair;
mod reported;
mod rescue;
mod rows;
mod salvage;
mod schema;
mod second_look;
mod set_aside;
mod times;
mod transaction;
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
use self::hosts::Host;
use self::inbox::{Command, Inbox, Joining, MemberId};
pub use self::options::{Durability, Options, ReadAt};
pub use self::reader::check::{Counted, Finding, Verdict};
pub use self::reader::shapes::{Content, Envelope, Found, LetterRow, MessageRow, Page, ReceiptRow, State};
pub use self::reader::stats::{Budget, Files, Letters, Messages, Pause, Receipts, Stats};
pub use self::reader::{Reader, Texts};
pub use self::set_aside::{SET_ASIDE_KEPT, SetAside, discard, set_aside};
use self::writer::Writer;
use super::{Change, FencingToken, Pulse, Seq, Store, StoreEvent};
use crate::clock::Clock;
use crate::lanes::EntryId;

/// An organization's store in a file, which others of this process may have parts of, too.
#[derive(Debug)]
pub struct SqliteStore {
    member: MemberId,
    commands: Sender<Command>,
    pulse: Pulse,
}

impl SqliteStore {
    /// Opens an organization's part of the file, on the file's thread: how it went is reported through `event`, like
    /// everything else. `event` may wait; that holds up the stores in the file, and nothing else.
    pub fn open(options: Options, clock: Clock, event: Box<dyn FnMut(StoreEvent) + Send>) -> io::Result<Self> {
        let member = MemberId::next();
        // No more than the working directory is asked for: on a disk that hangs, looking at the path takes forever.
        let name = std::path::absolute(&options.path).unwrap_or_else(|_| options.path.clone());
        let Host { commands, pulse } = hosts::join(&name, member, Joining { options, event }, |ticket, joining| {
            let (commands, inbox) = Inbox::new(clock);
            let pulse = joining.options.pulse.clone();
            let run = move || Writer::new(&joining.options, clock, inbox, ticket.take_seat()).run(member, joining);
            thread::Builder::new().name("spillway-store".into()).spawn(run)?;
            Ok(Host { commands, pulse })
        })?;
        Ok(Self { member, commands, pulse })
    }

    /// The signs of life of its opening.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    fn command(&self, command: Command) {
        // After its end there is nobody to take it, and nobody who waits for it either.
        let _ = self.commands.send(command);
    }
}

impl Store for SqliteStore {
    fn apply(&self, token: FencingToken, changes: Vec<Change>) {
        self.command(Command::Apply(self.member, token, changes));
    }

    fn load(&self, messages: Vec<(EntryId, Seq)>) {
        self.command(Command::Load(self.member, messages));
    }

    fn close(&self) {
        self.command(Command::Close(self.member));
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.command(Command::Close(self.member));
    }
}
