//! Promises: each settles exactly once, unless its caller cancels it before.

use std::collections::HashMap;

use super::draw::Draw;
use super::violation::{Checked, broken, hold};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pending,
    Settled,
    Canceled,
}

#[derive(Default)]
pub struct Tickets {
    fates: HashMap<u64, Fate>,
    all: Vec<u64>,
    /// Those that must be settled by the end of this step.
    due: Vec<u64>,
}

impl Tickets {
    pub fn issue(&mut self) -> u64 {
        let ticket = self.all.len() as u64 + 1;
        self.all.push(ticket);
        self.fates.insert(ticket, Fate::Pending);
        ticket
    }

    /// Must settle in this step.
    pub fn due(&mut self, ticket: u64) {
        self.due.push(ticket);
    }

    pub fn settle(&mut self, ticket: u64) -> Checked {
        match self.fates.insert(ticket, Fate::Settled) {
            Some(Fate::Pending) => Ok(()),
            other => broken("1 settled once", format!("ticket {ticket} settles, but was {other:?}")),
        }
    }

    /// True when the promise was still pending.
    pub fn cancel(&mut self, ticket: u64) -> bool {
        let fate = self.fates.get_mut(&ticket).filter(|fate| **fate == Fate::Pending);
        fate.map(|fate| *fate = Fate::Canceled).is_some()
    }

    /// A ticket that may be pending, newer ones rather than older ones.
    pub fn pick(&self, draw: &mut Draw) -> Option<u64> {
        let newest = self.all.len() as u64;
        (newest > 0).then(|| draw.range(newest.saturating_sub(40), newest - 1)).map(|index| self.all[index as usize])
    }

    pub fn check_due(&mut self) -> Checked {
        for ticket in self.due.drain(..) {
            let fate = self.fates.get(&ticket);
            hold(fate != Some(&Fate::Pending), "1 settled at once", || format!("ticket {ticket} is pending"))?;
        }
        Ok(())
    }

    pub fn check_end(&self) -> Checked {
        let pending = self.all.iter().find(|ticket| self.fates.get(ticket) == Some(&Fate::Pending));
        hold(pending.is_none(), "1 settled at the end", || format!("ticket {pending:?} is pending"))
    }
}
