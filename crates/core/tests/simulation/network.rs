//! The world, third part: requests on their way to the server's model, and answers on their way back.

use spillway_core::dispatcher::{AttemptId, Event};
use spillway_core::retry::Answer;
use spillway_core::shipment::Shipment;
use spillway_simulator::{Cut, Reply};

use super::ends::Came;
use super::gate::Outcome;
use super::violation::{Checked, hold};
use super::wire::{self, Wired};
use super::world::{Happening, World};

impl World {
    pub(super) fn send(&mut self, attempt: AttemptId, shipment: Shipment) -> Checked {
        let name: String = shipment.idempotency_key.as_deref().unwrap_or(&shipment.path).to_owned();
        self.books.sent(self.now_us, attempt, &name)?;
        self.gate.sent(self.now_us, attempt)?;
        let authorization = self.authorization.clone();
        let flight = self.model.open(&wire::request(&shipment, &authorization));
        let travel = self.model.travel();
        let wired = Wired { shipment, authorization, flight, sent_us: self.now_us, answer_us: travel.answer_us };
        self.wires.insert(attempt, wired);
        let (at_us, happening) = match self.refusing {
            true => (self.now_us + self.draw.range(0, 5_000), Happening::IsRefused(attempt)),
            false => (self.now_us + travel.arrival_us, Happening::Arrives(attempt)),
        };
        self.later(at_us, happening);
        Ok(())
    }

    /// What is on its way can't be called back; a refused connection carries nothing.
    pub(super) fn cut(&mut self, attempt: AttemptId) {
        let Some(wired) = self.wires.remove(&attempt) else { return };
        self.model.close(wired.flight);
        self.gate.ended(self.now_us, attempt, wired.sent_us, Outcome::Unknown);
        self.strays.insert(attempt, (wired.shipment, wired.authorization));
    }

    pub(super) fn arrive(&mut self, attempt: AttemptId) -> Checked {
        if let Some((shipment, authorization)) = self.strays.remove(&attempt) {
            let reply = self.model.arrive(self.now_us, &wire::request(&shipment, &authorization));
            self.tally.count("arrived after its cut");
            return self.check_arrival(&reply);
        }
        let Some(wired) = self.wires.get(&attempt) else { return Ok(()) };
        let reply = self.model.arrive(self.now_us, &wire::request(&wired.shipment, &wired.authorization));
        let (at_us, timeout_us) = (self.now_us + wired.answer_us + reply.delay_us, wired.timeout_at_us());
        if wire::is_accepted(&reply) {
            self.books.accepted_by_server(attempt)?;
        }
        self.check_arrival(&reply)?;
        match at_us > timeout_us {
            true => self.later(timeout_us, Happening::TimesOut(attempt)),
            false => self.later(at_us, Happening::Returns(attempt, reply)),
        }
        Ok(())
    }

    fn check_arrival(&mut self, reply: &Reply) -> Checked {
        if reply.cut != Cut::Before {
            self.arrivals.arrived(self.now_us)?;
        }
        let needless = self.plan.quota_is_ours && reply.status == 429;
        hold(!needless, "3 no 429", || "with the whole quota for us".to_owned())
    }

    pub(super) fn ended(&mut self, attempt: AttemptId, answer: Answer) -> Checked {
        // None: it was cut meanwhile.
        let Some(wired) = self.wires.remove(&attempt) else { return Ok(()) };
        self.model.close(wired.flight);
        let (came, outcome) = match &answer {
            Answer::Answered { response, evidence } | Answer::TooLarge { response, evidence } => {
                let came = Came::of(response.status);
                let outcome = match came {
                    Came::Throttled => Outcome::Throttled(evidence.clone()),
                    Came::Unauthorised => Outcome::Unknown,
                    _ => Outcome::Answered,
                };
                (came, outcome)
            }
            Answer::Unanswered { .. } => (Came::Lost, Outcome::Unknown),
            Answer::Unsent { .. } => (Came::Unsent, Outcome::Unknown),
        };
        self.tally.count(match came {
            Came::Throttled => "429",
            Came::Unauthorised => "401",
            Came::Lost => "lost answer",
            Came::Unsent => "unsent",
            Came::Accepted | Came::Failed | Came::Rejected => "answered",
        });
        self.gate.ended(self.now_us, attempt, wired.sent_us, outcome);
        let ended = self.books.ended(attempt, came);
        self.handle(Event::Answered(attempt, answer))?;
        ended.map_or(Ok(()), |ended| self.books.check_outcome(ended))
    }
}
