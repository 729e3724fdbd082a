//! `headers`: what is sent with every message, and which names a caller may give.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::reader::Reader;
use crate::error::Error;

/// Headers of a sender. Those of a message have the same bounds.
const MESSAGE_HEADERS_MAX: usize = 32;
/// Bytes of their names and values together.
const MESSAGE_HEADERS_BYTES_MAX: usize = 8_192;

/// Names that the request of a message has from Spillway, or that belong to the connection or the body: a caller's
/// value would contradict what is really sent. `lib/headers.js` has the same ones.
const OWNED: [&str; 17] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Checked headers, with names in lower case. A value may be a key of the caller's: `Debug` hides them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Name and value of each.
    pub fn iter(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} headers", self.0.len())
    }
}

pub(super) fn read(root: &Reader<'_>) -> Result<Headers, Error> {
    let fields = match root.value("headers") {
        None => return Ok(Headers::default()),
        Some(Value::Object(fields)) if !fields.contains_key("$js") => fields,
        Some(_) => return Err(root.refuse_secret("headers", "an object of strings")),
    };
    if fields.len() > MESSAGE_HEADERS_MAX {
        return Err(root.refuse_secret("headers", format_args!("at most {MESSAGE_HEADERS_MAX} headers")));
    }
    let (mut headers, mut names) = (Vec::with_capacity(fields.len()), BTreeSet::new());
    for (name, value) in fields {
        if name.is_empty() || !name.bytes().all(is_token) {
            // Where a name and a value were mistaken for each other, the name is the secret.
            let rule = "must have header names as keys: ASCII letters, digits and !#$%&'*+-.^_`|~";
            return Err(Error::config("headers", rule));
        }
        let field = || format!("headers.{}", name.chars().take(60).collect::<String>());
        let lower = name.to_ascii_lowercase();
        if OWNED.contains(&&*lower) {
            return Err(Error::config(field(), "is set by the sender and must not be given"));
        }
        let Some(text) = value.as_str() else { return Err(Error::config(field(), "must be a string")) };
        if !text.chars().all(is_in_value) {
            let rule = "must be characters of Latin-1, without control characters";
            return Err(Error::config(field(), rule));
        }
        if !names.insert(lower.clone()) {
            return Err(Error::config(field(), "must not be given twice"));
        }
        headers.push((lower, text.to_owned()));
    }
    // A character of Latin-1 is one byte on the wire.
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.chars().count()).sum();
    if bytes > MESSAGE_HEADERS_BYTES_MAX {
        let rule = format!("must be at most {MESSAGE_HEADERS_BYTES_MAX} bytes of names and values");
        return Err(Error::config("headers", rule));
    }
    Ok(Headers(headers))
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The tab and the visible characters of Latin-1.
fn is_in_value(char: char) -> bool {
    matches!(char, '\t' | ' '..='~' | '\u{80}'..='\u{ff}')
}
