//! Every message and request is accounted for: whatever state the outbox has it in, something holds it that lets it go.
//! Builds with debug assertions check that after every event and every look at the lanes.

use super::Dispatcher;

impl Dispatcher {
    /// Compares what is in each state with what holds it. A call that ends in the line of its route leaves that later,
    /// so these two may differ.
    #[inline]
    pub(super) fn audit(&self) {
        if cfg!(debug_assertions) {
            let tally = self.outbox.tally();
            let is_whole = (tally.total() == self.outbox.len())
                & (tally.queued as usize == self.lanes.waiting())
                & (tally.scheduled as usize == self.timers.unparks())
                & (tally.under_way as usize == self.attempts.carried());
            let is_bound = tally.bound == 0 || tally.bound as usize == self.bound_in_batches();
            if !is_whole || !is_bound {
                self.end_unaccounted();
            }
        }
    }

    #[cold]
    fn end_unaccounted(&self) -> ! {
        unreachable!(
            "messages are lost or held twice: {:?} of {}; {} wait in lanes, {} for a time, {} in batches, {} are under way",
            self.outbox.tally(),
            self.outbox.len(),
            self.lanes.waiting(),
            self.timers.unparks(),
            self.bound_in_batches(),
            self.attempts.carried(),
        );
    }

    /// Messages in batches that wait, and in the parts of others that follow what is under way.
    fn bound_in_batches(&self) -> usize {
        let waiting = self.bound.iter().chain(self.suspects.batches());
        let following = self.attempts.iter().map(|(_, attempt, _)| attempt.batch.following());
        let waiting = waiting.map(|batch| batch.members.len() + batch.following());
        waiting.chain(following).sum::<usize>() + self.earlier_run.members()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Timestamp;
    use crate::dispatcher::outbox::{Parking, State};
    use crate::dispatcher::{Event, TokenEvent};
    use crate::lanes::EntryId;
    use crate::message::{Message, Parts, Payload, Settle, Submission, Ticket};
    use crate::random::Random;
    use crate::settings::Settings;
    use crate::token::TokenId;

    const NOW: Timestamp = Timestamp::START;
    const FIRST: EntryId = 0;

    /// With one message, which waits for the token.
    fn dispatcher() -> Dispatcher {
        let settings = r#"{
            "organization": "audit", "apiUrl": "http://127.0.0.1:1", "credentials": { "accessToken": "token" },
            "route": "messaging", "store": "memory", "rateLimit": { "requests": 1, "perMs": 1000 }
        }"#;
        let mut dispatcher =
            Dispatcher::new(Arc::new(Settings::from_json(settings).unwrap()), Random::from_seed(1), NOW);
        let parts = Parts { id: "m-1", conversation: "c-1", body: "{}", ..Parts::default() };
        let submission = Submission {
            ticket: Ticket { handle: 1, number: 1 },
            settle: Settle::OnOutcome,
            payload: Payload::Message(Message::new(parts).unwrap()),
            priority: 0,
            expires_at: None,
            not_before: None,
        };
        dispatcher.handle(NOW, Event::Submit(submission), &mut Vec::new());
        dispatcher
    }

    #[test]
    fn whatever_lets_a_message_go_and_forgets_it_is_found_out_at_once() {
        let losses: [fn(&mut Dispatcher); 4] = [
            |dispatcher| dispatcher.outbox.set_state(FIRST, State::Bound),
            |dispatcher| dispatcher.outbox.set_state(FIRST, State::InFlight),
            |dispatcher| dispatcher.outbox.set_state(FIRST, State::Parked(Parking::Retry)),
            |dispatcher| drop(dispatcher.outbox.remove(FIRST)),
        ];
        for (place, lose) in losses.into_iter().enumerate() {
            let mut dispatcher = dispatcher();
            lose(&mut dispatcher);
            let step = || {
                dispatcher.handle(
                    NOW,
                    Event::Token(TokenId::FIRST, TokenEvent::Refused(String::new())),
                    &mut Vec::new(),
                )
            };
            let step = std::panic::AssertUnwindSafe(step);
            assert!(std::panic::catch_unwind(step).is_err(), "loss {place} was not found out");
        }
    }
}
