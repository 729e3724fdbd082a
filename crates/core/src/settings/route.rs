//! Where messages go: the path with its placeholders, and the presets of the API's messaging routes.

use std::ops::RangeInclusive;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::channel::Channel;
use crate::error::Error;
use crate::message::{Message, Params};

/// Everything but RFC 3986's unreserved characters is encoded, so that a value can't leave its path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const PLACEHOLDER_CONVERSATION: &str = "conversationId";

/// What a limit on texts may be.
pub(super) const TEXT_LENGTHS: RangeInclusive<u64> = 1..=1_000_000;

/// The preset whose route takes an array.
const ARRAY_PRESET: &str = "messaging-array";

/// A route of the API by its name.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Its path.
    pub path: &'static str,
    text_field: Option<&'static str>,
    channel: Option<Channel>,
    varying: &'static [&'static str],
}

/// The messages of an agent and of a bot go to any channel, so theirs is the one with the shortest texts; the same
/// holds for replies on social media. By the provider's rules each open inbound message has a time and an id of its
/// own.
pub const PRESETS: [Preset; 11] = [
    Preset {
        name: "messaging",
        path: "/api/v2/messaging/conversations/{conversationId}/messages",
        text_field: Some("text"),
        channel: None,
        varying: &[],
    },
    Preset {
        name: "messaging-array",
        path: "/v2/conversations/messages",
        text_field: Some("text"),
        channel: None,
        varying: &[],
    },
    Preset {
        name: "open-inbound",
        path: "/api/v2/conversations/messages/{integrationId}/inbound/open/message",
        text_field: Some("text"),
        channel: Some(Channel::Open),
        varying: &["channel.time", "channel.messageId"],
    },
    Preset {
        name: "open-event",
        path: "/api/v2/conversations/messages/{integrationId}/inbound/open/event",
        text_field: None,
        channel: None,
        varying: &[],
    },
    Preset {
        name: "open-receipt",
        path: "/api/v2/conversations/messages/{integrationId}/inbound/open/receipt",
        text_field: None,
        channel: None,
        varying: &[],
    },
    Preset {
        name: "open-response",
        path: "/api/v2/conversations/messages/{integrationId}/inbound/open/structured/response",
        text_field: None,
        channel: None,
        varying: &[],
    },
    Preset {
        name: "conversation",
        path: "/api/v2/conversations/messages/{conversationId}/communications/{communicationId}/messages",
        text_field: Some("textBody"),
        channel: Some(Channel::Sms),
        varying: &[],
    },
    Preset {
        name: "typing",
        path: "/api/v2/conversations/messages/{conversationId}/communications/{communicationId}/typing",
        text_field: None,
        channel: None,
        varying: &[],
    },
    Preset {
        name: "social-media",
        path: "/api/v2/conversations/messages/{conversationId}/communications/{communicationId}/socialmedia/messages",
        text_field: Some("textBody"),
        channel: Some(Channel::Instagram),
        varying: &[],
    },
    Preset {
        name: "internal",
        path: "/api/v2/conversations/{conversationId}/communications/{communicationId}/internalmessages",
        text_field: Some("text"),
        channel: None,
        varying: &[],
    },
    Preset {
        name: "agentless",
        path: "/api/v2/conversations/messages/agentless",
        text_field: Some("textBody"),
        channel: Some(Channel::Sms),
        varying: &[],
    },
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// `{conversationId}`: a path to another conversation than that of the lane would break its order.
    Conversation,
    /// Any other placeholder.
    Param(String),
}

impl Piece {
    /// What stands here in the path of `message`, before it is encoded.
    ///
    /// # Errors
    /// What is wrong with the value.
    fn value<'a>(&'a self, message: &'a Message, params: Option<&'a Params>) -> Result<&'a str, &'static str> {
        let value = match self {
            Self::Literal(text) => return Ok(text),
            Self::Conversation => message.conversation(),
            Self::Param(name) => match params.and_then(|params| params.get(name)) {
                Some(value) => value,
                None => return Err("is missing: the route's path needs it"),
            },
        };
        match value {
            "" | "." | ".." => Err("must not be empty, \".\" or \"..\": it is a path segment"),
            value => Ok(value),
        }
    }

    fn error(&self, problem: &str) -> Error {
        let field = match self {
            Self::Literal(_) => unreachable!("a literal is always there"),
            Self::Conversation => PLACEHOLDER_CONVERSATION.to_owned(),
            Self::Param(name) => format!("params.{name}"),
        };
        Error::message(field, problem)
    }
}

