//! The budget: how many requests may leave now, so that the quota holds *at the server*.
//!
//! A quota that the caller knows is kept exactly (`exact`); one that nobody knows is learned from what the server
//! says, and what it refuses (`learned`).

mod belief;
mod exact;
mod learned;
mod pacer;
mod reserve;
mod slots;

use std::time::Duration;

pub use self::belief::{Belief, Believed, BelievedLayer, Why};
use self::exact::{GUARD, Window};
pub use self::learned::Heard;
use self::learned::Learner;
pub use self::reserve::Turn;
use crate::clock::Timestamp;
use crate::evidence::RequestLimit;
use crate::settings::{Learn, Rate};

/// A request that was given up arrives within this time of its sending, or never: a slow way and two retransmissions.
const ON_ITS_WAY_MAX: Duration = Duration::from_secs(1);

/// A refusal is a value that carries the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// Free at this time.
    Until(Timestamp),
    /// Every slot is on the wire: the next answer decides.
    AtAnswer,
}

#[derive(Debug)]
enum Kind {
    /// All windows of an organization; they hold together.
    Known(Vec<Window>),
    Learned(Box<Learner>),
}

/// The budget of an organization.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use spillway_core::{budget::{NotYet, Quota}, clock::Timestamp, settings::Rate};
///
/// let one = NonZeroU32::MIN;
/// let mut quota = Quota::new(&[Rate { requests: one, per: Duration::from_secs(1), burst: one }], Timestamp::START);
/// assert_eq!(quota.check(Timestamp::START, 1), Ok(()));
/// quota.reserve(Timestamp::START, 1);
/// quota.left(Timestamp::START, 1);
/// assert_eq!(quota.check(Timestamp::START, 1), Err(NotYet::AtAnswer), "the slot is on the wire");
/// ```
#[derive(Debug)]
pub struct Quota {
    kind: Kind,
    started_at: Timestamp,
    /// When the newest slots were taken.
    taken_at: Option<Timestamp>,
}

impl Quota {
    /// A full budget.
    pub fn new(rates: &[Rate], now: Timestamp) -> Self {
        Self {
            kind: Kind::Known(rates.iter().map(|rate| Window::new(*rate, now)).collect()),
            started_at: now,
            taken_at: None,
        }
    }

    /// A budget that is to be learned.
    pub fn learning(learn: Learn, now: Timestamp) -> Self {
        Self { kind: Kind::Learned(Box::new(Learner::new(learn, now))), started_at: now, taken_at: None }
    }

    /// Whether `cost` slots are free in every window.
    ///
    /// # Errors
    /// When to ask again.
    pub fn check(&mut self, now: Timestamp, cost: u32) -> Result<(), NotYet> {
        let windows = match &mut self.kind {
            Kind::Known(windows) => windows,
            Kind::Learned(learner) => return learner.check(now, cost),
        };
        let mut latest = None;
        for window in windows {
            match window.check(now, cost) {
                Ok(()) => {}
                Err(NotYet::AtAnswer) => return Err(NotYet::AtAnswer),
                Err(NotYet::Until(at)) => latest = latest.max(Some(at)),
            }
        }
        match latest {
            Some(at) => Err(NotYet::Until(at)),
            None => Ok(()),
        }
    }

    /// Whose turn it is, if slots are free: half of a long window's is spread, except for those who come late.
    pub fn turn(&self, now: Timestamp) -> Turn {
        let last = self.taken_at;
        match &self.kind {
            Kind::Known(windows) => windows.iter().map(|window| window.turn(now, last)).fold(Turn::All, Turn::and),
            Kind::Learned(learner) => learner.turn(now, last),
        }
    }

    /// Who has sent within this time doesn't come late; none where nobody is kept waiting for who does.
    pub fn turn_memory(&self) -> Option<Duration> {
        let longest = match &self.kind {
            Kind::Known(windows) => widest(windows).map_or(Duration::ZERO, |window| window.rate().per),
            Kind::Learned(learner) => learner.longest(),
        };
        reserve::memory(longest)
    }

