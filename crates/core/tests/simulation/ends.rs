//! Oracle, second part: what the dispatcher does with a message, from its sending to its end.

use spillway_core::dispatcher::{AttemptId, Effect};
use spillway_core::error::Error;
use spillway_core::outcome::{DeliveryFailure, Reason, Receipt};
use spillway_core::settings::Ambiguous;

use super::oracle::Oracle;
use super::scoped::is_unauthorized;
use super::submission_model::Entry;
use super::violation::{Checked, Violation, broken, hold};

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    Accepted,
    Throttled,
    Unauthorized,
    /// Refused before it was processed.
    Failed,
    /// The server failed, and may have processed it.
    Unclear,
    Rejected,
    /// Refused, perhaps for everybody's sake.
    Refused,
    /// Sent, and not answered.
    Lost,
    /// Not sent.
    Unsent,
}

impl Came {
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Accepted,
            429 => Self::Throttled,
            401 => Self::Unauthorized,
            421 | 425 | 503 => Self::Failed,
            300..=399 | 403 | 404 | 405 | 407 | 415 | 501 | 505 => Self::Refused,
            300..=499 if status != 408 => Self::Rejected,
            _ => Self::Unclear,
        }
    }
}

impl Oracle {
    pub fn effect(&mut self, now_us: u64, effect: &Effect) -> Checked {
        match effect {
            Effect::Accepted { ticket, .. } => {
                self.reach(now_us, ticket.number)?;
                self.tickets.settle(ticket.number)
            }
            Effect::Delivered { waiter, receipt, request: Some(_) } => {
                self.delivered(now_us, waiter.map(|ticket| ticket.number), receipt)
            }
            Effect::Delivered { waiter, .. } => waiter.map_or(Ok(()), |ticket| self.followed(now_us, ticket.number)),
            Effect::Buried { waiter, failure, .. } => self.buried(waiter.map(|ticket| ticket.number), failure),
            Effect::CallAnswered(ticket, _) => self.call_ended(ticket.number, None),
            Effect::Failed(ticket, error) => self.failed(now_us, ticket.number, error),
            Effect::Done(ticket) | Effect::Redriven(ticket, _) => self.tickets.settle(ticket.number),
            Effect::Drained(ticket, left) => {
                self.draining.ended(now_us, ticket.number, *left)?;
                self.tickets.settle(ticket.number)
            }
            Effect::Cut(attempt) => {
                self.flights.remove(attempt);
                Ok(())
            }
            Effect::Store(_) | Effect::Load(_) => broken("store", "there is none"),
            Effect::Renew(_) => broken("fleet", "there is none"),
            Effect::Send { .. } | Effect::CheckReachable | Effect::FetchToken(_) | Effect::Notice(_) => Ok(()),
        }
    }

    /// A request leaves.
    pub fn sent(&mut self, now_us: u64, attempt: AttemptId, name: &str) -> Checked {
        self.admit_ready(now_us);
        let seq = self.find(name)?;
        self.flights.insert(attempt, seq);
        let (ordered, attempts_max) = (self.ordered, self.attempts_max);
        let Some(entry) = self.open.get_mut(&seq) else { return broken("1 conservation", name) };
        entry.attempts += 1;
        let early = entry.model.not_before_us.is_some_and(|at| at > now_us);
        let late = entry.model.expires_us.is_some_and(|at| at <= now_us);
        let again = std::mem::replace(&mut entry.in_flight, true);
        hold(!early && !late, "1 time of its own", || format!("early {early}, late {late}: {entry:?}"))?;
        hold(!again, "1 sent once", || format!("on the wire twice: {entry:?}"))?;
        hold(!entry.canceled, "1 canceled", || format!("sent again: {entry:?}"))?;
        let attempts_max = entry.model.attempts_max.unwrap_or(attempts_max);
        hold(entry.attempts <= attempts_max, "6 attempts", || format!("{entry:?}"))?;
        let elder = self.lanes.get(&entry.model.conversation).and_then(|lane| lane.first()).copied();
        let in_order = !ordered || entry.model.is_call || elder == Some(seq);
        hold(in_order, "2 order", || format!("{name} (number {seq}) left before number {elder:?} was settled"))
    }

