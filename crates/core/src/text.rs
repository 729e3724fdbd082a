//! The text of an answer's body.

/// Some servers begin UTF-8 with a byte order mark. It is no part of the text, and JSON doesn't know it.
pub(crate) fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}