/// A path template such as `/x/{conversationId}/y`.
///
/// ```
/// use spillway_core::settings::Route;
///
/// let route = Route::preset("messaging").expect("it is a preset");
/// assert_eq!(route.template(), "/api/v2/messaging/conversations/{conversationId}/messages");
/// assert!(Route::custom("no/slash", None).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pieces: Vec<Piece>,
    text_field: Option<String>,
    array: bool,
    text_length_max: Option<usize>,
    channel: Option<Channel>,
    /// Fields that differ in every message of the preset, as paths.
    varying: &'static [&'static str],
}

impl Route {
    /// A preset by its name.
    pub fn preset(name: &str) -> Option<Self> {
        let Preset { path, text_field, channel, varying, .. } = *PRESETS.iter().find(|preset| preset.name == name)?;
        let route = Self::custom(path, text_field).ok()?;
        Some(Self { array: name == ARRAY_PRESET, channel, varying, ..route })
    }

    /// A route of the caller's own.
    ///
    /// # Errors
    /// What is wrong with the path, as a phrase that follows "must be".
    pub fn custom(path: &str, text_field: Option<&str>) -> Result<Self, &'static str> {
        Ok(Self {
            pieces: pieces(path)?,
            text_field: text_field.map(str::to_owned),
            array: false,
            text_length_max: None,
            channel: None,
            varying: &[],
        })
    }

    /// The same route, taking arrays or not.
    #[must_use]
    pub fn with_array(self, array: bool) -> Self {
        Self { array, ..self }
    }

    /// The same route with another limit on texts.
    #[must_use]
    pub fn with_text_length_max(self, length: u64) -> Self {
        Self { text_length_max: Some(usize::try_from(length).unwrap_or(usize::MAX)), ..self }
    }

    /// The path as it was given: `/x/{conversationId}/y`.
    pub fn template(&self) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Conversation => format!("{{{PLACEHOLDER_CONVERSATION}}}"),
            Piece::Param(name) => format!("{{{name}}}"),
        };
        self.pieces.iter().map(text).collect()
    }

    /// Whether the body is an array of messages; then a single message is an array of one.
    pub fn is_array(&self) -> bool {
        self.array
    }

    /// Whether the path differs by conversation.
    pub fn names_conversation(&self) -> bool {
        self.pieces.contains(&Piece::Conversation)
    }

    /// The longest text of a merged message, where the route says it.
    pub fn text_length_max(&self) -> Option<usize> {
        self.text_length_max
    }

    /// The channel whose limit on texts holds, where the preset has one.
    pub fn channel(&self) -> Option<Channel> {
        self.channel
    }

    /// Fields that differ in every message, as paths.
    pub fn varying(&self) -> &'static [&'static str] {
        self.varying
    }

    /// The body's field that holds the text.
    pub fn text_field(&self) -> Option<&str> {
        self.text_field.as_deref()
    }

    /// The path of `message`, each value percent-encoded.
    ///
    /// # Errors
    /// A placeholder without a value, or with one that would change the path's structure (empty, `.`, `..`); a param
    /// that the route has no placeholder for.
    pub fn path(&self, message: &Message) -> Result<String, Error> {
        let params = message.params();
        let mut path = String::with_capacity(96);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => path.push_str(text),
                placeholder => match placeholder.value(message, params.as_ref()) {
                    Ok(value) => push_segment(&mut path, value),
                    Err(problem) => return Err(placeholder.error(problem)),
                },
            }
        }
        Ok(path)
    }

    /// Checks that `message` has all that its path needs, and nothing that it doesn't.
    ///
    /// # Errors
    /// As [`Self::path`].
    pub fn check(&self, message: &Message) -> Result<(), Error> {
        let Some(params) = message.params() else { return self.fill(message, None) };
        self.fill(message, Some(&params))?;
        let is_foreign = |key: &&String| !self.takes(key);
        match params.keys().find(is_foreign) {
            None => Ok(()),
            Some(key) if key == PLACEHOLDER_CONVERSATION => {
                Err(Error::message(format!("params.{key}"), "must be left out: it is the message's own conversationId"))
            }
            Some(key) => Err(Error::message(format!("params.{key}"), "is not a placeholder of the route's path")),
        }
    }

    /// Checks that `message` has all that its path needs. One of an earlier run was checked against the route of that
    /// run.
    ///
    /// # Errors
    /// As [`Self::path`].
    pub fn check_path(&self, message: &Message) -> Result<(), Error> {
        self.fill(message, message.params().as_ref())
    }

    fn fill(&self, message: &Message, params: Option<&Params>) -> Result<(), Error> {
        let mut placeholders = self.pieces.iter().filter(|piece| !matches!(piece, Piece::Literal(_)));
        placeholders.try_for_each(|piece| match piece.value(message, params) {
            Ok(_) => Ok(()),
            Err(problem) => Err(piece.error(problem)),
        })
    }

    /// Whether a param of this name has a placeholder.
    fn takes(&self, name: &str) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Param(own) if own == name))
    }
}

