//! Drains: each ends when everything that was handed over before it is settled, at once, and waits for nothing later.

use std::collections::BTreeSet;

use super::violation::{Checked, hold};

#[derive(Default)]
pub struct Draining {
    born: u64,
    alive: BTreeSet<u64>,
    drains: Vec<Drain>,
}

struct Drain {
    ticket: u64,
    before: u64,
    deadline_us: Option<u64>,
}

impl Draining {
    pub fn enter(&mut self) -> u64 {
        self.born += 1;
        self.alive.insert(self.born);
        self.born
    }

    pub fn leave(&mut self, born: u64) {
        self.alive.remove(&born);
    }

    pub fn begin(&mut self, ticket: u64, deadline_us: Option<u64>) {
        self.drains.push(Drain { ticket, before: self.born, deadline_us });
    }

    pub fn cancel(&mut self, ticket: u64) -> bool {
        let count = self.drains.len();
        self.drains.retain(|drain| drain.ticket != ticket);
        self.drains.len() < count
    }

    pub fn ended(&mut self, now_us: u64, ticket: u64, left: Option<usize>) -> Checked {
        let Some(index) = self.drains.iter().position(|drain| drain.ticket == ticket) else {
            return hold(false, "1 drain", || format!("ticket {ticket} isn't a drain that waits"));
        };
        let drain = self.drains.remove(index);
        let alive = self.alive.range(..=drain.before).count();
        hold(alive == left.unwrap_or(0), "1 drain", || format!("ended with {left:?}, but {alive} are left"))?;
        let due = left.is_none() || drain.deadline_us.is_some_and(|at| at <= now_us);
        hold(due, "1 drain", || format!("gave up before its deadline {:?}", drain.deadline_us))
    }

    /// After every step: none that is over still waits.
    pub fn check(&self, now_us: u64) -> Checked {
        let oldest = self.alive.first().copied().unwrap_or(u64::MAX);
        let over = |drain: &&Drain| oldest > drain.before || drain.deadline_us.is_some_and(|at| at <= now_us);
        let late = self.drains.iter().find(over).map(|drain| drain.ticket);
        hold(late.is_none(), "1 drain", || format!("drain {late:?} should have ended"))
    }
}
