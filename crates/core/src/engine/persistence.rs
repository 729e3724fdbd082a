//! The engine's side of its store: changes are handed over, and what must not be seen before they are durable is
//! held back until they are. A request leaves, and a promise settles, on the far side of the disk.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};

use super::opening_watch::OpeningWatch;
use super::watchdog::Watchdog;
use crate::clock::{Clock, Timestamp};
use crate::dispatcher::{AttemptId, Effect};
use crate::error::Error;
use crate::lanes::EntryId;
use crate::message::Ticket;
use crate::settings::Settings;
use crate::store::{self, Begun, Change, FencingToken, Seq, Store, StoreEvent, WriteQueue};

/// The most store events on their way to the engine; beyond that the store waits.
const EVENTS_MAX: usize = 64;

/// A store, and what waits for it.
#[derive(Debug)]
pub(super) struct Persistence {
    store: Box<dyn Store>,
    /// Of the claim that the opening has made.
    token: FencingToken,
    events: Receiver<StoreEvent>,
    changes: WriteQueue,
    loads: Vec<(EntryId, Seq)>,
    /// The number of the last change that is durable.
    durable: u64,
    /// With the number of the last change that was told before.
    held: VecDeque<(u64, Effect)>,
    /// Why nothing is kept any more.
    disowned: Option<Error>,
    pub(super) watchdog: Watchdog,
    /// `None` once the store is open.
    pub(super) opening: Option<OpeningWatch>,
}

impl Persistence {
    /// Opens the store that the settings name; `None` for memory.
    pub(super) fn open(settings: &Settings, clock: Clock) -> Result<Option<Self>, Error> {
        let (teller, events) = channel(EVENTS_MAX);
        // Nobody listens any more once the engine has ended.
        let tell = Box::new(move |events| drop(teller.blocking_send(events)));
        let Some(Begun { store, place, pulse }) = store::open(settings, clock, tell)? else { return Ok(None) };
        let opening = OpeningWatch::new(place.clone(), pulse, clock.now());
        let persistence = Self::of(store, events, Watchdog::new(place, clock.now()));
        Ok(Some(Self { opening: Some(opening), ..persistence }))
    }

    /// Of a store that reports through `events`.
    pub(super) fn of(store: Box<dyn Store>, events: Receiver<StoreEvent>, watchdog: Watchdog) -> Self {
        Self {
            store,
            token: FencingToken::default(),
            events,
            changes: WriteQueue::default(),
            loads: Vec::new(),
            durable: 0,
            held: VecDeque::new(),
            disowned: None,
            watchdog,
            opening: None,
        }
    }

    /// The store is open, and owned by the claim with this token.
    pub(super) fn opened(&mut self, token: FencingToken) {
        self.opening = None;
        self.token = token;
    }

    /// The next store event; none when the store has ended.
    pub(super) async fn next(&mut self) -> Option<StoreEvent> {
        self.events.recv().await
    }

    pub(super) fn try_next(&mut self) -> Option<StoreEvent> {
        self.events.try_recv().ok()
    }

    pub(super) fn keep(&mut self, change: Change) {
        self.changes.keep(change);
    }

    pub(super) fn load(&mut self, messages: Vec<(EntryId, Seq)>) {
        self.loads.extend(messages);
    }

    /// Another owner has the store since: nothing is handed over any more, and whoever was to hear of what is held is
    /// told `error` instead.
    pub(super) fn disown(&mut self, error: &Error) -> Vec<Effect> {
        self.disowned = Some(error.clone());
        let held = std::mem::take(&mut self.held);
        held.into_iter().filter_map(|(_, effect)| unkept(effect, error)).collect()
    }

    /// Hands over what the turn has brought. `sending`: requests are on the wire, and others will follow.
    pub(super) fn flush(&mut self, sending: bool, now: Timestamp) {
        let changes = self.changes.take(sending);
        if self.disowned.is_some() {
            return self.loads.clear();
        }
        self.watchdog.handed_over(changes.len(), usize::from(!self.loads.is_empty()), now);
        if !changes.is_empty() {
            self.store.apply(self.token, changes);
        }
        if !self.loads.is_empty() {
            self.store.load(std::mem::take(&mut self.loads));
        }
    }

    /// Holds an effect back, if it must not come before what was told to the store.
    pub(super) fn hold(&mut self, effect: Effect) -> Option<Effect> {
        if self.durable >= self.changes.told() || !effect.waits_for_store() {
            return Some(effect);
        }
        if let Some(error) = &self.disowned {
            return unkept(effect, error);
        }
        self.held.push_back((self.changes.told(), effect));
        None
    }

    /// Changes up to this one are durable, among them this many inserts.
    pub(super) fn committed(&mut self, up_to: u64, inserts: usize) {
        self.durable = self.durable.max(up_to);
        self.changes.settled(inserts);
    }

    /// This many inserts are not kept.
    pub(super) fn refused(&mut self, inserts: usize) {
        self.changes.settled(inserts);
    }

    /// The next effect that waits no longer.
    pub(super) fn release(&mut self) -> Option<Effect> {
        let (number, _) = self.held.front()?;
        if *number > self.durable {
            return None;
        }
        self.held.pop_front().map(|(_, effect)| effect)
    }

    /// Takes out the requests that wait, oldest first.
    pub(super) fn take_sends(&mut self) -> Vec<AttemptId> {
        let mut sends = Vec::new();
        self.held.retain(|(_, effect)| match effect {
            Effect::Send { attempt, .. } => {
                sends.push(*attempt);
                false
            }
            _ => true,
        });
        sends
    }

    /// Takes back the end of a drain that has run out of time, with the number of ends that wait for the disk.
    pub(super) fn give_up(&mut self, ticket: Ticket) -> Option<usize> {
        let before = self.held.len();
        self.held.retain(|(_, effect)| !matches!(effect, Effect::Drained(other, None) if *other == ticket));
        let ends = self.held.iter().filter(|(_, effect)| is_end(effect)).count();
        (self.held.len() < before).then_some(ends)
    }

    /// Lets the store finish, for a bounded time.
    pub(super) async fn close(mut self, patience: Duration, now: Timestamp) {
        self.flush(false, now);
        self.store.close();
        let over = async {
            while !matches!(self.events.recv().await, None | Some(StoreEvent::Closed | StoreEvent::Failed(_))) {}
        };
        // A disk that doesn't come back must not keep a process from ending.
        let _ = tokio::time::timeout(patience, over).await;
    }
}

/// What is told instead of an effect whose changes will never be durable here.
fn unkept(effect: Effect, error: &Error) -> Option<Effect> {
    let ticket = match effect {
        Effect::Delivered { waiter, .. } | Effect::Buried { waiter, .. } => waiter?,
        Effect::Done(ticket) | Effect::Failed(ticket, _) => ticket,
        Effect::Drained(ticket, None) => return Some(Effect::Drained(ticket, Some(0))),
        _ => return None,
    };
    Some(Effect::Failed(ticket, error.clone()))
}

fn is_end(effect: &Effect) -> bool {
    matches!(effect, Effect::Delivered { .. } | Effect::Buried { .. })
}
