//! The writer: one thread that owns the file. It takes whatever has been handed over, by all organizations that have
//! parts of the file, writes it in one transaction, and tells each of them.

mod commit;
mod ending;
mod joins;
mod loads;
mod member;
mod plan;
mod repairs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use self::joins::Joins;
use self::member::Member;
use super::connection;
use super::file_time::FileTime;
use super::hosts::Seat;
use super::inbox::{Command, Inbox, Joining, MemberId};
use super::lock::OwnerLock;
use super::open::{self, Ready};
use super::opened::Opened;
use super::options::Options;
use super::organizations::Organizations;
use super::part::Part;
use super::repair::Degradation;
use super::upkeep::Upkeep;
use crate::clock::Clock;
use crate::store::{Row, StoreEvent};

/// Changes that are taken in one turn, however many more come in. It takes milliseconds: nobody's changes wait behind a
/// large backlog of somebody else's.
const TAKEN_MAX: usize = 65_536;
/// After a commit with this many changes, the next waits for company in short steps until it has enough, since each
/// commit costs as much of the processor as some forty changes. All steps take less time than the requests last that
/// wait for the disk, and nobody who awaits one message after the other meets them.
const COMMIT_SIBLINGS: usize = 64;
const COMMIT_ENOUGH: usize = 192;
const COMMIT_DELAY: Duration = Duration::from_micros(500);
const COMMIT_DELAYS_MAX: u32 = 2;

pub(super) struct Writer {
    path: PathBuf,
    /// Of the first organization: what is about the file is as they say.
    options: Options,
    clock: Clock,
    time: FileTime,
    inbox: Inbox,
    seat: Seat,
    /// All that the file has, open or not.
    organizations: Organizations,
    members: BTreeMap<MemberId, Member>,
    /// The parts of the members.
    parts: BTreeSet<Part>,
    /// Members for whom something is to be done; perhaps more.
    busy: BTreeSet<MemberId>,
    /// Whose changes come first in the next transaction.
    turn: MemberId,
    joins: Joins,
    /// Messages can be loaded that were asked for.
    has_more_loads: bool,
    /// Changes of the last commit.
    last_count: usize,
    degradation: Degradation,
    upkeep: Upkeep,
}

impl Writer {
    pub(super) fn new(options: &Options, clock: Clock, inbox: Inbox, seat: Seat) -> Self {
        let path = connection::absolute(&options.path);
        Self {
            upkeep: Upkeep::new(&path, options, clock.now()),
            path,
            options: options.clone(),
            time: FileTime::new(clock),
            clock,
            inbox,
            seat,
            organizations: Organizations::new(),
            members: BTreeMap::new(),
            parts: BTreeSet::new(),
            busy: BTreeSet::new(),
            turn: MemberId::default(),
            joins: Joins::default(),
            has_more_loads: false,
            last_count: 0,
            degradation: Degradation::default(),
        }
    }

    /// Opens the file for the first organization, and writes it until all have closed their parts.
    pub(super) fn run(mut self, first: MemberId, mut joining: Joining) {
        let (event, headroom) = (&mut joining.event, &mut self.upkeep.headroom);
        let mut tell = |told: StoreEvent| {
            if let StoreEvent::Found(rows) = &told {
                rows.iter().for_each(|row| headroom.expect_body(body_bytes(row)));
            }
            event(told);
        };
        let (ready, mut lock) = match open::open(&self.path, &self.options, &self.clock, &mut tell) {
            Ok(opened) => opened,
            Err(fault) => {
                let error = fault.at_opening(&self.path);
                return self.turn_away(joining, &error);
            }
        };
        let Ready { opened, time, organizations, part, opening } = ready;
        (self.time, self.organizations) = (time, organizations);
        self.begin_member(&opened.db, first, part, joining, opening);
        let mut opened = Some(opened);
        loop {
            self.take_commands();
            self.work(&mut opened, &mut lock);
            let now = self.clock.now();
            if !self.joins.is_empty() || self.members.values().any(|member| !self.is_finished(member)) {
                self.let_go();
            } else if let Some(command) = self.seat.leave(&self.inbox) {
                self.take(Some(command));
            } else {
                break;
            }
            if self.is_idle()
                && let Some(opened) = &opened
            {
                self.upkeep.idle(&opened.db, now, &self.time);
            }
        }
        self.end(opened, lock);
    }

