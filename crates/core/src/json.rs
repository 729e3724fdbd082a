//! JSON of others, read without a tree. What a server sends is scanned once, in time and memory that its length bounds:
//! neither nesting nor a number or a string that Rust can't hold makes the scan fail.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::text::without_bom;

/// A body as a value within other JSON: as it came if it is JSON, else its text; null if it is empty.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// What came.
    pub bytes: &'a [u8],
    /// Less came than was sent: it is a text then, whatever it looks like.
    pub truncated: bool,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = text_of(self.bytes);
        if text.is_empty() {
            return serializer.serialize_none();
        }
        match raw(&text).filter(|_| !self.truncated) {
            Some(json) => json.serialize(serializer),
            None => serializer.serialize_str(&text),
        }
    }
}

/// The text of a body: what is no UTF-8 is replaced, and a byte order mark is left out.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(without_bom(bytes))
}

/// The text as JSON, unread; `None` if it is not JSON.
///
/// ```
/// use spillway_core::json::{fields, raw, string};
///
/// let body = r#"{ "code": "too.many.requests", "deep": [[[[]]]], "big": 1e999 }"#;
/// let [code, absent] = fields(raw(body).expect("JSON"), ["code", "absent"]).expect("an object");
/// assert_eq!(string(code.expect("it is there")).as_deref(), Some("too.many.requests"));
/// assert!(absent.is_none());
/// ```
pub fn raw(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text).ok()
}

/// The values of these fields of an object; `None` if it is not an object. Of a repeated field the last one counts, as
/// in JavaScript.
pub fn fields<'a, const N: usize>(object: &'a RawValue, names: [&str; N]) -> Option<[Option<&'a RawValue>; N]> {
    serde_json::Deserializer::from_str(object.get()).deserialize_map(Fields(&names)).ok()
}

/// The values of an array; `None` if it is not an array.
pub fn values(array: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(array.get()).ok()
}

/// The text of a string; `None` if it is not a string, or holds a lone surrogate.
pub fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

struct Fields<'n, const N: usize>(&'n [&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Fields<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(place) = map.next_key_seed(PlaceOf(self.0))? {
            let value = map.next_value()?;
            if let Some(place) = place {
                found[place] = Some(value);
            }
        }
        Ok(found)
    }
}

/// The place of a key among the names. As bytes: a string would refuse a lone surrogate in a key that nobody asked for.
struct PlaceOf<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for PlaceOf<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for PlaceOf<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E: Error>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| name.as_bytes() == key))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]
    use super::*;
    use proptest::prelude::*;

    const HOSTILE: [&str; 7] = [
        r#""\ud83d""#,
        "1e400",
        "-0",
        "123456789012345678901234567890",
        r#"{"__proto__":1,"\udc00":2}"#,
        r#""\u0000""#,
        " \t\r\n 7 ",
    ];

    #[test]
    fn any_json_is_read_whatever_a_tree_could_not_hold() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for value in HOSTILE.into_iter().chain([&*deep]) {
            assert!(raw(value).is_some(), "{value:.60}");
            let object = format!(r#"{{"a\ud800":{value},"id":"x","status":{value},"id":"y"}}"#);
            let [id, status, none] = fields(raw(&object).unwrap(), ["id", "status", "none"]).unwrap();
            assert_eq!(string(id.unwrap()).unwrap(), "y", "the last one of two counts");
            assert_eq!((status.unwrap().get(), none.is_none()), (value.trim(), true));
            let array = format!("[{value},{value}]");
            assert_eq!(values(raw(&array).unwrap()).unwrap().len(), 2);
        }
    }

    #[test]
    fn what_is_not_json_is_none() {
        for text in ["", " ", "{", "[1,]", "{'a':1}", "nul", "01", "\"\n\"", "1 2", "\u{feff}1", "\0"] {
            assert!(raw(text).is_none(), "{text:?}");
        }
        assert!(fields(raw("[]").unwrap(), ["a"]).is_none() && values(raw("{}").unwrap()).is_none());
        assert!(string(raw("7").unwrap()).is_none());
    }

    #[test]
    fn a_body_is_json_or_a_text() {
        for (bytes, json) in [
            (&b""[..], "null"),
            (b"\xef\xbb\xbf", "null"),
            (b" {\"a\":-0} \n", "{\"a\":-0}"),
            (b"\"\\ud83d\"", "\"\\ud83d\""),
            (b"\xef\xbb\xbf[1e400]", "[1e400]"),
            (b"\"\xff\"", "\"\u{fffd}\""),
            (b"  ", "\"  \""),
            (b"{\0}", "\"{\\u0000}\""),
        ] {
            let body = |truncated| serde_json::to_string(&Body { bytes, truncated }).unwrap();
            assert_eq!(body(false), json);
            assert!(json == "null" || body(true).starts_with('"'));
        }
    }

    #[test]
    fn a_text_is_utf_8_without_a_mark() {
        for (bytes, text) in [
            (&b"\xef\xbb\xbf{}"[..], "{}"),
            (b"\xef\xbb\xbf\xff", "\u{fffd}"),
            (b"a\xed\xa0\x80b", "a\u{fffd}\u{fffd}\u{fffd}b"),
            (b"\0", "\0"),
            (b"", ""),
        ] {
            assert_eq!(text_of(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_json_or_not(bytes in "[\\[\\]{}\",:\\\\u0-9d-e.\\-\u{feff} ]{0,60}") {
            let text = text_of(bytes.as_bytes());
            if let Some(value) = raw(&text) {
                let (all, object) = (values(value), fields(value, ["a"]));
                prop_assert!(all.is_none() || object.is_none());
            }
        }
    }
}
