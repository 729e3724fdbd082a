//! The outbox: accepted messages and requests that are not settled yet, found by entry id, by message id and by ticket.
//!
//! With a store, a long backlog is *cold*: only its numbers are in memory, and messages are loaded when their turn is
//! near. Of a message that was in memory already, and goes on waiting, the body may be *unloaded*: its state stays.

mod cold;
mod delivery_state;
mod entry;
mod residency;
mod tally;
mod unloaded;

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use slab::Slab;

pub(super) use self::cold::{Cold, IdKey, IdKeys};
use self::delivery_state::DeliveryStates;
pub(super) use self::delivery_state::{DeliveryState, Promise, StoredBody};
pub(super) use self::entry::{Entry, Parking, State};
use self::residency::{Residency, entry_id_of};
use self::tally::Tally;
use crate::lanes::{EntryId, LaneId, Numbers};
use crate::message::{Payload, Ticket};
use crate::table::Table;

/// The places that an empty outbox keeps for the next messages.
const SPARE_PLACES: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    places: Slab<Residency>,
    delivery_states: DeliveryStates,
    keys: IdKeys,
    ids: Table<EntryId>,
    tickets: Table<EntryId>,
    hasher: DefaultHashBuilder,
    bytes: usize,
    hot_bytes: usize,
    cold: usize,
    /// Messages in memory whose bodies are not.
    unloaded: usize,
    tally: Tally,
}

impl Outbox {
    pub(super) fn insert(&mut self, mut entry: Entry, delivery_state: DeliveryState) -> EntryId {
        debug_assert!(entry.delivery_state.is_none(), "nothing is noted of what has just come");
        let hash = entry.payload.id().map(|id| self.keys.hash(id));
        let hot_bytes = entry.payload.len();
        let bytes = delivery_state.stored_body.map_or(hot_bytes, |body| body.bytes as usize);
        self.hot_bytes += hot_bytes;
        self.unloaded += usize::from(delivery_state.stored_body.is_some());
        self.tally.enter(entry.state);
        entry.delivery_state = self.delivery_states.insert(delivery_state);
        let entry_id = self.occupy(Residency::Hot(entry), hash, bytes);
        if let Some(promise) = delivery_state.waiter {
            self.add_ticket(entry_id, promise.ticket);
        }
        entry_id
    }

    pub(super) fn insert_cold(&mut self, cold: Cold) -> EntryId {
        self.cold += 1;
        self.tally.enter(State::Queued);
        self.occupy(Residency::Cold(cold), Some(cold.key.0[0]), cold.bytes as usize)
    }

    fn occupy(&mut self, place: Residency, hash: Option<u64>, bytes: usize) -> EntryId {
        self.bytes += bytes;
        let entry_id = entry_id_of(self.places.insert(place));
        if let Some(hash) = hash {
            let (places, keys) = (&self.places, &self.keys);
            self.ids.insert(hash, entry_id, |entry_id| hash_of(places[*entry_id as usize].id_hash(keys)));
        }
        entry_id
    }

    /// From now on the outcome settles this promise.
    pub(super) fn set_waiter(&mut self, entry_id: EntryId, promise: Promise) {
        self.delivery_state_mut(entry_id).waiter = Some(promise);
        self.add_ticket(entry_id, promise.ticket);
    }

    fn add_ticket(&mut self, entry_id: EntryId, ticket: Ticket) {
        let (places, delivery_states, hasher) = (&self.places, &self.delivery_states, &self.hasher);
        let rehash = |entry_id: &EntryId| hash_of(places[*entry_id as usize].ticket_hash(delivery_states, hasher));
        self.tickets.insert(hasher.hash_one(ticket), entry_id, rehash);
    }

    pub(super) fn remove(&mut self, entry_id: EntryId) -> (Entry, DeliveryState) {
        let Residency::Hot(entry) = self.places.remove(entry_id as usize) else {
            unreachable!("a cold message is loaded before anything becomes of it")
        };
        let delivery_state = self.delivery_states.remove(entry.delivery_state);
        if let Some(id) = entry.payload.id() {
            let found = self.ids.remove(self.keys.hash(id), |other| *other == entry_id);
            debug_assert!(found.is_some(), "a message is found by its id for as long as it is there");
        }
        if let Some(promise) = delivery_state.waiter {
            self.remove_ticket(entry_id, promise.ticket);
        }
        let hot_bytes = entry.payload.len();
        self.bytes -= delivery_state.stored_body.map_or(hot_bytes, |body| body.bytes as usize);
        self.hot_bytes -= hot_bytes;
        self.tally.leave(entry.state);
        self.unloaded -= usize::from(delivery_state.stored_body.is_some());
        self.give_back_room();
        (entry, delivery_state)
    }

