//! A JSON array of bodies that are JSON already: brackets and commas around bytes that are copied as they are.

use bytes::{Bytes, BytesMut};

/// The exact size of an array while it is put together.
///
/// ```
/// use spillway_core::batcher::{ArraySize, join};
///
/// let bodies = [r#"{"a":1}"#, r#"{"b":2}"#];
/// let size = bodies.iter().fold(ArraySize::default(), |size, body| size.with(body.len()));
/// assert_eq!((size.messages(), size.bytes()), (2, join(bodies.into_iter()).len()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArraySize {
    messages: usize,
    bytes: usize,
}

impl ArraySize {
    /// The size with one more body of `bytes`: brackets, and a comma before every body but the first.
    #[must_use]
    pub fn with(self, bytes: usize) -> Self {
        let around = if self.messages == 0 { 2 } else { 1 };
        Self { messages: self.messages + 1, bytes: self.bytes + bytes + around }
    }

    /// Messages in it.
    pub fn messages(self) -> usize {
        self.messages
    }

    /// Bytes of the serialized array.
    pub fn bytes(self) -> usize {
        self.bytes
    }
}

/// The array of these bodies.
///
/// ```
/// use spillway_core::batcher::join;
///
/// assert_eq!(&join([r#"{"a":1}"#, "2"].into_iter())[..], br#"[{"a":1},2]"#);
/// ```
pub fn join<'a>(bodies: impl Iterator<Item = &'a str> + Clone) -> Bytes {
    let size = bodies.clone().fold(ArraySize::default(), |size, body| size.with(body.len()));
    let mut array = BytesMut::with_capacity(size.bytes().max(2));
    array.extend_from_slice(b"[");
    for (index, body) in bodies.enumerate() {
        if index > 0 {
            array.extend_from_slice(b",");
        }
        array.extend_from_slice(body.as_bytes());
    }
    array.extend_from_slice(b"]");
    array.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_size_is_exact_and_the_array_holds_every_body(texts in proptest::collection::vec(".{0,20}", 1..20)) {
            let bodies: Vec<String> = texts.iter().map(|text| serde_json::to_string(text).unwrap_or_default()).collect();
            let size = bodies.iter().fold(ArraySize::default(), |size, body| size.with(body.len()));
            let array = join(bodies.iter().map(String::as_str));
            prop_assert_eq!(array.len(), size.bytes());
            prop_assert_eq!(bodies.len(), size.messages());
            let read: Vec<String> = serde_json::from_slice(&array)?;
            prop_assert_eq!(read, texts);
        }
    }
}
