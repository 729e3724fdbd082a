//! What the store knows of one host.

use std::collections::BTreeMap;

use super::Micros;
use crate::lease::identity::LeaseId;

/// One window of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The quota that is configured there.
    pub(super) requests: u32,
    pub(super) need: u32,
    pub(super) share: u32,
    pub(super) target: u32,
    pub(super) deficit: i64,
    /// What its last renewal has brought it, by when that is free.
    pub(super) fresh: Vec<(Micros, u32)>,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) lease: LeaseId,
    /// The number that opened the lease, and the last one.
    pub(super) first: u64,
    pub(super) number: u64,
    /// When that was executed.
    pub(super) at: Micros,
    pub(super) deadline: Micros,
    pub(super) weight: u32,
    /// By the window's length.
    pub(super) parts: BTreeMap<Micros, Part>,
}

impl Record {
    /// Whether its lease is in force, as the store counts.
    pub(super) fn is_live(&self, now: Micros) -> bool {
        self.deadline > now
    }

    pub(super) fn share(&self, per: Micros) -> u32 {
        self.parts.get(&per).map_or(0, |part| part.share)
    }
}
