//! Lanes: one FIFO per conversation, and the fair choice of the lane whose head goes next.
//!
//! A lane hands out its head and, with ordering `conversation`, nothing more until that message is settled or put back.
//! Messages with a scheduled time (backoff, `notBefore`) are handed out as well, and parked by the dispatcher. The lane
//! counts both as *outstanding*.

mod queue;
mod returned;
mod turns;

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashSet};
use slab::Slab;

use self::queue::{Links, Queue};
use self::returned::Returned;
use self::turns::{Kind, Turns};
use crate::message::{Message, Priority};
use crate::table::Table;

/// Lanes that are looked at for an estimate.
const LANES_COUNTED: usize = 16_384;

/// A message's place in the outbox.
pub type EntryId = u32;
/// A lane's place among the lanes.
pub type LaneId = u32;

/// Why nothing of a conversation goes. Both may hold at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// A limit of its own.
    Limit,
    /// The server says that it is over.
    Ended,
}

/// What a lane needs to know of a message.
///
/// ```
/// use std::sync::Arc;
/// use spillway_core::lanes::{EntryId, Item, Lanes, Numbers};
///
/// /// Numbers are places here.
/// struct Places;
///
/// impl Numbers for Places {
///     fn seq(&self, entry_id: EntryId) -> u64 {
///         u64::from(entry_id)
///     }
/// }
///
/// let mut lanes = Lanes::new(true);
/// let lane = lanes.of_conversation(&Arc::from("c-1"));
/// for entry_id in [1, 2] {
///     lanes.push(lane, Item { entry_id, seq: u64::from(entry_id), priority: 0 });
/// }
/// assert_eq!(lanes.take(&Places), Some((lane, 1)));
/// assert_eq!(lanes.peek(), None, "the second waits for the outcome of the first");
/// lanes.settle(lane);
/// assert_eq!(lanes.take(&Places), Some((lane, 2)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its place in the outbox.
    pub entry_id: EntryId,
    /// Its number by acceptance, which rises within a lane.
    pub seq: u64,
    /// Higher goes first.
    pub priority: Priority,
}

/// Looks up the numbers of waiting messages, so that a queue of a million need not store them.
pub trait Numbers {
    /// A message's number by acceptance.
    fn seq(&self, entry_id: EntryId) -> u64;
}

#[derive(Debug)]
struct Lane {
    /// `None` for a `request()`, which has a lane to itself.
    conversation: Option<Arc<str>>,
    queue: Queue,
    outstanding: u32,
    /// Nothing of it is sent until it opens.
    is_shut: bool,
    /// It has just become busy, and nothing of it has been handed out since.
    is_late: bool,
    /// How many messages of it are counted as waiting, and as on offer.
    queued: u32,
    offered: u32,
}

impl Lane {
    fn may_go(&self, ordered: bool) -> bool {
        !self.is_shut && (!ordered || self.outstanding == 0)
    }
}

/// All lanes of an organization.
///
/// ```
/// use std::sync::Arc;
/// use spillway_core::lanes::Lanes;
///
/// let mut lanes = Lanes::new(true);
/// let first = lanes.of_conversation(&Arc::from("c-1"));
/// assert_eq!(lanes.of_conversation(&Arc::from("c-1")), first, "a conversation has one lane");
/// assert!(lanes.peek().is_none(), "nothing waits in it");
/// ```
#[derive(Debug)]
pub struct Lanes {
    lanes: Slab<Lane>,
    by_conversation: Table<LaneId>,
    hasher: DefaultHashBuilder,
    links: Links,
    returned: Returned,
    turns: Turns,
    ordered: bool,
    /// Conversations of which nothing goes for now, whether or not they have a lane; those of each bar apart.
    shut: [HashSet<Arc<str>>; 2],
    /// Messages that wait in conversations; conversations of which one may go, and the messages that wait in these.
    queued: usize,
    offering: usize,
    offered: usize,
}

impl Lanes {
    /// No lanes; `ordered` lanes hand out one message at a time.
    pub fn new(ordered: bool) -> Self {
        Self {
            lanes: Slab::new(),
            by_conversation: Table::default(),
            hasher: DefaultHashBuilder::default(),
            links: Links::default(),
            returned: Returned::default(),
            turns: Turns::default(),
            ordered,
            shut: [HashSet::new(), HashSet::new()],
            queued: 0,
            offering: 0,
            offered: 0,
        }
    }

