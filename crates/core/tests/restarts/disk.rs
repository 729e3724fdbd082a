//! The disk: what is durable, what is on its way to it, and what the dispatcher believes to be there.

use std::collections::{BTreeMap, VecDeque};

use spillway_core::clock::{Moment, Timestamp};
use spillway_core::message::Payload;
use spillway_core::outcome::DeadLetter;
use spillway_core::store::calendar::{Calendar, Reading};
use spillway_core::store::{Change, Flight, Opening, Record, Row, Seq, Settled, Waiting, WriteQueue};

/// Attempts, place in a batch, and first attempt of a message that is on the wire.
type Known = (u32, Option<u64>, Option<Timestamp>);

/// Messages, letters, receipts and budget, with all times in the store's time.
#[derive(Clone, Default)]
pub struct State {
    pub messages: BTreeMap<Seq, Record>,
    pub letters: Vec<DeadLetter>,
    pub receipts: Vec<Settled>,
    pub last_seq: Seq,
    budget: Option<(Box<str>, Timestamp)>,
    departed: Vec<Timestamp>,
}

pub struct Disk {
    calendar: Calendar,
    /// What the next run knows of this one's clocks.
    reading: Reading,
    pub durable: State,
    /// With all that was told, durable or not.
    pub view: State,
    pub pending: VecDeque<(u64, Change)>,
    /// What is not handed over yet; after a crash it is lost.
    pub write_queue: WriteQueue,
    handed_over: u64,
    /// The numbers with which what was handed over together ends.
    ends: VecDeque<u64>,
    pub up_to: u64,
}

impl Disk {
    /// An empty one, of a run that begins at `now`.
    pub fn new(write_queue: WriteQueue, now: Timestamp, moment: &Moment) -> Self {
        let calendar = Calendar::begin(None, None, now, moment);
        Self {
            reading: calendar.reading(now, moment),
            calendar,
            durable: State::default(),
            view: State::default(),
            pending: VecDeque::new(),
            write_queue,
            handed_over: 0,
            ends: VecDeque::new(),
            up_to: 0,
        }
    }

    /// The next run begins.
    pub fn begin(&mut self, now: Timestamp, moment: &Moment) {
        let known_ms = self.durable.latest().map(store_ms);
        self.calendar = Calendar::begin(Some(&self.reading), known_ms, now, moment);
        self.read_clocks(now, moment);
    }

    pub fn read_clocks(&mut self, now: Timestamp, moment: &Moment) {
        self.reading = self.calendar.reading(now, moment);
    }

    /// A message as it is read from the disk.
    pub fn load(&self, seq: Seq) -> Option<Box<Record>> {
        let record = self.durable.messages.get(&seq)?;
        Some(Box::new(translated(record, &|at| self.calendar.at(store_ms(at)))))
    }

    pub fn rows(&self) -> Vec<Row> {
        self.durable.rows(&self.calendar)
    }

    pub fn opening(&self) -> Opening {
        self.durable.opening(&self.calendar)
    }

    pub fn tell(&mut self, now: Timestamp, change: Change) -> Result<(), String> {
        self.view.apply(&self.calendar, now, &change)?;
        self.write_queue.keep(change);
        Ok(())
    }

    /// What goes to the disk now goes together.
    pub fn hand_over(&mut self, sending: bool) {
        for change in self.write_queue.take(sending) {
            self.handed_over += 1;
            self.pending.push_back((self.handed_over, change));
        }
        if self.ends.back().copied().unwrap_or(self.up_to) < self.handed_over {
            self.ends.push_back(self.handed_over);
        }
    }

