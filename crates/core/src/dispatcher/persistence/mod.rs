//! What the store is told, what it gives back, and what an earlier run left.

pub(in crate::dispatcher) mod carryover;
pub(in crate::dispatcher) mod changes;
pub(in crate::dispatcher) mod earlier_run;
pub(in crate::dispatcher) mod flights;
pub(in crate::dispatcher) mod loaded;
pub(in crate::dispatcher) mod loading;
pub(in crate::dispatcher) mod ownership;
pub(in crate::dispatcher) mod recovery;
pub(in crate::dispatcher) mod standing;
pub(in crate::dispatcher) mod window;
