//! What a 401 is about: the token, or one request that no token would help.
//!
//! A first 401 may be the token's end: it is fetched again. A second one, to the fresh token, is evidence. Refused to
//! several conversations or routes without an acceptance in between, the credentials are at fault. If others of the
//! same kind are accepted meanwhile, the refused one is.

use std::time::Duration;

use super::{AUTH_BACKOFF, Cause, Health, RouteId, Sent};
use crate::clock::Timestamp;
use crate::dispatcher::{Effect, Notice, Step};
use crate::lanes::LaneId;
use crate::random::Random;

/// For so long at most others have their turns before what was refused comes back: as between probes.
const OTHERS_MAX: Duration = Duration::from_secs(60);
/// A route that refused a fresh token is asked with another one after this time: its permission may have been granted.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// Who a token was refused to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum Subject {
    /// A conversation: all of them take one route.
    Conversation(LaneId),
    /// A call of this route.
    Route(RouteId),
}

impl Subject {
    fn is_conversation(self) -> bool {
        matches!(self, Self::Conversation(_))
    }
}

/// A 401, and what was known before it.
#[derive(Clone, Debug)]
pub(in crate::dispatcher) struct Refusal {
    /// All that the request was about: several where it was an array. Never empty.
    pub(in crate::dispatcher) subjects: Vec<Subject>,
    /// Of the first 401 in a row to the same message or call; `None` if this is the first.
    pub(in crate::dispatcher) since: Option<Timestamp>,
    /// The token had just been fetched when the request left: it can't have ended on the way.
    pub(in crate::dispatcher) is_fresh: bool,
    /// Nothing else is on its way or waiting that could tell more.
    pub(in crate::dispatcher) is_only_witness: bool,
}

impl Refusal {
    /// Whether something that it is about is among these.
    pub(super) fn concerns(&self, others: &[Subject]) -> bool {
        others.iter().any(|other| self.subjects.contains(other))
    }

    /// What is left under suspicion by both; all of this one's without others.
    pub(super) fn narrow(&self, others: &[Subject]) -> Vec<Subject> {
        let is_suspect = |subject: &&Subject| others.is_empty() || others.contains(subject);
        self.subjects.iter().filter(is_suspect).copied().collect()
    }
}

/// What follows from a 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum Blame {
    /// The token may have ended: another one decides.
    Token,
    /// Nobody yet: others will tell, so it waits for as long.
    Open(Duration),
    /// This request: others are accepted.
    Request,
    /// The credentials, for all that is known; but only one request has been refused.
    OneWitness,
    /// The credentials.
    Credentials,
}

/// How many conversations are remembered to which a fresh token was refused.
const TWICE_REFUSED_MAX: usize = 1_024;

/// Who was accepted and refused lately.
#[derive(Debug, Default)]
pub(super) struct TokenEvidence {
    accepted_at: Option<Timestamp>,
    conversation_accepted_at: Option<Timestamp>,
    /// Refused a fresh token since the last acceptance of anything: if one of them is at fault, it is one of these.
    refused: Vec<Subject>,
    /// Conversations whose messages were refused a fresh token that others had before and were accepted with. One such
    /// refusal may be of a token that ended just then.
    twice_refused: Vec<Subject>,
    /// Credentials count as refused, on the evidence of one of these alone.
    only_witness: Option<Vec<Subject>>,
}

impl TokenEvidence {
    pub(super) fn accepted(&mut self, now: Timestamp, route: RouteId) {
        self.accepted_at = Some(now);
        if route == RouteId::MESSAGES {
            self.conversation_accepted_at = Some(now);
        }
        self.refused.clear();
    }

    /// Whether the credentials count as refused on the evidence of others only.
    fn is_another(&self, refusal: &Refusal) -> bool {
        self.only_witness.as_ref().is_some_and(|one| !refusal.concerns(one))
    }

    /// The credentials work again.
    pub(super) fn reopened(&mut self) {
        self.only_witness = None;
    }

    /// The messages of these are at fault if this has happened to them before; else they get one more token.
    pub(super) fn convict(&mut self, subjects: &[Subject]) -> Blame {
        if subjects.iter().all(|subject| self.twice_refused.contains(subject)) {
            self.twice_refused.retain(|known| !subjects.contains(known));
            return Blame::Request;
        }
        self.twice_refused.retain(|known| !subjects.contains(known));
        if self.twice_refused.len() + subjects.len() > TWICE_REFUSED_MAX {
            self.twice_refused.clear();
        }
        self.twice_refused.extend_from_slice(subjects);
        Blame::Token
    }