    /// The lane of a conversation, created if there is none.
    pub fn of_conversation(&mut self, conversation: &Arc<str>) -> LaneId {
        let hash = self.hasher.hash_one(&**conversation);
        let named = |id: &LaneId| self.lanes[*id as usize].conversation.as_ref() == Some(conversation);
        if let Some(id) = self.by_conversation.find(hash, named) {
            return *id;
        }
        let id = self.insert(Some(Arc::clone(conversation)));
        let (lanes, hasher) = (&self.lanes, &self.hasher);
        let rehash = |id: &LaneId| match &lanes[*id as usize].conversation {
            Some(conversation) => hasher.hash_one(&**conversation),
            None => unreachable!("only lanes of conversations are found by name"),
        };
        self.by_conversation.insert(hash, id, rehash);
        id
    }

    /// The lane of a message. From then on the message shares the lane's copy of the conversation's name.
    pub fn join(&mut self, message: &mut Message) -> LaneId {
        let lane = self.of_conversation(message.conversation_shared());
        if let Some(conversation) = &self.lanes[lane as usize].conversation {
            message.share_conversation(conversation);
        }
        lane
    }

    /// A lane for a single request.
    pub fn of_request(&mut self) -> LaneId {
        self.insert(None)
    }

    fn insert(&mut self, conversation: Option<Arc<str>>) -> LaneId {
        let is_shut = conversation.as_ref().is_some_and(|name| self.is_barred(name));
        let lane = Lane {
            conversation,
            queue: Queue::default(),
            outstanding: 0,
            is_shut,
            is_late: false,
            queued: 0,
            offered: 0,
        };
        match LaneId::try_from(self.lanes.insert(lane)) {
            Ok(id) => id,
            Err(_) => unreachable!("no outbox holds as many messages"),
        }
    }

    /// Appends a message.
    pub fn push(&mut self, lane: LaneId, item: Item) {
        self.lanes[lane as usize].queue.push_back(&mut self.links, item);
        self.refresh(lane, false);
    }

    /// Appends a message of a conversation that has not sent lately: if it is the first, [`Self::peek_late`] shows the
    /// lane until it is handed out.
    pub fn push_late(&mut self, lane: LaneId, item: Item) {
        let state = &mut self.lanes[lane as usize];
        state.is_late |= state.outstanding == 0 && state.queue.len() == 0;
        self.push(lane, item);
    }

    /// Puts a message to its place by its number: mostly the end.
    pub fn push_in_order(&mut self, lane: LaneId, item: Item, numbers: &impl Numbers) {
        let queue = &mut self.lanes[lane as usize].queue;
        if queue.tail().is_none_or(|tail| numbers.seq(tail) < item.seq) {
            queue.push_back(&mut self.links, item);
        } else {
            self.put_inside(lane, item, numbers);
        }
        self.refresh(lane, false);
    }

    /// The message that goes next.
    pub fn peek(&mut self) -> Option<(LaneId, EntryId)> {
        let lane = self.turns.peek()?;
        Some((lane, self.lanes[lane as usize].queue.head()?))
    }

    /// Hands out what [`Self::peek`] showed.
    pub fn take(&mut self, numbers: &impl Numbers) -> Option<(LaneId, EntryId)> {
        let lane = self.turns.pop()?;
        let entry_id = self.take_from(lane, numbers)?;
        Some((lane, entry_id))
    }

    /// The first lane that has just become busy, unless the one whose turn it is has a higher priority.
    pub fn peek_late(&mut self) -> Option<LaneId> {
        let (late, priority) = self.turns.peek_late()?;
        let turn = self.turns.peek()?;
        (self.turns.priority(turn) <= Some(priority)).then_some(late)
    }

    /// Whether the lane has just become busy.
    pub fn is_late(&self, lane: LaneId) -> bool {
        self.lanes[lane as usize].is_late
    }

    /// The head of a lane, whether or not it is the lane's turn.
    pub fn head_of(&self, lane: LaneId) -> Option<EntryId> {
        self.lanes[lane as usize].queue.head()
    }

    /// Hands out one more message of a lane, to travel with its outstanding ones.
    pub fn take_from(&mut self, lane: LaneId, numbers: &impl Numbers) -> Option<EntryId> {
        let entry_id = self.lanes[lane as usize].queue.pop_front(&mut self.links, numbers)?;
        self.returned.remove(lane, numbers.seq(entry_id));
        let state = &mut self.lanes[lane as usize];
        (state.outstanding, state.is_late) = (state.outstanding + 1, false);
        self.refresh(lane, false);
        Some(entry_id)
    }

    /// The first ready lane that is a request's.
    pub fn peek_request(&mut self) -> Option<LaneId> {
        self.turns.peek_request()
    }

    /// Ready lanes of requests.
    pub fn ready_requests(&self) -> impl Iterator<Item = LaneId> {
        self.turns.requests()
    }

    /// Ready lanes in their order, of equal priority in turn.
    pub fn next_ready(&self) -> impl Iterator<Item = LaneId> {
        self.turns.iter()
    }

