//! The fleet's budget: when this host renews its lease, what it gives back, and what it hears of the fleet's pauses.

use super::membership::{Condition, Token};
use super::{Dispatcher, Effect, Notice, Step};
use crate::budget::{Demand, Holding};
use crate::clock::Timestamp;
use crate::lease::{Broadcast, Failure, Grant, Pause, Renewal, Scope};
use crate::stats::{Closure, FleetStanding, PauseScope};

/// How a host leaves its fleet.
#[derive(Debug)]
pub enum Farewell {
    /// By this.
    Renewal(Box<Renewal>),
    /// Not before the renewal under way has its answer.
    Awaited,
    /// There is nothing to give back, or nobody to be told.
    Said,
}

/// The word for an outage of the fleet's store.
const REASON: &str = "budget";

impl Dispatcher {
    /// Something has to wait for a slot.
    pub(super) fn note_held_back(&mut self) {
        if let Some(member) = &mut self.membership {
            member.note_held_back();
        }
    }

    /// Whether a request that was made may leave, as far as the fleet's budget is concerned.
    pub(super) fn lease_lets(&self, now: Timestamp) -> bool {
        self.membership.is_none() || self.quota.lease_lets(now)
    }

    /// Whether this host may probe what the fleet has paused now. If not, it asks for that.
    pub(super) fn obtain_probe(&mut self, now: Timestamp, scope: &Scope) -> bool {
        let Some(member) = &mut self.membership else { return true };
        if member.problem().is_some() && !self.quota.is_live(now) {
            // Nobody can tell who probes; and only a static share lets anything leave.
            return true;
        }
        match member.token(now, scope) {
            Token::Held => true,
            Token::Wanted(until) => {
                until.into_iter().for_each(|at| self.look_again(at));
                false
            }
        }
    }

    /// Sends a renewal, if one is due; notes when to look again.
    pub(super) fn renew(&mut self, step: &mut Step<'_>) {
        if self.membership.is_some() {
            self.renew_as_member(step);
        }
    }

    fn renew_as_member(&mut self, step: &mut Step<'_>) {
        let now = step.now;
        self.tell_budget_outage(step);
        let ready = self.lanes.ready() + self.bound.ready();
        let weight = u32::try_from(self.lanes.conversations().max(ready)).unwrap_or(u32::MAX);
        let waiting = u32::try_from(self.lanes.waiting() + self.bound.ready()).unwrap_or(u32::MAX);
        // What may not be sent needs no slots.
        let has_demand = ready > 0 && !self.health.is_shut(now);
        let is_busy = !self.attempts.is_empty();
        let requests = self.counters.requests;
        let Some(member) = &mut self.membership else { return };
        let is_idle = member.note_activity(now, has_demand || is_busy);
        let condition = Condition {
            has_demand,
            is_busy,
            is_live: self.quota.is_live(now),
            requests,
            holding: self.quota.holding(),
        };
        let Some(at) = member.due_at(now, condition) else { return };
        if at > now {
            return self.look_again(at);
        }
        let others_lack = member.others_lack();
        let ends_turn = others_lack && member.end_turn(condition);
        let demand = match is_idle {
            true => Demand::None,
            false => Demand::Some { waiting, is_held_back: member.is_held_back(), others_lack, ends_turn },
        };
        let draw = self.random.draw();
        let cadence = self.quota.cadence();
        let quota = &mut self.quota;
        let renewal = member.send(now, condition.is_live, cadence, (draw, self.counters.requests), || {
            (weight.max(1), quota.report(now, demand))
        });
        step.effects.push(Effect::Renew(renewal));
    }

    /// What an engine says that ends: it gives back all that it holds. To be asked again after each answer.
    pub fn farewell(&mut self, now: Timestamp) -> Farewell {
        let (is_live, has_slots) = (self.quota.is_live(now), self.quota.holding().has_slots);
        let Some(member) = self.membership.as_mut().filter(|_| is_live && has_slots) else { return Farewell::Said };
        match member.is_calling() {
            None => Farewell::Said,
            Some(true) => Farewell::Awaited,
            Some(false) => {
                let (cadence, numbers) = (self.quota.cadence(), (self.random.draw(), self.counters.requests));
                let quota = &mut self.quota;
                let report = || (1, quota.report(now, Demand::Leaving));
                Farewell::Renewal(member.send(now, is_live, cadence, numbers, report))
            }
        }
    }

    /// The store has answered.
    pub(super) fn granted(&mut self, step: &mut Step<'_>, grant: &Grant) {
        let Some(member) = &mut self.membership else { return };
        let Some(sent_at) = member.answers(grant) else { return };
        let over = member.heard(step.now, grant);
        self.quota.granted(step.now, sent_at, grant);
        member.plan(sent_at, grant.lasts, self.quota.cadence(), self.quota.holding());
        self.tell_budget_outage(step);
        for scope in over {
            self.fleet_resumed(step, &scope);
        }
        for pause in &grant.pauses {
            self.fleet_paused(step, pause);
        }
    }

