//! What headers tell, made into limits: which window they mean, which of them are one and the same, which are stale.

use std::time::Duration;

use super::contention::Contention;
use super::history::SendHistory;
use super::policy::{POLICIES_MAX, Policy};
use super::rtt::RoundTrips;
use super::window_estimate::{self, WindowEstimate};
use crate::budget::belief::Why;
use crate::clock::Timestamp;
use crate::evidence::{Evidence, HeaderLimit, RESET_SLACK, USUAL_WINDOWS, WINDOW_MAX, usual_window};

const WINDOW_MIN: Duration = Duration::from_millis(1);
/// What we have sent is known of windows up to this.
const TRAIL_MAX: Duration = Duration::from_secs(60);
/// Without a word of windows, a number that is this many times another's is another limit, not what became of it.
const RENUMBERED_MAX: u32 = 4;
/// So much more used than is ours is others' use, not an error of ours.
const FOREIGN_MIN: u64 = 2;

#[derive(Debug, Default)]
pub(super) struct Reports {
    /// What the last answer had left of each quota: its requests, and the rest.
    left: Vec<(u64, u64)>,
    left_at: Option<Timestamp>,
}

impl Reports {
    /// Whether the headers of a refusal say which quota is spent.
    pub(super) fn names_spent(evidence: Option<&Evidence>) -> bool {
        evidence.is_some_and(|evidence| evidence.told().any(|told| told.remaining == Some(0)))
    }

    /// The limit that had the least left by the newest answer.
    pub(super) fn tightest(&self, policies: &[Policy]) -> Option<usize> {
        let (limit, _) = self.left.iter().min_by_key(|(_, left)| *left)?;
        let is_it = |policy: &Policy| policy.named.map(u64::from) == Some(*limit);
        policies.iter().position(is_it).or_else(|| policies.iter().position(|policy| policy.why == Why::Headers))
    }

    /// Takes one quota of an answer's headers in. True when it names a limit.
    pub(super) fn take(
        &mut self,
        now: Timestamp,
        sent_at: Timestamp,
        told: &HeaderLimit,
        policies: &mut Vec<Policy>,
        history: &SendHistory,
        round_trips: &RoundTrips,
    ) -> bool {
        let Some(limit) = told.limit.and_then(|limit| u32::try_from(limit).ok()).filter(|limit| *limit > 0) else {
            return false;
        };
        if self.left_at != Some(now) {
            (self.left_at, self.left) = (Some(now), Vec::new());
        }
        if let Some(left) = told.remaining {
            self.left.push((u64::from(limit), left));
        }
        let per = window(sent_at, limit, told, policies, history);
        let index = match find(limit, per, told, policies) {
            Some(index) => index,
            None => {
                make_room(policies);
                policies.push(Policy::new(now, (limit, per), Why::Headers, history, round_trips));
                policies.len() - 1
            }
        };
        let policy = &mut policies[index];
        if sent_at < policy.told_at {
            // Overtaken by a newer answer.
            return true;
        }
        (policy.told_at, policy.confirmed_at) = (sent_at, now);
        if policy.why != Why::Headers {
            (policy.why, policy.since, policy.increase) = (Why::Headers, now, None);
        }
        if policy.named != Some(limit) {
            policy.named = Some(limit);
            policy.set(now, limit);
            policy.contention = None;
            if let Some(estimate) = &mut policy.estimate {
                estimate.renumbered(now);
            }
        }
        if told.per.is_some() || told.reset.is_some() {
            policy.has_named_window = true;
            if policy.estimate.take().is_some() && policy.per != per {
                policy.last(now, per, history, round_trips);
                return lengthened(policies, index);
            }
        } else if !policy.has_named_window && policy.estimate.is_none() {
            policy.estimate = Some(WindowEstimate::new(sent_at));
        }
        if let (None, Some(reset)) = (told.per, told.reset.filter(|reset| *reset > policy.per + RESET_SLACK)) {
            // A reset is never longer than its window.
            policy.per = usual_window(reset);
            policy.recount(now, history, round_trips);
            return lengthened(policies, index);
        }
        if let Some(left) = told.remaining {
            policy.has_named_rest = true;
            policy.look(now, sent_at, left, history, round_trips);
            count_others(now, sent_at, left, told.reset, policy, history);
        }
        true
    }
}