    /// How many messages and requests may be sent without batching: one of an ordered lane, all of any other.
    pub fn ready(&self) -> usize {
        let more = if self.ordered { 0 } else { self.offered - self.offering };
        self.turns.len() + more
    }

    /// How many messages wait in conversations, whether or not they may be sent.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// How many messages and requests wait in lanes, whether or not they may be sent.
    pub fn waiting(&self) -> usize {
        self.links.linked()
    }

    /// How many conversations have a message that may be sent.
    pub fn offering(&self) -> usize {
        self.offering
    }

    /// How many messages wait in these conversations.
    pub fn offered(&self) -> usize {
        self.offered
    }

    /// How many of them wait in this one.
    pub fn offered_by(&self, lane: LaneId) -> usize {
        self.lanes[lane as usize].offered as usize
    }

    /// The messages of these conversations that may go: the first of each, or all.
    pub fn on_offer(&self, first_only: bool) -> impl Iterator<Item = EntryId> {
        let queues = self.turns.iter().map(|id| &self.lanes[id as usize]).filter(|lane| lane.conversation.is_some());
        queues.flat_map(move |lane| lane.queue.iter(&self.links).take(if first_only { 1 } else { usize::MAX }))
    }

    /// Returns an outstanding message to the head of its lane, and the lane to the front of its priority.
    pub fn put_back(&mut self, lane: LaneId, item: Item, numbers: &impl Numbers) {
        let state = &mut self.lanes[lane as usize];
        state.outstanding -= 1;
        self.put_inside(lane, item, numbers);
        self.refresh(lane, true);
    }

    fn put_inside(&mut self, lane: LaneId, item: Item, numbers: &impl Numbers) {
        let elder = self.returned.before(lane, item.seq);
        let queue = &mut self.lanes[lane as usize].queue;
        queue.push_in_order(&mut self.links, item, elder, numbers);
        // In an ordered lane one comes back at a time, to the head.
        if !self.ordered || queue.head() != Some(item.entry_id) {
            self.returned.insert(lane, item.seq, item.entry_id);
        }
    }

    /// Counts a message as outstanding that was never in the lane.
    pub fn hold(&mut self, lane: LaneId) {
        self.lanes[lane as usize].outstanding += 1;
        self.refresh(lane, false);
    }

    /// Nothing of a conversation goes until [`Self::open`] takes this bar away.
    pub fn shut(&mut self, conversation: &Arc<str>, bar: Bar) {
        if self.shut[bar as usize].insert(Arc::clone(conversation)) {
            self.set_shut(conversation, true);
        }
    }

    /// It goes again, unless the other bar holds it.
    pub fn open(&mut self, conversation: &str, bar: Bar) {
        if self.shut[bar as usize].remove(conversation) {
            self.set_shut(conversation, self.is_barred(conversation));
        }
    }

    fn is_barred(&self, conversation: &str) -> bool {
        self.shut.iter().any(|names| !names.is_empty() && names.contains(conversation))
    }

    fn set_shut(&mut self, conversation: &str, is_shut: bool) {
        if let Some(id) = self.find(conversation) {
            self.lanes[id as usize].is_shut = is_shut;
            self.refresh(id, false);
        }
    }

    /// The messages that go next where conversations take turns: the first of each that may send, then the second of
    /// each, and so on; at most `count`.
    pub fn next_in_rounds(&self, count: usize) -> impl Iterator<Item = EntryId> {
        let mut round: VecDeque<_> = self.in_turn().take(count).map(|lane| lane.queue.iter(&self.links)).collect();
        std::iter::from_fn(move || {
            loop {
                let mut lane = round.pop_front()?;
                if let Some(entry_id) = lane.next() {
                    round.push_back(lane);
                    return Some(entry_id);
                }
            }
        })
        .take(count)
    }

    /// The messages that go next where a conversation sends `depth` of them together; at most `count`.
    pub fn next_in_runs(&self, depth: usize, count: usize) -> impl Iterator<Item = EntryId> {
        self.in_turn().flat_map(move |lane| lane.queue.iter(&self.links).take(depth)).take(count)
    }

    fn in_turn(&self) -> impl Iterator<Item = &Lane> {
        self.turns.in_turn().map(|id| &self.lanes[id as usize]).filter(|lane| lane.conversation.is_some())
    }

    /// An outstanding message is settled.
    pub fn settle(&mut self, lane: LaneId) {
        self.lanes[lane as usize].outstanding -= 1;
        self.refresh(lane, false);
    }

