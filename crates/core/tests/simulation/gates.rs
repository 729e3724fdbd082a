//! Guarantee 4 by scope: a 429 shuts the gate of what its limit holds for. Each request passes the organization's, and
//! those of its route and its conversation.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use spillway_core::dispatcher::AttemptId;
use spillway_core::evidence::Evidence;

use super::gate::{Gate, Outcome};
use super::violation::Checked;

/// The route of the messages.
pub const MESSAGES: &str = "messages";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    Organization,
    Route(String),
    Conversation(String),
}

/// What came of a request.
pub enum Came {
    Throttled(Evidence),
    Answered,
    Refused,
    Unknown,
}

pub struct Gates {
    max_pause: Duration,
    gates: HashMap<Whose, Gate>,
    under_way: HashMap<AttemptId, Vec<Whose>>,
    /// Refused without a name since everything could leave last, and when.
    suspects: HashMap<Whose, u64>,
    /// Of these, those after whose refusal something else has passed: the limit may be their own. And the messages'
    /// route, if a call has.
    cleared: HashSet<Whose>,
    /// The limit is everybody's: several routes have met it.
    is_everybodys: bool,
    /// 429s without a name since then.
    refusals: usize,
}

impl Gates {
    pub fn new(max_pause: Duration) -> Self {
        let gates = HashMap::from([(Whose::Organization, Gate::new(max_pause))]);
        Self {
            max_pause,
            gates,
            under_way: HashMap::new(),
            suspects: HashMap::new(),
            cleared: HashSet::new(),
            is_everybodys: false,
            refusals: 0,
        }
    }

    pub fn sent(&mut self, now_us: u64, attempt: AttemptId, passes: Vec<Whose>) -> Checked {
        for whose in &passes {
            if let Some(gate) = self.gates.get_mut(whose) {
                gate.sent(now_us, attempt).map_err(|broken| broken.of(whose))?;
            }
        }
        self.under_way.insert(attempt, passes);
        Ok(())
    }

    pub fn ended(&mut self, now_us: u64, attempt: AttemptId, sent_us: u64, came: &Came) {
        let passed = self.under_way.remove(&attempt).unwrap_or_default();
        let limited = match came {
            Came::Throttled(evidence) if evidence.limit.is_none() => {
                return self.refused(now_us, attempt, sent_us, passed, evidence);
            }
            Came::Throttled(evidence) => scope(evidence, &passed),
            Came::Answered | Came::Refused | Came::Unknown => None,
        };
        if let Some(whose) = &limited {
            let new = || Gate::new(self.max_pause);
            self.gates.entry(whose.clone()).or_insert_with(new);
        }
        if matches!(came, Came::Answered | Came::Refused) {
            let others = self.suspects.iter().filter(|(suspect, at)| !passed.contains(suspect) && **at <= sent_us);
            let others: Vec<Whose> = others.map(|(suspect, _)| suspect.clone()).collect();
            // A call that passes says of messages that were refused no more than that the limit may be that of them
            // all.
            if passed.iter().any(is_call) && others.iter().any(|other| !is_call(other)) {
                self.cleared.insert(Whose::Route(MESSAGES.to_owned()));
            }
            self.cleared.extend(others);
        }
        for whose in passed {
            let Some(gate) = self.gates.get_mut(&whose) else { continue };
            let outcome = match came {
                // A limit of another scope says nothing about this one.
                Came::Throttled(_) if limited.as_ref() != Some(&whose) => Outcome::Unknown,
                Came::Throttled(evidence) => Outcome::Throttled(evidence.clone()),
                Came::Refused if whose == Whose::Organization => Outcome::Refused,
                Came::Answered | Came::Refused => Outcome::Answered,
                Came::Unknown => Outcome::Unknown,
            };
            gate.ended(now_us, attempt, sent_us, outcome);
            if whose == Whose::Organization && gate.is_open() {
                (self.is_everybodys, self.refusals) = (false, 0);
                self.suspects.retain(|suspect, _| self.cleared.contains(suspect));
            }
        }
    }

    /// A 429 that names no limit: it is that of what was refused, or of more. What is refused waits for as long as it
    /// is asked for, and everything else for a moment, until others tell.
    fn refused(&mut self, now_us: u64, attempt: AttemptId, sent_us: u64, passed: Vec<Whose>, evidence: &Evidence) {
        self.refusals += 1;
        let own = passed.iter().rev().find(|whose| **whose != Whose::Organization).cloned();
        let of_all = self.gates.get(&Whose::Organization);
        let is_probe = of_all.is_some_and(|gate| gate.is_probe(attempt));
        let asks_more = of_all.is_some_and(|gate| gate.is_probe_with_later_time(now_us, attempt, evidence));
        let outcome = match &own {
            // What the dispatcher asks by itself.
            None => Outcome::Throttled(evidence.clone()),
            Some(_) if !self.is_everybodys && passed.iter().any(|whose| self.cleared.contains(whose)) => {
                Outcome::MayBeOwn
            }
            Some(_) if self.is_everybodys && !asks_more => Outcome::Throttled(evidence.clone()),
            Some(own) => {
                let is_other_route = |other: &Whose| is_call(other) != is_call(own) || (is_call(own) && other != own);
                // Of several that were refused the limit may have been everybody's before.
                let is_second = self.refusals == 2
                    && self.suspects.keys().filter(|other| !self.cleared.contains(*other)).any(is_other_route);
                self.is_everybodys = !self.is_everybodys && is_probe && is_second && !self.suspects.contains_key(own);
                match self.is_everybodys {
                    true => Outcome::Throttled(evidence.clone()),
                    false => Outcome::InDoubt(evidence.clone()),
                }
            }
        };
        let is_in_doubt = matches!(outcome, Outcome::InDoubt(_) | Outcome::MayBeOwn);
        let are_several = self.suspects.keys().any(|other| Some(other) != own.as_ref());
        if are_several || !is_in_doubt {
            // It may be everybody's by now: no single one has a limit of its own.
            self.suspects.keys().for_each(|suspect| drop(self.gates.remove(suspect)));
        }
        if !is_in_doubt {
            self.suspects.clear();
            self.cleared.clear();
        } else if let Some(own) = &own {
            if !are_several {
                let new = || Gate::new(self.max_pause);
                let gate = self.gates.entry(own.clone()).or_insert_with(new);
                gate.ended(now_us, attempt, sent_us, Outcome::Throttled(evidence.clone()));
            }
            self.suspects.insert(own.clone(), now_us);
        }
        for whose in passed.iter().filter(|whose| !is_in_doubt || Some(*whose) != own.as_ref()) {
            let Some(gate) = self.gates.get_mut(whose) else { continue };
            let outcome = if *whose == Whose::Organization { outcome.clone() } else { Outcome::Unknown };
            gate.ended(now_us, attempt, sent_us, outcome);
        }
    }
}

fn is_call(whose: &Whose) -> bool {
    matches!(whose, Whose::Route(name) if name != MESSAGES)
}

/// By what the body names; `None` for a limit of what only the dispatcher asks by itself.
fn scope(evidence: &Evidence, passed: &[Whose]) -> Option<Whose> {
    let find = |is: fn(&Whose) -> bool| passed.iter().find(|whose| is(whose)).cloned();
    let limit = evidence.limit.as_ref()?;
    let of_conversation = || find(|whose| matches!(whose, Whose::Conversation(_)));
    let named = if limit.key.contains("conversation") { of_conversation() } else { None };
    named.or_else(|| find(|whose| matches!(whose, Whose::Route(_))))
}
