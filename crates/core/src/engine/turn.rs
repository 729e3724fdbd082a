//! How much an engine does before it lets the others run: one thread serves all organizations, and none may keep it for
//! more than a millisecond or so, since a message of another one may meet several such turns. It is counted in
//! messages, of which each takes a few microseconds, so that a test can tell without a clock.

use super::Command;

/// As many, and then the others have their turns.
const WORK_PER_TURN: usize = 128;
/// The work of an answer, with what it settles; of an `explain()`, which looks at thousands of lanes; of events of the
/// store, of which one tells of up to a thousand messages; of a page of dead letters, which may have a megabyte; and of
/// a look at the backlog, for which it passes through thousands of entries.
const ANSWER_WORK: usize = 4;
const EXPLANATION_WORK: usize = 64;
const NEWS_WORK: usize = WORK_PER_TURN;
const LETTERS_WORK: usize = WORK_PER_TURN;
const BACKLOG_WORK: usize = WORK_PER_TURN;

/// The work since others last ran.
#[derive(Debug, Default)]
pub(super) struct Turn {
    done: usize,
}

impl Turn {
    pub(super) fn command(&mut self, command: &Command) {
        self.done += match command {
            // Counted one by one.
            Command::Submit(_) => 0,
            Command::Explain(..) => EXPLANATION_WORK,
            Command::Letters(..) => LETTERS_WORK,
            Command::Backlog(..) => BACKLOG_WORK,
            _ => 1,
        };
    }

    pub(super) fn submission(&mut self) {
        self.done += 1;
    }

    pub(super) fn answer(&mut self) {
        self.done += ANSWER_WORK;
    }

    pub(super) fn event(&mut self) {
        self.done += NEWS_WORK;
    }

    /// Whether it is time for the others.
    pub(super) fn is_over(&self) -> bool {
        self.done >= WORK_PER_TURN
    }

    /// The others have run.
    pub(super) fn begin(&mut self) {
        // One more piece may have come on top.
        debug_assert!(self.done < 2 * WORK_PER_TURN, "{} in one turn", self.done);
        self.done = 0;
    }
}
