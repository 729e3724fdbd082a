//! A rule of the design that a run has broken.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub detail: String,
}

impl Violation {
    /// Says whose rule it is.
    pub fn of(self, whose: impl fmt::Debug) -> Self {
        Self { detail: format!("{whose:?}: {}", self.detail), ..self }
    }
}

pub type Checked = Result<(), Violation>;

pub fn broken<T>(rule: &'static str, detail: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { rule, detail: detail.into() })
}

/// Holds, or the rule is broken.
pub fn hold(holds: bool, rule: &'static str, detail: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { broken(rule, detail()) }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.detail)
    }
}
