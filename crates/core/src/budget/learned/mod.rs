//! What is learned of a quota that nobody told us, from what each answer says: headers, refusals, silence.
//!
//! Headers name the limit outright. Where there are none, the learner fills whole windows and counts: the requests of a
//! window that were accepted when one was refused *are* the quota, so a single request too many tells it exactly. Every
//! limit has the slots of what was sent lately; that is what keeps it.

mod attribution;
mod contention;
mod headers;
mod history;
mod increase;
mod margin;
mod policy;
mod rtt;
mod spent_window;
mod window_estimate;

use std::time::Duration;

use self::attribution::Attribution;
use self::headers::Reports;
use self::history::{Fate, SendHistory, SentRequest};
use self::policy::{POLICIES_MAX, Policy};
use self::rtt::RoundTrips;
use self::spent_window::SpentWindow;
use crate::budget::NotYet;
use crate::budget::belief::{Belief, Believed, BelievedPolicy, Why};
use crate::budget::exact::{GUARD, Window, time_for};
use crate::budget::pacer::Pacer;
use crate::budget::reserve::Turn;
use crate::clock::Timestamp;
use crate::evidence::{Evidence, RequestLimit, Unnamed, WINDOW_MAX};
use crate::settings::{Learn, Rate};

/// After a pause the whole quota leaves evenly within this many round trips.
const RAMP_ROUND_TRIPS: u32 = 2;
/// A change of less than this is no news.
const NEWS_MIN: f64 = 0.1;

/// What came of a request, as far as the quota is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Slots that it took.
    pub cost: u32,
    /// The server refused it for the limit's sake.
    pub refused: bool,
    /// What the answer says, if there is one.
    pub evidence: Option<&'a Evidence>,
}

#[derive(Debug)]
pub(super) struct Learner {
    settings: Learn,
    ceiling: Window,
    policies: Vec<Policy>,
    history: SendHistory,
    round_trips: RoundTrips,
    reports: Reports,
    spent_window: SpentWindow,
    /// After a pause, until everything may leave again.
    ramp: Option<(Pacer, Timestamp)>,
    attribution: Option<Attribution>,
    has_heard: bool,
    told: Vec<Believed>,
}

impl Learner {
    pub(super) fn new(settings: Learn, now: Timestamp) -> Self {
        let mut learner = Self {
            settings,
            ceiling: Window::new(settings.ceiling, now),
            policies: Vec::new(),
            history: SendHistory::default(),
            round_trips: RoundTrips::default(),
            reports: Reports::default(),
            spent_window: SpentWindow::none(Timestamp::START),
            ramp: None,
            attribution: None,
            has_heard: false,
            told: Vec::new(),
        };
        learner.begin(now, (settings.start.requests.get(), settings.start.per), Why::Start);
        learner.told = learner.believed();
        learner
    }

    pub(super) fn check(&mut self, now: Timestamp, cost: u32) -> Result<(), NotYet> {
        // The first answer tells more than any belief, and a refusal is understood when all that was under way is back.
        if self.is_under_way() && (!self.has_heard || self.attribution.is_some()) {
            return Err(NotYet::AtAnswer);
        }
        let mut latest = later(self.ceiling.check(now, cost), self.spent_window.check(now));
        let sent = self.history.sent() + self.history.reserved();
        for policy in &mut self.policies {
            latest = later(latest, policy.check(now, cost, sent, &self.round_trips));
        }
        latest?;
        match &mut self.ramp {
            Some((pacer, until)) if *until > now => pacer.check(now, cost).map_err(NotYet::Until),
            _ => Ok(()),
        }
    }

    pub(super) fn turn(&self, now: Timestamp, last: Option<Timestamp>) -> Turn {
        self.policies.iter().map(|policy| policy.turn(now, last)).fold(Turn::All, Turn::and)
    }

    /// The longest window that is believed in.
    pub(super) fn longest(&self) -> Duration {
        self.policies.iter().map(|policy| policy.per).max().unwrap_or_default()
    }

    /// What the setting says.
    pub(super) fn start(&self) -> Rate {
        self.settings.start
    }

