//! Reads options out of JSON, field by field: each error names the field, the value and what is allowed; whatever was
//! not asked for is an unknown key.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::rc::Rc;

use once_cell::sync::Lazy;
use serde_json::{Map, Value};

use crate::error::Error;

/// Every value that was read, by path, as it holds (defaults filled in): two senders' options are compared by these. In
/// the order of reading: a default that follows from another option comes behind it, and so is never named in its
/// place.
pub(super) type Trail = Rc<RefCell<Vec<(String, String)>>>;

/// One object of the options.
pub(super) struct Reader<'a> {
    path: String,
    fields: &'a Map<String, Value>,
    known: RefCell<Vec<&'static str>>,
    trail: Trail,
}

static EMPTY: Lazy<Value> = Lazy::new(|| Value::Object(Map::new()));

impl<'a> Reader<'a> {
    /// The options themselves.
    pub(super) fn root(value: &'a Value) -> Result<Self, Error> {
        Self::new(value, String::new(), Trail::default())
    }

    fn new(value: &'a Value, path: String, trail: Trail) -> Result<Self, Error> {
        match value {
            Value::Object(fields) if !fields.contains_key("$js") => {
                Ok(Self { path, fields, known: RefCell::default(), trail })
            }
            other => {
                let field = if path.is_empty() { "options" } else { &path };
                Err(Error::config(field, format!("must be an object, got {}", show(other))))
            }
        }
    }

    /// The full name of `key`.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The raw value; null and absent are the same.
    pub(super) fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().push(key);
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// A refusal of `key` that says what is allowed.
    pub(super) fn refuse(&self, key: &str, allowed: impl Display) -> Error {
        let given = self.fields.get(key).map_or_else(|| "nothing".to_owned(), show);
        Error::config(self.name(key), format!("must be {allowed}, got {given}"))
    }

    /// The same of a value in a list.
    pub(super) fn refuse_element(&self, key: &str, index: usize, value: &Value, allowed: impl Display) -> Error {
        Error::config(format!("{}[{index}]", self.name(key)), format!("must be {allowed}, got {}", show(value)))
    }

    /// Like [`Self::refuse`], for values that must not be repeated.
    pub(super) fn refuse_secret(&self, key: &str, allowed: impl Display) -> Error {
        let kind = self.fields.get(key).map_or_else(|| "nothing".to_owned(), kind_of);
        Error::config(self.name(key), format!("must be {allowed}, got {kind}"))
    }

    /// The same of a value in a list.
    pub(super) fn refuse_secret_element(&self, key: &str, index: usize, value: &Value, allowed: impl Display) -> Error {
        Error::config(format!("{}[{index}]", self.name(key)), format!("must be {allowed}, got {}", kind_of(value)))
    }

    /// Notes the value in force of `key`.
    pub(super) fn note(&self, key: &str, value: impl Display) {
        self.trail.borrow_mut().push((self.name(key), value.to_string()));
    }

