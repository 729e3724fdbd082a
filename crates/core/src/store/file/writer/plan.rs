//! What goes into a transaction: changes of as many organizations as there is room for, each in its turn.

use super::Writer;
use crate::lanes::EntryId;
use crate::store::file::backlog::Room;
use crate::store::file::inbox::MemberId;

/// Changes of one organization in a transaction while others wait, too, or as many as it has handed over together: a
/// large backlog holds nobody up for more than some milliseconds.
const SHARE_CHANGES: usize = 256;

/// How many of its first changes each of some members has in a transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan(Vec<(MemberId, usize)>);

impl Plan {
    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|(_, count)| count).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (MemberId, usize)> + '_ {
        self.0.iter().copied()
    }

    /// Only the first `count` of these changes.
    pub(super) fn cut_to(&self, count: usize) -> Self {
        let mut left = count;
        let mut cut = Vec::new();
        for (id, count) in self.iter() {
            let some = count.min(left);
            left -= some;
            if some > 0 {
                cut.push((id, some));
            }
        }
        Self(cut)
    }
}

impl Writer {
    /// What goes into the next transaction.
    pub(super) fn plan(&self) -> Plan {
        let (before, after) = (self.busy.range(..self.turn), self.busy.range(self.turn..));
        let waiting: Vec<MemberId> = after
            .chain(before)
            .copied()
            .filter(|id| self.members.get(id).is_some_and(|one| !one.backlog.is_empty()))
            .collect();
        let share = if waiting.len() > 1 { SHARE_CHANGES } else { usize::MAX };
        let (mut plan, mut room) = (Vec::new(), Room::default());
        for id in waiting {
            let Some(member) = self.members.get(&id) else { continue };
            let (count, left) = member.backlog.fitting(room, share, plan.is_empty());
            if count > 0 {
                plan.push((id, count));
                room = left;
            }
            if room.changes == 0 || room.bytes == 0 {
                break;
            }
        }
        Plan(plan)
    }

    /// The changes of the plan are durable, or lie in a file that has lost its name: the inserts among them. Others are
    /// first the next time.
    pub(super) fn finish(&mut self, plan: &Plan) -> Vec<(MemberId, Vec<EntryId>)> {
        if let Some((first, _)) = plan.iter().next() {
            self.turn = first.following();
        }
        let kept = |(id, count)| Some((id, self.members.get_mut(&id)?.backlog.finish(count)));
        plan.iter().filter_map(kept).collect()
    }
}
