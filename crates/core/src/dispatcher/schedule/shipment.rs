//! What a batch looks like on the wire.

use std::time::Duration;

use bytes::Bytes;

use crate::batcher::{Merge, join, key_of};
use crate::dispatcher::outbox::Outbox;
use crate::dispatcher::schedule::batch::Batch;
use crate::dispatcher::{Dispatcher, MESSAGE_METHOD};
use crate::lanes::EntryId;
use crate::message::{Call, Message, Payload};
use crate::settings::Settings;
use crate::shipment::{Key, MESSAGE_RESPONSE_BYTES_MAX, Shipment};
use crate::token::TokenId;

/// How much longer an array's answer may be for each further message, and how long at most: one that is cut doesn't
/// tell about the messages at its end.
const ITEM_RESPONSE_BYTES_MAX: usize = 4_096;
const ARRAY_RESPONSE_BYTES_MAX: usize = 8_388_608;

/// <https://www.w3.org/TR/trace-context/>.
const TRACEPARENT: &str = "traceparent";

impl Dispatcher {
    /// The request for a batch.
    pub(in crate::dispatcher) fn shipment(&self, token: TokenId, batch: &mut Batch) -> Shipment {
        debug_assert!(
            batch.members.iter().all(|entry_id| self.outbox.is_loaded(*entry_id)),
            "a body is sent as it was accepted"
        );
        match &self.outbox.get(batch.members[0]).payload {
            Payload::Call(call) => call_shipment(call, token, self.settings.connections.request_timeout),
            Payload::Message(message) => {
                let (key, body) = match self.body_of_many(batch) {
                    Some(body) => (self.key_of_many(&batch.members), body),
                    None => message.shared(),
                };
                Shipment {
                    token,
                    method: MESSAGE_METHOD.into(),
                    path: self.path_of(message),
                    headers: self.headers_of(message),
                    body: Some(body),
                    idempotency_key: Some(key),
                    timeout: self.settings.connections.request_timeout,
                    response_bytes_max: self.response_bytes_max(batch.members.len()),
                    keep_headers: false,
                    messages: batch.size(),
                }
            }
        }
    }

    /// Checked at the door, and again for what comes of an earlier run.
    fn path_of(&self, message: &Message) -> String {
        match self.settings.route.path(message) {
            Ok(path) => path,
            Err(_) => unreachable!("a message without a path is never accepted"),
        }
    }

    /// Those of the sender and of the message, which has the last word, and its trace.
    fn headers_of(&self, message: &Message) -> Vec<(String, String)> {
        let mut headers: Vec<_> = self.settings.headers.iter().cloned().collect();
        if let Some(own) = message.headers() {
            headers.retain(|(name, _)| !own.contains_key(name));
            headers.extend(own);
        }
        headers.extend(message.traceparent().map(|parent| (TRACEPARENT.to_owned(), parent.to_owned())));
        headers
    }

    fn response_bytes_max(&self, members: usize) -> usize {
        if !self.settings.route.is_array() {
            return MESSAGE_RESPONSE_BYTES_MAX;
        }
        (MESSAGE_RESPONSE_BYTES_MAX + (members - 1) * ITEM_RESPONSE_BYTES_MAX).min(ARRAY_RESPONSE_BYTES_MAX)
    }

    /// The body of several messages, or of one in an array; `None` if it is that of a single message.
    fn body_of_many(&self, batch: &mut Batch) -> Option<Bytes> {
        if let Some(body) = batch.take_body() {
            return Some(body);
        }
        if self.settings.route.is_array() {
            return Some(join(self.messages(&batch.members).map(Message::body)));
        }
        if batch.members.len() == 1 {
            return None;
        }
        // They made one body when they were gathered, or were found to when the outbox was opened.
        let merged = self.merged(&batch.members);
        debug_assert!(merged.is_some(), "messages that travel together make one body");
        merged
    }

    fn key_of_many(&self, members: &[EntryId]) -> Key {
        key_of(self.messages(members).map(Message::id)).into()
    }

    fn messages<'a>(&'a self, entry_ids: &'a [EntryId]) -> impl Iterator<Item = &'a Message> + Clone {
        entry_ids.iter().filter_map(|entry_id| match &self.outbox.get(*entry_id).payload {
            Payload::Message(message) => Some(message),
            Payload::Call(_) => None,
        })
    }

    /// The texts of these messages in one body; none if they don't make one.
    fn merged(&self, entry_ids: &[EntryId]) -> Option<Bytes> {
        let mut merge = begin_merge(&self.settings, &self.outbox, *entry_ids.first()?)?;
        let fits = self.messages(&entry_ids[1..]).all(|message| merge.add(message.body().as_bytes(), usize::MAX));
        fits.then(|| merge.into_body().into())
    }

    /// Whether these messages make one request by the settings of this run. Those of the run that sent them together
    /// may have been others.
    pub(in crate::dispatcher) fn make_one_request(&self, entry_ids: &[EntryId]) -> bool {
        let Some(first) = self.messages(entry_ids).next() else { return false };
        let same_head = |message: &Message| self.same_head(first, message);
        let one_head = self.settings.route.check_path(first).is_ok() && self.messages(entry_ids).all(same_head);
        let of_one = |message: &Message| message.conversation() == first.conversation();
        let one_body = entry_ids.len() == 1
            || self.settings.route.is_array()
            || (self.messages(entry_ids).all(of_one) && self.merged(entry_ids).is_some());
        one_head && one_body
    }

    /// Whether both have the same path and headers, so that one request may carry both.
    pub(in crate::dispatcher) fn same_head(&self, first: &Message, message: &Message) -> bool {
        first.has_params_of(message)
            && first.has_headers_of(message)
            && (first.conversation() == message.conversation() || !self.settings.route.names_conversation())
    }
}

pub(in crate::dispatcher) fn begin_merge<'a>(
    settings: &'a Settings,
    outbox: &Outbox,
    first: EntryId,
) -> Option<Merge<'a>> {
    let Payload::Message(message) = &outbox.get(first).payload else { return None };
    let field = settings.route.text_field()?;
    Merge::begin(message.body().as_bytes(), field, &settings.batch)
}

fn call_shipment(call: &Call, token: TokenId, timeout: Duration) -> Shipment {
    Shipment {
        token,
        method: call.method.clone().into_string().into(),
        path: call.path.to_string(),
        headers: call.headers.clone(),
        body: call.body.clone(),
        idempotency_key: None,
        timeout: call.timeout.unwrap_or(timeout),
        response_bytes_max: call.response_bytes_max,
        keep_headers: true,
        messages: 0,
    }
}
