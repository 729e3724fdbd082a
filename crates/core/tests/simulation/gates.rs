//! Guarantee 4 by scope: a 429 shuts the gate of what its limit holds for. Each request passes the organization's, and
//! those of its route and its conversation.

use std::collections::HashMap;
use std::time::Duration;

use spillway_core::dispatcher::AttemptId;
use spillway_core::evidence::Evidence;

use super::gate::{Gate, Outcome};
use super::violation::Checked;

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
}

impl Gates {
    pub fn new(max_pause: Duration) -> Self {
        let gates = HashMap::from([(Whose::Organization, Gate::new(max_pause))]);
        Self { max_pause, gates, under_way: HashMap::new() }
    }

    pub fn sent(&mut self, now_us: u64, attempt: AttemptId, passes: Vec<Whose>) -> Checked {
        for whose in &passes {
            if let Some(gate) = self.gates.get_mut(whose) {
                gate.sent(now_us, attempt)?;
            }
        }
        self.under_way.insert(attempt, passes);
        Ok(())
    }

    pub fn ended(&mut self, now_us: u64, attempt: AttemptId, sent_us: u64, came: &Came) {
        let passed = self.under_way.remove(&attempt).unwrap_or_default();
        let limited = match came {
            Came::Throttled(evidence) => scope(evidence, &passed),
            Came::Answered | Came::Refused | Came::Unknown => None,
        };
        if let Some(whose) = &limited {
            let new = || Gate::new(self.max_pause);
            self.gates.entry(whose.clone()).or_insert_with(new);
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
        }
    }
}

/// By what the body names, and nothing else; `None` for a limit of what only the dispatcher asks by itself.
fn scope(evidence: &Evidence, passed: &[Whose]) -> Option<Whose> {
    let find = |is: fn(&Whose) -> bool| passed.iter().find(|whose| is(whose)).cloned();
    let Some(limit) = &evidence.limit else { return Some(Whose::Organization) };
    let of_conversation = || find(|whose| matches!(whose, Whose::Conversation(_)));
    let named = if limit.key.contains("conversation") { of_conversation() } else { None };
    named.or_else(|| find(|whose| matches!(whose, Whose::Route(_))))
}
