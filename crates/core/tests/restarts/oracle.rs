//! What callers know and what may be true of each id.

use std::collections::{BTreeMap, BTreeSet};

use spillway_core::settings::Ambiguous;
use spillway_core::stats::Counters;

use crate::disk::Disk;
use crate::server::{Server, is_poison};

#[derive(Default)]
pub struct Oracle {
    /// Ids by the ticket that waits for them.
    pub tickets: BTreeMap<u64, String>,
    /// Their `enqueue` has settled, or their `send` has.
    pub acknowledged: BTreeSet<String>,
    pub told_delivered: BTreeSet<String>,
    /// In a request that was not answered, or on the wire in a crash, as the disk knows.
    pub uncertain: BTreeSet<String>,
    pub dropped: BTreeSet<String>,
    pub redriven: BTreeSet<String>,
    pub refusals: u64,
}

impl Oracle {
    /// A request with these ids leaves.
    pub fn sent(&self, disk: &Disk, ids: &[String]) -> Result<(), String> {
        for id in ids {
            if self.told_delivered.contains(id) {
                return Err(format!("1 sent after its receipt: {id}"));
            }
            let named = |state: &crate::disk::State| {
                state.messages.values().find(|record| record.message.id() == &**id).cloned()
            };
            let Some(own) = named(&disk.durable) else { return Err(format!("1 on the wire, not on the disk: {id}")) };
            if !own.sent {
                return Err(format!("1 on the wire before the disk knows: {id}"));
            }
            // What the dispatcher believes is what it may act on: an elder that is settled is so on the disk, too,
            // since the disk is written in order.
            let elder = disk.durable.messages.values().find(|other| {
                other.message.conversation() == own.message.conversation()
                    && other.seq < own.seq
                    && !ids.iter().any(|id| **id == *other.message.id())
            });
            if let Some(elder) = elder {
                return Err(format!("2 order: {id} is on the wire before {} is settled", elder.message.id()));
            }
        }
        Ok(())
    }

    /// An id was accepted by the server more than once.
    pub fn check_repeats(&self, ambiguous: Ambiguous, server: &Server) -> Result<(), String> {
        for (id, count) in server.accepted.iter().filter(|(_, count)| **count > 1) {
            // What its caller sends again by hand is a new delivery.
            if self.redriven.contains(id) || self.dropped.contains(id) {
                continue;
            }
            if ambiguous == Ambiguous::Fail {
                return Err(format!("1 at most once: {id} was accepted {count} times"));
            }
            if !self.uncertain.contains(id) {
                return Err(format!(
                    "1 duplicate: {id} was accepted {count} times, and its outcome was never uncertain"
                ));
            }
        }
        Ok(())
    }

    /// Everything is settled.
    pub fn check_end(&self, disk: &Disk, server: &Server) -> Result<(), String> {
        if let Some(left) = disk.durable.messages.values().next() {
            return Err(format!("1 nothing left: {left:?}"));
        }
        for id in &self.acknowledged {
            let (receipt, letter) = (disk.durable.has_receipt(id), disk.durable.has_letter(id));
            if receipt == letter && !self.dropped.contains(id) {
                return Err(format!("1 one end: {id} has a receipt: {receipt}, a letter: {letter}"));
            }
            if receipt && !server.accepted.contains_key(id) && !is_poison(id) {
                return Err(format!("1 receipt for nothing: {id}"));
            }
        }
        match self.told_delivered.iter().find(|id| !disk.durable.has_receipt(id)) {
            Some(id) => Err(format!("1 told delivered, and no receipt: {id}")),
            None => Ok(()),
        }
    }
}

/// Whether any of these counters has gone down.
pub fn falls(before: Counters, after: Counters) -> bool {
    let all = |counters: Counters| {
        let Counters { accepted, duplicates, delivered, dead_letters, dead_letters_dropped, .. } = counters;
        let Counters { requests, retries, throttled, token_requests, .. } = counters;
        [
            accepted,
            duplicates,
            delivered,
            dead_letters,
            dead_letters_dropped,
            requests,
            retries,
            throttled,
            token_requests,
        ]
    };
    all(before).iter().zip(all(after)).any(|(before, after)| after < *before)
}
