//! The window of a limit of which headers tell the requests and what is left of them, but neither a length nor a reset.
//!
//! It begins with a minute, and is made shorter by proof alone. Each answer says how much the server counts. Where that
//! is less than what we know to have arrived, some of it no longer counts: between the two moments
//!
//! - a window has ended, if it is a fixed one: with two ends in a stretch of time the window is no longer than the
//!   stretch;
//! - a window has gone by, if it rolls: the same bound holds;
//! - so much has flowed back, if it is a bucket.
//!
//! Which of them it is isn't known, so the longest bound counts. Others that use the quota only add to what is counted:
//! they may hide a proof, and make none. While it is looked for, requests leave somewhat evenly, so that answers can
//! show it.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use super::history::SendHistory;
use crate::budget::NotYet;
use crate::budget::pacer::Pacer;
use crate::clock::Timestamp;
use crate::settings::Rate;

/// Until something is proved.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_secs(1);
/// Lengths in use: of those that the proof admits it is the longest.
const USUAL_SECONDS: [u64; 8] = [60, 30, 20, 15, 10, 5, 2, 1];
/// While it is looked for, the requests of a window take this part of it, after as large a part of them ...
const PACE: u32 = 8;
/// ... but no less than this: if the shortest window can spend them all, their answers show no more than that it has
/// gone by.
const PACE_MIN: Duration = Duration::from_millis(1_500);
const EDGES_MAX: usize = 8;
const ANSWERS_MAX: usize = 32;
/// How many requests are looked back upon.
const WALK_MAX: usize = 4_096;
/// After this many answers without a proof, and all requests of a window, it is a minute; until it is looked again.
const ANSWERS_ENOUGH: u32 = 8;
const EDGE_IS_NEWS: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_secs(600);
/// What was proved was refuted.
const QUIET_AFTER_ERROR: Duration = Duration::from_secs(300);
/// Two falls of what is counted within this time are no minute's.
const FALLS_WITHIN: Duration = Duration::from_secs(10);

/// What an answer has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// The window, if it is shorter than was thought.
    pub(super) per: Option<Duration>,
    /// Of what has arrived before the request was sent, only what the server counts still does.
    pub(super) is_less: bool,
}

#[derive(Debug)]
pub(super) struct WindowEstimate {
    /// Nothing before this is evidence; and nothing is looked for before it.
    since: Timestamp,
    /// Stretches of time in each of which a window ended, one after the other.
    edges: VecDeque<(Timestamp, Timestamp)>,
    /// The newest answers: when their requests were sent, when they came, and what was counted.
    answers: VecDeque<(Timestamp, Timestamp, u64)>,
    heard: u32,
    /// The longest that it can be, if it is a window; and if it is a bucket.
    by_edges: Option<Duration>,
    by_refill: Option<Duration>,
    /// The last two times that less was counted than before, by more than a few.
    falls: [Option<Timestamp>; 2],
    pace: Option<(Pacer, u32, Duration)>,
}

impl WindowEstimate {
    pub(super) fn new(since: Timestamp) -> Self {
        Self {
            since,
            edges: VecDeque::new(),
            answers: VecDeque::new(),
            heard: 0,
            by_edges: None,
            by_refill: None,
            falls: [None; 2],
            pace: None,
        }
    }

    /// After a refusal that the window doesn't explain.
    pub(super) fn refuted(now: Timestamp) -> Self {
        Self::new(now.after(QUIET_AFTER_ERROR))
    }

    /// Another number of requests: what was counted of the one before says nothing of it.
    pub(super) fn renumbered(&mut self, now: Timestamp) {
        *self = Self::new(self.since.max(now));
    }

    fn looks(&self, now: Timestamp, per: Duration) -> bool {
        per > SHORTEST && now >= self.since
    }

