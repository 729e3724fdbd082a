//! The beginning and the end of an engine with a store.

use std::time::Duration;

use tokio::time::timeout;

use super::opening_watch::OpeningWatch;
use super::persistence::Persistence;
use super::registry;
use super::sink::Completion;
use super::turn::Turn;
use super::{Command, Engine, Life, Session};
use crate::dispatcher::Event;
use crate::error::{Error, StoreErrorKind};
use crate::message::Ticket;
use crate::store::{Salvage, StoreEvent};

/// Messages, letters and ids whose memory is given back on the engine thread. A million takes a tenth of a second.
const DROPPED_HERE: usize = 10_000;
/// How long the store may take to finish when the engine ends.
pub(super) const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

impl Engine {
    /// Takes in what an earlier run left; nothing is sent or accepted before that.
    pub(super) async fn open_store(&mut self) -> Result<(), Error> {
        self.persistence = Persistence::open(&self.settings, self.clock)?;
        while let Some(persistence) = &mut self.persistence {
            let Ok(event) = timeout(OpeningWatch::EVERY, persistence.next()).await else {
                let opening = persistence.opening.as_mut();
                if let Some(error) = opening.and_then(|opening| opening.check(self.clock.now()).err()) {
                    // Its thread ends as soon as the disk answers.
                    self.persistence = None;
                    return Err(error);
                }
                continue;
            };
            match event {
                Some(StoreEvent::Found(rows)) => self.handle(Event::Found(rows)),
                Some(StoreEvent::Opened(opening)) => {
                    persistence.opened(opening.token);
                    self.handle(Event::Opened(Box::new(opening)));
                    // Who has come meanwhile hears how messages of an earlier run have ended.
                    while let Ok(command) = self.inbox.try_recv() {
                        self.command(command);
                        self.submit_all();
                    }
                    self.turn = Turn::default();
                    self.perform();
                    self.publish();
                    self.tell();
                    return Ok(());
                }
                Some(StoreEvent::Failed(error)) => return Err(error),
                Some(_) => {}
                None => return Err(thread_ended()),
            }
            // Other organizations' engines live on this thread, too.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Tells everybody who asks why there is no engine, until nobody is left to ask.
    pub(super) async fn turn_away(mut self: Box<Self>, error: Error) {
        registry::abandon(&self.settings);
        self.life = Life::Retired;
        while let Some(command) = self.inbox.recv().await {
            match command {
                Command::Join(handle, sink) => {
                    self.sessions.insert(handle, Session::new(sink));
                }
                Command::Leave(handle) => drop(self.sessions.remove(&handle)),
                Command::Ready(ticket) => {
                    self.complete(ticket.handle, Completion::Failed(ticket.number, error.clone()));
                }
                // Who got no sender has nothing to submit.
                _ => {}
            }
            self.tell();
        }
    }

    pub(super) fn ready(&mut self, ticket: Ticket) {
        let recovered = self.dispatcher.recovered();
        self.complete(ticket.handle, Completion::Ready(ticket.number, recovered));
    }

    /// Reports a store that hangs. The engine never waits for the disk itself, so it goes on meanwhile.
    pub(super) fn watch_store(&mut self) {
        let now = self.clock.now();
        if let Some(error) = self.persistence.as_mut().and_then(|persistence| persistence.watchdog.begin_hanging(now)) {
            self.handle(Event::StoreDegraded(error));
        }
    }

    pub(super) fn store_event(&mut self, event: Option<StoreEvent>) {
        self.turn.event();
        let now = self.clock.now();
        let is_hang_over =
            self.persistence.as_mut().is_some_and(|persistence| persistence.watchdog.answered(event.as_ref(), now));
        if is_hang_over {
            // First: who hears that a message is accepted finds no problem any more.
            self.handle(Event::StoreRestored(Salvage::default()));
        }
        match event {
            Some(StoreEvent::Committed { up_to, kept }) => {
                if let Some(persistence) = &mut self.persistence {
                    persistence.committed(up_to, kept.len());
                }
                while let Some(effect) = self.persistence.as_mut().and_then(Persistence::release) {
                    self.perform_one(effect);
                }
                self.handle(Event::Persisted(kept));
            }
            Some(StoreEvent::Refused(entry_ids, error)) => {
                if let Some(persistence) = &mut self.persistence {
                    persistence.refused(entry_ids.len());
                }
                self.handle(Event::Refused(entry_ids, error));
            }
            Some(StoreEvent::Loaded(messages)) => self.handle(Event::Loaded(messages)),
            Some(StoreEvent::Degraded(error)) => self.handle(Event::StoreDegraded(error)),
            Some(StoreEvent::Disowned(error)) => self.disowned(error),
            Some(StoreEvent::Restored(salvage)) => self.handle(Event::StoreRestored(salvage)),
            Some(StoreEvent::Found(_) | StoreEvent::Opened(_) | StoreEvent::Closed) => {}
            Some(StoreEvent::Failed(error)) => self.store_gone(error),
            None => self.store_gone(thread_ended()),
        }
    }

    /// What is held stays held: nothing is told that isn't durable.
    fn store_gone(&mut self, error: Error) {
        self.store_gone = true;
        self.handle(Event::StoreDegraded(error));
    }

    /// What is on the wire is answered; what has not left doesn't leave.
    fn disowned(&mut self, error: Error) {
        self.withhold_all();
        let unkept = self.persistence.as_mut().map(|persistence| persistence.disown(&error)).unwrap_or_default();
        self.handle(Event::Disowned(error));
        unkept.into_iter().for_each(|effect| self.perform_one(effect));
    }

    /// A drain with a deadline doesn't wait for the disk beyond it.
    pub(super) fn give_up_held_drains(&mut self) {
        let now = self.clock.now();
        let due = |(ticket, drain): (&Ticket, &super::Drain)| drain.deadline.filter(|at| *at <= now).map(|_| *ticket);
        let due: Vec<Ticket> = self.drains.iter().filter_map(due).collect();
        for ticket in due {
            if let Some(left) = self.persistence.as_mut().and_then(|persistence| persistence.give_up(ticket)) {
                self.drained(ticket, Some(left));
            }
        }
    }

    /// Lets the store finish before anybody hears that the engine has ended: who does may open the file again.
    pub(super) async fn end(mut self: Box<Self>) {
        if self.persistence.is_some() {
            self.withhold_all();
        }
        self.give_leases_back().await;
        if let Some(persistence) = self.persistence.take() {
            self.in_flight.drain().for_each(|(_, wire)| wire.worker.cut());
            persistence.close(CLOSE_PATIENCE, self.clock.now()).await;
        }
        if let Some(session) = self.farewell.take() {
            // Who hears of the end may ask for the numbers at once.
            self.publish();
            session.sink.complete(session.completions, &self.clock);
        }
        if self.dispatcher.size() > DROPPED_HERE {
            // Without another thread it is dropped here after all.
            let _ = std::thread::Builder::new().name("spillway-drop".to_owned()).spawn(move || drop(self));
        }
    }
}

fn thread_ended() -> Error {
    let problem = "the store's thread has ended: open the sender again".to_owned();
    Error::Store { kind: StoreErrorKind::Failed, problem }
}
