//! Conversations that have met a limit of their own. Their lanes stay shut until it lets a message through; everything
//! else goes past them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use super::gate::{AttemptId, Pass};
use super::limit::Limit;
use crate::clock::Timestamp;

/// Conversations that are told apart at a time. The one whose time ends first gives its place away, and meets its limit
/// again.
pub(super) const CONVERSATIONS_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Conversations {
    /// In an order that a seed repeats: lanes are told in it.
    limits: BTreeMap<Arc<str>, Limit>,
    /// Requests that probe one of them.
    probing: HashMap<AttemptId, Vec<Arc<str>>>,
    /// Forgotten since the lanes were told.
    forgotten: Vec<Arc<str>>,
    /// Something has changed since then.
    is_stale: bool,
    /// The first of them whose time is over then.
    next_due: Option<Timestamp>,
}

/// What the lane of a conversation is told.
pub(in crate::dispatcher) enum LimitChange {
    Shut(Arc<str>),
    /// Its next message probes.
    Due(Arc<str>),
    Open(Arc<str>),
}

impl Conversations {
    pub(super) fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// Whether a request probes one of them.
    pub(super) fn are_probed(&self) -> bool {
        !self.probing.is_empty()
    }

    pub(super) fn get(&self, conversation: &str) -> Option<&Limit> {
        self.limits.get(conversation)
    }

    pub(super) fn get_mut(&mut self, conversation: &str) -> Option<&mut Limit> {
        self.limits.get_mut(conversation)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Limit)> {
        self.limits.iter()
    }

    /// The limit of a conversation that has just met it.
    pub(super) fn meet(&mut self, now: Timestamp, conversation: &Arc<str>) -> &mut Limit {
        self.is_stale = true;
        if self.limits.len() >= CONVERSATIONS_MAX && !self.limits.contains_key(conversation) {
            let ends = |limit: &Limit| limit.gate.closure().and_then(|closure| closure.until);
            let first = self.limits.iter().min_by_key(|(_, limit)| ends(limit)).map(|(name, _)| Arc::clone(name));
            first.into_iter().for_each(|first| drop(self.forget(&first)));
        }
        self.limits.entry(Arc::clone(conversation)).or_insert_with(|| Limit::unmet(now))
    }

    pub(super) fn put(&mut self, conversation: Arc<str>, limit: Limit) {
        self.is_stale = true;
        if self.limits.len() < CONVERSATIONS_MAX {
            self.limits.insert(conversation, limit);
        }
    }

    /// It has no limit of its own.
    pub(super) fn lift(&mut self, conversation: &Arc<str>) {
        drop(self.forget(conversation));
    }

    fn forget(&mut self, conversation: &Arc<str>) -> Option<Limit> {
        for probed in self.probing.values_mut() {
            probed.retain(|other| other != conversation);
        }
        self.is_stale = true;
        self.forgotten.push(Arc::clone(conversation));
        self.limits.remove(conversation)
    }

    pub(super) fn pass(&mut self, now: Timestamp, conversation: &str) -> Pass {
        self.limits.get_mut(conversation).map_or(Pass::Free, |limit| limit.gate.pass(now))
    }

    /// Whether a request with a message of it may leave that was made before.
    pub(super) fn may_leave(&self, attempt: AttemptId, conversation: &str) -> bool {
        self.limits.get(conversation).is_none_or(|limit| limit.gate.is_open() || limit.gate.is_probe(attempt))
    }

    /// A request with a message of it is about to leave.
    pub(super) fn departs(&mut self, now: Timestamp, attempt: AttemptId, conversation: &Arc<str>) {
        let Some(limit) = self.limits.get_mut(conversation) else { return };
        if limit.gate.pass(now) == Pass::Probe {
            limit.gate.probe(now, attempt);
            self.probing.entry(attempt).or_default().push(Arc::clone(conversation));
            self.is_stale = true;
        }
    }

    /// It leaves. When one more may probe.
    pub(super) fn left(&mut self, now: Timestamp, attempt: AttemptId, patience: Duration) -> Option<Timestamp> {
        let probed = self.probing.get(&attempt)?;
        self.is_stale = true;
        let limits = &mut self.limits;
        probed.iter().filter_map(|name| limits.get_mut(name)?.gate.left(now, attempt, patience, Duration::ZERO)).min()
    }

    /// A probe told nothing.
    pub(super) fn lost(&mut self, now: Timestamp, attempt: AttemptId) {
        for conversation in self.take_probed(attempt) {
            if let Some(limit) = self.limits.get_mut(&conversation) {
                limit.gate.probe_lost(now, attempt);
            }
        }
    }

    /// A probe has no answer.
    pub(super) fn failed(&mut self, now: Timestamp, attempt: AttemptId, probe_every: Duration) {
        for conversation in self.take_probed(attempt) {
            if let Some(limit) = self.limits.get_mut(&conversation) {
                limit.gate.probe_failed(now, attempt, probe_every);
            }
        }
    }

    /// A probe was answered: the limits that it has ended, as far as they are still what it probed.
    pub(super) fn answered(&mut self, attempt: AttemptId) -> Vec<(Arc<str>, Limit)> {
        let mut ended = Vec::new();
        for conversation in self.take_probed(attempt) {
            let is_its = self.limits.get(&conversation).is_some_and(|limit| limit.gate.is_probe(attempt));
            let limit = if is_its { self.forget(&conversation) } else { None };
            ended.extend(limit.map(|limit| (conversation, limit)));
        }
        ended
    }

    fn take_probed(&mut self, attempt: AttemptId) -> Vec<Arc<str>> {
        if self.probing.is_empty() {
            return Vec::new();
        }
        let Some(probed) = self.probing.remove(&attempt) else { return Vec::new() };
        self.is_stale = true;
        probed
    }

    /// An operator wants it probed at once.
    pub(super) fn make_due(&mut self, now: Timestamp, conversation: &str) {
        if let Some(limit) = self.limits.get_mut(conversation) {
            self.is_stale |= limit.gate.make_due(now);
        }
    }

    /// Whether lanes have to be told something.
    pub(super) fn has_news(&self, now: Timestamp) -> bool {
        self.is_stale || self.next_due.is_some_and(|at| at <= now)
    }

    /// What lanes have to be told.
    pub(super) fn news(&mut self, now: Timestamp) -> Vec<LimitChange> {
        self.is_stale = false;
        self.next_due = None;
        let mut news: Vec<LimitChange> =
            std::mem::take(&mut self.forgotten).into_iter().map(LimitChange::Open).collect();
        for (conversation, limit) in &mut self.limits {
            let conversation = Arc::clone(conversation);
            news.push(match limit.gate.pass(now) {
                Pass::Free => LimitChange::Open(conversation),
                Pass::Probe => LimitChange::Due(conversation),
                Pass::Shut(at) | Pass::AwaitProbe(Some(at)) => {
                    self.next_due = Some(self.next_due.map_or(at, |earlier| earlier.min(at)));
                    LimitChange::Shut(conversation)
                }
                Pass::AwaitProbe(None) => LimitChange::Shut(conversation),
            });
        }
        news
    }

    /// Lanes have to be told something by then.
    pub(super) fn look_again_by(&mut self, at: Timestamp) {
        self.next_due = Some(self.next_due.map_or(at, |earlier| earlier.min(at)));
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.next_due
    }
}
