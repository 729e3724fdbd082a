//! A message, and the texts that it is made of.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::Params;
use crate::shipment::Key;

/// The texts of a message, one by one.
#[derive(Clone, Copy, Default)]
pub struct Parts<'a> {
    /// The de-duplication key.
    pub id: &'a str,
    /// Whether the caller gave the id. A generated one can't come twice, so it isn't remembered.
    pub id_given: bool,
    /// The FIFO lane.
    pub conversation: &'a str,
    /// Values for the route's other placeholders, as a JSON object of texts; empty for none.
    pub params: &'a str,
    /// Headers of its own, as a JSON object of texts; empty for none.
    pub headers: &'a str,
    /// W3C `traceparent` of the caller's span; empty for none.
    pub traceparent: &'a str,
    /// The serialized JSON body.
    pub body: &'a str,
}

/// Texts that can't be a message's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Which of them.
    pub field: &'static str,
    /// What is allowed.
    pub rule: &'static str,
}

/// One thing to deliver in a conversation.
///
/// All its own texts are one, in the order of [`Parts`]: a million messages wait, and each allocation of their own
/// would cost them 16 bytes and more, and the time to make and to free it. The requests that carry it share that one,
/// too.
///
/// ```
/// use spillway_core::message::{Message, Parts};
///
/// let parts = Parts { id: "m-1", conversation: "c-1", body: r#"{"text":"hi"}"#, ..Parts::default() };
/// let message = Message::new(parts).expect("the texts fit");
/// assert_eq!((message.id(), message.conversation()), ("m-1", "c-1"));
/// assert_eq!(message.without_body().body(), "");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    conversation: Arc<str>,
    text: Text,
    id_end: u16,
    params_end: u16,
    headers_bytes: u16,
    traceparent_bytes: u8,
    /// 1 or 0, and no `bool`: its other values would tell what a place of the outbox holds, and make it 8 bytes larger.
    id_given: u8,
}

