//! What the store knows of one host.

use std::collections::BTreeMap;

use super::Micros;
use crate::lease::identity::LeaseId;

/// One part in so many waits until a host renews its lease anyway.
const FEW: u32 = 4;

/// One window of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The quota that is configured there.
    pub(super) requests: u32,
    pub(super) need: u32,
    pub(super) share: u32,
    pub(super) target: u32,
    /// One of these is due for a turn.
    pub(super) has_turn: bool,
    /// What its last renewal has brought it, by when that is free.
    pub(super) fresh: Vec<(Micros, u32)>,
}

/// What a host has made of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Since it has the slot.
    pub(super) began: Micros,
    /// Requests since then.
    pub(super) sent: u32,
}

/// A turn that is not used ends a window and this long after it has begun.
const TURN_MAX: Micros = 10_000_000;

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) lease: LeaseId,
    /// The number that opened the lease, and the last one.
    pub(super) first: u64,
    pub(super) number: u64,
    pub(super) deadline: Micros,
    pub(super) weight: u32,
    /// It ranks the host in all windows: who is the next to have a slot more of one needs one more of the others, too.
    pub(super) pass: u64,
    /// What it grows by at the end of the turn.
    pub(super) stride: u64,
    /// It is due a slot more of the shortest window.
    pub(super) turn: Option<Turn>,
    /// By the window's length.
    pub(super) parts: BTreeMap<Micros, Part>,
}

impl Record {
    /// Whether its lease is in force, as the store counts.
    pub(super) fn is_live(&self, now: Micros) -> bool {
        self.deadline > now
    }

    pub(super) fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    pub(super) fn needs(&self) -> bool {
        self.parts.values().any(|part| part.need > 0)
    }

    /// The host has sent so much since its last renewal. Whether its turn is over: it has used every slot.
    pub(super) fn ends_turn(&mut self, now: Micros, per: Micros, sent: u32) -> bool {
        let Some(turn) = &mut self.turn else { return false };
        let Some(part) = self.parts.get(&per).filter(|part| part.share >= part.target) else {
            turn.began = now;
            return false;
        };
        turn.sent = turn.sent.saturating_add(sent);
        let is_over = (part.share > 0 && turn.sent >= part.share) || now >= turn.began + per + TURN_MAX;
        if is_over {
            self.turn = None;
        }
        is_over
    }

    /// Whether a quarter of what is due is missing.
    pub(super) fn lacks(&self, per: Micros) -> bool {
        let lack = |part: &Part| part.target.saturating_sub(part.share);
        self.parts.get(&per).is_some_and(|part| lack(part) > 0 && lack(part).saturating_mul(FEW) >= part.target)
    }

    /// Whether a quarter of what it has is too much.
    pub(super) fn exceeds(&self, per: Micros) -> bool {
        let surplus = |part: &Part| part.share.saturating_sub(part.target);
        self.parts.get(&per).is_some_and(|part| surplus(part) > 0 && surplus(part).saturating_mul(FEW) >= part.share)
    }

    pub(super) fn is_short(&self, per: Micros) -> bool {
        self.parts.get(&per).is_some_and(|part| part.share < part.target)
    }

    pub(super) fn share(&self, per: Micros) -> u32 {
        self.parts.get(&per).map_or(0, |part| part.share)
    }
}
