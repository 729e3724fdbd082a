//! The simulation, second part: what callers do, and what befalls the server.

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::Event;

use super::sim::{Happening, Sim, of};
use super::traffic::{self, Action};
use super::violation::{Checked, hold};

impl Sim {
    pub(super) fn act(&mut self, action: Action) -> Checked {
        match action {
            Action::Messages(count) => (0..count).try_for_each(|_| {
                let ticket = self.oracle.tickets.issue();
                let (model, submission) =
                    traffic::message(&self.plan, &mut self.draw, &mut self.names, self.now_us, ticket);
                self.note(|| format!("  {model:?}"));
                self.oracle.submit(self.now_us, model);
                self.handle(Event::Submit(submission))
            }),
            Action::Calls(count) => (0..count).try_for_each(|_| {
                let ticket = self.oracle.tickets.issue();
                let (model, submission) = traffic::call(&self.plan, &mut self.draw, self.now_us, ticket);
                if self.draw.percent(40) {
                    // Soon enough to cut it on its way.
                    let at_us = self.now_us + self.draw.range(0, 200_000);
                    self.later(at_us, Happening::Cancels(ticket));
                }
                self.note(|| format!("  {model:?}"));
                self.oracle.submit(self.now_us, model);
                self.handle(Event::Submit(submission))
            }),
            Action::Cancel(count) => (0..count).try_for_each(|_| {
                let Some(ticket) = self.oracle.tickets.pick(&mut self.draw) else { return Ok(()) };
                self.note(|| format!("  ticket {ticket}"));
                self.cancel(ticket)
            }),
            Action::Redrive | Action::DropLetter => self.open_letter(matches!(action, Action::Redrive)),
            Action::Drain(span_us) => {
                let ticket = self.oracle.tickets.issue();
                let deadline_us = span_us.map(|span_us| self.now_us + span_us);
                self.oracle.draining.begin(ticket, deadline_us);
                self.handle(Event::Drain(of(ticket), deadline_us.map(Timestamp::from_micros)))
            }
            Action::Refuse(refusing) => {
                self.refusing = refusing;
                Ok(())
            }
            Action::Server(patch) => {
                let config = self.model.config().merge(&patch).expect("a planned patch is valid");
                self.model.set(self.now_us, config);
                Ok(())
            }
        }
    }

    pub(super) fn cancel(&mut self, ticket: u64) -> Checked {
        let letters = self.oracle.letters.len() + usize::from(self.oracle.cancel(ticket));
        self.handle(Event::Cancel(of(ticket)))?;
        hold(self.oracle.letters.len() == letters, "1 canceled", || format!("ticket {ticket}"))
    }

    fn open_letter(&mut self, redrive: bool) -> Checked {
        let ticket = self.oracle.tickets.issue();
        let index = self.draw.range(0, self.oracle.letters.len() as u64) as usize;
        let name = self.oracle.letters.keys().nth(index).cloned().unwrap_or_else(|| "unknown".to_owned());
        self.note(|| format!("  {name}"));
        if redrive {
            self.oracle.redrive(ticket, &name);
            return self.handle(Event::Redrive(of(ticket), name.as_str().into()));
        }
        self.oracle.letters.remove(&name);
        self.oracle.tickets.due(ticket);
        self.handle(Event::Drop(of(ticket), name.as_str().into()))
    }
}
