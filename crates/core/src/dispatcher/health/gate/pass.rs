//! What a gate says to a request.

use crate::clock::Timestamp;

/// Whether a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum Pass {
    /// Go.
    Free,
    /// One may go, and decides.
    Probe,
    /// None before this time.
    Shut(Timestamp),
    /// None before the probe's answer, or this time.
    AwaitProbe(Option<Timestamp>),
}
