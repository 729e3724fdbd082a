//! Others on the same quota: their use is left to them, and taken back when they stop.
//!
//! With company the requests leave evenly, so that the answers show all the time how much is left; what is left at the
//! worst moment of each window decides how many of ours the next may have.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::budget::NotYet;
use crate::budget::exact::GUARD;
use crate::budget::pacer::Pacer;
use crate::clock::Timestamp;
use crate::settings::Rate;

/// After this many windows without a sign of others, they are gone. A window of a minute needs fewer.
const QUIET_WINDOWS: u32 = 10;
/// What was refused is tried again after this many windows.
const WINDOWS_BEFORE_MORE: u32 = 60;
/// Where nothing is left, it is looked again so often.
const LOOKS_PER_WINDOW: u32 = 32;
/// In a window longer than this an empty bucket would be a pause of its own.
const LONG_WINDOW: Duration = Duration::from_secs(60);
/// Longer than this no reset is waited for without a look: it may be wrong.
pub(super) const EDGE_MAX: Duration = Duration::from_secs(120);
const QUIET_MIN: Duration = Duration::from_secs(10);
const QUIET_MAX: Duration = Duration::from_secs(180);

#[derive(Debug)]
pub(super) struct Contention {
    /// Ours of the quota.
    share: f64,
    /// It is never less: the floor of the setting.
    least_share: f64,
    pace: Pacer,
    since: Timestamp,
    /// The least that was left for anybody in this window.
    least: Option<u64>,
    /// Ours had been accepted of the window in which one was refused.
    refused: Option<u64>,
    /// What was too much, and when: it isn't tried again at once.
    too_much: (f64, Timestamp),
    seen_at: Timestamp,
    /// When a header last told how much is left.
    reported_at: Timestamp,
    /// Something is left for us by the newest report.
    has_left: bool,
    /// Nothing is left by the newest report: a look at it again after this time.
    spent_until: Option<Timestamp>,
    /// Nothing is left of the server's window, and it ends then: one request looks at the next one.
    edge: Option<Timestamp>,
    /// It is on its way, or was lost, and was sent at that time or later.
    looked: Option<Timestamp>,
}

impl Contention {
    pub(super) fn new(now: Timestamp, share: u64, per: Duration) -> Self {
        let has_left = share > 0;
        let share = (share as f64).max(1.0);
        Self {
            share,
            least_share: 1.0,
            pace: pace(share, per, now),
            since: now,
            least: None,
            refused: None,
            too_much: (f64::INFINITY, now),
            seen_at: now,
            reported_at: now,
            has_left,
            spent_until: None,
            edge: None,
            looked: None,
        }
    }

    pub(super) fn share(&self) -> u32 {
        (self.share as u32).max(1)
    }

    /// The floor of the setting holds for our share, too.
    pub(super) fn keep_at_least(&mut self, now: Timestamp, least: u32, per: Duration) {
        self.least_share = f64::from(least);
        if self.share < self.least_share {
            self.share = self.least_share;
            self.pace = pace(self.share, per, now);
        }
    }

    pub(super) fn check(&mut self, now: Timestamp, cost: u32) -> Result<(), NotYet> {
        if let Some(until) = self.spent_until.filter(|until| *until > now) {
            return Err(NotYet::Until(until));
        }
        self.pace.check(now, cost).map_err(NotYet::Until)
    }

    /// A new window has begun, and so much is left of it. What was left of the one before, when we first heard of it,
    /// says little of others' use: half of this one is ours at least, until that is measured.
    pub(super) fn rolled(&mut self, now: Timestamp, left: u64, per: Duration) {
        let half = left as f64 / 2.0;
        if half > self.share {
            self.share = half;
            self.pace = pace(self.share, per, now);
        }
    }

    /// When the server's window ends of which nothing is left: nothing leaves before, and one request then.
    pub(super) fn edge(&self) -> Option<Timestamp> {
        self.edge
    }

