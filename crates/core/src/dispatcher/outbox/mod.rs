//! The outbox: accepted messages and requests that are not settled yet, found by slot, by id and by ticket.
//!
//! With a store, a long backlog is *cold*: only its numbers are in memory, and messages are loaded when their turn is
//! near. Of a message that was in memory already, and goes on waiting, the body may be *unloaded*: its state stays.

mod cold;
mod course;
mod entry;
mod place;
mod tally;
mod unloaded;

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use slab::Slab;

pub(super) use self::cold::{Cold, IdKey, IdKeys};
use self::course::Courses;
pub(super) use self::course::{Course, Promise, StoredBody};
pub(super) use self::entry::{Entry, Parking, State};
use self::place::{Place, slot_of};
use self::tally::Tally;
use crate::lanes::{Numbers, Slot};
use crate::message::{Cargo, Ticket};
use crate::table::Table;

/// The places that an empty outbox keeps for the next messages.
const SPARE_PLACES: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    places: Slab<Place>,
    courses: Courses,
    keys: IdKeys,
    ids: Table<Slot>,
    tickets: Table<Slot>,
    hasher: DefaultHashBuilder,
    bytes: usize,
    hot_bytes: usize,
    cold: usize,
    /// Messages in memory whose bodies are not.
    unloaded: usize,
    tally: Tally,
}

impl Outbox {
    pub(super) fn insert(&mut self, mut entry: Entry, course: Course) -> Slot {
        debug_assert!(entry.course.is_none(), "nothing is noted of what has just come");
        let hash = entry.cargo.id().map(|id| self.keys.hash(id));
        let hot_bytes = entry.cargo.len();
        let bytes = course.stored_body.map_or(hot_bytes, |body| body.bytes as usize);
        self.hot_bytes += hot_bytes;
        self.unloaded += usize::from(course.stored_body.is_some());
        self.tally.enter(entry.state);
        entry.course = self.courses.insert(course);
        let slot = self.occupy(Place::Hot(entry), hash, bytes);
        if let Some(promise) = course.waiter {
            self.add_ticket(slot, promise.ticket);
        }
        slot
    }

    pub(super) fn insert_cold(&mut self, cold: Cold) -> Slot {
        self.cold += 1;
        self.tally.enter(State::Queued);
        self.occupy(Place::Cold(cold), Some(cold.key.0[0]), cold.bytes as usize)
    }

    fn occupy(&mut self, place: Place, hash: Option<u64>, bytes: usize) -> Slot {
        self.bytes += bytes;
        let slot = slot_of(self.places.insert(place));
        if let Some(hash) = hash {
            let (places, keys) = (&self.places, &self.keys);
            self.ids.insert(hash, slot, |slot| hash_of(places[*slot as usize].id_hash(keys)));
        }
        slot
    }

    /// From now on the outcome settles this promise.
    pub(super) fn set_waiter(&mut self, slot: Slot, promise: Promise) {
        self.course_mut(slot).waiter = Some(promise);
        self.add_ticket(slot, promise.ticket);
    }

    fn add_ticket(&mut self, slot: Slot, ticket: Ticket) {
        let (places, courses, hasher) = (&self.places, &self.courses, &self.hasher);
        let rehash = |slot: &Slot| hash_of(places[*slot as usize].ticket_hash(courses, hasher));
        self.tickets.insert(hasher.hash_one(ticket), slot, rehash);
    }

    pub(super) fn remove(&mut self, slot: Slot) -> (Entry, Course) {
        let Place::Hot(entry) = self.places.remove(slot as usize) else {
            unreachable!("a cold message is loaded before anything becomes of it")
        };
        let course = self.courses.remove(entry.course);
        if let Some(id) = entry.cargo.id() {
            let found = self.ids.remove(self.keys.hash(id), |other| *other == slot);
            debug_assert!(found.is_some(), "a message is found by its id for as long as it is there");
        }
        if let Some(promise) = course.waiter {
            self.remove_ticket(slot, promise.ticket);
        }
        let hot_bytes = entry.cargo.len();
        self.bytes -= course.stored_body.map_or(hot_bytes, |body| body.bytes as usize);
        self.hot_bytes -= hot_bytes;
        self.tally.leave(entry.state);
        self.unloaded -= usize::from(course.stored_body.is_some());
        self.give_back_room();
        (entry, course)
    }

