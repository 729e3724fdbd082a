//! What really arrived: the witness of every test.

mod conversations;
mod report;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::content::Message;
use conversations::Conversations;
use report::ClientReport;
pub use report::Report;
use window::RollingWindow;

/// The most message ids, and conversations, that are remembered; further ones count as accepted only.
const IDS_MAX: usize = 5_000_000;

/// OAuth clients that are told apart.
const CLIENTS_MAX: usize = 100;

/// Counts what a server sees.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The plain counters; the other fields are filled in when asked for.
    counts: Report,
    window: RollingWindow,
    /// Those of each OAuth client.
    clients: BTreeMap<Arc<str>, OfClient>,
    ids: HashTable<Acceptances>,
    hashes: DefaultHashBuilder,
    conversations: Conversations,
    in_flight: u64,
    connections_open: u64,
}

/// What has arrived with the tokens of an OAuth client.
#[derive(Debug)]
struct OfClient {
    window: RollingWindow,
    arrivals: u64,
}

/// How often an id was accepted. With its hash, so that a table of millions that grows needn't read all texts again.
#[derive(Debug)]
struct Acceptances {
    hash: u64,
    id: Box<str>,
    all: u32,
    cut: u32,
    failed: u32,
}

/// What the client of an accepted request gets to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// That it was accepted.
    Accepted,
    /// Nothing: its answer is cut, or garbage.
    Nothing,
    /// A status that says otherwise.
    Failed,
}

/// A request between its sending and its answer; give it back with [`Model::close`](crate::Model::close).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a flight that isn't closed counts as in flight for ever"]
pub struct Flight {
    /// Their numbers.
    conversations: Vec<usize>,
}

impl Ledger {
    pub(crate) fn new(window_us: u64) -> Self {
        Self {
            counts: Report::default(),
            window: RollingWindow::new(window_us),
            clients: BTreeMap::new(),
            ids: HashTable::new(),
            hashes: DefaultHashBuilder::default(),
            conversations: Conversations::default(),
            in_flight: 0,
            connections_open: 0,
        }
    }

    /// Counts in windows of this length from now on; a new length starts a new count.
    pub(crate) fn set_window(&mut self, window_us: u64) {
        if self.window.length_us() != window_us {
            self.window = RollingWindow::new(window_us);
        }
    }

