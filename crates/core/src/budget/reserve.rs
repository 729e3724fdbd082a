//! The second half of a long window's budget: it is spread, so that who comes late needn't wait for the next window.
//!
//! A whole budget may leave at once, and comes back at once, a window later. That is right while all who want to send
//! are served by it. With a window of a minute it shuts out for most of it whoever comes after, and for good: what
//! left together comes back together. So those who have sent lately leave half of it alone, but for an even share of
//! the time until more comes back. After a window or two their requests are spread over all of it, and nothing is lost
//! by that: each slot is used again as soon as it is free.

use std::time::Duration;

use super::slots::Slots;
use crate::clock::Timestamp;

/// Of shorter windows nobody waits for long.
const WINDOW_MIN: Duration = Duration::from_secs(10);
/// The reserve is one part in this many.
const PARTS: u32 = 2;

/// Who may use what is free now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Everybody.
    All,
    /// Those who come late, and then one of the others.
    Late,
    /// Those who come late alone, until this time.
    LateUntil(Timestamp),
}

impl Turn {
    /// Where both hold.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, turn) | (turn, Self::All) => turn,
            (Self::LateUntil(one), Self::LateUntil(other)) => Self::LateUntil(one.max(other)),
            (Self::LateUntil(at), Self::Late) | (Self::Late, Self::LateUntil(at)) => Self::LateUntil(at),
            (Self::Late, Self::Late) => Self::Late,
        }
    }

    /// The lower, the more may go.
    pub(super) fn rank(self) -> (u8, Timestamp) {
        match self {
            Self::All => (0, Timestamp::START),
            Self::Late => (1, Timestamp::START),
            Self::LateUntil(at) => (2, at),
        }
    }
}

/// Of a window's slots, if the newest of them was taken at `last`.
pub(super) fn turn(now: Timestamp, last: Option<Timestamp>, slots: &Slots, limit: u32, per: Duration) -> Turn {
    let free = slots.available(now, limit);
    if per < WINDOW_MIN || free >= limit.div_ceil(PARTS) {
        return Turn::All;
    }
    let due = last.map(|last| last.after(slots.even_gap(now, last, free, per)));
    due.filter(|due| *due > now).map_or(Turn::Late, Turn::LateUntil)
}

/// For how long nobody is late who has sent: none if there is no reserve of so long a window.
pub(super) fn memory(per: Duration) -> Option<Duration> {
    Some(per).filter(|per| *per >= WINDOW_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at_s(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    /// So many requests that were answered at a time hold a slot for a minute.
    fn spent(spent: &[(u64, u32)]) -> Slots {
        let mut slots = Slots::default();
        spent.iter().for_each(|(at, count)| slots.hold(at_s(*at).after(MINUTE), *count));
        slots
    }

    #[test]
    fn half_of_a_long_window_is_everybodys() {
        let ask = |count, per| turn(at_s(101), Some(at_s(101)), &spent(&[(100, count)]), 100, per);
        assert_eq!(ask(50, MINUTE), Turn::All);
        assert!(matches!(ask(51, MINUTE), Turn::LateUntil(_)));
        assert_eq!(ask(51, Duration::from_secs(9)), Turn::All, "a short window has no reserve");
    }

    #[test]
    fn what_is_left_lasts_until_more_comes_back() {
        // Nothing comes back for 56 seconds: there are 7 gaps between the 6 that are left.
        let slots = spent(&[(100, 94)]);
        assert_eq!(turn(at_s(105), Some(at_s(104)), &slots, 100, MINUTE), Turn::LateUntil(at_s(112)));
        assert_eq!(turn(at_s(112), Some(at_s(104)), &slots, 100, MINUTE), Turn::Late, "it is due");
        assert_eq!(turn(at_s(105), None, &slots, 100, MINUTE), Turn::Late);
        // Plenty soon, and nothing for long after it: what comes back has to last, too.
        let slots = spent(&[(46, 20), (100, 74)]);
        let Turn::LateUntil(at) = turn(at_s(105), Some(at_s(105)), &slots, 100, MINUTE) else { panic!("at once") };
        assert_eq!(at.since(at_s(105)).as_millis(), 55_000 / 27);
    }

    #[test]
    fn who_uses_each_turn_never_waits_for_a_window_again() {
        // A minute's quota of 60 to which all 60 came at once: whoever takes every turn ends at one a second.
        let mut slots = Slots::default();
        let (mut now, mut last) = (at_s(1_000), None);
        let mut longest = Duration::ZERO;
        for _ in 0..300 {
            loop {
                match slots.check(now, 1, 60) {
                    Ok(()) => {}
                    Err(super::super::NotYet::Until(at)) => {
                        now = at;
                        continue;
                    }
                    Err(_) => panic!("nothing is on the wire"),
                }
                match turn(now, last, &slots, 60, MINUTE) {
                    Turn::LateUntil(at) => now = at,
                    _ => break,
                }
            }
            longest = last.map_or(longest, |last| longest.max(now.since(last)));
            last = Some(now);
            slots.hold(now.after(MINUTE), 1);
        }
        assert!(longest < Duration::from_secs(3), "{longest:?}");
        let taken = now.since(at_s(1_000));
        assert!(taken <= Duration::from_secs(300), "five minutes' worth took {taken:?}");
    }
}
