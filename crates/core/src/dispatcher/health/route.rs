//! The name of a route: method and path template, with everything that identifies a single object replaced.
//!
//! Templates appear in `stats()`, so nothing that may be an id, an address or a secret survives: the query is dropped,
//! and a segment stays only if it looks like a word of an API.

/// What replaces a segment.
const PLACEHOLDER: &str = "{}";
/// Longer templates end in [`REST`].
const TEMPLATE_BYTES_MAX: usize = 160;
const REST: &str = "/*";
/// Longer segments are opaque, whatever they consist of.
const WORD_BYTES_MAX: usize = 40;
/// From here on a segment needs one case and no digits to count as a word: keys and tokens mix them.
const OPAQUE_BYTES_MIN: usize = 16;
/// Methods are the caller's: a long one is cut.
const METHOD_BYTES_MAX: usize = 16;

/// The name of the route that a request with this method and path takes: `GET /api/v2/users/{}`.
pub(super) fn name(method: &str, path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut name: String = method.chars().take(METHOD_BYTES_MAX).chain([' ']).collect();
    let mut is_in_collection = false;
    for segment in path.split('/').skip(1) {
        let shown = if is_opaque(segment, is_in_collection) { PLACEHOLDER } else { segment };
        if name.len() + 1 + shown.len() > TEMPLATE_BYTES_MAX - REST.len() {
            name.push_str(REST);
            break;
        }
        name.push('/');
        name.push_str(shown);
        is_in_collection |= !is_preamble(segment);
    }
    name
}

/// `api` and the version name no collection yet.
fn is_preamble(segment: &str) -> bool {
    segment.is_empty() || segment.eq_ignore_ascii_case("api") || is_version(segment)
}

fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix(['v', 'V']).unwrap_or_default();
    matches!(digits.len(), 1..=2) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a segment may identify something. After the name of a collection a single digit is enough for that.
fn is_opaque(segment: &str, is_in_collection: bool) -> bool {
    if segment.is_empty() || is_version(segment) {
        return false;
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let has_upper = segment.bytes().any(|byte| byte.is_ascii_uppercase());
    let has_lower = segment.bytes().any(|byte| byte.is_ascii_lowercase());
    // Names of an API that end in a digit are words with one at their end: oauth2, saml2.
    let is_one_word = !segment.contains(['-', '_', '.']);
    let is_numbered =
        is_one_word && digits == 1 && segment.len() > 3 && segment.ends_with(|last: char| last.is_ascii_digit());
    segment.len() > WORD_BYTES_MAX
        || !segment.bytes().all(is_plain)
        || !(has_upper || has_lower)
        || (segment.len() >= OPAQUE_BYTES_MIN && (digits > 0 || (has_upper && has_lower)))
        || (is_in_collection && digits > 0 && !is_numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_replaced_and_words_stay() {
        for (method, path, template) in [
            ("GET", "/api/v2/users/me", "GET /api/v2/users/me"),
            ("GET", "/api/v2/users/0f2c1d4e-aaaa-bbbb-cccc-ddddeeeeffff", "GET /api/v2/users/{}"),
            ("GET", "/api/v2/users/0f2c1d4e-aaaa-bbbb-cccc-ddddeeeeffff/queues", "GET /api/v2/users/{}/queues"),
            ("DELETE", "/api/v2/routing/queues/12345/members/67", "DELETE /api/v2/routing/queues/{}/members/{}"),
            (
                "POST",
                "/api/v2/conversations/messages/{}/inbound/open/message",
                "POST /api/v2/conversations/messages/{}/inbound/open/message",
            ),
            (
                "GET",
                "/api/v2/telephony/providers/edges/logicalinterfaces",
                "GET /api/v2/telephony/providers/edges/logicalinterfaces",
            ),
            ("GET", "/api/v2/oauth/clients/x/oauth2", "GET /api/v2/oauth/clients/x/oauth2"),
            ("GET", "/analytics?token=secret", "GET /analytics"),
            ("GET", "/e1", "GET /e1"),
            ("GET", "/x/c-7", "GET /x/{}"),
            ("GET", "/contacts/anna%40example.com", "GET /contacts/{}"),
            ("GET", "/contacts/anna@example.com", "GET /contacts/{}"),
            ("GET", "/hook/dGhpc2lzYXNlY3JldA", "GET /hook/{}"),
            ("GET", "/AKIAIOSFODNN7EXAMPLE/x", "GET /{}/x"),
            ("GET", "/2026-01-31", "GET /{}"),
            ("GET", "/", "GET /"),
            ("GET", "//", "GET //"),
            ("", "", " "),
        ] {
            assert_eq!(name(method, path), template, "{path}");
        }
    }

    #[test]
    fn names_are_bounded() {
        let long = name("PROPFINDPROPFINDPROPFIND", &"/segment".repeat(1_000));
        assert!(long.len() <= TEMPLATE_BYTES_MAX && long.ends_with(REST), "{long}");
        assert_eq!(name("GET", &format!("/{}", "a".repeat(8_000))), "GET /{}");
    }
}
