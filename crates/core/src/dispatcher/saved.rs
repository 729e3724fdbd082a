//! The budget, the pause and what is on the wire, as the store keeps them: the server goes on counting while nobody is there,
//! and so must the next run. Times are milliseconds from the moment of saving, since no clock of a process outlives it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::gate::Gate;
use super::{Dispatcher, Effect};
use crate::clock::Timestamp;
use crate::evidence::WaitSource;
use crate::quota::Belief;
use crate::store::{Change, Opening};

/// How finely spent slots are kept: this many steps of the widest window, each rounded to its later end.
const STEPS_PER_WINDOW: i64 = 64;
/// How often; departures in between are kept one by one, as they are about to leave.
const SAVE_EVERY: Duration = Duration::from_millis(500);
/// No window allows more requests, whatever a file says.
const SPENT_MAX: usize = 1_000_000;
/// What was on the wire arrives within this time of its sending, or never.
const ON_ITS_WAY_MS: i64 = 1_000;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Saved {
    /// When requests were answered that hold a slot, and how many.
    spent: Vec<(i64, u32)>,
    belief: Option<Belief>,
    pause: Option<SavedPause>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedPause {
    source: WaitSource,
    since_ms: i64,
    /// None when its time was over.
    until_ms: Option<i64>,
    strikes: u32,
}

/// What was saved last.
#[derive(Debug, Default)]
pub(super) struct Saving {
    at: Option<Timestamp>,
    requests: u64,
    paused: Option<Option<Timestamp>>,
    is_demanded: bool,
}

impl Saving {
    /// The next save comes whether or not anything has changed.
    pub(super) fn demand(&mut self) {
        self.is_demanded = true;
    }
}

impl Dispatcher {
    /// Saves them when the budget has changed: a new pause at once, spent slots now and then.
    pub(super) fn save(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if !self.durable {
            return;
        }
        let paused = self.gate.bequest(now).and_then(|gate| gate.closure()).map(|closure| closure.until);
        let due = self.saving.at.is_none_or(|at| now.since(at) >= SAVE_EVERY);
        let spent = self.saving.requests != self.counters.requests && due;
        if !spent && paused == self.saving.paused && !self.saving.is_demanded {
            return;
        }
        self.saving = Saving { at: Some(now), requests: self.counters.requests, paused, is_demanded: false };
        let belief = Some(self.quota.belief(now));
        let saved = Saved {
            spent: self.spent_steps(now),
            belief,
            pause: self.gate.bequest(now).and_then(|gate| pause(now, &gate)),
        };
        if let Ok(json) = serde_json::to_string(&saved) {
            effects.push(Effect::Store(Change::Save { budget: json.into(), on_wire: self.on_wire() }));
        }
    }

    fn spent_steps(&self, now: Timestamp) -> Vec<(i64, u32)> {
        let spent = self.quota.spent(now);
        let oldest = spent.first().map(|at| now.since(*at)).unwrap_or_default();
        let step = (millis(oldest) / STEPS_PER_WINDOW).max(1);
        let mut steps: Vec<(i64, u32)> = Vec::new();
        for at in spent {
            // On the wire it counts as answered now, but may arrive a little later.
            let at = if at >= now { ON_ITS_WAY_MS } else { -(millis(now.since(at)) / step * step) };
            match steps.last_mut() {
                Some((last, count)) if *last == at => *count += 1,
                _ => steps.push((at, 1)),
            }
        }
        steps
    }

    /// Goes on where the store's last run ended; what makes no sense is no evidence.
    pub(super) fn restore(&mut self, now: Timestamp, opening: &Opening) {
        let saved: Saved =
            opening.budget.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        // A wall clock that was put back meanwhile must not make a future out of the past.
        let saved_at = opening.budget_at.unwrap_or(now).min(now);
        if let Some(belief) = &saved.belief {
            self.quota.restore(now, belief);
        }
        let steps =
            saved.spent.iter().flat_map(|(ms, count)| std::iter::repeat_n(*ms, *count as usize)).take(SPENT_MAX);
        let arrived = steps.map(|ms| if ms > 0 { self.arrived_by(now, saved_at) } else { shifted(saved_at, ms) });
        let departed = opening.departed.iter().map(|at| self.arrived_by(now, *at));
        let mut spent: Vec<Timestamp> = arrived.chain(departed).collect();
        spent.sort_unstable();
        self.quota.inherit(now, &spent);
        if let Some(SavedPause { source, since_ms, until_ms, strikes }) = saved.pause {
            let until = until_ms.map(|ms| shifted(saved_at, ms));
            self.gate = Gate::paused(source, shifted(saved_at, since_ms), until, saved_at, strikes);
        }
    }

    /// By when a request of the last run has arrived that had no answer yet at `at`. It may have waited for a connection,
    /// as long as the requests before it there: but it has left before now, or never.
    fn arrived_by(&self, now: Timestamp, at: Timestamp) -> Timestamp {
        let before_it = u32::try_from(self.settings.attempts_per_connection() - 1).unwrap_or(u32::MAX);
        let left_by = at.after(self.settings.connections.request_timeout * before_it).min(now);
        shifted(left_by, ON_ITS_WAY_MS)
    }
}

fn pause(now: Timestamp, gate: &Gate) -> Option<SavedPause> {
    let (closure, source) = (gate.closure()?, gate.throttled_by()?);
    let until_ms = closure.until.map(|until| millis(until.since(now)) - millis(now.since(until)));
    Some(SavedPause { source, since_ms: -millis(now.since(closure.since)), until_ms, strikes: gate.strikes() })
}

fn shifted(at: Timestamp, ms: i64) -> Timestamp {
    let span = Duration::from_millis(ms.unsigned_abs());
    if ms < 0 { at.before(span) } else { at.after(span) }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::random::Random;
    use crate::settings::Settings;

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    /// What is available at once, and after a time, to a run that begins at `now_ms` with one request a second and this.
    fn available(opening: &Opening, now_ms: u64, later_ms: u64) -> (u32, u32) {
        let settings = r#"{
            "organization": "saved", "apiUrl": "http://127.0.0.1:1", "credentials": { "accessToken": "token" },
            "route": "messaging", "store": "file:saved.db", "rateLimit": { "requests": 1, "perMs": 1000 },
            "connections": { "max": 1, "requestTimeoutMs": 10000 }
        }"#;
        let settings = Arc::new(Settings::from_json(settings).unwrap());
        let mut dispatcher = Dispatcher::new(settings, Random::from_seed(1), at_ms(now_ms));
        dispatcher.restore(at_ms(now_ms), opening);
        (dispatcher.quota.available(at_ms(now_ms)), dispatcher.quota.available(at_ms(now_ms + later_ms)))
    }

    #[test]
    fn a_departure_may_have_waited_for_a_connection() {
        let departed = Opening { departed: vec![at_ms(20)], ..Opening::default() };
        let saved = Opening {
            budget: Some(r#"{ "spent": [[1000, 1]] }"#.into()),
            budget_at: Some(at_ms(20)),
            ..Opening::default()
        };
        for opening in [departed, saved] {
            assert_eq!(available(&opening, 9_000, 1_990), (0, 0), "a second to arrive, and the window");
            assert_eq!(available(&opening, 9_000, 2_010), (0, 1));
            assert_eq!(
                available(&opening, 31_900, 0).0,
                0,
                "three others may have been before it, of ten seconds each"
            );
            assert_eq!(available(&opening, 32_100, 0), (1, 1));
        }
    }

    #[test]
    fn an_answer_that_came_holds_its_slot_from_then() {
        let saved = Opening {
            budget: Some(r#"{ "spent": [[-100, 1]] }"#.into()),
            budget_at: Some(at_ms(5_000)),
            ..Opening::default()
        };
        assert_eq!(available(&saved, 5_500, 410), (0, 1));
    }
}
