//! An engine of a test, whose store answers when the test lets it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]

use serde_json::json;
use tokio::sync::mpsc::{Sender, channel};

use super::watchdog::Watchdog;
use super::*;
use crate::clock::Displacement;
use crate::dispatcher::{Hold, Notice};
use crate::lanes::EntryId;
use crate::message::{Message, Parts, Payload, Settle};
use crate::store::{Change, FencingToken, Seq, Store};

/// A disk behind which nothing happens until the test lets it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) changes: Vec<Change>,
    done: u64,
}

#[derive(Debug)]
struct HungStore(Arc<Mutex<Disk>>);

impl Store for HungStore {
    fn apply(&self, _: FencingToken, changes: Vec<Change>) {
        lock(&self.0).changes.extend(changes);
    }

    fn load(&self, _: Vec<(EntryId, Seq)>) {}

    fn close(&self) {}
}

impl Disk {
    /// Everything that was written becomes durable.
    pub(super) fn answer(&mut self, events: &Sender<StoreEvent>) {
        let entry_id_of = |change: Change| match change {
            Change::Insert { entry_id, .. } | Change::Redrive { entry_id, .. } => Some(entry_id),
            _ => None,
        };
        self.done += self.changes.len() as u64;
        let kept = self.changes.drain(..).filter_map(entry_id_of).collect();
        events.try_send(StoreEvent::Committed { up_to: self.done, kept }).unwrap();
    }
}

#[derive(Default)]
struct Ear(Mutex<Vec<Completion>>);

impl Sink for Ear {
    fn complete(&self, completions: Vec<Completion>, _: &Clock) {
        lock(&self.0).extend(completions);
    }
}

/// An engine whose clock the test moves, with one session, of the handle 1, who listens for outages.
pub(super) struct Fixture {
    pub(super) engine: Engine,
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) events: Sender<StoreEvent>,
    ear: Arc<Ear>,
    passed: Duration,
    _directory: tempfile::TempDir,
}

pub(super) const HANDLE: u32 = 1;

impl Fixture {
    pub(super) async fn new(organization: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outbox.db");
        let options = json!({
            "organization": organization, "apiUrl": "http://127.0.0.1:1", "credentials": { "accessToken": "token" },
            "route": "messaging", "store": format!("file:{}", path.display()),
            "rateLimit": { "requests": 1_000, "perMs": 1_000 },
        });
        let settings = Arc::new(Settings::from_json(&options.to_string()).unwrap());
        let client = Client::new(Arc::clone(&settings)).unwrap();
        let (_, inbox) = unbounded_channel();
        let mut engine = Engine::new(settings, client, Clock::start(), inbox, Arc::default(), None);
        assert!(engine.open_store().await.is_ok());
        let (disk, (teller, events)) = (Arc::default(), channel(64));
        let store = Box::new(HungStore(Arc::clone(&disk)));
        engine.persistence =
            Some(Persistence::of(store, events, Watchdog::new(path.display().to_string().into(), engine.clock.now())));
        let ear = Arc::new(Ear::default());
        engine.command(Command::Join(HANDLE, Arc::clone(&ear) as Arc<dyn Sink>));
        engine.command(Command::Listen(HANDLE, Interest::of(["outage"])));
        let mut fixture = Self { engine, disk, events: teller, ear, passed: Duration::ZERO, _directory: directory };
        fixture.turn();
        fixture.answer();
        fixture.heard();
        fixture
    }

    /// Waits until the token is there, without which nothing leaves.
    pub(super) async fn token(&mut self) {
        while self.engine.tokens[0].is_none() {
            self.engine.take_in().await;
            self.engine.finish_turn();
            self.engine.turn.begin();
        }
    }

    /// What a turn does once something has woken the engine.
    pub(super) fn turn(&mut self) {
        while let Some(events) = self.engine.persistence.as_mut().and_then(Persistence::try_next) {
            self.engine.store_event(Some(events));
        }
        self.engine.watch_store();
        self.engine.finish_turn();
        self.engine.turn.begin();
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.passed += span;
        let displacement = Displacement { suspended: self.passed, ..Displacement::default() };
        self.engine.clock = self.engine.clock.displaced(displacement);
        self.turn();
    }

    /// Passes the time that a store has for an answer, whatever the machine has taken of it; nothing, if that isn't
    /// counted.
    pub(super) fn pass_patience(&mut self) {
        let due = self.engine.persistence.as_ref().and_then(|persistence| persistence.watchdog.due());
        self.pass(due.map_or(Duration::ZERO, |due| due.since(self.engine.clock.now())));
    }

    pub(super) fn answer(&mut self) {
        lock(&self.disk).answer(&self.events);
        self.turn();
    }

    pub(super) fn heard(&mut self) -> Vec<Completion> {
        // Completions may wait to be told with others.
        let session = self.engine.sessions.get_mut(&HANDLE).unwrap();
        let late = std::mem::take(&mut session.completions);
        let mut heard = std::mem::take(&mut *lock(&self.ear.0));
        heard.extend(late);
        heard
    }

    pub(super) fn submit(&mut self, number: u64) {
        self.submit_for(number, Settle::OnAcceptance);
    }

    pub(super) fn submit_for(&mut self, number: u64, settle: Settle) {
        let id = format!("m{number}");
        let parts = Parts { id: &id, id_given: true, conversation: &id, body: "{}", ..Parts::default() };
        let submission = Submission {
            ticket: Ticket { handle: HANDLE, number },
            settle,
            payload: Payload::Message(Message::new(parts).unwrap()),
            priority: 0,
            expires_at: None,
            not_before: None,
        };
        self.engine.command(Command::Submit(vec![submission]));
        self.turn();
    }

    pub(super) fn problem(&self) -> Option<Error> {
        self.engine.dispatcher.snapshot(self.engine.clock.now()).store.and_then(|store| store.problem)
    }

    pub(super) fn is_held_by_store(&self, id: &str) -> bool {
        let explanation = self.engine.dispatcher.explain(self.engine.clock.now(), id).unwrap();
        explanation.holds.iter().any(|(hold, _)| *hold == Hold::Store)
    }
}

/// What was heard, as text.
pub(super) fn lines(heard: Vec<Completion>) -> Vec<String> {
    let line = |completion| match completion {
        Completion::Event(Happening::Notice(Notice::Outage { reason, open, .. })) => format!("outage {reason} {open}"),
        Completion::Accepted { ticket, .. } => format!("accepted {ticket}"),
        Completion::Failed(ticket, error) => format!("failed {ticket} {}", error.code()),
        _ => "another".to_owned(),
    };
    heard.into_iter().map(line).collect()
}
