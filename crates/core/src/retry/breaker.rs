//! The circuit breaker of a route: it takes failures in a row for an outage. What follows from it is the gate's.

/// Failures in a row that are taken for an outage rather than for a few messages' bad luck.
const FAILURES_MAX: u32 = 10;

/// Counts failures in a row.
///
/// ```
/// use spillway_core::retry::Breaker;
///
/// let mut breaker = Breaker::default();
/// let outage = (1..=10).find(|_| breaker.failed());
/// assert_eq!(outage, Some(10));
/// breaker.succeeded();
/// assert!(!breaker.failed());
/// ```
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
