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
