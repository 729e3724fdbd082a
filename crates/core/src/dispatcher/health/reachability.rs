//! Whether the host can be reached, while no connection can be made: a bare attempt to connect is no request to the
//! server, so it may go more often than a probe, and when it succeeds the probe goes at once.

use std::time::Duration;

use super::{Cause, Health};
use crate::clock::Timestamp;
use crate::random::Random;

/// Between two checks: this time, and up to twice as long. What organizations of one host know of one another
/// (`http/reachability`) is news for as long.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// What is known of the host in an outage of the organization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reachability {
    /// Nothing is to be checked: there is no outage, or the server itself fails.
    #[default]
    Unchecked,
    /// It can't be reached; the next check is at this time.
    Due(Timestamp),
    /// A check is under way.
    Checking,
    /// It can be reached again, so a request probes.
    Reachable,
    /// A request failed though a connection could be made: connections tell nothing about this outage.
    Inconclusive,
}

impl Reachability {
    /// No connection could be made. `is_asked`: nothing may go for a while in any case.
    pub(super) fn unsent(&mut self, now: Timestamp, is_asked: bool, random: &mut Random) {
        *self = match *self {
            Self::Reachable | Self::Inconclusive => Self::Inconclusive,
            Self::Unchecked | Self::Due(_) | Self::Checking if is_asked => Self::Unchecked,
            Self::Unchecked => Self::next(now, random),
            known @ (Self::Due(_) | Self::Checking) => known,
        };
    }

    /// A request was sent, and failed.
    pub(super) fn sent(&mut self) {
        *self = match *self {
            Self::Reachable | Self::Inconclusive => Self::Inconclusive,
            Self::Unchecked | Self::Due(_) | Self::Checking => Self::Unchecked,
        };
    }

    fn next(now: Timestamp, random: &mut Random) -> Self {
        Self::Due(now.after(random.between(CHECK_EVERY, 2 * CHECK_EVERY)))
    }
}

impl Health {
    /// When the host is to be checked, if it is.
    pub(in crate::dispatcher) fn check_due_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self.reachability {
            Reachability::Due(at) if self.may_check(now) => Some(at),
            _ => None,
        }
    }

    /// Only while an outage would hold a probe back.
    fn may_check(&self, now: Timestamp) -> bool {
        self.operator_hold.is_none()
            && self.organization.closed_by() == Some(Cause::Outage)
            && self.organization.is_shut(now)
    }

    pub(in crate::dispatcher) fn checks_host(&mut self) {
        debug_assert!(matches!(self.reachability, Reachability::Due(_)), "one check at a time");
        self.reachability = Reachability::Checking;
    }

    /// A check has ended. One that reaches the host has the next request probe at once.
    pub(in crate::dispatcher) fn host_checked(&mut self, now: Timestamp, is_reachable: bool, random: &mut Random) {
        if self.reachability != Reachability::Checking {
            return;
        }
        self.reachability = if is_reachable && self.may_check(now) {
            self.organization.make_due(now);
            Reachability::Reachable
        } else {
            Reachability::next(now, random)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    #[test]
    fn it_is_checked_once_or_twice_in_two_seconds() {
        let mut random = Random::from_seed(1);
        for _ in 0..1_000 {
            let mut reachability = Reachability::default();
            reachability.unsent(at(0), false, &mut random);
            let Reachability::Due(due) = reachability else { panic!("a check is due") };
            assert!(due >= at(1_000) && due < at(2_000));
            reachability.unsent(at(500), false, &mut random);
            assert_eq!(reachability, Reachability::Due(due), "another failure puts nothing off");
        }
    }

    #[test]
    fn where_connections_can_be_made_or_a_wait_is_asked_for_nothing_is_checked() {
        let mut random = Random::from_seed(1);
        let mut unsent = |mut from: Reachability, is_asked| {
            from.unsent(at(0), is_asked, &mut random);
            from
        };
        assert_eq!(unsent(Reachability::Reachable, false), Reachability::Inconclusive);
        assert_eq!(unsent(Reachability::Inconclusive, false), Reachability::Inconclusive, "until the outage is over");
        assert_eq!(unsent(Reachability::Unchecked, true), Reachability::Unchecked);
        assert_eq!(unsent(Reachability::Due(at(1)), true), Reachability::Unchecked);
        for (from, to) in [
            (Reachability::Due(at(1)), Reachability::Unchecked),
            (Reachability::Checking, Reachability::Unchecked),
            (Reachability::Reachable, Reachability::Inconclusive),
        ] {
            let mut reachability = from;
            reachability.sent();
            assert_eq!(reachability, to);
        }
    }
}
