//! How much travels in one request: as many messages as the server and the budget take, what they cost, and for how
//! long an array waits half empty.

use std::time::Duration;

use crate::batcher::{CostMeter, Limits};
use crate::clock::Timestamp;
use crate::evidence::Evidence;
use crate::joins::Joins;
use crate::settings::BatchSettings;

#[derive(Debug)]
pub(in crate::dispatcher) struct Batching {
    limits: Limits,
    cost: CostMeter,
    linger: Duration,
    /// When a half-empty array began to wait for answers that are due; `None` if none waits.
    half_empty_since: Option<Timestamp>,
    joins: Joins,
}

impl Batching {
    pub(in crate::dispatcher) fn new(settings: &BatchSettings) -> Self {
        Self {
            limits: Limits::new(settings),
            cost: CostMeter::new(settings.cost),
            linger: settings.linger,
            half_empty_since: None,
            joins: Joins::default(),
        }
    }

    /// Messages in a full batch.
    pub(in crate::dispatcher) fn messages(&self) -> usize {
        self.limits.messages()
    }

    /// Bytes of a full batch's body.
    pub(in crate::dispatcher) fn bytes(&self) -> usize {
        self.limits.bytes()
    }

    /// Whether each message of a batch costs a slot.
    pub(in crate::dispatcher) fn is_cost_per_message(&self) -> bool {
        self.cost.is_per_message()
    }

    /// Messages that may travel together while as many slots are available: at least one.
    pub(in crate::dispatcher) fn members_max(&self, available: impl FnOnce() -> u32) -> usize {
        let affordable = if self.cost.is_per_message() { available() as usize } else { usize::MAX };
        self.limits.messages().min(affordable).max(1)
    }

    /// The slots that a request with as many messages takes, of the `most` that there ever are.
    pub(in crate::dispatcher) fn cost_of(&self, messages: usize, most: u32) -> u32 {
        self.cost.of(messages).min(most)
    }

    /// Until when a half-empty array waits, if it does; each wait begins when the one before it has ended.
    pub(in crate::dispatcher) fn wait_half_empty(&mut self, now: Timestamp, waits: bool) -> Option<Timestamp> {
        if !waits {
            self.half_empty_since = None;
            return None;
        }
        let until = self.half_empty_since.get_or_insert(now).after(self.linger);
        (until > now).then_some(until)
    }

    /// A request is made: whatever waited half empty goes with it.
    pub(in crate::dispatcher) fn begins(&mut self) {
        self.half_empty_since = None;
    }

    /// A request leaves.
    pub(in crate::dispatcher) fn left(&mut self) {
        self.cost.left();
    }

    /// An answer with its evidence, if there is any. `delivered`: how many messages were, if all of a request.
    /// `is_alone`: nothing else is on the wire.
    pub(in crate::dispatcher) fn answered(
        &mut self,
        now: Timestamp,
        evidence: Option<&Evidence>,
        delivered: Option<usize>,
        is_alone: bool,
    ) {
        let (used, reset) = evidence.map_or((None, None), |evidence| (evidence.used, evidence.reset));
        self.cost.answered(now, used, reset, delivered, is_alone);
    }

    /// The server took a batch of this size.
    pub(in crate::dispatcher) fn passed(&mut self, messages: usize, bytes: usize) {
        self.limits.passed(messages, bytes);
    }

    /// The server found a batch of this size too large.
    pub(in crate::dispatcher) fn too_large(&mut self, messages: usize, bytes: usize) {
        self.limits.too_large(messages, bytes);
    }

    /// As many texts joined another one's request, and this field kept the next one out of it.
    pub(in crate::dispatcher) fn merged(&mut self, joined: usize, apart: Option<&str>) {
        self.joins.joined += joined as u64;
        apart.into_iter().for_each(|field| self.joins.prevent(field));
    }

    pub(in crate::dispatcher) fn joins(&self) -> &Joins {
        &self.joins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{BatchMode, Cost};

    const LINGER: Duration = Duration::from_millis(10);

    fn batching(cost: Cost) -> Batching {
        Batching::new(&BatchSettings { cost, linger: LINGER, max_messages: 8, ..BatchSettings::of(BatchMode::Array) })
    }

    #[test]
    fn what_is_paid_per_message_is_cut_to_what_is_available_but_one_always_goes() {
        let per_message = batching(Cost::Message);
        assert_eq!([0, 3, 100].map(|available| per_message.members_max(|| available)), [1, 3, 8]);
        assert_eq!([2, 5].map(|messages| per_message.cost_of(messages, 4)), [2, 4]);
        let per_request = batching(Cost::Request);
        assert_eq!(per_request.members_max(|| unreachable!("a request costs one slot")), 8);
        assert_eq!(per_request.cost_of(8, 4), 1);
    }

    #[test]
    fn a_half_empty_array_waits_once_and_again_when_a_request_was_made() {
        let at_ms = |ms: u64| Timestamp::from_micros(ms * 1_000);
        let mut batching = batching(Cost::Request);
        assert_eq!(batching.wait_half_empty(at_ms(0), true), Some(at_ms(10)));
        assert_eq!(batching.wait_half_empty(at_ms(9), true), Some(at_ms(10)));
        assert_eq!(batching.wait_half_empty(at_ms(10), true), None, "it has waited long enough");
        batching.begins();
        assert_eq!(batching.wait_half_empty(at_ms(11), true), Some(at_ms(21)));
        assert_eq!(batching.wait_half_empty(at_ms(12), false), None);
        assert_eq!(batching.wait_half_empty(at_ms(13), true), Some(at_ms(23)), "another one waits");
    }

    #[test]
    fn the_field_that_keeps_texts_apart_is_named_until_some_have_joined() {
        let mut batching = batching(Cost::Request);
        batching.merged(0, Some("headers"));
        assert_eq!(batching.joins().obstacle(), Some("headers"));
        batching.merged(2, None);
        assert_eq!((batching.joins().joined, batching.joins().obstacle()), (2, None));
    }
}
