//! The circuit breaker's eye: it sees an outage in a row of failures. What follows from it is the gate's.

/// Failures in a row that are taken for an outage rather than for a few messages' bad luck.
const FAILURES_MAX: u32 = 10;

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
}

impl Breaker {
    /// The server answered: it is there.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The server, or the way to it, failed; true when this is an outage.
    pub fn failed(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failures >= FAILURES_MAX
    }
}