/// Without a count of weak references, which would be 8 bytes more.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Text(triomphe::Arc<str>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Message {
    /// The message of these texts.
    ///
    /// # Errors
    /// When the texts before the body are beyond all limits, or `params` or `headers` is no object of texts.
    pub fn new(parts: Parts<'_>) -> Result<Self, Unfit> {
        Self::new_in(&mut String::new(), parts)
    }

    /// The same where many are made: `room` is emptied and used for each to put its texts together.
    ///
    /// # Errors
    /// As [`Message::new`].
    pub fn new_in(room: &mut String, parts: Parts<'_>) -> Result<Self, Unfit> {
        let Parts { id, id_given, conversation, params, headers, traceparent, body } = parts;
        let too_long = |_| Unfit { field: "id", rule: "and the other texts beside the body must be within 64 KiB" };
        let id_end = id.len();
        let params_end = id_end + params.len();
        for (field, texts) in [("params", params), ("headers", headers)] {
            if !texts.is_empty() {
                serde_json::from_str::<BTreeMap<String, String>>(texts)
                    .map_err(|_| Unfit { field, rule: "must be an object of texts" })?;
            }
        }
        room.clear();
        room.reserve(params_end + headers.len() + traceparent.len() + body.len());
        for part in [id, params, headers, traceparent, body] {
            room.push_str(part);
        }
        Ok(Self {
            conversation: conversation.into(),
            text: Text(room.as_str().into()),
            id_end: id_end.try_into().map_err(too_long)?,
            params_end: params_end.try_into().map_err(too_long)?,
            headers_bytes: headers.len().try_into().map_err(too_long)?,
            traceparent_bytes: traceparent.len().try_into().map_err(too_long)?,
            id_given: id_given.into(),
        })
    }

    /// The de-duplication key.
    pub fn id(&self) -> &str {
        self.part(0..self.id_end.into())
    }

    /// Whether the caller gave the id.
    pub fn id_given(&self) -> bool {
        self.id_given != 0
    }

    /// The FIFO lane.
    pub fn conversation(&self) -> &str {
        &self.conversation
    }

    /// The same, to share it.
    pub fn conversation_shared(&self) -> &Arc<str> {
        &self.conversation
    }

    /// From now on its conversation's name is this one, which is equal to it: a lane's messages have one among them.
    pub fn share_conversation(&mut self, equal: &Arc<str>) {
        debug_assert_eq!(self.conversation, *equal);
        if !Arc::ptr_eq(&self.conversation, equal) {
            self.conversation = Arc::clone(equal);
        }
    }

    /// Values for the route's other placeholders, as the JSON object that came; none is the same as none in it.
    pub fn params_json(&self) -> Option<&str> {
        some(self.part(self.id_end.into()..self.params_end.into()))
    }

    /// The same, read; `None` without any, as for most routes.
    pub fn params(&self) -> Option<Params> {
        self.params_json().map(|params| serde_json::from_str(params).unwrap_or_default())
    }

    /// Whether both have the same values for the route.
    pub fn has_params_of(&self, other: &Self) -> bool {
        let has_none = |message: &Self| message.params_end == message.id_end;
        (has_none(self) && has_none(other))
            || self.params_json() == other.params_json()
            || self.params().unwrap_or_default() == other.params().unwrap_or_default()
    }

    /// Headers of its own, as the JSON object that came.
    pub fn headers_json(&self) -> Option<&str> {
        some(self.part(self.params_end.into()..self.headers_end()))
    }

    /// The same, read, with names in lower case; `None` without any, as for most messages.
    pub fn headers(&self) -> Option<BTreeMap<String, String>> {
        self.headers_json().map(|headers| serde_json::from_str(headers).unwrap_or_default())
    }

    /// Whether both have the same headers, so that one request may carry both.
    pub fn has_headers_of(&self, other: &Self) -> bool {
        (self.headers_bytes == 0 && other.headers_bytes == 0)
            || self.headers_json() == other.headers_json()
            || self.headers().unwrap_or_default() == other.headers().unwrap_or_default()
    }

    /// W3C `traceparent` of the caller's span; a batch carries its first message's.
    pub fn traceparent(&self) -> Option<&str> {
        some(self.part(self.headers_end()..self.body_at()))
    }

    /// The serialized JSON body.
    pub fn body(&self) -> &str {
        self.part(self.body_at()..self.text.0.len())
    }

    /// The same without its body, which a store has.
    #[must_use]
    pub fn without_body(&self) -> Self {
        Self { text: Text(self.text.0[..self.body_at()].into()), ..self.clone() }
    }

    /// The bytes of id and body, not copied, for a request.
    pub fn shared(&self) -> (Key, Bytes) {
        let mut body = Bytes::from_owner(self.text.clone());
        let id = body.slice(..usize::from(self.id_end));
        body.advance(self.body_at());
        (Key::of_text(id), body)
    }

    fn headers_end(&self) -> usize {
        usize::from(self.params_end) + usize::from(self.headers_bytes)
    }

    fn body_at(&self) -> usize {
        self.headers_end() + usize::from(self.traceparent_bytes)
    }

    fn part(&self, range: Range<usize>) -> &str {
        &self.text.0[range]
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PARTS: Parts<'static> = Parts {
        id: "mé",
        id_given: true,
        conversation: "c",
        params: r#"{"queue":"ü"}"#,
        headers: r#"{"genesys-app":"é"}"#,
        traceparent: "00-1-2-03",
        body: r#"{"text":"日本"}"#,
    };

    #[test]
    fn what_comes_in_comes_out() {
        let message = Message::new(PARTS).unwrap();
        assert_eq!((message.id(), message.id_given(), message.conversation()), (PARTS.id, true, PARTS.conversation));
        assert_eq!((message.params_json(), message.traceparent()), (Some(PARTS.params), Some(PARTS.traceparent)));
        assert_eq!((message.params().unwrap()["queue"].as_str(), message.body()), ("ü", PARTS.body));
        assert_eq!(
            (message.headers_json(), message.headers().unwrap()["genesys-app"].as_str()),
            (Some(PARTS.headers), "é")
        );
        let bare = Message::new(Parts { id: "m", body: "{}", ..Parts::default() }).unwrap();
        assert_eq!((bare.id(), bare.conversation(), bare.body()), ("m", "", "{}"));
        assert_eq!((bare.params_json(), bare.traceparent(), bare.params()), (None, None, None));
        assert_eq!((bare.headers_json(), bare.headers()), (None, None));
    }

    #[test]
    fn headers_are_the_same_whatever_their_order() {
        let of = |headers| Message::new(Parts { headers, ..PARTS }).unwrap();
        let one = of(r#"{"a":"1","b":"2"}"#);
        assert!(one.has_headers_of(&of(r#"{"b":"2","a":"1"}"#)) && of("").has_headers_of(&of("{}")));
        for other in ["", "{}", r#"{"a":"1"}"#, r#"{"a":"1","b":"3"}"#, r#"{"a":"1","b":"2","c":""}"#] {
            assert!(!one.has_headers_of(&of(other)), "{other}");
        }
    }

    #[test]
    fn requests_share_its_id_and_its_body() {
        let message = Message::new(PARTS).unwrap();
        let (id, bytes) = message.shared();
        assert_eq!((id.as_ptr(), &*id), (message.id().as_ptr(), message.id()));
        assert_eq!((bytes.as_ptr(), &*bytes), (message.body().as_ptr(), message.body().as_bytes()));
        drop(message);
        assert_eq!((&*id, bytes), (PARTS.id, Bytes::from(PARTS.body)));
        assert!(Message::new(Parts { body: "", ..PARTS }).unwrap().shared().1.is_empty());
    }

    #[test]
    fn without_its_body_it_has_all_else() {
        let message = Message::new(PARTS).unwrap();
        assert_eq!(message.without_body(), Message::new(Parts { body: "", ..PARTS }).unwrap());
    }

    #[test]
    fn room_for_many_leaves_nothing_of_one_in_the_next() {
        let mut room = String::new();
        let long = Message::new_in(&mut room, Parts { body: &"x".repeat(1_000), ..PARTS }).unwrap();
        assert_eq!(Message::new_in(&mut room, PARTS), Message::new(PARTS));
        assert_eq!(long.body().len(), 1_000);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let long = "x".repeat(70_000);
        for parts in [
            Parts { id: &long, ..PARTS },
            Parts { traceparent: &long[..300], ..PARTS },
            Parts { params: "[]", ..PARTS },
            Parts { params: r#"{"a":1}"#, ..PARTS },
            Parts { headers: r#"{"a":["b"]}"#, ..PARTS },
            Parts { headers: &long, ..PARTS },
        ] {
            assert!(Message::new(parts).is_err());
        }
        assert!(Message::new(Parts { body: &long, ..PARTS }).is_ok());
    }

    #[test]
    fn a_message_takes_little_beside_its_text() {
        assert_eq!(size_of::<Message>(), 40);
    }
}
