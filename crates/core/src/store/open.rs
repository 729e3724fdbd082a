//! The one place that makes a store from the settings.

use super::file::{self, SqliteStore};
use super::pulse::Pulse;
use super::{Store, StoreEvent};
use crate::clock::Clock;
use crate::error::Error;
use crate::settings::{Ambiguous, BatchMode, Ordering, Settings, StoreSettings};

/// A store whose opening has begun: its events say how it goes.
#[derive(Debug)]
pub struct Begun {
    /// The store. Changes are welcome once [`StoreEvent::Opened`] has come.
    pub store: Box<dyn Store>,
    /// Where it is, for errors: a path for a file.
    pub place: Box<str>,
    /// Its signs of life while it opens.
    pub pulse: Pulse,
}

/// Begins to open the store that the settings name; `None` for memory, which needs none. `tell` may wait, which holds
/// up the store and nothing else.
pub fn open(
    settings: &Settings,
    clock: Clock,
    tell: Box<dyn FnMut(StoreEvent) + Send>,
) -> Result<Option<Begun>, Error> {
    match &settings.store {
        StoreSettings::Memory => Ok(None),
        StoreSettings::File { path, durability, lock_wait } => {
            let options = file::Options {
                durability: *durability,
                lock_wait: *lock_wait,
                dedupe: settings.dedupe,
                presumed_sent: presumed_sent(settings),
                ..file::Options::new(path, &settings.organization)
            };
            let store = SqliteStore::open(options, clock, tell).map_err(|error| {
                Error::config("store", format!("could not be opened: the store thread did not start: {error}"))
            })?;
            let place = path.display().to_string().into();
            let pulse = store.pulse();
            Ok(Some(Begun { store: Box::new(store), place, pulse }))
        }
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
            together.saturating_mul(settings.attempts_per_connection(true) * settings.connections.max)
        }
        (Ambiguous::Fail, Ordering::Conversation) => together,
    }
}
