//! What is known of each of several access tokens: the limit that its 429s tell of, and whether its credentials are
//! refused. Empty where there is one: what holds for that one holds for everything.
//!
//! A 429 that names nothing is its token's, for all that is known: that token waits, and what was refused goes with
//! another one. If that refuses it as well, the limit may be that of what was refused: it is shut, and the second token
//! goes on with something else, which tells. Once every token has refused something, with nothing accepted in between,
//! the limit is the organization's.

use std::collections::VecDeque;

use super::gate::{AttemptId, Pass};
use super::limit::{Limit, resumed};
use super::{AUTH_BACKOFF, Blame, Cause, Gate, Health, Refusal, Scope, Sent, Subject, Suspect};
use crate::clock::Timestamp;
use crate::dispatcher::auth::Generation;
use crate::dispatcher::{Effect, Notice, Step};
use crate::evidence::Evidence;
use crate::random::Random;
use crate::stats::{Outage, Pause, PauseScope};
use crate::token::{TokenId, TokenSet};

/// What tokens have refused and no other has accepted yet; the oldest is forgotten.
const SUSPECTS_MAX: usize = 64;
/// So many tokens of a client in a row, fetched one after the other and none of them accepted, are refused credentials:
/// if different messages have met them, and if it was always the same one.
const REFUSALS_MIN: u32 = 2;
const REFUSALS_OF_ONE_MIN: u32 = 4;

#[derive(Debug)]
struct OfToken {
    name: Box<str>,
    /// Of its client, by which another run knows it.
    fingerprint: u64,
    limit: Limit,
    /// Why its credentials count as refused, while they do.
    problem: Option<String>,
    /// Its tokens in a row that were refused, and the last of them.
    refusals: u32,
    refused: Option<Generation>,
    /// Those whom all of them were refused to: if one of these is at fault, the client isn't.
    refused_to: Vec<Subject>,
    accepted_at: Option<Timestamp>,
}

impl OfToken {
    fn outage(&self, is_open: bool) -> Effect {
        let problem = self.problem.clone().filter(|_| is_open).unwrap_or_default();
        Effect::Notice(Notice::TokenOutage {
            token: self.name.clone(),
            reason: Cause::Auth.word(),
            problem,
            open: is_open,
        })
    }
}

/// What two tokens have refused: the second one goes on, and tells.
#[derive(Debug)]
struct Contest {
    suspect: Suspect,
    token: TokenId,
    since: Timestamp,
    /// What passes before, another one's limit has not refused.
    window_until: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct ByToken {
    each: Vec<OfToken>,
    /// Those that have refused something since anything was accepted last.
    refused: TokenSet,
    suspects: VecDeque<(Suspect, TokenId)>,
    contests: Vec<Contest>,
    /// Whose pause is over since this was asked for last.
    reopened: Option<TokenId>,
}

impl ByToken {
    /// `tokens`: the name and the fingerprint of each.
    pub(super) fn new(now: Timestamp, tokens: impl ExactSizeIterator<Item = (Box<str>, u64)>) -> Self {
        if tokens.len() < 2 {
            return Self::default();
        }
        let of = |(name, fingerprint)| OfToken {
            name,
            fingerprint,
            limit: Limit::unmet(now),
            problem: None,
            refusals: 0,
            refused: None,
            refused_to: Vec::new(),
            accepted_at: None,
        };
        Self { each: tokens.map(of).collect(), ..Self::default() }
    }

    pub(super) fn are_several(&self) -> bool {
        !self.each.is_empty()
    }

    fn get_mut(&mut self, token: TokenId) -> Option<&mut OfToken> {
        self.each.get_mut(token.index())
    }

    fn scope(&self, token: TokenId) -> PauseScope {
        PauseScope::Token(self.each[token.index()].name.clone())
    }

    /// A request leaves soon: it is a probe of its token's gate, if that is due.
    pub(super) fn departs(&mut self, now: Timestamp, attempt: AttemptId, token: TokenId) {
        if let Some(one) = self.get_mut(token)
            && one.limit.gate.pass(now) == Pass::Probe
        {
            one.limit.gate.probe(now, attempt);
        }
    }

    pub(super) fn may_leave(&self, attempt: AttemptId, token: TokenId) -> bool {
        let lets = |one: &OfToken| one.limit.gate.is_open() || one.limit.gate.is_probe(attempt);
        self.each.get(token.index()).is_none_or(lets)
    }

