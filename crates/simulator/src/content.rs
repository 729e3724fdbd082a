//! The messages of a request's body.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::request::Request;

/// A message with what the ledger wants to know of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message<'a> {
    /// The body's `id`, else `messageId`, else `channel.messageId`, else the idempotency key.
    pub(crate) id: Option<Cow<'a, str>>,
    /// The path's conversation, else the body's `conversationId`.
    pub(crate) conversation: Option<Cow<'a, str>>,
    /// The body's `seq`, else `metadata.seq`.
    pub(crate) seq: Option<f64>,
    /// Whether it contains the poison text.
    pub(crate) poisoned: bool,
}

/// One message, or an array of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content<'a> {
    One(Message<'a>),
    Many(Vec<Message<'a>>),
}

impl<'a> Content<'a> {
    /// Reads a body; an error when it is neither empty, nor a JSON object, nor an array of them.
    pub(crate) fn read(request: &Request<'a>, poison: Option<&str>) -> Result<Self, serde_json::Error> {
        let key = request.idempotency_key.map(decoded);
        let conversation = request.conversation_segment().map(decoded);
        let poisoned = |text: &[u8]| {
            poison.is_some_and(|poison| {
                let poison = poison.as_bytes();
                text.windows(poison.len()).any(|window| window == poison)
            })
        };
        let body = request.body.trim_ascii();
        match body.first() {
            None => Ok(Self::One(Message { id: key, conversation, seq: None, poisoned: false })),
            Some(b'[') if poison.is_none() => {
                let list: Vec<Fields<'a>> = serde_json::from_slice(body)?;
                Ok(Self::Many(list.into_iter().map(|fields| fields.message(None, &conversation, false)).collect()))
            }
            Some(b'[') => {
                let list: Vec<&'a serde_json::value::RawValue> = serde_json::from_slice(body)?;
                let read = |raw: &'a serde_json::value::RawValue| {
                    let fields: Fields<'a> = serde_json::from_str(raw.get())?;
                    Ok(fields.message(None, &conversation, poisoned(raw.get().as_bytes())))
                };
                list.into_iter().map(read).collect::<Result<_, _>>().map(Self::Many)
            }
            Some(_) => {
                let fields: Fields<'a> = serde_json::from_slice(body)?;
                Ok(Self::One(fields.message(key, &conversation, poisoned(body))))
            }
        }
    }

    pub(crate) fn messages(&self) -> &[Message<'a>] {
        match self {
            Self::One(message) => std::slice::from_ref(message),
            Self::Many(messages) => messages,
        }
    }
}

/// The fields of a message's JSON that are looked at, whatever their types are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, default)]
    id: Lenient<'a>,
    #[serde(borrow, default)]
    message_id: Lenient<'a>,
    #[serde(borrow, default)]
    channel: Channel<'a>,
    #[serde(borrow, default)]
    conversation_id: Lenient<'a>,
    #[serde(borrow, default)]
    seq: Lenient<'a>,
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
}

impl<'a> Fields<'a> {
    fn message(self, key: Option<Cow<'a, str>>, conversation: &Option<Cow<'a, str>>, poisoned: bool) -> Message<'a> {
        let channel_id = match self.channel {
            Channel::Known { message_id } => message_id.text(),
            Channel::Other(_) => None,
        };
        let metadata_seq = match self.metadata {
            Metadata::Known { seq } => seq.number(),
            Metadata::Other(_) => None,
        };
        Message {
            id: self.id.text().or_else(|| self.message_id.text()).or(channel_id).or(key),
            conversation: conversation.clone().or_else(|| self.conversation_id.text()),
            seq: self.seq.number().or(metadata_seq),
            poisoned,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Number(f64),
    Other(IgnoredAny),
}

impl Default for Lenient<'_> {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

impl<'a> Lenient<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Channel<'a> {
    #[serde(rename_all = "camelCase")]
    Known {
        #[serde(borrow)]
        message_id: Lenient<'a>,
    },
    Other(IgnoredAny),
}

impl Default for Channel<'_> {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Metadata<'a> {
    Known {
        #[serde(borrow)]
        seq: Lenient<'a>,
    },
    Other(IgnoredAny),
}

impl Default for Metadata<'_> {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

/// Percent-decoded; bytes that aren't UTF-8 become the replacement character. Most texts are plain, and needn't be
/// looked at twice.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    if text.contains('%') { percent_decode_str(text).decode_utf8_lossy() } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn one(path: &str, key: Option<&str>, body: &str) -> (Option<String>, Option<String>, Option<f64>) {
        let request = Request { path, idempotency_key: key, body: body.as_bytes(), ..Request::default() };
        let content = Content::read(&request, None).unwrap();
        let message = &content.messages()[0];
        let owned = |text: &Option<Cow<'_, str>>| text.as_deref().map(str::to_owned);
        (owned(&message.id), owned(&message.conversation), message.seq)
    }

    #[test]
    fn where_id_conversation_and_seq_come_from() {
        let cases = [
            ("/conversations/c%201/messages", None, r#"{"id":"a","messageId":"b","seq":3}"#, ("a", "c 1", Some(3.0))),
            ("/conversations/messages", None, r#"{"messageId":"b","conversationId":"c"}"#, ("b", "c", None)),
            ("/conversations/c", Some("k"), r#"{"channel":{"messageId":"d","x":{}}}"#, ("d", "c", None)),
            (
                "/conversations/c",
                Some("k%2F1"),
                r#"{"id":7,"channel":"x","metadata":{"seq":2.5}}"#,
                ("k/1", "c", Some(2.5)),
            ),
            ("/conversations/c", Some("k"), "", ("k", "c", None)),
            ("/conversations/c", Some("k"), r#"{"id":"\u00e9\n","metadata":[1]}"#, ("é\n", "c", None)),
        ];
        for (path, key, body, (id, conversation, seq)) in cases {
            assert_eq!(one(path, key, body), (Some(id.into()), Some(conversation.into()), seq), "{body}");
        }
        assert_eq!(one("/conversations", None, "{}"), (None, None, None));
    }

    #[test]
    fn arrays_and_poison() {
        let body = br#" [{"id":"a","text":"fine"},{"id":"b","text":"BAD"}]"#;
        let request = Request { path: "/v2/conversations/messages", body, ..Request::default() };
        let content = Content::read(&request, Some("BAD")).unwrap();
        let poisoned: Vec<_> = content.messages().iter().map(|m| (m.id.as_deref().unwrap(), m.poisoned)).collect();
        assert_eq!(poisoned, [("a", false), ("b", true)]);
        assert_eq!(Content::read(&request, None).unwrap().messages().len(), 2);
    }

    #[test]
    fn other_bodies_are_errors() {
        for body in ["{", "7", "\"text\"", "[1]", "null", "{}x"] {
            let request = Request { path: "/conversations", body: body.as_bytes(), ..Request::default() };
            assert!(Content::read(&request, None).is_err(), "{body}");
        }
    }
}
