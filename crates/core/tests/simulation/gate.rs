//! Guarantee 4, seen from outside: after a 429 nothing leaves before the pause ends; then one probe, and no other
//! request before it has succeeded. A wait that the server asks for may be probed every `maxPauseMs`, and holds until a
//! probe succeeds. A 429 of which nobody knows yet whose limit it is holds for a moment.

use std::time::Duration;

use spillway_core::dispatcher::AttemptId;
use spillway_core::evidence::Evidence;

use super::violation::{Checked, hold};

/// No pause after a bare 429 is shorter.
const PAUSE_FLOOR: Duration = Duration::from_millis(100);
/// Nor is the moment for which everything waits when it is not known whose the limit is, unless less was asked for.
const MOMENT: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug)]
enum State {
    Open,
    Paused {
        until_us: u64,
    },
    /// One probe; after a while without its answer another one may join it, and later one more.
    Probing {
        more_at_us: u64,
    },
}

/// What came of a request, as far as the gate is concerned.
#[derive(Clone, Debug)]
pub enum Outcome {
    Throttled(Evidence),
    /// The limit may be that of what was refused alone: others are to find out.
    InDoubt(Evidence),
    /// The same of something that is known to have a limit of its own, so that others need not wait, but may.
    MayBeOwn,
    /// Any other answer of the server about the request.
    Answered,
    /// A refusal that may be everybody's: it opens no gate, and the next probe comes later.
    Refused,
    /// No answer, or one about the token: it tells nothing about the limit.
    Unknown,
}

/// No probe is joined by another one sooner; and each of them waits for twice as long as the one before.
const PATIENCE_US: u64 = 1_000_000;
const PATIENCE_MAX_US: u64 = 30_000_000;

pub struct Gate {
    state: State,
    probes: Vec<AttemptId>,
    opened_at_us: u64,
    /// The end of the wait that the server asked for last.
    asked_until_us: u64,
    /// When everything began to wait for a moment, or may have.
    moment_us: u64,
    max_pause: Duration,
}

impl Gate {
    pub fn new(max_pause: Duration) -> Self {
        Self { state: State::Open, probes: Vec::new(), opened_at_us: 0, asked_until_us: 0, moment_us: 0, max_pause }
    }

    pub fn sent(&mut self, now_us: u64, attempt: AttemptId) -> Checked {
        match self.state {
            State::Open => Ok(()),
            State::Paused { until_us } => {
                self.probe(now_us, attempt);
                hold(now_us >= until_us, "4 pause", || format!("attempt {attempt} left {} µs early", until_us - now_us))
            }
            State::Probing { more_at_us } => {
                let beside = format!("attempt {attempt} left beside the probes {:?}", self.probes);
                self.probe(now_us, attempt);
                hold(now_us >= more_at_us, "4 one probe", || beside)
            }
        }
    }

    fn probe(&mut self, now_us: u64, attempt: AttemptId) {
        let wait_us = (PATIENCE_US << self.probes.len().min(20)).min(PATIENCE_MAX_US);
        self.probes.push(attempt);
        self.state = State::Probing { more_at_us: now_us + wait_us };
    }

    pub fn ended(&mut self, now_us: u64, attempt: AttemptId, sent_us: u64, outcome: Outcome) {
        let is_probe = self.is_probe(attempt);
        match outcome {
            Outcome::Throttled(evidence) => {
                let is_new = is_probe || (matches!(self.state, State::Open) && sent_us >= self.opened_at_us);
                match evidence.wait_within(self.max_pause) {
                    Some(wait) => {
                        let asked_until_us = now_us + wait.span.as_micros() as u64;
                        // A request that was on the wire already can only name a later time.
                        if is_new || asked_until_us > self.asked_until_us {
                            self.asked_until_us = asked_until_us;
                            self.pause(asked_until_us.min(self.next_probe_us(now_us)));
                        }
                    }
                    None if is_new && self.asked_until_us > now_us => {
                        self.pause(self.asked_until_us.min(self.next_probe_us(now_us)));
                    }
                    None if is_new => self.pause(now_us + PAUSE_FLOOR.as_micros() as u64),
                    None => {}
                }
            }
            Outcome::MayBeOwn => {
                self.lose(now_us, attempt);
                if self.moment_us + MOMENT.as_micros() as u64 <= now_us {
                    self.moment_us = now_us;
                }
            }
            Outcome::InDoubt(evidence) => {
                let wait = evidence.wait_within(self.max_pause).map(|wait| wait.span);
                let opens = matches!(self.state, State::Open) && (sent_us >= self.opened_at_us || wait.is_some());
                if is_probe || opens {
                    self.asked_until_us = 0;
                    if is_probe || self.moment_us + MOMENT.as_micros() as u64 <= now_us {
                        self.moment_us = now_us;
                    }
                    let moment = wait.map_or(PAUSE_FLOOR, |wait| wait.min(MOMENT));
                    self.pause(self.moment_us + moment.as_micros() as u64);
                }
            }
            Outcome::Answered if is_probe => {
                self.state = State::Open;
                self.probes.clear();
                self.opened_at_us = now_us;
                self.asked_until_us = 0;
            }
            Outcome::Unknown | Outcome::Refused if is_probe => self.lose(now_us, attempt),
            Outcome::Answered | Outcome::Unknown | Outcome::Refused => {}
        }
    }

    fn lose(&mut self, now_us: u64, attempt: AttemptId) {
        if self.is_probe(attempt) {
            self.probes.retain(|probe| *probe != attempt);
            if self.probes.is_empty() {
                self.state = State::Paused { until_us: now_us };
            }
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether a refusal of this one asks for more than is known.
    pub fn is_probe_with_later_time(&self, now_us: u64, attempt: AttemptId, evidence: &Evidence) -> bool {
        let asked_until_us =
            evidence.wait_within(self.max_pause).map(|wait| now_us + wait.span.as_micros() as u64).unwrap_or_default();
        self.is_probe(attempt) && asked_until_us > self.asked_until_us
    }

    pub fn is_probe(&self, attempt: AttemptId) -> bool {
        self.probes.contains(&attempt)
    }

    fn next_probe_us(&self, now_us: u64) -> u64 {
        now_us + self.max_pause.as_micros() as u64
    }

    /// Later, never earlier.
    fn pause(&mut self, until_us: u64) {
        let known_us = if let State::Paused { until_us } = self.state { until_us } else { 0 };
        self.state = State::Paused { until_us: until_us.max(known_us) };
        self.probes.clear();
    }
}
