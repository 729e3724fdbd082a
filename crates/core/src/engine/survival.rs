//! What comes of a panic in the engine's turn: an outage. The dispatcher is built again with what is whole of it; where
//! that is not possible, the engine ends.

use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;

use super::leases::Leases;
use super::opening::CLOSE_PATIENCE;
use super::panics::caught;
use super::sink::Completion;
use super::workers::Workers;
use super::{Command, Engine};
use crate::dispatcher::{Dispatcher, Effect, Event, Notice};
use crate::message::Ticket;
use crate::random::Random;

impl Engine {
    /// Goes on after a panic, if it may: not with a file, which is read again by the next engine, and not too often.
    pub(super) fn survive(&mut self) -> bool {
        let is_in_memory = !self.settings.store.is_durable();
        self.panics.note(self.clock.now()) && is_in_memory && caught(|| self.begin_again()).is_ok()
    }

    fn begin_again(&mut self) {
        let now = self.clock.now();
        self.cut_all();
        // Answers to what was cut, and to its dispatcher, come to nobody.
        (self.reporter, self.reports) = unbounded_channel();
        self.workers = Workers::new(Arc::clone(&self.client), self.reporter.clone());
        self.leases = Leases::join(&self.settings);
        self.tokens.fill(None);
        self.performing.extend(self.effects.drain(..));
        self.performing.retain(is_told);
        let next = Dispatcher::new(Arc::clone(&self.settings), Random::from_entropy(), now);
        let failed = std::mem::replace(&mut self.dispatcher, next);
        let mut awaited = self.dispatcher.take_over(now, failed, &mut self.effects);
        for (ticket, drain) in &self.drains {
            self.dispatcher.handle(now, Event::Drain(*ticket, drain.deadline), &mut self.effects);
            awaited.push(*ticket);
        }
        awaited.extend(self.submissions.as_slice().iter().map(|submission| submission.ticket));
        self.submit_all();
        let outage = |open| Notice::Outage { reason: "engine", problem: PROBLEM.to_owned(), open };
        self.effects.extend([true, false].map(|open| Effect::Notice(outage(open))));
        self.perform();
        for (handle, session) in &mut self.sessions {
            let own = |ticket: &Ticket| (ticket.handle == *handle).then_some(ticket.number);
            let tickets = awaited.iter().filter_map(own).collect();
            session.completions.push(Completion::Survived(session.seen, tickets));
        }
        self.coalescing.hurry();
    }

    /// Hands the dispatcher all that is left of what a handle submitted together.
    pub(super) fn submit_all(&mut self) {
        let now = self.clock.now();
        for submission in self.submissions.by_ref() {
            self.dispatcher.handle(now, Event::Submit(submission), &mut self.effects);
        }
    }

    /// Ends after a panic. Whoever hears of it may open the file again at once.
    pub(super) async fn give_up(mut self: Box<Self>) {
        self.cut_all();
        if let Some(persistence) = self.persistence.take() {
            persistence.close(CLOSE_PATIENCE, self.clock.now()).await;
        }
        // Dropped, it tells its sessions.
    }

    pub(super) fn cut_all(&mut self) {
        self.in_flight.drain().for_each(|(_, wire)| wire.worker.cut());
        self.outgoing.clear();
    }

    /// Notes which tickets have come here: only of these can an answer be lost.
    pub(super) fn note(&mut self, command: &Command) {
        let ticket = match command {
            Command::Submit(submissions) => submissions.last().map(|submission| submission.ticket),
            Command::Event(event) => match **event {
                Event::Redrive(ticket, _)
                | Event::RedriveAll(ticket, _)
                | Event::Drop(ticket, _)
                | Event::Pause(ticket, _)
                | Event::Resume(ticket, _) => Some(ticket),
                _ => None,
            },
            Command::Explain(ticket, _)
            | Command::Letters(ticket, _)
            | Command::Backlog(ticket, _)
            | Command::Drain(ticket, _)
            | Command::Close(ticket, _)
            | Command::Ready(ticket) => Some(*ticket),
            _ => None,
        };
        if let Some(ticket) = ticket
            && let Some(session) = self.sessions.get_mut(&ticket.handle)
        {
            session.seen = session.seen.max(ticket.number);
        }
    }
}

const PROBLEM: &str = "a defect interrupted the engine; it goes on with the messages that it had";

/// What tells somebody of something that has happened, whatever becomes of the dispatcher that said so.
fn is_told(effect: &Effect) -> bool {
    match effect {
        Effect::Accepted { .. }
        | Effect::Delivered { .. }
        | Effect::Buried { .. }
        | Effect::CallAnswered(..)
        | Effect::Failed(..)
        | Effect::Done(_)
        | Effect::Redriven(..)
        | Effect::Drained(..)
        | Effect::Notice(_) => true,
        Effect::Send { .. }
        | Effect::Cut(_)
        | Effect::Store(_)
        | Effect::Load(_)
        | Effect::Renew(_)
        | Effect::CheckReachable
        | Effect::FetchToken(_) => false,
    }
}
