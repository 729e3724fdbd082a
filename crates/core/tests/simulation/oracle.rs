//! Guarantees 1, 2 and 6: oracle on every message, kept beside the dispatcher from what goes in and comes out alone.
//!
//! They predict what an event does to outbox and waiting room, and are compared with the dispatcher's own numbers after
//! every step: what is lost, doubled, late or out of order shows as a difference.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use spillway_core::dispatcher::AttemptId;
use spillway_core::settings::{Ambiguous, Ordering, Settings, WhenFull};
use spillway_core::stats::Depth;

use super::draining::Draining;
use super::submission_model::{Entry, SubmissionModel};
use super::tickets::Tickets;
use super::violation::{Checked, broken, hold};

pub struct Oracle {
    pub tickets: Tickets,
    pub draining: Draining,
    /// By order of acceptance.
    pub(super) open: BTreeMap<u64, Entry>,
    pub(super) by_name: HashMap<String, u64>,
    pub(super) by_ticket: HashMap<u64, u64>,
    pub(super) lanes: HashMap<String, BTreeSet<u64>>,
    pub(super) waiting: VecDeque<SubmissionModel>,
    pub letters: BTreeMap<String, SubmissionModel>,
    pub(super) recent: HashMap<String, u64>,
    pub(super) flights: HashMap<AttemptId, u64>,
    pub(super) bytes: usize,
    pub(super) ambiguous: Ambiguous,
    pub(super) ordered: bool,
    pub(super) attempts_max: u32,
    connections_max: usize,
    messages_max: usize,
    bytes_max: usize,
    when_full: WhenFull,
    dedupe_us: u64,
    accepted: u64,
}

impl Oracle {
    pub fn new(settings: &Settings) -> Self {
        Self {
            tickets: Tickets::default(),
            draining: Draining::default(),
            open: BTreeMap::new(),
            by_name: HashMap::new(),
            by_ticket: HashMap::new(),
            lanes: HashMap::new(),
            waiting: VecDeque::new(),
            letters: BTreeMap::new(),
            recent: HashMap::new(),
            flights: HashMap::new(),
            bytes: 0,
            ambiguous: settings.retry.ambiguous,
            ordered: settings.ordering == Ordering::Conversation,
            attempts_max: settings.retry.max_attempts,
            connections_max: settings.connections.max,
            messages_max: settings.queue.max_messages,
            bytes_max: settings.queue.max_bytes,
            when_full: settings.queue.when_full,
            dedupe_us: settings.dedupe.as_micros() as u64,
            accepted: 0,
        }
    }

    /// Call before the dispatcher gets it.
    pub fn submit(&mut self, now_us: u64, mut model: SubmissionModel) {
        if model.bytes > self.bytes_max || self.join_duplicate(now_us, &model) {
            if model.bytes > self.bytes_max {
                self.tickets.due(model.ticket);
            }
            return;
        }
        model.born = self.draining.enter();
        if self.waiting.is_empty() && self.has_room(model.bytes) {
            self.admit(model);
        } else if self.when_full == WhenFull::Wait {
            self.waiting.push_back(model);
        } else {
            self.draining.leave(model.born);
            self.tickets.due(model.ticket);
        }
    }

    fn join_duplicate(&mut self, now_us: u64, model: &SubmissionModel) -> bool {
        if !model.id_given {
            return false;
        }
        let seq = self.by_name.get(&model.name).copied();
        let is_remembered = self.recent.get(&model.name).is_some_and(|at| now_us - at < self.dedupe_us);
        match seq.and_then(|seq| Some((seq, self.open.get_mut(&seq)?))) {
            Some((seq, entry)) => {
                // Canceled on the wire, and now wanted again.
                if std::mem::take(&mut entry.canceled) && !model.settles_on_acceptance {
                    entry.waiter = Some(model.ticket);
                    self.by_ticket.insert(model.ticket, seq);
                    return true;
                }
                if !model.settles_on_acceptance {
                    entry.followers.push(model.ticket);
                    self.by_ticket.insert(model.ticket, seq);
                    return true;
                }
            }
            None if self.letters.contains_key(&model.name) || is_remembered => {}
            None => return false,
        }
        self.tickets.due(model.ticket);
        true
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.open.len() < self.messages_max && self.bytes + bytes <= self.bytes_max
    }

    fn admit(&mut self, model: SubmissionModel) {
        self.accepted += 1;
        let seq = self.accepted;
        self.bytes += model.bytes;
        self.by_name.insert(model.name.clone(), seq);
        if !model.is_call {
            self.lanes.entry(model.conversation.clone()).or_default().insert(seq);
        }
        let waiter = (!model.settles_on_acceptance).then_some(model.ticket);
        match waiter {
            Some(ticket) => drop(self.by_ticket.insert(ticket, seq)),
            None => self.tickets.due(model.ticket),
        }
        let entry = Entry {
            model,
            waiter,
            followers: Vec::new(),
            attempts: 0,
            in_flight: false,
            canceled: false,
            accepted_by_server: 0,
            lost_answers: 0,
            is_server_at_fault: false,
            refusals: 0,
        };
        self.open.insert(seq, entry);
    }

    /// The waiting room moves on as far as there is room. The dispatcher does it before it starts anything.
    pub fn admit_ready(&mut self, now_us: u64) {
        while self.admit_first(now_us) {}
    }

    fn admit_first(&mut self, now_us: u64) -> bool {
        if !self.waiting.front().is_some_and(|first| self.has_room(first.bytes)) {
            return false;
        }
        let Some(model) = self.waiting.pop_front() else { return false };
        if model.redriven {
            self.admit_redriven(model);
        } else if self.join_duplicate(now_us, &model) {
            self.draining.leave(model.born);
        } else {
            self.admit(model);
        }
        true
    }

