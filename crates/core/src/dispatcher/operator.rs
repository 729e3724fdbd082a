//! What an operator does by hand: hold everything back, and have what is shut probed at once.

use std::time::Duration;

use super::health::OperatorHold;
use super::{Dispatcher, Effect, Step};
use crate::dispatcher::schedule::timers::Timer;
use crate::message::Ticket;
use crate::stats::PauseScope;

impl Dispatcher {
    /// Nothing leaves any more, for this long, or until somebody ends it.
    pub(super) fn pause(&mut self, step: &mut Step<'_>, ticket: Ticket, span: Option<Duration>) {
        self.hold(OperatorHold { since: step.now, until: span.map(|span| step.now.after(span)) }, step.effects);
        step.effects.push(Effect::Done(ticket));
    }

    /// Ends the operator's pause, and probes at once what else is shut: of the organization, or of one route or
    /// conversation alone.
    pub(super) fn resume(&mut self, step: &mut Step<'_>, ticket: Ticket, scope: &PauseScope) {
        if *scope == PauseScope::Organization {
            self.end_hold(step);
            self.auths.retry_now();
            self.end_backoffs(step.now);
        }
        if let PauseScope::Conversation(conversation) = scope {
            self.try_conversation_again(conversation);
        }
        self.health.probe_now(step.now, scope);
        step.effects.push(Effect::Done(ticket));
    }

    pub(super) fn hold(&mut self, hold: OperatorHold, effects: &mut Vec<Effect>) {
        let earlier = self.health.hold(hold, effects);
        self.forget_end(earlier);
        if let Some(at) = hold.until {
            self.timers.set(at, Timer::Resume);
        }
    }

    pub(super) fn end_hold(&mut self, step: &mut Step<'_>) {
        let Some(hold) = self.health.end_hold(step) else { return };
        self.forget_end(Some(hold));
        // Evenly paced at first, as after any other pause.
        self.quota.restart(step.now);
    }

    fn forget_end(&mut self, hold: Option<OperatorHold>) {
        if let Some(at) = hold.and_then(|hold| hold.until) {
            self.timers.clear(at, Timer::Resume);
        }
    }
}