    fn is_under_way(&self) -> bool {
        self.history.on_the_wire() + self.history.reserved() > 0
    }

    pub(super) fn reserve(&mut self, now: Timestamp, cost: u32) {
        self.ceiling.take(cost);
        self.spent_window.reserve(now);
        self.policies.iter_mut().for_each(|policy| policy.take(cost));
        if let Some((pacer, _)) = &mut self.ramp {
            pacer.take(cost);
        }
        self.history.reserve(cost);
    }

    pub(super) fn left(&mut self, now: Timestamp, cost: u32) {
        self.spent_window.left(now);
        self.history.left(now, cost);
    }

    pub(super) fn cancel(&mut self, cost: u32) {
        self.history.cancel(cost);
        self.ceiling.release(cost);
        self.policies.iter_mut().for_each(|policy| policy.release(cost));
    }

    pub(super) fn heard(&mut self, now: Timestamp, heard: Heard<'_>) {
        let Heard { sent_at, cost, refused, evidence } = heard;
        let is_first = evidence.is_some() && !self.has_heard;
        let fate = match evidence {
            _ if refused => Fate::Refused,
            Some(_) => Fate::Counted,
            None => Fate::Adrift,
        };
        let sent = self.history.settle(now, sent_at, cost, fate);
        // Only the ceiling holds, too, for what the server didn't want: it is on what is sent.
        self.ceiling.answered(now, cost);
        if evidence.is_some() {
            let span = now.since(sent_at);
            self.round_trips.took(span);
            if !refused {
                // A refusal may come from nearer than what is accepted.
                self.round_trips.compare(now, span, self.history.on_the_wire());
            }
        }
        for policy in &mut self.policies {
            match sent.filter(|_| !refused) {
                Some(sent) => policy.counted(&sent, &self.history, &self.round_trips),
                None => policy.release(cost),
            }
        }
        if let Some(evidence) = evidence {
            self.read(now, sent_at, evidence);
        }
        if is_first {
            self.has_heard = true;
            self.restart(now);
        }
        if refused {
            self.spent_window.refused();
            let is_named = Reports::names_spent(evidence);
            let lasts = evidence.and_then(Evidence::window_left).unwrap_or_default();
            let attribution = self.attribution.get_or_insert(Attribution { sent_at, is_named, lasts, over_at: now });
            attribution.sent_at = attribution.sent_at.min(sent_at);
            attribution.is_named |= is_named;
            attribution.lasts = attribution.lasts.max(lasts);
        }
        self.conclude(now);
    }

    pub(super) fn unsent(&mut self, now: Timestamp, sent_at: Timestamp, cost: u32) {
        self.history.settle(now, sent_at, cost, Fate::Refused);
        self.ceiling.release(cost);
        self.policies.iter_mut().for_each(|policy| policy.release(cost));
        self.conclude(now);
    }

    pub(super) fn restart(&mut self, now: Timestamp) {
        for policy in &mut self.policies {
            let per = policy.per;
            if let Some(contention) = &mut policy.contention {
                contention.restart(now, per);
            }
            policy.resumed(now);
        }
        let Some(tightest) = self.policies.iter().min_by_key(|policy| policy.per) else { return };
        let longest = tightest.per / 4;
        let span = (self.round_trips.mean() * RAMP_ROUND_TRIPS).clamp(longest / 16, longest);
        let Some(requests) = std::num::NonZeroU32::new(tightest.limit()) else { return };
        let mut pacer = Pacer::new(Rate { requests, per: span, burst: requests }, now);
        pacer.restart(now);
        self.ramp = Some((pacer, now.after(span)));
    }

    /// Everything that was under way is back, or a limit was reached: what does it mean?
    fn conclude(&mut self, now: Timestamp) {
        if self.history.on_the_wire() == 0
            && let Some(mut attribution) = self.attribution.take()
        {
            attribution.over_at = now;
            self.judge(now, attribution);
            self.policies.iter_mut().for_each(|policy| policy.paused(now));
        }
        if self.attribution.is_none() {
            let settled = self.history.settled();
            for policy in &mut self.policies {
                let (requests, per) = (policy.requests, policy.per);
                if let Some(increase) = &mut policy.increase {
                    increase.settled(now, settled, requests, per);
                }
            }
        }
        self.bound(now);
    }

