//! Values as JSON at the end of a text.

use serde::Serialize;

pub(crate) fn write(text: &mut Vec<u8>, json: &(impl Serialize + ?Sized)) {
    let written = serde_json::to_writer(text, json);
    // Neither a buffer in memory nor keys that are texts can fail.
    debug_assert!(written.is_ok());
}

/// The same for a string. Most need no escapes, and to look for one in many bytes at once costs less than in each by
/// itself.
pub(crate) fn write_text(text: &mut Vec<u8>, string: &str) {
    let harmless = |byte: u8| (byte >= b' ') & (byte != b'"') & (byte != b'\\');
    if string.bytes().fold(true, |all, byte| all & harmless(byte)) {
        text.push(b'"');
        text.extend_from_slice(string.as_bytes());
        text.push(b'"');
    } else {
        write(text, string);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_written_as_serde_has_it() {
        for string in ["", "plain-1", "ü€", "\u{7f}", "a\"b", "a\\b", "a\nb", "a\0"] {
            let mut text = Vec::new();
            write_text(&mut text, string);
            assert_eq!(text, serde_json::to_vec(string).unwrap());
        }
    }
}
