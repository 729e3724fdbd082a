use proptest::prelude::*;

use super::*;

fn quota(requests: u64, per_us: u64, algorithm: Algorithm) -> Quota {
    Quota { requests, per_us, algorithm, limit: None }
}

/// The times among `times` at which a request passes.
fn passed(quotas: &[Quota], times: &[u64]) -> Vec<u64> {
    let mut limit = Limit::new(quotas);
    times.iter().copied().filter(|now_us| limit.arrive(*now_us)).collect()
}

#[test]
fn each_algorithm_around_the_edge_of_a_window() {
    // 1 request at 0 ms, 29 at 900, 90 at 1005, with 30 a second: where algorithms differ most.
    let times: Vec<u64> =
        [(0, 1), (900_000, 29), (1_005_000, 90)].iter().flat_map(|(at, count)| vec![*at; *count]).collect();
    let cases = [
        (Algorithm::FixedWindow, 60),
        (Algorithm::OpenedWindow, 60),
        (Algorithm::SlidingLog, 31),
        (Algorithm::TokenBucket, 34),
    ];
    for (algorithm, count) in cases {
        assert_eq!(passed(&[quota(30, 1_000_000, algorithm)], &times).len(), count, "{algorithm:?}");
    }
}

#[test]
fn standings() {
    // (algorithm, requests so far at 0, look at, remaining, reset, wait), of 4 per 1000 µs.
    let cases = [
        (Algorithm::FixedWindow, 0, 300, 4, 700, 0),
        (Algorithm::FixedWindow, 3, 300, 1, 700, 0),
        (Algorithm::FixedWindow, 9, 300, 0, 700, 700),
        (Algorithm::FixedWindow, 9, 1_000, 4, 1_000, 0),
        (Algorithm::OpenedWindow, 0, 300, 4, 1_000, 0),
        (Algorithm::OpenedWindow, 3, 300, 1, 700, 0),
        (Algorithm::OpenedWindow, 9, 300, 0, 700, 700),
        (Algorithm::OpenedWindow, 9, 1_000, 4, 1_000, 0),
        (Algorithm::SlidingLog, 0, 300, 4, 1_000, 0),
        (Algorithm::SlidingLog, 4, 300, 0, 700, 700),
        (Algorithm::SlidingLog, 4, 999, 0, 1, 1),
        (Algorithm::SlidingLog, 4, 1_000, 4, 1_000, 0),
        (Algorithm::TokenBucket, 0, 0, 4, 0, 0),
        (Algorithm::TokenBucket, 4, 0, 0, 1_000, 250),
        (Algorithm::TokenBucket, 4, 249, 0, 751, 1),
        (Algorithm::TokenBucket, 4, 250, 1, 750, 0),
        (Algorithm::TokenBucket, 4, 9_999, 4, 0, 0),
    ];
    for (algorithm, spent, now_us, remaining, reset_us, wait_us) in cases {
        let quota = quota(4, 1_000, algorithm);
        let mut counter = Counter::new(&quota);
        for _ in 0..spent {
            if counter.standing(0).wait_us == 0 {
                counter.spend(0);
            }
        }
        let expected = Standing { requests: 4, per_us: 1_000, remaining, reset_us, wait_us };
        assert_eq!(counter.standing(now_us), expected, "{algorithm:?}, {spent} spent, at {now_us}");
    }
}

#[test]
fn a_window_opens_with_its_first_request() {
    // Two a millisecond: an aligned window would begin at 1,000.
    let times = [300, 1_200, 1_250, 1_300, 1_700, 2_600, 2_650, 2_700];
    let all = passed(&[quota(2, 1_000, Algorithm::OpenedWindow)], &times);
    assert_eq!(all, [300, 1_200, 1_300, 1_700, 2_600, 2_650]);
}

