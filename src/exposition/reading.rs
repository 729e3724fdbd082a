//! What is read of an engine at one moment.

use spillway_core::clock::Timestamp;
use spillway_core::handle::Handle;
use spillway_core::stats::{Latencies, Snapshot};

use super::rows::escaped;

/// What an engine says of itself.
pub(super) struct Reading {
    /// Escaped.
    pub(super) organization: String,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) latencies: Latencies,
    pub(super) now: Timestamp,
}

impl Reading {
    pub(super) fn of(handle: &Handle) -> Self {
        let (snapshot, latencies) = handle.stats();
        Self { organization: escaped(handle.organization()), snapshot, latencies, now: handle.clock().now() }
    }
}
