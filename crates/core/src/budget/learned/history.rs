//! What was sent lately, and what came of it: the learner's own half of every count.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;

/// What is kept in any case: nearly every window that is inferred is a minute or shorter; a few answers may be late.
const KEPT: Duration = Duration::from_secs(80);
/// The longest window that can be inferred is an hour: so far back is kept what there is room for.
const KEPT_MAX: Duration = Duration::from_secs(3_620);
const REQUESTS_MAX: usize = 131_072;
/// Of what is older than [`KEPT`].
const OLD_REQUESTS_MAX: usize = 16_384;

/// What became of a request, as the server counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// On its way there or back.
    OnTheWire,
    /// It has spent a slot, or may have.
    Counted,
    /// It was refused, or never came: it has spent none.
    Refused,
    /// Nobody waits for its answer any more: it has spent a slot, or will have by the time of its settling, which may
    /// still be to come.
    Adrift,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentRequest {
    pub(super) sent_at: Timestamp,
    pub(super) settled_at: Timestamp,
    pub(super) cost: u32,
    /// Cost of all that was sent before it.
    before: u64,
    /// Cost of all that was settled before it was sent.
    pub(super) done: u64,
    pub(super) fate: Fate,
}

impl SentRequest {
    fn is_counted(&self) -> bool {
        matches!(self.fate, Fate::Counted | Fate::Adrift)
    }
}

/// The requests of the last minute, in the order of sending.
#[derive(Debug, Default)]
pub(super) struct SendHistory {
    sent_requests: VecDeque<SentRequest>,
    /// Requests in front that are settled.
    settled: usize,
    sent: u64,
    done: u64,
    /// Cost of requests that have their slots and have not left yet.
    reserved: u64,
    is_cut: bool,
}

impl SendHistory {
    /// A request is about to leave.
    pub(super) fn reserve(&mut self, cost: u32) {
        self.reserved += u64::from(cost);
    }

    /// It will never leave.
    pub(super) fn cancel(&mut self, cost: u32) {
        debug_assert!(self.reserved >= u64::from(cost), "only what was reserved is canceled");
        self.reserved -= u64::from(cost);
    }

    /// It leaves: its date is this, however long it has waited.
    pub(super) fn left(&mut self, now: Timestamp, cost: u32) {
        self.cancel(cost);
        self.send(now, cost);
    }

    fn send(&mut self, now: Timestamp, cost: u32) {
        let sent = SentRequest {
            sent_at: now,
            settled_at: now,
            cost,
            before: self.sent,
            done: self.done,
            fate: Fate::OnTheWire,
        };
        debug_assert!(self.sent_requests.back().is_none_or(|last| last.sent_at <= now), "they stand in order");
        self.sent_requests.push_back(sent);
        self.sent += u64::from(cost);
        self.forget(now);
        debug_assert!(self.sent_requests.len() <= REQUESTS_MAX, "what is kept has a limit");
    }

    /// A request of an earlier engine. It was sent before any of ours, however late it may still arrive: so the
    /// requests stay in order.
    pub(super) fn inherit(&mut self, now: Timestamp, answered_at: Timestamp) {
        self.sent_requests.push_back(SentRequest {
            sent_at: answered_at.min(now),
            settled_at: answered_at,
            cost: 1,
            before: self.sent,
            done: self.done,
            fate: Fate::Adrift,
        });
        (self.sent, self.done) = (self.sent + 1, self.done + 1);
        self.advance();
    }

    /// The request that ends; `None` when it is forgotten already.
    pub(super) fn settle(&mut self, now: Timestamp, sent_at: Timestamp, cost: u32, fate: Fate) -> Option<SentRequest> {
        self.done += u64::from(cost);
        debug_assert!(self.done <= self.sent, "only what was sent is settled");
        let start = self.sent_requests.partition_point(|sent| sent.sent_at < sent_at);
        let is_it = |sent: &&mut SentRequest| sent.fate == Fate::OnTheWire && sent.cost == cost;
        let same = self.sent_requests.range_mut(start..).take_while(|sent| sent.sent_at == sent_at);
        let sent = same.into_iter().find(is_it)?;
        (sent.settled_at, sent.fate) = (now, fate);
        let sent = *sent;
        self.advance();
        Some(sent)
    }

    fn advance(&mut self) {
        debug_assert!(self.settled <= self.sent_requests.len(), "only what is known is settled");
        while self.sent_requests.get(self.settled).is_some_and(|sent| sent.fate != Fate::OnTheWire) {
            self.settled += 1;
        }
    }

