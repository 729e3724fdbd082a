//! What outlives an engine: pauses, each with its scope, and an outage that must not be found again by a message.

use std::sync::Arc;

use super::{KnownOutage, Limit};
use crate::clock::Timestamp;

/// What one engine leaves to the next: a limit is the server's, no matter which engine sends.
#[derive(Clone, Debug, Default)]
pub(in crate::dispatcher) struct Bequest {
    pub(in crate::dispatcher) organization: Option<Limit>,
    /// Its pause is the moment that everything waits for, since nobody knows whose the others are that have no name.
    pub(in crate::dispatcher) is_in_doubt: bool,
    /// Of several tokens, by the fingerprints of their clients.
    pub(in crate::dispatcher) tokens: Vec<(u64, Limit)>,
    /// By the names of their routes.
    pub(in crate::dispatcher) routes: Vec<(Box<str>, Limit)>,
    pub(in crate::dispatcher) conversations: Vec<(Arc<str>, Limit)>,
    /// Messages that were given up in a row, since nobody knows whether the server has taken them.
    pub(in crate::dispatcher) unknown: u32,
    /// What these have shown.
    pub(in crate::dispatcher) outage: Option<KnownOutage>,
}

impl Bequest {
    fn limits(&self) -> impl Iterator<Item = &Limit> {
        let routes = self.routes.iter().map(|(_, limit)| limit);
        let conversations = self.conversations.iter().map(|(_, limit)| limit);
        let tokens = self.tokens.iter().map(|(_, limit)| limit);
        self.organization.iter().chain(tokens).chain(routes).chain(conversations)
    }

    /// When the last of them is over, as far as that is known.
    pub(in crate::dispatcher) fn until(&self) -> Option<Timestamp> {
        self.limits().filter_map(|limit| limit.gate.closure()?.until).max()
    }
}
