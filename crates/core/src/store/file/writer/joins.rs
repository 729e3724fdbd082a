//! Organizations that open their parts of a file that is open already. What an earlier run left is told in turns
//! between the commits of the others, and all that have come together claim their parts in one transaction.

use std::collections::BTreeSet;
use std::time::Duration;

use super::member::Member;
use super::{Writer, body_bytes};
use crate::clock::Timestamp;
use crate::error::{Error, StoreErrorKind};
use crate::store::file::fault::{Fault, Result};
use crate::store::file::inbox::{Joining, MemberId};
use crate::store::file::lock::{self, OwnerLock, PREDECESSOR_WAIT};
use crate::store::file::opened::{self, Opened};
use crate::store::file::organizations::Organizations;
use crate::store::file::part::Part;
use crate::store::file::progress::Progress;
use crate::store::file::recover::{self, Readout, Turn};
use crate::store::file::salvage;
use crate::store::file::transaction::in_transaction;
use crate::store::{Opening, StoreEvent};

/// Rows of earlier runs that are told between two commits.
const ROWS_PER_TURN: usize = 2_048;
/// Between two tries of a reading that has failed, and two signs of life while there is nothing to do but wait.
const AGAIN: Duration = Duration::from_millis(50);
const BEAT: Duration = Duration::from_millis(500);

/// An organization that is to open its part.
pub(super) struct Join {
    id: MemberId,
    joining: Joining,
    since: Timestamp,
    progress: Progress,
    /// The file was damaged, and what could be read of it is all that there is.
    lenient: bool,
}

/// How far one has come.
enum Step {
    /// All is told.
    ReportedRows,
    /// It goes on in the next turn.
    GoesOn,
    /// It waits for its predecessor to close, or for a reading to succeed.
    Waits(Duration, Fault),
}

impl Step {
    /// Another sender of the organization has its part, or comes first.
    fn waits_for_another() -> Self {
        Self::Waits(BEAT, lock::in_use_here())
    }
}

/// Those that are to open, and when the next of them can go on.
#[derive(Default)]
pub(super) struct Joins {
    waiting: Vec<Join>,
    /// None while there are none.
    pub(super) wait: Option<Duration>,
}

impl Joins {
    pub(super) fn add(&mut self, id: MemberId, joining: Joining, now: Timestamp) {
        self.waiting.push(Join { id, joining, since: now, progress: Progress::default(), lenient: false });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The file was replaced by what can be read of it.
    pub(super) fn rewind(&mut self) {
        for join in &mut self.waiting {
            join.progress.rewind();
            join.lenient = true;
        }
    }

    /// Whoever has changed its mind is told so.
    pub(super) fn close(&mut self, id: MemberId) {
        if let Some(at) = self.waiting.iter().position(|join| join.id == id) {
            (self.waiting.swap_remove(at).joining.event)(StoreEvent::Closed);
        }
    }
}

impl Writer {
    /// Lets those in that wait, as far as they come in one turn.
    pub(super) fn admit(&mut self, opened: Option<&mut Opened>, lock: &mut OwnerLock) {
        let joins = std::mem::take(&mut self.joins.waiting);
        self.joins.wait = None;
        if joins.is_empty() {
            return;
        }
        let is_well = !self.degradation.is_degraded() || self.degradation.is_of_new_messages();
        let Some(opened) = opened.filter(|_| is_well) else { return self.put_off(joins) };
        let (mut told, mut left) = (Vec::new(), ROWS_PER_TURN);
        let mut organizations = BTreeSet::new();
        for mut join in joins {
            let is_first = organizations.insert(join.joining.options.organization.clone());
            let step = if is_first { self.step(opened, &mut join, &mut left) } else { Ok(Step::waits_for_another()) };
            let step = match step {
                // It is read again, once the file is repaired.
                Err(fault) if fault.is_corrupt() => {
                    self.fall_ill(&fault);
                    Ok(Step::GoesOn)
                }
                Err(fault) if fault.is_read_error() => Ok(Step::Waits(AGAIN, fault)),
                step => step,
            };
            match step {
                Ok(Step::ReportedRows) => told.push(join),
                Ok(Step::GoesOn) => self.wait_with(join, Duration::ZERO),
                Ok(Step::Waits(wait, fault)) => {
                    let is_predecessor = fault.is_owned();
                    let patience = join.joining.options.patience;
                    let lock_wait = join.joining.options.lock_wait.max(PREDECESSOR_WAIT);
                    if self.clock.now().since(join.since) < if is_predecessor { lock_wait } else { patience } {
                        self.wait_with(join, wait);
                    } else {
                        self.fail(join, &fault);
                    }
                }
                Err(fault) => self.fail(join, &fault),
            }
        }
        if !told.is_empty() {
            self.begin_parts(opened, lock, told);
        }
    }

    /// Nobody is let in for now; who has waited for long enough isn't at all.
    fn put_off(&mut self, joins: Vec<Join>) {
        let now = self.clock.now();
        for mut join in joins {
            match self.degradation.error() {
                Some(error) if now.since(join.since) >= join.joining.options.patience => {
                    (join.joining.event)(StoreEvent::Failed(error));
                }
                _ => self.wait_with(join, BEAT),
            }
        }
    }

