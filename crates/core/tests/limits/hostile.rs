//! Whatever a server says, in whatever order: no panic, no rate outside floor and ceiling, no wait without end.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use spillway_core::budget::{Belief, BelievedPolicy, Heard, NotYet, Quota, Why};
use spillway_core::clock::Timestamp;
use spillway_core::evidence::Evidence;
use spillway_core::settings::{Learn, Rate};
use spillway_core::token::{TokenId, TokenSet};

const NAMES: [&str; 13] = [
    "retry-after",
    "date",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "inin-ratelimit-allowed",
    "inin-ratelimit-count",
    "inin-ratelimit-reset",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "ratelimit-policy",
    "ratelimit",
];
/// Now, on the wall clock.
const EPOCH_SECONDS: u64 = 1_767_225_600;
const DAY: Duration = Duration::from_secs(86_400);

/// An answer: its headers and body, whether it refuses, which of the waiting requests it answers (so that they overtake
/// each other), and after how long.
type Said = (Vec<(usize, String)>, Vec<u8>, u8, usize, u64);

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<Vec<u8>>().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        (0_u32..200).prop_map(|number| number.to_string()),
        (0_u32..200, 0_u64..100_000).prop_map(|(q, w)| format!("\"a\";q={q};w={w}, \"b\";r={q};t={w}")),
        // Around now, as a Unix time and as a date; and far from it.
        (EPOCH_SECONDS - 100_000..EPOCH_SECONDS + 200_000).prop_map(|seconds| seconds.to_string()),
        (EPOCH_SECONDS - 100_000..EPOCH_SECONDS + 200_000).prop_map(date),
        any::<u32>().prop_map(|seconds| date(seconds.into())),
        (0_u32..200, EPOCH_SECONDS - 100..EPOCH_SECONDS + 100).prop_map(|(r, t)| format!("\"a\";r={r};t={t}")),
        (0_u32..200, 0_u64..100_000).prop_map(|(r, t)| format!("limit={t}, remaining={r}, reset={t}")),
    ]
}

fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        any::<i64>().prop_map(|seconds| format!("Retry the request in [{seconds}] seconds").into_bytes()),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let headers = prop::collection::vec((0..NAMES.len(), value()), 0..6);
    (headers, body(), any::<u8>(), any::<usize>(), 0_u64..5_000_000)
}

fn rate(requests: u32, per_ms: u64) -> Rate {
    let requests = NonZeroU32::new(requests).unwrap();
    Rate { requests, per: Duration::from_millis(per_ms), burst: requests }
}

fn learn() -> Learn {
    Learn { start: rate(20, 1_000), floor: rate(30, 60_000), ceiling: rate(50, 1_000), read_limits: false }
}

/// What is believed stays between floor and ceiling, in whole requests.
fn check_rates(quota: &Quota) -> Result<(), TestCaseError> {
    for one in quota.believed() {
        let (requests, seconds) = (f64::from(one.requests), one.per.as_secs_f64());
        let bounds = (0.5 * seconds).floor().max(1.0)..=(50.0 * seconds).max(1.0);
        prop_assert!(bounds.contains(&requests), "{one:?}");
        prop_assert!(one.share.is_none_or(|share| bounds.contains(&f64::from(share))), "{one:?}");
    }
    Ok(())
}

/// Nine in ten of what the floor allows.
const FLOOR_OF_TEN_MINUTES: usize = 270;

