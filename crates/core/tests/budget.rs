//! Guarantee 3 as a property: whatever the rates and answer times, and whenever between sending and answer a request
//! arrives, there are never more than N arrivals in any rolling window.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, reason = "a test has no readers but its own")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use spillway_core::budget::{Heard, NotYet, Quota};
use spillway_core::clock::Timestamp;
use spillway_core::settings::Rate;
use spillway_core::token::{TokenId, TokenSet};

/// One request's fate: how long its answer takes, when in between it arrives (in thousandths), and whether it is sent
/// at all.
type Fate = (u64, u64, bool);

fn rate() -> impl Strategy<Value = Rate> {
    (1_u32..60, 1_u64..2_000, 1_u32..60).prop_map(|(requests, per_ms, burst)| Rate {
        requests: NonZeroU32::new(requests).unwrap(),
        per: Duration::from_millis(per_ms),
        burst: NonZeroU32::new(burst.min(requests)).unwrap(),
    })
}

fn leave(quota: &mut Quota, now: Timestamp) {
    quota.reserve(now, TokenId::FIRST, 1);
    quota.left(now, TokenId::FIRST, 1);
}

/// Sends as early as the quota allows; the times of arrival.
fn arrivals(rates: &[Rate], fates: &[Fate], restart_every: usize) -> Vec<u64> {
    let mut now = Timestamp::START;
    let mut quota = Quota::new(rates, now);
    let mut answers: BinaryHeap<Reverse<(Timestamp, bool)>> = BinaryHeap::new();
    let mut arrived = Vec::new();
    for (index, (answer_us, share, unsent)) in fates.iter().enumerate() {
        let refusal = |quota: &mut Quota, now| quota.check(now, TokenSet::FIRST, 1).map(|_| leave(quota, now)).err();
        while let Some(not_yet) = refusal(&mut quota, now) {
            let answer_at = answers.peek().map(|Reverse((at, _))| *at);
            let at = match not_yet {
                NotYet::Until(at) => answer_at.map_or(at, |answer_at| answer_at.min(at)),
                NotYet::AtAnswer | NotYet::AtGrant => answer_at.unwrap(),
            };
            assert!(at > now || answer_at.is_some(), "a wait that doesn't end");
            now = now.max(at);
            while answers.peek().is_some_and(|Reverse((at, _))| *at <= now) {
                match answers.pop().unwrap().0.1 {
                    true => quota.unsent(now, now, TokenId::FIRST, 1),
                    false => quota.heard(
                        now,
                        TokenId::FIRST,
                        Heard { sent_at: now, cost: 1, refused: false, evidence: None },
                    ),
                }
            }
        }
        if restart_every > 0 && index % restart_every == 0 {
            quota.restart(now);
        }
        answers.push(Reverse((now.after(Duration::from_micros(*answer_us)), *unsent)));
        if !unsent {
            arrived.push(now.as_micros() + answer_us * share / 1_000);
        }
    }
    arrived.sort_unstable();
    arrived
}

fn most(arrived: &[u64], window_us: u64) -> usize {
    let within = |(index, start): (usize, &u64)| arrived[index..].partition_point(|at| *at < start + window_us);
    arrived.iter().enumerate().map(within).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn never_more_than_n_in_any_rolling_window(
        rates in prop::collection::vec(rate(), 1..4),
        fates in prop::collection::vec((0_u64..400_000, 0_u64..=1_000, prop::bool::weighted(0.1)), 1..400),
        restart_every in 0_usize..50,
    ) {
        let arrived = arrivals(&rates, &fates, restart_every);
        for rate in &rates {
            let (most, allowed) = (most(&arrived, rate.per.as_micros() as u64), rate.requests.get() as usize);
            prop_assert!(most <= allowed, "{} arrivals, {} allowed per {:?}", most, allowed, rate.per);
        }
    }
}

/// A quota that is never used up would pass the property, too.
#[test]
fn the_whole_quota_is_used_when_answers_are_quick() {
    for (requests, per_ms) in [(1, 100), (10, 1_000), (1_000, 1_000), (300, 60_000)] {
        let requests_per_window = NonZeroU32::new(requests).unwrap();
        let per = Duration::from_millis(per_ms);
        let rate = Rate { requests: requests_per_window, per, burst: requests_per_window };
        let windows = 20;
        let fates = vec![(100, 500, false); (requests * (windows + 1)) as usize];
        let arrived = arrivals(&[rate], &fates, 0);
        let ideal_us = u64::from(windows) * per.as_micros() as u64;
        let ratio = *arrived.last().unwrap() as f64 / ideal_us as f64;
        assert!((1.0..1.03).contains(&ratio), "{requests} per {per_ms} ms: {ratio} of the ideal time");
    }
}
