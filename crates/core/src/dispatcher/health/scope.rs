//! For what a limit holds: what the server names, or what is known of whom it has refused before and of who else
//! passes.

use std::sync::Arc;

use super::in_use::is_in_use;
use super::own_limits::is_remembered;
use super::{AttemptId, Health, RouteId};
use crate::clock::Timestamp;
use crate::evidence::{Evidence, Extent, NamedLimit};
use crate::token::TokenId;

/// For what a limit holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum Scope {
    /// Everything that shares its token, or is of its organization.
    Organization,
    /// What shows this one of several tokens.
    Token(TokenId),
    /// What takes this route.
    Route(RouteId),
    /// The messages of this conversation.
    Conversation(Arc<str>),
    /// Not known yet: the limit is this one's, or that of more.
    Unknown(Suspect),
}

/// The least that a limit without a name may hold for: what was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum Suspect {
    /// What takes this route: a call, or messages of several conversations.
    Route(RouteId),
    /// The messages of this conversation.
    Conversation(Arc<str>),
}

impl Suspect {
    /// Of a request of this route; `conversation`: that of its messages, if they all belong to one.
    pub(in crate::dispatcher) fn of(route: RouteId, conversation: Option<&Arc<str>>) -> Self {
        match conversation.filter(|_| route == RouteId::MESSAGES) {
            Some(conversation) => Self::Conversation(Arc::clone(conversation)),
            None => Self::Route(route),
        }
    }

    /// The limit is its own.
    pub(super) fn into_scope(self) -> Scope {
        match self {
            Self::Route(route) => Scope::Route(route),
            Self::Conversation(conversation) => Scope::Conversation(conversation),
        }
    }

    /// Whether a request of this route, with messages of this conversation, is one of these.
    pub(super) fn is_one_of(&self, route: RouteId, conversation: Option<&Arc<str>>) -> bool {
        match self {
            Self::Route(own) => *own == route,
            Self::Conversation(own) => Some(own) == conversation,
        }
    }

    pub(super) fn route(&self) -> RouteId {
        match self {
            Self::Route(route) => *route,
            Self::Conversation(_) => RouteId::MESSAGES,
        }
    }
}

impl Scope {
    /// The scope of a limit, by its name. `conversation`: that of the refused messages, if they all belong to one.
    pub(super) fn named(limit: &NamedLimit, route: RouteId, conversation: Option<Arc<str>>) -> Self {
        match (limit.extent(), conversation) {
            (Extent::Organization, _) => Self::Organization,
            (Extent::Conversation, Some(conversation)) => Self::Conversation(conversation),
            (Extent::Conversation | Extent::Route, _) => Self::Route(route),
        }
    }
}

impl Health {
    /// What a 429 to a request of our own applies to: everything, unless it names a limit.
    pub(in crate::dispatcher) fn scope_of_own(&self, route: RouteId, token: TokenId, evidence: &Evidence) -> Scope {
        match &evidence.limit {
            Some(limit) => self.scope_named(limit, (route, token), None),
            None if self.by_token.are_several() => Scope::Token(token),
            None => Scope::Organization,
        }
    }

    /// What a 429 applies to. `conversation`: that of the refused messages, if they all belong to one.
    pub(in crate::dispatcher) fn scope_of(
        &self,
        now: Timestamp,
        (attempt, route, token): (AttemptId, RouteId, TokenId),
        conversation: Option<Arc<str>>,
        evidence: &Evidence,
    ) -> Scope {
        if let Some(limit) = &evidence.limit {
            return self.scope_named(limit, (route, token), conversation);
        }
        let suspect = Suspect::of(route, conversation.as_ref());
        if self.has_own_limit(now, &suspect) {
            return suspect.into_scope();
        }
        if route == RouteId::MESSAGES && self.has_own_limit(now, &Suspect::Route(route)) {
            return Scope::Route(route);
        }
        if self.by_token.are_several() {
            return self.scope_by_token(suspect, token);
        }
        let is_probe = self.organization.is_probe(attempt);
        if self.is_throttled() && !self.doubt.holds_all() {
            // It is known to be everybody's, for now; a probe that is told of a later time may have met another limit.
            let until = self.organization.closure().and_then(|closure| closure.until);
            let asked = evidence.wait_within(self.max_pause).map(|wait| now.after(wait.span));
            let is_another = is_probe && asked.is_some_and(|asked| until.is_none_or(|until| asked > until));
            return if is_another { Scope::Unknown(suspect) } else { Scope::Organization };
        }
        let is_widened = self.doubt.is_widened_by(&suspect, is_probe);
        let may_be_routes = route == RouteId::MESSAGES && self.doubt.is_of_route(route) && self.are_calls_in_use(now);
        if is_widened && may_be_routes {
            return Scope::Unknown(Suspect::Route(route));
        }
        let is_of_many = suspect == Suspect::Route(RouteId::MESSAGES) && !self.are_calls_in_use(now);
        if is_widened || is_of_many { Scope::Organization } else { Scope::Unknown(suspect) }
    }

