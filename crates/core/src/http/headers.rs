//! Header values as text: one byte is one character of Latin-1, in both directions, as in Node.js and in `fetch`.
//!
//! Latin-1 covers every byte, so no answer is lost because of a header, and what a caller reads can be sent again as it
//! is.

use std::time::Duration;

use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue, TRANSFER_ENCODING};

use super::connections::IDLE_MAX;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// A connection rests unused for this long before the server's announced time-out: a request that leaves at the last
/// moment would meet the server closing it.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);

/// The text of a header value.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The header value of a text.
///
/// # Errors
/// When the text has a character beyond Latin-1 or a control character other than the tab.
pub(super) fn header_value(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    if text.is_ascii() {
        return HeaderValue::from_str(text);
    }
    // No header value holds NUL, so one character beyond Latin-1 refuses the whole text.
    let bytes: Vec<u8> = text.chars().map(|char| u8::try_from(u32::from(char)).unwrap_or(0)).collect();
    HeaderValue::from_bytes(&bytes)
}

/// How long the connection that brought these headers may be idle and still serve; zero when it must not be used again.
pub(super) fn idle_max(headers: &HeaderMap) -> Duration {
    // RFC 9112, 6.3: an answer with both may be an attempt to smuggle another one in.
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return Duration::ZERO;
    }
    let lines = headers.get_all(KEEP_ALIVE).iter().filter_map(|value| value.to_str().ok());
    let announced = lines.flat_map(|line| line.split([',', ';'])).filter_map(timeout).min();
    announced.map_or(IDLE_MAX, |timeout| timeout.saturating_sub(KEEP_ALIVE_MARGIN.min(timeout / 2)).min(IDLE_MAX))
}

/// `timeout=5` of `Keep-Alive: timeout=5, max=100`; what isn't whole seconds announces nothing.
fn timeout(parameter: &str) -> Option<Duration> {
    let (name, value) = parameter.split_once('=')?;
    let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
    is_timeout.then(|| value.trim().trim_matches('"').parse().ok().map(Duration::from_secs))?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn an_announced_timeout_bounds_the_idle_time_and_leaves_a_margin() {
        for (line, ms) in [
            ("timeout=5", 4_000),
            ("timeout=5, max=1000", 4_000),
            ("max=1000, Timeout = 5", 4_000),
            ("timeout=\"5\"", 4_000),
            ("timeout=2", 1_000),
            ("timeout=1", 500),
            ("timeout=0", 0),
            ("timeout=11", 10_000),
            ("timeout=10", 9_000),
            ("timeout=600", 10_000),
            ("timeout=99999999999999999999", 10_000),
            ("timeout=-1", 10_000),
            ("timeout=soon", 10_000),
            ("timeout", 10_000),
            ("max=5", 10_000),
            ("", 10_000),
        ] {
            assert_eq!(idle_max(&headers(&[("keep-alive", line)])), Duration::from_millis(ms), "{line}");
        }
        assert_eq!(idle_max(&HeaderMap::new()), IDLE_MAX);
        let two_lines = headers(&[("keep-alive", "timeout=20"), ("keep-alive", "timeout=5")]);
        assert_eq!(idle_max(&two_lines), Duration::from_secs(4), "the shortest holds");
    }

    #[test]
    fn two_framings_end_a_connection() {
        let both = headers(&[("transfer-encoding", "chunked"), ("content-length", "2"), ("keep-alive", "timeout=9")]);
        assert_eq!(idle_max(&both), Duration::ZERO);
        assert_eq!(idle_max(&headers(&[("content-length", "2")])), IDLE_MAX);
    }

    #[test]
    fn a_text_that_no_header_carries_is_refused() {
        for text in ["名", "\u{100}", "a\u{20ac}", "a\nb", "a\rb", "a\0b", "\u{7f}", "ü\u{7f}", "ü\n"] {
            assert!(header_value(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn latin1_goes_both_ways(bytes in proptest::collection::vec(prop_oneof![Just(b'\t'), 32..=126_u8, 128..=255_u8], 0..80)) {
            let text = latin1(&bytes);
            prop_assert_eq!(text.chars().count(), bytes.len());
            let value = header_value(&text).unwrap();
            prop_assert_eq!(value.as_bytes(), &bytes[..]);
        }
    }
}
