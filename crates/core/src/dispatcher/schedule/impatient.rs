//! Calls that would wait for a limit for longer than their callers do. They end at once, and say when to try again.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::dispatcher::{Dispatcher, Step};
use crate::error::Error;
use crate::lanes::EntryId;
use crate::message::{Call, Payload, Submission};
use crate::outcome::Reason;

impl Dispatcher {
    /// Why a call isn't taken: a limit is in force for longer than it may wait.
    pub(in crate::dispatcher) fn throttled_out(&self, now: Timestamp, submission: &Submission) -> Option<Error> {
        let Payload::Call(call) = &submission.payload else { return None };
        let retry_after = self.too_long(now, call, submission.expires_at)?;
        let failure = Self::failure(&submission.payload, Reason::Throttled { retry_after });
        Some(Error::Delivery(Box::new(failure)))
    }

    /// A pause has begun, or become longer: calls that wait, and would for too long, end.
    pub(in crate::dispatcher) fn end_impatient(&mut self, step: &mut Step<'_>) {
        let heads = self.lanes.ready_requests().filter_map(|lane| self.lanes.head_of(lane));
        let waiting: Vec<EntryId> = heads.chain(self.health.in_lines().map(|(entry_id, _)| entry_id)).collect();
        for entry_id in waiting {
            if self.outbox.has(entry_id) && self.outbox.cold(entry_id).is_none() {
                self.end_if_impatient(step, entry_id);
            }
        }
    }

    /// Ends a call that would wait for too long. Whether it did.
    pub(in crate::dispatcher) fn end_if_impatient(&mut self, step: &mut Step<'_>, entry_id: EntryId) -> bool {
        let Payload::Call(call) = &self.outbox.get(entry_id).payload else { return false };
        let Some(retry_after) = self.too_long(step.now, call, self.outbox.delivery_state(entry_id).expires_at) else {
            return false;
        };
        self.bury(step, entry_id, Reason::Throttled { retry_after }, self.last_answer(entry_id), None);
        true
    }

    /// For how long a limit is in force, if that is longer than `maxPauseMs`, the call's own time-out, or until it
    /// expires.
    fn too_long(&self, now: Timestamp, call: &Call, expires_at: Option<Timestamp>) -> Option<Duration> {
        let until = self.health.limited_until(now, call)?;
        let wait = until.since(now);
        let is_late = expires_at.is_some_and(|end| until > end);
        let longest =
            call.timeout.map_or(self.settings.retry.max_pause, |timeout| timeout.min(self.settings.retry.max_pause));
        (is_late || wait > longest).then_some(wait)
    }
}
