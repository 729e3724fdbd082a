//! The same file, of which another organization has a part: it was there first, has messages of the same numbers and
//! ids, and must never notice.

use std::cell::RefCell;
use std::sync::mpsc;

use spillway_core::clock::Clock;
use spillway_core::store::{Store, StoreEvent};

use super::file::File;
use super::medium::Medium;
use crate::fixture::*;

pub struct Shared {
    file: File,
    /// While it has its part open.
    neighbor: RefCell<Option<Owned>>,
}

impl Shared {
    pub fn new() -> Self {
        Self { file: File::new(), neighbor: RefCell::new(None) }
    }

    /// Opens the neighbor's part, which is as it was left.
    fn open_neighbor(&self) -> Owned {
        let (clock, (tell, news)) = (Clock::start(), mpsc::channel());
        let store = self.file.open_for("neighbor", clock, Box::new(move |news| drop(tell.send(news))));
        let next = || news.recv_timeout(PATIENCE).unwrap();
        let mut found = Vec::new();
        let opening = loop {
            match next() {
                StoreEvent::Found(rows) => found.extend(rows),
                StoreEvent::Opened(opening) => break opening,
                other => panic!("{other:?}"),
            }
        };
        let store = Owned::new(store, opening.token);
        if opening.last_seq == 0 {
            let at = clock.now();
            store.apply(inserts(1..=9, at));
            store.apply(vec![save("the neighbor's", [], at), depart(1, at), bury(2, at), deliver(3, at)]);
            while !matches!(next(), StoreEvent::Committed { up_to: 13, .. }) {}
        } else {
            assert_eq!((seqs(&found), sent(&found)), (vec![1, 4, 5, 6, 7, 8, 9], vec![1]));
            assert_eq!((letters(&found), settled_ids(&found)), (vec!["m-2".into()], vec!["m-3".into()]));
            assert_eq!((opening.last_seq, opening.budget.as_deref()), (9, Some("the neighbor's")));
            assert_eq!(opening.departed.len(), 1);
        }
        store
    }
}

impl Medium for Shared {
    fn open(&self, clock: Clock, tell: Box<dyn FnMut(StoreEvent) + Send>) -> Box<dyn Store> {
        let mut neighbor = self.neighbor.borrow_mut();
        if neighbor.is_none() {
            *neighbor = Some(self.open_neighbor());
        }
        self.file.open(clock, tell)
    }

    fn cut(&self) {
        self.file.cut();
        *self.neighbor.borrow_mut() = None;
    }

    fn restart(&self) {
        self.file.restart();
    }

    fn break_down(&self) {
        self.file.break_down();
    }

    fn recover(&self) {
        self.file.recover();
    }

    fn let_go(&self) {
        self.file.let_go();
        *self.neighbor.borrow_mut() = None;
    }
}
