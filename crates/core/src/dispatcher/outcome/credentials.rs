//! The token, the credentials, and whom a refusal of these concerns.

use crate::dispatcher::auth::{Access, NO_TOKEN};
use crate::dispatcher::health::{Pass, Subject};
use crate::dispatcher::outbox::State;
use crate::dispatcher::{Dispatcher, Effect, Notice, Step, TokenEvent};
use crate::error::Error;
use crate::lanes::EntryId;
use crate::message::Payload;
use crate::token::{TokenId, TokenSet};

impl Dispatcher {
    /// A message is of its conversation, a call of its route.
    pub(in crate::dispatcher) fn subject_of(&self, entry_id: EntryId) -> Subject {
        let lane = match self.outbox.cold(entry_id) {
            Some(cold) => cold.lane,
            None => {
                let entry = self.outbox.get(entry_id);
                if matches!(entry.payload, Payload::Call(_)) {
                    return Subject::Route(entry.route);
                }
                entry.lane
            }
        };
        Subject::Conversation(lane)
    }

    pub(in crate::dispatcher) fn refuse_credentials(&mut self, step: &mut Step<'_>, problem: String) {
        let until = self.health.refuse_credentials(step, problem, &mut self.random);
        self.auths.refused(until);
        let cold = self.followers.entry_ids().filter(|entry_id| self.outbox.cold(*entry_id).is_some());
        let entry_ids: Vec<EntryId> = self.outbox.hot_slots().chain(cold).collect();
        self.fail_unauthorized(&entry_ids, step.effects);
    }

    /// The credentials of a token are refused; of the only one, or the last one, all that waits for them is told.
    pub(in crate::dispatcher) fn refuse_token(&mut self, step: &mut Step<'_>, token: TokenId, problem: String) {
        if self.auths.are_several() {
            let until = self.health.refuse_token(step, token, problem.clone(), &mut self.random);
            self.auths.of_mut(token).refused(until);
            if !self.health.are_all_tokens_refused() {
                return;
            }
        }
        self.refuse_credentials(step, problem);
    }

    /// What came of asking for a token.
    pub(in crate::dispatcher) fn token_answered(&mut self, step: &mut Step<'_>, token: TokenId, news: TokenEvent) {
        match news {
            TokenEvent::Granted(lifetime) => {
                self.auths.of_mut(token).granted(step.now, lifetime);
                self.end_token_trouble(token, step.effects);
            }
            TokenEvent::Refused(problem) => {
                self.auths.of_mut(token).fetch_over();
                self.end_token_trouble(token, step.effects);
                self.refuse_token(step, token, problem);
            }
            TokenEvent::Failed { problem, wait } => {
                let wait = wait.map(|wait| wait.min(self.settings.retry.max_pause));
                self.auths.of_mut(token).failed(step.now, problem, wait, &mut self.random);
                self.tell_token_outage(step, token);
            }
        }
    }

    fn tell_token_outage(&mut self, step: &mut Step<'_>, token: TokenId) {
        if let Some(problem) = self.auths.of_mut(token).begin_outage(step.now) {
            let problem = format!("there is no access token: {problem}");
            step.effects.push(Effect::Notice(self.token_outage(token, problem, true)));
        }
    }

    fn end_token_trouble(&mut self, token: TokenId, effects: &mut Vec<Effect>) {
        if self.auths.of_mut(token).end_degraded() {
            effects.push(Effect::Notice(self.token_outage(token, String::new(), false)));
        }
    }

    /// That a token can't be had, or can again.
    fn token_outage(&self, token: TokenId, problem: String, open: bool) -> Notice {
        if self.auths.are_several() {
            let token = self.settings.tokens[token.index()].name.clone();
            return Notice::TokenOutage { token, reason: NO_TOKEN, problem, open };
        }
        Notice::Outage { reason: NO_TOKEN, problem, open }
    }

    /// While credentials are refused, promises are told so at once; the messages stay.
    pub(in crate::dispatcher) fn fail_unauthorized(&mut self, entry_ids: &[EntryId], effects: &mut Vec<Effect>) {
        if !self.health.has_auth_problem() {
            return;
        }
        for entry_id in entry_ids {
            let Some(error) = self.auth_error(*entry_id) else { continue };
            let waiter = self.outbox.forget_waiter(*entry_id);
            let followers = self.followers.take(*entry_id);
            for ticket in waiter.into_iter().chain(followers.into_iter().map(|promise| promise.ticket)) {
                effects.push(Effect::Failed(ticket, error.clone()));
            }
            let cold = self.outbox.cold(*entry_id).is_some();
            if !cold && matches!(self.outbox.get(*entry_id).payload, Payload::Call(_)) {
                self.discard(*entry_id);
            }
        }
    }

    /// `None` for what is on the wire or about to be: that has its answer to come, or comes back; and `None` for what
    /// isn't accepted yet.
    pub(in crate::dispatcher) fn auth_error(&self, entry_id: EntryId) -> Option<Error> {
        let problem = self.health.auth_problem(self.subject_of(entry_id))?;
        let kept = || format!("{problem}; the message stays in the outbox and is sent once the credentials work");
        if self.outbox.cold(entry_id).is_some() {
            return Some(Error::Auth { problem: kept(), message_id: None });
        }
        let entry = self.outbox.get(entry_id);
        let tells = !matches!(entry.state(), State::Departing | State::InFlight | State::Storing);
        tells.then(|| match entry.payload.id() {
            Some(id) => Error::Auth { problem: kept(), message_id: Some(id.to_owned()) },
            None => Error::Auth { problem: problem.to_owned(), message_id: None },
        })
    }

    /// The tokens that there are to leave with; those that are due are asked for.
    pub(in crate::dispatcher) fn obtain_tokens(&mut self, step: &mut Step<'_>) -> TokenSet {
        let mut usable = TokenSet::default();
        for token in self.auths.all() {
            match self.health.token_pass(step.now, token) {
                Pass::Free | Pass::Probe => {}
                Pass::Shut(at) | Pass::AwaitProbe(Some(at)) => {
                    self.look_again(at);
                    continue;
                }
                Pass::AwaitProbe(None) => continue,
            }
            let (access, fetch) = self.auths.of_mut(token).access(step.now);
            if fetch {
                self.counters.token_requests += 1;
                step.effects.push(Effect::FetchToken(token));
            }
            match access {
                Access::Granted => usable.add(token),
                Access::Wait(until) => {
                    self.tell_token_outage(step, token);
                    until.into_iter().for_each(|at| self.look_again(at));
                }
            }
        }
        usable
    }
}
