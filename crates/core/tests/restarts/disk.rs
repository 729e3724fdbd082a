//! The disk: what is durable, what is on its way to it, and what the dispatcher believes to be there.

use std::collections::{BTreeMap, VecDeque};

use spillway_core::clock::Timestamp;
use spillway_core::message::Cargo;
use spillway_core::outcome::DeadLetter;
use spillway_core::store::{Change, Flight, Handover, Opening, Record, Row, Seq, Settled, Waiting};

/// Messages, letters, receipts and budget.
#[derive(Clone, Default)]
pub struct State {
    pub messages: BTreeMap<Seq, Record>,
    pub letters: Vec<DeadLetter>,
    pub receipts: Vec<Settled>,
    pub last_seq: Seq,
    budget: Option<(Box<str>, Timestamp)>,
    departed: Vec<Timestamp>,
}

#[derive(Default)]
pub struct Disk {
    pub durable: State,
    /// With all that was told, durable or not.
    pub view: State,
    pub pending: VecDeque<(u64, Change)>,
    /// What is not handed over yet; after a crash it is lost.
    pub handover: Handover,
    handed_over: u64,
    /// The numbers with which what was handed over together ends.
    ends: VecDeque<u64>,
    pub up_to: u64,
}

impl Disk {
    pub fn new(handover: Handover) -> Self {
        Self { handover, ..Self::default() }
    }

    pub fn tell(&mut self, now: Timestamp, change: Change) -> Result<(), String> {
        self.view.apply(now, &change)?;
        self.handover.keep(change);
        Ok(())
    }

    /// What goes to the disk now goes together.
    pub fn hand_over(&mut self, sending: bool) {
        for change in self.handover.take(sending) {
            self.handed_over += 1;
            self.pending.push_back((self.handed_over, change));
        }
        if self.ends.back().copied().unwrap_or(self.up_to) < self.handed_over {
            self.ends.push_back(self.handed_over);
        }
    }

    pub fn waiting(&self) -> usize {
        self.ends.len()
    }

    /// Writes the first `count` of what was handed over; what was inserted.
    pub fn write(&mut self, now: Timestamp, count: usize) -> Result<Vec<u32>, String> {
        let mut kept = Vec::new();
        let Some(end) = self.ends.drain(..count).next_back() else { return Ok(kept) };
        while self.pending.front().is_some_and(|(number, _)| *number <= end) {
            let Some((_, change)) = self.pending.pop_front() else { break };
            if let Change::Insert { slot, .. } | Change::Redrive { slot, .. } = &change {
                kept.push(*slot);
            }
            self.durable.apply(now, &change)?;
        }
        self.up_to = end;
        self.handover.settled(kept.len());
        Ok(kept)
    }

    /// Takes out the inserts that wait: the disk is full.
    pub fn refuse(&mut self) -> Vec<u32> {
        let mut refused = Vec::new();
        let view = &mut self.view;
        self.pending.retain(|(_, change)| {
            let Change::Insert { slot, record } = change else { return true };
            refused.push(*slot);
            view.messages.remove(&record.seq);
            false
        });
        if self.pending.is_empty() {
            self.up_to = self.handed_over;
            self.ends.clear();
        }
        self.handover.settled(refused.len());
        refused
    }

    pub fn crash(&mut self, handover: Handover) {
        self.handover = handover;
        self.pending.clear();
        self.ends.clear();
        self.view = self.durable.clone();
        (self.handed_over, self.up_to) = (0, 0);
    }
}

