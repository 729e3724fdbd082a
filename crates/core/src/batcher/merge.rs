//! Merging: waiting texts of one conversation become one body, joined by a newline.
//!
//! A body is taken as three slices, before, inside and behind its text: bodies that differ in nothing else have the
//! same bytes around it, and their texts join as they are, escapes and all. Nothing is parsed into a tree or written
//! anew.

use serde_json::Value;

use super::text::find_text;
use crate::settings::TextUnits;

/// A newline, as JSON writes it.
const JOINT: &[u8] = br"\n";
const JOINT_LENGTH: usize = 1;

/// A body that grows by further texts.
///
/// ```
/// use spillway_core::{batcher::Merge, settings::TextUnits};
///
/// let mut merge = Merge::begin(br#"{"text":"a","to":"x"}"#, "text", TextUnits::Utf16, 2_000).expect("it has a text");
/// assert!(merge.add(br#"{"text":"b","to":"x"}"#, 1_024));
/// assert!(!merge.add(br#"{"text":"c","to":"y"}"#, 1_024), "another field differs");
/// assert_eq!(merge.into_body(), br#"{"text":"a\nb","to":"x"}"#);
/// ```
#[derive(Debug)]
pub struct Merge<'a> {
    field: &'a str,
    units: TextUnits,
    length_max: usize,
    /// All up to the end of the text so far.
    head: Vec<u8>,
    /// How much of it is before the text.
    text_at: usize,
    /// All behind the text, from its closing quote on.
    tail: Vec<u8>,
    length: usize,
    merged: usize,
}

impl<'a> Merge<'a> {
    /// Begins with one body; none when nothing can be merged into it: it is no object, has no text, or attachments.
    pub fn begin(body: &[u8], field: &'a str, units: TextUnits, length_max: usize) -> Option<Self> {
        let text = find_text(body, field)?;
        let (head, tail) = body.split_at(text.end);
        Some(Self {
            field,
            units,
            length_max,
            length: text_length(&body[text.clone()], units)?,
            head: head.to_vec(),
            text_at: text.start,
            tail: tail.to_vec(),
            merged: 1,
        })
    }

    /// Takes the text of another body in, if all its other fields are equal and the whole stays short enough: within
    /// the text's length, and within `bytes_max` of the serialized body.
    pub fn add(&mut self, body: &[u8], bytes_max: usize) -> bool {
        let Some(place) = find_text(body, self.field) else { return false };
        let (before, text, behind) = (&body[..place.start], &body[place.clone()], &body[place.end..]);
        let Some(length) = text_length(text, self.units) else { return false };
        let length = self.length + JOINT_LENGTH + length;
        if length > self.length_max || self.bytes() + JOINT.len() + text.len() > bytes_max {
            return false;
        }
        let own = (&self.head[..self.text_at], &self.tail[..]);
        if own != (before, behind) && !are_alike(own, (before, behind)) {
            return false;
        }
        self.head.extend_from_slice(JOINT);
        self.head.extend_from_slice(text);
        self.length = length;
        self.merged += 1;
        true
    }

