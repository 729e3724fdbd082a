//! What outlives an engine: the server goes on counting, whoever sends, and its quota stays what it was. A next engine of the organisation would otherwise
//! spend the quota a second time, and send into a pause that the server asked for.

use std::time::Duration;

use super::Dispatcher;
use super::gate::Gate;
use crate::clock::Timestamp;
use crate::quota::Belief;

/// For how long it is worth keeping what was learned.
const BELIEF_KEPT: Duration = Duration::from_secs(3_600);

/// Spent budget, learned quota and pause of an engine that has ended.
#[derive(Clone, Debug)]
pub struct Legacy {
    spent: Vec<Timestamp>,
    belief: Belief,
    gate: Option<Gate>,
    until: Timestamp,
}

impl Legacy {
    /// From this time on it says nothing any more.
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

impl Dispatcher {
    /// What the next engine must know. Requests on the wire count as arrived: they are cut with the engine.
    pub fn legacy(&self, now: Timestamp) -> Legacy {
        let gate = self.gate.bequest(now);
        let paused_until = gate.as_ref().and_then(Gate::closure).and_then(|closure| closure.until);
        let belief = self.quota.belief(now);
        let learned_until = if belief.layers.is_empty() { now } else { now.after(BELIEF_KEPT) };
        let until = self.quota.all_free(now).max(paused_until.unwrap_or(now)).max(learned_until);
        Legacy { spent: self.quota.spent(now), belief, until, gate }
    }

    /// Begins where an engine of the same organisation and server has ended.
    pub fn inherit(&mut self, now: Timestamp, legacy: Legacy) {
        self.quota.restore(now, &legacy.belief);
        self.quota.inherit(now, &legacy.spent);
        if let Some(gate) = legacy.gate {
            self.gate = gate;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroU32;
    use std::time::Duration;

    use crate::clock::Timestamp;
    use crate::quota::{Heard, Quota};
    use crate::settings::Rate;

    fn rate(requests: u32, per_ms: u64) -> Rate {
        let requests = NonZeroU32::new(requests).unwrap();
        Rate { requests, per: Duration::from_millis(per_ms), burst: requests }
    }

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    #[test]
    fn a_budget_begins_with_what_its_predecessor_spent() {
        let mut first = Quota::new(&[rate(3, 100), rate(10, 1_000)], at_ms(0));
        for _ in 0..3 {
            first.check(at_ms(0), 1).unwrap();
            first.take(at_ms(0), 1);
        }
        for at in [20, 50] {
            let heard = Heard { sent_at: at_ms(0), cost: 1, refused: false, evidence: None };
            first.heard(at_ms(at), heard);
        }
        // The third is on the wire when its engine ends at 60.
        let spent = first.spent(at_ms(60));
        assert_eq!(spent, [at_ms(20), at_ms(50), at_ms(60)]);

        let mut second = Quota::new(&[rate(3, 100)], at_ms(70));
        second.inherit(at_ms(70), &spent);
        assert_eq!(second.available(at_ms(70)), 0);
        assert_eq!(second.available(at_ms(121)), 1);
        assert_eq!(second.available(at_ms(151)), 2);
        assert_eq!(second.available(at_ms(161)), 3);

        let mut smaller = Quota::new(&[rate(1, 100)], at_ms(130));
        smaller.inherit(at_ms(130), &spent);
        assert!(smaller.check(at_ms(152), 1).is_err(), "one of two is cool, and one is allowed");
        assert!(smaller.check(at_ms(161), 1).is_ok());
    }
}
