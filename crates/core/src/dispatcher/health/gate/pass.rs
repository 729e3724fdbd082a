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

impl Pass {
    /// What both of two gates say.
    pub(in crate::dispatcher) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Shut(one), Self::Shut(another)) => Self::Shut(one.max(another)),
            (Self::Shut(at), _) | (_, Self::Shut(at)) => Self::Shut(at),
            (Self::AwaitProbe(one), Self::AwaitProbe(another)) => {
                Self::AwaitProbe(one.zip(another).map(|(one, another)| one.max(another)))
            }
            (Self::AwaitProbe(at), _) | (_, Self::AwaitProbe(at)) => Self::AwaitProbe(at),
            (Self::Probe, _) | (_, Self::Probe) => Self::Probe,
            (Self::Free, Self::Free) => Self::Free,
        }
    }
}