    /// Writes, reads and lets in what there is.
    fn work(&mut self, opened: &mut Option<Opened>, lock: &mut OwnerLock) {
        let trying = self.degradation.may_try(self.clock.now()) || self.has_more_than_new_messages();
        if trying && self.degradation.is_degraded() {
            self.repair(opened, lock);
        } else if trying && let Some(opened) = opened {
            self.write_batch(opened, lock);
        } else {
            self.refuse_inserts();
        }
        if !self.joins.is_empty() {
            self.options.pulse.beat();
            self.admit(opened.as_mut(), lock);
        }
        if let Err(fault) = self.answer_loads(opened.as_ref())
            && !self.degradation.is_degraded()
        {
            self.fall_ill(&fault);
        }
        let members = &self.members;
        self.busy.retain(|id| members.get(id).is_some_and(Member::is_busy));
    }

    fn has_changes(&self) -> bool {
        self.busy.iter().any(|id| self.members.get(id).is_some_and(|member| !member.backlog.is_empty()))
    }

    /// Whether something is to be written although new messages have to wait.
    fn has_more_than_new_messages(&self) -> bool {
        self.degradation.is_of_new_messages() && self.has_changes()
    }

    /// Takes what has come in; waits for it when there is nothing else to do.
    fn take_commands(&mut self) {
        let first = match self.patience() {
            Some(Duration::ZERO) => self.inbox.try_next(),
            wait => self.inbox.next(wait, self.last_count == 1),
        };
        self.take(first);
    }

    /// Takes a command, and those behind it.
    fn take(&mut self, mut command: Option<Command>) {
        let mut taken = 0;
        while let Some(next) = command {
            match next {
                Command::Join(id, joining) => self.joins.add(id, *joining, self.clock.now()),
                Command::Apply(id, token, changes) => {
                    if let Some(member) = self.members.get_mut(&id) {
                        // The lock keeps other owners out, and who has a part is alone in it.
                        debug_assert_eq!(token, member.token, "a claim has a store of its own");
                        taken += changes.len();
                        member.backlog.push(changes);
                        self.busy.insert(id);
                    }
                }
                Command::Load(id, messages) => {
                    if let Some(member) = self.members.get_mut(&id) {
                        member.loads.push_back((member.backlog.taken(), messages));
                        self.busy.insert(id);
                    }
                }
                Command::Close(id) => match self.members.get_mut(&id) {
                    Some(member) => {
                        member.begin_closing(self.clock.now());
                        self.busy.insert(id);
                    }
                    None => self.joins.close(id),
                },
            }
            command = if taken < TAKEN_MAX { self.inbox.try_next() } else { None };
        }
    }

    /// Changes that are not written yet.
    fn waiting(&self) -> usize {
        self.busy.iter().filter_map(|id| self.members.get(id)).map(|member| member.backlog.len()).sum()
    }

    /// How long it may wait for commands; none for as long as it takes.
    fn patience(&self) -> Option<Duration> {
        let now = self.clock.now();
        let has_work = self.has_more_loads || self.joins.wait == Some(Duration::ZERO);
        let wait = match self.degradation.wait(now) {
            _ if has_work || self.has_more_than_new_messages() => Some(Duration::ZERO),
            Some(wait) => Some(wait),
            None if self.busy.is_empty() => self.upkeep.wait(now),
            None => Some(Duration::ZERO),
        };
        wait.into_iter().chain(self.joins.wait).min()
    }

    fn is_well(&self) -> bool {
        !self.degradation.is_degraded() || self.degradation.is_of_new_messages()
    }

    fn is_idle(&self) -> bool {
        self.is_well() && self.busy.is_empty() && self.joins.is_empty()
    }

    fn is_finished(&self, member: &Member) -> bool {
        member.is_finished(self.is_well(), self.degradation.is_degraded(), self.clock.now())
    }

    fn write_batch(&mut self, opened: &mut Opened, lock: &mut OwnerLock) {
        let plan = self.plan();
        if plan.is_empty() {
            return;
        }
        match self.commit(opened, lock, plan) {
            Ok(written) => {
                let kept = self.finish(&written);
                // Between the check before the commit and now the file, or the lock, may have lost its name.
                let checked = opened.identity.check(&opened.db, lock);
                for (id, kept) in kept {
                    let Some(member) = self.members.get_mut(&id) else { continue };
                    if checked.is_ok() { member.tell_done(kept) } else { member.hold(kept) }
                }
                if let Err(fault) = checked {
                    return self.fall_ill(&fault);
                }
                self.upkeep.after_commit(&opened.db, self.clock.now(), &self.time);
                if written.count() >= COMMIT_SIBLINGS {
                    self.gather();
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
            let now = self.waiting();
            // Who waits for this one sends nothing before it.
            let all_are_there = now > 0 && now == before;
            let members = self.busy.iter().filter_map(|id| self.members.get(id));
            let is_wanted = |member: &Member| !member.loads.is_empty() || member.is_closing();
            if now >= COMMIT_ENOUGH || all_are_there || !self.joins.is_empty() || members.into_iter().any(is_wanted) {
                return;
            }
            before = now;
            pause();
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
