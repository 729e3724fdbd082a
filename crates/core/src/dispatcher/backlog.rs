//! What waits longest, and what is on the wire: for whoever looks at an organization as a whole.

use hashbrown::HashMap;

use super::Dispatcher;
use super::health::AttemptId;
use super::schedule::attempts::{Attempt, Departure};
use crate::clock::Timestamp;
use crate::lanes::{EntryId, LaneId};
use crate::message::Payload;

/// Entries that are looked at, which takes less than a millisecond. In a larger outbox the heads of as many lanes are,
/// and what is under way: what waits for its next attempt may be missed then.
const LOOKED_AT_MAX: usize = 32_768;

/// How much is wanted of a [`Backlog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BacklogWanted {
    /// The most conversations.
    pub conversations: usize,
    /// The most requests.
    pub requests: usize,
}

/// What an organization has to do.
#[derive(Clone, Debug, Default)]
pub struct Backlog {
    /// Since when the oldest waits that is in memory.
    pub oldest: Option<Timestamp>,
    /// The conversations and requests whose first one waits longest, the longest first.
    pub lanes: Vec<WaitingLane>,
    /// Requests under way, the longest first; those that are about to leave come last.
    pub requests: Vec<OpenRequest>,
    /// Dead letters of each reason, by its word.
    pub letters: Vec<(&'static str, usize)>,
}

/// A conversation that waits, or a request of the caller's own.
#[derive(Clone, Debug)]
pub struct WaitingLane {
    /// `None` for a request of the caller's own.
    pub conversation: Option<Box<str>>,
    /// The id of its first message; `None` if only its file knows it, and for a request.
    pub id: Option<Box<str>>,
    /// The route of a request.
    pub route: Option<Box<str>>,
    /// Its messages that are not settled.
    pub unsettled: usize,
    /// Since when the first one waits; `None` if only its file knows it.
    pub since: Option<Timestamp>,
}

/// A request under way.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// Its number in this engine.
    pub number: AttemptId,
    /// Method and path template.
    pub route: Box<str>,
    /// How many messages it carries; none for one of the caller's own.
    pub messages: usize,
    /// The id of its first message.
    pub id: Option<Box<str>>,
    /// The conversation of its first message.
    pub conversation: Option<Box<str>>,
    /// Which attempt of its first message it is.
    pub attempt: u32,
    /// When it left; `None` before that.
    pub since: Option<Timestamp>,
}

impl Dispatcher {
    /// What waits longest, what is on the wire, and the dead letters by reason.
    pub fn backlog(&self, BacklogWanted { conversations, requests }: BacklogWanted) -> Backlog {
        let oldest = self.oldest_by_lane();
        let first = oldest.iter().min_by_key(|(_, (seq, _))| *seq).map(|(_, (_, entry_id))| *entry_id);
        let mut lanes: Vec<(u64, LaneId, EntryId)> =
            oldest.iter().map(|(lane, (seq, entry_id))| (*seq, *lane, *entry_id)).collect();
        if lanes.len() > conversations {
            if conversations > 0 {
                lanes.select_nth_unstable(conversations - 1);
            }
            lanes.truncate(conversations);
        }
        lanes.sort_unstable();
        Backlog {
            oldest: first.and_then(|entry_id| self.waits_since(entry_id)),
            lanes: lanes.into_iter().map(|(_, lane, entry_id)| self.waiting_lane(lane, entry_id)).collect(),
            requests: self.open_requests(requests),
            letters: self.letters.by_reason(),
        }
    }

    /// The oldest of each lane, with its number.
    fn oldest_by_lane(&self) -> HashMap<LaneId, (u64, EntryId)> {
        let is_small = self.outbox.len() <= LOOKED_AT_MAX;
        let all = is_small.then(|| self.outbox.entry_ids()).into_iter().flatten();
        let heads = (!is_small).then(|| self.lanes.heads(LOOKED_AT_MAX)).into_iter().flatten();
        let carried = self.attempts.iter().flat_map(|(_, attempt, _)| attempt.batch.members.iter().copied().take(1));
        let mut oldest: HashMap<LaneId, (u64, EntryId)> = HashMap::new();
        for entry_id in all.chain(heads).chain(carried) {
            let (Some(lane), Some(seq)) = (self.outbox.lane_of(entry_id), self.outbox.seq_of(entry_id)) else {
                continue;
            };
            let known = oldest.entry(lane).or_insert((seq, entry_id));
            *known = (*known).min((seq, entry_id));
        }
        oldest
    }

    fn waits_since(&self, entry_id: EntryId) -> Option<Timestamp> {
        self.outbox.cold(entry_id).is_none().then(|| self.outbox.get(entry_id).submitted_at)
    }

    fn waiting_lane(&self, lane: LaneId, entry_id: EntryId) -> WaitingLane {
        let (mut id, mut route) = (None, None);
        if self.outbox.cold(entry_id).is_none() {
            let entry = self.outbox.get(entry_id);
            match &entry.payload {
                Payload::Message(_) => id = entry.payload.id().map(Into::into),
                Payload::Call(_) => route = Some(self.health.route_name(entry.route).into()),
            }
        }
        WaitingLane {
            conversation: self.lanes.conversation(lane).map(|conversation| Box::from(&**conversation)),
            id,
            route,
            unsettled: self.lanes.unsettled(lane),
            since: self.waits_since(entry_id),
        }
    }

    fn open_requests(&self, count: usize) -> Vec<OpenRequest> {
        let mut under_way: Vec<_> = self.attempts.iter().collect();
        under_way.sort_unstable_by_key(|(number, _, departure)| {
            let left_at = departure.map(|departure| departure.at);
            (left_at.is_none(), left_at, *number)
        });
        let request = |(number, attempt, departure): (AttemptId, &Attempt, Option<Departure>)| {
            let first = attempt.batch.members.first().copied();
            let payload = first.map(|entry_id| &self.outbox.get(entry_id).payload);
            let message = payload.and_then(|payload| match payload {
                Payload::Message(message) => Some(message),
                Payload::Call(_) => None,
            });
            OpenRequest {
                number,
                route: self.health.route_name(attempt.route).into(),
                messages: if message.is_some() { attempt.batch.members.len() } else { 0 },
                id: payload.and_then(|payload| payload.id()).map(Into::into),
                conversation: message.map(|message| message.conversation().into()),
                attempt: first.map_or(0, |entry_id| self.outbox.delivery_state(entry_id).attempts),
                since: departure.map(|departure| departure.at),
            }
        };
        under_way.into_iter().take(count).map(request).collect()
    }
}
