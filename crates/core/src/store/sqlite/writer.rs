//! The writer: one thread that owns the file. It takes whatever has been handed over, writes it in one transaction, and tells.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::params;

use super::apply::{Applier, meta, set_meta};
use super::backlog::{Backlog, insertion, removes};
use super::file;
use super::heal::{self, Ailment};
use super::inbox::{Command, Inbox};
use super::lock::OwnerLock;
use super::open::{self, Opened};
use super::options::Options;
use super::rows;
use super::times::{Times, integer};
use super::trouble::{Fault, Result};
use super::upkeep::Upkeep;
use crate::clock::{Clock, Timestamp};
use crate::error::Trouble;
use crate::lanes::Slot;
use crate::store::{News, Record, Seq};

/// Changes that are taken before they are written, however many more wait.
const TAKEN_MAX: usize = 8_192;
/// After a commit with so many changes, the next waits for company in short steps until it has enough, since each commit costs as
/// much of the processor as some forty changes. All steps take less time than the requests last that wait for the disk,
/// and nobody who awaits one message after the other meets them.
const COMMIT_SIBLINGS: usize = 64;
const COMMIT_ENOUGH: usize = 192;
const COMMIT_DELAY: Duration = Duration::from_micros(500);
const COMMIT_DELAYS_MAX: u32 = 2;

pub(super) struct Writer {
    path: PathBuf,
    options: Options,
    clock: Clock,
    news: Box<dyn FnMut(News) + Send>,
    inbox: Inbox,
    backlog: Backlog,
    /// Messages that are asked for, with the change that must be durable before.
    loads: VecDeque<(u64, Vec<(Slot, Seq)>)>,
    /// Up to where it is told that changes are durable.
    told: u64,
    /// Inserts that are written, in a file that has lost its name meanwhile or can't be written any more.
    held: Vec<Slot>,
    /// Changes of the last commit.
    last_count: usize,
    ailment: Ailment,
    upkeep: Upkeep,
    last_seq: Seq,
    last_seq_written: Seq,
    /// Since when it is to close.
    closing: Option<Timestamp>,
}

impl Writer {
    pub(super) fn new(options: Options, clock: Clock, news: Box<dyn FnMut(News) + Send>, inbox: Inbox) -> Self {
        let path = file::absolute(&options.path);
        Self {
            upkeep: Upkeep::new(&path, &options, clock.now()),
            path,
            options,
            clock,
            news,
            inbox,
            backlog: Backlog::default(),
            loads: VecDeque::new(),
            told: 0,
            held: Vec::new(),
            last_count: 0,
            ailment: Ailment::default(),
            last_seq: 0,
            last_seq_written: 0,
            closing: None,
        }
    }

    pub(super) fn run(mut self) {
        let (opened, mut lock, opening) = match open::open(&self.path, &self.options, &self.clock, &mut *self.news) {
            Ok(opened) => opened,
            Err(fault) => return (self.news)(News::Failed(fault.at(&self.path))),
        };
        self.last_seq = opening.last_seq;
        self.last_seq_written =
            meta::<i64>(&opened.db, "last_seq").ok().flatten().and_then(|seq| seq.try_into().ok()).unwrap_or(0);
        (self.news)(News::Opened(opening));
        let mut opened = Some(opened);
        loop {
            self.take_commands();
            let trying = self.ailment.may_try(self.clock.now());
            if trying && self.ailment.is_ill() {
                self.mend(&mut opened, &mut lock);
            } else if trying && let Some(opened) = &mut opened {
                self.write_batch(opened, &mut lock);
            } else {
                self.refuse_inserts();
            }
            if let Err(fault) = self.answer_loads(opened.as_ref())
                && !self.ailment.is_ill()
            {
                self.fall_ill(&fault);
            }
            if self.is_finished() {
                break;
            }
            if self.is_idle()
                && let Some(opened) = &opened
            {
                self.upkeep.idle(&opened.db, self.clock.now());
            }
        }
        self.end(opened, &mut lock);
        drop(lock);
        (self.news)(News::Closed);
    }

    /// Takes what has come in; waits for it when there is nothing else to do.
    fn take_commands(&mut self) {
        let first = match self.patience() {
            None => self.inbox.try_next(),
            Some(wait) => self.inbox.next(wait, self.last_count == 1),
        };
        self.take(first);
    }

    /// Takes a command, and those behind it.
    fn take(&mut self, mut command: Option<Command>) {
        while let Some(taken) = command {
            match taken {
                Command::Apply(changes) => self.backlog.push(changes),
                Command::Load(messages) => self.loads.push_back((self.backlog.taken(), messages)),
                Command::Close => self.closing = self.closing.or(Some(self.clock.now())),
            }
            command = if self.backlog.len() < TAKEN_MAX { self.inbox.try_next() } else { None };
        }
    }