    /// Takes slots that [`Self::check`] found free, for a request that is about to leave: nobody else gets them
    /// meanwhile.
    pub fn reserve(&mut self, now: Timestamp, cost: u32) {
        self.taken_at = Some(now);
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.take(cost)),
            Kind::Learned(learner) => learner.reserve(now, cost),
        }
    }

    /// A request with reserved slots leaves: it may arrive from now on.
    pub fn left(&mut self, now: Timestamp, cost: u32) {
        match &mut self.kind {
            // A known quota counts from the answer.
            Kind::Known(_) => {}
            Kind::Learned(learner) => learner.left(now, cost),
        }
    }

    /// A request with reserved slots will never leave: they are free at once.
    pub fn cancel(&mut self, cost: u32) {
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.release(cost)),
            Kind::Learned(learner) => learner.cancel(cost),
        }
    }

    /// The request was answered, or is waited for no more: its slots come back a window after this.
    pub fn heard(&mut self, now: Timestamp, heard: Heard<'_>) {
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.answered(now, heard.cost)),
            Kind::Learned(learner) => learner.heard(now, heard),
        }
    }

    /// The request is waited for no more, but what has left can't be called back: it may still arrive.
    pub fn given_up(&mut self, left_at: Timestamp, now: Timestamp, cost: u32) {
        let at = Self::arrived_by(left_at, now);
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.answered(at, cost)),
            Kind::Learned(learner) => {
                learner.heard(at, Heard { sent_at: left_at, cost, refused: false, evidence: None });
            }
        }
    }

    /// By when a request has arrived, or never will, that left at `left_at` and is given up `now`.
    pub fn arrived_by(left_at: Timestamp, now: Timestamp) -> Timestamp {
        now.max(left_at.after(ON_ITS_WAY_MAX))
    }

    /// The request never reached the server: its slots are free at once.
    pub fn unsent(&mut self, now: Timestamp, left_at: Timestamp, cost: u32) {
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.release(cost)),
            Kind::Learned(learner) => learner.unsent(now, left_at, cost),
        }
    }

    /// What the organization's limits say: believed until answers to messages say something. A known quota stays as it
    /// is.
    pub fn told_limits(&mut self, now: Timestamp, limits: &[RequestLimit]) {
        if let Kind::Learned(learner) = &mut self.kind {
            learner.told_limits(now, limits);
        }
    }

    /// Whether nothing better than the setting is believed of a quota that is to be learned.
    pub fn knows_nothing(&self) -> bool {
        match &self.kind {
            Kind::Known(_) => false,
            Kind::Learned(learner) => learner.knows_nothing(),
        }
    }

    /// After a pause requests leave evenly spaced at first, not as a flood.
    pub fn restart(&mut self, now: Timestamp) {
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.restart(now)),
            Kind::Learned(learner) => learner.restart(now),
        }
    }

    /// The most that one request may cost: what the smallest window, or its burst, holds.
    pub fn cost_max(&self) -> u32 {
        match &self.kind {
            Kind::Known(windows) => windows.iter().map(|window| window.rate().burst.get()).min().unwrap_or(u32::MAX),
            Kind::Learned(learner) => learner.cost_max(),
        }
    }

    /// Slots that are free in every window.
    pub fn available(&self, now: Timestamp) -> u32 {
        match &self.kind {
            Kind::Known(windows) => windows.iter().map(|window| window.available(now)).min().unwrap_or(u32::MAX),
            Kind::Learned(learner) => learner.available(now),
        }
    }

    /// When a slot is free in every window, if none is now; none, too, while the next answer decides it.
    pub fn next_free(&self, now: Timestamp) -> Option<Timestamp> {
        let windows = match &self.kind {
            Kind::Known(windows) => windows,
            Kind::Learned(learner) => return learner.next_free(now),
        };
        let mut latest = None;
        for spent in windows.iter().filter(|window| window.available(now) == 0) {
            latest = latest.max(Some(spent.next_free(now)?));
        }
        latest
    }

    /// When more is available than now, to the grain in which it is worth telling; none if nothing comes back by
    /// itself.
    pub fn next_reading(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.kind {
            Kind::Known(windows) => windows.iter().filter_map(|window| window.next_reading(now)).min(),
            Kind::Learned(learner) => learner.next_reading(now),
        }
    }

    /// When the requests were answered that still hold a slot of the widest window, in order.
    pub fn spent(&self, now: Timestamp) -> Vec<Timestamp> {
        match &self.kind {
            Kind::Known(windows) => widest(windows).map(|window| window.spent(now)).unwrap_or_default(),
            Kind::Learned(learner) => learner.spent(now),
        }
    }

    /// For how long after its answer a request holds a slot of the widest window.
    pub fn held_for(&self) -> Duration {
        match &self.kind {
            Kind::Known(windows) => widest(windows).map_or(Duration::ZERO, |window| window.rate().per + GUARD),
            Kind::Learned(learner) => learner.widest() + GUARD,
        }
    }

    /// Takes over what an earlier budget has spent.
    pub fn inherit(&mut self, now: Timestamp, spent: &[Timestamp]) {
        match &mut self.kind {
            Kind::Known(windows) => windows.iter_mut().for_each(|window| window.inherit(now, spent)),
            Kind::Learned(learner) => learner.inherit(now, spent),
        }
    }

    /// The time that `requests` further requests take at the slowest window's rate.
    pub fn time_for(&self, requests: u64) -> Duration {
        match &self.kind {
            Kind::Known(windows) => windows.iter().map(|window| window.time_for(requests)).max().unwrap_or_default(),
            Kind::Learned(learner) => learner.time_for(requests),
        }
    }

    /// The limits in force, and why they are believed.
    pub fn believed(&self) -> Vec<Believed> {
        match &self.kind {
            Kind::Known(windows) => {
                let configured = |Rate { requests, per, .. }| Believed {
                    requests: requests.get(),
                    per,
                    why: Why::Configured,
                    share: None,
                };
                windows.iter().map(|window| configured(window.rate())).collect()
            }
            Kind::Learned(learner) => learner.believed(),
        }
    }

    /// Since when all of that is believed.
    pub fn since(&self) -> Timestamp {
        match &self.kind {
            Kind::Known(_) => self.started_at,
            Kind::Learned(learner) => learner.since().unwrap_or(self.started_at),
        }
    }

    /// What is believed now, if it differs enough from what this told last.
    pub fn news(&mut self) -> Option<Vec<Believed>> {
        match &mut self.kind {
            Kind::Known(_) => None,
            Kind::Learned(learner) => learner.news(),
        }
    }

    /// What has been learned, to be kept across engines and restarts; empty when nothing was, or there is nothing to
    /// learn.
    pub fn belief(&self, now: Timestamp) -> Belief {
        match &self.kind {
            Kind::Known(_) => Belief::default(),
            Kind::Learned(learner) => learner.belief(now),
        }
    }

    /// Begins with what was learned before. A known quota stays as it is known.
    pub fn restore(&mut self, now: Timestamp, belief: &Belief) {
        if let Kind::Learned(learner) = &mut self.kind {
            learner.restore(now, belief);
        }
    }
}

fn widest(windows: &[Window]) -> Option<&Window> {
    windows.iter().max_by_key(|window| window.rate().per)
}
