//! The front of an engine: what a caller holds.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::clock::{Clock, Timestamp};
use crate::dispatcher::{BacklogWanted, Event};
use crate::engine::Command;
use crate::engine::registry::{self, Published};
use crate::engine::sink::{GivenToken, Interest, LettersWanted, Sink};
use crate::error::Error;
use crate::lock::lock;
use crate::message::{Submission, Ticket};
use crate::outcome::LetterFilter;
use crate::settings::Settings;
use crate::stats::{Latencies, PauseScope, Snapshot};
use crate::totals::Totals;

/// A place at the engine of an organization. Dropped, it leaves: its promises end, its messages don't.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::mpsc::{Sender, channel};
/// use spillway_core::clock::Clock;
/// use spillway_core::engine::sink::{Completion, Sink};
/// use spillway_core::{handle::Handle, settings::Settings};
///
/// /// Where the engine's thread says what has become of what was asked for.
/// struct Completions(Sender<Completion>);
///
/// impl Sink for Completions {
///     fn complete(&self, completions: Vec<Completion>, _: &Clock) {
///         completions.into_iter().for_each(|completion| drop(self.0.send(completion)));
///     }
/// }
///
/// let options = r#"{
///   "organization": "acme", "region": "us-east-1", "credentials": { "accessToken": "token" },
///   "route": "messaging", "store": "memory", "rateLimit": { "requests": 300, "perMs": 60000 }
/// }"#;
/// let (completions, completed) = channel();
/// let handle = Handle::open(Settings::from_json(options)?, Arc::new(Completions(completions)))?;
/// assert_eq!(handle.organization(), "acme");
/// handle.drain(1, None);
/// assert!(matches!(completed.recv(), Ok(Completion::Done(1))), "there is nothing to wait for");
/// # Ok::<(), spillway_core::error::Error>(())
/// ```
pub struct Handle {
    id: u32,
    commands: UnboundedSender<Command>,
    published: Arc<Mutex<Published>>,
    clock: Clock,
    organization: String,
}

impl Handle {
    /// Joins the organization's engine in this process, or starts it. Completions come to `sink`.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the engine runs with other settings; [`Error::Config`] when it can't be started.
    pub fn open(settings: Settings, sink: Arc<dyn Sink>) -> Result<Self, Error> {
        let organization = settings.organization.clone();
        let place = registry::join(settings, sink)?;
        Ok(Self {
            id: place.handle,
            commands: place.commands,
            published: place.published,
            clock: place.clock,
            organization,
        })
    }

    /// The ticket with this handle's own number.
    pub fn ticket(&self, number: u64) -> Ticket {
        Ticket { handle: self.id, number }
    }

    /// The organization.
    pub fn organization(&self) -> &str {
        &self.organization
    }

    /// The engine's clock, for the times of submissions.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Hands over messages and requests; many at once cost one crossing.
    pub fn submit(&self, submissions: Vec<Submission>) {
        self.command(Command::Submit(submissions));
    }

    /// Settles when the engine can take messages: it may have to read what an earlier run left.
    pub fn ready(&self, number: u64) {
        self.command(Command::Ready(self.ticket(number)));
    }

    /// Cancels what the ticket stands for.
    pub fn cancel(&self, number: u64) {
        self.command(Command::Cancel(self.ticket(number)));
    }

    /// Sends a dead letter again.
    pub fn redrive(&self, number: u64, id: Box<str>) {
        self.event(Event::Redrive(self.ticket(number), id));
    }

    /// Sends all dead letters again that the filter takes.
    pub fn redrive_all(&self, number: u64, filter: LetterFilter<Timestamp>) {
        self.event(Event::RedriveAll(self.ticket(number), filter));
    }

    /// Forgets a dead letter.
    pub fn drop_letter(&self, number: u64, id: Box<str>) {
        self.event(Event::Drop(self.ticket(number), id));
    }

    /// Holds everything back, for this long or until [`Self::resume`].
    pub fn pause(&self, number: u64, span: Option<Duration>) {
        self.event(Event::Pause(self.ticket(number), span));
    }

    /// Ends that, and probes at once what is shut in this scope.
    pub fn resume(&self, number: u64, scope: PauseScope) {
        self.event(Event::Resume(self.ticket(number), scope));
    }

    /// Asks why a message waits.
    pub fn explain(&self, number: u64, id: Box<str>) {
        self.command(Command::Explain(self.ticket(number), id));
    }

    /// Asks for a page of the dead letters.
    pub fn letters(&self, number: u64, wanted: LettersWanted) {
        self.command(Command::Letters(self.ticket(number), wanted));
    }

    /// Asks what waits longest, and what is on the wire.
    pub fn backlog(&self, number: u64, wanted: BacklogWanted) {
        self.command(Command::Backlog(self.ticket(number), wanted));
    }

    /// Says which events are wanted.
    pub fn listen(&self, interest: Interest) {
        self.command(Command::Listen(self.id, interest));
    }

    /// Settles when everything submitted so far is settled, or the time is up.
    pub fn drain(&self, number: u64, timeout: Option<Duration>) {
        self.command(Command::Drain(self.ticket(number), timeout));
    }

    /// Drains, then leaves the engine; the last handle ends it.
    pub fn close(&self, number: u64, timeout: Duration) {
        self.command(Command::Close(self.ticket(number), timeout));
    }

    /// Answers a wanted token.
    pub fn give_token(&self, request: u64, given: GivenToken) {
        self.command(Command::Token(request, given));
    }

    /// The engine's numbers as of its last turn. It may be idle since: a pause ends without one.
    pub fn stats(&self) -> (Option<Snapshot>, Latencies) {
        let published = lock(&self.published);
        let (mut snapshot, latencies) = (published.snapshot.clone(), published.latencies.clone());
        if let Some(snapshot) = &mut snapshot {
            let now = self.clock.now();
            snapshot.pause = snapshot.pause.filter(|pause| !pause.is_over(now));
            snapshot.pauses.retain(|pause| !pause.closure.is_over(now));
        }
        (snapshot, latencies)
    }

    fn event(&self, event: Event) {
        self.command(Command::Event(Box::new(event)));
    }

    /// What all organizations of the process hold together, and may hold.
    pub fn totals(&self) -> Arc<Totals> {
        registry::totals()
    }

    /// An engine that has ended hears nothing more; then nobody waits for an answer either.
    fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.command(Command::Leave(self.id));
    }
}
