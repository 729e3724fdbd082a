//! How far apart the probes of an outage are: seldom enough to harm no server, often enough to find its end soon.

use std::time::Duration;

use super::gate::Gate;
use crate::clock::Timestamp;
use crate::random::Random;
use crate::retry::Doubling;

/// Most outages are short: in the first minute a probe goes every six seconds.
const EARLY: Duration = Duration::from_secs(60);
const EARLY_BACKOFF: Doubling = Doubling::new(Duration::from_secs(1), Duration::from_secs(6));
/// Then six requests per minute harm no server.
const BACKOFF: Doubling = Doubling::new(Duration::from_secs(1), Duration::from_secs(10));

/// The wait from one probe to the next; `strikes` closures came before this one.
fn backoff(gate: &Gate, now: Timestamp) -> Doubling {
    if gate.has_lasted(now) < EARLY { EARLY_BACKOFF } else { BACKOFF }
}

/// When the next probe goes after one that left at `left_at` has failed, or after what has shut the gate.
pub(super) fn next_probe(gate: &Gate, now: Timestamp, left_at: Timestamp, random: &mut Random) -> Timestamp {
    left_at.after(backoff(gate, now).wait(gate.strikes() + 1, random)).max(now)
}

/// The least time between a slow probe and the one that joins it: that after a probe that has failed.
pub(super) fn apart(gate: &Gate, now: Timestamp) -> Duration {
    let is_outage = gate.throttled_by().is_none() && gate.strikes() > 0;
    if is_outage { backoff(gate, now).longest(gate.strikes()) } else { Duration::ZERO }
}
