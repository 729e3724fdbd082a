//! Pauses of the fleet: a 429 at one host stops its scope at all.
//!
//! A pause is in force until somebody has probed: its time, like that of a gate of a single host, only says when a
//! request may. Of the whole fleet one host probes a scope at a time, the one that has the scope's token. The pause
//! ends when a host reports that a probe was accepted, or, since a fleet may come to have nothing to probe with, a
//! while after its time.

use std::time::Duration;

use super::identity::Host;

/// For what a pause holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything.
    Organization,
    /// What takes the route of this name: method and path template.
    Route(Box<str>),
    /// The messages of this conversation.
    Conversation(Box<str>),
}

/// What a host reports of a pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseReport {
    /// It was refused with 429: nothing in this scope leaves for so long.
    Paused(Scope, Duration),
    /// A probe was accepted, or an operator has ended the pause with this number or an earlier one. A later one goes
    /// on.
    Resumed(Scope, u64),
    /// The probe that it had the token for came to nothing: another host may have it.
    Unprobed(Scope),
}

impl PauseReport {
    /// What it is about.
    pub fn scope(&self) -> &Scope {
        match self {
            Self::Paused(scope, _) | Self::Resumed(scope, _) | Self::Unprobed(scope) => scope,
        }
    }
}

/// A pause that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// For what it holds.
    pub scope: Scope,
    /// Goes up with each report of any pause: a later report about the same scope has a higher number.
    pub number: u64,
    /// For how long nothing may be sent. Zero: a probe is due, or under way.
    pub lasts: Duration,
    /// Who may probe, and for how long still.
    pub prober: Option<(Host, Duration)>,
}
