//! What a refusal means, once everything that was under way with it is back.

use std::time::Duration;

use super::Learner;
use super::contention::Contention;
use super::policy::Policy;
use crate::budget::belief::Why;
use crate::clock::Timestamp;

/// Windows that are inferred where no header names them: per second, per minute.
const WINDOWS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// And those that are only where a refusal says how long the window lasts still.
const WINDOWS_OF_A_WAIT: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(3_600)];
/// Of a window that lasts longer than others a refusal has so much left at least: a server may ask for a little more
/// than a window.
const LEFT_SHARE_MIN: u32 = 8;
/// `Retry-After` comes in whole seconds, rounded up. As a date it is off by up to two: both `Date` and the end are
/// whole.
const TOLD_SLACK: Duration = Duration::from_secs(2);
/// The setting explains a refusal that came after as many requests, but for one in this many.
const START_SLACK: u64 = 10;
/// A window that was refused though less than this share of it was used is not what refused.
const EXPLAINS_MIN: f64 = 0.5;
/// A limit that falls by more than that so soon after it was inferred was none: a longer one's store was spent.
const UNPROVED_MAX: Duration = Duration::from_secs(60);
/// A limit of which at least one part in this many was used may be what refused.
const SUSPECT_SHARE: u64 = 4;

/// Refusals since the last time that nothing was on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribution {
    /// The sending of the first request that was refused.
    pub(super) sent_at: Timestamp,
    /// Headers say which quota was spent.
    pub(super) is_named: bool,
    /// By what the refusals ask for, the window lasts at least so long.
    pub(super) lasts: Duration,
    /// When everything that was under way was back.
    pub(super) over_at: Timestamp,
}

impl Attribution {
    /// When a window of this length, or a log of it, had begun that refused: so much of it is left, the rest is over.
    fn begun_at(&self, per: Duration) -> Timestamp {
        self.sent_at.before(per.saturating_sub(self.lasts.saturating_sub(TOLD_SLACK)))
    }

    /// Up to when what was sent came into the same window.
    fn ended_at(&self, bunch: Duration) -> Timestamp {
        let still_lasted = self.over_at.since(self.sent_at) + TOLD_SLACK <= self.lasts;
        if still_lasted { self.over_at } else { self.sent_at.after(bunch) }
    }

    /// Whether a limit of this window asks for less than was asked for.
    fn rules_out(&self, per: Duration) -> bool {
        per < self.lasts && self.explained_by().is_some_and(|shortest| per < shortest)
    }

    /// The shortest window that has as much left as was asked for, and of which that is a share.
    fn explained_by(&self) -> Option<Duration> {
        let fits = |per: &Duration| *per >= self.lasts && self.lasts >= *per / LEFT_SHARE_MIN;
        WINDOWS_OF_A_WAIT.into_iter().find(fits)
    }
}

impl Learner {
    /// Which limit was full, or that there must be another one.
    pub(super) fn judge(&mut self, now: Timestamp, attribution: Attribution) {
        if attribution.is_named {
            return self.judge_named(now, attribution);
        }
        if let Some(index) = self.spent_in_silence(attribution) {
            return self.policies[index].widen(now);
        }
        if let Some((index, used)) = self.confirmed(attribution) {
            return self.lower(now, index, used, true);
        }
        let Some(index) = self.fullest(attribution) else {
            self.policies.retain(|policy| policy.why != Why::Start);
            return self.infer(now, attribution);
        };
        let (requests, per) = (self.policies[index].requests, self.policies[index].per);
        let used = self.used(attribution, per);
        if used == 0 && self.history.may_count(attribution.sent_at.before(per), attribution.sent_at) {
            // It came too early for what was sent before the window, and arrived in it.
            return;
        }
        if used == 0 && self.infer_longer(now, attribution) {
            return;
        }
        let explains = used as f64 >= f64::from(requests) * EXPLAINS_MIN;
        let is_young = now.since(self.policies[index].since) < UNPROVED_MAX;
        if !explains && is_young && self.infer_longer(now, attribution) {
            return;
        }
        self.lower(now, index, used, explains);
    }

    /// A limit that headers had named and that is spent, though the refusal doesn't say so. None while one that was
    /// learned from refusals may be what refused.
    fn spent_in_silence(&self, attribution: Attribution) -> Option<usize> {
        let is_suspect =
            |policy: &Policy| self.used(attribution, policy.per) * SUSPECT_SHARE >= u64::from(policy.requests);
        if self.policies.iter().any(|policy| policy.why == Why::Refusals && is_suspect(policy)) {
            return None;
        }
        let is_spent = |policy: &Policy| policy.is_nearly(self.used(attribution, policy.per));
        self.policies.iter().position(|policy| policy.why == Why::Headers && is_spent(policy))
    }

