//! What an answer tells about the organization: the gate, the token, the credentials.

use std::num::NonZeroU16;

use crate::batcher::Item;
use crate::budget::Heard;
use crate::clock::Timestamp;
use crate::dispatcher::health::{Blame, Failure, LastFailure, Refusal, RouteId, Scope, Sent};
use crate::dispatcher::outcome::deliver::TOO_MANY;
use crate::dispatcher::outcome::settle::Reply;
use crate::dispatcher::schedule::attempts::{Attempt, Departure};
use crate::dispatcher::schedule::batch::Batch;
use crate::dispatcher::{AttemptId, Dispatcher, Step};
use crate::evidence::Evidence;
use crate::message::Payload;
use crate::outcome::Reason;
use crate::retry::{Answer, Verdict, classify};
use crate::token::TokenId;

impl Dispatcher {
    pub(in crate::dispatcher) fn answered(&mut self, step: &mut Step<'_>, id: AttemptId, answer: Answer) {
        if self.looked_up_limits(step, id, &answer) || self.sounded(step, id, &answer) {
            return;
        }
        let Some((attempt, departure)) = self.attempts.take_answered(id) else { return };
        let left_at = departure.at;
        let carries_call = self.carries_call(&attempt.batch);
        let verdict = match self.verdict(&answer, attempt.batch.members.len()) {
            // Somebody else answered: whether the API has taken the message is unknown. A call gets what came.
            Verdict::Delivered if answer.is_html_page() && !carries_call => Verdict::Ambiguous,
            verdict => verdict,
        };
        self.read_cost(step.now, &attempt, verdict, &answer);
        let items = if verdict == Verdict::Delivered { self.items(&attempt.batch, &answer) } else { None };
        if let Some((fingerprint, refusal)) = self.refusal_of_all(&attempt.batch, items.as_deref(), &answer) {
            self.read_quota(step, (attempt.token, attempt.cost, left_at), (verdict, &[]), &answer);
            return self.suspect(step, id, (attempt, left_at), fingerprint, &refusal);
        }
        // A limit that refused some messages of an array is as much in force as one that refused them all.
        let throttled = items.iter().flatten().flatten().any(|item| item.status == TOO_MANY);
        let standing = if throttled { Verdict::Throttled } else { verdict };
        let limits = self.limits_met(step.now, id, &attempt, standing, &answer, items.as_deref());
        self.read_quota(step, (attempt.token, attempt.cost, left_at), (verdict, &limits), &answer);
        if verdict == Verdict::Unauthorized {
            return self.unauthorized(step, id, (attempt, departure), answer);
        }
        if verdict == Verdict::Rejected
            && let Some(fingerprint) = self.fingerprint(&attempt.batch, &answer)
        {
            return self.suspect(step, id, (attempt, left_at), fingerprint, &answer);
        }
        if verdict == Verdict::Ambiguous && !carries_call {
            self.health.note_unknown(left_at);
        }
        let is_last = verdict == Verdict::Transient && self.is_aging_out(step.now, &attempt.batch, &answer);
        self.move_gates(step, (attempt.sent(id, left_at), is_last), (standing, &limits), &answer);
        if matches!(standing, Verdict::Delivered | Verdict::Rejected) {
            self.note_passed(step.now, &attempt);
        }
        self.note_suspects(step.now, &attempt, &limits);
        if self.hear_settled(step.now) {
            self.tell_quota(step.effects);
        }
        for slot in &attempt.batch.members {
            if self.outbox.delivery_state(*slot).refused_at.is_some() {
                self.outbox.delivery_state_mut(*slot).refused_at = None;
            }
        }
        let route = attempt.route;
        let is_failure = matches!(verdict, Verdict::Transient | Verdict::Ambiguous);
        let is_accepted = standing == Verdict::Delivered && !carries_call;
        if is_accepted
            && let Some(Payload::Message(message)) =
                attempt.batch.members.first().map(|slot| &self.outbox.get(*slot).payload)
        {
            self.suspects.note_accepted(step.now, message.conversation_shared());
        }
        self.settle(step, (attempt, left_at), verdict, answer, items);
        if is_accepted {
            self.accepted(step, left_at);
        }
        if is_failure && self.health.has_lines() {
            self.prune_line(route);
        }
    }

