//! What an answer, or its absence, means for messages, and how they end.

pub(in crate::dispatcher) mod answers;
pub(in crate::dispatcher) mod burial;
pub(in crate::dispatcher) mod credentials;
pub(in crate::dispatcher) mod deliver;
pub(in crate::dispatcher) mod ended;
pub(in crate::dispatcher) mod endings;
pub(in crate::dispatcher) mod ends;
pub(in crate::dispatcher) mod letters;
pub(in crate::dispatcher) mod settle;
pub(in crate::dispatcher) mod suspect;
pub(in crate::dispatcher) mod suspects;
