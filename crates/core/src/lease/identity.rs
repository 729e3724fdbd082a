//! What names hosts, leases and memories of the store.

use std::fmt;

/// A host: one engine of an organization in one process. Drawn at random when the engine starts
/// ([`crate::random::Random::draw`]), and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(pub u64);

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:014x}", self.0)
    }
}

/// Names a memory of the store: drawn at random when the store begins to keep an organization's budget, or finds that
/// it has forgotten. The store takes it from [`Renewal::draw`], since a script has no chance of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Names a lease within an epoch: the version of the store at which it was opened. All renewals of a lease carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);