/// What was believed of that window before is told no more: the quota is another one now. True, as a limit was named.
fn lengthened(policies: &mut Vec<Policy>, index: usize) -> bool {
    let per = policies[index].per;
    let mut position = 0..;
    policies.retain(|policy| position.next() == Some(index) || policy.per != per);
    true
}

/// The window that a header means: the one that it names, else the shortest usual one that the reset fits.
///
/// At the end of a long window the reset fits a short one, too. But then more is used than we have sent in so short a
/// time: it is the shortest in which we may have sent it all, unless headers have named the short one before.
fn window(sent_at: Timestamp, limit: u32, told: &HeaderLimit, policies: &[Policy], history: &SendHistory) -> Duration {
    if let Some(per) = told.per {
        return per.clamp(WINDOW_MIN, WINDOW_MAX);
    }
    let Some(reset) = told.reset else { return window_estimate::LONGEST };
    let shortest = usual_window(reset);
    if policies.iter().any(|policy| policy.why == Why::Headers && policy.per == shortest) {
        return shortest;
    }
    let used = told.remaining.map_or(0, |left| u64::from(limit).saturating_sub(left));
    let ours = |per: &Duration| used <= history.may_have_arrived(sent_at.before(*per));
    let longer = USUAL_WINDOWS.into_iter().filter(|per| *per >= shortest);
    longer.filter(|per| *per <= TRAIL_MAX).find(ours).unwrap_or(shortest)
}

/// The limit that a header means: the one of the window that it names, else the one of its number, else of its window.
fn find(limit: u32, per: Duration, told: &HeaderLimit, policies: &[Policy]) -> Option<usize> {
    let of = |test: &dyn Fn(&Policy) -> bool| policies.iter().position(test);
    let is_guessed = |policy: &Policy| policy.estimate.is_some();
    if told.per.is_some() {
        let same = of(&|policy| policy.per == per);
        return same.or_else(|| of(&|policy| is_guessed(policy) && policy.named == Some(limit)));
    }
    if told.reset.is_none() && policies.iter().any(is_guessed) {
        let becomes = |policy: &Policy| policy.named.is_some_and(|named| limit / RENUMBERED_MAX <= named);
        return of(&|policy| policy.named == Some(limit))
            .or_else(|| of(&|policy| is_guessed(policy) && becomes(policy)));
    }
    let named = |policy: &Policy| policy.why == Why::Headers;
    let fits = |policy: &Policy| told.reset.is_none_or(|reset| reset > Duration::from_secs(1) && reset <= policy.per);
    of(&|policy| policy.named == Some(limit))
        .or_else(|| of(&|policy| policy.per == per))
        .or_else(|| of(&|policy| named(policy) && fits(policy)))
}

/// More used than can be ours is others' use.
fn count_others(
    now: Timestamp,
    sent_at: Timestamp,
    left: u64,
    reset: Option<Duration>,
    policy: &mut Policy,
    history: &SendHistory,
) {
    let used = u64::from(policy.named.unwrap_or(policy.requests)).saturating_sub(left);
    let foreign = used.saturating_sub(history.may_have_arrived(sent_at.before(policy.per)));
    let uncounted = history.may_have_arrived(sent_at).saturating_sub(1);
    let (per, requests) = (policy.per, policy.requests);
    let is_spent = left <= uncounted;
    if policy.contention.as_mut().is_some_and(|contention| contention.take_look(sent_at)) && !is_spent {
        policy.rolled(now, used.saturating_add(history.may_have_arrived(sent_at)), left.saturating_sub(uncounted));
    }
    match &mut policy.contention {
        None if foreign >= FOREIGN_MIN => {
            policy.contention = Some(Contention::new(now, left.saturating_sub(uncounted), per));
        }
        None => {}
        Some(contention) => {
            if foreign >= FOREIGN_MIN {
                contention.seen(now);
            }
            contention.report(now, sent_at, left, uncounted, per);
            if !contention.turn(now, requests, per) {
                policy.contention = None;
            }
        }
    }
    // At the start of a window its end is no earlier than that of our own slots.
    let edge = reset.filter(|reset| is_spent && *reset + RESET_SLACK < per);
    if let (Some(contention), Some(reset)) = (&mut policy.contention, edge) {
        contention.ends(now, reset);
    }
}

