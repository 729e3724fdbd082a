//! The store as hosts meet it: its rules, on a server that ends, forgets, and whose clock jumps.

use std::collections::{BTreeMap, VecDeque};

use spillway_core::lease::book::{Book, Server};
use spillway_core::lease::{Broadcast, Epoch, Grant, Renewal};

use super::plan::Fate;
use super::violation::{Checked, hold};

/// How often its state is copied.
const SNAPSHOT_US: u64 = 100_000;
const SNAPSHOTS_MAX: usize = 256;

pub struct Store {
    book: Book,
    /// Its clock, before the simulation's.
    offset_us: i64,
    run: u64,
    is_up: bool,
    snapshots: VecDeque<(u64, Book)>,
    pub executed: u64,
    /// The last version of each epoch that there was.
    pub epochs: BTreeMap<Epoch, u64>,
    epoch: Option<Epoch>,
    /// A broken store keeps its name through whatever befalls it.
    pub hides_its_runs: bool,
}

impl Store {
    pub fn new() -> Self {
        Self {
            book: Book::default(),
            offset_us: 7_200_000_000,
            run: 1,
            is_up: true,
            snapshots: VecDeque::new(),
            executed: 0,
            epochs: BTreeMap::new(),
            epoch: None,
            hides_its_runs: false,
        }
    }

    pub fn is_up(&self) -> bool {
        self.is_up
    }

    pub fn stop(&mut self) {
        self.is_up = false;
    }

    pub fn start(&mut self, now_us: u64, fate: Fate) {
        self.is_up = true;
        self.run += u64::from(!self.hides_its_runs);
        match fate {
            Fate::Whole => {}
            Fate::Empty => self.book = Book::default(),
            Fate::Older(by) => {
                let older = self.snapshots.iter().rev().find(|(at, _)| at + by <= now_us);
                self.book = older.map(|(_, book)| book.clone()).unwrap_or_default();
            }
        }
    }

    pub fn flush(&mut self) {
        self.book = Book::default();
    }

    pub fn jump(&mut self, by: i64) {
        self.offset_us = (self.offset_us + by).max(0);
    }

    pub fn execute(&mut self, now_us: u64, renewal: &Renewal) -> (Grant, Vec<Broadcast>) {
        let server = Server { now: now_us.saturating_add_signed(self.offset_us), run: self.run };
        let answer = self.book.renew(server, renewal);
        self.executed += 1;
        if self.snapshots.back().is_none_or(|(at, _)| at + SNAPSHOT_US <= now_us) {
            self.snapshots.push_back((now_us, self.book.clone()));
            if self.snapshots.len() > SNAPSHOTS_MAX {
                self.snapshots.pop_front();
            }
        }
        answer
    }

    /// Who has what.
    pub fn words(&self, rates: &[(u64, u64)]) -> String {
        let shares = |(_, per_ms): &(u64, u64)| {
            let shares = self.book.shares(per_ms * 1_000);
            shares.into_iter().filter(|(_, share)| *share > 0).collect::<Vec<_>>()
        };
        format!("{:?}, {:?}", self.book.holdings(), rates.iter().map(shares).collect::<Vec<_>>())
    }

    /// The shares of all hosts and the pool are no more than the quota; versions go up, and no epoch comes again.
    pub fn check(&mut self, rates: &[(u64, u64)]) -> Checked {
        for holding in self.book.holdings() {
            let quota = rates.iter().find(|(_, per_ms)| per_ms * 1_000 == holding.per).map_or(0, |(quota, _)| *quota);
            let total = u64::from(holding.shared) + u64::from(holding.pooled);
            hold(total <= quota, "shares", || format!("{holding:?} of {quota}"))?;
        }
        let Some((epoch, version)) = self.book.age() else { return Ok(()) };
        let is_another = self.epoch.replace(epoch) != Some(epoch);
        let known = self.epochs.insert(epoch, version);
        hold(!is_another || known.is_none(), "epochs", || format!("{epoch:?} again"))?;
        hold(known.is_none_or(|known| known <= version), "versions", || format!("{version} after {known:?}"))
    }
}
