//! The disk of the simulated restarts as a store: what the dispatcher is simulated with keeps the same contract.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use spillway_core::clock::Clock;
use spillway_core::error::{Error, StoreErrorKind};
use spillway_core::lanes::EntryId;
use spillway_core::store::{Change, FencingToken, Opening, Seq, Store, StoreEvent, Unreadable, WriteQueue};

use super::medium::Medium;
use crate::disk::Disk;

const ROWS: usize = 100;

struct State {
    disk: Disk,
    /// Of the last claim.
    token: FencingToken,
    is_broken: bool,
    /// The process has ended.
    is_cut: bool,
    stores: Vec<Weak<DiskStore>>,
}

pub struct SimulatedDisk(Arc<Mutex<State>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimulatedDisk {
    pub fn new() -> Self {
        let clock = Clock::start();
        let disk = Disk::new(WriteQueue::default(), clock.now(), &clock.moment());
        let token = FencingToken::default();
        Self(Arc::new(Mutex::new(State { disk, token, is_broken: false, is_cut: false, stores: Vec::new() })))
    }

    fn break_down_if(&self, is_broken: bool) {
        lock(&self.0).is_broken = is_broken;
        let stores: Vec<_> = lock(&self.0).stores.iter().filter_map(Weak::upgrade).collect();
        stores.iter().for_each(|store| store.work());
    }
}

impl Medium for SimulatedDisk {
    fn open(&self, clock: Clock, mut tell: Box<dyn FnMut(StoreEvent) + Send>) -> Box<dyn Store> {
        let mut state = lock(&self.0);
        state.disk.begin(clock.now(), &clock.moment());
        state.token = FencingToken::new(state.token.number() + 1);
        let mut rows = state.disk.rows().into_iter().peekable();
        while rows.peek().is_some() {
            tell(StoreEvent::Found(rows.by_ref().take(ROWS).collect()));
        }
        tell(StoreEvent::Opened(Opening { token: state.token, ..state.disk.opening() }));
        let run = Run { tell, waiting: VecDeque::new(), number: 0, is_degraded: false, is_disowned: false };
        let store =
            Arc::new(DiskStore { shared: Arc::clone(&self.0), token: state.token, clock, run: Mutex::new(run) });
        state.stores.push(Arc::downgrade(&store));
        Box::new(Handle(store))
    }

    fn cut(&self) {
        lock(&self.0).is_cut = true;
    }

    fn restart(&self) {
        lock(&self.0).is_cut = false;
    }

    fn break_down(&self) {
        self.break_down_if(true);
    }

    fn recover(&self) {
        self.break_down_if(false);
    }

    /// A claim takes the store from its owner at once.
    fn let_go(&self) {}
}

/// What one claim has taken over.
struct Run {
    tell: Box<dyn FnMut(StoreEvent) + Send>,
    waiting: VecDeque<Change>,
    /// Of the last change.
    number: u64,
    is_degraded: bool,
    is_disowned: bool,
}

struct DiskStore {
    shared: Arc<Mutex<State>>,
    token: FencingToken,
    clock: Clock,
    run: Mutex<Run>,
}

#[derive(Debug)]
struct Handle(Arc<DiskStore>);

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DiskStore").field(&self.token).finish()
    }
}

impl DiskStore {
    /// Writes what waits, if it can.
    fn work(&self) {
        let (mut state, mut run) = (lock(&self.shared), lock(&self.run));
        if state.is_cut {
            return;
        }
        if state.token != self.token {
            if !std::mem::replace(&mut run.is_disowned, true) {
                (run.tell)(StoreEvent::Disowned(problem("has another owner")));
            }
            return run.refuse_inserts("has another owner");
        }
        if state.is_broken {
            if !std::mem::replace(&mut run.is_degraded, true) {
                (run.tell)(StoreEvent::Degraded(problem("takes no writes")));
            }
            return run.refuse_inserts("takes no writes");
        }
        if std::mem::take(&mut run.is_degraded) {
            (run.tell)(StoreEvent::Restored(spillway_core::store::Salvage::default()));
        }
        let (now, mut kept) = (self.clock.now(), Vec::new());
        let waiting = std::mem::take(&mut run.waiting);
        if waiting.is_empty() {
            return;
        }
        for change in waiting {
            state.disk.commit(now, &change).unwrap();
            kept.extend(insertion(&change));
        }
        state.disk.read_clocks(now, &self.clock.moment());
        let up_to = run.number;
        (run.tell)(StoreEvent::Committed { up_to, kept });
    }
}

impl Run {
    fn refuse_inserts(&mut self, why: &str) {
        let refused: Vec<EntryId> = self.waiting.iter().filter_map(insertion).collect();
        if refused.is_empty() {
            return;
        }
        self.waiting.retain(|change| insertion(change).is_none());
        (self.tell)(StoreEvent::Refused(refused, problem(why)));
        if self.waiting.is_empty() {
            let up_to = self.number;
            (self.tell)(StoreEvent::Committed { up_to, kept: Vec::new() });
        }
    }
}

impl Store for Handle {
    fn apply(&self, token: FencingToken, changes: Vec<Change>) {
        assert_eq!(token, self.0.token);
        let mut run = lock(&self.0.run);
        run.number += changes.len() as u64;
        run.waiting.extend(changes);
        drop(run);
        self.0.work();
    }

    fn load(&self, messages: Vec<(EntryId, Seq)>) {
        let state = lock(&self.0.shared);
        let loaded = messages
            .into_iter()
            .map(|(entry_id, seq)| (entry_id, seq, state.disk.load(seq).ok_or_else(Unreadable::default)))
            .collect();
        (lock(&self.0.run).tell)(StoreEvent::Loaded(loaded));
    }

    fn close(&self) {
        self.0.work();
        (lock(&self.0.run).tell)(StoreEvent::Closed);
    }
}

fn insertion(change: &Change) -> Option<EntryId> {
    match change {
        Change::Insert { entry_id, .. } | Change::Redrive { entry_id, .. } => Some(*entry_id),
        _ => None,
    }
}

fn problem(what: &str) -> Error {
    Error::Store { kind: StoreErrorKind::Locked, problem: format!("the simulated disk {what}") }
}
