//! The engine's side of its store: changes are handed over, and what must not be seen before they are durable is
//! held back until they are. A request leaves, and a promise settles, on the far side of the disk.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};

use crate::clock::Clock;
use crate::dispatcher::{AttemptId, Effect};
use crate::error::Error;
use crate::lanes::Slot;
use crate::message::Ticket;
use crate::settings::{Ambiguous, BatchMode, Ordering, Settings, StoreSettings};
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{Change, Handover, News, Seq, Store};

/// News on their way to the engine; the store waits while so many are.
const NEWS_MAX: usize = 64;

/// A store, and what waits for it.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Box<dyn Store>,
    news: Receiver<News>,
    changes: Handover,
    loads: Vec<(Slot, Seq)>,
    /// The number of the last change that is durable.
    durable: u64,
    /// With the number of the last change that was told before.
    held: VecDeque<(u64, Effect)>,
}

impl Keeper {
    /// Opens the store that the settings name; none for memory.
    pub(super) fn open(settings: &Settings, clock: Clock) -> Result<Option<Self>, Error> {
        let StoreSettings::File { path, durability } = &settings.store else { return Ok(None) };
        let (teller, news) = channel(NEWS_MAX);
        let options = sqlite::Options {
            durability: *durability,
            dedupe: settings.dedupe,
            presumed_sent: presumed_sent(settings),
            ..sqlite::Options::new(path, &settings.organization)
        };
        // Nobody listens any more once the engine has ended.
        let tell = Box::new(move |news| drop(teller.blocking_send(news)));
        let store = SqliteStore::open(options, clock, tell)
            .map_err(|error| Error::config("store", format!("can't be served: its thread did not start: {error}")))?;
        Ok(Some(Self {
            store: Box::new(store),
            news,
            changes: Handover::default(),
            loads: Vec::new(),
            durable: 0,
            held: VecDeque::new(),
        }))
    }

    /// The next news; none when the store has ended.
    pub(super) async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }

    pub(super) fn try_next(&mut self) -> Option<News> {
        self.news.try_recv().ok()
    }

    pub(super) fn keep(&mut self, change: Change) {
        self.changes.keep(change);
    }

    pub(super) fn load(&mut self, messages: Vec<(Slot, Seq)>) {
        self.loads.extend(messages);
    }

    /// Hands over what the turn has brought. `sending`: requests are on the wire, and others will follow.
    pub(super) fn flush(&mut self, sending: bool) {
        let changes = self.changes.take(sending);
        if !changes.is_empty() {
            self.store.apply(changes);
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
        self.held.push_back((self.changes.told(), effect));
        None
    }

    /// Changes up to this one are durable, and so many inserts among them.
    pub(super) fn committed(&mut self, up_to: u64, inserts: usize) {
        self.durable = self.durable.max(up_to);
        self.changes.settled(inserts);
    }

    /// So many inserts are not kept.
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
    pub(super) async fn close(mut self, patience: Duration) {
        self.flush(false);
        self.store.close();
        let over = async { while !matches!(self.news.recv().await, None | Some(News::Closed | News::Failed(_))) {} };
        // A disk that doesn't come back must not keep a process from ending.
        let _ = tokio::time::timeout(patience, over).await;
    }
}

/// How many messages of one conversation may be on the wire, where none of them may be sent twice.
fn presumed_sent(settings: &Settings) -> usize {
    let together = match settings.batch.mode {
        BatchMode::None => 1,
        // It takes one message of each conversation.
        BatchMode::Array if !settings.batch.array_ordered && settings.ordering == Ordering::Conversation => 1,
        BatchMode::Array | BatchMode::Merge => settings.batch.max_messages,
    };
    match (settings.retry.ambiguous, settings.ordering) {
        (Ambiguous::Retry, _) => 0,
        (Ambiguous::Fail, Ordering::None) => {
            together.saturating_mul(settings.attempts_per_connection() * settings.connections.max)
        }
        (Ambiguous::Fail, Ordering::Conversation) => together,
    }
}

fn is_end(effect: &Effect) -> bool {
    matches!(effect, Effect::Delivered { .. } | Effect::Buried { .. })
}
