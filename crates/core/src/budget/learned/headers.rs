//! What headers tell, made into limits: which window they mean, which of them are one and the same, which are stale.

use std::time::Duration;

use super::contention::Contention;
use super::history::Trail;
use super::limit::{LAYERS_MAX, Layer};
use super::rtt::Travel;
use super::window_estimate::{self, Guess};
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
    pub(super) fn tightest(&self, layers: &[Layer]) -> Option<usize> {
        let (limit, _) = self.left.iter().min_by_key(|(_, left)| *left)?;
        let is_it = |layer: &Layer| layer.named.map(u64::from) == Some(*limit);
        layers.iter().position(is_it).or_else(|| layers.iter().position(|layer| layer.why == Why::Headers))
    }

    /// Takes one quota of an answer's headers in. True when it names a limit.
    pub(super) fn take(
        &mut self,
        now: Timestamp,
        sent_at: Timestamp,
        told: &HeaderLimit,
        layers: &mut Vec<Layer>,
        trail: &Trail,
        travel: &Travel,
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
        let per = window(sent_at, limit, told, layers, trail);
        let index = match find(limit, per, told, layers) {
            Some(index) => index,
            None => {
                make_room(layers);
                layers.push(Layer::new(now, (limit, per), Why::Headers, trail, travel));
                layers.len() - 1
            }
        };
        let layer = &mut layers[index];
        if sent_at < layer.told_at {
            // Overtaken by a newer answer.
            return true;
        }
        (layer.told_at, layer.confirmed_at) = (sent_at, now);
        if layer.why != Why::Headers {
            (layer.why, layer.since, layer.climb) = (Why::Headers, now, None);
        }
        if layer.named != Some(limit) {
            layer.named = Some(limit);
            layer.set(now, limit);
            layer.contention = None;
            if let Some(guess) = &mut layer.guess {
                guess.renumbered(now);
            }
        }
        if told.per.is_some() || told.reset.is_some() {
            layer.has_named_window = true;
            if layer.guess.take().is_some() && layer.per != per {
                layer.last(now, per, trail, travel);
                return lengthened(layers, index);
            }
        } else if !layer.has_named_window && layer.guess.is_none() {
            layer.guess = Some(Guess::new(sent_at));
        }
        if let (None, Some(reset)) = (told.per, told.reset.filter(|reset| *reset > layer.per + RESET_SLACK)) {
            // A reset is never longer than its window.
            layer.per = usual_window(reset);
            layer.recount(now, trail, travel);
            return lengthened(layers, index);
        }
        if let Some(left) = told.remaining {
            layer.has_named_rest = true;
            layer.look(now, sent_at, left, trail, travel);
            count_others(now, sent_at, left, told.reset, layer, trail);
        }
        true
    }
}

/// What was believed of that window before is told no more: the quota is another one now. True, as a limit was named.
fn lengthened(layers: &mut Vec<Layer>, index: usize) -> bool {
    let per = layers[index].per;
    let mut position = 0..;
    layers.retain(|layer| position.next() == Some(index) || layer.per != per);
    true
}

/// The window that a header means: the one that it names, else the shortest usual one that the reset fits.
///
/// At the end of a long window the reset fits a short one, too. But then more is used than we have sent in so short a
/// time: it is the shortest in which we may have sent it all, unless headers have named the short one before.
fn window(sent_at: Timestamp, limit: u32, told: &HeaderLimit, layers: &[Layer], trail: &Trail) -> Duration {
    if let Some(per) = told.per {
        return per.clamp(WINDOW_MIN, WINDOW_MAX);
    }
    let Some(reset) = told.reset else { return window_estimate::LONGEST };
    let shortest = usual_window(reset);
    if layers.iter().any(|layer| layer.why == Why::Headers && layer.per == shortest) {
        return shortest;
    }
    let used = told.remaining.map_or(0, |left| u64::from(limit).saturating_sub(left));
    let ours = |per: &Duration| used <= trail.may_have_arrived(sent_at.before(*per));
    let longer = USUAL_WINDOWS.into_iter().filter(|per| *per >= shortest);
    longer.filter(|per| *per <= TRAIL_MAX).find(ours).unwrap_or(shortest)
}

/// The limit that a header means: the one of the window that it names, else the one of its number, else of its window.
fn find(limit: u32, per: Duration, told: &HeaderLimit, layers: &[Layer]) -> Option<usize> {
    let of = |test: &dyn Fn(&Layer) -> bool| layers.iter().position(test);
    let is_guessed = |layer: &Layer| layer.guess.is_some();
    if told.per.is_some() {
        let same = of(&|layer| layer.per == per);
        return same.or_else(|| of(&|layer| is_guessed(layer) && layer.named == Some(limit)));
    }
    if told.reset.is_none() && layers.iter().any(is_guessed) {
        let becomes = |layer: &Layer| layer.named.is_some_and(|named| limit / RENUMBERED_MAX <= named);
        return of(&|layer| layer.named == Some(limit)).or_else(|| of(&|layer| is_guessed(layer) && becomes(layer)));
    }
    let named = |layer: &Layer| layer.why == Why::Headers;
    let fits = |layer: &Layer| told.reset.is_none_or(|reset| reset > Duration::from_secs(1) && reset <= layer.per);
    of(&|layer| layer.named == Some(limit))
        .or_else(|| of(&|layer| layer.per == per))
        .or_else(|| of(&|layer| named(layer) && fits(layer)))
}

/// More used than can be ours is others' use.
fn count_others(
    now: Timestamp,
    sent_at: Timestamp,
    left: u64,
    reset: Option<Duration>,
    layer: &mut Layer,
    trail: &Trail,
) {
    let used = u64::from(layer.named.unwrap_or(layer.requests)).saturating_sub(left);
    let foreign = used.saturating_sub(trail.may_have_arrived(sent_at.before(layer.per)));
    let uncounted = trail.may_have_arrived(sent_at).saturating_sub(1);
    let (per, requests) = (layer.per, layer.requests);
    let is_spent = left <= uncounted;
    if layer.contention.as_mut().is_some_and(|contention| contention.take_look(sent_at)) && !is_spent {
        layer.rolled(now, used.saturating_add(trail.may_have_arrived(sent_at)), left.saturating_sub(uncounted));
    }
    match &mut layer.contention {
        None if foreign >= FOREIGN_MIN => {
            layer.contention = Some(Contention::new(now, left.saturating_sub(uncounted), per));
        }
        None => {}
        Some(contention) => {
            if foreign >= FOREIGN_MIN {
                contention.seen(now);
            }
            contention.report(now, sent_at, left, uncounted, per);
            if !contention.turn(now, requests, per) {
                layer.contention = None;
            }
        }
    }
    // At the start of a window its end is no earlier than that of our own slots.
    let edge = reset.filter(|reset| is_spent && *reset + RESET_SLACK < per);
    if let (Some(contention), Some(reset)) = (&mut layer.contention, edge) {
        contention.ends(now, reset);
    }
}

pub(super) fn make_room(layers: &mut Vec<Layer>) {
    while layers.len() >= LAYERS_MAX {
        let oldest = layers.iter().enumerate().min_by_key(|(_, layer)| layer.confirmed_at).map(|(index, _)| index);
        oldest.map(|index| layers.remove(index));
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
