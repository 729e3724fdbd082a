//! Where the text of a body stands.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json;

/// Fields that hold attachments on the routes of the API: a message that has one travels alone.
const ATTACHMENTS: [&str; 4] = ["content", "attachments", "mediaIds", "messagingTemplate"];
/// What a field may hold that has no attachment after all.
const EMPTY: [&str; 2] = ["null", "[]"];

/// The bytes between the quotes of the text in `field` of a JSON object; none when it is no object, has no such text,
/// or attachments.
pub(super) fn find_text(body: &[u8], field: &str) -> Option<Range<usize>> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let text = Finder { field }.deserialize(&mut reader).ok().filter(|_| reader.end().is_ok())?;
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    let start = inside.as_ptr() as usize - body.as_ptr() as usize;
    Some(start..start + inside.len())
}

/// The field because of which a body has no text to join: that of an attachment, else that of the text.
pub(super) fn obstacle<'f>(body: &[u8], field: &'f str) -> &'f str {
    let text = json::text_of(body);
    let attachments = json::raw(&text).and_then(|body| json::fields(body, ATTACHMENTS)).unwrap_or_default();
    let is_there = |value: &Option<&RawValue>| value.is_some_and(|value| !EMPTY.contains(&value.get()));
    attachments.iter().position(is_there).map_or(field, |at| ATTACHMENTS[at])
}

/// What a key stands for.
enum Key {
    Text,
    Attachment,
    Other,
}

struct Finder<'f> {
    field: &'f str,
}

impl<'de> DeserializeSeed<'de> for Finder<'_> {
    type Value = &'de str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Finder<'_> {
    type Value = &'de str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a text")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut text = None;
        while let Some(key) = map.next_key_seed(KeyOf { field: self.field })? {
            match key {
                Key::Text if text.is_none() => text = Some(map.next_value::<&RawValue>()?.get()),
                Key::Text => return Err(A::Error::duplicate_field("text")),
                Key::Attachment if EMPTY.contains(&map.next_value::<&RawValue>()?.get()) => {}
                Key::Attachment => return Err(A::Error::custom("an attachment")),
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        text.ok_or_else(|| A::Error::missing_field("text"))
    }
}

struct KeyOf<'f> {
    field: &'f str,
}

impl<'de> DeserializeSeed<'de> for KeyOf<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOf<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
        Ok(match key {
            key if key == self.field => Key::Text,
            key if ATTACHMENTS.contains(&key) => Key::Attachment,
            _ => Key::Other,
        })
    }
}