    pub(super) fn lost(&mut self, now: Timestamp, attempt: AttemptId, token: TokenId) {
        if let Some(one) = self.get_mut(token) {
            one.limit.gate.probe_lost(now, attempt);
        }
    }

    /// The gate of a token that isn't open.
    pub(super) fn shut_gate(&mut self, token: TokenId) -> Option<&mut Gate> {
        self.get_mut(token).map(|one| &mut one.limit.gate).filter(|gate| !gate.is_open())
    }

    pub(super) fn make_due(&mut self, now: Timestamp) {
        for one in &mut self.each {
            one.limit.gate.make_due(now);
        }
    }

    /// Whether every token that is good for anything has refused something, and nothing was accepted since.
    pub(super) fn have_all_refused(&self) -> bool {
        let usable = TokenId::all(self.each.len().max(1)).zip(&self.each).filter(|(_, one)| one.problem.is_none());
        let usable: TokenSet = usable.map(|(token, _)| token).collect();
        usable.len() > 1 && usable.iter().all(|token| self.refused.has(token))
    }

    /// Whether another token than this one has refused the same, and waits for that still.
    pub(super) fn has_refused_too(&self, suspect: &Suspect, token: TokenId) -> bool {
        let waits = |other: TokenId| !self.each[other.index()].limit.gate.is_open();
        self.suspects.iter().any(|(known, other)| known == suspect && *other != token && waits(*other))
    }

    /// Whether none of them may be used, unless to find out.
    pub(super) fn do_all_wait(&self) -> bool {
        self.are_several() && self.each.iter().all(|one| !one.limit.gate.is_open())
    }

    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// What was refused has been accepted.
    pub(super) fn clear(&mut self, suspect: &Suspect) {
        self.suspects.retain(|(known, _)| known != suspect);
    }

    /// What counts on the evidence of what has left with this token, and passed: the suspects whose own the limit is.
    fn convict(&mut self, now: Timestamp, sent: Sent) -> Vec<Suspect> {
        self.contests.retain(|contest| contest.window_until > now);
        let tells = |contest: &mut Contest| {
            let is_of_same_route = contest.suspect.route() == sent.route;
            let is_another = match contest.suspect {
                Suspect::Conversation(_) => is_of_same_route,
                Suspect::Route(_) => !is_of_same_route,
            };
            contest.token == sent.token && contest.since <= sent.left_at && is_another
        };
        self.contests.extract_if(.., tells).map(|contest| contest.suspect).collect()
    }

    pub(super) fn limits(&self) -> impl Iterator<Item = (u64, &Limit)> {
        self.each.iter().map(|one| (one.fingerprint, &one.limit))
    }

    pub(super) fn inherit(&mut self, fingerprint: u64, limit: Limit) {
        if let Some(one) = self.each.iter_mut().find(|one| one.fingerprint == fingerprint) {
            one.limit = limit;
        }
    }
}

impl Health {
    pub(in crate::dispatcher) fn has_several_tokens(&self) -> bool {
        self.by_token.are_several()
    }

    /// Whether a request with this token may leave, as far as the token is concerned.
    pub(in crate::dispatcher) fn token_pass(&mut self, now: Timestamp, token: TokenId) -> Pass {
        self.by_token.get_mut(token).map_or(Pass::Free, |one| one.limit.gate.pass(now))
    }

    /// Whose pause is over since this was asked for last: its requests leave evenly spaced at first.
    pub(in crate::dispatcher) fn take_reopened_token(&mut self) -> Option<TokenId> {
        self.by_token.reopened.take()
    }

    /// It has refused this for a limit that nothing names, and others than this one are there to tell whose that is.
    pub(in crate::dispatcher) fn note_token_refused(&mut self, suspect: Suspect, token: TokenId) {
        if self.by_token.suspects.len() == SUSPECTS_MAX {
            self.by_token.suspects.pop_front();
        }
        self.by_token.suspects.push_back((suspect, token));
    }