    /// A whole number.
    pub(super) fn integer(&self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> Result<u64, Error> {
        let value = match self.value(key) {
            None => default,
            Some(value) => integer_of(value).filter(|number| range.contains(number)).ok_or_else(|| {
                self.refuse(key, format_args!("an integer from {} to {}", range.start(), range.end()))
            })?,
        };
        self.note(key, value);
        Ok(value)
    }

    /// A whole number that has no default.
    pub(super) fn integer_required(&self, key: &'static str, range: RangeInclusive<u64>) -> Result<u64, Error> {
        match self.value(key) {
            Some(_) => self.integer(key, range, 0),
            None => Err(self.refuse(key, format_args!("an integer from {} to {}", range.start(), range.end()))),
        }
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Result<T, Error> {
        let list = || words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(" or ");
        let (word, choice) = match self.value(key) {
            None => words.first(),
            Some(value) => words.iter().find(|(word, _)| value.as_str() == Some(word)),
        }
        .ok_or_else(|| self.refuse(key, list()))?;
        self.note(key, word);
        Ok(*choice)
    }

    /// A list of at most this many values; an absent one is empty.
    pub(super) fn list(&self, key: &'static str, length_max: usize) -> Result<&'a [Value], Error> {
        match self.value(key) {
            None => Ok(&[]),
            Some(Value::Array(list)) if list.len() <= length_max => Ok(list),
            Some(_) => Err(self.refuse(key, format_args!("a list of at most {length_max}"))),
        }
    }

    /// True or false.
    pub(super) fn boolean(&self, key: &'static str, default: bool) -> Result<bool, Error> {
        let value = match self.value(key) {
            None => default,
            Some(value) => value.as_bool().ok_or_else(|| self.refuse(key, "true or false"))?,
        };
        self.note(key, value);
        Ok(value)
    }

    /// A text without control characters.
    pub(super) fn text(&self, key: &'static str, bytes_max: usize) -> Result<Option<&'a str>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let text = value
            .as_str()
            .filter(|text| !text.is_empty() && text.len() <= bytes_max && !text.contains(char::is_control))
            .ok_or_else(|| self.refuse(key, text_rule(bytes_max)))?;
        self.note(key, text);
        Ok(Some(text))
    }

    /// A text that is never repeated in an error.
    pub(super) fn secret(&self, key: &'static str, bytes_max: usize) -> Result<Option<&'a str>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        value
            .as_str()
            .filter(|text| {
                !text.is_empty() && text.len() <= bytes_max && text.bytes().all(|byte| byte.is_ascii_graphic())
            })
            .map(Some)
            .ok_or_else(|| {
                self.refuse_secret(key, format_args!("a string of 1 to {bytes_max} visible ASCII characters"))
            })
    }

    /// An object inside this one; an absent one is read as an empty one, so that its defaults are noted all the same.
    pub(super) fn section(&self, key: &'static str) -> Result<Reader<'a>, Error> {
        Reader::new(self.value(key).unwrap_or(&EMPTY), self.name(key), Rc::clone(&self.trail))
    }

    /// The object that a word in place of it stands for: all its defaults.
    pub(super) fn empty(&self, key: &'static str) -> Result<Reader<'a>, Error> {
        Reader::new(&EMPTY, self.name(key), Rc::clone(&self.trail))
    }

    /// The same, for an object of a list.
    pub(super) fn element(&self, key: &str, index: usize, value: &'a Value) -> Result<Reader<'a>, Error> {
        Reader::new(value, format!("{}[{index}]", self.name(key)), Rc::clone(&self.trail))
    }

    /// Refuses keys that nobody asked for.
    pub(super) fn finish(self) -> Result<Trail, Error> {
        let known = self.known.borrow();
        match self.fields.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(self.trail),
            Some(key) => {
                let mut names: Vec<_> = known.iter().copied().collect();
                names.sort_unstable();
                names.dedup();
                Err(Error::config(self.name(key), format!("is not an option; allowed here: {}", names.join(", "))))
            }
        }
    }
}

/// A number without a fraction, within what a double holds exactly.
fn integer_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        (number >= 0.0 && number.fract() == 0.0 && number <= 9_007_199_254_740_991.0).then_some(number as u64)
    })
}

fn text_rule(bytes_max: usize) -> String {
    format!("a string of 1 to {bytes_max} bytes without control characters")
}

fn kind_of(value: &Value) -> String {
    if let Some(mark) = mark_of(value) {
        return mark.to_owned();
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(text) if text.is_empty() => "an empty string",
        Value::String(_) => "another string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    kind.to_owned()
}

/// `{"$js": "NaN"}` is how JavaScript marks what JSON can't carry.
fn mark_of(value: &Value) -> Option<&str> {
    value.get("$js").and_then(Value::as_str)
}

/// The value as the caller wrote it, clipped and without the parts of a URL that may hold secrets.
fn show(value: &Value) -> String {
    const CHARS_MAX: usize = 60;
    let text = match value {
        Value::Array(_) | Value::Object(_) => return kind_of(value),
        Value::String(text) => format!("{}", Value::String(without_secrets(text))),
        other => other.to_string(),
    };
    if text.chars().count() <= CHARS_MAX { text } else { text.chars().take(CHARS_MAX).chain(['…']).collect() }
}

/// The text with a dot in place of what a URL has before its `@`, and after its `?` or `#`.
fn without_secrets(text: &str) -> String {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+.-".contains(char))
    };
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (&text[..=scheme.len()], rest),
        _ => ("", text),
    };
    let (slashes, rest) = rest.strip_prefix("//").map_or(("", rest), |rest| ("//", rest));
    let (place, hidden) = match rest.find(['?', '#']) {
        // Such a character may belong to a password.
        Some(at) if rest[at..].contains('@') => ("", "…"),
        Some(at) => (&rest[..=at], "…"),
        None => (rest, ""),
    };
    match place.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{slashes}…@{host}{hidden}"),
        None => format!("{scheme}{slashes}{place}{hidden}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_no_part_of_a_url_that_may_be_secret() {
        for (text, shown) in [
            ("redis://:secret@host:6379/0", r#""redis://…@host:6379/0""#),
            ("REDIS://user:se@cr/et@host", r#""REDIS://…@host""#),
            ("redis://:se?cret@host", r#""redis://…""#),
            ("user:secret@host", r#""user:…@host""#),
            ("file:/x/y.db?key=secret", r#""file:/x/y.db?…""#),
            ("https://host/path?token=secret#secret", r#""https://host/path?…""#),
            ("https://host/#secret", r##""https://host/#…""##),
            ("us-east-9", r#""us-east-9""#),
        ] {
            assert_eq!(show(&Value::String(text.to_owned())), shown);
        }
    }
}
