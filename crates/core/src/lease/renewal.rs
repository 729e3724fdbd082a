//! What a host says.

use std::num::NonZeroU32;
use std::time::Duration;

use super::identity::{Epoch, Host, LeaseId};
use super::pause::{PauseReport, Scope};

/// Slots that have the same rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// In how long they are free; zero if they are now.
    pub span: Duration,
    /// How many.
    pub slots: u32,
}

/// The last state of the store that a host knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The memory of the store.
    pub epoch: Epoch,
    /// Its version.
    pub version: u64,
    /// The lease that the host goes on with.
    pub lease: LeaseId,
    /// What the store's clock has shown by a grant of this epoch.
    pub clock: Duration,
    /// What has passed since then at least: from when the host heard that grant until it sent this. The store believes
    /// its own clock no further.
    pub since: Duration,
    /// Whether the lease was in force when the renewal was sent. If not, what the host holds is no evidence for a
    /// store that has forgotten.
    pub is_live: bool,
}

/// One window of the quota, as a host has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowReport {
    /// The window; each of a renewal has another length. It names the window.
    pub per: Duration,
    /// The quota that is configured on this host. The lowest of the fleet counts.
    pub requests: NonZeroU32,
    /// Slots that the host holds, those that it gives back by this renewal included.
    pub held: u32,
    /// Slots that the host can use: what it has used lately, and what waits. Zero: nothing.
    pub need: u32,
    /// Slots that it gives back, by their rests, shortest first. It no longer uses them from before it has sent this.
    pub back: Vec<Rest>,
}

/// What a host says: asks for its lease, or for a longer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Who.
    pub host: Host,
    /// Goes up by one for each renewal whose answer was heard. The first is 1.
    pub number: u64,
    /// What it knows of the store: none if it has no lease, or has lost it.
    pub seen: Option<Seen>,
    /// Conversations with messages that could leave: the weight of the host.
    pub weight: u32,
    /// Requests that have left since the renewal before.
    pub sent: u32,
    /// For how long the lease is to last.
    pub lasts: Duration,
    /// The windows of the quota, shortest first.
    pub windows: Vec<WindowReport>,
    /// What it has to say about pauses, in order.
    pub pauses: Vec<PauseReport>,
    /// Scopes that the fleet has paused, and that this host would probe now: it wants their tokens.
    pub probes: Vec<Scope>,
    /// A random number below 2 to the power of 53, another one in each repetition: the next epoch's name, if the store
    /// has to begin one.
    pub draw: u64,
}
