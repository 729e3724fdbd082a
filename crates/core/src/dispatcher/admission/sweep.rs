//! Many dead letters sent again by one call: a few at each turn, oldest first, so that neither the engine thread nor
//! the store keeps others waiting.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::dispatcher::admission::redrives::Span;
use crate::dispatcher::{Dispatcher, Effect, Step};
use crate::message::Ticket;
use crate::outcome::LetterFilter;

/// The most letters that are sent again in a turn, and the most that are looked at.
const LETTERS_PER_TURN: usize = 256;
const LOOKS_PER_TURN: usize = 4_096;
/// Between turns, so that others have theirs.
const TURN_WAIT: Duration = Duration::from_millis(1);

impl Dispatcher {
    /// All dead letters that the filter takes are to be sent again, as if each were redriven by its id; but none waits
    /// for room in the outbox.
    pub(in crate::dispatcher) fn begin_sweep(
        &mut self,
        ticket: Ticket,
        filter: LetterFilter<Timestamp>,
        effects: &mut Vec<Effect>,
    ) {
        match self.standing.disowned().cloned() {
            Some(error) => effects.push(Effect::Failed(ticket, error)),
            None => self.redrives.begin(ticket, filter, self.letters.newest()),
        }
    }

    /// The next letters of the first call, and the end of those that are through.
    pub(in crate::dispatcher) fn sweep(&mut self, step: &mut Step<'_>) {
        if let Some(span) = self.redrives.next() {
            match self.standing.problem().cloned() {
                Some(problem) => {
                    self.redrives.end(span.ticket);
                    step.effects.push(Effect::Failed(span.ticket, problem));
                }
                None => self.sweep_some(step, span),
            }
        }
        let done = self.redrives.take_done();
        step.effects.extend(done.into_iter().map(|(ticket, outcome)| Effect::Redriven(ticket, outcome)));
    }

    fn sweep_some(&mut self, step: &mut Step<'_>, span: Span) {
        let Span { ticket, filter, after, until } = span;
        let (mut looks, mut last, mut taken) = (0, None, Vec::new());
        let there_then = self.letters.page(after).take_while(|(number, _)| *number <= until);
        for (number, letter) in there_then.take(LOOKS_PER_TURN) {
            (looks, last) = (looks + 1, Some(number));
            if filter.takes(&letter.failure, letter.at) {
                taken.push(number);
            }
            if taken.len() == LETTERS_PER_TURN {
                break;
            }
        }
        let is_full_turn = looks == LOOKS_PER_TURN || taken.len() == LETTERS_PER_TURN;
        self.redrives.note_looked(ticket, last.filter(|_| is_full_turn));
        for number in taken {
            let fate = self.redrive_numbered(step, number, ticket);
            self.redrives.count(ticket, fate);
        }
    }

    /// To be called when all is done that a turn has to do.
    pub(in crate::dispatcher) fn look_for_sweep(&mut self, now: Timestamp) {
        if self.redrives.has_more() {
            self.look_again(now.after(TURN_WAIT));
        }
    }
}
