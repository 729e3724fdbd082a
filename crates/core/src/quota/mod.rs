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

    /// Takes a slot of every window, or none.
    ///
    /// # Errors
    /// When to ask again.
    pub fn take(&mut self, now: Timestamp) -> Result<(), NotYet> {
        let mut latest = None;
        for window in &mut self.windows {
            match window.check(now) {
                Ok(()) => {}
                Err(NotYet::AtAnswer) => return Err(NotYet::AtAnswer),
                Err(NotYet::Until(at)) => latest = latest.max(Some(at)),
            }
        }
        match latest {
            Some(at) => Err(NotYet::Until(at)),
            None => {
                self.windows.iter_mut().for_each(Window::take);
                Ok(())
            }
        }
    }

    /// The request was answered: its slots come back a window after this.
    pub fn answered(&mut self, now: Timestamp) {
        self.windows.iter_mut().for_each(|window| window.answered(now));
    }

    /// The request is waited for no more, but what was sent can't be called back: it may still arrive.
    pub fn given_up(&mut self, started_at: Timestamp, now: Timestamp) {
        self.answered(now.max(started_at.after(ON_ITS_WAY_MAX)));
    }

    /// The request never reached the server: its slots are free at once.
    pub fn unsent(&mut self) {
        self.windows.iter_mut().for_each(Window::unsent);
    }

    /// After a pause requests leave evenly spaced at first, not as a flood.
    pub fn restart(&mut self, now: Timestamp) {
        self.windows.iter_mut().for_each(|window| window.restart(now));
    }

    /// Slots that are free in every window.
    pub fn available(&self, now: Timestamp) -> u32 {
        self.windows.iter().map(|window| window.available(now)).min().unwrap_or(u32::MAX)
    }

    /// When a slot comes back, if none is free and it is known.
    pub fn next_free(&self, now: Timestamp) -> Option<Timestamp> {
        self.windows.iter().filter_map(|window| window.next_free(now)).max()
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