    /// Weighs a second 401.
    fn weigh(&mut self, now: Timestamp, refusal: &Refusal, since: Timestamp, random: &mut Random) -> Blame {
        let Refusal { subjects, is_fresh, is_only_witness, .. } = refusal;
        let is_of_messages = subjects.iter().all(|subject| subject.is_conversation());
        let was_accepted = |at: Option<Timestamp>| at.is_some_and(|at| at > since);
        let alike_accepted = match is_of_messages {
            true => was_accepted(self.conversation_accepted_at),
            false => was_accepted(self.accepted_at),
        };
        if alike_accepted {
            return match is_fresh {
                true if is_of_messages => self.convict(subjects),
                true => Blame::Request,
                false => Blame::Token,
            };
        }
        // The credentials are good for something. The caller gets the server's answer, and decides; a message has
        // nobody who would send it again.
        let may_end = !is_of_messages && self.accepted_at.is_some();
        if may_end && !is_only_witness {
            // What is on its way tells of the token. However many endpoints refuse it, that may be their own affair.
            return Blame::Request;
        }
        if !self.refused.is_empty() && !refusal.concerns(&self.refused) {
            self.only_witness = None;
            return Blame::Credentials;
        }
        self.refused = refusal.narrow(&self.refused);
        if may_end {
            return Blame::Request;
        }
        if *is_only_witness && !was_accepted(self.accepted_at) {
            self.only_witness = Some(self.refused.clone());
            return Blame::OneWitness;
        }
        // If it came back sooner each time than a slow budget lets two requests leave, no other would ever tell.
        let lasting = now.since(since).min(OTHERS_MAX);
        Blame::Open(AUTH_BACKOFF.wait(1, random).max(lasting))
    }
}

impl Health {
    /// A request was answered with 401.
    pub(in crate::dispatcher) fn unauthorized(
        &mut self,
        now: Timestamp,
        sent: Sent,
        refusal: &Refusal,
        random: &mut Random,
    ) -> Blame {
        let is_probe = self.organization.is_probe(sent.attempt);
        let is_refused = self.auth_problem.is_some();
        let blame = match refusal.since {
            _ if is_refused && (is_probe || self.tokens.is_another(refusal)) => {
                let same = self.tokens.only_witness.take().filter(|one| refusal.concerns(one));
                self.tokens.only_witness = same.map(|one| refusal.narrow(&one));
                self.tokens.refused.clone_from(&refusal.subjects);
                if self.tokens.only_witness.is_some() { Blame::OneWitness } else { Blame::Credentials }
            }
            None if self.is_always_refused(now, sent.route) => Blame::Request,
            None => Blame::Token,
            Some(since) => self.tokens.weigh(now, refusal, since, random),
        };
        if let (Blame::OneWitness, Some(Subject::Conversation(lane))) = (blame, refusal.subjects.first().copied()) {
            // Anything else is the better probe.
            self.probed.note(sent.route, lane);
        }
        if (blame, refusal.since.is_some(), refusal.is_fresh) == (Blame::Request, true, true)
            && sent.route.is_told_apart()
        {
            self.routes.get_mut(sent.route).refused_at = Some(now);
        }
        self.lost(now, sent.attempt, (sent.route, sent.token));
        blame
    }

    /// Whether this route of calls refused a fresh token lately that others accept. Another token wouldn't help, and
    /// fetching one for each call would hold up all others: if the token has ended meanwhile, they find out.
    fn is_always_refused(&self, now: Timestamp, route: RouteId) -> bool {
        self.routes.get(route).refused_at.is_some_and(|at| now.since(at) < REFUSED_FOR)
    }

    /// The credentials count as refused: until when nothing leaves.
    pub(in crate::dispatcher) fn refuse_credentials(
        &mut self,
        step: &mut Step<'_>,
        problem: String,
        random: &mut Random,
    ) -> Timestamp {
        let shut_until = self.organization.closure().and_then(|closure| closure.next_probe);
        if let Some(until) = shut_until.filter(|_| self.auth_problem.is_some() && self.organization.is_shut(step.now)) {
            // What was on its way when that was found out adds nothing.
            return until;
        }
        let until = step.now.after(AUTH_BACKOFF.wait(self.organization.strikes() + 1, random));
        self.organization.shut(step.now, until, Cause::Auth);
        self.organization.strike();
        if self.auth_problem.replace(problem.clone()).is_none() {
            let reason = Cause::Auth.word();
            step.effects.push(Effect::Notice(Notice::Outage { reason, problem, open: true }));
        }
        until
    }

    /// Those of the one request whose refusal has shut the gate, if it is that alone.
    pub(in crate::dispatcher) fn only_witness(&self) -> Option<&[Subject]> {
        self.auth_problem.as_ref().and(self.tokens.only_witness.as_deref())
    }

    /// There is somebody whom the token wasn't refused to: that one probes at once, unless a pause has come between.
    /// Whether it would have had to wait.
    pub(in crate::dispatcher) fn hear_another_witness(&mut self, now: Timestamp) -> bool {
        self.organization.closed_by() == Some(Cause::Auth) && self.organization.make_due(now)
    }