/// What leaves in ten minutes of a server that accepts all, and says nothing any more: it isn't stopped for good.
fn leave_in_silence(quota: &mut Quota, mut now: Timestamp, mut waiting: VecDeque<Timestamp>) -> usize {
    const TRIP: Duration = Duration::from_millis(50);
    let silence = Evidence::default();
    let end = now.after(Duration::from_secs(600));
    let mut left = 0;
    while now < end {
        let at = match quota.check(now, TokenSet::FIRST, 1) {
            Ok(_) => {
                quota.reserve(now, TokenId::FIRST, 1);
                quota.left(now, TokenId::FIRST, 1);
                waiting.push_back(now);
                left += 1;
                continue;
            }
            Err(NotYet::Until(at)) => at,
            Err(NotYet::AtAnswer | NotYet::AtGrant) => end,
        };
        if let Some(sent_at) = waiting.pop_front() {
            now = now.max(sent_at.after(TRIP));
            quota.heard(now, TokenId::FIRST, Heard { sent_at, cost: 1, refused: false, evidence: Some(&silence) });
        } else {
            now = at;
        }
    }
    left
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn evidence_of_any_kind_is_bounded(answers in prop::collection::vec(said(), 1..150)) {
        let mut now = Timestamp::START;
        let mut quota = Quota::learning(learn(), now);
        let mut waiting: VecDeque<Timestamp> = VecDeque::new();
        let mut sent: VecDeque<Timestamp> = VecDeque::new();
        for (headers, body, kind, which, took_us) in answers {
            let refusal = loop {
                if let Err(not_yet) = quota.check(now, TokenSet::FIRST, 1) {
                    break not_yet;
                }
                quota.reserve(now, TokenId::FIRST, 1);
                quota.left(now, TokenId::FIRST, 1);
                waiting.push_back(now);
                sent.push_back(now);
                let recent = sent.iter().filter(|at| at.after(Duration::from_secs(1)) > now).count();
                prop_assert!(recent <= 50, "{recent} in a second");
            };
            match refusal {
                NotYet::Until(at) => prop_assert!(at > now && at.since(now) <= DAY * 2, "a wait of {:?}", at.since(now)),
                NotYet::AtGrant => prop_assert!(false, "no host of a fleet"),
                NotYet::AtAnswer => prop_assert!(!waiting.is_empty(), "waits for an answer that never comes"),
            }
            now = now.after(Duration::from_micros(took_us));
            if let Some(sent_at) = (!waiting.is_empty()).then(|| waiting.remove(which % waiting.len())).flatten() {
                let find = |name: &str| headers.iter().find(|(index, _)| NAMES[*index] == name).map(|(_, text)| text.as_str());
                let evidence = Evidence::read(find, &body, EPOCH_SECONDS * 1_000);
                prop_assert!(evidence.wait().is_none_or(|wait| wait.span <= DAY), "{:?}", evidence.wait());
                match kind % 8 {
                    0 => {
                        quota.unsent(now, sent_at, TokenId::FIRST, 1);
                        let index = sent.iter().position(|at| *at == sent_at);
                        index.map(|index| sent.remove(index));
                    }
                    1 => quota.given_up(sent_at, now, TokenId::FIRST, 1),
                    kind => {
                        quota.heard(now, TokenId::FIRST, Heard { sent_at, cost: 1, refused: kind < 5, evidence: Some(&evidence) });
                    }
                }
            } else if let NotYet::Until(at) = refusal {
                now = now.max(at);
            }
            if kind % 11 == 0 {
                quota.restart(now);
            }
            check_rates(&quota)?;
            quota.news();
            let _numbers = (quota.available(now), quota.next_free(now), quota.next_reading(now), quota.time_for(1_000));
        }
        let left = leave_in_silence(&mut quota, now, waiting);
        // What was sent before may hold its slots for all of them.
        let enough = FLOOR_OF_TEN_MINUTES.saturating_sub(sent.len());
        prop_assert!(left >= enough, "{left} requests in ten minutes, {:?}", quota.believed());
    }

    #[test]
    fn a_belief_of_any_kind_is_bounded(policies in prop::collection::vec((any::<u32>(), any::<u64>(), any::<u64>()), 0..12)) {
        let policy = |(requests, per_ms, age_ms)| BelievedPolicy { requests, per_ms, why: Why::Refusals, age_ms };
        let belief = Belief { policies: policies.into_iter().map(policy).collect() };
        let now = Timestamp::from_micros(5_000_000);
        let mut quota = Quota::learning(learn(), now);
        quota.restore(now, &belief);
        check_rates(&quota)?;
        prop_assert!(quota.check(now, TokenSet::FIRST, 1).is_ok());
    }
}

/// What was learned survives as text, and is what the next quota begins with.
#[test]
fn a_belief_is_kept_and_restored() {
    let now = Timestamp::from_micros(7_000_000);
    let mut quota = Quota::learning(learn(), Timestamp::START);
    assert_eq!(quota.belief(now), Belief::default(), "nothing was learned");
    quota.check(Timestamp::START, TokenSet::FIRST, 1).unwrap();
    quota.reserve(Timestamp::START, TokenId::FIRST, 1);
    quota.left(Timestamp::START, TokenId::FIRST, 1);
    let headers = |name: &str| (name == "ratelimit-policy").then_some("\"a\";q=10;w=1, \"b\";q=300;w=60");
    let evidence = Evidence::read(headers, b"", 0);
    let heard = Heard { sent_at: Timestamp::START, cost: 1, refused: false, evidence: Some(&evidence) };
    quota.heard(Timestamp::from_micros(1_000_000), TokenId::FIRST, heard);
    assert_eq!(quota.news().map(|believed| believed.len()), Some(2));

    let text = serde_json::to_string(&quota.belief(now)).unwrap();
    assert_eq!(
        text,
        r#"{"layers":[{"requests":10,"perMs":1000,"why":"headers","ageMs":6000},{"requests":300,"perMs":60000,"why":"headers","ageMs":6000}]}"#
    );
    let mut next = Quota::learning(learn(), now);
    next.restore(now, &serde_json::from_str(&text).unwrap());
    assert_eq!(next.believed(), quota.believed());
    assert_eq!(next.since(), Timestamp::from_micros(1_000_000));
}
