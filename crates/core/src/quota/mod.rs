//! The budget: how many requests may leave now, so that the quota holds *at the server*.

mod pacer;
mod window;

use std::time::Duration;

use self::window::Window;
use crate::clock::Timestamp;
use crate::settings::Rate;

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

/// All windows of an organisation; they hold together.
#[derive(Debug)]
pub struct Quota {
    windows: Vec<Window>,
}

impl Quota {
    /// A full budget.
    pub fn new(rates: &[Rate], now: Timestamp) -> Self {
        Self { windows: rates.iter().map(|rate| Window::new(*rate, now)).collect() }
    }

    /// Whether `cost` slots are free in every window.
    ///
    /// # Errors
    /// When to ask again.
    pub fn check(&mut self, now: Timestamp, cost: u32) -> Result<(), NotYet> {
        let mut latest = None;
        for window in &mut self.windows {
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

    /// Takes slots that [`Self::check`] found free.
    pub fn take(&mut self, cost: u32) {
        self.windows.iter_mut().for_each(|window| window.take(cost));
    }

    /// The request was answered: its slots come back a window after this.
    pub fn answered(&mut self, now: Timestamp, cost: u32) {
        self.windows.iter_mut().for_each(|window| window.answered(now, cost));
    }

    /// The request is waited for no more, but what was sent can't be called back: it may still arrive.
    pub fn given_up(&mut self, started_at: Timestamp, now: Timestamp, cost: u32) {
        self.answered(now.max(started_at.after(ON_ITS_WAY_MAX)), cost);
    }

    /// The request never reached the server: its slots are free at once.
    pub fn unsent(&mut self, cost: u32) {
        self.windows.iter_mut().for_each(|window| window.unsent(cost));
    }

    /// After a pause requests leave evenly spaced at first, not as a flood.
    pub fn restart(&mut self, now: Timestamp) {
        self.windows.iter_mut().for_each(|window| window.restart(now));
    }

    /// The most that one request may cost: what the smallest window, or its burst, holds.
    pub fn cost_max(&self) -> u32 {
        self.windows.iter().map(|window| window.rate().burst.get()).min().unwrap_or(u32::MAX)
    }

    /// Slots that are free in every window.
    pub fn available(&self, now: Timestamp) -> u32 {
        self.windows.iter().map(|window| window.available(now)).min().unwrap_or(u32::MAX)
    }

    /// When a slot is free in every window, if none is now; none, too, while the next answer decides it.
    pub fn next_free(&self, now: Timestamp) -> Option<Timestamp> {
        let mut latest = None;
        for spent in self.windows.iter().filter(|window| window.available(now) == 0) {
            latest = latest.max(Some(spent.next_free(now)?));
        }
        latest
    }

    /// When more is available than now, to the grain in which it is worth telling; none if nothing comes back by itself.
    pub fn next_reading(&self, now: Timestamp) -> Option<Timestamp> {
        self.windows.iter().filter_map(|window| window.next_reading(now)).min()
    }

    /// When the requests were answered that still hold a slot of the widest window, in order; those on the wire count as
    /// answered now.
    pub fn spent(&self, now: Timestamp) -> Vec<Timestamp> {
        self.widest().map(|window| window.spent(now)).unwrap_or_default()
    }

    /// When every slot is free again, if nothing more is sent.
    pub fn all_free(&self, now: Timestamp) -> Timestamp {
        self.widest().map_or(now, |window| window.all_free(now))
    }

    /// Takes over what an earlier budget has spent.
    pub fn inherit(&mut self, now: Timestamp, spent: &[Timestamp]) {
        self.windows.iter_mut().for_each(|window| window.inherit(now, spent));
    }

    fn widest(&self) -> Option<&Window> {
        self.windows.iter().max_by_key(|window| window.rate().per)
    }

    /// The time that `requests` further requests take at the slowest window's rate.
    pub fn time_for(&self, requests: u64) -> Duration {
        self.windows.iter().map(|window| window.time_for(requests)).max().unwrap_or_default()
    }

    /// The rates in force.
    pub fn rates(&self) -> impl Iterator<Item = Rate> {
        self.windows.iter().map(Window::rate)
    }
}