pub(super) fn make_room(policies: &mut Vec<Policy>) {
    while policies.len() >= POLICIES_MAX {
        let oldest = policies.iter().enumerate().min_by_key(|(_, policy)| policy.confirmed_at).map(|(index, _)| index);
        oldest.map(|index| policies.remove(index));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroU32;

    use super::*;
    use crate::budget::{Heard, Quota};
    use crate::settings::{Learn, Rate};
    use crate::token::{TokenId, TokenSet};

    fn at_s(seconds: u64) -> Timestamp {
        Timestamp::START.after(Duration::from_secs(seconds))
    }

    /// One request, and its answer a second later.
    fn ask(quota: &mut Quota, seconds: u64, left: u32, refused: bool) {
        let rest = format!("\"a\";r={left};t=60");
        let header = |name: &str| match name {
            "ratelimit-policy" => Some("\"a\";q=300;w=60"),
            "ratelimit" => Some(rest.as_str()),
            _ => None,
        };
        let evidence = Evidence::read(header, &[], 0);
        quota.reserve(at_s(seconds), TokenId::FIRST, 1);
        quota.left(at_s(seconds), TokenId::FIRST, 1);
        let heard = Heard { sent_at: at_s(seconds), cost: 1, refused, evidence: Some(&evidence) };
        quota.heard(at_s(seconds + 1), TokenId::FIRST, heard);
    }

    #[test]
    fn a_limit_beyond_the_ceiling_is_news_only_once() {
        let rate = |requests| {
            let requests = NonZeroU32::new(requests).unwrap();
            Rate { requests, per: Duration::from_secs(60), burst: requests }
        };
        let learn = Learn { start: rate(50), floor: rate(1), ceiling: rate(100), read_limits: false };
        let mut quota = Quota::learning(learn, at_s(0));
        ask(&mut quota, 1, 299, false);
        let since = quota.since();
        ask(&mut quota, 100, 299, false);
        let believed = quota.believed();
        assert_eq!((believed[0].requests, believed[0].share), (100, None));
        assert_eq!(quota.since(), since);

        ask(&mut quota, 200, 0, true);
        assert!(quota.believed()[0].share.is_some(), "others have spent it");
        ask(&mut quota, 201, 10, false);
        assert!(quota.believed()[0].share.is_some(), "the same limit as ever");
        assert_eq!(quota.since(), since);
    }

    fn learning() -> Quota {
        let rate = |requests, seconds| {
            let requests = NonZeroU32::new(requests).unwrap();
            Rate { requests, per: Duration::from_secs(seconds), burst: requests }
        };
        Quota::learning(
            Learn { start: rate(50, 60), floor: rate(1, 60), ceiling: rate(1_000, 1), read_limits: false },
            at_s(0),
        )
    }

    /// An answer to what was sent a tenth of a second before.
    fn answer(quota: &mut Quota, now: Timestamp, headers: &[(&str, String)]) {
        let sent_at = now.before(Duration::from_millis(100));
        let header = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
        let evidence = Evidence::read(header, &[], 0);
        quota.reserve(sent_at, TokenId::FIRST, 1);
        quota.left(sent_at, TokenId::FIRST, 1);
        quota.heard(now, TokenId::FIRST, Heard { sent_at, cost: 1, refused: false, evidence: Some(&evidence) });
    }

    fn families(limit: u32, left: u32, reset: u64) -> [Vec<(&'static str, String)>; 3] {
        [
            vec![
                ("x-ratelimit-limit", limit.to_string()),
                ("x-ratelimit-remaining", left.to_string()),
                ("x-ratelimit-reset", reset.to_string()),
            ],
            vec![
                ("inin-ratelimit-allowed", limit.to_string()),
                ("inin-ratelimit-count", (limit - left).to_string()),
                ("inin-ratelimit-reset", reset.to_string()),
            ],
            vec![
                ("ratelimit-policy", format!("\"a\";q={limit};w=60")),
                ("ratelimit", format!("\"a\";r={left};t={reset}")),
            ],
        ]
    }

    #[test]
    fn what_others_have_spent_comes_back_with_the_servers_window() {
        for family in 0..3 {
            let mut quota = learning();
            answer(&mut quota, at_s(10), &families(300, 0, 20)[family]);
            assert_eq!(quota.available(at_s(11)), 0);
            let edge = quota.next_free(at_s(11)).unwrap();
            assert!(edge > at_s(30) && edge < at_s(31), "{edge:?}");
            assert_eq!(quota.check(at_s(11), TokenSet::FIRST, 1), Err(crate::budget::NotYet::Until(edge)));
            assert_eq!(quota.check(edge, TokenSet::FIRST, 1), Ok(TokenId::FIRST), "one looks");
            quota.reserve(edge, TokenId::FIRST, 1);
            quota.left(edge, TokenId::FIRST, 1);
            assert!(quota.check(edge, TokenSet::FIRST, 1).is_err(), "and no other with it");
            let evidence_headers = &families(300, 299, 60)[family];
            let header =
                |name: &str| evidence_headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
            let evidence = Evidence::read(header, &[], 0);
            let now = edge.after(Duration::from_millis(100));
            quota.heard(
                now,
                TokenId::FIRST,
                Heard { sent_at: edge, cost: 1, refused: false, evidence: Some(&evidence) },
            );
            assert!(quota.available(now) >= 140, "{}", quota.available(now));
        }
    }

    #[test]
    fn a_refusal_by_a_short_window_is_no_pause_of_a_long_one() {
        let mut quota = learning();
        let header = |name: &str| match name {
            "ratelimit-policy" => Some("\"sec\";q=10;w=1, \"day\";q=10000;w=86400"),
            "ratelimit" => Some("\"sec\";r=0;t=1, \"day\";r=9000;t=40000"),
            _ => None,
        };
        let evidence = Evidence::read(header, &[], 0);
        for (seconds, refused) in [(10, true), (13, false), (16, true), (19, false)] {
            assert_eq!(quota.check(at_s(seconds), TokenSet::FIRST, 1), Ok(TokenId::FIRST), "{seconds} s");
            quota.reserve(at_s(seconds), TokenId::FIRST, 1);
            quota.left(at_s(seconds), TokenId::FIRST, 1);
            let now = at_s(seconds).after(Duration::from_millis(5));
            quota.heard(
                now,
                TokenId::FIRST,
                Heard { sent_at: at_s(seconds), cost: 1, refused, evidence: Some(&evidence) },
            );
            quota.restart(now.after(Duration::from_secs(1)));
        }
    }

    #[test]
    fn a_reset_in_hours_is_told_and_one_in_weeks_is_none() {
        let [headers, ..] = families(100, 0, 7_200);
        let mut quota = learning();
        answer(&mut quota, at_s(10), &headers);
        assert_eq!(quota.available(at_s(11)), 0);
        let until = quota.next_free(at_s(11)).unwrap();
        assert!(until > at_s(100) && until < at_s(200), "{until:?}: looked at again, since it may be wrong");

        let [headers, ..] = families(100, 0, 1_728_000);
        let mut quota = learning();
        answer(&mut quota, at_s(10), &headers);
        assert_eq!((quota.believed()[0].requests, quota.believed()[0].per), (100, Duration::from_secs(60)));
        assert_eq!(quota.available(at_s(11)), 0);
        assert!(quota.next_free(at_s(11)).unwrap() <= at_s(71));
    }
}