#[test]
fn several_hold_together_and_a_refusal_spends_none() {
    let second = quota(2, 1_000, Algorithm::SlidingLog);
    let minute = quota(3, 60_000, Algorithm::SlidingLog);
    let mut organization = Limit::new(&[second, minute]);
    let mut token = Limit::new(&[quota(1, 100, Algorithm::SlidingLog)]);

    let first = decide(&mut [&mut organization, &mut token], 0);
    assert_eq!((first.wait_us, first.standings.iter().map(|s| s.remaining).collect()), (0, vec![1, 2, 0]));
    // The token's quota refuses: the organization's keep theirs.
    let refused = decide(&mut [&mut organization, &mut token], 40);
    assert_eq!((refused.wait_us, refused.standings.iter().map(|s| s.remaining).collect()), (60, vec![1, 2, 0]));
    assert_eq!(decide(&mut [&mut organization, &mut token], 100).wait_us, 0);
    // Now the second's; the longest wait counts.
    assert_eq!(decide(&mut [&mut organization, &mut token], 150).wait_us, 850);
    assert_eq!(decide(&mut [&mut organization, &mut token], 1_000).wait_us, 0);
    // Now the minute's.
    assert_eq!(decide(&mut [&mut organization, &mut token], 2_000).wait_us, 58_000);
    assert_eq!(refused.tightest().map(|standing| standing.requests), Some(1));
}

#[test]
fn without_quotas_everything_passes() {
    let decision = decide(&mut [&mut Limit::default()], 7);
    assert_eq!(decision, Decision { wait_us: 0, standings: Vec::new() });
    assert_eq!(decision.tightest(), None);
}

fn arrivals() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![4 => 0_u64..3, 3 => 0_u64..400, 1 => 0_u64..5_000], 1..300).prop_map(|gaps| {
        let times = gaps.iter().scan(0, |now_us, gap| {
            *now_us += gap;
            Some(*now_us)
        });
        times.collect()
    })
}

/// The most of `times` in any window of this length.
fn most(times: &[u64], length_us: u64) -> u64 {
    let within = |start: &u64| times.iter().filter(|at| (*start..start + length_us).contains(at)).count() as u64;
    times.iter().map(within).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn a_fixed_window_never_passes_more_than_its_quota(requests in 1_u64..50, per_us in 1_u64..2_000, times in arrivals()) {
        let passed = passed(&[quota(requests, per_us, Algorithm::FixedWindow)], &times);
        for window in passed.chunk_by(|a, b| a / per_us == b / per_us) {
            prop_assert!(window.len() as u64 <= requests);
        }
        prop_assert!(most(&passed, per_us) <= 2 * requests);
    }

    #[test]
    fn a_sliding_log_never_passes_more_in_any_window(requests in 1_u64..50, per_us in 1_u64..2_000, times in arrivals()) {
        let passed = passed(&[quota(requests, per_us, Algorithm::SlidingLog)], &times);
        prop_assert!(most(&passed, per_us) <= requests);
    }

    #[test]
    fn a_token_bucket_never_passes_more_than_it_held_and_got(
        requests in 1_u64..50, per_us in 1_u64..2_000, times in arrivals(),
    ) {
        let passed = passed(&[quota(requests, per_us, Algorithm::TokenBucket)], &times);
        for (first, from) in passed.iter().enumerate() {
            for (last, until) in passed.iter().enumerate().skip(first) {
                let count = (last - first + 1) as u64;
                prop_assert!(count <= requests + (until - from) * requests / per_us);
            }
        }
    }

    #[test]
    fn who_waits_as_told_passes_and_not_earlier(
        requests in 1_u64..20, per_us in 1_u64..2_000, algorithm in prop::sample::select(vec![
            Algorithm::FixedWindow, Algorithm::OpenedWindow, Algorithm::SlidingLog, Algorithm::TokenBucket,
        ]), times in arrivals(),
    ) {
        let quotas = [quota(requests, per_us, algorithm), quota(requests * 2, per_us * 3, Algorithm::SlidingLog)];
        let mut limit = Limit::new(&quotas);
        let mut now_us = 0;
        for at in times {
            now_us = now_us.max(at);
            let wait_us = limit.wait_us(now_us);
            if wait_us > 0 {
                prop_assert!(!limit.arrive(now_us + wait_us - 1));
            }
            now_us += wait_us;
            prop_assert!(limit.arrive(now_us));
        }
    }
}
