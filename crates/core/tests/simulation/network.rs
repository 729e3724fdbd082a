//! The simulation, third part: requests on their way to the server's model, and answers on their way back.

use spillway_core::dispatcher::{AttemptId, Event};
use spillway_core::retry::Answer;
use spillway_core::shipment::Shipment;
use spillway_simulator::{Cut, Port, Reply};

use super::ends::Came;
use super::gates::{self, Whose};
use super::sim::{Happening, Sim};
use super::violation::{Checked, hold};
use super::wire::{self, Wired};

/// Whether it probes an outage before a message is risked. Calls have a name in their query.
fn is_sounding(shipment: &Shipment) -> bool {
    shipment.method == "GET" && shipment.idempotency_key.is_none() && !shipment.path.contains('?')
}

impl Sim {
    pub(super) fn send(&mut self, attempt: AttemptId, shipment: Shipment) -> Checked {
        let name: String = shipment.idempotency_key.as_deref().unwrap_or(&shipment.path).to_owned();
        // What the dispatcher asks by itself is nobody's.
        if is_sounding(&shipment) {
            self.tally.count("sounding");
        } else {
            self.oracle.sent(self.now_us, attempt, &name)?;
        }
        if shipment.idempotency_key.is_some() {
            self.risk.sent()?;
        }
        let passes = self.passes(attempt, &shipment);
        self.gates.sent(self.now_us, attempt, passes)?;
        self.handle(Event::Left(attempt))?;
        let authorization = self.authorization.clone();
        let flight = self.model.open(&wire::request(&shipment, &authorization));
        let travel = self.model.travel();
        let wired = Wired { shipment, authorization, flight, sent_us: self.now_us, answer_us: travel.answer_us };
        self.wires.insert(attempt, wired);
        let (at_us, happening) = match self.refusing || self.model.port(self.now_us) == Port::Refused {
            true => (self.now_us + self.draw.range(0, 5_000), Happening::IsRefused(attempt)),
            false => (self.now_us + travel.arrival_us, Happening::Arrives(attempt)),
        };
        self.later(at_us, happening);
        Ok(())
    }

    /// The gates of a request: what the dispatcher asks by itself has the organization's alone.
    fn passes(&self, attempt: AttemptId, shipment: &Shipment) -> Vec<Whose> {
        let path = shipment.path.split('?').next().unwrap_or_default();
        let own = match (&shipment.idempotency_key, self.oracle.conversation_of(attempt)) {
            (Some(_), conversation) => {
                let conversation = conversation.map(|name| Whose::Conversation(name.to_owned()));
                [Some(Whose::Route(gates::MESSAGES.to_owned())), conversation]
            }
            (None, _) if is_sounding(shipment) => [None, None],
            (None, _) => [Some(Whose::Route(format!("{} {path}", shipment.method))), None],
        };
        [Whose::Organization].into_iter().chain(own.into_iter().flatten()).collect()
    }

    /// What is on its way can't be called back; a refused connection carries nothing.
    pub(super) fn cut(&mut self, attempt: AttemptId) {
        let Some(wired) = self.wires.remove(&attempt) else { return };
        self.model.close(wired.flight);
        self.gates.ended(self.now_us, attempt, wired.sent_us, &gates::Came::Unknown);
        self.strays.insert(attempt, (wired.shipment, wired.authorization));
    }

    pub(super) fn arrive(&mut self, attempt: AttemptId) -> Checked {
        if let Some((shipment, authorization)) = self.strays.remove(&attempt) {
            let reply = self.model.arrive(self.now_us, &wire::request(&shipment, &authorization));
            self.tally.count("arrived after its cut");
            return self.check_arrival(&reply, self.plan.quota_is_ours && reply.status == 429);
        }
        let Some(wired) = self.wires.get(&attempt) else { return Ok(()) };
        let mut reply = self.model.arrive(self.now_us, &wire::request(&wired.shipment, &wired.authorization));
        let is_needless = self.plan.quota_is_ours && reply.status == 429;
        if let Some(scoped) = self.plan.scoped.filter(|_| self.now_us < self.plan.traffic_us) {
            reply = scoped.change(&wired.shipment.path, reply);
        }
        let (at_us, timeout_us) = (self.now_us + wired.answer_us + reply.delay_us, wired.timeout_at_us());
        if reply.accepted && reply.status >= 300 {
            self.tally.count("accepted, then failed");
        }
        if reply.status == 429 && reply.body.contains("requests.per.route") {
            self.tally.count("429 of a route");
        }
        if reply.accepted {
            self.oracle.accepted_by_server(attempt)?;
        }
        self.check_arrival(&reply, is_needless)?;
        match at_us > timeout_us {
            true => self.later(timeout_us, Happening::TimesOut(attempt)),
            false => self.later(at_us, Happening::Returns(attempt, reply)),
        }
        Ok(())
    }

    fn check_arrival(&mut self, reply: &Reply, is_needless: bool) -> Checked {
        if reply.cut != Cut::Before {
            self.arrivals.arrived(self.now_us)?;
        }
        hold(!is_needless, "3 no 429", || "with the whole quota for us".to_owned())
    }

    pub(super) fn ended(&mut self, attempt: AttemptId, answer: Answer) -> Checked {
        // None: it was cut meanwhile.
        let Some(wired) = self.wires.remove(&attempt) else { return Ok(()) };
        self.model.close(wired.flight);
        let (came, outcome) = match &answer {
            Answer::Answered { response, evidence } | Answer::TooLarge { response, evidence, .. } => {
                let came = self.met(attempt, response);
                let outcome = match came {
                    Came::Throttled => gates::Came::Throttled(evidence.clone()),
                    Came::Unauthorized => gates::Came::Unknown,
                    Came::Refused if self.oracle.conversation_of(attempt).is_some() => gates::Came::Refused,
                    _ => gates::Came::Answered,
                };
                (came, outcome)
            }
            Answer::Unanswered { .. } => (Came::Lost, gates::Came::Unknown),
            Answer::Unsent { .. } => (Came::Unsent, gates::Came::Unknown),
        };
        self.tally.count(match came {
            Came::Throttled => "429",
            Came::Unauthorized => "401",
            Came::Lost => "lost answer",
            Came::Unsent => "unsent",
            Came::Accepted | Came::Failed | Came::Unclear | Came::Rejected => "answered",
            Came::Refused => "refused",
        });
        self.gates.ended(self.now_us, attempt, wired.sent_us, &outcome);
        match wired.shipment.idempotency_key {
            Some(_) => self.risk.ended(came),
            None => self.risk.answered(came),
        }
        if self.risk.is_outage() {
            self.tally.count("four unknown outcomes in a row");
        }
        let ended = self.oracle.ended(attempt, came);
        self.handle(Event::Answered(attempt, (self.lie)(answer)))?;
        let are_held = self.dispatcher.holds_messages();
        ended.map_or(Ok(()), |ended| self.oracle.check_outcome(ended, are_held))
    }
}
