//! A window of which nothing is left, and of which only the end is known: no count of ours can keep it.

use std::time::Duration;

use super::contention::EDGE_MAX;
use crate::budget::NotYet;
use crate::budget::exact::GUARD;
use crate::clock::Timestamp;
use crate::evidence::Unnamed;

/// The request that looks at the next window is waited for as long, before another one may look.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct SpentWindow {
    /// Nothing leaves before; then one request looks. `None` if something is left, as far as anybody has said.
    until: Option<Timestamp>,
    /// The sending of the newest answer that told of it: what older ones say is stale.
    told_at: Timestamp,
    /// The first look left at this time.
    looked_at: Option<Timestamp>,
}

impl SpentWindow {
    /// Something is left, by an answer to what was sent at that time.
    pub(super) const fn none(told_at: Timestamp) -> Self {
        Self { until: None, told_at, looked_at: None }
    }

    pub(super) fn heard(&mut self, now: Timestamp, sent_at: Timestamp, unnamed: Unnamed) {
        if sent_at < self.told_at {
            return;
        }
        match unnamed {
            Unnamed::Untold if self.looked_at.is_none_or(|looked_at| sent_at < looked_at) => {}
            Unnamed::Untold | Unnamed::Left => *self = Self::none(sent_at),
            Unnamed::Spent(wait) | Unnamed::Outlasting(wait) => {
                let until = Some(now.after(wait.min(EDGE_MAX) + GUARD));
                *self = Self { until, told_at: sent_at, looked_at: None };
            }
        }
    }

    /// A refusal has a pause of its own, and a probe.
    pub(super) fn refused(&mut self) {
        *self = Self::none(self.told_at);
    }

    pub(super) fn check(&self, now: Timestamp) -> Result<(), NotYet> {
        self.waits_until(now).map_or(Ok(()), |until| Err(NotYet::Until(until)))
    }

    /// A look is about to leave: no other goes for a while.
    pub(super) fn reserve(&mut self, now: Timestamp) {
        if self.until.is_some() {
            self.until = Some(now.after(LOOK_EVERY));
        }
    }

    /// It leaves.
    pub(super) fn left(&mut self, now: Timestamp) {
        if self.until.is_some() {
            self.looked_at.get_or_insert(now);
            self.until = Some(now.after(LOOK_EVERY));
        }
    }

    /// Until then nothing may leave.
    pub(super) fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroU32;

    use super::*;
    use crate::budget::{Heard, Quota};
    use crate::evidence::Evidence;
    use crate::settings::{Learn, Rate};
    use crate::token::{TokenId, TokenSet};

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    /// A hundred requests per second at first.
    fn learning() -> Quota {
        let rate = |requests, seconds| {
            let requests = NonZeroU32::new(requests).unwrap();
            Rate { requests, per: Duration::from_secs(seconds), burst: requests }
        };
        let learn = Learn { start: rate(100, 1), floor: rate(1, 60), ceiling: rate(1_000, 1), read_limits: false };
        Quota::learning(learn, at_ms(0))
    }

    /// The answer to a request: `headers` as "name: value".
    fn answer(quota: &mut Quota, sent_ms: u64, now_ms: u64, headers: &[&str], refused: bool) {
        let header = |name: &str| headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let evidence = Evidence::read(header, &[], 0);
        quota.heard(
            at_ms(now_ms),
            TokenId::FIRST,
            Heard { sent_at: at_ms(sent_ms), cost: 1, refused, evidence: Some(&evidence) },
        );
    }

    fn leave(quota: &mut Quota, ms: u64) {
        quota.reserve(at_ms(ms), TokenId::FIRST, 1);
        quota.left(at_ms(ms), TokenId::FIRST, 1);
    }

    fn ask(quota: &mut Quota, ms: u64, headers: &[&str]) {
        leave(quota, ms);
        answer(quota, ms, ms + 10, headers, false);
    }

