//! A file that can't be written, and the way out of it: it is told to everybody who has a part of it.

use super::Writer;
use super::member::Member;
use crate::clock::Clock;
use crate::store::StoreEvent;
use crate::store::file::fault::{Fault, Result};
use crate::store::file::headroom::Pages;
use crate::store::file::inbox::MemberId;
use crate::store::file::lock::OwnerLock;
use crate::store::file::opened::Opened;
use crate::store::file::repair;
use crate::store::file::times::integer;
use crate::store::file::transaction::in_transaction;
use crate::store::file::values::set_meta;

/// Where the space was short, new messages are accepted again once there is so much more than the first of them needs.
const RESUMES_WITH_PAGES: u64 = 64;

impl Writer {
    /// Something can't be written: inserts are refused, everything else waits.
    pub(super) fn fall_ill(&mut self, fault: &Fault) {
        let error = fault.at(&self.path);
        if let Some(event) = self.degradation.worsen(self.clock.now(), error.clone(), fault) {
            self.members.values_mut().for_each(|member| member.tell(event(error.clone())));
        }
        self.refuse_inserts();
    }

    pub(super) fn refuse_inserts(&mut self) {
        let Some(error) = self.degradation.error() else { return };
        for id in &self.busy {
            if let Some(member) = self.members.get_mut(id) {
                member.refuse_inserts(&error);
            }
        }
    }

    /// Tries again: repairs the file if that is what it takes, and writes what waits.
    pub(super) fn repair(&mut self, opened: &mut Option<Opened>, lock: &mut OwnerLock) {
        if self.degradation.is_of_new_messages() {
            self.refuse_inserts();
        }
        match self.try_to_mend(opened, lock) {
            Ok(()) => {
                let salvage = self.degradation.restore(self.clock.now());
                if salvage.set_aside.is_some() {
                    self.joins.rewind();
                    self.upkeep.look_aside(self.clock.now());
                }
                for member in self.members.values_mut() {
                    // It may be in another file by now.
                    member.last_seq_written = 0;
                    // First: who hears that a message is accepted finds the store working.
                    member.tell(StoreEvent::Restored(salvage.clone()));
                    // What waits behind the first transaction is written as usual.
                    member.tell_held();
                }
            }
            Err(fault) => self.fall_ill(&fault),
        }
    }

    fn try_to_mend(&mut self, opened: &mut Option<Opened>, lock: &mut OwnerLock) -> Result<()> {
        let others_are_written = self.degradation.is_of_new_messages();
        let (path, options, known) = (&self.path, &self.options, &self.organizations);
        repair::repair(path, options, &mut self.degradation, opened, lock, known, &self.clock)?;
        let Some(opened) = opened else { return Ok(()) };
        let plan = self.plan();
        let written = self.commit(opened, lock, plan)?;
        // Written they are, whatever comes next: they must not be refused.
        let kept = self.finish(&written);
        let ids: Vec<MemberId> = kept.iter().map(|(id, _)| *id).collect();
        for (id, kept) in kept {
            self.members.get_mut(&id).into_iter().for_each(|member| member.hold(kept.clone()));
        }
        if others_are_written {
            opened.identity.check(&opened.db, lock)?;
            for id in ids {
                self.members.get_mut(&id).into_iter().for_each(Member::tell_held);
            }
        }
        self.upkeep.headroom.ensure(Pages::of(&opened.db)?, RESUMES_WITH_PAGES)?;
        // Nothing may have waited: then it takes a write of its own to know.
        in_transaction(&opened.db, || set_meta(&opened.db, "healed_ms", integer(Clock::epoch_ms_now())))?;
        opened.identity.check(&opened.db, lock)?;
        self.answer_loads(Some(&*opened))
    }
}
