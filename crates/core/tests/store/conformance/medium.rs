//! What a store is kept on, and one claim of it.

use std::sync::mpsc::{self, Receiver};

use spillway_core::clock::{Clock, Timestamp};
use spillway_core::error::Error;
use spillway_core::lanes::EntryId;
use spillway_core::store::{Change, Opening, Record, Row, Store, StoreEvent};

use crate::fixture::{Owned, PATIENCE};

/// What the stores of a test share: the place where what is durable is.
pub trait Medium {
    /// Begins to open the store that is there.
    fn open(&self, clock: Clock, tell: Box<dyn FnMut(StoreEvent) + Send>) -> Box<dyn Store>;

    /// The owner's process is about to end: from now on nothing that it does comes to the medium.
    fn cut(&self);

    /// It has ended, and the next one may come.
    fn restart(&self);

    /// Nothing can be written, until [`Self::recover`].
    fn break_down(&self);

    fn recover(&self);

    /// Lets another owner claim the store although there is one.
    fn let_go(&self);
}

/// A store that is open, and what it has told.
pub struct Claimed<'a> {
    medium: &'a dyn Medium,
    owned: Owned,
    news: Receiver<StoreEvent>,
    clock: Clock,
    pub opening: Opening,
    pub found: Vec<Row>,
    /// How many rows came together, each time.
    pub parts: Vec<usize>,
    pub up_to: u64,
    pub kept: Vec<EntryId>,
    pub refused: Vec<EntryId>,
    pub troubles: usize,
    pub recoveries: usize,
    pub disowned: Option<Error>,
}

impl<'a> Claimed<'a> {
    pub fn open(medium: &'a dyn Medium) -> Self {
        let (clock, (tell, news)) = (Clock::start(), mpsc::channel());
        let store = medium.open(clock, Box::new(move |news| drop(tell.send(news))));
        let (mut found, mut parts) = (Vec::new(), Vec::new());
        let opening = loop {
            match news.recv_timeout(PATIENCE).unwrap() {
                StoreEvent::Found(rows) => {
                    parts.push(rows.len());
                    found.extend(rows);
                }
                StoreEvent::Opened(opening) => break opening,
                other => panic!("{other:?}"),
            }
        };
        Self {
            medium,
            owned: Owned::new(store, opening.token),
            news,
            clock,
            opening,
            found,
            parts,
            up_to: 0,
            kept: Vec::new(),
            refused: Vec::new(),
            troubles: 0,
            recoveries: 0,
            disowned: None,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn apply(&self, changes: Vec<Change>) {
        self.owned.apply(changes);
    }

    fn take_in(&mut self, news: StoreEvent) {
        let is_well = self.troubles == self.recoveries && self.disowned.is_none();
        match news {
            StoreEvent::Committed { up_to, kept } => {
                assert!(up_to > self.up_to, "numbers rise");
                assert!(kept.is_empty() || is_well, "kept before it is told that anything can be");
                self.up_to = up_to;
                self.kept.extend(kept);
            }
            StoreEvent::Refused(entry_ids, error) => {
                assert!(!is_well && error.code().starts_with("STORE_"), "{error}");
                self.refused.extend(entry_ids);
            }
            StoreEvent::Degraded(error) => {
                assert!(error.code().starts_with("STORE_"), "{error}");
                // It may come again, with another reason.
                self.troubles += usize::from(is_well);
            }
            StoreEvent::Restored(_) => self.recoveries += 1,
            StoreEvent::Disowned(error) => assert!(self.disowned.replace(error).is_none(), "it is told once"),
            other => panic!("{other:?}"),
        }
    }

    pub fn until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        while !done(self) {
            let news = self.news.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("nothing came: {} done", self.up_to));
            self.take_in(news);
        }
    }

    pub fn settled(&mut self, up_to: u64) {
        self.until(|claimed| claimed.up_to >= up_to);
    }

    pub fn load(&mut self, seqs: &[u64]) -> Vec<Option<Box<Record>>> {
        self.owned.load(seqs.iter().zip(0..).map(|(seq, entry_id)| (entry_id, *seq)).collect());
        loop {
            match self.news.recv_timeout(PATIENCE).unwrap() {
                StoreEvent::Loaded(loaded) => {
                    let asked: Vec<_> = loaded.iter().map(|(entry_id, seq, _)| (*entry_id, *seq)).collect();
                    assert_eq!(asked, (0..).zip(seqs.iter().copied()).collect::<Vec<_>>(), "answered in order");
                    return loaded.into_iter().map(|(.., record)| record.ok()).collect();
                }
                news => self.take_in(news),
            }
        }
    }

    /// Closes it; what was kept by then, and what came after the last word.
    pub fn close(mut self) -> (Vec<EntryId>, Vec<StoreEvent>) {
        self.owned.close();
        loop {
            match self.news.recv_timeout(PATIENCE).unwrap() {
                StoreEvent::Closed => return (self.kept, self.news.try_iter().collect()),
                news => self.take_in(news),
            }
        }
    }

    /// Its process ends without a word.
    pub fn crash(self) {
        let Self { medium, owned, news, .. } = self;
        medium.cut();
        owned.close();
        // What is told by then comes to nobody.
        while !matches!(news.recv_timeout(PATIENCE).unwrap(), StoreEvent::Closed) {}
        drop(owned);
        medium.restart();
    }
}
