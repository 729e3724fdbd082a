//! One engine per organisation and process, whoever opens it: worker threads share statics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use once_cell::sync::Lazy;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::sink::Sink;
use super::{Command, Engine, runtime};
use crate::clock::Clock;
use crate::error::Error;
use crate::settings::Settings;
use crate::stats::{Latencies, Snapshot};

/// Open handles of an organisation at most: a thousand worker threads are far beyond any use.
const HANDLES_MAX: usize = 4_096;

static ENGINES: Lazy<Mutex<HashMap<String, Running>>> = Lazy::new(Mutex::default);

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
    clock: Clock,
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
    if let Some(running) = engines.get(&settings.organization) {
        if let Some((field, wanted, running)) = settings.difference(&running.settings) {
            return Err(Error::Conflict { field, organization: settings.organization, wanted, running });
        }
        if running.handles >= HANDLES_MAX {
            return Err(Error::config("organization", format!("has {HANDLES_MAX} open senders already: close some")));
        }
    } else {
        let running = launch(Arc::new(settings.clone()))?;
        engines.insert(settings.organization.clone(), running);
    }
    let Some(running) = engines.get_mut(&settings.organization) else { return Err(Error::Closed) };
    running.handles += 1;
    running.next_handle += 1;
    let handle = running.next_handle;
    // The engine ends only under this lock, so it is there to hear this.
    let _ = running.commands.send(Command::Join(handle, sink));
    Ok(Place {
        handle,
        commands: running.commands.clone(),
        published: Arc::clone(&running.published),
        clock: running.clock,
    })
}

fn launch(settings: Arc<Settings>) -> Result<Running, Error> {
    let (commands, inbox) = unbounded_channel();
    let published = Arc::new(Mutex::new(Published::default()));
    let clock = Clock::start();
    let engine = Engine::new(Arc::clone(&settings), clock, inbox, Arc::clone(&published))?;
    runtime::spawn(engine.run()).map_err(|error| {
        Error::config("options", format!("can't be served: the engine thread did not start: {error}"))
    })?;
    Ok(Running { settings, commands, published, clock, handles: 0, next_handle: 0 })
}

/// A handle has left: how many are left.
pub(super) fn leave(organization: &str) -> usize {
    let mut engines = lock(&ENGINES);
    engines.get_mut(organization).map_or(0, |running| {
        running.handles = running.handles.saturating_sub(1);
        running.handles
    })
}

/// Takes the engine out, unless a handle has joined meanwhile. True when it is out and may end.
pub(super) fn retire(organization: &str) -> bool {
    let mut engines = lock(&ENGINES);
    let unused = engines.get(organization).is_none_or(|running| running.handles == 0);
    if unused {
        engines.remove(organization);
    }
    unused
}

/// A lock that a panic elsewhere doesn't spoil: every value behind one is whole between two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