    /// What a peak has taken goes back when it is over.
    fn give_back_room(&mut self) {
        if self.places.is_empty() && self.places.capacity() > SPARE_PLACES {
            self.places = Slab::new();
            self.courses = Courses::default();
        }
    }

    /// Takes out a message that the store can't read.
    pub(super) fn remove_cold(&mut self, slot: Slot) -> Option<Cold> {
        let cold = *self.cold(slot)?;
        self.forget_id(slot);
        self.places.remove(slot as usize);
        self.bytes -= cold.bytes as usize;
        self.cold -= 1;
        self.tally.leave(State::Queued);
        Some(cold)
    }

    fn forget_id(&mut self, slot: Slot) {
        let Some(hash) = self.places[slot as usize].id_hash(&self.keys) else { return };
        let found = self.ids.remove(hash, |other| *other == slot);
        debug_assert!(found.is_some(), "a message is found by its id for as long as it is there");
    }

    /// Takes the waiter off, so that the outcome settles no promise.
    pub(super) fn forget_waiter(&mut self, slot: Slot) -> Option<Ticket> {
        let ticket = self.forget_ticket(slot)?;
        let course = self.course_mut(slot);
        course.waiter = None;
        if *course == Course::NONE {
            self.end_course(slot);
        }
        Some(ticket)
    }

    /// What somebody waits for.
    pub(super) fn awaited(&self) -> Vec<Slot> {
        self.tickets.iter().copied().collect()
    }

    /// The ticket finds it no more.
    fn forget_ticket(&mut self, slot: Slot) -> Option<Ticket> {
        let Place::Hot(entry) = &self.places[slot as usize] else { return None };
        let Promise { ticket, .. } = self.courses.get(entry.course).waiter?;
        self.remove_ticket(slot, ticket);
        Some(ticket)
    }

    fn remove_ticket(&mut self, slot: Slot, ticket: Ticket) {
        let found = self.tickets.remove(self.hasher.hash_one(ticket), |other| *other == slot);
        debug_assert!(found.is_some(), "a message is found by its ticket for as long as somebody waits for it");
    }

    /// Keeps only the number of a message that the store holds whole.
    pub(super) fn cool(&mut self, slot: Slot) {
        debug_assert!(self.may_cool(slot), "nothing is lost when a message cools");
        let entry = self.get(slot);
        let Some(id) = entry.cargo.id() else { unreachable!("only messages cool, and they have an id") };
        let bytes = entry.cargo.len();
        let cold = Cold {
            seq: entry.seq,
            key: self.keys.of(id),
            epoch: entry.epoch,
            expires_at: self.course(slot).expires_at,
            lane: entry.lane,
            bytes: count_of(bytes),
            priority: entry.priority,
            loading: false,
        };
        self.end_course(slot);
        self.places[slot as usize] = Place::Cold(cold);
        self.hot_bytes -= bytes;
        self.cold += 1;
    }

    /// The message is in memory again.
    pub(super) fn warm(&mut self, slot: Slot, entry: Entry, course: Course) {
        debug_assert_eq!(entry.state, State::Queued, "what is cold waits in its lane");
        self.hot_bytes += entry.cargo.len();
        self.places[slot as usize] = Place::Hot(entry);
        if course != Course::NONE {
            *self.course_mut(slot) = course;
        }
        self.cold -= 1;
    }

    pub(super) fn cold(&self, slot: Slot) -> Option<&Cold> {
        match self.places.get(slot as usize)? {
            Place::Cold(cold) => Some(cold),
            Place::Hot(_) => None,
        }
    }

    pub(super) fn by_id(&self, id: &str) -> Option<Slot> {
        let named = |slot: &Slot| match &self.places[*slot as usize] {
            Place::Hot(entry) => entry.cargo.id() == Some(id),
            Place::Cold(cold) => cold.key == self.keys.of(id),
        };
        self.ids.find(self.keys.hash(id), named).copied()
    }

    pub(super) fn by_ticket(&self, ticket: Ticket) -> Option<Slot> {
        let waited_for = |slot: &Slot| self.course(*slot).waiter.is_some_and(|promise| promise.ticket == ticket);
        self.tickets.find(self.hasher.hash_one(ticket), waited_for).copied()
    }

    pub(super) fn has(&self, slot: Slot) -> bool {
        self.places.contains(slot as usize)
    }

