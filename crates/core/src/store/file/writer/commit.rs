//! A transaction of changes, also where the space is short.

use super::Writer;
use crate::error::Trouble;
use crate::store::Change;
use crate::store::file::apply::Applier;
use crate::store::file::backlog::{insertion, removes};
use crate::store::file::headroom::Pages;
use crate::store::file::lock::OwnerLock;
use crate::store::file::opened::Opened;
use crate::store::file::times::integer;
use crate::store::file::trouble::{Fault, Result};
use crate::store::file::values::set_meta;

/// Changes of a transaction that has to make do with little space, as one try after the other.
const SHORT_OF_SPACE_CHANGES: [usize; 2] = [16, 1];

impl Writer {
    /// Writes the first `count` changes, or only some of them where the space is short; how many.
    pub(super) fn commit(&mut self, opened: &mut Opened, lock: &mut OwnerLock, count: usize) -> Result<usize> {
        let fault = match self.try_commit(opened, lock, count, true) {
            // A quota is an I/O error to SQLite.
            Err(fault) if matches!(fault.trouble, Trouble::Full | Trouble::Failed) => fault,
            outcome => return outcome.map(|()| count),
        };
        if !self.upkeep.make_space(&opened.db, !fault.is_of_new_messages()) {
            return Err(fault);
        }
        let has_new_messages = self.backlog.batch().take(count).any(|change| matches!(change, Change::Insert { .. }));
        let mut outcome = self.try_commit(opened, lock, count, has_new_messages).map(|()| count);
        for fewer in SHORT_OF_SPACE_CHANGES.into_iter().filter(|fewer| *fewer < count) {
            match outcome {
                Err(fault) if fault.trouble == Trouble::Full && !has_new_messages => {
                    outcome = self.try_commit(opened, lock, fewer, false).map(|()| fewer);
                }
                outcome => return outcome,
            }
        }
        outcome
    }

    /// Writes the first `count` changes, all or none; none without headroom for those that will follow, if that is
    /// needed.
    fn try_commit(
        &mut self,
        opened: &mut Opened,
        lock: &mut OwnerLock,
        count: usize,
        needs_headroom: bool,
    ) -> Result<()> {
        let db = &opened.db;
        let mut applier = Applier::new(db, &self.time, !self.options.dedupe.is_zero());
        let mut last_seq = self.last_seq;
        let known = self.upkeep.take_pages();
        let headroom = &mut self.upkeep.headroom;
        let (removed, pages) = in_transaction(db, || {
            let before = known.map_or_else(|| Pages::of(db), Ok)?;
            let (mut removed, mut others) = (false, 0);
            for change in self.backlog.batch().take(count) {
                applier.apply(change)?;
                removed |= removes(change).is_some();
                if let Some((_, record)) = insertion(change) {
                    last_seq = last_seq.max(record.seq);
                    headroom.expect_body(record.message.body().len());
                } else {
                    others += 1;
                }
            }
            applier.finish()?;
            // While the newest message is there, it says itself which was the last.
            if removed && last_seq > self.last_seq_written {
                set_meta(db, "last_seq", integer(last_seq))?;
            }
            opened.identity.check(db, lock)?;
            let pages = Pages::of(db)?;
            match headroom.ensure(pages, pages.changed_since(before) + others) {
                Err(fault) if needs_headroom => Err(fault),
                _ => Ok((removed, pages)),
            }
        })?;
        self.last_seq = last_seq;
        if removed {
            self.last_seq_written = last_seq;
        }
        self.last_count = count;
        self.upkeep.wrote(count, pages);
        Ok(())
    }
}

/// Does all of it or nothing.
pub(in crate::store::file) fn in_transaction<T>(
    db: &rusqlite::Connection,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
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
