//! The engine thread: one a process, with its own current-thread tokio runtime, for the engines of all organizations.
//!
//! It is ours and not napi's, whose runtime stops with the environment that started it. One thread is faster than two
//! here: reqwest makes 73k requests a second on one, 60k on two.

use std::future::pending;
use std::io;

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle};

use crate::error::Error;

static RUNTIME: OnceCell<Handle> = OnceCell::new();

/// Where engines run.
///
/// # Errors
/// When the thread or what it waits on can't be made. The next call tries again.
pub(super) fn handle() -> Result<&'static Handle, Error> {
    RUNTIME.get_or_try_init(start).map_err(|error| Error::resources("start the engine thread", &error))
}

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name("spillway".to_owned()).spawn(move || runtime.block_on(pending::<()>()))?;
    // Only now: a failed start is tried again.
    super::panics::show_places_only();
    Ok(handle)
}
