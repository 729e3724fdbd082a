//! The pauses of the fleet, and who probes.

use std::collections::BTreeMap;

use super::{Micros, micros, span};
use crate::lease::broadcast::Broadcast;
use crate::lease::identity::Host;
use crate::lease::pause::{Pause, PauseReport, Scope};

/// For how long a host may probe a scope before another one may.
const PROBE_LASTS: Micros = 10_000_000;
/// After its time, a pause that nobody probes is forgotten.
const UNPROBED_MAX: Micros = 60_000_000;
/// No pause is longer.
const PAUSE_MAX: Micros = 86_400_000_000;
/// No more pauses are kept than this.
const PAUSES_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Paused {
    number: u64,
    until: Micros,
    prober: Option<(Host, Micros)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pauses {
    last: u64,
    by_scope: BTreeMap<Scope, Paused>,
}

impl Pauses {
    pub(super) fn prune(&mut self, now: Micros) {
        self.by_scope.retain(|_, pause| now < pause.until + UNPROBED_MAX);
    }

    pub(super) fn clear(&mut self) {
        self.by_scope.clear();
    }

    pub(super) fn report(&mut self, now: Micros, host: Host, report: &PauseReport, broadcasts: &mut Vec<Broadcast>) {
        match report {
            PauseReport::Paused(scope, lasts) => {
                let until = now + micros(*lasts).min(PAUSE_MAX);
                let known = self.by_scope.get(scope);
                if known.is_none() && self.by_scope.len() >= PAUSES_MAX {
                    return;
                }
                if known.is_some_and(|known| known.until >= until) {
                    return;
                }
                self.last += 1;
                self.by_scope.insert(scope.clone(), Paused { number: self.last, until, prober: None });
                broadcasts.extend(self.get(now, scope).map(Broadcast::Paused));
            }
            PauseReport::Resumed(scope, number) => {
                let known = self.by_scope.get(scope).filter(|known| known.number <= *number);
                if let Some(known) = known {
                    broadcasts.push(Broadcast::Resumed(scope.clone(), known.number));
                    self.by_scope.remove(scope);
                }
            }
            PauseReport::Unprobed(scope) => {
                if let Some(known) = self.by_scope.get_mut(scope)
                    && known.prober.is_some_and(|(prober, _)| prober == host)
                {
                    known.prober = None;
                    // Who has waited for it may ask now.
                    broadcasts.extend(self.get(now, scope).map(Broadcast::Paused));
                }
            }
        }
    }

    /// The host wants to probe: it is the prober if nobody else is, and the time of the pause is over.
    pub(super) fn ask(&mut self, now: Micros, host: Host, scope: &Scope) {
        if let Some(known) = self.by_scope.get_mut(scope)
            && known.until <= now
            && known.prober.is_none_or(|(prober, until)| prober == host || until <= now)
        {
            known.prober = Some((host, now + PROBE_LASTS));
        }
    }

    fn get(&self, now: Micros, scope: &Scope) -> Option<Pause> {
        self.by_scope.get(scope).map(|known| known.told(now, scope))
    }

    pub(super) fn all(&self, now: Micros) -> Vec<Pause> {
        self.by_scope.iter().map(|(scope, known)| known.told(now, scope)).collect()
    }
}

impl Paused {
    fn told(&self, now: Micros, scope: &Scope) -> Pause {
        let prober = self.prober.filter(|(_, until)| *until > now);
        Pause {
            scope: scope.clone(),
            number: self.number,
            lasts: span(self.until.saturating_sub(now)),
            prober: prober.map(|(host, until)| (host, span(until - now))),
        }
    }
}