    /// No policy leaves floor and ceiling, whatever it was made of; nor does our share of it.
    fn bound(&mut self, now: Timestamp) {
        let (floor, ceiling) = (self.settings.floor, self.settings.ceiling);
        for policy in &mut self.policies {
            let (least, most) = bounds(policy.per, floor, ceiling);
            policy.set(now, policy.requests.clamp(least, most));
            if let Some(contention) = &mut policy.contention {
                contention.keep_at_least(now, least, policy.per);
            }
        }
    }

    fn read(&mut self, now: Timestamp, sent_at: Timestamp, evidence: &Evidence) {
        let is_known = |wait: Duration| self.policies.iter().any(|policy| policy.per >= wait);
        let unnamed = match evidence.unnamed {
            // Of a window of a minute nearly every reset is longer than a second.
            Unnamed::Outlasting(wait) if is_known(wait) => Unnamed::Untold,
            unnamed => unnamed,
        };
        self.spent_window.heard(now, sent_at, unnamed);
        let mut is_named = false;
        for told in evidence.told() {
            is_named |= self.reports.take(now, sent_at, told, &mut self.policies, &self.history, &self.round_trips);
        }
        if is_named {
            self.policies.retain(|policy| !policy.why.is_first_belief());
            self.policies.retain(|policy| {
                policy.why != Why::Headers || now.since(policy.confirmed_at) < policy.kept_unconfirmed()
            });
            self.bound(now);
        }
    }

    pub(super) fn knows_nothing(&self) -> bool {
        self.policies.iter().all(|policy| policy.why == Why::Start)
    }

    /// A first belief instead of the setting's; evidence that has come meanwhile is better.
    pub(super) fn told_limits(&mut self, now: Timestamp, limits: &[RequestLimit]) {
        if limits.is_empty() || !self.knows_nothing() {
            return;
        }
        self.policies.clear();
        for (requests, per) in limits {
            self.begin(now, (requests.get(), *per), Why::Limits);
        }
        self.restart(now);
    }

    /// Believes in a limit; of a window that the organization's limits told of, in what was learned since.
    pub(super) fn begin(&mut self, now: Timestamp, (requests, per): (u32, Duration), why: Why) {
        let (least, most) = bounds(per, self.settings.floor, self.settings.ceiling);
        self.policies.retain(|policy| policy.why != Why::Limits || policy.per != per);
        headers::make_room(&mut self.policies);
        self.policies.push(Policy::new(now, (requests.clamp(least, most), per), why, &self.history, &self.round_trips));
    }

    pub(super) fn believed(&self) -> Vec<Believed> {
        let mut all: Vec<Believed> = self.policies.iter().map(Policy::believed).collect();
        all.sort_by_key(|one| one.per);
        all
    }

    pub(super) fn since(&self) -> Option<Timestamp> {
        self.policies.iter().map(|policy| policy.changed_at.max(policy.since)).max()
    }

    /// What is believed now, if that differs from what was told last by more than it takes to be news.
    pub(super) fn news(&mut self) -> Option<Vec<Believed>> {
        let now = self.believed();
        let differs = |(one, other): (&Believed, &Believed)| {
            let far = |one: u32, other: u32| f64::from(one.abs_diff(other)) > f64::from(one.max(other)) * NEWS_MIN;
            one.per != other.per
                || one.why != other.why
                || far(one.requests, other.requests)
                || one.share.is_some() != other.share.is_some()
        };
        let is_new = now.len() != self.told.len() || now.iter().zip(&self.told).any(differs);
        if is_new {
            self.told.clone_from(&now);
        }
        is_new.then_some(now)
    }

    pub(super) fn belief(&self, now: Timestamp) -> Belief {
        let learned = self.policies.iter().filter(|policy| policy.why != Why::Start);
        Belief { policies: learned.map(|policy| policy.keep(now)).collect() }
    }