    /// Handles the answer to the request that probes in place of a message. False if it belongs to another request.
    fn sounded(&mut self, step: &mut Step<'_>, id: AttemptId, answer: &Answer) -> bool {
        let Some(sounding) = self.sounding else { return false };
        let (token, Some(left_at)) = (sounding.token(), sounding.left_at(id)) else { return false };
        self.sounding = None;
        let verdict = match classify(answer) {
            Verdict::Throttled => Verdict::Throttled,
            _ if answer.is_html_page() || answer.is_server_error() => Verdict::Ambiguous,
            verdict => verdict,
        };
        let limits = match answer {
            Answer::Answered { evidence, .. } | Answer::TooLarge { evidence, .. } if verdict == Verdict::Throttled => {
                vec![(self.health.scope_of_own(RouteId::MESSAGES, token, evidence), evidence.clone())]
            }
            _ => Vec::new(),
        };
        self.read_quota(step, (token, 1, left_at), (verdict, &limits), answer);
        // A limit of its own path is an answer of the API, and holds for no message.
        let is_answer = limits.iter().any(|(scope, _)| !matches!(scope, Scope::Organization | Scope::Token(_)));
        let sent = Sent { attempt: id, route: RouteId::MESSAGES, token, left_at };
        match verdict {
            Verdict::Throttled if is_answer => self.health.note_sounded(step.now, id, token),
            Verdict::Throttled | Verdict::Transient | Verdict::Ambiguous => {
                self.move_gates(step, (sent, false), (verdict, &limits), answer);
            }
            Verdict::Delivered | Verdict::Rejected | Verdict::Unauthorized => {
                self.health.note_sounded(step.now, id, token)
            }
        }
        true
    }

    /// Slots, and what is learned of the quota: what is refused for another limit's sake tells nothing of it.
    fn read_quota(
        &mut self,
        step: &mut Step<'_>,
        (token, cost, left_at): (TokenId, u32, Timestamp),
        (verdict, limits): (Verdict, &[(Scope, Evidence)]),
        answer: &Answer,
    ) {
        match answer {
            Answer::Unsent { .. } => self.quota.unsent(step.now, left_at, token, cost),
            Answer::Unanswered { .. } => self.quota.given_up(left_at, step.now, token, cost),
            Answer::Answered { evidence, .. } | Answer::TooLarge { evidence, .. } => {
                // The organization's limit, if it has a name, says nothing of one token's.
                let are_several = self.health.has_several_tokens();
                let is_budgets = |(scope, evidence): &&(Scope, Evidence)| match scope {
                    Scope::Organization => !are_several || evidence.limit.is_none(),
                    Scope::Token(_) => true,
                    Scope::Route(_) | Scope::Conversation(_) | Scope::Unknown(_) => false,
                };
                let of_budget = limits.iter().find(is_budgets);
                if of_budget.is_none() && self.hear_in_doubt(step.now, (token, cost, left_at), limits) {
                    return self.tell_quota(step.effects);
                }
                let (refused, evidence) = match of_budget {
                    Some((_, evidence)) => (true, Some(evidence)),
                    None => (false, Some(evidence).filter(|_| verdict != Verdict::Throttled)),
                };
                self.quota.heard(step.now, token, Heard { sent_at: left_at, cost, refused, evidence });
            }
        }
        self.tell_quota(step.effects);
    }

    fn read_cost(&mut self, now: Timestamp, attempt: &Attempt, verdict: Verdict, answer: &Answer) {
        let evidence = match answer {
            Answer::Answered { evidence, .. } | Answer::TooLarge { evidence, .. } => Some(evidence),
            Answer::Unsent { .. } | Answer::Unanswered { .. } => None,
        };
        let delivered = (verdict == Verdict::Delivered).then_some(attempt.batch.members.len());
        self.batching.answered(now, evidence, delivered, self.attempts.in_flight() == 0);
    }

