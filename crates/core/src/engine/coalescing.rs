//! When callers hear of what has come together for them.
//!
//! A wake costs the caller's thread, and this one, as much as several messages do. Alone, an answer is told at once.
//! Under full load callers hear of deliveries together: the messages that they would send next have to wait for others
//! anyhow.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::dispatcher::Dispatcher;

/// This many requests on the wire are full load, if as many messages wait for nothing else: their answers come soon,
/// and no connection waits for a caller.
const ON_WIRE_MIN: usize = 16;
/// How long a delivery may wait for others then, for each sender that is woken, up to this many: it is their wakes that
/// cost.
const TOGETHER: Duration = Duration::from_millis(2);
const SENDERS_MAX: usize = 2;

/// What an engine has to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pressure {
    /// Requests that are on the wire.
    pub(super) on_wire: usize,
    /// Requests and messages that would be, if it had room. What could not go anyhow is nobody's reason to hear late.
    pub(super) waiting: usize,
}

impl Pressure {
    pub(super) fn of(dispatcher: &Dispatcher, on_wire: usize) -> Self {
        Self { on_wire, waiting: dispatcher.pressing().saturating_sub(on_wire) }
    }
}

#[derive(Debug)]
pub(super) struct Coalescing {
    told_at: Timestamp,
    /// What has come is put off until then.
    due: Option<Timestamp>,
    /// There is something among it that callers wait for before they go on.
    is_urgent: bool,
}

impl Coalescing {
    pub(super) fn new() -> Self {
        Self { told_at: Timestamp::START, due: None, is_urgent: false }
    }

    /// What has come is told at once.
    pub(super) fn hurry(&mut self) {
        self.is_urgent = true;
    }

    /// Nothing has come, or who it was for has left.
    pub(super) fn forget(&mut self) {
        (self.due, self.is_urgent) = (None, false);
    }

    /// When it is time to tell, if it isn't yet.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Whether what has come for this many senders is told now; if not, notes when it is time.
    pub(super) fn take_turn(&mut self, now: Timestamp, senders: usize, pressure: Pressure) -> bool {
        let at = self.told_at.after(TOGETHER * senders.min(SENDERS_MAX) as u32);
        let is_full = pressure.on_wire >= ON_WIRE_MIN && pressure.waiting >= pressure.on_wire;
        if is_full && !self.is_urgent && now < at {
            self.due = Some(at);
            return false;
        }
        *self = Self { told_at: now, due: None, is_urgent: false };
        true
    }
}

#[cfg(test)]
mod full_load;

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Pressure = Pressure { on_wire: ON_WIRE_MIN, waiting: ON_WIRE_MIN };

    pub(super) fn at(micros: u64) -> Timestamp {
        Timestamp::START.after(Duration::from_secs(10) + Duration::from_micros(micros))
    }

    /// Something was told at 0.
    pub(super) fn told() -> Coalescing {
        let mut coalescing = Coalescing::new();
        assert!(coalescing.take_turn(at(0), 1, FULL), "the first is told at once");
        coalescing
    }

    #[test]
    fn under_full_load_deliveries_are_told_together() {
        let mut coalescing = told();
        assert!(!coalescing.take_turn(at(10), 1, FULL));
        assert_eq!(coalescing.due(), Some(at(2_000)));
        assert!(!coalescing.take_turn(at(1_999), 1, FULL));
        assert!(coalescing.take_turn(at(2_000), 1, FULL));
        assert_eq!(coalescing.due(), None);
        assert!(!coalescing.take_turn(at(2_010), 1, FULL), "from the last time on");
        assert_eq!(coalescing.due(), Some(at(4_000)));
    }

    #[test]
    fn more_senders_are_woken_less_often_up_to_a_limit() {
        for (senders, micros) in [(1, 2_000), (SENDERS_MAX, 4_000), (4_096, 4_000)] {
            let mut coalescing = told();
            assert!(!coalescing.take_turn(at(10), senders, FULL));
            assert_eq!(coalescing.due(), Some(at(micros)));
        }
    }

    #[test]
    fn what_a_connection_or_a_caller_waits_for_is_told_at_once() {
        assert!(told().take_turn(at(10), 1, Pressure { on_wire: ON_WIRE_MIN - 1, ..FULL }));
        assert!(told().take_turn(at(10), 1, Pressure { waiting: ON_WIRE_MIN - 1, ..FULL }));
        let mut coalescing = told();
        coalescing.hurry();
        assert!(coalescing.take_turn(at(10), 1, FULL));
        assert!(!coalescing.take_turn(at(20), 1, FULL), "the next one is no more urgent for it");
    }

    #[test]
    fn what_nobody_is_there_for_is_never_due() {
        let mut coalescing = told();
        assert!(!coalescing.take_turn(at(10), 1, FULL));
        coalescing.forget();
        assert_eq!(coalescing.due(), None, "or the engine would wake for it without end");
    }

    #[test]
    fn what_was_put_off_is_told_once_the_load_is_over() {
        let mut coalescing = told();
        assert!(!coalescing.take_turn(at(10), 1, FULL));
        assert!(coalescing.take_turn(at(20), 1, Pressure { on_wire: 1, waiting: 0 }));
        assert_eq!(coalescing.due(), None);
    }
}
