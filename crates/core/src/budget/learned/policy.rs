//! One limit that is believed in: its requests per window, and the slots that are taken of it.

use std::time::Duration;

use super::contention::Contention;
use super::history::{SendHistory, SentRequest};
use super::increase::AdditiveIncrease;
use super::margin::SafetyMargin;
use super::rtt::RoundTrips;
use super::window_estimate::{self, WindowEstimate};
use crate::budget::NotYet;
use crate::budget::belief::{Believed, BelievedPolicy, Why};
use crate::budget::reserve::{self, Turn};
use crate::budget::slots::Slots;
use crate::clock::Timestamp;

/// Limits that are believed in at once; the one that was confirmed longest ago goes first.
pub(super) const POLICIES_MAX: usize = 8;

/// A limit of headers that others confirm no longer is forgotten after this time.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(super) struct Policy {
    pub(super) requests: u32,
    /// What headers named last, which may lie beyond floor and ceiling.
    pub(super) named: Option<u32>,
    pub(super) per: Duration,
    pub(super) why: Why,
    pub(super) since: Timestamp,
    /// When evidence for it was last seen.
    pub(super) confirmed_at: Timestamp,
    /// The sending of the newest answer that told of it: what older ones say is stale.
    pub(super) told_at: Timestamp,
    /// When `requests` changed last.
    pub(super) changed_at: Timestamp,
    /// What was believed before the last refusal lowered it.
    pub(super) before: u32,
    pub(super) contention: Option<Contention>,
    pub(super) increase: Option<AdditiveIncrease>,
    /// Headers name the requests, and have never told of the window.
    pub(super) estimate: Option<WindowEstimate>,
    /// Headers have told of the window.
    pub(super) has_named_window: bool,
    /// Headers have told what is left of it.
    pub(super) has_named_rest: bool,
    slots: Slots,
    margin: SafetyMargin,
    /// Before this time everything that leaves waits, so that it leaves together.
    gathers_until: Option<Timestamp>,
    /// When the slots that a refusal left would have been free, had there been no pause.
    due_at: Option<Timestamp>,
}

impl Policy {
    /// A limit on everything that the history knows.
    pub(super) fn new(
        now: Timestamp,
        (requests, per): (u32, Duration),
        why: Why,
        history: &SendHistory,
        round_trips: &RoundTrips,
    ) -> Self {
        let mut policy = Self {
            requests,
            named: (why == Why::Headers).then_some(requests),
            per,
            why,
            since: now,
            confirmed_at: now,
            told_at: Timestamp::START,
            changed_at: now,
            before: requests,
            contention: None,
            increase: match why {
                Why::Start => Some(AdditiveIncrease::first(now)),
                Why::Limits | Why::Refusals => Some(AdditiveIncrease::after_refusal(now)),
                Why::Headers | Why::Configured => None,
            },
            estimate: None,
            has_named_window: false,
            has_named_rest: false,
            slots: Slots::default(),
            margin: SafetyMargin::none(now),
            gathers_until: None,
            due_at: None,
        };
        policy.recount(now, history, round_trips);
        policy
    }

    /// Takes the slots of everything that was sent within a window.
    pub(super) fn recount(&mut self, now: Timestamp, history: &SendHistory, round_trips: &RoundTrips) {
        self.slots = Slots::default();
        self.slots.take(u32::try_from(history.reserved()).unwrap_or(u32::MAX));
        for sent in history.counting() {
            self.slots.take(sent.cost);
            if sent.fate != super::history::Fate::OnTheWire {
                let free = round_trips.free_at(sent, history, self.per, self.margin.factor());
                if free > now {
                    self.slots.cool(free, sent.cost);
                } else {
                    self.slots.release(sent.cost);
                }
            }
        }
    }

    /// For how long it is believed without evidence, while there is some for others.
    pub(super) fn kept_unconfirmed(&self) -> Duration {
        let least = if self.estimate.is_some() { window_estimate::LONGEST } else { UNCONFIRMED_MAX };
        least.max(self.per * 2)
    }

