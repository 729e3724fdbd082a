//! Cold messages, and bodies that are unloaded, come back into memory when their turn is near.

use crate::clock::Timestamp;
use crate::dispatcher::{Dispatcher, Effect, Step};
use crate::lanes::EntryId;
use crate::settings::BatchMode;
use crate::store::Seq;

/// Messages that are asked for ahead of their turn: as many as leave between two looks at the disk at full speed.
const AHEAD_MIN: usize = 256;
/// Where several travel together: the members of this many requests, within a limit.
const REQUESTS_AHEAD: usize = 4;
const AHEAD_MAX: usize = 4_096;
/// Bytes of bodies that are in memory beside what is on the wire, with those that are loaded ahead of their turn. The
/// members of the next request are loaded however large they are, and some small ones however much is here already.
const AHEAD_BYTES_MAX: usize = 67_108_864;
const AHEAD_BYTES_MIN: usize = 1_048_576;

impl Dispatcher {
    /// Whether only the store has the message, or its body. Asks for it, and for those after it, then.
    pub(in crate::dispatcher) fn load_if_absent(&mut self, step: &mut Step<'_>, entry_id: EntryId) -> bool {
        let is_absent = !self.outbox.is_loaded(entry_id);
        if is_absent {
            self.load_ahead(step, Some(entry_id));
        }
        is_absent
    }

    /// The same of the messages of a batch that is repeated.
    pub(in crate::dispatcher) fn load_members_if_absent(
        &mut self,
        members: &[EntryId],
        effects: &mut Vec<Effect>,
    ) -> bool {
        let is_absent = members.iter().any(|entry_id| !self.outbox.is_loaded(*entry_id));
        if is_absent {
            self.load_all(members.to_vec(), effects);
        }
        is_absent
    }

    /// Whether only the store has messages that the next request has room for. Asks for them then: the request leaves
    /// when they are here, since a slot of the budget costs more than a look at the disk.
    pub(in crate::dispatcher) fn load_batch_mates(&mut self, step: &mut Step<'_>) -> bool {
        let incomplete = self.settings.batch.mode != BatchMode::None
            && self.outbox.has_unloaded()
            && self.next_request(step.now).any(|entry_id| !self.outbox.is_loaded(entry_id));
        if incomplete {
            self.load_ahead(step, None);
        }
        incomplete
    }

    /// Called for every request that starts: asks now and then for messages whose turn is near, so that none of them
    /// has to wait.
    pub(in crate::dispatcher) fn look_ahead(&mut self, step: &mut Step<'_>, members: usize) {
        if self.window.note_leaving(members) && self.outbox.has_unloaded() {
            self.load_ahead(step, None);
        }
    }

    /// Asks for what is near, and for the one whose turn it is.
    fn load_ahead(&mut self, step: &mut Step<'_>, turn: Option<EntryId>) {
        let count = self.ahead_max();
        self.window.note_looked(count);
        let room = AHEAD_BYTES_MAX.saturating_sub(self.bytes_beside_wire()).max(AHEAD_BYTES_MIN);
        let mut bytes = 0;
        let near = self.next_messages(count).take_while(|entry_id| {
            bytes += if self.outbox.is_loaded(*entry_id) { 0 } else { self.outbox.bytes_of(*entry_id) };
            bytes <= room
        });
        let near: Vec<EntryId> = turn.into_iter().chain(self.next_request(step.now)).chain(near).collect();
        self.load_all(near, step.effects);
    }

    fn ahead_max(&self) -> usize {
        match self.settings.batch.mode {
            BatchMode::None => AHEAD_MIN,
            BatchMode::Array | BatchMode::Merge => {
                (REQUESTS_AHEAD * self.batching.messages()).clamp(AHEAD_MIN, AHEAD_MAX)
            }
        }
    }

    /// The messages that leave next, in the order in which requests take them.
    fn next_messages(&self, count: usize) -> impl Iterator<Item = EntryId> {
        let (rounds, runs) = if self.one_conversation_per_request() {
            (None, Some(self.lanes.next_in_runs(self.batching.messages(), count)))
        } else {
            (Some(self.lanes.next_in_rounds(count)), None)
        };
        rounds.into_iter().flatten().chain(runs.into_iter().flatten())
    }

    /// The messages that the next request has room for, if they may travel together.
    fn next_request(&self, now: Timestamp) -> impl Iterator<Item = EntryId> {
        let mut bytes = 0;
        self.next_messages(self.batching.members_max(|| self.quota.available(now).min(self.quota.cost_max())))
            .enumerate()
            .map_while(move |(place, entry_id)| {
                bytes += self.outbox.bytes_of(entry_id);
                (place == 0 || bytes <= self.batching.bytes()).then_some(entry_id)
            })
    }

    /// Asks for this one.
    pub(in crate::dispatcher) fn load_one(&mut self, entry_id: EntryId, effects: &mut Vec<Effect>) {
        self.load_all(vec![entry_id], effects);
    }

    /// Asks for the first of these, at least one, as far as their bodies stay within `bytes_max`.
    pub(in crate::dispatcher) fn load_within(
        &mut self,
        bytes_max: usize,
        entry_ids: Vec<EntryId>,
        effects: &mut Vec<Effect>,
    ) {
        let mut bytes = 0;
        let near = entry_ids.into_iter().enumerate().take_while(|(place, entry_id)| {
            bytes += self.outbox.bytes_of(*entry_id);
            *place == 0 || bytes <= bytes_max
        });
        let near: Vec<EntryId> = near.map(|(_, entry_id)| entry_id).collect();
        self.load_all(near, effects);
    }

    /// Asks for those that are not in memory, and not on their way yet.
    fn load_all(&mut self, entry_ids: Vec<EntryId>, effects: &mut Vec<Effect>) {
        let wanted = entry_ids.into_iter().filter_map(|entry_id| Some((entry_id, self.outbox.begin_load(entry_id)?)));
        let wanted: Vec<(EntryId, Seq)> = wanted.collect();
        if !wanted.is_empty() {
            effects.push(Effect::Load(wanted));
        }
    }
}
