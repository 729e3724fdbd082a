//! What comes without being asked for, and what goes wrong.

use super::pause::{Pause, Scope};

/// What the store pushes to all hosts of an organization. It may be lost: everything in it is in the next grant, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A pause begins, or becomes longer.
    Paused(Pause),
    /// The pause with this number is over.
    Resumed(Scope, u64),
    /// A host has too few slots while others have more than is due to them: who holds any renews its lease now.
    Short,
    /// Slots are in the pool that hosts may have been waiting for: who has too few asks again.
    Free,
}

/// Why a renewal has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// No connection: refused, DNS, TLS.
    Unreachable,
    /// No answer in time, or the connection was cut.
    Unanswered,
    /// The store takes no writes: a replica, or a primary that lacks replicas.
    ReadOnly,
    /// It is loading its data, or busy.
    Loading,
    /// It has no memory left.
    Full,
    /// The credentials are refused, or may not do this.
    Denied,
    /// It answered what makes no sense.
    Broken,
}

/// A renewal has no answer; nothing of it comes any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub kind: FailureKind,
    /// What went wrong, in words for an operator. It has no credentials in it.
    pub problem: String,
    /// Whether the store may have executed it.
    pub may_have_run: bool,
}
