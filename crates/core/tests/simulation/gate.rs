//! Guarantee 4, seen from outside: after a 429 nothing leaves before the pause ends; then one probe, and no other request
//! before it has succeeded.

use std::time::Duration;

use spillway_core::dispatcher::AttemptId;
use spillway_core::evidence::Evidence;

use super::violation::{Checked, hold};

/// No pause after a bare 429 is shorter.
const PAUSE_FLOOR: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
enum State {
    Open,
    Paused { until_us: u64 },
    Probing(AttemptId),
}

/// What came of a request, as far as the gate is concerned.
#[derive(Debug)]
pub enum Outcome {
    Throttled(Evidence),
    /// Any other answer of the server about the request.
    Answered,
    /// No answer, or one about the token: it tells nothing about the limit.
    Unknown,
}

pub struct Gate {
    state: State,
    opened_at_us: u64,
}

impl Gate {
    pub fn new() -> Self {
        Self { state: State::Open, opened_at_us: 0 }
    }

    pub fn sent(&mut self, now_us: u64, attempt: AttemptId) -> Checked {
        match self.state {
            State::Open => Ok(()),
            State::Paused { until_us } => {
                self.state = State::Probing(attempt);
                hold(now_us >= until_us, "4 pause", || format!("attempt {attempt} left {} µs early", until_us - now_us))
            }
            State::Probing(probe) => {
                hold(false, "4 one probe", || format!("attempt {attempt} left beside probe {probe}"))
            }
        }
    }

    pub fn ended(&mut self, now_us: u64, attempt: AttemptId, sent_us: u64, outcome: Outcome) {
        let is_probe = matches!(self.state, State::Probing(probe) if probe == attempt);
        match outcome {
            Outcome::Throttled(evidence) => {
                let is_news = is_probe || (matches!(self.state, State::Open) && sent_us >= self.opened_at_us);
                let span = evidence.wait().map(|wait| wait.span).or(is_news.then_some(PAUSE_FLOOR));
                if let Some(span) = span {
                    self.pause(now_us + span.as_micros() as u64);
                }
            }
            Outcome::Answered if is_probe => {
                self.state = State::Open;
                self.opened_at_us = now_us;
            }
            Outcome::Unknown if is_probe => self.state = State::Paused { until_us: now_us },
            Outcome::Answered | Outcome::Unknown => {}
        }
    }

    /// Later, never earlier.
    fn pause(&mut self, until_us: u64) {
        let known_us = if let State::Paused { until_us } = self.state { until_us } else { 0 };
        self.state = State::Paused { until_us: until_us.max(known_us) };
    }
}
