//! Merging: waiting texts of one conversation become one body, joined by a newline.

use serde_json::{Map, Value};

use crate::settings::TextUnits;

const JOINT: &str = "\n";
/// What stands where a text was taken out.
const NULL_BYTES: usize = 4;
const QUOTES_BYTES: usize = 2;
/// Fields that hold attachments on the routes of the API: a message that has one travels alone.
const ATTACHMENTS: [&str; 4] = ["content", "attachments", "mediaIds", "messagingTemplate"];

/// A body that grows by further texts.
#[derive(Debug)]
pub struct Merge<'a> {
    field: &'a str,
    units: TextUnits,
    length_max: usize,
    body: Map<String, Value>,
    text: String,
    length: usize,
    merged: usize,
    bytes: usize,
}

impl<'a> Merge<'a> {
    /// Begins with one body; none when nothing can be merged into it: it is no object, has no text, or attachments.
    pub fn begin(body: &[u8], field: &'a str, units: TextUnits, length_max: usize) -> Option<Self> {
        let (body, text) = split(body, field)?;
        let length = units.count(&text);
        let bytes = serde_json::to_vec(&body).map_or(usize::MAX, |frame| frame.len() - NULL_BYTES) + json_bytes(&text);
        Some(Self { field, units, length_max, body, text, length, merged: 1, bytes })
    }

    /// Takes the text of another body in, if all its other fields are equal and the whole stays short enough: within the
    /// text's length, and within `bytes_max` of the serialised body.
    pub fn add(&mut self, body: &[u8], bytes_max: usize) -> bool {
        let Some((others, text)) = split(body, self.field) else { return false };
        let length = self.length + self.units.count(JOINT) + self.units.count(&text);
        let bytes = self.bytes + json_bytes(&text) - QUOTES_BYTES + json_bytes(JOINT) - QUOTES_BYTES;
        if length > self.length_max || bytes > bytes_max || others != self.body {
            return false;
        }
        self.text.push_str(JOINT);
        self.text.push_str(&text);
        self.length = length;
        self.merged += 1;
        self.bytes = bytes;
        true
    }

    /// Bytes of the merged body, serialised.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many bodies are in it.
    pub fn merged(&self) -> usize {
        self.merged
    }

    /// The merged body, its fields in the order of the first.
    pub fn into_body(mut self) -> Vec<u8> {
        self.body.insert(self.field.to_owned(), Value::String(self.text));
        serde_json::to_vec(&self.body).unwrap_or_default()
    }
}

/// The body with its text emptied, in place so that the order of fields stays, and the text.
fn split(body: &[u8], field: &str) -> Option<(Map<String, Value>, String)> {
    let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else { return None };
    if ATTACHMENTS.iter().any(|name| body.get(*name).is_some_and(|value| !is_empty(value))) {
        return None;
    }
    match body.get_mut(field).map(Value::take) {
        Some(Value::String(text)) => Some((body, text)),
        _ => None,
    }
}

/// Bytes of a text as a JSON string, quotes included.
fn json_bytes(text: &str) -> usize {
    serde_json::to_vec(text).map_or(usize::MAX, |json| json.len())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
        assert!(Merge::begin(br#"{"text":"a","content":[]}"#, "text", TextUnits::Utf16, 100).is_some());
    }
}