    /// Writes a change at once.
    #[allow(dead_code, reason = "each test crate uses a part of it")]
    pub fn commit(&mut self, now: Timestamp, change: &Change) -> Result<(), String> {
        self.durable.apply(&self.calendar, now, change)
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
            if let Change::Insert { entry_id, .. } | Change::Redrive { entry_id, .. } = &change {
                kept.push(*entry_id);
            }
            self.durable.apply(&self.calendar, now, &change)?;
        }
        self.up_to = end;
        self.write_queue.settled(kept.len());
        Ok(kept)
    }

    /// Takes out the inserts that wait: the disk is full.
    pub fn refuse(&mut self) -> Vec<u32> {
        let mut refused = Vec::new();
        let view = &mut self.view;
        self.pending.retain(|(_, change)| {
            let Change::Insert { entry_id, record } = change else { return true };
            refused.push(*entry_id);
            view.messages.remove(&record.seq);
            false
        });
        if self.pending.is_empty() {
            self.up_to = self.handed_over;
            self.ends.clear();
        }
        self.write_queue.settled(refused.len());
        refused
    }

    pub fn crash(&mut self, write_queue: WriteQueue) {
        self.write_queue = write_queue;
        self.pending.clear();
        self.ends.clear();
        self.view = self.durable.clone();
        (self.handed_over, self.up_to) = (0, 0);
    }
}

impl State {
    fn apply(&mut self, calendar: &Calendar, now: Timestamp, change: &Change) -> Result<(), String> {
        let stored = |at| stored(calendar, at);
        let unknown = |seq: &Seq| format!("{change:?} is about the unknown message {seq}");
        match change {
            Change::Insert { record, .. } => self.insert(translated(record, &stored))?,
            Change::Redrive { record, .. } => {
                self.drop_letter(record.message.id())?;
                self.insert(translated(record, &stored))?;
            }
            Change::Depart(Flight { batch, members }) => {
                self.departed.push(stored(now));
                for (place, member) in members.iter().enumerate() {
                    let record = self.messages.get_mut(&member.seq).ok_or_else(|| unknown(&member.seq))?;
                    record.attempts = member.attempts;
                    record.first_attempt_at = Some(stored(member.first_attempt_at));
                    record.sent = true;
                    record.batch = batch.map(|first| first + place as u64);
                }
            }
            Change::Return { seq, attempts, first_attempt_at, ambiguous, batch } => {
                let record = self.messages.get_mut(seq).ok_or_else(|| unknown(seq))?;
                (record.attempts, record.ambiguous) = (*attempts, *ambiguous);
                record.first_attempt_at = first_attempt_at.map(stored);
                (record.sent, record.batch) = (false, *batch);
            }
            Change::Deliver { seq, id, id_given, conversation, status, attempts, at, .. } => {
                let message = self.messages.remove(seq).ok_or_else(|| unknown(seq))?.message;
                let told = (&**id, *id_given, &**conversation);
                if told != (message.id(), message.id_given(), message.conversation()) {
                    return Err(format!("{change:?} is about {message:?}"));
                }
                let id = id.clone();
                self.receipts.push(Settled { id, status: *status, attempts: *attempts, at: stored(*at) });
            }
            Change::Bury { seq, failure, at } => {
                let record = self.messages.remove(seq).ok_or_else(|| unknown(seq))?;
                let (payload, priority) = (Payload::Message(record.message), record.priority);
                self.letters.push(DeadLetter { payload, priority, failure: (**failure).clone(), at: stored(*at) });
            }
            Change::DropLetter { id } => self.drop_letter(id)?,
            Change::Save { budget, on_wire } => {
                self.budget = Some((budget.clone(), stored(now)));
                self.departed.clear();
                self.carry_on(calendar, on_wire)?;
            }
        }
        Ok(())
    }

    /// What is saved as being on the wire must be what is there, by all that was told before. When a request was made
    /// is told before it leaves, and takes the place of its departure until then.
    fn carry_on(&mut self, calendar: &Calendar, on_wire: &[(Timestamp, Flight)]) -> Result<(), String> {
        let mut told: BTreeMap<u64, Known> = BTreeMap::new();
        for (_, Flight { batch, members }) in on_wire {
            for (place, member) in members.iter().enumerate() {
                let batch = batch.map(|first| first + place as u64);
                told.insert(member.seq, (member.attempts, batch, Some(stored(calendar, member.first_attempt_at))));
            }
        }
        let sent = self.messages.values().filter(|record| record.sent);
        let known: BTreeMap<u64, Known> =
            sent.map(|record| (record.seq, (record.attempts, record.batch, record.first_attempt_at))).collect();
        let agree = |((seq, one), (other_seq, other)): ((&u64, &Known), (&u64, &Known))| {
            seq == other_seq && (one.0, one.1) == (other.0, other.1) && one.2 >= other.2
        };
        if told.len() != known.len() || !told.iter().zip(&known).all(agree) {
            return Err(format!("saved as on the wire: {told:?}, there are {known:?}"));
        }
        for (seq, (_, _, first_attempt_at)) in told {
            self.messages.entry(seq).and_modify(|record| record.first_attempt_at = first_attempt_at);
        }
        Ok(())
    }

