//! One engine per organisation and process, whoever opens it: worker threads share statics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use once_cell::sync::Lazy;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::sink::Sink;
use super::{Command, Engine, runtime};
use crate::clock::{Clock, Timestamp};
use crate::dispatcher::Legacy;
use crate::error::Error;
use crate::lock::lock;
use crate::settings::Settings;
use crate::stats::{Latencies, Snapshot};

/// Open handles of an organisation at most: a thousand worker threads are far beyond any use.
const HANDLES_MAX: usize = 4_096;

/// Legacies that are kept at most; the one that ends first goes first.
const LEGACIES_MAX: usize = 4_096;

static ENGINES: Lazy<Mutex<Engines>> = Lazy::new(Mutex::default);
/// One for all engines, so that one's times mean the same to the next.
static CLOCK: Lazy<Clock> = Lazy::new(Clock::start);

#[derive(Default)]
struct Engines {
    running: HashMap<String, Running>,
    /// By organisation and API URL: another server has counted nothing yet.
    legacies: HashMap<(String, String), Legacy>,
}

impl Engines {
    fn keep(&mut self, key: (String, String), legacy: Legacy, now: Timestamp) {
        self.legacies.insert(key, legacy);
        self.legacies.retain(|_, legacy| legacy.until() > now);
        if self.legacies.len() > LEGACIES_MAX {
            let first = self.legacies.iter().min_by_key(|(_, legacy)| legacy.until()).map(|(key, _)| key.clone());
            first.and_then(|key| self.legacies.remove(&key));
        }
    }
}

/// What is published of an engine for `stats()`.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) latencies: Latencies,
}

struct Running {
    settings: Arc<Settings>,
    commands: UnboundedSender<Command>,
    published: Arc<Mutex<Published>>,
    handles: usize,
    next_handle: u32,
}

/// A place at an engine.
pub(crate) struct Place {
    pub(crate) handle: u32,
    pub(crate) commands: UnboundedSender<Command>,
    pub(crate) published: Arc<Mutex<Published>>,
    pub(crate) clock: Clock,
}

/// Joins the organisation's engine, or starts it.
pub(crate) fn join(settings: Settings, sink: Arc<dyn Sink>) -> Result<Place, Error> {
    let mut engines = lock(&ENGINES);
    if let Some(running) = engines.running.get(&settings.organization) {
        if let Some((field, wanted, running)) = settings.difference(&running.settings) {
            return Err(Error::Conflict { field, organization: settings.organization, wanted, running });
        }
        if running.handles >= HANDLES_MAX {
            return Err(Error::config("organization", format!("has {HANDLES_MAX} open senders already: close some")));
        }
    } else {
        // A file remembers by itself, and what another process did with it meanwhile, too.
        let remembers = settings.store.is_durable();
        let legacy = if remembers { None } else { engines.legacies.get(&legacy_key(&settings)).cloned() };
        let running = launch(Arc::new(settings.clone()), legacy)?;
        engines.running.insert(settings.organization.clone(), running);
    }
    let Some(running) = engines.running.get_mut(&settings.organization) else { return Err(Error::Closed) };
    running.handles += 1;
    running.next_handle += 1;
    let handle = running.next_handle;
    // The engine ends only under this lock, so it is there to hear this.
    let _ = running.commands.send(Command::Join(handle, sink));
    Ok(Place { handle, commands: running.commands.clone(), published: Arc::clone(&running.published), clock: *CLOCK })
}

fn launch(settings: Arc<Settings>, legacy: Option<Legacy>) -> Result<Running, Error> {
    let (commands, inbox) = unbounded_channel();
    let published = Arc::new(Mutex::new(Published::default()));
    let engine = Engine::new(Arc::clone(&settings), *CLOCK, inbox, Arc::clone(&published), legacy)?;
    runtime::spawn(engine.run()).map_err(|error| {
        Error::config("options", format!("can't be served: the engine thread did not start: {error}"))
    })?;
    Ok(Running { settings, commands, published, handles: 0, next_handle: 0 })
}

/// A handle has left.
pub(super) fn leave(organization: &str) {
    if let Some(running) = lock(&ENGINES).running.get_mut(organization) {
        running.handles = running.handles.saturating_sub(1);
    }
}

/// Takes the engine out and keeps its legacy, unless a handle has joined meanwhile. True when it is out and may end.
pub(super) fn retire(settings: &Settings, now: Timestamp, legacy: impl FnOnce() -> Legacy) -> bool {
    let mut engines = lock(&ENGINES);
    if engines.running.get(&settings.organization).is_some_and(|running| running.handles > 0) {
        return false;
    }
    engines.running.remove(&settings.organization);
    engines.keep(legacy_key(settings), legacy(), now);
    true
}

/// Takes out an engine that could not begin, or that has failed: the next one to open gets another.
pub(super) fn abandon(settings: &Settings) {
    lock(&ENGINES).running.remove(&settings.organization);
}

fn legacy_key(settings: &Settings) -> (String, String) {
    (settings.organization.clone(), settings.api_url.clone())
}