    /// A ticket in the waiting room settles: it has expired there, or everything up to it is admitted.
    pub(super) fn reach(&mut self, now_us: u64, ticket: u64) -> Checked {
        while let Some(index) = self.waiting.iter().position(|model| model.ticket == ticket) {
            if self.waiting[index].expires_us.is_some_and(|at| at <= now_us) {
                let born = self.waiting.remove(index).map_or(0, |model| model.born);
                self.draining.leave(born);
            } else if !self.admit_first(now_us) {
                return broken("6 queue", format!("ticket {ticket} of the waiting room settles without room"));
            }
        }
        Ok(())
    }

    /// A dead letter goes through the door again, if there is one: when there is room, or at once and never.
    pub fn redrive(&mut self, ticket: u64, name: &str) {
        let Some(letter) = self.letters.get(name).cloned() else { return self.tickets.due(ticket) };
        let again = SubmissionModel {
            ticket,
            settles_on_acceptance: true,
            expires_us: None,
            not_before_us: None,
            redriven: true,
            ..letter
        };
        let may_wait = self.when_full == WhenFull::Wait && again.bytes <= self.bytes_max;
        if self.waiting.is_empty() && self.has_room(again.bytes) {
            let born = self.draining.enter();
            self.admit_redriven(SubmissionModel { born, ..again });
        } else if may_wait {
            let born = self.draining.enter();
            self.waiting.push_back(SubmissionModel { born, ..again });
        } else {
            self.tickets.due(ticket);
        }
    }

    /// It is a letter until now, unless it was dropped or redriven meanwhile; another message may have its name then.
    fn admit_redriven(&mut self, model: SubmissionModel) {
        let body = |model: &SubmissionModel| (model.bytes, model.conversation.clone());
        if self.letters.get(&model.name).is_some_and(|letter| body(letter) == body(&model)) {
            self.letters.remove(&model.name);
            self.admit(model);
        } else {
            self.draining.leave(model.born);
            self.tickets.due(model.ticket);
        }
    }

    /// The caller no longer waits. True when a message must become a dead letter by it.
    pub fn cancel(&mut self, ticket: u64) -> bool {
        if !self.tickets.cancel(ticket) || self.draining.cancel(ticket) {
            return false;
        }
        if let Some(index) = self.waiting.iter().position(|model| model.ticket == ticket) {
            let born = self.waiting.remove(index).map_or(0, |model| model.born);
            self.draining.leave(born);
            return false;
        }
        let Some(seq) = self.by_ticket.remove(&ticket) else { return false };
        let Some(entry) = self.open.get_mut(&seq) else { return false };
        entry.followers.retain(|other| *other != ticket);
        if entry.waiter != Some(ticket) {
            return false;
        }
        // The next one that waits takes the place.
        entry.waiter = (!entry.followers.is_empty()).then(|| entry.followers.remove(0));
        if entry.waiter.is_some() {
            return false;
        }
        entry.canceled = true;
        let (is_call, in_flight) = (entry.model.is_call, entry.in_flight);
        if is_call {
            self.end(seq);
        }
        !is_call && !in_flight
    }

    /// After every step.
    pub fn check(&mut self, depth: &Depth) -> Checked {
        self.tickets.check_due()?;
        let own = Depth {
            messages: self.open.len(),
            bytes: self.bytes,
            waiting: self.waiting.len(),
            conversations: self.lanes.len(),
            in_flight: self.flights.len(),
            dead_letters: self.letters.len(),
            refused: depth.refused,
        };
        hold(own == *depth, "1 conservation", || format!("the oracle says {own:?}, the dispatcher {depth:?}"))?;
        let full = self.open.len() > self.messages_max || self.bytes > self.bytes_max;
        hold(!full, "6 queue", || format!("{depth:?} is over the limits"))?;
        let may_wait = self.when_full == WhenFull::Wait || depth.waiting == 0;
        hold(may_wait, "6 queue", || "somebody waits, with whenFull 'reject'".to_owned())?;
        hold(depth.in_flight <= self.connections_max, "6 connections", || format!("{} in flight", depth.in_flight))
    }

    pub fn check_end(&self) -> Checked {
        hold(self.open.is_empty() && self.waiting.is_empty(), "1 nothing left", || {
            format!("{:?}", self.open.first_key_value())
        })?;
        self.tickets.check_end()
    }
}

impl Oracle {
    /// What this ticket waits for.
    pub fn parcel_of(&self, ticket: u64) -> Option<&SubmissionModel> {
        Some(&self.open.get(self.by_ticket.get(&ticket)?)?.model)
    }

    /// The conversation of the message that is on the wire.
    pub fn conversation_of(&self, attempt: AttemptId) -> Option<&str> {
        let model = &self.open.get(self.flights.get(&attempt)?)?.model;
        (!model.is_call).then_some(&*model.conversation)
    }

    /// What could leave by now, as far as its own time and its lane say, by its number: it was never on the wire.
    pub fn ready(&self, now_us: u64) -> impl Iterator<Item = (u64, &SubmissionModel)> {
        let waits = move |entry: &Entry| {
            let is_due = entry.model.not_before_us.is_none_or(|at| at <= now_us);
            entry.attempts == 0 && !entry.in_flight && is_due
        };
        let is_first = |seq: u64, entry: &Entry| {
            let first = self.lanes.get(&entry.model.conversation).and_then(|lane| lane.first());
            entry.model.is_call || first == Some(&seq)
        };
        let ready = self.open.iter().filter(move |(seq, entry)| waits(entry) && is_first(**seq, entry));
        ready.map(|(seq, entry)| (*seq, &entry.model))
    }

    pub fn is_ordered(&self) -> bool {
        self.ordered
    }
}
