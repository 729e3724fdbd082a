//! Guarantee 6 in an outage: with `ambiguous: 'fail'`, after four unknown outcomes in a row no message is risked before
//! the server has answered something that costs none.

use spillway_core::settings::Ambiguous;

use super::ends::Came;
use super::violation::{Checked, hold};

const UNKNOWN_MAX: u32 = 4;

pub struct Risk {
    is_cautious: bool,
    /// Unknown outcomes of messages since the last one that was taken.
    unknown: u32,
    /// The server has answered since the last failure.
    is_clear: bool,
}

impl Risk {
    pub fn new(ambiguous: Ambiguous) -> Self {
        Self { is_cautious: ambiguous == Ambiguous::Fail, unknown: 0, is_clear: false }
    }

    /// A message leaves.
    pub fn sent(&self) -> Checked {
        let may_leave = !self.is_cautious || self.unknown < UNKNOWN_MAX || self.is_clear;
        hold(may_leave, "6 risk", || format!("a message leaves after {} unknown outcomes in a row", self.unknown))
    }

    /// A message ended.
    pub fn ended(&mut self, came: Came) {
        match came {
            Came::Accepted | Came::Rejected => self.unknown = 0,
            Came::Lost | Came::Unclear => self.unknown += 1,
            Came::Throttled | Came::Unauthorized | Came::Refused | Came::Failed | Came::Unsent => {}
        }
        self.is_clear = is_answer(came);
    }

    /// Something else was answered, or not; that it failed may be its own route's fault.
    pub fn answered(&mut self, came: Came) {
        self.is_clear |= is_answer(came);
    }

    pub fn is_outage(&self) -> bool {
        self.is_cautious && self.unknown >= UNKNOWN_MAX
    }
}

fn is_answer(came: Came) -> bool {
    !matches!(came, Came::Lost | Came::Unclear | Came::Failed | Came::Unsent)
}