    /// Ours of it.
    pub(super) fn limit(&self) -> u32 {
        self.contention.as_ref().map_or(self.requests, |contention| contention.share().min(self.requests))
    }

    pub(super) fn check(
        &mut self,
        now: Timestamp,
        cost: u32,
        sent: u64,
        round_trips: &RoundTrips,
    ) -> Result<(), NotYet> {
        if let Some(until) = self.gathers_until.filter(|until| *until > now) {
            return Err(NotYet::Until(until));
        }
        self.gathers_until = None;
        if self.contention.as_ref().is_some_and(|contention| contention.is_untold(now, self.per)) {
            self.contention = None;
        }
        if let Some(edge) = self.contention.as_ref().and_then(Contention::edge) {
            return match edge {
                edge if edge > now => Err(NotYet::Until(edge)),
                _ if self.slots.on_the_wire() > 0 => Err(NotYet::AtAnswer),
                _ => Ok(()),
            };
        }
        let fresh = self.slots.held() <= self.requests as usize / 2;
        if let Some(raised) =
            self.increase.as_mut().and_then(|increase| increase.raise(now, self.requests, fresh, self.per))
        {
            self.requests = raised;
        }
        let limit = self.limit();
        if let Err(not_yet) = self.slots.check(now, cost.min(limit), limit) {
            if let Some(increase) = &mut self.increase {
                increase.full(sent);
            }
            if let (Some(estimate), None) = (&mut self.estimate, &self.contention) {
                estimate.full(now, self.per);
            }
            return Err(match not_yet {
                NotYet::Until(at) if self.contention.is_none() => {
                    let together = self.slots.last_within(at, round_trips.gathering());
                    self.gathers_until = Some(together);
                    NotYet::Until(together)
                }
                other => other,
            });
        }
        if let Some(contention) = &mut self.contention {
            contention.check(now, cost)?;
        }
        match &mut self.estimate {
            Some(estimate) => estimate.check(now, cost.min(limit), self.requests, self.per),
            None => Ok(()),
        }
    }

    /// Whose turn it is. A limit that nothing confirms yet is to be found out first, others' use has its own pace, and
    /// what headers say of a rest shows the window best if whole windows are used.
    pub(super) fn turn(&self, now: Timestamp, last: Option<Timestamp>) -> Turn {
        if self.why == Why::Start || self.has_named_rest || self.contention.is_some() || self.estimate.is_some() {
            return Turn::All;
        }
        reserve::turn(now, last, &self.slots, self.limit(), self.per)
    }

    pub(super) fn take(&mut self, cost: u32) {
        self.slots.take(cost);
        if let Some(contention) = &mut self.contention {
            contention.take(cost);
        }
        if let Some(estimate) = &mut self.estimate {
            estimate.take(cost);
        }
    }

    /// An answer of which the headers tell what is left, and nothing of the window.
    pub(super) fn look(
        &mut self,
        now: Timestamp,
        sent_at: Timestamp,
        left: u64,
        history: &SendHistory,
        round_trips: &RoundTrips,
    ) {
        let Some(estimate) = &mut self.estimate else { return };
        let limit = u64::from(self.named.unwrap_or(self.requests));
        let used = limit.saturating_sub(left);
        let shown = estimate.look(now, sent_at, (used, limit), self.per, history);
        if let Some(per) = shown.per {
            self.last(now, per, history, round_trips);
        } else if shown.is_less && self.contention.is_none() {
            let counts = used.saturating_add(history.may_have_arrived(sent_at));
            self.slots.keep(usize::try_from(counts).unwrap_or(usize::MAX));
        }
    }

    /// Another window, of the same number of requests.
    pub(super) fn last(&mut self, now: Timestamp, per: Duration, history: &SendHistory, round_trips: &RoundTrips) {
        (self.per, self.changed_at, self.contention) = (per, now, None);
        self.recount(now, history, round_trips);
    }