    /// Whether credentials count as refused, on whoever's evidence.
    pub(in crate::dispatcher) fn has_auth_problem(&self) -> bool {
        self.auth_problem.is_some()
    }

    /// Why promises of this one are refused, if credentials count as refused on its evidence, too.
    pub(in crate::dispatcher) fn auth_problem(&self, subject: Subject) -> Option<&str> {
        let concerns = self.tokens.only_witness.as_ref().is_none_or(|one| one.contains(&subject));
        self.auth_problem.as_deref().filter(|_| concerns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    fn second(subject: Subject, is_only_witness: bool) -> Refusal {
        Refusal { subjects: vec![subject], since: Some(at(100)), is_fresh: true, is_only_witness }
    }

    fn weigh(evidence: &mut TokenEvidence, refusal: Refusal) -> Blame {
        evidence.weigh(at(300), &refusal, at(100), &mut Random::from_seed(1))
    }

    const ONE: Subject = Subject::Conversation(1);
    const OTHER: Subject = Subject::Conversation(2);
    const CALL: Subject = Subject::Route(RouteId::OTHERS);

    #[test]
    fn several_without_an_acceptance_in_between_are_the_credentials_fault() {
        let mut evidence = TokenEvidence::default();
        assert!(matches!(weigh(&mut evidence, second(ONE, false)), Blame::Open(_)));
        assert!(matches!(weigh(&mut evidence, second(ONE, false)), Blame::Open(_)), "again the same one");
        assert_eq!(weigh(&mut evidence, second(OTHER, false)), Blame::Credentials);
        evidence.accepted(at(50), RouteId::OTHERS);
        assert!(matches!(weigh(&mut evidence, second(OTHER, false)), Blame::Open(_)), "the count begins again");
    }

    #[test]
    fn what_goes_on_being_refused_lets_others_go_first() {
        let wait = |now_ms: u64| match TokenEvidence::default().weigh(
            at(now_ms),
            &second(ONE, false),
            at(100),
            &mut Random::from_seed(1),
        ) {
            Blame::Open(wait) => wait,
            blame => unreachable!("{blame:?}: nobody else has told"),
        };
        assert!(wait(20_100) >= Duration::from_secs(20), "slots may be so far apart");
        assert_eq!(wait(7_200_100), OTHERS_MAX, "an outage of hours is no reason for another");
    }

    #[test]
    fn arrays_with_a_message_in_common_are_one_witness() {
        let array = |subjects: &[Subject]| Refusal { subjects: subjects.to_vec(), ..second(ONE, false) };
        let third = Subject::Conversation(3);
        let mut evidence = TokenEvidence::default();
        assert!(matches!(weigh(&mut evidence, array(&[ONE, OTHER])), Blame::Open(_)));
        assert!(matches!(weigh(&mut evidence, array(&[OTHER, third])), Blame::Open(_)));
        assert_eq!(weigh(&mut evidence, array(&[ONE, third])), Blame::Credentials, "the suspect isn't in it");
    }

    #[test]
    fn one_is_at_fault_once_others_of_its_kind_were_accepted_meanwhile() {
        let mut evidence = TokenEvidence::default();
        evidence.accepted(at(150), RouteId::OTHERS);
        assert!(matches!(weigh(&mut evidence, second(ONE, true)), Blame::Open(_)), "a call says nothing of messages");
        assert_eq!(weigh(&mut evidence, second(CALL, true)), Blame::Request);
        evidence.accepted(at(150), RouteId::MESSAGES);
        assert_eq!(weigh(&mut evidence, second(ONE, true)), Blame::Token, "it may have ended just then");
        assert_eq!(weigh(&mut evidence, second(ONE, true)), Blame::Request);
        let stale = Refusal { is_fresh: false, ..second(ONE, true) };
        assert_eq!(weigh(&mut evidence, stale), Blame::Token, "its token may have ended on the way");
    }

    #[test]
    fn an_only_witness_is_believed_until_another_comes() {
        let mut evidence = TokenEvidence::default();
        assert_eq!(weigh(&mut evidence, second(ONE, true)), Blame::OneWitness);
        assert_eq!(evidence.only_witness, Some(vec![ONE]));
        evidence.accepted(at(200), RouteId::MESSAGES);
        assert_eq!(evidence.only_witness, Some(vec![ONE]), "an answer that was on its way says nothing of the others");
        evidence.reopened();
        assert_eq!(evidence.only_witness, None);
        assert_eq!(weigh(&mut TokenEvidence::default(), second(CALL, true)), Blame::OneWitness);
        let mut proven = TokenEvidence::default();
        proven.accepted(at(50), RouteId::OTHERS);
        assert_eq!(weigh(&mut proven, second(CALL, true)), Blame::Request, "the credentials are good for something");
    }
}
