//! The writer: one thread that owns the file. It takes whatever has been handed over, writes it in one transaction, and
//! tells.

mod commit;
mod loads;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

pub(super) use self::commit::in_transaction;
use super::backlog::Backlog;
use super::connection;
use super::file_time::FileTime;
use super::headroom::Pages;
use super::heal::{self, Ailment};
use super::inbox::{Command, Inbox};
use super::lock::OwnerLock;
use super::open;
use super::opened::Opened;
use super::options::Options;
use super::salvage;
use super::times::integer;
use super::trouble::Fault;
use super::upkeep::Upkeep;
use super::values::{meta, set_meta};
use crate::clock::{Clock, Timestamp};
use crate::lanes::Slot;
use crate::store::{FencingToken, News, Row, Seq};

/// Changes that are taken before they are written, however many more wait.
const TAKEN_MAX: usize = 8_192;
/// After a commit with so many changes, the next waits for company in short steps until it has enough, since each
/// commit costs as much of the processor as some forty changes. All steps take less time than the requests last that
/// wait for the disk, and nobody who awaits one message after the other meets them.
const COMMIT_SIBLINGS: usize = 64;
const COMMIT_ENOUGH: usize = 192;
const COMMIT_DELAY: Duration = Duration::from_micros(500);
const COMMIT_DELAYS_MAX: u32 = 2;
/// Where the space was short, new messages are accepted again once there is so much more than the first of them needs.
const RESUMES_WITH_PAGES: u64 = 64;

pub(super) struct Writer {
    path: PathBuf,
    options: Options,
    clock: Clock,
    time: FileTime,
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
    /// Of this run's claim.
    token: FencingToken,
    last_seq: Seq,
    last_seq_written: Seq,
    /// Since when it is to close.
    closing: Option<Timestamp>,
}

impl Writer {
    pub(super) fn new(options: Options, clock: Clock, news: Box<dyn FnMut(News) + Send>, inbox: Inbox) -> Self {
        let path = connection::absolute(&options.path);
        Self {
            upkeep: Upkeep::new(&path, &options, clock.now()),
            path,
            options,
            time: FileTime::new(clock),
            clock,
            news,
            inbox,
            backlog: Backlog::default(),
            loads: VecDeque::new(),
            told: 0,
            held: Vec::new(),
            last_count: 0,
            ailment: Ailment::default(),
            token: FencingToken::default(),
            last_seq: 0,
            last_seq_written: 0,
            closing: None,
        }
    }

    pub(super) fn run(mut self) {
        let (news, headroom) = (&mut self.news, &mut self.upkeep.headroom);
        let mut tell = |told: News| {
            if let News::Found(rows) = &told {
                rows.iter().for_each(|row| headroom.expect_body(body_bytes(row)));
            }
            news(told);
        };
        let (opened, mut lock, time, opening) = match open::open(&self.path, &self.options, &self.clock, &mut tell) {
            Ok(opened) => opened,
            Err(fault) => return (self.news)(News::Failed(fault.at_opening(&self.path))),
        };
        self.time = time;
        self.last_seq = opening.last_seq;
        self.token = opening.token;
        self.last_seq_written =
            meta::<i64>(&opened.db, "last_seq").ok().flatten().and_then(|seq| seq.try_into().ok()).unwrap_or(0);
        (self.news)(News::Opened(opening));
        let mut opened = Some(opened);
        loop {
            self.take_commands();
            let trying = self.ailment.may_try(self.clock.now()) || self.has_more_than_new_messages();
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
                self.upkeep.idle(&opened.db, self.clock.now(), &self.time);
            }
        }
        self.end(opened, &mut lock);
        drop(lock);
        (self.news)(News::Closed);
    }

    /// Whether something is to be written although new messages have to wait.
    fn has_more_than_new_messages(&self) -> bool {
        self.ailment.is_of_new_messages() && !self.backlog.is_empty()
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
                Command::Apply(token, changes) => {
                    // The lock keeps other owners out, and this one's commands come here only.
                    debug_assert_eq!(token, self.token, "a claim has a store of its own");
                    self.backlog.push(changes);
                }
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
            Some(_) if self.has_more_than_new_messages() => None,
            Some(wait) => Some(wait),
            None if self.backlog.is_empty() && self.closing.is_none() => Some(self.upkeep.wait(now)),
            None => None,
        }
    }

    fn is_idle(&self) -> bool {
        let is_well = !self.ailment.is_ill() || self.ailment.is_of_new_messages();
        is_well && self.backlog.is_empty() && self.closing.is_none()
    }

    fn is_finished(&self) -> bool {
        let Some(since) = self.closing else { return false };
        let is_written = (!self.ailment.is_ill() || self.ailment.is_of_new_messages()) && self.backlog.is_empty();
        is_written || (self.ailment.is_ill() && self.clock.now().since(since) >= self.options.patience)
    }

    fn write_batch(&mut self, opened: &mut Opened, lock: &mut OwnerLock) {
        if self.backlog.is_empty() {
            return;
        }
        let count = self.backlog.batch().count();
        match self.commit(opened, lock, count) {
            Ok(count) => {
                let kept = self.backlog.finish(count);
                // Between the check before the commit and now the file, or the lock, may have lost its name.
                match opened.identity.check(&opened.db, lock) {
                    Ok(()) => {
                        self.tell_done(kept);
                        self.upkeep.after_commit(&opened.db, self.clock.now(), &self.time);
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
        if let Some(news) = self.ailment.worsen(self.clock.now(), error, fault) {
            (self.news)(news);
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
        let others_are_written = self.ailment.is_of_new_messages();
        if others_are_written {
            self.refuse_inserts();
        }
        let outcome =
            heal::mend(&self.path, &self.options, &mut self.ailment, opened, lock, &self.clock).and_then(|()| {
                let Some(opened) = opened else { return Ok(()) };
                let count = self.backlog.batch().count();
                let count = self.commit(opened, lock, count)?;
                // Written they are, whatever comes next: they must not be refused.
                let kept = self.backlog.finish(count);
                self.held.extend(kept);
                if others_are_written {
                    opened.identity.check(&opened.db, lock)?;
                    let kept = std::mem::take(&mut self.held);
                    self.tell_done(kept);
                }
                self.upkeep.headroom.ensure(Pages::of(&opened.db)?, RESUMES_WITH_PAGES)?;
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
        let is_written = !self.ailment.is_ill() || self.ailment.is_of_new_messages();
        if is_written && identity.check(&db, lock).is_ok() {
            let marked = salvage::forget_notice(&db)
                .and_then(|()| self.time.save(&db))
                .and_then(|()| set_meta(&db, "last_seq", integer(self.last_seq)))
                .and_then(|()| set_meta(&db, "clean", 1));
            if marked.is_ok() {
                // Who still reads keeps the log, not the process: the next opening finds it.
                let _ = connection::cut_log(&db);
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

/// Bytes of the body of a message that an earlier run left.
fn body_bytes(row: &Row) -> usize {
    match row {
        Row::Waiting(waiting) => waiting.bytes as usize,
        Row::Started(record) => record.body_bytes.map_or(record.message.body().len(), |bytes| bytes as usize),
        Row::Letter(_) | Row::Settled(_) => 0,
    }
}
