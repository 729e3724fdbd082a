//! An organization that has its part of the file open.

use std::collections::VecDeque;
use std::time::Duration;

use rusqlite::Connection;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::lanes::EntryId;
use crate::store::file::backlog::Backlog;
use crate::store::file::options::Options;
use crate::store::file::part::Part;
use crate::store::{FencingToken, Opening, Seq, StoreEvent};

pub(super) struct Member {
    pub(super) part: Part,
    /// Of its claim.
    pub(super) token: FencingToken,
    event: Box<dyn FnMut(StoreEvent) + Send>,
    pub(super) backlog: Backlog,
    /// Messages that are asked for, with the change that must be durable before.
    pub(super) loads: VecDeque<(u64, Vec<(EntryId, Seq)>)>,
    /// Up to where it is told that changes are durable.
    told: u64,
    /// Inserts that are written, in a file that has lost its name meanwhile or can't be written any more.
    held: Vec<EntryId>,
    pub(super) last_seq: Seq,
    /// The number of the last message as it was noted in the file; 0 when that may be lost.
    pub(super) last_seq_written: Seq,
    pub(super) keeps_receipts: bool,
    /// How long closing tries to write what waits.
    patience: Duration,
    /// Since when it is to close.
    closing: Option<Timestamp>,
}

impl Member {
    /// Tells that the part is open.
    pub(super) fn begin(
        db: &Connection,
        part: Part,
        options: &Options,
        mut event: Box<dyn FnMut(StoreEvent) + Send>,
        opening: Opening,
    ) -> Self {
        let (token, last_seq) = (opening.token, opening.last_seq);
        let written = part.meta::<i64>(db, "last_seq").ok().flatten();
        event(StoreEvent::Opened(opening));
        Self {
            part,
            token,
            event,
            backlog: Backlog::default(),
            loads: VecDeque::new(),
            told: 0,
            held: Vec::new(),
            last_seq,
            last_seq_written: written.and_then(|seq| seq.try_into().ok()).unwrap_or(0),
            keeps_receipts: !options.dedupe.is_zero(),
            patience: options.patience,
            closing: None,
        }
    }

    pub(super) fn tell(&mut self, event: StoreEvent) {
        (self.event)(event);
    }

    /// Tells what is durable by now, with the inserts among it.
    pub(super) fn tell_done(&mut self, kept: Vec<EntryId>) {
        let done = self.backlog.done();
        if done > self.told {
            self.told = done;
            self.tell(StoreEvent::Committed { up_to: done, kept });
        }
    }

    /// Keeps inserts back that are written, and of which it is not known yet whether they stay.
    pub(super) fn hold(&mut self, kept: Vec<EntryId>) {
        self.held.extend(kept);
    }

    /// Tells those that were kept back.
    pub(super) fn tell_held(&mut self) {
        let kept = std::mem::take(&mut self.held);
        self.tell_done(kept);
    }

    pub(super) fn refuse_inserts(&mut self, error: &Error) {
        let refused = self.backlog.refuse_inserts();
        if !refused.is_empty() {
            self.tell(StoreEvent::Refused(refused, error.clone()));
        }
        if self.held.is_empty() {
            self.tell_done(Vec::new());
        }
    }

    /// What was kept back is refused after all: nobody will know any more.
    pub(super) fn refuse_held(&mut self, error: Option<&Error>) {
        let refused = std::mem::take(&mut self.held);
        if let Some(error) = error.filter(|_| !refused.is_empty()) {
            self.tell(StoreEvent::Refused(refused, error.clone()));
        }
    }

    pub(super) fn begin_closing(&mut self, now: Timestamp) {
        self.closing = self.closing.or(Some(now));
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Whether it may close: all is written, or has been tried for long enough.
    pub(super) fn is_finished(&self, is_well: bool, is_degraded: bool, now: Timestamp) -> bool {
        let Some(since) = self.closing else { return false };
        (is_well && self.backlog.is_empty()) || (is_degraded && now.since(since) >= self.patience)
    }

    /// Whether something is to be done for it.
    pub(super) fn is_busy(&self) -> bool {
        !self.backlog.is_empty() || !self.loads.is_empty() || self.is_closing()
    }
}
