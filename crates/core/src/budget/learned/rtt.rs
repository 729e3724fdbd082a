//! How long a slot must rest beyond the window, when whole bunches of requests are repeated.
//!
//! A single request arrives anywhere between its sending and its answer, so only a window after the *answer* is safe
//! for its slot. But slots are exchangeable: what the server counts is how many arrived, not which. Of n requests that
//! leave together, arrivals spread over the same stretch as those of the n that leave a window later, and the two
//! spreads differ by about stretch / √n: so much later is enough. The fewer are near, the longer it is, up to the
//! answer itself.
//!
//! That holds as long as answers take about what they took on average. Once they are much quicker, the average follows
//! in hundreds of them, which a small quota needs many windows for. Meanwhile nothing rests by it, and nothing is
//! gathered: a window after the answer is safe for each slot by itself.

use std::time::Duration;

use super::history::{Fate, SendHistory, SentRequest};
use crate::budget::exact::GUARD;
use crate::clock::Timestamp;

/// How many times stretch / √n. Of bunches that are repeated with 3.5, one in some thousands overtakes the one before.
const SPREADS: f64 = 3.5;
/// The weight of a new answer in the average, as of TCP's.
const WEIGHT: f64 = 1.0 / 32.0;
const STEADY_WITHIN: f64 = 0.25;
/// An answer is suspiciously quick if it took less than the average divided by this.
const TOO_QUICK: f64 = 16.0;
/// The average is outdated once this many answers in a row are that quick, or as many as are still in flight if that is
/// more: of a group of requests, the quickest answers always arrive first.
const IN_A_ROW: u32 = 4;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrips {
    /// Average time between sending and answer, in seconds; 0 before the first.
    mean: f64,
    /// The same, but it only moves when it is far off: slots of one bunch that rested unequally would part.
    steady: f64,
    /// How many answers in a row were too quick for it.
    quick: u32,
    /// What the newest of them took, in seconds, while it is in doubt for them.
    doubt: Option<f64>,
    /// When it was in doubt last: what was sent by then doesn't rest by it.
    doubted_at: Option<Timestamp>,
}

impl RoundTrips {
    pub(super) fn took(&mut self, span: Duration) {
        let seconds = span.as_secs_f64();
        self.mean = if self.mean == 0.0 { seconds } else { self.mean + (seconds - self.mean) * WEIGHT };
        if (self.mean - self.steady).abs() > self.steady * STEADY_WITHIN {
            self.steady = self.mean;
        }
    }

    /// Whether the average still holds, by an answer to a request that was accepted.
    pub(super) fn compare(&mut self, now: Timestamp, span: Duration, under_way: u64) {
        let seconds = span.as_secs_f64();
        if seconds * TOO_QUICK >= self.steady {
            (self.quick, self.doubt) = (0, None);
            return;
        }
        self.quick = self.quick.saturating_add(1);
        if self.doubt.is_some() || u64::from(self.quick) >= under_way.max(IN_A_ROW.into()) {
            (self.doubt, self.doubted_at) = (Some(seconds), Some(now));
        }
    }

    /// Slots that are free again within this time are used together: a bunch that has parted becomes one again.
    pub(super) fn gathering(&self) -> Duration {
        self.doubt.map_or(self.bunch(), |seconds| Duration::from_secs_f64(seconds / 2.0))
    }

    /// What leaves within this time is one bunch.
    pub(super) fn bunch(&self) -> Duration {
        Duration::from_secs_f64(self.steady / 2.0)
    }

    pub(super) fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.steady)
    }

    /// When the slot of a settled trip is free again; `caution` widens the spread.
    pub(super) fn free_at(&self, sent: &SentRequest, history: &SendHistory, per: Duration, margin: f64) -> Timestamp {
        let by_answer = sent.settled_at.after(per + GUARD);
        if sent.fate == Fate::Adrift || self.doubted_at.is_some_and(|at| sent.sent_at <= at) {
            // It may arrive long after the bunch that it belonged to; or nobody knows how long that is.
            return by_answer;
        }
        let near = history.near(sent.sent_at, self.mean()).max(1) as f64;
        let rest = Duration::from_secs_f64(self.steady * SPREADS * margin / near.sqrt()) + GUARD;
        let by_sending = sent.sent_at.after(per + rest);
        // A bunch stays together; a slot for itself is free when its answer says so.
        if rest < self.mean() + self.bunch() { by_sending } else { by_answer.min(by_sending) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER: Duration = Duration::from_secs(60);

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    /// What was sent together and took so many milliseconds each; when their slots are free again, after they were
    /// sent.
    fn bunch(round_trips: &mut RoundTrips, history: &mut SendHistory, sent_ms: u64, spans_ms: &[u64]) -> Vec<Duration> {
        let sent_at = at_ms(sent_ms);
        for _ in spans_ms {
            history.reserve(1);
            history.left(sent_at, 1);
        }
        let mut free = Vec::new();
        for span in spans_ms.iter().map(|ms| Duration::from_millis(*ms)) {
            let now = sent_at.after(span);
            let sent = history.settle(now, sent_at, 1, Fate::Counted);
            round_trips.took(span);
            round_trips.compare(now, span, history.on_the_wire());
            free.extend(sent.map(|sent| round_trips.free_at(&sent, history, PER, 1.0).since(sent_at)));
        }
        free
    }

    #[test]
    fn quick_answers_after_slow_ones_free_their_slots_a_window_later() {
        let (mut round_trips, mut history) = (RoundTrips::default(), SendHistory::default());
        bunch(&mut round_trips, &mut history, 0, &[40_000; 9]);
        let free = bunch(&mut round_trips, &mut history, 100_000, &[50, 50, 50, 50, 50, 50, 50, 45_000]);
        let by_answer = |ms| Duration::from_millis(ms) + PER + GUARD;
        assert!(free[0] > PER * 3 / 2, "one alone may be chance");
        assert_eq!(free[6], by_answer(50));
        assert_eq!(free[7], by_answer(45_000), "it was sent when nobody knew");
        assert_eq!(round_trips.gathering(), round_trips.bunch(), "a slow one ends the doubt");

        let free = bunch(&mut round_trips, &mut history, 200_000, &[50, 50, 50, 50, 50, 50]);
        assert_eq!(free[5], by_answer(50));
        assert_eq!(round_trips.gathering(), Duration::from_millis(25));
    }

    #[test]
    fn the_quickest_of_a_bunch_cast_no_doubt() {
        let (mut round_trips, mut history) = (RoundTrips::default(), SendHistory::default());
        let spans: Vec<u64> = (0..200).map(|index| index * 5).collect();
        for second in 0..10 {
            bunch(&mut round_trips, &mut history, second * 2_000, &spans);
            assert_eq!(round_trips.doubted_at, None);
        }
    }
}
