//! For what a limit holds.

use std::sync::Arc;

use super::RouteId;
use crate::evidence::{Extent, NamedLimit};

/// For what a limit holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum Scope {
    /// Everything that shares its token, or is of its organization.
    Organization,
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
