//! Whether a refusal says that the conversation is over, rather than that everybody or this one message is refused.

use crate::json;
use crate::outcome::Response;

const NOT_FOUND: u16 = 404;
const GONE: u16 = 410;
/// So much of a body is searched for the conversation's id.
const SEARCHED: usize = 8_192;
/// A shorter id is in many texts by chance.
const ID_BYTES_MIN: usize = 2;

/// How an answer says that a conversation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It names the conversation: its code or message speaks of one, or it quotes the id.
    Named,
    /// It doesn't, but the path has the id, and the API says with a code of its own that there is nothing at the end
    /// of it, or that it is gone. So would a gateway that has codes, too.
    Implied,
}

/// Whether the answer is a 404 or 410 that says that the conversation is over. A gateway that knows no such path
/// answers otherwise: with a page, without a code, or with the path.
///
/// ```
/// use spillway_core::outcome::Response;
/// use spillway_core::retry::{Ended, says_ended};
///
/// let body = br#"{"code":"not.found","message":"Unable to find conversation c-1","status":404}"#;
/// let response = Response { status: 404, body: body.as_slice().into(), ..Response::default() };
/// assert_eq!(says_ended(&response, "c-1", false), Some(Ended::Named));
/// ```
pub fn says_ended(response: &Response, conversation: &str, is_in_path: bool) -> Option<Ended> {
    if !matches!(response.status, NOT_FOUND | GONE) || response.is_html_page() {
        return None;
    }
    let text = json::text_of(&response.body);
    let Some([code, message]) = json::raw(&text).and_then(|json| json::fields(json, ["code", "message"])) else {
        return (response.status == GONE && is_in_path).then_some(Ended::Implied);
    };
    let code = code.and_then(json::string);
    let message = message.and_then(json::string).unwrap_or_default();
    let has_code = code.as_ref().is_some_and(|code| !code.is_empty());
    let code_names = code.is_some_and(|code| code.split(['.', '-', '_']).any(is_conversation));
    let message_names = words(&message).any(is_conversation);
    if code_names || message_names || quotes(&text, conversation) {
        return Some(Ended::Named);
    }
    (is_in_path && (has_code || response.status == GONE)).then_some(Ended::Implied)
}

fn is_conversation(word: &str) -> bool {
    word.eq_ignore_ascii_case("conversation")
}

/// Words that are no part of a path.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|letter: char| !is_of_id(letter) && letter != '/' && letter != ':');
    parts.map(|part| part.trim_matches([':', '.'])).filter(|part| !part.contains('/'))
}

fn is_of_id(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

/// Whether the id is there as a whole, and not as a part of a path.
fn quotes(text: &str, id: &str) -> bool {
    let is_apart = |letter: Option<char>| letter.is_none_or(|letter| !is_of_id(letter) && letter != '/');
    // A full stop may end the sentence.
    let ends = |rest: &str| {
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        is_apart(rest.chars().next())
    };
    let mut places = text.match_indices(id).map(|(at, _)| at).take_while(|at| *at < SEARCHED);
    id.len() >= ID_BYTES_MIN
        && places.any(|at| is_apart(text[..at].chars().next_back()) && ends(&text[at + id.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Response {
        Response { status, body: bytes::Bytes::copy_from_slice(body.as_bytes()), ..Response::default() }
    }

    #[test]
    fn the_api_names_the_conversation_by_code_message_or_id() {
        for body in [
            r#"{"code":"conversation.not.found","status":404}"#,
            r#"{"code":"not.found","message":"Unable to find conversation"}"#,
            r#"{"message":"c-1 was not found"}"#,
            r#"{"message":"No such thing: c-1."}"#,
            r#"{"code":"gone","messageParams":{"conversationId":"c-1"}}"#,
        ] {
            for status in [404, 410] {
                assert_eq!(says_ended(&response(status, body), "c-1", false), Some(Ended::Named), "{status} {body}");
            }
            for status in [400, 403, 405, 409, 500] {
                assert_eq!(says_ended(&response(status, body), "c-1", true), None, "{status} {body}");
            }
        }
    }

    #[test]
    fn where_the_path_has_the_id_a_code_is_enough() {
        for (status, body) in [(404, r#"{"code":"not.found"}"#), (410, ""), (410, "{}")] {
            assert_eq!(says_ended(&response(status, body), "c-1", true), Some(Ended::Implied), "{status} {body}");
            assert_eq!(says_ended(&response(status, body), "c-1", false), None, "{status} {body}");
        }
    }

    #[test]
    fn a_gateway_that_leads_elsewhere_says_nothing_of_it() {
        for body in [
            "",
            "{}",
            "not found",
            r#"{"message":"no Route matched with those values"}"#,
            r#"{"statusCode":404,"message":"Route POST:/x/conversations/c-1/messages not found"}"#,
            r#"{"path":"/x/conversation/c-1/messages","status":404}"#,
            r#"{"message":"c-11 and xc-1 are others"}"#,
            "<!DOCTYPE html><html>conversation c-1</html>",
        ] {
            assert_eq!(says_ended(&response(404, body), "c-1", true), None, "{body}");
        }
    }
}