    /// Until then nothing may leave.
    pub(super) fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.edge.max(self.spent_until).filter(|until| *until > now)
    }

    /// Nothing is left for us, and the server's window ends after `reset`, however long what we have sent rests.
    pub(super) fn ends(&mut self, now: Timestamp, reset: Duration) {
        self.edge = Some(now.after(reset.min(EDGE_MAX) + GUARD));
    }

    /// Whether a request that was sent at this time is the first of the window after the one that was spent; it counts
    /// once.
    pub(super) fn take_look(&mut self, sent_at: Timestamp) -> bool {
        self.looked.take_if(|edge| sent_at >= *edge).is_some()
    }

    pub(super) fn take(&mut self, cost: u32) {
        if let Some(edge) = self.edge.take() {
            self.looked = Some(edge);
        }
        self.pace.take(cost);
    }

    pub(super) fn seen(&mut self, now: Timestamp) {
        self.seen_at = now;
    }

    pub(super) fn refused(&mut self, used: u64) {
        self.has_left = false;
        self.refused = Some(used);
    }

    /// `left` as the server said; `uncounted`: what it may not have counted yet.
    pub(super) fn report(&mut self, now: Timestamp, sent_at: Timestamp, left: u64, uncounted: u64, per: Duration) {
        self.reported_at = now;
        if sent_at >= self.since {
            self.least = Some(self.least.map_or(left, |least| least.min(left)));
        }
        self.has_left = left > uncounted;
        self.spent_until = (left <= uncounted).then(|| now.after(per / LOOKS_PER_WINDOW));
        self.edge = None;
    }

    /// Once a window: gives back what is short, takes what is over. False when nobody else is there any more.
    pub(super) fn turn(&mut self, now: Timestamp, requests: u32, per: Duration) -> bool {
        if now.since(self.since) < per {
            return true;
        }
        let margin = f64::from((requests / 64).max(1));
        let full = f64::from(requests);
        if let Some(used) = self.refused.take() {
            self.too_much = (self.share, now);
            self.share = (self.share * 0.97 - 1.0).min(used as f64).max(self.least_share);
        } else if let Some(least) = self.least {
            let over = least as f64 - margin;
            let gain = if over < 0.0 { 0.5 } else { 0.25 };
            let (too_much, at) = self.too_much;
            let most = if now.since(at) < per * WINDOWS_BEFORE_MORE { (too_much - 2.0).max(1.0) } else { full };
            // Much is left: others have gone, and what was too much with them is not without.
            let most = if over > full / 8.0 { full } else { most };
            self.share = (self.share + (over * gain).min(full / 4.0)).min(most).max(self.least_share);
        }
        self.since = now;
        self.least = None;
        self.pace = pace(self.share, per, now);
        now.since(self.seen_at) < quiet(per) || self.share < full - 2.0 * margin - 1.0
    }

    /// Headers tell nothing any more: a share that nobody reports on would stay what it is for ever.
    pub(super) fn is_untold(&self, now: Timestamp, per: Duration) -> bool {
        now.since(self.reported_at) >= quiet(per)
    }

    /// After a pause the bucket is empty; not that of a long window of which something is left, which another one has
    /// made wait.
    pub(super) fn restart(&mut self, now: Timestamp, per: Duration) {
        if !self.has_left || per <= LONG_WINDOW {
            self.pace.restart(now);
        }
        self.least = None;
        self.since = now;
        self.spent_until = None;
    }
}

fn quiet(per: Duration) -> Duration {
    (per * QUIET_WINDOWS).clamp(QUIET_MIN, QUIET_MAX)
}

fn pace(share: f64, per: Duration, now: Timestamp) -> Pacer {
    let requests = NonZeroU32::new(share as u32).unwrap_or(NonZeroU32::MIN);
    let burst = NonZeroU32::new(requests.get() / 50 + 1).unwrap_or(NonZeroU32::MIN);
    Pacer::new(Rate { requests, per, burst }, now)
}