    /// What the answer says about the server, whatever becomes of the message. `is_last`: it would be given up.
    fn move_gates(
        &mut self,
        step: &mut Step<'_>,
        (sent, is_last): (Sent, bool),
        (verdict, limits): (Verdict, &[(Scope, Evidence)]),
        answer: &Answer,
    ) {
        let may_resume = match verdict {
            Verdict::Throttled => {
                self.counters.throttled += 1;
                self.health.throttled_all(step, sent, limits, &mut self.random);
                false
            }
            Verdict::Transient | Verdict::Ambiguous => {
                let failure = match answer {
                    Answer::Unsent { .. } => Failure::Unsent,
                    Answer::Unanswered { .. } => Failure::Unanswered,
                    Answer::Answered { .. } | Answer::TooLarge { .. } => {
                        Failure::Answered { retry_after: answer.retry_after() }
                    }
                };
                let resumes = self.health.failed(step, sent, failure, || problem(answer), &mut self.random);
                if is_last && !self.health.holds_messages() {
                    self.health.find_outage(step, sent, || problem(answer), &mut self.random);
                }
                self.health.note_failure(sent.route, || LastFailure::of(answer, || problem(answer)));
                resumes
            }
            Verdict::Delivered | Verdict::Rejected => self.health.passed(step, sent),
            Verdict::Unauthorized => unreachable!("a 401 is looked at before"),
        };
        if may_resume {
            self.quota.restart(step.now);
        }
        if let Some(token) = self.health.take_reopened_token() {
            self.quota.restart_token(step.now, token);
        }
    }

    /// A 401: the token's fault, the credentials', or the request's own.
    fn unauthorized(
        &mut self,
        step: &mut Step<'_>,
        id: AttemptId,
        (attempt, departure): (Attempt, Departure),
        answer: Answer,
    ) {
        let members = attempt.batch.members.iter();
        let since = members.filter_map(|slot| self.outbox.delivery_state(*slot).refused_at).min();
        for slot in &attempt.batch.members {
            self.outbox.delivery_state_mut(*slot).refused_at.get_or_insert(step.now);
        }
        if self.auths.are_several() {
            return self.unauthorized_token(step, (id, attempt, departure), since, &answer);
        }
        let shows_another = |other: Option<Departure>| other.is_some_and(|one| one.generation != departure.generation);
        let refusal = Refusal {
            subjects: attempt.batch.members.iter().map(|slot| self.subject_of(*slot)).collect(),
            since,
            is_fresh: departure.is_token_fresh,
            is_only_witness: !self.peek_next() && self.attempts.iter().all(|(_, _, other)| shows_another(other)),
        };
        let generation = departure.generation;
        let problem = || UNAUTHORIZED.to_owned();
        match self.health.unauthorized(step.now, attempt.sent(id, departure.at), &refusal, &mut self.random) {
            Blame::Token => {
                self.auths.of_mut(attempt.token).invalidate(generation);
                self.keep_places(step, attempt.batch);
            }
            Blame::Open(wait) => {
                if !departure.is_token_fresh {
                    // It may have ended by now, and others would only find that out.
                    self.auths.of_mut(attempt.token).invalidate(generation);
                }
                self.put_aside(step, attempt.batch, step.now.after(wait));
            }
            Blame::Request if attempt.batch.members.len() > 1 => self.halve(attempt.batch, true, step.effects),
            Blame::Request => self.end(step, attempt.batch.reunite(), Reason::Rejected, &Reply::of(&answer)),
            Blame::OneWitness => {
                self.auths.of_mut(attempt.token).invalidate(generation);
                let until = self.health.refuse_credentials(step, problem(), &mut self.random);
                self.auths.refused(until);
                if attempt.batch.members.len() > 1 {
                    // Its parts are witnesses of their own.
                    let members = attempt.batch.members.clone();
                    self.halve(attempt.batch, true, step.effects);
                    self.fail_unauthorized(&members, step.effects);
                } else {
                    self.keep_places(step, attempt.batch);
                }
            }
            Blame::Credentials => {
                self.auths.of_mut(attempt.token).invalidate(generation);
                self.refuse_credentials(step, problem());
                self.keep_places(step, attempt.batch);
            }
        }
    }

    /// The same where there are several tokens: another one may do.
    fn unauthorized_token(
        &mut self,
        step: &mut Step<'_>,
        (id, attempt, departure): (AttemptId, Attempt, Departure),
        since: Option<Timestamp>,
        answer: &Answer,
    ) {
        let Departure { at, generation, token_granted_at, .. } = departure;
        let refusal = Refusal {
            subjects: attempt.batch.members.iter().map(|entry_id| self.subject_of(*entry_id)).collect(),
            since,
            is_fresh: departure.is_token_fresh,
            is_only_witness: false,
        };
        let (token, sent) = (attempt.token, attempt.sent(id, at));
        let shown = (generation, token_granted_at);
        let blame = self.health.token_unauthorized(step.now, sent, &refusal, shown, &mut self.random);
        match blame {
            Blame::Request if attempt.batch.members.len() > 1 => self.halve(attempt.batch, true, step.effects),
            Blame::Request => self.end(step, attempt.batch.reunite(), Reason::Rejected, &Reply::of(answer)),
            Blame::Open(wait) => {
                self.auths.of_mut(token).invalidate(generation);
                self.put_aside(step, attempt.batch, step.now.after(wait));
            }
            Blame::Token | Blame::OneWitness => {
                self.auths.of_mut(token).invalidate(generation);
                self.keep_places(step, attempt.batch);
            }
            Blame::Credentials => {
                self.auths.of_mut(token).invalidate(generation);
                self.refuse_token(step, token, UNAUTHORIZED.to_owned());
                self.keep_places(step, attempt.batch);
            }
        }
    }