/// Appends a value, percent-encoded. Ids are nearly always plain.
fn push_segment(path: &mut String, value: &str) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    // All of them are looked at, whatever comes first: that way the compiler takes sixteen at a time.
    if value.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        path.push_str(value);
    } else {
        path.extend(utf8_percent_encode(value, SEGMENT));
    }
}

/// Whether a URL parser takes the segment for "." or "..": encoded dots count as dots.
fn is_dot_segment(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// Splits a template; a phrase that follows "must be" when it is none.
fn pieces(path: &str) -> Result<Vec<Piece>, &'static str> {
    const RULE: &str =
        "a path that begins with one \"/\", of visible ASCII without \"?\", \"#\", \"\\\" and \".\" or \"..\" segments";
    let plain = path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= 1_024
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\'))
        && !path.split('/').any(is_dot_segment);
    if !plain {
        return Err(RULE);
    }
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some((literal, tail)) = rest.split_once('{') {
        let (name, tail) = tail.split_once('}').ok_or("a path whose every \"{\" is closed by \"}\"")?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err("a path whose placeholders have names of ASCII letters, digits and \"_\"");
        }
        pieces.push(Piece::Literal(literal.to_owned()));
        pieces.push(if name == PLACEHOLDER_CONVERSATION { Piece::Conversation } else { Piece::Param(name.to_owned()) });
        rest = tail;
    }
    if rest.contains('}') || pieces.iter().any(|piece| matches!(piece, Piece::Literal(text) if text.contains('}'))) {
        return Err("a path without a stray \"}\"");
    }
    pieces.push(Piece::Literal(rest.to_owned()));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::message::Parts;

    fn message(conversation: &str, params: &[(&str, &str)]) -> Message {
        let params: Params = params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let params = serde_json::to_string(&params).unwrap();
        Message::new(Parts { id: "m", conversation, params: &params, ..Parts::default() }).unwrap()
    }

    #[test]
    fn values_are_encoded_and_stay_in_their_segment() {
        let route = Route::preset("messaging").unwrap();
        for (conversation, segment) in [
            ("plain-1_2~3.4", "plain-1_2~3.4"),
            ("../../admin", "..%2F..%2Fadmin"),
            ("%2e%2e", "%252e%252e"),
            ("a\0b", "a%00b"),
            ("x?y#z", "x%3Fy%23z"),
            ("日本", "%E6%97%A5%E6%9C%AC"),
        ] {
            let path = route.path(&message(conversation, &[])).unwrap();
            assert_eq!(path, format!("/api/v2/messaging/conversations/{segment}/messages"));
        }
    }

    #[test]
    fn dot_segments_and_missing_or_foreign_params_are_refused() {
        let route = Route::preset("open-inbound").unwrap();
        for (params, field) in [
            (&[][..], "params.integrationId"),
            (&[("integrationId", "..")][..], "params.integrationId"),
            (&[("integrationId", ".")][..], "params.integrationId"),
            (&[("integrationId", "")][..], "params.integrationId"),
            (&[("integrationId", "ok"), ("other", "x")][..], "params.other"),
        ] {
            match route.check(&message("c", params)) {
                Err(Error::MessageInvalid { field: named, .. }) => assert_eq!(named, field),
                other => assert!(other.is_err(), "{params:?} was accepted"),
            }
        }
    }

    #[test]
    fn the_path_leads_to_the_conversation_that_the_message_is_of() {
        let route = Route::preset("messaging").unwrap();
        let astray = message("mine", &[("conversationId", "other")]);
        assert!(
            matches!(route.check(&astray), Err(Error::MessageInvalid { field, .. }) if field == "params.conversationId")
        );
        // One of an earlier run is kept on its way.
        assert!(route.check_path(&astray).is_ok());
        assert_eq!(route.path(&astray).unwrap(), "/api/v2/messaging/conversations/mine/messages");
    }

    #[test]
    fn templates_are_checked() {
        assert!(Route::custom("/x/{conversationId}/y", Some("text")).is_ok());
        for path in [
            "x",
            "//host/x",
            "/a/../b",
            "/a?b",
            "/a b",
            "/{",
            "/}",
            "/{a b}",
            "/{}",
            "",
            "/a\\b",
            "/é",
            "/%2e%2E/x",
            "/.%2e",
        ] {
            assert!(Route::custom(path, None).is_err(), "{path}");
        }
    }

    #[test]
    fn every_preset_parses() {
        for Preset { name, .. } in PRESETS {
            assert!(Route::preset(name).is_some(), "{name}");
        }
    }
}