    fn waits_ms(quota: &mut Quota, ms: u64) -> Option<u64> {
        match quota.check(at_ms(ms), TokenSet::FIRST, 1) {
            Ok(_) => None,
            Err(NotYet::Until(until)) => Some(u64::try_from(until.since(at_ms(ms)).as_millis()).unwrap()),
            Err(_) => panic!("nothing is on the wire"),
        }
    }

    const SPENT: &[&str] = &["ratelimit: \"b\";r=0;t=2"];
    const LEFT: &[&str] = &["ratelimit: \"b\";r=9;t=2"];

    #[test]
    fn nothing_leaves_before_the_end_of_a_spent_window_without_a_limit() {
        for headers in [
            SPENT,
            &["x-ratelimit-remaining: 0", "x-ratelimit-reset: 2"],
            &["ratelimit: \"a\";r=5;t=40, \"b\";r=0;t=2"],
            &["ratelimit-policy: \"a\";q=50;w=1", "ratelimit: \"a\";r=5;t=1, \"b\";r=0;t=2"],
            &["x-ratelimit-limit: 50", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 2"],
        ] {
            let mut quota = learning();
            ask(&mut quota, 1_000, headers);
            let Err(NotYet::Until(until)) = quota.check(at_ms(1_010), TokenSet::FIRST, 1) else {
                panic!("{headers:?}")
            };
            let wait = until.since(at_ms(1_010)).as_millis();
            assert!((2_000..2_100).contains(&wait), "{wait} ms of {headers:?}");
            assert_eq!((quota.available(at_ms(1_010)), quota.available(at_ms(3_000))), (0, 0));
            assert_eq!(quota.next_free(at_ms(1_010)), Some(until), "{headers:?}");
            assert_eq!(quota.check(until, TokenSet::FIRST, 1), Ok(TokenId::FIRST), "{headers:?}");
        }
    }

    #[test]
    fn one_request_looks_at_the_next_window() {
        let mut quota = learning();
        ask(&mut quota, 1_000, SPENT);
        quota.reserve(at_ms(4_000), TokenId::FIRST, 1);
        quota.left(at_ms(4_000), TokenId::FIRST, 1);
        assert_eq!(waits_ms(&mut quota, 4_000), Some(1_000), "another may look if it is not answered");
        answer(&mut quota, 4_000, 4_020, LEFT, false);
        assert_eq!(waits_ms(&mut quota, 4_020), None);

        let mut quota = learning();
        ask(&mut quota, 1_000, SPENT);
        ask(&mut quota, 4_000, &[]);
        assert_eq!(waits_ms(&mut quota, 4_020), None, "the server tells nothing any more");

        ask(&mut quota, 5_000, SPENT);
        ask(&mut quota, 8_000, SPENT);
        assert!(waits_ms(&mut quota, 8_010) >= Some(2_000), "the next window is spent, too");
    }

    #[test]
    fn the_newest_answer_counts() {
        let mut quota = learning();
        ask(&mut quota, 900, &[]);
        (0..3).for_each(|index| leave(&mut quota, 1_000 + index));
        answer(&mut quota, 1_001, 1_100, SPENT, false);
        answer(&mut quota, 1_000, 1_110, LEFT, false);
        assert!(waits_ms(&mut quota, 1_110) >= Some(1_900), "an older answer is stale");
        answer(&mut quota, 1_002, 1_120, LEFT, false);
        assert_eq!(waits_ms(&mut quota, 1_120), None, "its window has ended meanwhile");
    }

    #[test]
    fn a_far_end_is_looked_at_before_and_a_refusal_has_its_own_pause() {
        let far = &["x-ratelimit-remaining: 0", "x-ratelimit-reset: 40000"];
        let mut quota = learning();
        ask(&mut quota, 1_000, far);
        assert!(waits_ms(&mut quota, 1_010) < Some(121_000), "it may be wrong");
        quota.reserve(at_ms(122_000), TokenId::FIRST, 1);
        quota.left(at_ms(122_000), TokenId::FIRST, 1);
        answer(&mut quota, 122_000, 122_010, far, true);
        assert_eq!(waits_ms(&mut quota, 122_010), None, "the gate is shut, and its probe may pass");
    }
}
