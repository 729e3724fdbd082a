//! What the callers of a run hand over.

use std::time::Duration;

use serde_json::json;
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::Event;
use spillway_core::message::{Call, CallLimits, Message, Parts, Payload, Settle, Submission, Ticket};

use super::sim::Sim;

impl Sim {
    /// A message to be handed over at `at`; its ticket.
    pub fn message(&mut self, at: Timestamp, id: &str, conversation: &str) -> Ticket {
        let filler = "x".repeat(self.draw.below(self.plan.filler + 1) as usize);
        let odd = self.draw.percent(self.plan.odd_fields);
        let body = match (self.plan.is_array(), odd, self.draw.below(2)) {
            (true, ..) => json!({ "id": id, "filler": filler }),
            (false, false, _) => json!({ "from": "user", "text": format!("{id}:{filler}") }),
            (false, true, 0) => json!({ "from": "other", "text": format!("{id}:{filler}") }),
            (false, true, _) => json!({ "from": "user", "text": format!("{id}:{filler}"), "mediaIds": [1] }),
        };
        self.submit(at, id, conversation, body.to_string(), None)
    }

    pub fn submit(
        &mut self,
        at: Timestamp,
        id: &str,
        conversation: &str,
        body: String,
        expires_at: Option<Timestamp>,
    ) -> Ticket {
        let ticket = self.ticket();
        let message = Message::new(Parts { id, id_given: true, conversation, body: &body, ..Parts::default() })
            .expect("a message");
        let payload = Payload::Message(message);
        let submission =
            Submission { ticket, settle: Settle::OnOutcome, payload, priority: 0, expires_at, not_before: None };
        self.at(at, Event::Submit(submission));
        ticket
    }

    /// Gives a message that is still to be handed over a time to live from then on.
    pub fn expire_after(&mut self, ticket: Ticket, span: Duration) {
        for ((at, _), event) in &mut self.agenda {
            match event {
                Event::Submit(submission) if submission.ticket == ticket => {
                    submission.expires_at = Some(at.after(span))
                }
                _ => {}
            }
        }
    }

    pub fn call(&mut self, at: Timestamp) -> Ticket {
        let ticket = self.ticket();
        let call = Call {
            method: "GET".into(),
            path: "/call".into(),
            headers: Vec::new(),
            body: None,
            timeout: None,
            response_bytes_max: 1_000,
            raw: false,
            idempotent: None,
            limits: CallLimits::default(),
        };
        let payload = Payload::Call(Box::new(call));
        let submission =
            Submission { ticket, settle: Settle::OnOutcome, payload, priority: 0, expires_at: None, not_before: None };
        self.at(at, Event::Submit(submission));
        ticket
    }
}
