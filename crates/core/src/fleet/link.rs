//! A way to a node: a connection, or the attempt to have one, and the renewals that wait for it.

use std::sync::Arc;
use std::time::Duration;

use super::connection::{Calls, Connection};
use crate::lease::{Failure, Renewal};
use crate::settings::Node;

/// Which node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// The one that the URL leads to.
    Start,
    /// One that another node has named.
    Node(Node),
}

/// An engine of an organization that has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberId(pub(super) u64);

/// A renewal on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) member: MemberId,
    pub(super) organization: Arc<str>,
    pub(super) renewal: Box<Renewal>,
    /// Nodes that have sent it elsewhere.
    pub(super) hops: u32,
    pub(super) asking: bool,
}

/// The shortest wait before the next attempt to connect; the first is made at once.
const WAIT_MIN: Duration = Duration::from_millis(50);
/// The longest: so soon is it noticed that the server is back.
const WAIT_MAX: Duration = Duration::from_millis(800);

/// A way to a node.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) state: State,
    /// Renewals that go next: together, in one pipeline.
    pub(super) waiting: Vec<Job>,
    /// Attempts to connect in a row that have failed.
    failures: u32,
    /// Which connection this is: what an earlier one says is no news.
    pub(super) generation: u64,
}

/// How it stands with its connection.
#[derive(Debug, Default)]
pub(super) enum State {
    /// Nobody has needed one yet.
    #[default]
    Unused,
    /// It is being made.
    Opening,
    /// It is there.
    Open(Connection),
    /// It could not be made, or was lost: another attempt comes.
    Lost(Failure),
}

impl Link {
    /// The next connection begins.
    pub(super) fn begin(&mut self) -> u64 {
        self.state = State::Opening;
        self.generation += 1;
        self.generation
    }

    /// It is there.
    pub(super) fn opened(&mut self, connection: Connection) {
        debug_assert!(matches!(self.state, State::Opening), "only what opens can be open");
        self.failures = 0;
        self.state = State::Open(connection);
    }

    /// It is over, or never was. Gives the renewals that waited for it.
    pub(super) fn lost(&mut self, failure: Failure) -> Vec<Job> {
        self.state = State::Lost(failure);
        std::mem::take(&mut self.waiting)
    }

    /// How long to wait before the next attempt, in full.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = WAIT_MIN.saturating_mul(1 << self.failures.min(8)).min(WAIT_MAX);
        self.failures += 1;
        wait
    }

    pub(super) fn calls(&self) -> Option<Calls> {
        match &self.state {
            State::Open(connection) => Some(connection.calls()),
            _ => None,
        }
    }
}