    /// The store has not answered.
    pub(super) fn renewal_failed(&mut self, step: &mut Step<'_>, failure: Failure) {
        let Some(member) = &mut self.membership else { return };
        member.failed(step.now, failure, &mut self.random);
        self.tell_budget_outage(step);
    }

    /// The store tells everybody.
    pub(super) fn fleet_broadcast(&mut self, step: &mut Step<'_>, news: &Broadcast) {
        let Some(member) = &mut self.membership else { return };
        match news {
            Broadcast::Short(hosts) => member.urge(hosts),
            Broadcast::Free(hosts) => member.invite(hosts),
            Broadcast::Paused(pause) => self.fleet_paused(step, pause),
            Broadcast::Resumed(scope, number) => {
                if member.forget_pause(scope, *number) {
                    self.fleet_resumed(step, scope);
                }
            }
        }
    }

    fn fleet_paused(&mut self, step: &mut Step<'_>, pause: &Pause) {
        let Some(member) = &mut self.membership else { return };
        let is_over = pause.lasts.is_zero();
        let is_news = member.note_pause(step.now, pause) && !is_over;
        let is_known = match &pause.scope {
            Scope::Conversation(name) => self.lanes.has(name),
            Scope::Organization | Scope::Route(_) => true,
        };
        if is_known && is_news {
            self.health.fleet_paused(step, &pause.scope, pause.lasts);
        } else if is_known && is_over {
            // This host may have the token now, or could have it.
            self.health.look_at_conversations_by(step.now);
        }
    }

    fn fleet_resumed(&mut self, step: &mut Step<'_>, scope: &Scope) {
        if self.health.fleet_resumed(step, scope) {
            self.quota.restart(step.now);
        }
    }

    /// What listeners are told of pauses that this host has met is the fleet's business, too: `effects` from here on.
    /// And so is what has become of its probes.
    pub(super) fn report_pauses(&mut self, effects: &[Effect]) {
        let Some(member) = &mut self.membership else { return };
        for effect in effects {
            match effect {
                Effect::Notice(Notice::Throttled { scope, pause, .. }) => {
                    if let Some(scope) = fleet_scope(scope) {
                        member.report_pause(scope, *pause);
                    }
                }
                Effect::Notice(Notice::Resumed { scope, .. }) => {
                    // The end of an operator's hold is told in the same way.
                    let is_held = *scope == PauseScope::Organization && !self.health.is_open();
                    if let Some(scope) = fleet_scope(scope).filter(|_| !is_held) {
                        member.report_resumed(scope);
                    }
                }
                _ => {}
            }
        }
        if member.has_tokens() {
            member.return_tokens(|scope| self.health.is_probing(scope));
        }
    }

    /// The lease is over, and the store can't be reached: listeners are told when that begins and ends.
    fn tell_budget_outage(&mut self, step: &mut Step<'_>) {
        let Some(member) = &mut self.membership else { return };
        let problem = member.problem().map(|(failure, _)| failure.problem.clone());
        let is_out = problem.is_some() && !self.quota.is_live(step.now);
        self.quota.set_adrift(is_out);
        if !is_out && problem.is_some() {
            // It is over soon.
            let until = self.quota.lease_until();
            until.into_iter().for_each(|at| self.look_again(at));
        }
        let Some(member) = &mut self.membership else { return };
        if member.tell_outage(is_out) {
            let problem = problem.unwrap_or_default();
            step.effects.push(Effect::Notice(Notice::Outage { reason: REASON, problem, open: is_out }));
        }
    }

    /// The outage of the fleet's store, and what went wrong.
    pub(super) fn budget_outage(&self) -> Option<(Closure, &str)> {
        let member = self.membership.as_ref().filter(|member| member.is_out())?;
        let (failure, since) = member.problem()?;
        let closure = Closure { reason: REASON, since, until: None, next_probe: member.again_at() };
        Some((closure, &failure.problem))
    }

    /// This host's part in the fleet, if there is one.
    pub(super) fn fleet_standing(&self, now: Timestamp) -> Option<Box<FleetStanding>> {
        let member = self.membership.as_ref()?;
        let Holding { share, target, .. } = self.quota.holding();
        Some(Box::new(FleetStanding {
            host: member.host(),
            hosts: member.hosts(),
            share,
            target,
            lease_until: self.quota.lease_until().filter(|until| *until > now),
            forgetting_until: member.forgetting_until(now),
            differs: member.differs(),
            is_static: self.quota.has_fallback() && member.is_out(),
            renewals: member.renewals(),
            problem: member.problem().map(|(failure, _)| failure.problem.as_str().into()),
        }))
    }
}

/// What the fleet calls it; none while nobody knows for what it holds.
fn fleet_scope(scope: &PauseScope) -> Option<Scope> {
    match scope {
        PauseScope::Organization => Some(Scope::Organization),
        PauseScope::Route(name) => Some(Scope::Route(name.clone())),
        PauseScope::Conversation(name) => Some(Scope::Conversation(Box::from(&**name))),
        PauseScope::Token(_) | PauseScope::Unknown => None,
    }
}
