//! The commands on their way to the writer.

use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use super::options::Options;
use crate::clock::Clock;
use crate::lanes::EntryId;
use crate::store::{Change, FencingToken, Seq, StoreEvent};

/// Who enqueues one message after the other hands over the next as soon as the last is acknowledged. So long the writer
/// waits awake for it: to fall asleep and be woken costs as much of the processor on a virtual machine, and takes
/// longer.
const AWAKE_MAX: Duration = Duration::from_micros(300);

/// What the fronts of a file's organizations ask for.
#[derive(Debug)]
pub(super) enum Command {
    Join(MemberId, Box<Joining>),
    Apply(MemberId, FencingToken, Vec<Change>),
    Load(MemberId, Vec<(EntryId, Seq)>),
    Close(MemberId),
}

/// Tells the openings of a process apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberId(u64);

impl MemberId {
    /// Another one than all before.
    pub(super) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The least one above it.
    pub(super) fn following(self) -> Self {
        Self(self.0 + 1)
    }
}

/// An organization that is to open its part of a file.
pub(super) struct Joining {
    pub(super) options: Options,
    pub(super) event: Box<dyn FnMut(StoreEvent) + Send>,
}

impl Debug for Joining {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Joining").field("organization", &self.options.organization).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct Inbox {
    commands: Receiver<Command>,
    /// Keeps it open: that a store is gone is a command like others, and waiting on it is always waiting.
    _sender: Sender<Command>,
    clock: Clock,
    /// There is another processor for who is to hand over the next.
    has_company: bool,
    /// The last command that was waited for came soon.
    came_soon: bool,
}

impl Inbox {
    /// An empty one, and the way into it.
    pub(super) fn new(clock: Clock) -> (Sender<Command>, Self) {
        let (sender, commands) = mpsc::channel();
        let has_company = thread::available_parallelism().is_ok_and(|processors| processors.get() > 1);
        (sender.clone(), Self { commands, _sender: sender, clock, has_company, came_soon: false })
    }

    /// The next command, if there is one.
    pub(super) fn try_next(&self) -> Option<Command> {
        self.commands.try_recv().ok()
    }

    /// Waits for the next command, up to a time if there is one; `awake` for the first moment, if the last one came
    /// within that.
    pub(super) fn next(&mut self, wait: Option<Duration>, awake: bool) -> Option<Command> {
        let began = self.clock.now();
        let is_soon = || self.clock.now().since(began) < AWAKE_MAX;
        let mut next = self.try_next();
        if awake && self.came_soon && self.has_company {
            while next.is_none() && is_soon() {
                std::hint::spin_loop();
                next = self.try_next();
            }
        }
        let next = next.or_else(|| match wait {
            Some(wait) => self.commands.recv_timeout(wait).ok(),
            None => self.commands.recv().ok(),
        });
        self.came_soon = next.is_some() && is_soon();
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox() -> (Sender<Command>, Inbox) {
        let (sender, inbox) = Inbox::new(Clock::start());
        (sender, Inbox { has_company: true, ..inbox })
    }

    #[test]
    fn waits_awake_only_while_commands_come_soon() {
        let (sender, mut inbox) = inbox();
        assert!(!inbox.came_soon, "at first it sleeps");
        // What is there already comes soon; a busy machine may hold this thread up for once.
        let comes_soon = |_| {
            sender.send(Command::Close(MemberId::next())).unwrap();
            assert!(inbox.next(Some(Duration::from_secs(10)), true).is_some());
            inbox.came_soon
        };
        assert!((0..1_000).any(comes_soon));
        assert!(inbox.next(Some(Duration::from_millis(1)), true).is_none());
        assert!(!inbox.came_soon, "a wait in vain is the last one");
    }

    #[test]
    fn a_command_ends_the_wait_awake_or_asleep() {
        for came_soon in [false, true] {
            let (sender, mut inbox) = inbox();
            inbox.came_soon = came_soon;
            let other = thread::spawn(move || sender.send(Command::Close(MemberId::next())));
            assert!(matches!(inbox.next(None, true), Some(Command::Close(_))));
            other.join().unwrap().unwrap();
        }
    }
}