    fn wait_with(&mut self, join: Join, wait: Duration) {
        self.joins.wait = Some(self.joins.wait.map_or(wait, |before| before.min(wait)));
        self.joins.waiting.push(join);
    }

    fn fail(&self, mut join: Join, fault: &Fault) {
        (join.joining.event)(StoreEvent::Failed(fault.at_opening(&self.path)));
    }

    /// Tells some more of what an earlier run left.
    fn step(&mut self, opened: &Opened, join: &mut Join, left: &mut usize) -> Result<Step> {
        let Joining { options, event } = &mut join.joining;
        if options.durability != self.options.durability {
            let what = "is open with another durability, by another organization's sender of this process";
            return Err(Fault::new(StoreErrorKind::Mismatch, what).with_advice("give all senders of a file the same"));
        }
        let Some(part) = self.organizations.get(options.organization.as_str()).copied() else {
            // Nothing is there yet.
            return Ok(Step::ReportedRows);
        };
        if self.parts.contains(&part) {
            return Ok(Step::waits_for_another());
        }
        if *left == 0 {
            return Ok(Step::GoesOn);
        }
        let readout = Readout { part, time: &self.time, dedupe: options.dedupe, lenient: join.lenient };
        let headroom = &mut self.upkeep.headroom;
        let turn = recover::tell(&opened.db, &readout, left, &mut join.progress, &mut |found| {
            if let StoreEvent::Found(rows) = &found {
                rows.iter().for_each(|row| headroom.expect_body(body_bytes(row)));
            }
            event(found);
        })?;
        Ok(if turn == Turn::More { Step::GoesOn } else { Step::ReportedRows })
    }

    /// Those whose rows are told claim their parts.
    fn begin_parts(&mut self, opened: &mut Opened, lock: &mut OwnerLock, joins: Vec<Join>) {
        let outcome = self.claim_parts(opened, lock, &joins);
        match outcome {
            Ok((organizations, openings)) => {
                self.organizations = organizations;
                for (join, (part, mut opening)) in joins.into_iter().zip(openings) {
                    opening.salvage.unreadable += join.progress.unreadable;
                    self.begin_member(&opened.db, join.id, part, join.joining, opening);
                }
            }
            Err(fault)
                if fault.is_corrupt() || matches!(fault.kind, StoreErrorKind::Missing | StoreErrorKind::Locked) =>
            {
                self.fall_ill(&fault);
                joins.into_iter().for_each(|join| self.wait_with(join, BEAT));
            }
            Err(fault) => joins.into_iter().for_each(|join| self.fail(join, &fault)),
        }
    }

    #[allow(clippy::type_complexity, reason = "all are used in one place, and at once")]
    fn claim_parts(
        &mut self,
        opened: &mut Opened,
        lock: &mut OwnerLock,
        joins: &[Join],
    ) -> Result<(Organizations, Vec<(Part, Opening)>)> {
        let Opened { db, identity } = opened;
        let mut organizations = self.organizations.clone();
        self.upkeep.take_pages();
        let parts = in_transaction(db, || {
            let mut parts = Vec::new();
            for Join { joining: Joining { options, .. }, .. } in joins {
                let (part, is_known) = opened::part_of(&organizations, &options.organization)?;
                let token = opened::claim(db, part, is_known, options)?;
                organizations.insert(options.organization.as_str().into(), part);
                parts.push((part, token));
            }
            identity.check(db, lock)?;
            Ok(parts)
        })?;
        // Between the check before the commit and now the file, or the lock, may have lost its name.
        identity.check(db, lock)?;
        let opening = |(part, token)| {
            let remembered = opened::remembered(db, part, &self.time)?;
            Ok((part, Opening { token, salvage: salvage::notice(db, &self.path)?, ..remembered }))
        };
        let openings = parts.into_iter().map(opening).collect::<Result<_>>()?;
        Ok((organizations, openings))
    }

    /// An organization has its part from here on.
    pub(super) fn begin_member(
        &mut self,
        db: &rusqlite::Connection,
        id: MemberId,
        part: Part,
        joining: Joining,
        opening: Opening,
    ) {
        let Joining { options, event } = joining;
        self.upkeep.begin_part(part, options.dedupe, self.clock.now());
        let mut member = Member::begin(db, part, &options, event, opening);
        if let Some(error) = self.degradation.error() {
            member.tell(StoreEvent::Degraded(error));
        }
        self.parts.insert(part);
        self.members.insert(id, member);
    }

    /// The file can't be opened: nobody can be let in.
    pub(super) fn turn_away(mut self, first: Joining, error: &Error) {
        let mut turned_away = vec![first];
        // Whoever hears of it may try again, and finds no thread of this file then.
        while let Some(command) = self.seat.leave(&self.inbox) {
            self.take(Some(command));
        }
        turned_away.extend(self.joins.waiting.drain(..).map(|join| join.joining));
        drop(self);
        turned_away.into_iter().for_each(|mut joining| (joining.event)(StoreEvent::Failed(error.clone())));
    }
}