    /// What a peak has taken goes back when it is over.
    fn give_back_room(&mut self) {
        if self.places.is_empty() && self.places.capacity() > SPARE_PLACES {
            self.places = Slab::new();
            self.delivery_states = DeliveryStates::default();
        }
    }

    /// Takes out a message that the store can't read.
    pub(super) fn remove_cold(&mut self, entry_id: EntryId) -> Option<Cold> {
        let cold = *self.cold(entry_id)?;
        self.forget_id(entry_id);
        self.places.remove(entry_id as usize);
        self.bytes -= cold.bytes as usize;
        self.cold -= 1;
        self.tally.leave(State::Queued);
        Some(cold)
    }

    fn forget_id(&mut self, entry_id: EntryId) {
        let Some(hash) = self.places[entry_id as usize].id_hash(&self.keys) else { return };
        let found = self.ids.remove(hash, |other| *other == entry_id);
        debug_assert!(found.is_some(), "a message is found by its id for as long as it is there");
    }

    /// Takes the waiter off, so that the outcome settles no promise.
    pub(super) fn forget_waiter(&mut self, entry_id: EntryId) -> Option<Ticket> {
        let ticket = self.forget_ticket(entry_id)?;
        let delivery_state = self.delivery_state_mut(entry_id);
        delivery_state.waiter = None;
        if *delivery_state == DeliveryState::NONE {
            self.end_delivery_state(entry_id);
        }
        Some(ticket)
    }

    /// What somebody waits for.
    pub(super) fn awaited(&self) -> Vec<EntryId> {
        self.tickets.iter().copied().collect()
    }

    /// The ticket finds it no more.
    fn forget_ticket(&mut self, entry_id: EntryId) -> Option<Ticket> {
        let Residency::Hot(entry) = &self.places[entry_id as usize] else { return None };
        let Promise { ticket, .. } = self.delivery_states.get(entry.delivery_state).waiter?;
        self.remove_ticket(entry_id, ticket);
        Some(ticket)
    }

    fn remove_ticket(&mut self, entry_id: EntryId, ticket: Ticket) {
        let found = self.tickets.remove(self.hasher.hash_one(ticket), |other| *other == entry_id);
        debug_assert!(found.is_some(), "a message is found by its ticket for as long as somebody waits for it");
    }

    /// Keeps only the number of a message that the store holds whole.
    pub(super) fn cool(&mut self, entry_id: EntryId) {
        debug_assert!(self.may_cool(entry_id), "nothing is lost when a message cools");
        let entry = self.get(entry_id);
        let Some(id) = entry.payload.id() else { unreachable!("only messages cool, and they have an id") };
        let bytes = entry.payload.len();
        let cold = Cold {
            seq: entry.seq,
            key: self.keys.of(id),
            epoch: entry.epoch,
            expires_at: self.delivery_state(entry_id).expires_at,
            lane: entry.lane,
            bytes: count_of(bytes),
            priority: entry.priority,
            loading: false,
        };
        self.end_delivery_state(entry_id);
        self.places[entry_id as usize] = Residency::Cold(cold);
        self.hot_bytes -= bytes;
        self.cold += 1;
    }

    /// The message is in memory again.
    pub(super) fn warm(&mut self, entry_id: EntryId, entry: Entry, delivery_state: DeliveryState) {
        debug_assert_eq!(entry.state, State::Queued, "what is cold waits in its lane");
        self.hot_bytes += entry.payload.len();
        self.places[entry_id as usize] = Residency::Hot(entry);
        if delivery_state != DeliveryState::NONE {
            *self.delivery_state_mut(entry_id) = delivery_state;
        }
        self.cold -= 1;
    }

    pub(super) fn cold(&self, entry_id: EntryId) -> Option<&Cold> {
        match self.places.get(entry_id as usize)? {
            Residency::Cold(cold) => Some(cold),
            Residency::Hot(_) => None,
        }
    }

    pub(super) fn by_id(&self, id: &str) -> Option<EntryId> {
        let named = |entry_id: &EntryId| match &self.places[*entry_id as usize] {
            Residency::Hot(entry) => entry.payload.id() == Some(id),
            Residency::Cold(cold) => cold.key == self.keys.of(id),
        };
        self.ids.find(self.keys.hash(id), named).copied()
    }

    pub(super) fn by_ticket(&self, ticket: Ticket) -> Option<EntryId> {
        let waited_for =
            |entry_id: &EntryId| self.delivery_state(*entry_id).waiter.is_some_and(|promise| promise.ticket == ticket);
        self.tickets.find(self.hasher.hash_one(ticket), waited_for).copied()
    }

    pub(super) fn has(&self, entry_id: EntryId) -> bool {
        self.places.contains(entry_id as usize)
    }