    pub(in crate::dispatcher) fn settle(
        &mut self,
        step: &mut Step<'_>,
        (attempt, left_at): (Attempt, Timestamp),
        verdict: Verdict,
        answer: Answer,
        items: Option<Vec<Option<Item>>>,
    ) {
        let retry_after = answer.retry_after();
        let (too_large, response, problem) = match answer {
            Answer::Answered { response, .. } => (false, Some(response), None),
            Answer::TooLarge { response, problem, .. } => (true, Some(response), problem.map(str::to_owned)),
            Answer::Unsent { problem } | Answer::Unanswered { problem } => (false, None, Some(problem)),
        };
        let told = Reply { response, problem, retry_after };
        match verdict {
            Verdict::Delivered if too_large && self.carries_call(&attempt.batch) => {
                self.end(step, attempt.batch, Reason::ResponseTooLarge, &told);
            }
            // A message is delivered by the status; a request without the whole of its answer isn't answered.
            Verdict::Delivered if told.is_cut_short() && self.carries_call(&attempt.batch) => {
                self.repeat_or_end(step, attempt.batch, &told);
            }
            // It may have been a list of statuses, and some of them failures.
            Verdict::Delivered if told.is_cut_short() && self.settings.route.is_array() => {
                let problem = Some("the answer was cut, so that it does not tell about each message".to_owned());
                self.repeat_or_end(step, attempt.batch, &Reply { problem, ..told });
            }
            Verdict::Delivered => self.deliver(step, (attempt, left_at), told, items),
            Verdict::Throttled => {
                let call = attempt.batch.members.first().copied().filter(|_| self.carries_call(&attempt.batch));
                self.keep_places(step, attempt.batch);
                if let Some(slot) = call.filter(|slot| self.outbox.has(*slot)) {
                    let status = told.response.as_ref().and_then(|response| NonZeroU16::new(response.status));
                    self.outbox.delivery_state_mut(slot).last_status = status;
                }
                self.end_impatient(step);
            }
            Verdict::Unauthorized => unreachable!("a 401 is looked at before"),
            Verdict::Ambiguous => {
                let problem = told.is_processed().then(|| PAGE.to_owned());
                self.repeat_or_end(step, attempt.batch, &Reply { problem: problem.or(told.problem), ..told });
            }
            Verdict::Transient => self.retry(step, attempt.batch, &told),
            // The repetition found its first request at work, or done: the answer to that one is what to wait for.
            Verdict::Rejected if self.is_known_to_server(&attempt.batch, &told) => {
                let problem = Some("an earlier attempt has no answer, and its idempotency key is in use".to_owned());
                self.repeat_or_end(step, attempt.batch, &Reply { problem, ..told });
            }
            Verdict::Rejected => self.reject(step, attempt, &told),
        }
    }

    /// Whether a conflict is one of these messages with themselves: they may have arrived before, under the same key. A
    /// request has no key of ours.
    pub(in crate::dispatcher) fn is_known_to_server(&self, batch: &Batch, told: &Reply) -> bool {
        told.has_conflict()
            && !self.carries_call(batch)
            && batch.members.iter().all(|slot| self.outbox.delivery_state(*slot).ambiguous)
    }
}

/// What is wrong with credentials that the login host takes.
const UNAUTHORIZED: &str = "the API host answers 401 to a fresh access token";

/// A success that is none.
const PAGE: &str = "a page of HTML came where the API answers with JSON";

fn problem(answer: &Answer) -> String {
    match answer {
        Answer::Answered { response, .. } | Answer::TooLarge { response, .. } if response.is_success() => {
            PAGE.to_owned()
        }
        Answer::Answered { response, .. } | Answer::TooLarge { response, .. } => {
            format!("the server answers with status {}", response.status)
        }
        Answer::Unsent { problem } | Answer::Unanswered { problem } => problem.clone(),
    }
}