    /// The server has taken it.
    pub fn accepted_by_server(&mut self, attempt: AttemptId) -> Checked {
        let ambiguous = self.ambiguous;
        let Some(entry) = self.flights.get(&attempt).and_then(|seq| self.open.get_mut(seq)) else { return Ok(()) };
        entry.accepted_by_server += 1;
        if entry.model.is_call {
            return Ok(());
        }
        let (allowed, rule) = match ambiguous {
            Ambiguous::Fail => (1, "6 at most once"),
            Ambiguous::Retry => (1 + entry.lost_answers, "1 duplicate at the server"),
        };
        hold(entry.accepted_by_server <= allowed, rule, || format!("{entry:?}"))
    }

    /// An attempt ends; call before the dispatcher knows. Its message, for [`Self::check_outcome`].
    pub fn ended(&mut self, attempt: AttemptId, came: Came) -> Option<(u64, Came)> {
        let seq = self.flights.remove(&attempt)?;
        let entry = self.open.get_mut(&seq)?;
        entry.in_flight = false;
        // A call is told what the server says.
        let came = if came == Came::Refused && entry.model.is_call { Came::Rejected } else { came };
        entry.refusals += u32::from(came == Came::Refused);
        let is_at_fault = matches!(came, Came::Failed | Came::Unclear | Came::Lost | Came::Unsent);
        entry.is_server_at_fault = is_at_fault && !entry.model.is_call;
        match came {
            Came::Throttled | Came::Unauthorized | Came::Refused => entry.attempts -= 1,
            Came::Lost | Came::Unclear => entry.lost_answers += 1,
            Came::Accepted | Came::Failed | Came::Rejected | Came::Unsent => {}
        }
        Some((seq, came))
    }

    /// The delivery table, after the dispatcher has had the answer. While messages are held back, none of them spends
    /// an attempt.
    pub fn check_outcome(&mut self, (seq, came): (u64, Came), are_held: bool) -> Checked {
        let (ambiguous, attempts_max) = (self.ambiguous, self.attempts_max);
        let Some(entry) = self.open.get_mut(&seq) else { return Ok(()) };
        if std::mem::take(&mut entry.is_server_at_fault) && are_held {
            entry.attempts -= 1;
        }
        let entry = &*entry;
        if entry.model.is_call && entry.waiter.is_none() {
            // Its promise was refused with the credentials: nobody waits, so it isn't sent again.
            self.end(seq);
            return Ok(());
        }
        let attempts_max = entry.model.attempts_max.unwrap_or(attempts_max);
        let spent = matches!(came, Came::Failed | Came::Unclear) && entry.attempts >= attempts_max;
        let unknown =
            matches!(came, Came::Lost | Came::Unclear) && ambiguous == Ambiguous::Fail && !entry.model.is_call;
        let over = matches!(came, Came::Accepted | Came::Rejected) || spent || unknown || entry.canceled;
        hold(!over, "1 delivery table", || format!("{came:?} should have ended {entry:?}"))
    }

    fn find(&self, name: &str) -> Result<u64, Violation> {
        match self.by_name.get(name) {
            Some(seq) => Ok(*seq),
            None => broken("1 conservation", format!("{name} isn't in the outbox")),
        }
    }

    /// Takes an entry out.
    pub(super) fn end(&mut self, seq: u64) -> Option<Entry> {
        let entry = self.open.remove(&seq)?;
        self.bytes -= entry.model.bytes;
        self.by_name.remove(&entry.model.name);
        self.draining.leave(entry.model.born);
        for ticket in entry.waiter.iter().chain(&entry.followers) {
            self.by_ticket.remove(ticket);
        }
        if let Some(lane) = self.lanes.get_mut(&entry.model.conversation) {
            lane.remove(&seq);
            if lane.is_empty() {
                self.lanes.remove(&entry.model.conversation);
            }
        }
        Some(entry)
    }

    /// A message ends: its own promise and those that follow it are settled, each once.
    fn message_ended(&mut self, name: &str, waiter: Option<u64>) -> Result<Entry, Violation> {
        let seq = self.find(name)?;
        let Some(entry) = self.end(seq) else { return broken("1 ended once", name) };
        hold(entry.waiter == waiter, "1 right promise", || format!("settles {waiter:?} for {entry:?}"))?;
        hold(entry.followers.is_empty(), "1 followers", || format!("forgotten with {entry:?}"))?;
        if let Some(ticket) = waiter {
            self.tickets.settle(ticket)?;
        }
        Ok(entry)
    }

