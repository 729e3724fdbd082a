//! A transaction of changes, also where the space is short.

use super::Writer;
use super::plan::Plan;
use crate::error::StoreErrorKind;
use crate::store::Change;
use crate::store::file::apply::Applier;
use crate::store::file::backlog::{insertion, removes};
use crate::store::file::fault::Result;
use crate::store::file::headroom::Pages;
use crate::store::file::lock::OwnerLock;
use crate::store::file::opened::Opened;
use crate::store::file::times::integer;
use crate::store::file::transaction::in_transaction;

/// Changes of a transaction that has to make do with little space, as one try after the other.
const SHORT_OF_SPACE_CHANGES: [usize; 2] = [16, 1];

impl Writer {
    /// Writes the changes of a plan, or only some of them where the space is short; which.
    pub(super) fn commit(&mut self, opened: &mut Opened, lock: &mut OwnerLock, plan: Plan) -> Result<Plan> {
        let fault = match self.try_commit(opened, lock, &plan, true) {
            // A quota is an I/O error to SQLite.
            Err(fault) if matches!(fault.kind, StoreErrorKind::Full | StoreErrorKind::Failed) => fault,
            outcome => return outcome.map(|()| plan),
        };
        if !self.upkeep.make_space(&opened.db, !fault.is_of_new_messages()) {
            return Err(fault);
        }
        let is_new_message = |change: &Change| matches!(change, Change::Insert { .. });
        let has_new_messages = self.changes(&plan).any(is_new_message);
        let mut outcome = self.try_commit(opened, lock, &plan, has_new_messages).map(|()| plan.clone());
        for fewer in SHORT_OF_SPACE_CHANGES.into_iter().filter(|fewer| *fewer < plan.count()) {
            match outcome {
                Err(fault) if fault.kind == StoreErrorKind::Full && !has_new_messages => {
                    let plan = plan.cut_to(fewer);
                    outcome = self.try_commit(opened, lock, &plan, false).map(|()| plan);
                }
                outcome => return outcome,
            }
        }
        outcome
    }

    fn changes<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = &'a Change> {
        plan.iter().filter_map(|(id, count)| Some(self.members.get(&id)?.backlog.first(count))).flatten()
    }

    /// Writes the changes of a plan, all or none; none without headroom for those that will follow, if that is needed.
    fn try_commit(
        &mut self,
        opened: &mut Opened,
        lock: &mut OwnerLock,
        plan: &Plan,
        needs_headroom: bool,
    ) -> Result<()> {
        let db = &opened.db;
        let known = self.upkeep.take_pages();
        let headroom = &mut self.upkeep.headroom;
        let mut ends = Vec::new();
        let pages = in_transaction(db, || {
            let before = known.map_or_else(|| Pages::of(db), Ok)?;
            let (mut others, mut has_saved) = (0, false);
            for (id, count) in plan.iter() {
                let Some(member) = self.members.get(&id) else { continue };
                let mut applier = Applier::new(db, member.part, &self.time, member.keeps_receipts);
                let (mut removed, mut last_seq) = (false, member.last_seq);
                for change in member.backlog.first(count) {
                    applier.apply(change)?;
                    removed |= removes(change).is_some();
                    if let Some((_, record)) = insertion(change) {
                        last_seq = last_seq.max(record.seq);
                        headroom.expect_body(record.message.body().len());
                    } else {
                        others += 1;
                    }
                }
                has_saved |= applier.finish()?;
                // While the newest message is there, it says itself which was the last.
                if removed && last_seq > member.last_seq_written {
                    member.part.set_meta(db, "last_seq", integer(last_seq))?;
                }
                ends.push((id, last_seq, removed));
            }
            if has_saved {
                self.time.save(db)?;
            }
            opened.identity.check(db, lock)?;
            let pages = Pages::of(db)?;
            match headroom.ensure(pages, pages.changed_since(before) + others) {
                Err(fault) if needs_headroom => Err(fault),
                _ => Ok(pages),
            }
        })?;
        for (id, last_seq, removed) in ends {
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.last_seq = last_seq;
            if removed {
                member.last_seq_written = last_seq;
            }
        }
        let now = self.clock.now();
        for (id, count) in plan.iter() {
            if let Some(member) = self.members.get(&id) {
                self.upkeep.wrote_part(member.part, count, now);
            }
        }
        self.last_count = plan.count();
        self.upkeep.wrote(self.last_count, pages);
        Ok(())
    }
}
