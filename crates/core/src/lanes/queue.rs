//! One lane's queue: a doubly linked list through the entries, since an abort takes a message out of the middle.

use std::collections::VecDeque;

use super::{EntryId, Item, Numbers};
use crate::message::Priority;

const NIL: EntryId = EntryId::MAX;
/// Messages of a queue that are counted from each end to find the place of one.
const COUNTED_MAX: usize = 8_192;

#[derive(Clone, Copy, Debug)]
struct Link {
    before: EntryId,
    after: EntryId,
}

/// The links of all queues, by entry id.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: Vec<Link>,
    linked: usize,
}

impl Links {
    fn set(&mut self, entry_id: EntryId, link: Link) {
        let index = entry_id as usize;
        if index >= self.links.len() {
            self.links.resize(index + 1, Link { before: NIL, after: NIL });
        }
        self.links[index] = link;
        self.linked += 1;
    }

    /// How many messages and requests are in queues.
    pub(super) fn linked(&self) -> usize {
        self.linked
    }
}

#[derive(Debug)]
pub(super) struct Queue {
    head: EntryId,
    tail: EntryId,
    len: u32,
    /// The highest priorities that wait: falling priorities, rising seq. The front's is the lane's; each holds until
    /// the message with its seq has left. The last one is apart, since nearly always it is the only one.
    urgent: VecDeque<Urgency>,
    least: Urgency,
}

/// A priority, and the number of the last message that has it.
#[derive(Clone, Copy, Debug, Default)]
struct Urgency {
    seq: u64,
    priority: Priority,
}

impl Default for Queue {
    fn default() -> Self {
        Self { head: NIL, tail: NIL, len: 0, urgent: VecDeque::new(), least: Urgency::default() }
    }
}

impl Queue {
    pub(super) fn push_back(&mut self, links: &mut Links, item: Item) {
        if self.len > 0 && self.least.priority > item.priority {
            self.urgent.push_back(self.least);
        }
        while self.urgent.back().is_some_and(|urgency| urgency.priority <= item.priority) {
            self.urgent.pop_back();
        }
        self.least = Urgency { seq: item.seq, priority: item.priority };
        self.link(links, item, self.tail, NIL);
    }

    /// Puts a message that was handed out back to its place by seq: the head, unless others are handed out at the same
    /// time. It is looked for behind `elder`, or from the head on.
    pub(super) fn push_in_order(
        &mut self,
        links: &mut Links,
        item: Item,
        elder: Option<EntryId>,
        numbers: &impl Numbers,
    ) {
        debug_assert!(elder.is_none_or(|elder| numbers.seq(elder) < item.seq), "its place is behind its elders");
        let mut before = elder.unwrap_or(NIL);
        let mut after = elder.map_or(self.head, |elder| links.links[elder as usize].after);
        while after != NIL && numbers.seq(after) < item.seq {
            (before, after) = (after, links.links[after as usize].after);
        }
        // Exact for the head; behind it the priority may hold a little longer than it has to, which does no harm.
        let urgency = Urgency { seq: item.seq, priority: item.priority };
        match self.priority() {
            None => self.least = urgency,
            Some(priority) if priority < item.priority => self.urgent.push_front(urgency),
            Some(_) => {}
        }
        self.link(links, item, before, after);
    }

    pub(super) fn pop_front(&mut self, links: &mut Links, numbers: &impl Numbers) -> Option<EntryId> {
        let entry_id = self.head();
        if let Some(entry_id) = entry_id {
            self.remove(links, entry_id, numbers);
        }
        entry_id
    }

    pub(super) fn remove(&mut self, links: &mut Links, entry_id: EntryId, numbers: &impl Numbers) {
        let Link { before, after } = links.links[entry_id as usize];
        match before {
            NIL => self.head = after,
            before => links.links[before as usize].after = after,
        }
        match after {
            NIL => self.tail = before,
            after => links.links[after as usize].before = before,
        }
        self.len -= 1;
        links.linked -= 1;
        self.drop_stale(numbers);
    }

    fn link(&mut self, links: &mut Links, item: Item, before: EntryId, after: EntryId) {
        links.set(item.entry_id, Link { before, after });
        match before {
            NIL => self.head = item.entry_id,
            before => links.links[before as usize].after = item.entry_id,
        }
        match after {
            NIL => self.tail = item.entry_id,
            after => links.links[after as usize].before = item.entry_id,
        }
        self.len += 1;
    }

    /// Drops the priorities of messages that have left from the front or the back.
    fn drop_stale(&mut self, numbers: &impl Numbers) {
        if self.len == 0 {
            self.urgent.clear();
            return;
        }
        while self.urgent.front().is_some_and(|urgency| urgency.seq < numbers.seq(self.head)) {
            self.urgent.pop_front();
        }
    }

    pub(super) fn head(&self) -> Option<EntryId> {
        (self.head != NIL).then_some(self.head)
    }

    pub(super) fn tail(&self) -> Option<EntryId> {
        (self.tail != NIL).then_some(self.tail)
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// The highest priority that waits here; none when nothing does.
    pub(super) fn priority(&self) -> Option<Priority> {
        (self.len > 0).then(|| self.urgent.front().unwrap_or(&self.least).priority)
    }

    pub(super) fn iter<'a>(&self, links: &'a Links) -> impl Iterator<Item = EntryId> + use<'a> {
        let next = |entry_id: &EntryId| Some(links.links[*entry_id as usize].after).filter(|after| *after != NIL);
        std::iter::successors(self.head(), next)
    }

    /// How many are before `entry_id`, one of these. Far from both ends it is an estimate, by its number, since a queue
    /// may hold a million.
    pub(super) fn position(&self, links: &Links, entry_id: EntryId, numbers: &impl Numbers) -> usize {
        let len = self.len as usize;
        if let Some(before) = self.iter(links).take(COUNTED_MAX).position(|other| other == entry_id) {
            return before;
        }
        let previous =
            |entry_id: &EntryId| Some(links.links[*entry_id as usize].before).filter(|before| *before != NIL);
        let from_tail = std::iter::successors(self.tail(), previous);
        if let Some(behind) = from_tail.take(COUNTED_MAX).position(|other| other == entry_id) {
            return len - 1 - behind;
        }
        let (first, last) = (numbers.seq(self.head), numbers.seq(self.tail));
        let place = u128::from(numbers.seq(entry_id) - first) * len as u128 / u128::from(last - first + 1);
        usize::try_from(place).unwrap_or(len).clamp(COUNTED_MAX, len - COUNTED_MAX)
    }
}
