//! In which field two bodies differ, apart from those that may.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json;
use crate::settings::FieldPath;

/// Deeper values are compared as they are written.
const DEPTH_MAX: usize = 64;
/// A reported path has at most this many names, each cut to this length.
const NAMES_SHOWN_MAX: usize = 8;
const NAME_BYTES_MAX: usize = 64;

/// The path of the first field in which two JSON texts differ: its names in order, none if they differ as a whole.
/// `None` if they say the same, whatever the order of their fields.
pub(super) fn difference(one: &[u8], other: &[u8], ignored: &[FieldPath]) -> Option<Vec<String>> {
    let read = |bytes| std::str::from_utf8(bytes).ok().and_then(json::raw);
    match (read(one), read(other)) {
        (Some(one), Some(other)) => {
            let mut at = Vec::new();
            let differ = Comparison { ignored }.differ(one, other, &mut at, true);
            differ.then_some(at)
        }
        _ => Some(Vec::new()),
    }
}

/// A path as it may be told. What is no plain name may be a text of the caller's.
pub(super) fn shown(path: &[String]) -> Box<str> {
    let is_plain = |name: &str| {
        name.len() <= NAME_BYTES_MAX
            && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-$:".contains(&byte))
    };
    let names = path.iter().take(NAMES_SHOWN_MAX).map(|name| if is_plain(name) { name } else { "…" });
    names.collect::<Vec<_>>().join(".").into()
}

struct Comparison<'i> {
    ignored: &'i [FieldPath],
}

impl Comparison<'_> {
    /// Whether the values differ; then `at` is where. Fields of objects in arrays have no path (`has_path`).
    fn differ(&self, one: &RawValue, other: &RawValue, at: &mut Vec<String>, has_path: bool) -> bool {
        if one.get() == other.get() {
            return false;
        }
        if at.len() >= DEPTH_MAX {
            return true;
        }
        if let (Some(one), Some(other)) = (object(one), object(other)) {
            return self.objects_differ(&one, &other, at, has_path);
        }
        if let (Some(one), Some(other)) = (json::values(one), json::values(other)) {
            let depth = at.len();
            let pairs_differ = one.len() != other.len()
                || one.iter().zip(&other).any(|(one, other)| {
                    at.push(String::new());
                    let differ = self.differ(one, other, at, false);
                    at.truncate(depth);
                    differ
                });
            return pairs_differ;
        }
        // Another way to write a string.
        json::string(one).is_none_or(|one| json::string(other).is_none_or(|other| one != other))
    }

    fn objects_differ(&self, one: &Fields<'_>, other: &Fields<'_>, at: &mut Vec<String>, has_path: bool) -> bool {
        for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
            at.push(name.clone());
            let is_ignored = has_path && self.ignored.iter().any(|path| path.names() == &at[..]);
            let differ = !is_ignored
                && match (one.get(name), other.get(name)) {
                    (Some(one), Some(other)) => self.differ(one, other, at, has_path),
                    _ => true,
                };
            if differ {
                return true;
            }
            at.pop();
        }
        false
    }
}

/// The fields of an object by their names.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// The fields of an object; `None` if it is no object, or has a name twice, which servers read in different ways.
fn object(value: &RawValue) -> Option<Fields<'_>> {
    if !value.get().starts_with('{') {
        return None;
    }
    serde_json::Deserializer::from_str(value.get()).deserialize_map(AllFields).ok()
}

struct AllFields;

impl<'de> Visitor<'de> for AllFields {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            if fields.insert(name, value).is_some() {
                return Err(A::Error::duplicate_field("a name"));
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> Vec<FieldPath> {
        paths.iter().filter_map(|path| FieldPath::parse(path)).collect()
    }

    fn told(one: &str, other: &str, ignored: &[&str]) -> Option<String> {
        let found = difference(one.as_bytes(), other.as_bytes(), &paths(ignored));
        let back = difference(other.as_bytes(), one.as_bytes(), &paths(ignored));
        assert_eq!(found.is_some(), back.is_some(), "{one} and {other}");
        found.map(|path| path.join("."))
    }