    /// What a limit applies to, by its name. What one of several tokens has met is its own.
    fn scope_named(
        &self,
        limit: &NamedLimit,
        (route, token): (RouteId, TokenId),
        conversation: Option<Arc<str>>,
    ) -> Scope {
        match Scope::named(limit, route, conversation) {
            Scope::Organization if self.by_token.are_several() && limit.is_of_token() => Scope::Token(token),
            scope => scope,
        }
    }

    /// Whether the suspect is known to have a limit of its own, so that its refusal needs no other explanation.
    fn has_own_limit(&self, now: Timestamp, suspect: &Suspect) -> bool {
        let (limit, is_remembered) = match suspect {
            Suspect::Route(id) => {
                let route = self.routes.get(*id);
                (Some(&route.limit), is_remembered(now, route.limited_at))
            }
            Suspect::Conversation(name) => (self.conversations.get(name), self.doubt.remembers(now, name)),
        };
        // A limit that has a name gives it every time.
        let is_in_force = limit.is_some_and(|limit| !limit.gate.is_open() && limit.name.is_none());
        let is_suspect = self.doubt.get(suspect).is_some();
        is_remembered || (is_in_force && !is_suspect) || self.doubt.is_refused_again(suspect)
    }

    fn are_calls_in_use(&self, now: Timestamp) -> bool {
        let is_used = |(id, route): (RouteId, &super::routes::Route)| {
            id != RouteId::MESSAGES
                && route.limit.gate.is_open()
                && (route.has_calls() || is_in_use(now, route.passed_at))
        };
        self.routes.iter().any(is_used)
    }

    /// Whether calls wait, or are on the wire, whose route has no limit of its own.
    fn are_calls_there(&self, suspect: &Suspect) -> bool {
        let is_other = |id: RouteId| id != RouteId::MESSAGES && id != suspect.route();
        self.routes.iter().any(|(id, route)| is_other(id) && route.limit.gate.is_open() && route.has_calls())
    }

    /// Something of this route was taken.
    pub(in crate::dispatcher) fn note_passed(&mut self, now: Timestamp, route: RouteId) {
        self.routes.get_mut(route).passed_at = Some(now);
    }

    /// Whether it would tell anything new who sends what was taken.
    pub(in crate::dispatcher) fn asks_who_passes(&self, now: Timestamp) -> bool {
        self.doubt.asks_who_passes(now) || self.by_token.has_suspects()
    }

    /// Who sends it: that one is in use.
    pub(in crate::dispatcher) fn note_who_passed(
        &mut self,
        now: Timestamp,
        route: RouteId,
        conversation: Option<&Arc<str>>,
    ) {
        self.doubt.note_passed(now, route, conversation);
        if self.by_token.has_suspects() {
            self.by_token.clear(&Suspect::of(route, conversation));
        }
    }

    /// Whether others can tell whose limit has refused the suspect: they are in use, or wait. `conversations`: that
    /// have messages in the outbox.
    pub(in crate::dispatcher) fn can_others_tell(
        &self,
        now: Timestamp,
        suspect: &Suspect,
        conversations: usize,
    ) -> bool {
        let others = match suspect {
            Suspect::Route(RouteId::MESSAGES) => return self.are_calls_there(suspect),
            Suspect::Route(_) => conversations,
            Suspect::Conversation(_) => conversations.saturating_sub(1),
        };
        others > 0 || self.are_calls_there(suspect) || self.doubt.in_use().has_others_than(now, suspect)
    }

    /// Whether anything has ever been taken in this run.
    pub(in crate::dispatcher) fn has_anything_passed(&self) -> bool {
        self.doubt.in_use().has_any()
    }

    /// Whether a message has.
    pub(in crate::dispatcher) fn has_message_passed(&self) -> bool {
        self.routes.get(RouteId::MESSAGES).passed_at.is_some()
    }
}
