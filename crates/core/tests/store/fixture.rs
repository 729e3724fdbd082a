//! A store under test, and what it tells.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use bytes::Bytes;
use spillway_core::clock::{Clock, Displacement, Timestamp};
use spillway_core::error::{Error, StoreErrorKind};
use spillway_core::lanes::EntryId;
use spillway_core::message::{Message, Parts, Payload};
use spillway_core::outcome::{DeliveryFailure, Reason, Response};
use spillway_core::store::file::{Options, SqliteStore};
use spillway_core::store::{Change, Departure, FencingToken, Flight, Opening, Record, Row, Store, StoreEvent};
use tempfile::TempDir;

pub const PATIENCE: Duration = Duration::from_secs(20);

/// A directory of its own with the path of a store in it.
pub fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    (directory, path)
}

pub fn options(path: &Path) -> Options {
    let doubt = Duration::from_millis(6);
    Options { patience: Duration::from_millis(200), doubt, ..Options::new(path, "acme") }
}

/// A store, and the claim that its opening has made.
pub struct Owned {
    store: Box<dyn Store>,
    pub token: FencingToken,
}

impl Owned {
    pub fn new(store: Box<dyn Store>, token: FencingToken) -> Self {
        Self { store, token }
    }

    pub fn apply(&self, changes: Vec<Change>) {
        self.store.apply(self.token, changes);
    }

    pub fn load(&self, messages: Vec<(EntryId, u64)>) {
        self.store.load(messages);
    }

    pub fn close(&self) {
        self.store.close();
    }
}

pub struct Fixture {
    pub store: Owned,
    pub news: Receiver<StoreEvent>,
    pub clock: Clock,
    pub opening: Opening,
    pub found: Vec<Row>,
    /// Up to where changes are told to be durable, and the slots kept and refused so far.
    pub up_to: u64,
    pub kept: Vec<EntryId>,
    pub refused: Vec<(EntryId, Error)>,
    pub degraded: Vec<Error>,
    pub restored: usize,
    /// Why another owner has the store since.
    pub disowned: Option<Error>,
    is_degraded: bool,
    /// What became of damaged files since.
    pub set_aside: Vec<PathBuf>,
    pub unreadable: u64,
    pub unreadable_pages: u64,
}

impl Fixture {
    pub fn open(path: &Path) -> Self {
        Self::try_open(options(path)).unwrap()
    }

    pub fn try_open(options: Options) -> Result<Self, Error> {
        Self::try_open_with(options, || {})
    }

    /// The same, with something that the store's thread does each time when it has told of trouble.
    pub fn try_open_with(options: Options, in_trouble: impl FnMut() + Send + 'static) -> Result<Self, Error> {
        Self::open_by(Clock::start(), options, in_trouble)
    }

    /// Opens it on a machine with these clocks.
    pub fn open_displaced(path: &Path, displacement: Displacement) -> Self {
        Self::open_on(displacement, options(path))
    }

    /// The same, with these options.
    pub fn open_on(displacement: Displacement, options: Options) -> Self {
        Self::open_by(Clock::start().displaced(displacement), options, || {}).unwrap()
    }

