//! How many messages and requests are in each state, counted as they change: whatever holds them must hold as many.

use super::{Parking, State};

/// Counts by state. An outbox holds fewer than there are entry ids, so these don't overflow.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::dispatcher) struct Tally {
    pub(in crate::dispatcher) storing: u32,
    /// In their lanes, those in the store only included.
    pub(in crate::dispatcher) queued: u32,
    /// Until a time of their own.
    pub(in crate::dispatcher) scheduled: u32,
    /// In the line of their route.
    pub(in crate::dispatcher) in_line: u32,
    pub(in crate::dispatcher) bound: u32,
    /// In requests that are about to leave, or have left.
    pub(in crate::dispatcher) under_way: u32,
}

impl Tally {
    #[inline]
    pub(super) fn enter(&mut self, state: State) {
        let count = self.count(state);
        *count = count.wrapping_add(1);
    }

    /// One too many shows as an enormous count, which nothing holds.
    #[inline]
    pub(super) fn leave(&mut self, state: State) {
        let count = self.count(state);
        *count = count.wrapping_sub(1);
    }

    pub(in crate::dispatcher) fn total(&self) -> usize {
        let Self { storing, queued, scheduled, in_line, bound, under_way } = *self;
        [queued, scheduled, in_line, bound, under_way].into_iter().fold(storing, u32::wrapping_add) as usize
    }

    fn count(&mut self, state: State) -> &mut u32 {
        match state {
            State::Storing => &mut self.storing,
            State::Queued => &mut self.queued,
            State::Parked(Parking::NotBefore | Parking::Retry) => &mut self.scheduled,
            State::Parked(Parking::Line) => &mut self.in_line,
            State::Bound => &mut self.bound,
            State::Departing | State::InFlight => &mut self.under_way,
        }
    }
}