impl State {
    fn apply(&mut self, now: Timestamp, change: &Change) -> Result<(), String> {
        let unknown = |seq: &Seq| format!("{change:?} is about the unknown message {seq}");
        match change {
            Change::Insert { record, .. } => self.insert(record)?,
            Change::Redrive { record, .. } => {
                self.drop_letter(record.message.id())?;
                self.insert(record)?;
            }
            Change::Depart(Flight { batch, members }) => {
                self.departed.push(now);
                for (place, member) in members.iter().enumerate() {
                    let record = self.messages.get_mut(&member.seq).ok_or_else(|| unknown(&member.seq))?;
                    record.attempts = member.attempts;
                    record.first_attempt_at = Some(member.first_attempt_at);
                    record.sent = true;
                    record.batch = batch.map(|first| first + place as u64);
                }
            }
            Change::Return { seq, attempts, first_attempt_at, ambiguous, batch } => {
                let record = self.messages.get_mut(seq).ok_or_else(|| unknown(seq))?;
                (record.attempts, record.ambiguous) = (*attempts, *ambiguous);
                record.first_attempt_at = *first_attempt_at;
                (record.sent, record.batch) = (false, *batch);
            }
            Change::Deliver { seq, id, id_given, conversation, status, attempts, at, .. } => {
                let message = self.messages.remove(seq).ok_or_else(|| unknown(seq))?.message;
                let told = (&**id, *id_given, &**conversation);
                if told != (message.id(), message.id_given(), message.conversation()) {
                    return Err(format!("{change:?} is about {message:?}"));
                }
                let id = id.clone();
                self.receipts.push(Settled { id, status: *status, attempts: *attempts, at: *at });
            }
            Change::Bury { seq, failure, at } => {
                let record = self.messages.remove(seq).ok_or_else(|| unknown(seq))?;
                let (cargo, priority) = (Cargo::Message(record.message), record.priority);
                self.letters.push(DeadLetter { cargo, priority, failure: (**failure).clone(), at: *at });
            }
            Change::DropLetter { id } => self.drop_letter(id)?,
            Change::Save { budget, on_wire } => {
                self.budget = Some((budget.clone(), now));
                self.departed.clear();
                self.is_all(on_wire)?;
            }
        }
        Ok(())
    }

    /// What is saved as being on the wire must be what is there, by all that was told before.
    fn is_all(&self, on_wire: &[(Timestamp, Flight)]) -> Result<(), String> {
        let mut told = BTreeMap::new();
        for (_, Flight { batch, members }) in on_wire {
            for (place, member) in members.iter().enumerate() {
                let batch = batch.map(|first| first + place as u64);
                told.insert(member.seq, (member.attempts, Some(member.first_attempt_at), batch));
            }
        }
        let sent = self.messages.values().filter(|record| record.sent);
        let known: BTreeMap<_, _> =
            sent.map(|record| (record.seq, (record.attempts, record.first_attempt_at, record.batch))).collect();
        if told == known { Ok(()) } else { Err(format!("saved as on the wire: {told:?}, there are {known:?}")) }
    }

    fn insert(&mut self, record: &Record) -> Result<(), String> {
        if record.seq <= self.last_seq {
            return Err(format!("the number {} comes after {}", record.seq, self.last_seq));
        }
        self.last_seq = record.seq;
        let id = record.message.id();
        if self.messages.values().any(|other| other.message.id() == id) || self.has_letter(id) {
            return Err(format!("the id {id} is there twice"));
        }
        let mut record = record.clone();
        record.expires_at = record.expires_at.map(as_a_file_has_it);
        self.messages.insert(record.seq, record);
        Ok(())
    }

    pub fn has_letter(&self, id: &str) -> bool {
        self.letters.iter().any(|letter| letter.cargo.id() == Some(id))
    }

    pub fn has_receipt(&self, id: &str) -> bool {
        self.receipts.iter().any(|settled| &*settled.id == id)
    }

    fn drop_letter(&mut self, id: &str) -> Result<(), String> {
        let index = self.letters.iter().position(|letter| letter.cargo.id() == Some(id));
        index.map(|index| drop(self.letters.remove(index))).ok_or_else(|| format!("there is no letter {id}"))
    }

    /// What a store tells at its opening.
    pub fn rows(&self) -> Vec<Row> {
        let messages = self.messages.values().map(|record| {
            if record.attempts > 0 || record.sent {
                return Row::Started(Box::new(record.clone()));
            }
            Row::Waiting(Waiting {
                seq: record.seq,
                id: record.message.id().into(),
                conversation: record.message.conversation().into(),
                priority: record.priority,
                bytes: record.message.body().len() as u32,
                expires_at: record.expires_at,
            })
        });
        let letters = self.letters.iter().map(|letter| Row::Letter(Box::new(letter.clone())));
        messages.chain(letters).chain(self.receipts.iter().cloned().map(Row::Settled)).collect()
    }

    pub fn opening(&self) -> Opening {
        Opening {
            last_seq: self.last_seq,
            budget: self.budget.as_ref().map(|(json, _)| json.clone()),
            budget_at: self.budget.as_ref().map(|(_, at)| *at),
            departed: self.departed.clone(),
            ..Opening::default()
        }
    }
}

/// In whole milliseconds of another clock, so it comes back a little earlier or later than it was.
fn as_a_file_has_it(at: Timestamp) -> Timestamp {
    let micros = at.as_micros();
    Timestamp::from_micros(micros / 1_000 * 1_000 + micros % 7 * 300)
}