    fn open_by(clock: Clock, options: Options, mut in_trouble: impl FnMut() + Send + 'static) -> Result<Self, Error> {
        let (tell, news) = mpsc::channel();
        let mut is_degraded = false;
        let listener = move |news| {
            let was_ill = is_degraded;
            is_degraded =
                matches!(news, StoreEvent::Degraded(_)) || is_degraded && !matches!(news, StoreEvent::Restored(_));
            drop(tell.send(news));
            if is_degraded && !was_ill {
                in_trouble();
            }
        };
        let store = SqliteStore::open(options, clock, Box::new(listener)).unwrap();
        let mut found = Vec::new();
        loop {
            match news.recv_timeout(PATIENCE).unwrap() {
                StoreEvent::Found(rows) => {
                    assert!(rows.len() <= 512);
                    found.extend(rows);
                }
                StoreEvent::Opened(opening) => {
                    return Ok(Self {
                        store: Owned::new(Box::new(store), opening.token),
                        news,
                        clock,
                        opening,
                        found,
                        up_to: 0,
                        kept: Vec::new(),
                        refused: Vec::new(),
                        degraded: Vec::new(),
                        restored: 0,
                        disowned: None,
                        is_degraded: false,
                        set_aside: Vec::new(),
                        unreadable: 0,
                        unreadable_pages: 0,
                    });
                }
                StoreEvent::Failed(error) => return Err(error),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Where the damaged file is kept that the opening has replaced.
    pub fn aside(&self) -> Option<PathBuf> {
        self.opening.salvage.set_aside.as_deref().map(PathBuf::from)
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Takes one more piece of news in; whether there was one in time.
    pub fn hear(&mut self, patience: Duration) -> bool {
        let news = self.news.recv_timeout(patience);
        news.map(|news| self.take_in(news)).is_ok()
    }

    pub fn take_in(&mut self, news: StoreEvent) {
        match news {
            StoreEvent::Committed { up_to, kept } => {
                assert!(up_to > self.up_to);
                assert!(kept.is_empty() || !self.is_degraded, "kept before it was known that anything can be");
                self.up_to = up_to;
                self.kept.extend(kept);
            }
            StoreEvent::Refused(entry_ids, error) => {
                self.refused.extend(entry_ids.into_iter().map(|entry_id| (entry_id, error.clone())))
            }
            StoreEvent::Degraded(error) => {
                // Trouble whose reason changes is still the same.
                if self.is_degraded {
                    self.degraded.pop();
                }
                self.degraded.push(error);
                self.is_degraded = true;
            }
            StoreEvent::Disowned(error) => {
                assert!(self.disowned.replace(error).is_none(), "it is told once");
                self.is_degraded = true;
            }
            StoreEvent::Restored(salvage) => {
                self.restored += 1;
                self.is_degraded = false;
                self.unreadable += salvage.unreadable;
                self.unreadable_pages += salvage.unreadable_parts;
                self.set_aside.extend(salvage.set_aside.as_deref().map(PathBuf::from));
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        while !done(self) {
            assert!(self.hear(PATIENCE), "nothing came: {} done, {:?}, {:?}", self.up_to, self.refused, self.degraded);
        }
    }

    pub fn settled(&mut self, up_to: u64) {
        self.until(|fixture| fixture.up_to >= up_to);
    }

    /// Listens for as long as that takes.
    pub fn listen(&mut self, patience: Duration) {
        while self.hear(patience) {}
    }

    pub fn load(&mut self, seqs: &[u64]) -> Vec<Option<Box<Record>>> {
        self.store.load(seqs.iter().map(|seq| (0, *seq)).collect());
        loop {
            match self.news.recv_timeout(PATIENCE).unwrap() {
                StoreEvent::Loaded(loaded) => return loaded.into_iter().map(|(_, _, record)| record.ok()).collect(),
                StoreEvent::Committed { up_to, kept } => {
                    self.up_to = up_to;
                    self.kept.extend(kept);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn close(self) {
        self.store.close();
        loop {
            match self.news.recv_timeout(PATIENCE).unwrap() {
                StoreEvent::Closed => return,
                StoreEvent::Committed { .. }
                | StoreEvent::Restored(_)
                | StoreEvent::Degraded(_)
                | StoreEvent::Refused(..) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn id_of(seq: u64) -> String {
    format!("m-{seq}")
}

fn conversation_of(seq: u64) -> String {
    format!("c-{}", seq % 7)
}

pub fn record(seq: u64, at: Timestamp) -> Record {
    sized(seq, at, 300)
}

pub fn sized(seq: u64, at: Timestamp, bytes: usize) -> Record {
    let message = Message::new(Parts {
        id: &id_of(seq),
        id_given: true,
        conversation: &conversation_of(seq),
        body: &char::from(b'a' + u8::try_from(seq % 26).unwrap()).to_string().repeat(bytes),
        ..Parts::default()
    })
    .unwrap();
    Record::new(seq, message, at)
}

/// The same message by another id.
pub fn renamed(message: &Message, id: &str) -> Message {
    let parts = Parts {
        id,
        id_given: message.id_given(),
        conversation: message.conversation(),
        body: message.body(),
        ..Parts::default()
    };
    Message::new(parts).unwrap()
}

pub fn insert(seq: u64, at: Timestamp) -> Change {
    Change::Insert { entry_id: EntryId::try_from(seq).unwrap(), record: Box::new(record(seq, at)) }
}

pub fn inserts(seqs: impl IntoIterator<Item = u64>, at: Timestamp) -> Vec<Change> {
    seqs.into_iter().map(|seq| insert(seq, at)).collect()
}

pub fn depart(seq: u64, at: Timestamp) -> Change {
    Change::Depart(Flight { batch: None, members: vec![Departure { seq, attempts: 1, first_attempt_at: at }] })
}

pub fn deliver(seq: u64, at: Timestamp) -> Change {
    Change::Deliver {
        seq,
        id: id_of(seq).into(),
        id_given: true,
        conversation: conversation_of(seq).into(),
        status: 202,
        attempts: 1,
        batch_size: 1,
        queued: Duration::from_millis(5),
        at,
    }
}

/// A budget, with this on the wire.
pub fn save(budget: impl Into<Box<str>>, on_wire: impl IntoIterator<Item = Flight>, at: Timestamp) -> Change {
    Change::Save { budget: budget.into(), on_wire: on_wire.into_iter().map(|flight| (at, flight)).collect() }
}

pub fn bury(seq: u64, at: Timestamp) -> Change {
    Change::Bury { seq, failure: Box::new(failure(seq)), at }
}

pub fn failure(seq: u64) -> DeliveryFailure {
    DeliveryFailure {
        reason: Reason::Rejected,
        id: Some(format!("m-{seq}").into()),
        response: Some(Response {
            status: 400,
            body: Bytes::from_static(b"no"),
            truncated: true,
            ..Response::default()
        }),
        attempts: 3,
        ambiguous: false,
        problem: Some("it was refused".into()),
    }
}

/// The numbers of the messages that were found.
pub fn seqs(found: &[Row]) -> Vec<u64> {
    let seq = |row: &Row| match row {
        Row::Waiting(waiting) => Some(waiting.seq),
        Row::Started(record) => Some(record.seq),
        _ => None,
    };
    found.iter().filter_map(seq).collect()
}

/// The numbers of the messages that were found as sent.
pub fn sent(found: &[Row]) -> Vec<u64> {
    let seq = |row: &Row| match row {
        Row::Started(record) if record.sent => Some(record.seq),
        _ => None,
    };
    found.iter().filter_map(seq).collect()
}

/// The ids of the dead letters that were found.
pub fn letters(found: &[Row]) -> Vec<String> {
    let id = |row: &Row| match row {
        Row::Letter(letter) => match &letter.payload {
            Payload::Message(message) => Some(message.id().to_owned()),
            Payload::Call(_) => None,
        },
        _ => None,
    };
    found.iter().filter_map(id).collect()
}

/// The ids that count as known.
pub fn settled_ids(found: &[Row]) -> Vec<String> {
    let id = |row: &Row| match row {
        Row::Settled(settled) => Some(settled.id.to_string()),
        _ => None,
    };
    found.iter().filter_map(id).collect()
}

pub fn kind_of(error: &Error) -> StoreErrorKind {
    match error {
        Error::Store { kind, .. } => *kind,
        other => panic!("{other:?}"),
    }
}
