//! The threads that have files open, by the names of the files. Who opens a file that one of them has joins it: the
//! file's lock, its connection and its commits are shared by all organizations of the process that are in it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::Sender;

use once_cell::sync::Lazy;

use super::inbox::{Command, Inbox, Joining, MemberId};
use crate::lock::lock;
use crate::store::Pulse;

/// By the name under which a file is opened. A link to it is another name, and another owner: it is refused by the
/// file's lock.
static HOSTS: Lazy<Mutex<HashMap<PathBuf, (MemberId, Host)>>> = Lazy::new(Mutex::default);

/// A thread that has a file open, or opens it.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) commands: Sender<Command>,
    /// Its signs of life while it opens the file for anybody.
    pub(super) pulse: Pulse,
}

/// The name that a thread is to have among them, and who it is launched for.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    name: PathBuf,
    first: MemberId,
}

/// The name that a thread has among them, for as long as the thread lives. It takes its seat itself: a thread that
/// could not be launched has none.
#[derive(Debug)]
pub(super) struct Seat(Ticket);

impl Ticket {
    pub(super) fn take_seat(self) -> Seat {
        Seat(self)
    }
}

/// Joins the thread that has the file of this name, or launches it.
pub(super) fn join(
    name: &Path,
    member: MemberId,
    joining: Joining,
    launch: impl FnOnce(Ticket, Joining) -> io::Result<Host>,
) -> io::Result<Host> {
    let mut hosts = lock(&HOSTS);
    let mut joining = Box::new(joining);
    if let Some((_, host)) = hosts.get(name) {
        match host.commands.send(Command::Join(member, joining)) {
            Ok(()) => return Ok(host.clone()),
            // It has just ended in a panic.
            Err(unsent) => match unsent.0 {
                Command::Join(_, unsent) => joining = unsent,
                _ => unreachable!("what was sent comes back"),
            },
        }
    }
    let host = launch(Ticket { name: name.into(), first: member }, *joining)?;
    hosts.insert(name.into(), (member, host.clone()));
    Ok(host)
}

impl Seat {
    /// Gives the name up, so that whoever comes next launches a thread of its own; unless something has come in
    /// meanwhile, which is given back instead.
    pub(super) fn leave(&self, inbox: &Inbox) -> Option<Command> {
        let mut hosts = lock(&HOSTS);
        let command = inbox.try_next();
        if command.is_none() {
            self.remove_from(&mut hosts);
        }
        command
    }

    fn remove_from(&self, hosts: &mut HashMap<PathBuf, (MemberId, Host)>) {
        let Self(Ticket { name, first }) = self;
        // It may be another thread's by now.
        if hosts.get(name).is_some_and(|(other, _)| other == first) {
            hosts.remove(name);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.remove_from(&mut lock(&HOSTS));
    }
}
