//! What is found twice, with time between the looks, is believed.

use std::time::Duration;

use super::fault::{Fault, Result};
use super::options::Options;

/// What `look` finds by a connection of its own; `None` when it finds damage both times.
pub(super) fn confirmed<T>(options: &Options, look: impl Fn() -> Result<T>) -> Result<Option<T>> {
    let first = look();
    if !first.as_ref().is_err_and(Fault::is_corrupt) {
        return first.map(Some);
    }
    pause(options);
    match look() {
        Err(fault) if fault.is_corrupt() => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Lets time pass between two looks.
pub(super) fn pause(options: &Options) {
    options.pulse.beat();
    wait(options.doubt);
    options.pulse.beat();
}

#[allow(clippy::disallowed_methods, reason = "a store's own thread, and nothing can be written meanwhile")]
pub(super) fn wait(span: Duration) {
    std::thread::sleep(span);
}
