//! What comes without being asked for, and what goes wrong.

use super::identity::Host;
use super::pause::{Pause, Scope};

/// What the store pushes to all hosts of an organization. It may be lost: everything in it is in the next grant, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// A pause begins, or becomes longer.
    Paused(Pause),
    /// The pause with this number is over.
    Resumed(Scope, u64),
    /// A host has too few slots, and these have more than is due to them: they renew their leases now.
    Short(Vec<Host>),
    /// There are slots again for these, which have fewer than is due to them: they ask again.
    Free(Vec<Host>),
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