    pub(super) fn restore(&mut self, now: Timestamp, belief: &Belief) {
        let is_sane = |kept: &&BelievedPolicy| {
            kept.requests > 0 && kept.per_ms > 0 && matches!(kept.why, Why::Limits | Why::Headers | Why::Refusals)
        };
        let kept: Vec<_> = belief.policies.iter().filter(is_sane).take(POLICIES_MAX).collect();
        if kept.is_empty() {
            return;
        }
        self.policies.clear();
        for kept in kept {
            let per = Duration::from_millis(kept.per_ms).min(WINDOW_MAX);
            self.begin(now, (kept.requests, per), kept.why);
            if let Some(policy) = self.policies.last_mut() {
                policy.since = now.before(Duration::from_millis(kept.age_ms));
                policy.changed_at = policy.since;
            }
        }
        self.told = self.believed();
    }

    pub(super) fn inherit(&mut self, now: Timestamp, spent: &[Timestamp]) {
        spent.iter().for_each(|at| self.history.inherit(now, *at));
        self.ceiling.inherit(now, spent);
        for policy in &mut self.policies {
            policy.recount(now, &self.history, &self.round_trips);
        }
    }

    pub(super) fn spent(&self, now: Timestamp) -> Vec<Timestamp> {
        let (widest, ceiling) = (self.widest(), self.ceiling.rate().per + GUARD);
        let holds = |sent: &&SentRequest| sent.fate != Fate::OnTheWire && sent.settled_at.after(widest) > now;
        // Of its own window the ceiling knows more: what was refused.
        let older = self.history.counting().filter(holds).filter(|sent| sent.settled_at.after(ceiling) <= now);
        let older = older.flat_map(|sent| (0..sent.cost).map(|_| sent.settled_at));
        let mut all: Vec<_> = older.chain(self.ceiling.spent(now)).collect();
        all.sort_unstable();
        all
    }

    pub(super) fn widest(&self) -> Duration {
        self.longest().max(self.ceiling.rate().per)
    }

    pub(super) fn cost_max(&self) -> u32 {
        let least = self.policies.iter().map(Policy::limit).min().unwrap_or(u32::MAX);
        least.min(self.ceiling.rate().burst.get()).max(1)
    }

    pub(super) fn available(&self, now: Timestamp) -> u32 {
        if !self.has_heard {
            return u32::from(!self.is_under_way());
        }
        if self.spent_window.waits_until(now).is_some() {
            return 0;
        }
        let policies = self.policies.iter().map(|policy| policy.available(now));
        policies.min().unwrap_or(u32::MAX).min(self.ceiling.available(now))
    }

    pub(super) fn next_free(&self, now: Timestamp) -> Option<Timestamp> {
        let mut latest = self.spent_window.waits_until(now);
        for policy in self.policies.iter().filter(|policy| policy.available(now) == 0) {
            latest = latest.max(Some(policy.next_free(now)?));
        }
        if self.ceiling.available(now) == 0 {
            latest = latest.max(Some(self.ceiling.next_free(now)?));
        }
        latest
    }

    pub(super) fn next_reading(&self, now: Timestamp) -> Option<Timestamp> {
        self.policies.iter().filter_map(|policy| policy.slots().next_reading(now, policy.per)).min()
    }

    pub(super) fn time_for(&self, requests: u64) -> Duration {
        let policies = self.policies.iter().map(|policy| time_for(requests, policy.limit(), policy.per));
        policies.max().unwrap_or_default().max(self.ceiling.time_for(requests))
    }
}

/// The later of two refusals; one without a time is the latest.
fn later(one: Result<(), NotYet>, other: Result<(), NotYet>) -> Result<(), NotYet> {
    match (one, other) {
        (Err(NotYet::AtAnswer | NotYet::AtGrant), _) | (_, Err(NotYet::AtAnswer | NotYet::AtGrant)) => {
            Err(NotYet::AtAnswer)
        }
        (Err(NotYet::Until(one)), Err(NotYet::Until(other))) => Err(NotYet::Until(one.max(other))),
        (Err(NotYet::Until(at)), Ok(())) | (Ok(()), Err(NotYet::Until(at))) => Err(NotYet::Until(at)),
        (Ok(()), Ok(())) => Ok(()),
    }
}