    pub(super) fn check(&mut self, now: Timestamp, cost: u32, requests: u32, per: Duration) -> Result<(), NotYet> {
        if !self.looks(now, per) {
            self.pace = None;
            return Ok(());
        }
        if self.pace.as_ref().is_none_or(|(_, of, within)| (*of, *within) != (requests, per)) {
            let burst = NonZeroU32::MIN.saturating_add(requests / PACE);
            let rate = Rate {
                requests: NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN),
                per: (per / PACE).max(PACE_MIN),
                burst,
            };
            self.pace = Some((Pacer::new(rate, now), requests, per));
        }
        match &mut self.pace {
            Some((pacer, ..)) => pacer.check(now, cost).map_err(NotYet::Until),
            None => Ok(()),
        }
    }

    pub(super) fn take(&mut self, cost: u32) {
        if let Some((pacer, ..)) = &mut self.pace {
            pacer.take(cost);
        }
    }

    /// All requests of the window are spent: without any sign of a shorter one it is a minute.
    pub(super) fn full(&mut self, now: Timestamp, per: Duration) {
        let has_news = self.edges.back().is_some_and(|(_, until)| now.since(*until) < EDGE_IS_NEWS);
        if self.looks(now, per) && per >= LONGEST && self.heard >= ANSWERS_ENOUGH && !has_news {
            *self = Self { falls: self.falls, ..Self::new(now.after(QUIET)) };
        }
    }

    /// An answer to what was sent at `sent_at`, in the order of sending: the server counts `used` of `limit`.
    pub(super) fn look(
        &mut self,
        now: Timestamp,
        sent_at: Timestamp,
        (used, limit): (u64, u64),
        per: Duration,
        history: &SendHistory,
    ) -> Shown {
        let before = self.answers.back().map(|(.., used)| *used);
        if before.is_some_and(|before| used + limit / 8 < before) {
            self.falls = [self.falls[1], Some(now)];
        }
        self.answers.push_back((sent_at, now, used));
        if self.answers.len() > ANSWERS_MAX {
            self.answers.pop_front();
        }
        if !self.looks(now, per) || sent_at < self.since {
            return Shown::default();
        }
        // The first answer counts what nothing else is known of.
        let nothing = Shown { per: None, is_less: self.heard == 0 };
        self.heard = self.heard.saturating_add(1);
        for (earlier, answered_at, counted) in &self.answers {
            // Of a bucket, a part of a token may have been there already.
            let refilled = counted.saturating_sub(used + 1);
            if *answered_at <= sent_at && *earlier >= self.since && refilled > 0 {
                lower(&mut self.by_refill, refill(now.since(*earlier), limit, refilled));
            }
        }
        let (mut arrived, mut edge) = (0, None);
        for sent in history.arrived_before(sent_at).take(WALK_MAX).take_while(|sent| sent.sent_at >= self.since) {
            arrived += u64::from(sent.cost);
            if arrived > used {
                edge.get_or_insert(sent.sent_at);
                lower(&mut self.by_refill, refill(now.since(sent.sent_at), limit, arrived - used));
            }
        }
        let Some(from) = edge else { return nothing };
        self.edge(from, now);
        let bound = self.by_edges.zip(self.by_refill).map(|(edges, refill)| edges.max(refill));
        let usual = |bound| USUAL_SECONDS.into_iter().map(Duration::from_secs).find(|per| *per <= bound);
        Shown { per: bound.map(|bound| usual(bound).unwrap_or(SHORTEST)).filter(|it| *it < per), is_less: true }
    }

    /// A window has ended between `from` and `until`.
    fn edge(&mut self, from: Timestamp, until: Timestamp) {
        if self.edges.back().is_some_and(|(_, before)| from < *before) {
            // It may be the same end.
            return;
        }
        self.edges.push_back((from, until));
        if self.edges.len() > EDGES_MAX {
            self.edges.pop_front();
        }
        for ((first, _), windows) in self.edges.iter().rev().skip(1).zip(1..) {
            lower(&mut self.by_edges, until.since(*first) / windows);
        }
    }

    /// Whether a refusal for which the window doesn't account is a sign of a minute, and not of others: with a short
    /// one what is counted falls again and again, and more is accepted in a minute than two of them allow.
    pub(super) fn is_refuted(&self, now: Timestamp, accepted: u64, requests: u32) -> bool {
        accepted <= u64::from(requests) * 2 && self.falls[0].is_none_or(|fall| now.since(fall) > FALLS_WITHIN)
    }
}

fn lower(bound: &mut Option<Duration>, to: Duration) {
    *bound = Some(bound.map_or(to, |bound| bound.min(to)));
}

/// The longest that a bucket can take to fill, of which so much flowed back within `span`.
fn refill(span: Duration, limit: u64, refilled: u64) -> Duration {
    span.mul_f64(limit as f64 / refilled as f64)
}

#[cfg(test)]
mod tests {
    use super::super::history::Fate;
    use super::*;

    const LIMIT: u64 = 50;
    const TRIP_MS: u64 = 20;

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    /// One request each 150 ms, for so many seconds, of which the server counts what it says it does; the windows that
    /// are believed in, one after the other.
    fn ask(seconds: u64, counted: impl Fn(u64) -> u64) -> Vec<u64> {
        let (mut estimate, mut history, mut per) = (WindowEstimate::new(at_ms(0)), SendHistory::default(), LONGEST);
        let mut windows = Vec::new();
        for sent_ms in (0..seconds * 1_000).step_by(150) {
            let (sent_at, now) = (at_ms(sent_ms), at_ms(sent_ms + TRIP_MS));
            history.reserve(1);
            history.left(sent_at, 1);
            history.settle(now, sent_at, 1, Fate::Counted);
            let shown = estimate.look(now, sent_at, (counted(sent_ms), LIMIT), per, &history);
            if let Some(shorter) = shown.per {
                per = shorter;
                windows.push(per.as_secs());
            }
        }
        windows
    }

    /// What a fixed window of such a length counts, whose first ended after `phase_ms`.
    fn fixed(per_ms: u64, phase_ms: u64) -> impl Fn(u64) -> u64 {
        move |now_ms| {
            (0..=now_ms).step_by(150).filter(|ms| (ms + phase_ms) / per_ms == (now_ms + phase_ms) / per_ms).count()
                as u64
        }
    }

    #[test]
    fn two_ends_of_windows_prove_a_second() {
        assert_eq!(ask(4, fixed(1_000, 400)).last(), Some(&1));
    }

    #[test]
    fn one_end_of_a_window_proves_nothing() {
        assert!(ask(70, fixed(60_000, 55_000)).is_empty(), "another after a minute");
        assert!(ask(3, |ms| if ms < 1_500 { ms / 150 + 1 } else { ms / 150 - 9 }).is_empty());
    }

    #[test]
    fn a_rolling_second_is_not_a_minute() {
        let rolling = |now_ms: u64| (0..=now_ms).step_by(150).filter(|ms| ms + 1_000 > now_ms).count() as u64;
        assert_eq!(ask(8, rolling).last(), Some(&5), "of a bucket no more is proved by so few requests");
    }

    #[test]
    fn a_bucket_of_a_minute_is_none_of_a_second() {
        // A token each 1.2 s.
        let bucket = |now_ms: u64| (now_ms / 150 + 1).saturating_sub(now_ms / 1_200);
        assert!(ask(60, bucket).is_empty());
    }

    #[test]
    fn a_window_of_ten_seconds_is_taken_for_ten() {
        assert_eq!(ask(40, fixed(10_000, 3_000)).last(), Some(&10));
    }
}
