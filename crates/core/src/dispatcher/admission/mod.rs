//! What comes in: duplicates, limits, the waiting room, acceptance; and what its caller takes back.

pub(in crate::dispatcher) mod cancel;
pub(in crate::dispatcher) mod duplicates;
pub(in crate::dispatcher) mod followers;
pub(in crate::dispatcher) mod intake;
pub(in crate::dispatcher) mod redrives;
pub(in crate::dispatcher) mod sweep;
pub(in crate::dispatcher) mod waiting;
