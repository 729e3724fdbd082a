//! Organizations that close their parts, and the end of the file with the last of them.

use super::Writer;
use crate::store::StoreEvent;
use crate::store::file::inbox::MemberId;
use crate::store::file::lock::OwnerLock;
use crate::store::file::opened::Opened;
use crate::store::file::times::integer;
use crate::store::file::transaction::in_transaction;
use crate::store::file::values::set_meta;
use crate::store::file::{connection, salvage};

impl Writer {
    /// Lets those go that have closed their parts, while others go on.
    pub(super) fn let_go(&mut self) {
        let finished = |id: &&MemberId| self.members.get(id).is_some_and(|member| self.is_finished(member));
        let finished: Vec<MemberId> = self.busy.iter().filter(finished).copied().collect();
        for id in finished {
            let Some(mut member) = self.members.remove(&id) else { continue };
            self.busy.remove(&id);
            self.parts.remove(&member.part);
            self.upkeep.end_part(member.part);
            member.refuse_held(self.degradation.error().as_ref());
            member.tell(StoreEvent::Closed);
        }
    }

    /// Leaves the file as whole as can be.
    pub(super) fn end(mut self, opened: Option<Opened>, mut lock: OwnerLock) {
        let error = self.degradation.error();
        self.members.values_mut().for_each(|member| member.refuse_held(error.as_ref()));
        if let Some(Opened { db, mut identity }) = opened
            && self.is_well()
            && identity.check(&db, &mut lock).is_ok()
        {
            // Without it the next opening looks at everything: no harm, so what goes wrong here is not told.
            let marked = in_transaction(&db, || {
                salvage::forget_notice(&db)?;
                self.time.save(&db)?;
                for member in self.members.values() {
                    member.part.set_meta(&db, "last_seq", integer(member.last_seq))?;
                }
                set_meta(&db, "clean", 1)
            });
            if marked.is_ok() {
                // Who still reads keeps the log, not the process: the next opening finds it.
                let _ = connection::cut_log(&db);
            }
        }
        drop(lock);
        let members = std::mem::take(&mut self.members);
        drop(self);
        members.into_values().for_each(|mut member| member.tell(StoreEvent::Closed));
    }
}
