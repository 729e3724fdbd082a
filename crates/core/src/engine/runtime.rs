//! The engine thread: one a process, with its own current-thread tokio runtime, for the engines of all organisations.
//!
//! It is ours and not napi's, whose runtime stops with the environment that started it. One thread is faster than two
//! here: reqwest makes 73k requests a second on one, 60k on two.

use std::future::{Future, pending};
use std::io;

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle};

static RUNTIME: OnceCell<Handle> = OnceCell::new();

/// Runs a task on the engine thread.
///
/// # Errors
/// When the thread can't be started.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    RUNTIME.get_or_try_init(start)?.spawn(task);
    Ok(())
}

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name("spillway".to_owned()).spawn(move || runtime.block_on(pending::<()>()))?;
    Ok(handle)
}