    /// Bytes of the merged body, serialized.
    pub fn bytes(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// How many bodies are in it.
    pub fn merged(&self) -> usize {
        self.merged
    }

    /// The merged body, its fields in the order of the first.
    pub fn into_body(mut self) -> Vec<u8> {
        self.head.append(&mut self.tail);
        self.head
    }
}

/// Whether two bodies without their texts say the same in other words: their fields in another order, for one.
fn are_alike(one: (&[u8], &[u8]), other: (&[u8], &[u8])) -> bool {
    let read = |(before, behind): (&[u8], &[u8])| serde_json::from_slice::<Value>(&[before, behind].concat()).ok();
    read(one).is_some_and(|one| read(other) == Some(one))
}

/// The length of what stands between the quotes of a JSON string.
fn text_length(inside: &[u8], units: TextUnits) -> Option<usize> {
    let text = std::str::from_utf8(inside).ok()?;
    if inside.contains(&b'\\') {
        return serde_json::from_str::<String>(&format!("\"{text}\"")).ok().map(|text| units.count(&text));
    }
    Some(units.count(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn merge(bodies: &[&str], units: TextUnits, length_max: usize) -> (usize, String) {
        let mut merge = Merge::begin(bodies[0].as_bytes(), "text", units, length_max).unwrap();
        for body in &bodies[1..] {
            if !merge.add(body.as_bytes(), usize::MAX) {
                break;
            }
        }
        let (merged, bytes, body) = (merge.merged(), merge.bytes(), String::from_utf8(merge.into_body()).unwrap());
        assert_eq!(body.len(), bytes);
        (merged, body)
    }

    #[test]
    fn texts_join_and_fields_keep_their_order() {
        let bodies = [r#"{"z":1,"text":"a","b":[]}"#, r#"{"b":[],"z":1,"text":"ü"}"#, r#"{"z":2,"text":"c","b":[]}"#];
        assert_eq!(merge(&bodies, TextUnits::Utf16, 100), (2, r#"{"z":1,"text":"a\nü","b":[]}"#.to_owned()));
    }

    #[test]
    fn the_length_is_counted_as_the_server_counts() {
        let bodies = [r#"{"text":"😀"}"#, r#"{"text":"é"}"#];
        for (units, fits, too_short) in
            [(TextUnits::CodePoints, 3, 2), (TextUnits::Utf16, 4, 3), (TextUnits::Bytes, 7, 6)]
        {
            assert_eq!(merge(&bodies, units, fits).0, 2, "{units:?}");
            assert_eq!(merge(&bodies, units, too_short).0, 1, "{units:?}");
        }
    }

    #[test]
    fn attachments_and_bodies_without_a_text_travel_alone() {
        for body in
            [r#"{"text":"a","content":[{}]}"#, r#"{"text":"a","mediaIds":["x"]}"#, r#"{"text":1}"#, r#"{}"#, "[]", "7"]
        {
            assert!(Merge::begin(body.as_bytes(), "text", TextUnits::Utf16, 100).is_none(), "{body}");
            let mut merge = Merge::begin(br#"{"text":"a"}"#, "text", TextUnits::Utf16, 100).unwrap();
            assert!(!merge.add(body.as_bytes(), usize::MAX), "{body}");
        }
        for body in [r#"{"text":"a","content":[]}"#, r#"{"mediaIds":null,"text":"a"}"#] {
            assert!(Merge::begin(body.as_bytes(), "text", TextUnits::Utf16, 100).is_some(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn texts_are_joined_and_all_else_stays(
            texts in proptest::collection::vec("\\PC{0,12}|[\"\\\\\n\t😀é/]{0,6}", 1..8),
            field in "[a-z\"\\\\é]{1,4}",
        ) {
            let body = |text: &str| {
                let mut body = serde_json::Map::new();
                body.insert("a 1".to_owned(), json!({ field.clone(): ["no text"], "text": 1 }));
                body.insert(field.clone(), text.into());
                body.insert("z 1".to_owned(), json!(["\\\"", null]));
                serde_json::to_vec(&body).unwrap()
            };
            for units in [TextUnits::Utf16, TextUnits::CodePoints, TextUnits::Bytes] {
                let mut merge = Merge::begin(&body(&texts[0]), &field, units, 10_000).unwrap();
                prop_assert!(texts[1..].iter().all(|text| merge.add(&body(text), usize::MAX)));
                let whole = texts.join("\n");
                prop_assert_eq!(merge.length, units.count(&whole));
                prop_assert_eq!((merge.bytes(), merge.merged()), (body(&whole).len(), texts.len()));
                let read: Value = serde_json::from_slice(&merge.into_body()).unwrap();
                let expected: Value = serde_json::from_slice(&body(&texts[0])).unwrap();
                for (key, value) in read.as_object().unwrap() {
                    let joined = json!(whole.clone());
                    prop_assert_eq!(value, if *key == field { &joined } else { &expected[key] });
                }
            }
        }
    }
}