    /// A message that is in memory: whatever has a turn, a waiter or a history is.
    pub(super) fn get(&self, entry_id: EntryId) -> &Entry {
        match &self.places[entry_id as usize] {
            Residency::Hot(entry) => entry,
            Residency::Cold(_) => unreachable!("a cold message is loaded before it is looked at"),
        }
    }

    pub(super) fn get_mut(&mut self, entry_id: EntryId) -> &mut Entry {
        match &mut self.places[entry_id as usize] {
            Residency::Hot(entry) => entry,
            Residency::Cold(_) => unreachable!("a cold message is loaded before it is changed"),
        }
    }

    /// From now on it is somewhere else.
    pub(super) fn set_state(&mut self, entry_id: EntryId, state: State) {
        let entry = self.get_mut(entry_id);
        let before = std::mem::replace(&mut entry.state, state);
        self.tally.leave(before);
        self.tally.enter(state);
    }

    /// How many are in each state.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What has happened to a message that is in memory.
    pub(super) fn delivery_state(&self, entry_id: EntryId) -> &DeliveryState {
        self.delivery_states.get(self.get(entry_id).delivery_state)
    }

    /// To note something of it.
    pub(super) fn delivery_state_mut(&mut self, entry_id: EntryId) -> &mut DeliveryState {
        match &mut self.places[entry_id as usize] {
            Residency::Hot(entry) => self.delivery_states.get_mut(&mut entry.delivery_state),
            Residency::Cold(_) => unreachable!("a cold message is loaded before anything happens to it"),
        }
    }

    fn end_delivery_state(&mut self, entry_id: EntryId) {
        let id = self.get_mut(entry_id).delivery_state.take();
        self.delivery_states.remove(id);
    }

    /// Whether nothing is lost when only its number stays in memory: nobody waits for it, and nothing has happened to
    /// it.
    pub(super) fn may_cool(&self, entry_id: EntryId) -> bool {
        let (entry, delivery_state) = (self.get(entry_id), self.delivery_state(entry_id));
        let untouched = delivery_state.attempts == 0 && entry.state() == State::Queued && !delivery_state.canceled;
        untouched
            && delivery_state.waiter.is_none()
            && self.is_loaded(entry_id)
            && matches!(entry.payload, Payload::Message(_))
    }

    /// Bytes of a message's body, in memory or not.
    pub(super) fn bytes_of(&self, entry_id: EntryId) -> usize {
        match &self.places[entry_id as usize] {
            Residency::Cold(cold) => cold.bytes as usize,
            Residency::Hot(entry) => self
                .delivery_states
                .get(entry.delivery_state)
                .stored_body
                .map_or(entry.payload.len(), |body| body.bytes as usize),
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

    /// All that are in memory, taken out. Nothing is relied on but that each stands at its entry id.
    pub(super) fn into_hot(self) -> impl Iterator<Item = (EntryId, Entry, DeliveryState)> {
        let Self { places, delivery_states, .. } = self;
        places.into_iter().filter_map(move |(entry_id, place)| match place {
            Residency::Hot(entry) => {
                let delivery_state = delivery_states.find(entry.delivery_state).unwrap_or(DeliveryState::NONE);
                Some((EntryId::try_from(entry_id).ok()?, entry, delivery_state))
            }
            Residency::Cold(_) => None,
        })
    }

    /// The tickets that the outcomes settle.
    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.tickets.iter().filter_map(|entry_id| Some(self.delivery_state(*entry_id).waiter?.ticket))
    }

    /// The number of a message, if it is there.
    pub(super) fn seq_of(&self, entry_id: EntryId) -> Option<u64> {
        self.places.get(entry_id as usize).map(Residency::seq)
    }

    /// All, in memory or not.
    pub(super) fn entry_ids(&self) -> impl Iterator<Item = EntryId> {
        self.places.iter().map(|(entry_id, _)| entry_id_of(entry_id))
    }

    /// The lane of one, once it is accepted.
    pub(super) fn lane_of(&self, entry_id: EntryId) -> Option<LaneId> {
        match &self.places[entry_id as usize] {
            Residency::Cold(cold) => Some(cold.lane),
            Residency::Hot(entry) => (entry.state() != State::Storing).then_some(entry.lane),
        }
    }

    /// All that are in memory.
    pub(super) fn hot_slots(&self) -> impl Iterator<Item = EntryId> {
        let hot = self.places.iter().filter(|(_, place)| matches!(place, Residency::Hot(_)));
        hot.map(|(entry_id, _)| entry_id_of(entry_id))
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
    fn seq(&self, entry_id: EntryId) -> u64 {
        self.places[entry_id as usize].seq()
    }
}