    fn delivered(&mut self, now_us: u64, waiter: Option<u64>, receipt: &Receipt) -> Checked {
        let entry = self.message_ended(receipt.message.id(), waiter)?;
        if entry.model.id_given {
            self.recent.insert(entry.model.name.clone(), now_us);
        }
        let told = (entry.counts(receipt.attempts, 0), receipt.message.conversation(), receipt.duplicate);
        let own = (true, &*entry.model.conversation, false);
        hold(told == own, "1 receipt", || format!("{told:?} with {} attempts, of {entry:?}", receipt.attempts))?;
        hold(entry.accepted_by_server > 0, "1 receipt", || format!("the server has no {entry:?}"))
    }

    fn buried(&mut self, waiter: Option<u64>, failure: &DeliveryFailure) -> Checked {
        let name = failure.id.as_deref().unwrap_or_default();
        let entry = self.message_ended(name, waiter)?;
        self.check_failure(&entry, failure)?;
        self.letters.insert(name.to_owned(), entry.model);
        Ok(())
    }

    fn check_failure(&self, entry: &Entry, failure: &DeliveryFailure) -> Checked {
        // A 401 is no attempt, unless it is the request's own end.
        let own_end = u32::from(is_unauthorized(failure));
        let is_counted = entry.counts(failure.attempts, own_end);
        // What ends with the answer, since its time is over, may have come while messages are held back.
        let is_over = matches!(failure.reason, Reason::Expired | Reason::Aborted);
        let may_be_free = entry.is_server_at_fault && is_over && entry.counts(failure.attempts + 1, own_end);
        hold(is_counted || may_be_free, "1 dead letter", || format!("{failure:?} of {entry:?}"))?;
        let canceled = entry.canceled || failure.reason != Reason::Aborted;
        hold(canceled, "1 dead letter", || format!("nobody canceled {entry:?}"))?;
        let doubt = entry.lost_answers > 0;
        let honest = failure.ambiguous == doubt && (entry.accepted_by_server == 0 || doubt);
        hold(honest, "1 ambiguous", || format!("{failure:?} of {entry:?}"))
    }

    fn call_ended(&mut self, ticket: u64, failure: Option<&DeliveryFailure>) -> Checked {
        self.tickets.settle(ticket)?;
        let entry = self.by_ticket.get(&ticket).copied().and_then(|seq| self.end(seq));
        match (entry, failure) {
            (None, _) => broken("1 ended once", format!("the request of ticket {ticket}")),
            (Some(entry), Some(failure)) => self.check_failure(&entry, failure),
            (Some(_), None) => Ok(()),
        }
    }

    fn failed(&mut self, now_us: u64, ticket: u64, error: &Error) -> Checked {
        // A call that a limit or an outage would hold back for too long doesn't come in at all.
        let stays_out = matches!(error.code(), "DELIVERY_THROTTLED" | "DELIVERY_EXHAUSTED");
        if let Some(index) = self.waiting.iter().position(|model| stays_out && model.ticket == ticket) {
            let born = self.waiting.remove(index).map_or(0, |model| model.born);
            self.draining.leave(born);
            return self.tickets.settle(ticket);
        }
        self.reach(now_us, ticket)?;
        let seq = self.by_ticket.get(&ticket).copied();
        let entry = seq.and_then(|seq| self.open.get_mut(&seq));
        match (entry, error) {
            (Some(entry), Error::Auth { .. }) => {
                if entry.waiter == Some(ticket) {
                    entry.waiter = None;
                }
                let gone = entry.model.is_call && !entry.in_flight;
                if let Some(seq) = seq.filter(|_| gone) {
                    self.end(seq);
                }
                self.followed(now_us, ticket)
            }
            (Some(entry), Error::Delivery(failure)) if entry.model.is_call => self.call_ended(ticket, Some(failure)),
            (Some(entry), error) if entry.waiter == Some(ticket) => {
                broken("1 ended once", format!("{error} without the end of {entry:?}"))
            }
            _ => self.followed(now_us, ticket),
        }
    }

    /// A promise settles that isn't the message's own.
    fn followed(&mut self, now_us: u64, ticket: u64) -> Checked {
        self.reach(now_us, ticket)?;
        if let Some(entry) = self.by_ticket.remove(&ticket).and_then(|seq| self.open.get_mut(&seq)) {
            entry.followers.retain(|other| *other != ticket);
        }
        self.tickets.settle(ticket)
    }
}
