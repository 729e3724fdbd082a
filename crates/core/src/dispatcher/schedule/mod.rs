//! What leaves, with whom, and when.

pub(in crate::dispatcher) mod attempts;
pub(in crate::dispatcher) mod batch;
pub(in crate::dispatcher) mod batching;
pub(in crate::dispatcher) mod bound;
pub(in crate::dispatcher) mod departures;
pub(in crate::dispatcher) mod drains;
pub(in crate::dispatcher) mod gather;
pub(in crate::dispatcher) mod held_calls;
pub(in crate::dispatcher) mod impatient;
pub(in crate::dispatcher) mod lately;
pub(in crate::dispatcher) mod limited;
pub(in crate::dispatcher) mod limits_lookup;
pub(in crate::dispatcher) mod lines;
pub(in crate::dispatcher) mod own_request;
pub(in crate::dispatcher) mod parking;
pub(in crate::dispatcher) mod progress;
pub(in crate::dispatcher) mod pump;
pub(in crate::dispatcher) mod shipment;
pub(in crate::dispatcher) mod sounding;
pub(in crate::dispatcher) mod timers;
