//! A step of the state machine: when it happens, and what the engine is to do afterwards.

use super::Effect;
use crate::clock::Timestamp;

/// Travels through everything that one event, or one poll, leads to: all of that happens at one time.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) now: Timestamp,
    pub(super) effects: &'a mut Vec<Effect>,
}