    pub(crate) fn open<'a>(&mut self, conversations: impl Iterator<Item = &'a str>) -> Flight {
        self.in_flight += 1;
        self.counts.max_in_flight = self.counts.max_in_flight.max(self.in_flight);
        let mut flight = Flight { conversations: Vec::new() };
        for name in conversations {
            let Some(number) = self.conversations.number(name) else { continue };
            if flight.conversations.contains(&number) {
                continue;
            }
            let conversation = self.conversations.get_mut(number);
            conversation.in_flight += 1;
            let most = &mut self.counts.max_in_flight_per_conversation;
            *most = (*most).max(conversation.in_flight);
            flight.conversations.push(number);
        }
        flight
    }

    pub(crate) fn close(&mut self, flight: Flight) {
        self.in_flight -= 1;
        for number in flight.conversations {
            self.conversations.get_mut(number).in_flight -= 1;
        }
    }

    pub(crate) fn arrived(&mut self, now_us: u64) {
        self.counts.arrivals += 1;
        self.counts.first_arrival_ms.get_or_insert(ms(now_us));
        self.window.arrived(now_us);
    }

    /// It came with a token of this client, which has a quota of its own in windows of this length.
    pub(crate) fn arrived_of(&mut self, now_us: u64, client: &Arc<str>, window_us: u64) {
        if self.clients.len() >= CLIENTS_MAX && !self.clients.contains_key(client) {
            return;
        }
        let new = || OfClient { window: RollingWindow::new(window_us), arrivals: 0 };
        let of_client = self.clients.entry(Arc::clone(client)).or_insert_with(new);
        if of_client.window.length_us() != window_us {
            of_client.window = RollingWindow::new(window_us);
        }
        of_client.window.arrived(now_us);
        of_client.arrivals += 1;
    }

    pub(crate) fn answered(&mut self, status: u16) {
        *self.counts.statuses.entry(status).or_default() += 1;
        self.counts.refused += u64::from(status == 429);
    }

    /// A request of these messages was accepted.
    pub(crate) fn accepted<'a>(
        &mut self,
        now_us: u64,
        messages: impl Iterator<Item = &'a Message<'a>>,
        told: Answered,
    ) {
        self.counts.accepted += 1;
        self.counts.accepted_then_failed += u64::from(told == Answered::Failed);
        self.counts.last_accepted_ms = Some(ms(now_us));
        for message in messages {
            self.check_order(message);
            if let Some(id) = message.id.as_deref() {
                self.count(id, told);
            }
        }
    }

    /// A message of this id was accepted.
    fn count(&mut self, id: &str, told: Answered) {
        let (cut, failed) = (u32::from(told == Answered::Nothing), u32::from(told == Answered::Failed));
        let has_room = self.ids.len() < IDS_MAX;
        let hash = self.hashes.hash_one(id);
        match self.ids.entry(hash, |known| known.hash == hash && *known.id == *id, |known| known.hash) {
            Entry::Occupied(mut known) => {
                self.counts.duplicates += 1;
                known.get_mut().all += 1;
                known.get_mut().cut += cut;
                known.get_mut().failed += failed;
            }
            Entry::Vacant(new) if has_room => {
                new.insert(Acceptances { hash, id: id.into(), all: 1, cut, failed });
            }
            Entry::Vacant(_) => {}
        }
    }

    fn check_order(&mut self, message: &Message<'_>) {
        let (Some(seq), Some(name)) = (message.seq, message.conversation.as_deref()) else { return };
        let Some(number) = self.conversations.number(name) else { return };
        let conversation = self.conversations.get_mut(number);
        let id = hash(message.id.as_deref());
        // Only the highest is kept: if a message isn't above it, and is another one, it is out of order; if it is above
        // it, it is above all.
        match conversation.highest {
            Some((highest, owner)) if seq <= highest => {
                self.counts.order_violations += u64::from(message.id.is_none() || owner != id);
            }
            _ => conversation.highest = Some((seq, id)),
        }
    }

    pub(crate) fn cut_before(&mut self) {
        self.counts.cuts_before += 1;
    }

    pub(crate) fn cut_after(&mut self) {
        self.counts.cuts_after += 1;
    }

    /// A request met an outage.
    pub(crate) fn met_outage(&mut self) {
        self.counts.outage_requests += 1;
    }

    pub(crate) fn token_requested(&mut self) {
        self.counts.token_requests += 1;
    }

    pub(crate) fn token_issued(&mut self) {
        self.counts.tokens_issued += 1;
    }

    pub(crate) fn connected(&mut self) {
        self.counts.connections_opened += 1;
        self.connections_open += 1;
        self.counts.connections_open_max = self.counts.connections_open_max.max(self.connections_open);
    }

    pub(crate) fn disconnected(&mut self) {
        self.connections_open -= 1;
    }

    pub(crate) fn report(&self, with_ids: bool) -> Report {
        let ids = |count: fn(&Acceptances) -> u32| {
            let counted = self.ids.iter().map(move |accepted| (String::from(&*accepted.id), count(accepted)));
            with_ids.then(|| counted.filter(|(_, count)| *count > 0).collect())
        };
        Report {
            most_in_window: self.window.most(),
            window_ms: ms(self.window.length_us()),
            clients: self.clients.iter().map(|(name, one)| (name.to_string(), one.report())).collect(),
            unique_ids: self.ids.len() as u64,
            ids: ids(|acceptances| acceptances.all),
            cut_ids: ids(|acceptances| acceptances.cut),
            failed_ids: ids(|acceptances| acceptances.failed),
            ..self.counts.clone()
        }
    }
}

impl OfClient {
    fn report(&self) -> ClientReport {
        ClientReport { arrivals: self.arrivals, most_in_window: self.window.most() }
    }
}

fn hash(text: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}