    fn forget(&mut self, now: Timestamp) {
        loop {
            let kept = if self.sent_requests.len() > OLD_REQUESTS_MAX { KEPT } else { KEPT_MAX };
            let old = now.before(kept);
            let is_old = |sent: &SentRequest| sent.fate != Fate::OnTheWire && sent.sent_at < old;
            if self.sent_requests.len() <= REQUESTS_MAX && !self.sent_requests.front().is_some_and(is_old) {
                break;
            }
            self.sent_requests.pop_front();
            self.settled = self.settled.saturating_sub(1);
            self.is_cut = true;
        }
        self.advance();
    }

    /// Cost of all that was ever sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Cost of what is on the wire.
    pub(super) fn on_the_wire(&self) -> u64 {
        debug_assert!(self.done <= self.sent, "only what was sent is settled");
        self.sent - self.done
    }

    /// Cost of requests that are about to leave.
    pub(super) fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Everything up to this cost is settled.
    pub(super) fn settled(&self) -> u64 {
        self.sent_requests.get(self.settled).map_or(self.sent, |sent| sent.before)
    }

    /// What the server has counted of what was sent after `since`, and not after `until`.
    pub(super) fn counted(&self, since: Timestamp, until: Timestamp) -> u64 {
        let start = self.sent_requests.partition_point(|sent| sent.sent_at <= since);
        let end = self.sent_requests.partition_point(|sent| sent.sent_at <= until).max(start);
        self.sent_requests.range(start..end).filter(|sent| sent.is_counted()).map(|sent| u64::from(sent.cost)).sum()
    }

    /// Whether something that the server has counted, and that was sent by `until`, may have arrived after `since`: it
    /// was answered after it.
    pub(super) fn may_count(&self, since: Timestamp, until: Timestamp) -> bool {
        let end = self.sent_requests.partition_point(|sent| sent.sent_at <= until);
        self.sent_requests.range(..end).any(|sent| sent.is_counted() && sent.settled_at > since)
    }

    /// Cost of what was sent within `span` of a moment, to either side.
    pub(super) fn near(&self, at: Timestamp, span: Duration) -> u64 {
        self.sent_before(at.after(span)).saturating_sub(self.sent_before(at.before(span)))
    }

    /// How much may have arrived since `since`: all but what was answered before it.
    pub(super) fn may_have_arrived(&self, since: Timestamp) -> u64 {
        let behind = self.sent_requests.partition_point(|sent| sent.sent_at <= since);
        let done = match behind.checked_sub(1).and_then(|index| self.sent_requests.get(index)) {
            Some(sent) => sent.done,
            // Nothing is known of that time.
            None if self.is_cut => return u64::MAX,
            None => 0,
        };
        self.sent.saturating_sub(done)
    }

    /// What the server has counted, and had before anything that was sent at this time arrived; the newest first.
    pub(super) fn arrived_before(&self, at: Timestamp) -> impl Iterator<Item = &SentRequest> {
        let end = self.sent_requests.partition_point(|sent| sent.sent_at < at);
        self.sent_requests.range(..end).rev().filter(move |sent| sent.fate == Fate::Counted && sent.settled_at <= at)
    }

    /// Everything that has, or may have, spent a slot.
    pub(super) fn counting(&self) -> impl Iterator<Item = &SentRequest> {
        self.sent_requests.iter().filter(|sent| sent.fate != Fate::Refused)
    }

    fn sent_before(&self, at: Timestamp) -> u64 {
        let index = self.sent_requests.partition_point(|sent| sent.sent_at < at);
        self.sent_requests.get(index).map_or(self.sent, |sent| sent.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    #[test]
    fn a_request_is_found_behind_an_inherited_one_that_may_still_arrive() {
        let mut history = SendHistory::default();
        history.inherit(at_ms(1_000), at_ms(1_800));
        history.send(at_ms(1_010), 2);
        assert_eq!(history.settled(), 1);
        assert!(history.settle(at_ms(1_050), at_ms(1_010), 2, Fate::Counted).is_some());
        assert_eq!((history.settled(), history.sent(), history.on_the_wire()), (3, 3, 0));
        assert_eq!(history.counted(at_ms(1_000), at_ms(1_010)), 2);
        assert!(history.may_count(at_ms(1_700), at_ms(1_000)), "it may arrive until then");
    }

    #[test]
    fn one_that_never_comes_back_keeps_no_more_than_the_most() {
        let mut history = SendHistory::default();
        history.send(at_ms(1), 1);
        for micros in 2_000..2_010 + REQUESTS_MAX as u64 {
            let at = Timestamp::from_micros(micros);
            history.send(at, 1);
            assert!(history.settle(at, at, 1, Fate::Counted).is_some());
        }
        assert_eq!(history.sent_requests.len(), REQUESTS_MAX);
        assert_eq!(history.settled(), history.sent());
    }
}
