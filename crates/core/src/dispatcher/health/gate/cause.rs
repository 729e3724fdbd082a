//! What closes a gate.

use crate::evidence::WaitSource;

/// Why the gate is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server said 429.
    Throttled(WaitSource),
    /// The server, or the way to it, is down.
    Outage,
    /// The server refuses everybody's messages in the same way.
    Refused,
    /// The credentials are refused.
    Auth,
}

impl Cause {
    /// The word in events and stats.
    pub fn word(self) -> &'static str {
        match self {
            Self::Throttled(source) => source.word(),
            Self::Outage => "breaker",
            Self::Refused => "refused",
            Self::Auth => "auth",
        }
    }

    pub(super) fn is_throttle(self) -> bool {
        matches!(self, Self::Throttled(_))
    }
}