    /// Takes a waiting message out, which has this number.
    pub fn remove(&mut self, lane: LaneId, entry_id: EntryId, seq: u64, numbers: &impl Numbers) {
        self.returned.remove(lane, seq);
        self.lanes[lane as usize].queue.remove(&mut self.links, entry_id, numbers);
        self.refresh(lane, false);
    }

    /// Moves the lane to where its state says, and forgets an empty one.
    fn refresh(&mut self, id: LaneId, in_front: bool) {
        let lane = &mut self.lanes[id as usize];
        let may_go = lane.may_go(self.ordered);
        let kind = match lane.conversation {
            None => Kind::Request,
            Some(_) if lane.is_late => Kind::Late,
            Some(_) => Kind::Usual,
        };
        if kind != Kind::Request {
            let queued = lane.queue.len();
            let offered = if may_go { queued } else { 0 };
            let before = (
                std::mem::replace(&mut lane.queued, queued) as usize,
                std::mem::replace(&mut lane.offered, offered) as usize,
            );
            self.queued = self.queued + queued as usize - before.0;
            self.offered = self.offered + offered as usize - before.1;
            self.offering = self.offering + usize::from(offered > 0) - usize::from(before.1 > 0);
        }
        match lane.queue.priority() {
            Some(priority) if may_go => self.turns.set(id, priority, in_front, kind),
            Some(_) => self.turns.clear(id),
            None => {
                let is_empty = lane.outstanding == 0;
                self.turns.clear(id);
                if is_empty {
                    self.forget(id);
                }
            }
        }
    }

    fn forget(&mut self, id: LaneId) {
        if let Some(conversation) = self.lanes.remove(id as usize).conversation {
            let hash = self.hasher.hash_one(&*conversation);
            let found = self.by_conversation.remove(hash, |other| *other == id);
            debug_assert!(found.is_some(), "a lane is found by its conversation for as long as it is there");
        }
    }

    /// The conversation of a lane; `None` for a request's.
    pub fn conversation(&self, lane: LaneId) -> Option<&Arc<str>> {
        self.lanes[lane as usize].conversation.as_ref()
    }

    /// Messages before `entry_id` in its lane, the outstanding ones included.
    pub fn ahead(&self, lane: LaneId, entry_id: EntryId, numbers: &impl Numbers) -> usize {
        let lane = &self.lanes[lane as usize];
        lane.outstanding as usize + lane.queue.position(&self.links, entry_id, numbers)
    }

    /// Messages that leave before the one with `ahead` others before it in `lane`, if every lane gets its turn evenly.
    /// Of very many lanes some are looked at, spread over all, and the others are taken to be like them.
    pub fn turns_before(&self, lane: LaneId, ahead: usize) -> usize {
        let step = self.lanes.len().div_ceil(LANES_COUNTED).max(1);
        let others = (0..self.lanes.capacity()).step_by(step).filter(|id| *id != lane as usize);
        let before = others.filter_map(|id| Some((self.lanes.get(id)?.queue.len() as usize).min(ahead + 1)));
        ahead + before.sum::<usize>() * step
    }

    /// The first message or request that waits in each lane, of at most `count` lanes. Of more some are looked at,
    /// spread over all.
    pub fn heads(&self, count: usize) -> impl Iterator<Item = EntryId> {
        let step = self.lanes.len().div_ceil(count).max(1);
        let looked_at = (0..self.lanes.capacity()).step_by(step);
        looked_at.filter_map(|id| self.lanes.get(id)?.queue.head())
    }

    /// How many messages and requests of a lane are not settled.
    pub fn unsettled(&self, lane: LaneId) -> usize {
        let Lane { queue, outstanding, .. } = &self.lanes[lane as usize];
        queue.len() as usize + *outstanding as usize
    }

    /// Whether a conversation has messages.
    pub fn has(&self, conversation: &str) -> bool {
        self.find(conversation).is_some()
    }

    fn find(&self, conversation: &str) -> Option<LaneId> {
        let named = |id: &LaneId| self.lanes[*id as usize].conversation.as_deref() == Some(conversation);
        self.by_conversation.find(self.hasher.hash_one(conversation), named).copied()
    }

    /// How many messages of a conversation wait in its lane.
    pub fn queued_of(&self, conversation: &str) -> usize {
        self.find(conversation).map_or(0, |id| self.lanes[id as usize].queue.len() as usize)
    }

    /// The messages that wait in the lane of a conversation.
    pub fn waiting_of(&self, conversation: &str) -> impl Iterator<Item = EntryId> {
        let lane = self.find(conversation).map(|id| &self.lanes[id as usize]);
        lane.into_iter().flat_map(|lane| lane.queue.iter(&self.links))
    }

    /// How many conversations have messages.
    pub fn conversations(&self) -> usize {
        self.by_conversation.len()
    }
}

#[cfg(test)]
mod tests;