    /// How long it may wait for commands; none when there is something to do.
    fn patience(&self) -> Option<Duration> {
        let now = self.clock.now();
        match self.ailment.wait(now) {
            Some(wait) => Some(wait),
            None if self.backlog.is_empty() && self.closing.is_none() => Some(self.upkeep.wait(now)),
            None => None,
        }
    }

    fn is_idle(&self) -> bool {
        self.backlog.is_empty() && !self.ailment.is_ill() && self.closing.is_none()
    }

    fn is_finished(&self) -> bool {
        let Some(since) = self.closing else { return false };
        let healthy = !self.ailment.is_ill() && self.backlog.is_empty();
        healthy || (self.ailment.is_ill() && self.clock.now().since(since) >= self.options.patience)
    }

    fn write_batch(&mut self, opened: &mut Opened, lock: &mut OwnerLock) {
        if self.backlog.is_empty() {
            return;
        }
        let count = self.backlog.batch().count();
        match self.commit(opened, lock, count) {
            Ok(()) => {
                let kept = self.backlog.finish(count);
                // Between the check before the commit and now the file, or the lock, may have lost its name.
                match opened.identity.check(&opened.db, lock) {
                    Ok(()) => {
                        self.tell_done(kept);
                        self.upkeep.after_commit(&opened.db, self.clock.now());
                        if count >= COMMIT_SIBLINGS {
                            self.gather();
                        }
                    }
                    Err(fault) => {
                        self.held.extend(kept);
                        self.fall_ill(&fault);
                    }
                }
            }
            Err(fault) => self.fall_ill(&fault),
        }
    }

    /// Lets the next commit have company.
    fn gather(&mut self) {
        let mut before = 0;
        for _ in 0..COMMIT_DELAYS_MAX {
            self.take(self.inbox.try_next());
            let (now, enough) = (self.backlog.len(), self.backlog.len() >= COMMIT_ENOUGH);
            // Who waits for this one sends nothing before it.
            let all_are_there = now > 0 && now == before;
            if enough || all_are_there || !self.loads.is_empty() || self.closing.is_some() {
                return;
            }
            before = now;
            pause();
        }
    }

    /// Writes the first `count` changes, all or none.
    fn commit(&mut self, opened: &mut Opened, lock: &mut OwnerLock, count: usize) -> Result<()> {
        match self.try_commit(opened, lock, count) {
            // A log that can't grow (a quota is an I/O error to SQLite) has room again once it is moved into the file.
            Err(fault)
                if matches!(fault.trouble, Trouble::Full | Trouble::Failed)
                    && file::checkpoint(&opened.db, "PASSIVE").is_ok() =>
            {
                self.try_commit(opened, lock, count)
            }
            outcome => outcome,
        }
    }

    fn try_commit(&mut self, opened: &mut Opened, lock: &mut OwnerLock, count: usize) -> Result<()> {
        let db = &opened.db;
        let times = Times::read(&self.clock);
        let mut applier = Applier::new(db, &times, !self.options.dedupe.is_zero());
        let mut last_seq = self.last_seq;
        let written = in_transaction(db, || {
            let mut removed = false;
            for change in self.backlog.batch().take(count) {
                applier.apply(change)?;
                removed |= removes(change).is_some();
                if let Some((_, record)) = insertion(change) {
                    last_seq = last_seq.max(record.seq);
                }
            }
            applier.finish()?;
            // While the newest message is there, it says itself which was the last.
            if removed && last_seq > self.last_seq_written {
                set_meta(db, "last_seq", integer(last_seq))?;
            }
            opened.identity.check(db, lock)?;
            Ok(removed)
        })?;
        self.last_seq = last_seq;
        if written {
            self.last_seq_written = last_seq;
        }
        self.last_count = count;
        self.upkeep.wrote(count);
        Ok(())
    }

    fn tell_done(&mut self, kept: Vec<Slot>) {
        let done = self.backlog.done();
        if done > self.told {
            self.told = done;
            (self.news)(News::Committed { up_to: done, kept });
        }
    }

    /// Something can't be written: inserts are refused, everything else waits.
    fn fall_ill(&mut self, fault: &Fault) {
        let error = fault.at(&self.path);
        if self.ailment.worsen(self.clock.now(), error.clone(), fault.trouble) {
            (self.news)(News::Troubled(error));
        }
        self.refuse_inserts();
    }