    /// A token's limit has refused a request: it waits, and all others go on.
    pub(in crate::dispatcher) fn token_throttled(
        &mut self,
        step: &mut Step<'_>,
        sent: Sent,
        evidence: &Evidence,
        random: &mut Random,
    ) {
        let (token, max_pause) = (sent.token, self.max_pause);
        let scope = self.by_token.scope(token);
        let one = &mut self.by_token.each[token.index()];
        let begun = one.limit.refuse(step.now, (sent.attempt, sent.left_at), evidence, max_pause, random);
        step.effects.extend(begun.map(|begun| one.limit.tell(begun, scope)));
        if evidence.limit.is_none() {
            self.by_token.refused.add(token);
            // It is this token's limit that has refused what it was contested for.
            let explained: Vec<Contest> =
                self.by_token.contests.extract_if(.., |contest| contest.token == token).collect();
            explained.iter().for_each(|contest| self.lift_contested(step, &contest.suspect));
        }
        self.hold_if_all_wait(step);
    }

    /// Two tokens have refused the same, which may have a limit of its own: it waits, and the second token goes on.
    pub(super) fn contest(
        &mut self,
        step: &mut Step<'_>,
        sent: Sent,
        suspect: &Suspect,
        evidence: &Evidence,
        random: &mut Random,
    ) {
        let max_pause = self.max_pause;
        let (limit, scope) = match suspect {
            Suspect::Route(id) => {
                let route = self.routes.get_mut(*id);
                (&mut route.limit, PauseScope::Route(route.name.clone()))
            }
            Suspect::Conversation(name) => {
                (self.conversations.meet(step.now, name), PauseScope::Conversation(name.clone()))
            }
        };
        let begun = limit.refuse(step.now, (sent.attempt, sent.left_at), evidence, max_pause, random);
        step.effects.extend(begun.map(|begun| limit.tell(begun, scope)));
        self.by_token.refused.add(sent.token);
        self.by_token.contests.retain(|contest| contest.suspect != *suspect);
        if self.by_token.contests.len() < SUSPECTS_MAX {
            self.by_token.contests.push(Contest {
                suspect: suspect.clone(),
                token: sent.token,
                since: step.now,
                window_until: evidence.window_left().map_or(step.now, |left| step.now.after(left)),
            });
        }
    }

    /// It has no limit of its own after all.
    fn lift_contested(&mut self, step: &mut Step<'_>, suspect: &Suspect) {
        let (limit, scope) = match suspect {
            Suspect::Route(id) => {
                let route = self.routes.get_mut(*id);
                (Some(&mut route.limit), PauseScope::Route(route.name.clone()))
            }
            Suspect::Conversation(name) => (self.conversations.get_mut(name), PauseScope::Conversation(name.clone())),
        };
        let opened = limit.and_then(|limit| limit.open(step.now));
        step.effects.extend(opened.map(|(name, paused)| resumed(scope, name, paused)));
        self.lift(step.now, suspect);
    }

    /// While all tokens wait nothing can leave: the organization does, until the first of them goes again.
    fn hold_if_all_wait(&mut self, step: &mut Step<'_>) {
        let now = step.now;
        let gates = || self.by_token.each.iter().map(|one| &one.limit.gate);
        if !gates().all(|gate| gate.is_shut(now)) {
            return;
        }
        let next = |gate: &Gate| gate.closure().and_then(|closure| closure.next_probe);
        let Some(until) = gates().filter_map(next).min() else { return };
        let Some(source) = gates().find_map(Gate::throttled_by) else { return };
        let is_everybodys = self.by_token.have_all_refused();
        self.organization.pause(now, until, self.max_pause, source, true);
        if is_everybodys && let Some(begun) = super::limit::Begun::of(&self.organization, now, self.max_pause) {
            self.tell_pause(step, PauseScope::Organization, begun, None);
        }
    }

    /// A request was answered with something else than a 429 or 401.
    pub(super) fn token_accepted(&mut self, step: &mut Step<'_>, sent: Sent) {
        if !self.by_token.are_several() {
            return;
        }
        let convicted = self.by_token.convict(step.now, sent);
        for suspect in &convicted {
            // Who has refused it before may have had no other reason.
            let by: TokenSet =
                self.by_token.suspects.iter().filter(|(known, _)| known == suspect).map(|(_, by)| *by).collect();
            for token in by.iter() {
                self.by_token.each[token.index()].limit.gate.make_due(step.now);
            }
            self.by_token.clear(suspect);
            self.note_own(step.now, suspect);
        }
        self.by_token.refused = TokenSet::default();
        let scope = self.by_token.scope(sent.token);
        let one = &mut self.by_token.each[sent.token.index()];
        (one.accepted_at, one.refusals, one.refused) = (Some(step.now), 0, None);
        one.refused_to.clear();
        if !one.limit.gate.is_probe(sent.attempt) {
            return;
        }
        if one.problem.is_some() {
            step.effects.push(one.outage(false));
            one.problem = None;
        }
        if let Some((name, paused)) = one.limit.open(step.now)
            && std::mem::take(&mut one.limit.is_told)
        {
            step.effects.push(resumed(scope, name, paused));
        }
        self.by_token.reopened = Some(sent.token);
    }

