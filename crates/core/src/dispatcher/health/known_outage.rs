//! An outage that one engine leaves to the next. Where nothing may be sent twice, each message that would find it
//! again is one with an unknown outcome: the next engine begins in it, and shows it as the last one did.

use super::gate::{Cause, Gate};
use super::{Health, RouteId};
use crate::clock::Timestamp;
use crate::stats::Refusals;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) struct KnownOutage {
    /// It holds calls back, too; otherwise only what takes the route of messages.
    pub(in crate::dispatcher) is_organizations: bool,
    pub(in crate::dispatcher) since: Timestamp,
    /// Failed probes, by which the next ones are spaced.
    pub(in crate::dispatcher) strikes: u32,
    /// What went wrong, for whoever asks.
    pub(in crate::dispatcher) problem: Option<Box<str>>,
    /// With what everybody is refused, if that is the outage.
    pub(in crate::dispatcher) refusals: Option<Refusals>,
}

impl KnownOutage {
    /// Of which nothing is known but that it was there.
    fn begun(now: Timestamp) -> Self {
        Self { is_organizations: false, since: now, strikes: 0, problem: None, refusals: None }
    }

    fn cause(&self) -> Cause {
        if self.refusals.is_some() { Cause::Refused } else { Cause::Outage }
    }
}

impl Health {
    /// The outage that the next engine must not need a message to find.
    pub(in crate::dispatcher) fn known_outage(&self) -> Option<KnownOutage> {
        self.caution.filter(|caution| caution.is_outage())?;
        let organization = (true, &self.organization);
        let messages = (false, &self.routes.get(RouteId::MESSAGES).gate);
        [organization, messages].into_iter().find_map(|(is_organizations, gate)| {
            let cause = gate.closed_by().filter(|cause| matches!(cause, Cause::Outage | Cause::Refused))?;
            Some(KnownOutage {
                is_organizations,
                since: gate.closure()?.since,
                strikes: gate.strikes(),
                problem: self.outage_problem.as_deref().map(Into::into),
                refusals: self.refused_with.clone().filter(|_| cause == Cause::Refused),
            })
        })
    }

    /// The unknown outcomes in a row of the last engine. What was an outage then may be one still: no message is needed
    /// to find that out.
    pub(super) fn inherit_outage(&mut self, now: Timestamp, unknown: u32, outage: Option<KnownOutage>) {
        let Some(caution) = &mut self.caution else { return };
        caution.inherit(unknown);
        if !caution.is_outage() {
            return;
        }
        let outage = outage.unwrap_or_else(|| KnownOutage::begun(now));
        let gate = Gate::out(now, outage.cause(), outage.since, outage.strikes);
        match outage.is_organizations {
            true => self.organization = gate,
            false => self.routes.get_mut(RouteId::MESSAGES).gate = gate,
        }
        self.outage_problem = outage.problem.map(Into::into);
        self.refused_with = outage.refusals;
    }
}
