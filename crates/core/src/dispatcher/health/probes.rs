//! Which request probes, and for how long it is waited for alone.

use std::collections::VecDeque;
use std::time::Duration;

use super::routes::RouteId;
use crate::lanes::LaneId;

/// A probe is slow when it has been out for this many usual round trips, within these bounds.
const ROUND_TRIPS: u32 = 4;
const PATIENCE_MIN: Duration = Duration::from_secs(1);
const PATIENCE_MAX: Duration = Duration::from_secs(5);
/// The share of a new round trip in the usual one.
const WEIGHT: u32 = 8;

/// How long a probe is waited for before one more may go.
#[derive(Debug, Default)]
pub(super) struct Patience {
    round_trip: Option<Duration>,
}

impl Patience {
    /// A request was answered after this time.
    pub(super) fn learn(&mut self, took: Duration) {
        self.round_trip = Some(match self.round_trip {
            None => took,
            Some(usual) => usual - usual / WEIGHT + took / WEIGHT,
        });
    }

    pub(super) fn get(&self) -> Duration {
        self.round_trip.map_or(PATIENCE_MIN, |usual| usual * ROUND_TRIPS).clamp(PATIENCE_MIN, PATIENCE_MAX)
    }
}

/// A request that might probe.
#[derive(Clone, Copy, Debug)]
pub(in crate::dispatcher) struct Prospect {
    pub(in crate::dispatcher) lane: LaneId,
    pub(in crate::dispatcher) route: RouteId,
    /// Its caller gives it more time than others have.
    pub(in crate::dispatcher) is_slow: bool,
}

/// Probes that are remembered: of more lanes than these, probes rotate over as many.
const HISTORY: usize = 64;

/// How well a request would do as a probe, the lower the better. What probed last has its turn after everything else
/// that waits, since it may be the one thing that fails; a slow call is the last resort; and a message comes before a
/// call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::dispatcher) struct Rank {
    is_slow: bool,
    /// 0 has not probed for long; the one that probed last has the highest number.
    recency: usize,
    /// While calls wait too, messages and these probe in turn.
    is_third_of_route: bool,
    is_call: bool,
}

/// What probed, the newest last.
#[derive(Debug, Default)]
pub(super) struct Probed {
    history: VecDeque<(RouteId, LaneId)>,
}

impl Probed {
    pub(super) fn note(&mut self, route: RouteId, lane: LaneId) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back((route, lane));
    }

    pub(super) fn was_last(&self, prospect: Prospect) -> bool {
        self.history.back() == Some(&(prospect.route, prospect.lane))
    }

    /// How well this one would do.
    pub(super) fn rank(&self, prospect: Prospect) -> Rank {
        let Prospect { lane, route, is_slow } = prospect;
        let position = self.history.iter().rposition(|probe| *probe == (route, lane));
        let mut last_routes = self.history.iter().rev().take(2).map(|(last, _)| *last);
        let is_third_of_route = self.history.len() >= 2 && last_routes.all(|last| last == route);
        let recency = position.map_or(0, |position| position + 1);
        Rank { is_slow, recency, is_third_of_route, is_call: route != RouteId::MESSAGES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: RouteId = RouteId::of(7);

    fn message(lane: LaneId) -> Prospect {
        Prospect { lane, route: RouteId::MESSAGES, is_slow: false }
    }

    fn call(lane: LaneId, is_slow: bool) -> Prospect {
        Prospect { lane, route: CALL, is_slow }
    }

    #[test]
    fn patience_is_a_few_round_trips_within_bounds() {
        let mut patience = Patience::default();
        assert_eq!(patience.get(), PATIENCE_MIN);
        (0..100).for_each(|_| patience.learn(Duration::from_millis(10)));
        assert_eq!(patience.get(), PATIENCE_MIN);
        (0..100).for_each(|_| patience.learn(Duration::from_millis(500)));
        assert!(patience.get() > Duration::from_millis(1_900) && patience.get() <= Duration::from_secs(2));
        (0..100).for_each(|_| patience.learn(Duration::from_secs(60)));
        assert_eq!(patience.get(), PATIENCE_MAX);
    }

    #[test]
    fn messages_probe_before_calls_and_slow_calls_last() {
        let probed = Probed::default();
        assert!(probed.rank(message(1)) < probed.rank(call(2, false)));
        assert!(probed.rank(call(2, false)) < probed.rank(call(3, true)));
    }

    #[test]
    fn every_lane_has_its_turn() {
        let mut probed = Probed::default();
        let mut turns = [0; 10];
        for _ in 0..100 {
            let lane = (0..10).min_by_key(|lane| probed.rank(message(*lane))).unwrap_or_default();
            probed.note(RouteId::MESSAGES, lane);
            turns[lane as usize] += 1;
        }
        assert_eq!(turns, [10; 10]);
    }

    #[test]
    fn probes_rotate_over_lanes_and_routes() {
        let mut probed = Probed::default();
        probed.note(RouteId::MESSAGES, 1);
        assert!(probed.rank(message(2)) < probed.rank(message(1)));
        assert!(probed.rank(message(2)) < probed.rank(call(3, false)));
        probed.note(RouteId::MESSAGES, 2);
        assert!(probed.rank(call(3, false)) < probed.rank(message(4)), "the messages' route had two turns");
        probed.note(CALL, 3);
        assert!(probed.rank(message(4)) < probed.rank(call(5, false)));
    }
}