    fn refuse_inserts(&mut self) {
        let Some(error) = self.ailment.error() else { return };
        let refused = self.backlog.refuse_inserts();
        if !refused.is_empty() {
            (self.news)(News::Refused(refused, error));
        }
        if self.held.is_empty() {
            self.tell_done(Vec::new());
        }
    }

    /// Tries again: mends the file if that is what it takes, and writes what waits.
    fn mend(&mut self, opened: &mut Option<Opened>, lock: &mut OwnerLock) {
        let outcome = heal::mend(&self.path, &self.options, &mut self.ailment, opened, lock).and_then(|()| {
            let Some(opened) = opened else { return Ok(()) };
            let count = self.backlog.batch().count();
            self.commit(opened, lock, count)?;
            // Written they are, whatever comes next: they must not be refused.
            let kept = self.backlog.finish(count);
            self.held.extend(kept);
            // Nothing may have waited: then it takes a write of its own to know.
            in_transaction(&opened.db, || set_meta(&opened.db, "healed_ms", integer(Clock::epoch_ms_now())))?;
            opened.identity.check(&opened.db, lock)?;
            self.answer_loads(Some(&*opened))
        });
        match outcome {
            Ok(()) => {
                let kept = std::mem::take(&mut self.held);
                // It may be in another file by now.
                self.last_seq_written = 0;
                let salvage = self.ailment.heal(self.clock.now());
                // First: who hears that a message is accepted finds no trouble any more.
                (self.news)(News::Healed(salvage));
                // What waits behind the first transaction is written as usual.
                self.tell_done(kept);
            }
            Err(fault) => self.fall_ill(&fault),
        }
    }

    /// Answers what was asked for; at once in trouble, since what waits then is about other messages. What can't be read for now
    /// stays asked for: without an answer the engine leaves its messages in their places.
    fn answer_loads(&mut self, opened: Option<&Opened>) -> Result<()> {
        let Some(opened) = opened.filter(|_| !self.loads.is_empty()) else { return Ok(()) };
        let done = if self.ailment.is_ill() { u64::MAX } else { self.backlog.done() };
        let times = Times::read(&self.clock);
        while let Some((_, messages)) = self.loads.front().filter(|(after, _)| *after <= done) {
            let read = |&(slot, seq)| Ok((slot, seq, load(opened, seq, &times)?));
            let loaded = messages.iter().map(read).collect::<Result<_>>()?;
            self.loads.pop_front();
            (self.news)(News::Loaded(loaded));
        }
        Ok(())
    }

    /// Leaves the file as whole as can be.
    fn end(&mut self, opened: Option<Opened>, lock: &mut OwnerLock) {
        let refused = std::mem::take(&mut self.held);
        if !refused.is_empty()
            && let Some(error) = self.ailment.error()
        {
            (self.news)(News::Refused(refused, error));
        }
        let Some(Opened { db, mut identity }) = opened else { return };
        // Without it the next opening looks at everything: no harm, so what goes wrong here is not told.
        if !self.ailment.is_ill() && identity.check(&db, lock).is_ok() {
            let marked = set_meta(&db, "last_seq", integer(self.last_seq)).and_then(|()| set_meta(&db, "clean", 1));
            if marked.is_ok() {
                // Who still reads keeps the log, not the process: the next opening finds it.
                let _ = file::cut_log(&db);
            }
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the thread is the store's own, and a channel would wake it for each command"
)]
fn pause() {
    std::thread::sleep(COMMIT_DELAY);
}

/// Does all of it or nothing.
pub(super) fn in_transaction<T>(db: &rusqlite::Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let outcome =
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map_err(Fault::from).and_then(|_| work()).and_then(|done| {
            db.prepare_cached("COMMIT")?.execute([])?;
            Ok(done)
        });
    if outcome.is_err() && !db.is_autocommit() {
        // SQLite undoes by itself what it can't undo when asked.
        let _ = db.execute_batch("ROLLBACK");
    }
    outcome
}

/// A message; none when it isn't there, or isn't as it was written.
fn load(opened: &Opened, seq: Seq, times: &Times) -> Result<Option<Box<Record>>> {
    match row_of(opened, seq, times) {
        Err(fault) if fault.is_corrupt() => Ok(None),
        outcome => outcome,
    }
}

fn row_of(opened: &Opened, seq: Seq, times: &Times) -> Result<Option<Box<Record>>> {
    let mut statement = opened.db.prepare_cached(&rows::load_sql())?;
    let mut found = statement.query(params![integer(seq)])?;
    let row = found.next()?;
    row.map(|row| rows::record(row, times).map(Box::new)).transpose()
}
