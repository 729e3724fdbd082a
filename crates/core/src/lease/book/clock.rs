//! What has passed at the store: at least, and at most.
//!
//! A server's clock may be put forward at any moment, and by less than a renewal travels, so that no single reading
//! shows it. It is believed only as far as a host confirms it: a host says how long ago, on its own clock, it has heard
//! of a reading. What has passed in that time for sure is the time's earliest end; what the server's clock shows is
//! its latest.
//!
//! What begins is noted by the latest reading, and what ends is over by the earliest, so that neither a clock that is
//! put forward nor the way of a renewal makes anything shorter. Where nobody can confirm anything, since nobody was
//! there, nothing has passed, up to [`LEAP_MAX`].

use super::Micros;

/// If both ends are farther apart, the clock was put forward, or nobody was there: the latest is what is wrong.
const LEASH: Micros = 2_000_000;
/// No clock is put forward by more while nobody is there.
const LEAP_MAX: Micros = 3_600_000_000;

/// What a host says of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Witness {
    /// What [`Clock::reading`] was when the store sent it a grant.
    pub(super) reading: Micros,
    /// What has passed since the host has heard that, at least.
    pub(super) since: Micros,
}

/// It is no earlier than the one, and no later than the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) earliest: Micros,
    pub(super) latest: Micros,
}

/// From when on the server's clock is believed for a latest end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Base {
    reading: Micros,
    earliest: Micros,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// What the server's clock has shown last, and what has to be added to it since it was put back: it never goes
    /// back.
    reading: Micros,
    added: Micros,
    /// What it was at least then.
    earliest: Micros,
    base: Base,
}

impl Clock {
    pub(super) fn new(server: Micros) -> Self {
        Self { reading: server, added: 0, earliest: server, base: Base { reading: server, earliest: server } }
    }

    /// What hosts are told, to say it again later.
    pub(super) fn reading(&self) -> Micros {
        self.reading
    }

    /// The time by the server's clock, and by what a host says.
    pub(super) fn advance(&mut self, server: Micros, witness: Option<Witness>) -> Now {
        let before = self.reading;
        // Put back: nothing has passed, until somebody knows better.
        self.added = self.added.max(before.saturating_sub(server));
        self.reading = server + self.added;
        match witness {
            Some(witness) => self.believe(before, witness),
            None => self.earliest += (self.reading - before).saturating_sub(LEAP_MAX),
        }
        let latest = (self.base.earliest + self.reading).saturating_sub(self.base.reading).max(self.earliest);
        if latest - self.earliest <= LEASH {
            return Now { earliest: self.earliest, latest };
        }
        self.base = Base { reading: self.reading, earliest: self.earliest };
        Now { earliest: self.earliest, latest: self.earliest }
    }

    fn believe(&mut self, before: Micros, Witness { reading, since }: Witness) {
        if reading > self.base.reading {
            // It can tell nothing of what was before that reading.
            self.base = Base { reading: before, earliest: self.earliest };
        }
        // More has passed than the server's clock shows: it was put back, before or after what was noted meanwhile.
        let lost = since.saturating_sub(self.reading.saturating_sub(reading));
        self.added += lost;
        self.reading += lost;
        self.base.earliest = self.base.earliest.saturating_sub(lost);
        let shown = self.reading - self.base.reading;
        // Of what the host has waited, so much was before the base.
        let passed = since.saturating_sub(self.base.reading.saturating_sub(reading)).min(shown);
        self.earliest = self.earliest.max(self.base.earliest + passed);
    }
}

#[cfg(test)]
mod tests;