    /// A message that is in memory: whatever has a turn, a waiter or a history is.
    pub(super) fn get(&self, slot: Slot) -> &Entry {
        match &self.places[slot as usize] {
            Place::Hot(entry) => entry,
            Place::Cold(_) => unreachable!("a cold message is loaded before it is looked at"),
        }
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut Entry {
        match &mut self.places[slot as usize] {
            Place::Hot(entry) => entry,
            Place::Cold(_) => unreachable!("a cold message is loaded before it is changed"),
        }
    }

    /// From now on it is somewhere else.
    pub(super) fn set_state(&mut self, slot: Slot, state: State) {
        let entry = self.get_mut(slot);
        let before = std::mem::replace(&mut entry.state, state);
        self.tally.leave(before);
        self.tally.enter(state);
    }

    /// How many are in each state.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What has happened to a message that is in memory.
    pub(super) fn course(&self, slot: Slot) -> &Course {
        self.courses.get(self.get(slot).course)
    }

    /// To note something of it.
    pub(super) fn course_mut(&mut self, slot: Slot) -> &mut Course {
        match &mut self.places[slot as usize] {
            Place::Hot(entry) => self.courses.get_mut(&mut entry.course),
            Place::Cold(_) => unreachable!("a cold message is loaded before anything happens to it"),
        }
    }

    fn end_course(&mut self, slot: Slot) {
        let id = self.get_mut(slot).course.take();
        self.courses.remove(id);
    }

    /// Whether nothing is lost when only its number stays in memory: nobody waits for it, and nothing has happened to
    /// it.
    pub(super) fn may_cool(&self, slot: Slot) -> bool {
        let (entry, course) = (self.get(slot), self.course(slot));
        let untouched = course.attempts == 0 && entry.state() == State::Queued && !course.withdrawn;
        untouched && course.waiter.is_none() && self.is_loaded(slot) && matches!(entry.cargo, Cargo::Message(_))
    }

    /// Bytes of a message's body, in memory or not.
    pub(super) fn bytes_of(&self, slot: Slot) -> usize {
        match &self.places[slot as usize] {
            Place::Cold(cold) => cold.bytes as usize,
            Place::Hot(entry) => {
                self.courses.get(entry.course).stored_body.map_or(entry.cargo.len(), |body| body.bytes as usize)
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages and bytes in memory.
    pub(super) fn hot(&self) -> (usize, usize) {
        (self.places.len() - self.cold, self.hot_bytes)
    }

    pub(super) fn key_of(&self, id: &str) -> IdKey {
        self.keys.of(id)
    }

    /// All that are in memory, taken out. Nothing is relied on but that each stands at its slot.
    pub(super) fn into_hot(self) -> impl Iterator<Item = (Slot, Entry, Course)> {
        let Self { places, courses, .. } = self;
        places.into_iter().filter_map(move |(slot, place)| match place {
            Place::Hot(entry) => {
                let course = courses.find(entry.course).unwrap_or(Course::NONE);
                Some((Slot::try_from(slot).ok()?, entry, course))
            }
            Place::Cold(_) => None,
        })
    }

    /// The tickets that the outcomes settle.
    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.tickets.iter().filter_map(|slot| Some(self.course(*slot).waiter?.ticket))
    }

    /// The number of a message, if it is there.
    pub(super) fn seq_of(&self, slot: Slot) -> Option<u64> {
        self.places.get(slot as usize).map(Place::seq)
    }

    /// All that are in memory.
    pub(super) fn hot_slots(&self) -> impl Iterator<Item = Slot> {
        let hot = self.places.iter().filter(|(_, place)| matches!(place, Place::Hot(_)));
        hot.map(|(slot, _)| slot_of(slot))
    }
}

/// Of what is in a table by this hash.
fn hash_of(hash: Option<u64>) -> u64 {
    match hash {
        Some(hash) => hash,
        None => unreachable!("what is in a table is found by something"),
    }
}

/// Bodies are bounded far below this.
fn count_of(bytes: usize) -> u32 {
    match u32::try_from(bytes) {
        Ok(bytes) => bytes,
        Err(_) => unreachable!("a body of {bytes} bytes"),
    }
}

impl Numbers for Outbox {
    fn seq(&self, slot: Slot) -> u64 {
        self.places[slot as usize].seq()
    }
}
