//! What the store answers.

use std::time::Duration;

use super::identity::{Epoch, LeaseId};
use super::pause::Pause;
use super::renewal::Rest;

/// One window of the quota, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowGrant {
    /// The window.
    pub per: Duration,
    /// The quota of the fleet: the lowest that any of its hosts has configured.
    pub requests: u32,
    /// The slots that this host holds now, `fresh` included. This is authoritative: a host that believed to hold more,
    /// or less, was wrong.
    pub share: u32,
    /// What is due to it. If that is less than the share, the host gives the difference back as soon as slots are free
    /// or rest.
    pub target: u32,
    /// One of these is due to it for a turn: when it has used all, it gives that one back.
    pub has_turn: bool,
    /// The slots that are new in the share, by their rests, shortest first.
    pub fresh: Vec<Rest>,
}

/// The answer to a [`super::Renewal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The renewal's number.
    pub number: u64,
    /// The memory of the store.
    pub epoch: Epoch,
    /// Goes up by one with each renewal that the store executes, of whichever host.
    pub version: u64,
    /// What the store's clock shows. It says nothing but how much later another reading of the epoch is.
    pub clock: Duration,
    /// The lease.
    pub lease: LeaseId,
    /// For how long it lasts still.
    pub lasts: Duration,
    /// In the order of the renewal's.
    pub windows: Vec<WindowGrant>,
    /// Others have fewer slots than are due to them: what this host doesn't use, it gives back soon.
    pub is_short: bool,
    /// The store has forgotten who holds what, or is new: for so long it hands out only what hosts give back.
    pub forgetting: Option<Duration>,
    /// Hosts that have a lease, this one included.
    pub hosts: u32,
    /// Hosts of the fleet have configured different quotas.
    pub differs: bool,
    /// All pauses of the fleet.
    pub pauses: Vec<Pause>,
}