    /// A refusal that the guessed window doesn't explain. True when the window is thought longer now.
    pub(super) fn refute(&mut self, now: Timestamp, history: &SendHistory, round_trips: &RoundTrips) -> bool {
        let accepted = history.counted(now.before(window_estimate::LONGEST), now);
        let is_wrong = |estimate: &WindowEstimate| estimate.is_refuted(now, accepted, self.requests);
        // What has just been proved holds.
        let may_be_wrong =
            self.per < window_estimate::LONGEST && now.since(self.changed_at) >= window_estimate::LONGEST;
        let is_refuted = may_be_wrong && self.estimate.as_ref().is_some_and(is_wrong);
        if is_refuted {
            self.estimate = Some(WindowEstimate::refuted(now));
            self.last(now, window_estimate::LONGEST, history, round_trips);
        }
        is_refuted
    }

    pub(super) fn counted(&mut self, sent: &SentRequest, history: &SendHistory, round_trips: &RoundTrips) {
        self.margin.relax(sent.settled_at, self.per);
        self.slots.cool(round_trips.free_at(sent, history, self.per, self.margin.factor()), sent.cost);
    }

    pub(super) fn release(&mut self, cost: u32) {
        self.slots.release(cost);
    }

    /// A refusal pauses everything.
    pub(super) fn paused(&mut self, now: Timestamp) {
        self.due_at = Some(self.slots.next_free(now, self.limit()).unwrap_or(now));
    }

    /// The pause is over: what has it cost beyond the time that the slots took anyway?
    pub(super) fn resumed(&mut self, now: Timestamp) {
        if let (Some(due), Some(increase)) = (self.due_at.take(), &mut self.increase) {
            increase.cost(now.since(due).as_secs_f64() / self.per.as_secs_f64());
        }
    }

    /// Whether this many requests are about all that it allows.
    pub(super) fn is_nearly(&self, used: u64) -> bool {
        used + 2 + u64::from(self.requests / 32) >= u64::from(self.requests)
    }

    /// A refusal that the number of requests doesn't explain: their arrivals spread more than was thought.
    pub(super) fn widen(&mut self, now: Timestamp) {
        self.margin.widen(now);
    }

    /// Another number of requests. Never zero.
    pub(super) fn set(&mut self, now: Timestamp, requests: u32) {
        if self.requests != requests {
            (self.requests, self.changed_at) = (requests.max(1), now);
        }
    }

    /// The server's window has ended: no more of what we have sent holds a slot than it counts, with what others have
    /// spent.
    pub(super) fn rolled(&mut self, now: Timestamp, counts: u64, left: u64) {
        if let Some(contention) = &mut self.contention {
            contention.rolled(now, left, self.per);
        }
        self.slots.keep(usize::try_from(counts).unwrap_or(usize::MAX));
    }

    pub(super) fn available(&self, now: Timestamp) -> u32 {
        match &self.contention {
            Some(contention) if contention.waits_until(now).is_some() => 0,
            Some(contention) if contention.edge().is_some() => u32::from(self.slots.on_the_wire() == 0),
            _ => self.slots.available(now, self.limit()),
        }
    }

    /// When something is available, if nothing is now; none, too, while the next answer decides it.
    pub(super) fn next_free(&self, now: Timestamp) -> Option<Timestamp> {
        let waits = self.contention.as_ref().and_then(|contention| contention.waits_until(now));
        if self.contention.as_ref().is_some_and(|contention| contention.edge().is_some()) {
            return waits;
        }
        match self.slots.available(now, self.limit()) {
            0 => self.slots.next_free(now, self.limit()).max(waits),
            _ => waits,
        }
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(super) fn believed(&self) -> Believed {
        Believed {
            requests: self.requests,
            per: self.per,
            why: self.why,
            share: self.contention.as_ref().map(|_| self.limit()),
        }
    }

    pub(super) fn keep(&self, now: Timestamp) -> BelievedPolicy {
        BelievedPolicy {
            requests: self.requests,
            per_ms: millis(self.per),
            why: self.why,
            age_ms: millis(now.since(self.since)),
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