    /// A request has failed: an answer shows that the token's limit is over, nothing else tells.
    pub(super) fn token_unanswered(&mut self, now: Timestamp, sent: Sent) {
        let every = self.max_pause;
        if let Some(one) = self.by_token.get_mut(sent.token) {
            one.limit.gate.probe_failed(now, sent.attempt, every);
        }
    }

    /// A 401 to a request with one of several tokens: whether the credentials of that are refused. `granted_at`: when
    /// the token was. A message is not at fault as long as another token may do.
    pub(in crate::dispatcher) fn token_unauthorized(
        &mut self,
        now: Timestamp,
        sent: Sent,
        refusal: &Refusal,
        (generation, granted_at): (Generation, Option<Timestamp>),
        random: &mut Random,
    ) -> Blame {
        self.lost(now, sent.attempt, (sent.route, sent.token));
        let Some(one) = self.by_token.get_mut(sent.token) else { unreachable!("there are several") };
        let is_proven = one.accepted_at.max(granted_at) == one.accepted_at && one.accepted_at.is_some();
        let is_after = refusal.since.is_some_and(|since| granted_at.is_some_and(|at| at > since));
        if is_proven && is_after && self.tokens.convict(&refusal.subjects) == Blame::Request {
            return Blame::Request;
        }
        let is_another = one.refusals > 0 && !refusal.concerns(&one.refused_to);
        one.refused_to = refusal.narrow(if is_another { &[] } else { &one.refused_to });
        if one.refused != Some(generation) {
            one.refused = Some(generation);
            one.refusals += 1;
        }
        let is_clients = (is_another && one.refusals >= REFUSALS_MIN) || one.refusals >= REFUSALS_OF_ONE_MIN;
        match refusal.since {
            _ if is_clients => Blame::Credentials,
            // It may be at fault itself: others show in between whether the next token is good.
            Some(_) => Blame::Open(AUTH_BACKOFF.wait(1, random)),
            None => Blame::Token,
        }
    }

    /// The credentials of one of several tokens are refused: until when it waits. All others go on.
    pub(in crate::dispatcher) fn refuse_token(
        &mut self,
        step: &mut Step<'_>,
        token: TokenId,
        problem: String,
        random: &mut Random,
    ) -> Timestamp {
        let Some(one) = self.by_token.get_mut(token) else { unreachable!("there are several") };
        let until = step.now.after(AUTH_BACKOFF.wait(one.limit.gate.strikes() + 1, random));
        one.limit.gate.shut(step.now, until, Cause::Auth);
        one.limit.gate.strike();
        if one.problem.replace(problem).is_none() {
            step.effects.push(one.outage(true));
        }
        self.hold_if_all_wait(step);
        until
    }

    /// Whether no token's credentials are good for anything.
    pub(in crate::dispatcher) fn are_all_tokens_refused(&self) -> bool {
        self.by_token.each.iter().all(|one| one.problem.is_some())
    }

    /// What the 429 of a token applies to that names nothing.
    pub(super) fn scope_by_token(&self, suspect: Suspect, token: TokenId) -> Scope {
        if self.is_throttled() && self.by_token.have_all_refused() {
            return Scope::Organization;
        }
        if self.by_token.has_refused_too(&suspect, token) { Scope::Unknown(suspect) } else { Scope::Token(token) }
    }

    pub(super) fn token_pauses(&self, now: Timestamp) -> impl Iterator<Item = Pause> {
        let pause = move |one: &OfToken| {
            one.limit.gate.throttled_by()?;
            one.limit.pause(now, PauseScope::Token(one.name.clone()))
        };
        self.by_token.each.iter().filter_map(pause)
    }

    pub(super) fn token_outages(&self) -> impl Iterator<Item = Outage> {
        self.by_token.each.iter().filter_map(|one| {
            let problem = one.problem.as_deref()?;
            let closure = one.limit.gate.closure()?;
            Some(Outage { route: None, token: Some(one.name.clone()), closure, problem: Some(problem.into()) })
        })
    }
}