    #[test]
    fn the_field_that_differs_is_named() {
        for (one, other, field) in [
            (r#"{"a":1,"b":{"c":2}}"#, r#"{"b":{"c":2},"a":1}"#, None),
            (r#"{"a":"é"}"#, r#"{"a":"\u00e9"}"#, None),
            (r#"{"a":[{"b":1,"c":2}]}"#, r#"{"a":[{"c":2,"b":1}]}"#, None),
            (r#"{"a":1}"#, r#"{"a":2}"#, Some("a")),
            (r#"{"a":{"b":{"c":1}}}"#, r#"{"a":{"b":{"c":"1"}}}"#, Some("a.b.c")),
            (r#"{"a":{}}"#, r#"{"a":{"b":null}}"#, Some("a.b")),
            (r#"{"a":[1,2]}"#, r#"{"a":[1]}"#, Some("a")),
            (r#"{"a":[{"b":1}]}"#, r#"{"a":[{"b":2}]}"#, Some("a")),
            (r#"{"a":12345678901234567890123}"#, r#"{"a":12345678901234567890124}"#, Some("a")),
            (r#"{"a":{"b":1,"b":2}}"#, r#"{"a":{"b":3,"b":2}}"#, Some("a")),
            (r#"{"__proto__":1}"#, r#"{"__proto__":2}"#, Some("__proto__")),
            (r#"{"a":{"b c":1}}"#, r#"{"a":{"b c":2}}"#, Some("a.b c")),
            ("1", "2", Some("")),
            ("[1]", "{}", Some("")),
        ] {
            assert_eq!(told(one, other, &[]).as_deref(), field, "{one} and {other}");
        }
    }

    #[test]
    fn ignored_fields_may_differ_and_nothing_beside_them() {
        for (one, other, ignored, field) in [
            (r#"{"a":{"b":1,"c":1}}"#, r#"{"a":{"b":2,"c":1}}"#, &["a.b"][..], None),
            (r#"{"a":{"b":1,"c":1}}"#, r#"{"a":{"c":1}}"#, &["a.b"], None),
            (r#"{"a":{"b":1,"c":1}}"#, r#"{"a":{"b":2,"c":2}}"#, &["a.b"], Some("a.c")),
            (r#"{"a":{"b":{"x":1}}}"#, r#"{"a":{"b":[1]}}"#, &["a.b"], None),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"b":2}}"#, &["a.b.c", "b", "x.y"], Some("a.b")),
            (r#"{"a":{"b":1}}"#, r#"{}"#, &["a.b"], Some("a")),
            (r#"{"a":[{"b":1}]}"#, r#"{"a":[{"b":2}]}"#, &["a.b", "a.0.b"], Some("a")),
            (r#"{"a":{"__proto__":1}}"#, r#"{"a":{"__proto__":2}}"#, &["a.__proto__"], None),
            (r#"{"a":1}"#, r#"{"a":2}"#, &["__proto__"], Some("a")),
        ] {
            assert_eq!(told(one, other, ignored).as_deref(), field, "{one} and {other}, without {ignored:?}");
        }
    }

    #[test]
    fn a_name_that_may_be_a_text_is_not_told() {
        let long = "x".repeat(65);
        for (name, told) in
            [("time", "a.time"), ("_x-1:$", "a._x-1:$"), ("+49 170", "a.…"), ("17", "a.…"), ("é", "a.…")]
                .into_iter()
                .chain([(long.as_str(), "a.…"), ("", "a.…")])
        {
            assert_eq!(&*shown(&["a".to_owned(), name.to_owned()]), told);
        }
        assert_eq!(&*shown(&vec!["a".to_owned(); 64]), "a.a.a.a.a.a.a.a");
    }

    #[test]
    fn depth_and_size_are_no_obstacle() {
        let deep = |inner: &str| format!("{{\"a\":{}{inner}{}}}", "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(told(&deep("1"), &deep("1"), &[]), None);
        assert_eq!(told(&deep("1"), &deep("2"), &[]).as_deref(), Some("a"));
        let objects = |inner: &str| format!("{}{inner}{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
        assert_eq!(told(&objects("1"), &objects("1"), &[]), None);
        assert_eq!(told(&objects("1"), &objects("2"), &[]).map(|path| path.len()), Some(2 * DEPTH_MAX - 1));
    }
}
