//! The setting `budget`: hosts share the quota.

use super::rate::Rate;

/// What a host does when its lease is over and the store of the fleet can't be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnreachable {
    /// Send nothing until it can.
    Hold,
    /// Send at this rate, of its own.
    Static(Rate),
}

/// The quota is shared with other hosts: each leases a part of the rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// What happens without the store.
    pub when_unreachable: WhenUnreachable,
}