/// The least and the most requests of a window, so that the rate stays between floor and ceiling; never none.
fn bounds(per: Duration, floor: Rate, ceiling: Rate) -> (u32, u32) {
    let of = |rate: Rate| f64::from(rate.requests.get()) * per.as_secs_f64() / rate.per.as_secs_f64();
    let most = (of(ceiling) as u32).max(1);
    ((of(floor).ceil() as u32).clamp(1, most), most)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroU32;

    use super::*;
    use crate::budget::Quota;
    use crate::token::TokenId;

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    /// Two requests a second at first.
    fn quota() -> Quota {
        quota_below(100, 1)
    }

    fn quota_below(requests: u32, per_s: u64) -> Quota {
        let rate = |requests, per_s| {
            let requests = NonZeroU32::new(requests).unwrap();
            Rate { requests, per: Duration::from_secs(per_s), burst: requests }
        };
        let learn = Learn { start: rate(2, 1), floor: rate(1, 60), ceiling: rate(requests, per_s), read_limits: false };
        Quota::learning(learn, at_ms(1_000))
    }

    fn leave(quota: &mut Quota, ms: u64) {
        quota.reserve(at_ms(ms), TokenId::FIRST, 1);
        quota.left(at_ms(ms), TokenId::FIRST, 1);
    }

    fn answered(quota: &mut Quota, sent_ms: u64, now_ms: u64) {
        let evidence = Some(&Evidence::default());
        quota.heard(
            at_ms(now_ms),
            TokenId::FIRST,
            Heard { sent_at: at_ms(sent_ms), cost: 1, refused: false, evidence },
        );
    }

    /// Cost of what is sent, and of what is settled and everything before it, too.
    fn sent_and_settled(quota: &Quota) -> (u64, u64) {
        let crate::budget::Kind::Learned(learner) = &quota.kind else { return (0, 1) };
        (learner.history.sent(), learner.history.settled())
    }

    #[test]
    fn a_request_beside_inherited_ones_that_may_still_arrive_holds_its_slot() {
        let mut quota = quota();
        quota.inherit(at_ms(1_000), &[at_ms(1_800)]);
        leave(&mut quota, 1_010);
        answered(&mut quota, 1_010, 1_050);
        assert_eq!(sent_and_settled(&quota), (2, 2));
        assert_eq!(quota.available(at_ms(2_000)), 0);
        assert_eq!(quota.available(at_ms(2_700)), 1, "the inherited one has not come back yet");
        assert_eq!(quota.available(at_ms(2_810)), 2);
    }

    #[test]
    fn a_request_that_was_given_up_holds_its_slot_from_when_it_may_arrive() {
        let mut quota = quota();
        leave(&mut quota, 1_000);
        answered(&mut quota, 1_000, 1_050);
        // It waits for a connection, and leaves just before it is given up.
        quota.reserve(at_ms(3_000), TokenId::FIRST, 1);
        quota.left(at_ms(3_500), TokenId::FIRST, 1);
        quota.given_up(at_ms(3_500), at_ms(3_500), TokenId::FIRST, 1);
        assert_eq!(sent_and_settled(&quota), (2, 2));
        assert_eq!(quota.available(at_ms(5_490)), 1);
        assert_eq!(quota.available(at_ms(5_510)), 2);
    }

    #[test]
    fn the_ceiling_goes_on_with_all_that_it_has_spent() {
        let mut quota = quota_below(3, 5);
        leave(&mut quota, 1_000);
        answered(&mut quota, 1_000, 1_050);
        leave(&mut quota, 3_000);
        let evidence = Some(&Evidence::default());
        quota.heard(at_ms(3_100), TokenId::FIRST, Heard { sent_at: at_ms(3_000), cost: 1, refused: true, evidence });
        assert_eq!(quota.spent(at_ms(4_210)), [at_ms(1_050), at_ms(3_100)]);
    }
}
