//! Merging: waiting texts of one conversation become one body, joined by a newline.
//!
//! A body is taken as three slices, before, inside and behind its text: bodies that differ in nothing else have the
//! same bytes around it, and their texts join as they are, escapes and all. Nothing is parsed into a tree or written
//! anew.

use std::borrow::Cow;

use super::difference::{difference, shown};
use super::length::TextLength;
use super::text::{find_text, obstacle};
use crate::settings::{BatchSettings, Keep};

/// A newline, as JSON writes it.
const JOINT: &[u8] = br"\n";
const JOINT_TEXT: &str = "\n";

/// A body that grows by further texts.
///
/// ```
/// use spillway_core::{batcher::Merge, settings::{BatchMode, BatchSettings}};
///
/// let settings = BatchSettings::of(BatchMode::Merge);
/// let mut merge = Merge::begin(br#"{"text":"a","to":"x"}"#, "text", &settings).expect("it has a text");
/// assert!(merge.add(br#"{"text":"b","to":"x"}"#, 1_024));
/// assert!(!merge.add(br#"{"text":"c","to":"y"}"#, 1_024), "another field differs");
/// assert_eq!(merge.into_body(), br#"{"text":"a\nb","to":"x"}"#);
/// ```
#[derive(Debug)]
pub struct Merge<'a> {
    field: &'a str,
    settings: &'a BatchSettings,
    /// All up to the end of the text so far.
    head: Vec<u8>,
    /// How much of it is before the text.
    text_at: usize,
    /// All behind the text, from its closing quote on.
    tail: Vec<u8>,
    length: TextLength,
    merged: usize,
}