    /// A setting that explains the refusal: the server accepted as many requests before it as the setting says. What
    /// was sent at the end of the window before may be of that one.
    fn confirmed(&self, attribution: Attribution) -> Option<(usize, u64)> {
        let start = u64::from(self.start().requests.get());
        let index =
            self.policies.iter().position(|policy| policy.why == Why::Start && !attribution.rules_out(policy.per))?;
        let since = attribution.sent_at.before(self.policies[index].per * 3 / 4);
        let used = self.history.counted(since, attribution.ended_at(self.round_trips.bunch()));
        (used.abs_diff(start) * START_SLACK <= start).then_some((index, used))
    }

    /// Of the limits that were learned from refusals the one that was fullest; of equals, the longest. One that the
    /// organization's limits told of is among them as far as it explains the refusal.
    fn fullest(&self, attribution: Attribution) -> Option<usize> {
        let fullness = |policy: &Policy| self.used(attribution, policy.per) as f64 / f64::from(policy.requests);
        let is_suspect = |policy: &Policy| match policy.why {
            _ if attribution.rules_out(policy.per) => false,
            Why::Refusals => true,
            Why::Limits => fullness(policy) >= EXPLAINS_MIN,
            Why::Configured | Why::Start | Why::Headers => false,
        };
        let learned = self.policies.iter().enumerate().filter(|(_, policy)| is_suspect(policy));
        let fullest = learned
            .max_by(|(_, one), (_, other)| fullness(one).total_cmp(&fullness(other)).then(one.per.cmp(&other.per)));
        fullest.map(|(index, _)| index)
    }

    /// What the server had accepted of a window when it refused: all that was sent since it began, up to then or with
    /// it.
    fn used(&self, attribution: Attribution, per: Duration) -> u64 {
        self.history.counted(attribution.begun_at(per), attribution.ended_at(self.round_trips.bunch()))
    }

    /// Which of the usual windows is it? The shortest that isn't known to have something left.
    fn infer(&mut self, now: Timestamp, attribution: Attribution) {
        // What the organization's limits said of a window doesn't explain the refusal: it gives way.
        let known = |per: Duration, policies: &[Policy]| {
            policies.iter().any(|policy| policy.per == per && policy.why != Why::Limits)
        };
        let waits = attribution.explained_by().into_iter().chain(WINDOWS).filter(|per| !attribution.rules_out(*per));
        let found = waits.filter(|per| !known(*per, &self.policies)).find_map(|per| {
            let used = self.used(attribution, per);
            (used > 0).then_some((u32::try_from(used).unwrap_or(u32::MAX), per))
        });
        if let Some(limit) = found {
            self.begin(now, limit, Why::Refusals);
        } else if self.policies.is_empty() {
            // Refused from the first request on: others have spent it all, or it is a longer window's.
            self.begin(now, (1, WINDOWS[0]), Why::Refusals);
        }
    }

    /// Refused though nothing was sent for a whole window: a longer one is at work, and the shorter one was wronged.
    fn infer_longer(&mut self, now: Timestamp, attribution: Attribution) -> bool {
        let known = self.policies.iter().filter(|policy| policy.why == Why::Refusals).map(|policy| policy.per).max();
        let [second, minute] = WINDOWS;
        let mut windows = [second, minute, self.start().per];
        windows.sort_unstable();
        let longer = windows.into_iter().filter(|per| known.is_some_and(|known| *per > known));
        let found = longer.into_iter().find_map(|per| {
            let used = self.used(attribution, per);
            (used > 0).then_some((u32::try_from(used).unwrap_or(u32::MAX), per))
        });
        let Some(limit) = found else { return false };
        for policy in self.policies.iter_mut().filter(|policy| policy.why == Why::Refusals) {
            let before = policy.before;
            policy.set(now, before);
        }
        self.begin(now, limit, Why::Refusals);
        true
    }

    fn lower(&mut self, now: Timestamp, index: usize, used: u64, explains: bool) {
        let policy = &mut self.policies[index];
        policy.confirmed_at = now;
        let used = u32::try_from(used).unwrap_or(u32::MAX).max(1);
        let lower = policy.increase.as_ref().map_or(used, |increase| increase.fallback(policy.requests, used));
        if let Some(increase) = &mut policy.increase {
            if explains { increase.refused(now) } else { increase.fell(now) }
        }
        policy.before = policy.requests;
        policy.why = Why::Refusals;
        policy.set(now, lower.min(policy.requests));
    }

    /// Headers name the quota, and none is left of it.
    fn judge_named(&mut self, now: Timestamp, attribution: Attribution) {
        let Some(index) = self.reports.tightest(&self.policies) else { return };
        let used = self.used(attribution, self.policies[index].per);
        let policy = &mut self.policies[index];
        if now.since(policy.changed_at) < policy.per {
            // What was under way when the quota changed.
            return;
        }
        let is_nearly = policy.is_nearly(used);
        if !is_nearly && policy.refute(now, &self.history, &self.round_trips) {
            return;
        }
        match &mut policy.contention {
            Some(contention) => contention.refused(used),
            None if is_nearly => policy.widen(now),
            None => policy.contention = Some(Contention::new(now, used, policy.per)),
        }
    }
}