    fn insert(&mut self, record: Record) -> Result<(), String> {
        if record.seq <= self.last_seq {
            return Err(format!("the number {} comes after {}", record.seq, self.last_seq));
        }
        self.last_seq = record.seq;
        let id = record.message.id();
        if self.messages.values().any(|other| other.message.id() == id) || self.has_letter(id) {
            return Err(format!("the id {id} is there twice"));
        }
        self.messages.insert(record.seq, record);
        Ok(())
    }

    pub fn has_letter(&self, id: &str) -> bool {
        self.letters.iter().any(|letter| letter.payload.id() == Some(id))
    }

    pub fn has_receipt(&self, id: &str) -> bool {
        self.receipts.iter().any(|settled| &*settled.id == id)
    }

    fn drop_letter(&mut self, id: &str) -> Result<(), String> {
        let index = self.letters.iter().position(|letter| letter.payload.id() == Some(id));
        index.map(|index| drop(self.letters.remove(index))).ok_or_else(|| format!("there is no letter {id}"))
    }

    /// The latest time that is surely known.
    fn latest(&self) -> Option<Timestamp> {
        self.departed.iter().copied().chain(self.budget.as_ref().map(|(_, at)| *at)).max()
    }

    /// What a store tells at its opening.
    fn rows(&self, calendar: &Calendar) -> Vec<Row> {
        let told = |at| calendar.at(store_ms(at));
        let messages = self.messages.values().map(|record| {
            let record = translated(record, &told);
            if record.attempts > 0 || record.sent || record.ambiguous || record.batch.is_some() {
                if record.sent || record.batch.is_some() {
                    return Row::Started(Box::new(record));
                }
                // As if every body were a large one.
                let body_bytes = Some(record.message.body().len() as u32);
                return Row::Started(Box::new(Record { body_bytes, message: record.message.without_body(), ..record }));
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
        let letters = self.letters.iter().map(|letter| {
            let letter = DeadLetter { at: told(letter.at), ..letter.clone() };
            Row::Letter(Box::new(letter))
        });
        let receipts = self.receipts.iter().map(|settled| {
            let at = calendar.remembered_at(store_ms(settled.at));
            Row::Settled(Settled { at, ..settled.clone() })
        });
        messages.chain(letters).chain(receipts).collect()
    }

    fn opening(&self, calendar: &Calendar) -> Opening {
        let told = |at| calendar.at_undoubted(store_ms(at));
        Opening {
            last_seq: self.last_seq,
            budget: self.budget.as_ref().map(|(json, _)| json.clone()),
            budget_at: self.budget.as_ref().map(|(_, at)| told(*at)),
            departed: self.departed.iter().copied().map(told).collect(),
            ..Opening::default()
        }
    }
}

/// A time of the store: in whole milliseconds, and on a clock of its own, so that it comes back a little earlier or
/// later than it was.
fn stored(calendar: &Calendar, at: Timestamp) -> Timestamp {
    Timestamp::from_micros(calendar.ms(at) * 1_000)
}

fn store_ms(at: Timestamp) -> u64 {
    at.as_micros() / 1_000
}

/// The same message with its times on another clock.
fn translated(record: &Record, time: &dyn Fn(Timestamp) -> Timestamp) -> Record {
    Record {
        submitted_at: time(record.submitted_at),
        expires_at: record.expires_at.map(time),
        not_before: record.not_before.map(time),
        first_attempt_at: record.first_attempt_at.map(time),
        ..record.clone()
    }
}