impl<'a> Merge<'a> {
    /// Begins with one body; none when nothing can be merged into it: it is no object, has no text or a blank one, or
    /// attachments.
    pub fn begin(body: &[u8], field: &'a str, settings: &'a BatchSettings) -> Option<Self> {
        let text = find_text(body, field)?;
        let (head, tail) = body.split_at(text.end);
        Some(Self {
            field,
            settings,
            length: length_of(&body[text.clone()], settings)?,
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
        let Some(length) = length_of(text, self.settings) else { return false };
        let length = self.length.plus(TextLength::of(JOINT_TEXT, self.settings.text_units)).plus(length);
        let own = (&self.head[..self.text_at], &self.tail[..]);
        let becomes = if self.settings.keep == Keep::Last { (before, behind) } else { own };
        let text_bytes = self.head.len() - self.text_at + JOINT.len() + text.len();
        if !length.fits(self.settings.text_length_max)
            || becomes.0.len() + text_bytes + becomes.1.len() > bytes_max
            || !self.are_alike(own, (before, behind))
        {
            return false;
        }
        if becomes != own {
            self.head.splice(..self.text_at, before.iter().copied());
            self.text_at = before.len();
            self.tail = behind.to_vec();
        }
        self.head.extend_from_slice(JOINT);
        self.head.extend_from_slice(text);
        self.length = length;
        self.merged += 1;
        true
    }

    /// The field of another body because of which it can't join, as a path; none if nothing but its size does that.
    pub fn obstacle(&self, body: &[u8]) -> Option<Box<str>> {
        let place = match find_text(body, self.field) {
            Some(place) if length_of(&body[place.clone()], self.settings).is_some() => place,
            _ => return Some(obstacle(body, self.field).into()),
        };
        let one = [&self.head[..self.text_at], &self.tail[..]].concat();
        let other = [&body[..place.start], &body[place.end..]].concat();
        difference(&one, &other, &self.settings.ignore).map(|path| shown(&path))
    }

    /// Bytes of the merged body, serialized.
    pub fn bytes(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// How many bodies are in it.
    pub fn merged(&self) -> usize {
        self.merged
    }

    /// The merged body, its fields in the order of the first, or the last.
    pub fn into_body(mut self) -> Vec<u8> {
        self.head.append(&mut self.tail);
        self.head
    }

    /// Whether two bodies without their texts say the same, perhaps in other words, apart from what may differ.
    fn are_alike(&self, one: (&[u8], &[u8]), other: (&[u8], &[u8])) -> bool {
        let whole = |(before, behind): (&[u8], &[u8])| [before, behind].concat();
        one == other || difference(&whole(one), &whole(other), &self.settings.ignore).is_none()
    }
}

/// The length of what stands between the quotes of a JSON string; none if it is blank: servers refuse such a text, and
/// with it those that it was joined to.
fn length_of(inside: &[u8], settings: &BatchSettings) -> Option<TextLength> {
    let text = std::str::from_utf8(inside).ok()?;
    let text: Cow<'_, str> = match inside.contains(&b'\\') {
        true => serde_json::from_str::<String>(&format!("\"{text}\"")).ok()?.into(),
        false => text.into(),
    };
    (!text.trim().is_empty()).then(|| TextLength::of(&text, settings.text_units))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::settings::{BatchMode, FieldPath, TextUnits};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn settings(text_units: TextUnits, text_length_max: usize) -> BatchSettings {
        BatchSettings { text_units, text_length_max, ..BatchSettings::of(BatchMode::Merge) }
    }

    fn merge_by(bodies: &[&str], settings: &BatchSettings) -> (usize, String) {
        let mut merge = Merge::begin(bodies[0].as_bytes(), "text", settings).unwrap();
        for body in &bodies[1..] {
            if !merge.add(body.as_bytes(), usize::MAX) {
                break;
            }
        }
        let (merged, bytes, body) = (merge.merged(), merge.bytes(), String::from_utf8(merge.into_body()).unwrap());
        assert_eq!(body.len(), bytes);
        (merged, body)
    }

    fn merge(bodies: &[&str], units: TextUnits, length_max: usize) -> (usize, String) {
        merge_by(bodies, &settings(units, length_max))
    }

    #[test]
    fn texts_join_and_fields_keep_their_order() {
        let bodies = [r#"{"z":1,"text":"a","b":[]}"#, r#"{"b":[],"z":1,"text":"ü"}"#, r#"{"z":2,"text":"c","b":[]}"#];
        assert_eq!(merge(&bodies, TextUnits::Utf16, 100), (2, r#"{"z":1,"text":"a\nü","b":[]}"#.to_owned()));
    }

    #[test]
    fn what_is_ignored_may_differ_and_is_the_first_ones_or_the_last_ones() {
        let bodies = [
            r#"{"channel":{"time":1,"id":"x"},"text":"a","b":1}"#,
            r#"{"channel":{"time":22,"id":"x"},"text":"b","b":1}"#,
            r#"{"b":1,"text":"c","channel":{"id":"x"}}"#,
            r#"{"channel":{"time":4,"id":"y"},"text":"d","b":1}"#,
        ];
        let ignore = vec![FieldPath::parse("channel.time").unwrap(), FieldPath::parse("no.such").unwrap()];
        let first = BatchSettings { ignore, ..settings(TextUnits::Utf16, 100) };
        let kept = r#"{"channel":{"time":1,"id":"x"},"text":"a\nb\nc","b":1}"#;
        assert_eq!(merge_by(&bodies, &first), (3, kept.to_owned()));
        let last = BatchSettings { keep: Keep::Last, ..first };
        let kept = r#"{"b":1,"text":"a\nb\nc","channel":{"id":"x"}}"#;
        assert_eq!(merge_by(&bodies, &last), (3, kept.to_owned()));
        // The bytes are those of the body that comes of it.
        let bytes = r#"{"channel":{"time":22,"id":"x"},"text":"a\nb","b":1}"#.len();
        for (bytes_max, fits) in [(bytes, true), (bytes - 1, false)] {
            let mut merge = Merge::begin(bodies[0].as_bytes(), "text", &last).unwrap();
            assert_eq!(merge.add(bodies[1].as_bytes(), bytes_max), fits);
            assert_eq!(merge.merged(), 1 + usize::from(fits));
        }
        assert_eq!(merge(&bodies, TextUnits::Utf16, 100).0, 1, "nothing is ignored unless it is said");
    }

    #[test]
    fn the_length_is_counted_as_the_server_counts() {
        let bodies = [r#"{"text":"😀"}"#, r#"{"text":"\ud83d\ude00é"}"#];
        for (units, fits, too_short) in [
            (TextUnits::CodePoints, 4, 3),
            (TextUnits::Utf16, 6, 5),
            (TextUnits::Bytes, 11, 10),
            (TextUnits::Sms, 14, 13),
        ] {
            assert_eq!(merge(&bodies, units, fits).0, 2, "{units:?}");
            assert_eq!(merge(&bodies, units, too_short).0, 1, "{units:?}");
        }
        // An extension character is two; one of another alphabet makes the whole shorter.
        let body = |text: &str| json!({ "text": text }).to_string();
        for (one, other, merged) in [
            ("a".repeat(762), "€".to_owned(), 2),
            ("a".repeat(763), "€".to_owned(), 1),
            ("a".repeat(333), "名".to_owned(), 2),
            ("a".repeat(334), "名".to_owned(), 1),
            ("名".to_owned(), "a".repeat(333), 2),
            ("名".to_owned(), "a".repeat(334), 1),
        ] {
            assert_eq!(merge(&[&body(&one), &body(&other)], TextUnits::Sms, 765).0, merged, "{other}");
        }
    }

    #[test]
    fn attachments_and_bodies_without_a_text_travel_alone() {
        let settings = settings(TextUnits::Utf16, 100);
        for body in [
            r#"{"text":"a","content":[{}]}"#,
            r#"{"text":"a","mediaIds":["x"]}"#,
            r#"{"text":1}"#,
            r#"{"text":""}"#,
            r#"{"text":" \n\t\u00a0"}"#,
            r#"{}"#,
            "[]",
            "7",
        ] {
            assert!(Merge::begin(body.as_bytes(), "text", &settings).is_none(), "{body}");
            let mut merge = Merge::begin(br#"{"text":"a"}"#, "text", &settings).unwrap();
            assert!(!merge.add(body.as_bytes(), usize::MAX), "{body}");
        }
        for body in [r#"{"text":"a","content":[]}"#, r#"{"mediaIds":null,"text":"a"}"#] {
            assert!(Merge::begin(body.as_bytes(), "text", &settings).is_some(), "{body}");
        }
    }

    #[test]
    fn the_field_that_keeps_bodies_apart_is_named() {
        let settings = settings(TextUnits::Utf16, 5);
        let merge = Merge::begin(br#"{"text":"a","channel":{"time":1}}"#, "text", &settings).unwrap();
        for (body, field) in [
            (r#"{"text":"b","channel":{"time":2}}"#, Some("channel.time")),
            (r#"{"text":"b","channel":{"time":1},"content":[{}]}"#, Some("content")),
            (r#"{"text":" ","channel":{"time":1}}"#, Some("text")),
            (r#"{"channel":{"time":1}}"#, Some("text")),
            (r#"{"text":"b","channel":{"time":1}}"#, None),
            (r#"{"text":"much too long","channel":{"time":1}}"#, None),
        ] {
            assert_eq!(merge.obstacle(body.as_bytes()).as_deref(), field, "{body}");
        }
    }

    proptest! {
        #[test]
        fn texts_are_joined_and_all_else_stays(
            texts in proptest::collection::vec("\\PC{0,12}x|[\"\\\\\n\t😀é/]{0,6}y", 1..8),
            field in "[a-z\"\\\\é]{1,4}",
        ) {
            let body = |text: &str| {
                let mut body = serde_json::Map::new();
                body.insert("a 1".to_owned(), json!({ field.clone(): ["no text"], "text": 1 }));
                body.insert(field.clone(), text.into());
                body.insert("z 1".to_owned(), json!(["\\\"", null]));
                serde_json::to_vec(&body).unwrap()
            };
            for units in [TextUnits::Utf16, TextUnits::CodePoints, TextUnits::Bytes, TextUnits::Sms] {
                let settings = settings(units, 10_000);
                let mut merge = Merge::begin(&body(&texts[0]), &field, &settings).unwrap();
                prop_assert!(texts[1..].iter().all(|text| merge.add(&body(text), usize::MAX)));
                let whole = texts.join("\n");
                prop_assert_eq!(merge.length, TextLength::of(&whole, units));
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
