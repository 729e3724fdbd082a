//! One engine per organization and process, whoever opens it: worker threads share statics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use once_cell::sync::Lazy;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::sink::Sink;
use super::{Command, Engine, runtime};
use crate::clock::{Clock, Timestamp};
use crate::dispatcher::Carryover;
use crate::error::Error;
use crate::http::Client;
use crate::lock::lock;
use crate::settings::Settings;
use crate::stats::{Latencies, Snapshot};
use crate::totals::Totals;

/// Open handles of an organization at most: a thousand worker threads are far beyond any use.
const HANDLES_MAX: usize = 4_096;

/// Carryovers that are kept at most; the one that ends first goes first.
const CARRYOVERS_MAX: usize = 4_096;

static ENGINES: Lazy<Mutex<Engines>> = Lazy::new(Mutex::default);
/// One for all engines, so that one's times mean the same to the next.
static CLOCK: Lazy<Clock> = Lazy::new(Clock::start);
/// What all organizations hold together.
static TOTALS: Lazy<Arc<Totals>> = Lazy::new(Arc::default);

#[derive(Default)]
struct Engines {
    running: HashMap<String, Running>,
    /// By organization and API URL: another server has counted nothing yet.
    carryovers: HashMap<(String, String), Carryover>,
}

impl Engines {
    fn keep(&mut self, key: (String, String), carryover: Carryover, now: Timestamp) {
        self.carryovers.insert(key, carryover);
        self.carryovers.retain(|_, carryover| carryover.until() > now);
        if self.carryovers.len() > CARRYOVERS_MAX {
            let first =
                self.carryovers.iter().min_by_key(|(_, carryover)| carryover.until()).map(|(key, _)| key.clone());
            first.and_then(|key| self.carryovers.remove(&key));
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
pub(crate) struct Registration {
    pub(crate) handle: u32,
    pub(crate) commands: UnboundedSender<Command>,
    pub(crate) published: Arc<Mutex<Published>>,
    pub(crate) clock: Clock,
}

/// What all organizations of the process hold together.
pub(crate) fn totals() -> Arc<Totals> {
    Arc::clone(&TOTALS)
}

/// Joins the organization's engine, or starts it.
pub(crate) fn join(settings: Settings, sink: Arc<dyn Sink>) -> Result<Registration, Error> {
    if let Some(place) = lock(&ENGINES).seat(&settings, &sink)? {
        return Ok(place);
    }
    // What can fail, or reads files, happens without the lock: no other organization waits for it, and whatever is
    // dropped on the way may take the lock itself.
    let runtime = runtime::handle()?;
    let settings = Arc::new(settings);
    let client = Client::new(Arc::clone(&settings))?;
    let (place, launch) = lock(&ENGINES).seat_or_launch(&settings, &sink, client)?;
    if let Some(engine) = launch {
        runtime.spawn(Box::new(engine).run());
    }
    Ok(place)
}

impl Engines {
    /// A place at the organization's engine; `None` if it has none.
    fn seat(&mut self, settings: &Settings, sink: &Arc<dyn Sink>) -> Result<Option<Registration>, Error> {
        let Some(running) = self.running.get_mut(&settings.organization) else { return Ok(None) };
        if let Some((field, wanted, running)) = settings.difference(&running.settings) {
            let organization = settings.organization.clone();
            return Err(Error::Conflict { field, organization, wanted, running });
        }
        if running.handles >= HANDLES_MAX {
            return Err(Error::config("organization", format!("has {HANDLES_MAX} open senders already: close some")));
        }
        running.handles += 1;
        running.next_handle += 1;
        let handle = running.next_handle;
        // The engine ends only under the registry's lock, so it is there to hear this.
        let _ = running.commands.send(Command::Join(handle, Arc::clone(sink)));
        let (commands, published) = (running.commands.clone(), Arc::clone(&running.published));
        Ok(Some(Registration { handle, commands, published, clock: *CLOCK }))
    }

    /// A place at the organization's engine, which another thread may have launched meanwhile; else the engine that is
    /// to be run comes with it.
    fn seat_or_launch(
        &mut self,
        settings: &Arc<Settings>,
        sink: &Arc<dyn Sink>,
        client: Client,
    ) -> Result<(Registration, Option<Engine>), Error> {
        if let Some(place) = self.seat(settings, sink)? {
            return Ok((place, None));
        }
        // A file remembers by itself, and what another process did with it meanwhile, too.
        let remembers = settings.store.is_durable();
        let carryover = if remembers { None } else { self.carryovers.get(&carryover_key(settings)).cloned() };
        let (commands, inbox) = unbounded_channel();
        let published = Arc::new(Mutex::new(Published::default()));
        let engine = Engine::new(Arc::clone(settings), client, *CLOCK, inbox, Arc::clone(&published), carryover);
        let settings = Arc::clone(settings);
        self.running.insert(
            settings.organization.clone(),
            Running { settings, commands, published, handles: 0, next_handle: 0 },
        );
        let seated = self.seat(&engine.settings, sink);
        debug_assert!(matches!(seated, Ok(Some(_))), "a new engine has the settings of its first handle");
        match seated? {
            Some(place) => Ok((place, Some(engine))),
            None => Err(Error::Closed),
        }
    }
}

/// A handle has left.
pub(super) fn leave(organization: &str) {
    if let Some(running) = lock(&ENGINES).running.get_mut(organization) {
        debug_assert!(running.handles > 0, "a handle leaves once");
        running.handles -= 1;
    }
}

/// Takes the engine out and keeps its carryover, unless a handle has joined meanwhile. True when it is out and may end.
pub(super) fn retire(settings: &Settings, now: Timestamp, carryover: impl FnOnce() -> Carryover) -> bool {
    let mut engines = lock(&ENGINES);
    if engines.running.get(&settings.organization).is_some_and(|running| running.handles > 0) {
        return false;
    }
    engines.running.remove(&settings.organization);
    engines.keep(carryover_key(settings), carryover(), now);
    true
}

/// Takes out an engine that could not begin, or that has failed: the next one to open gets another.
pub(super) fn abandon(settings: &Settings) {
    lock(&ENGINES).running.remove(&settings.organization);
}

fn carryover_key(settings: &Settings) -> (String, String) {
    (settings.organization.clone(), settings.api_url.clone())
}
