//! Refusals that may be everybody's: an address that is not allowed, a role that was revoked, a gateway that leads
//! elsewhere. Of one message they tell nothing for sure; of several conversations in a row, without a success in
//! between, they tell that the server refuses everything.

use std::sync::Arc;
use std::time::Duration;

use super::{Cause, Health, RouteId, Sent, spacing};
use crate::clock::Timestamp;
use crate::dispatcher::Step;
use crate::json;
use crate::outcome::Response;
use crate::random::Random;
use crate::stats::Refusals;

/// This many conversations that are refused one after the other are everybody.
const CONVERSATIONS_MIN: usize = 3;
/// Error codes of an API are short; what is longer, or has other characters than they have, may be anything.
const CODE_BYTES_MAX: usize = 100;

/// What refusals of the same kind have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) struct Fingerprint {
    status: u16,
    /// The error code of a body in JSON.
    code: Option<Box<str>>,
    is_page: bool,
}

impl Fingerprint {
    /// Of an answer that refuses a message; `None` if that is about the message itself.
    pub(in crate::dispatcher) fn of(response: &Response) -> Option<Self> {
        let Response { status, .. } = *response;
        let is_page = response.is_html_page();
        let may_be_everybodys = match status {
            300..=399 | 403 | 404 | 405 | 407 | 415 | 501 | 505 => true,
            // Also gateways that have a page for it mean the size.
            413 | 414 | 431 => false,
            _ => is_page,
        };
        may_be_everybodys.then(|| Self { status, code: if is_page { None } else { code(response) }, is_page })
    }

    /// In words, for listeners.
    fn words(&self, correlation_id: Option<&str>) -> String {
        let Self { status, code, is_page } = self;
        let page = if *is_page { " and a page of HTML" } else { "" };
        let code = code.as_ref().map(|code| format!(", code {code}")).unwrap_or_default();
        let id = correlation_id.map(|id| format!(", correlation id {id}")).unwrap_or_default();
        format!("the server refuses all messages with status {status}{page}{code}{id}")
    }
}

/// The code in an error's body, if it looks like one: it is shown.
fn code(response: &Response) -> Option<Box<str>> {
    let text = json::text_of(&response.body);
    let [code] = json::fields(json::raw(&text)?, ["code"])?;
    let code = json::string(code?)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (code.len() <= CODE_BYTES_MAX && code.bytes().all(is_plain)).then(|| code.into())
}

/// Refusals of messages with one fingerprint since the last success.
#[derive(Debug, Default)]
pub(super) struct RefusalRun {
    fingerprint: Option<Fingerprint>,
    /// A few are enough to know that there are several.
    conversations: Vec<Arc<str>>,
    /// When the latest of them left.
    left_at: Option<Timestamp>,
}

impl RefusalRun {
    fn end(&mut self) {
        if self.fingerprint.is_some() {
            *self = Self::default();
        }
    }

    /// Counts one. Another fingerprint begins another run.
    fn add(&mut self, fingerprint: &Fingerprint, left_at: Timestamp, conversations: &[Arc<str>]) {
        if self.fingerprint.as_ref() != Some(fingerprint) {
            *self = Self { fingerprint: Some(fingerprint.clone()), ..Self::default() };
        }
        self.left_at = self.left_at.max(Some(left_at));
        for conversation in conversations {
            if self.conversations.len() < CONVERSATIONS_MIN && !self.conversations.contains(conversation) {
                self.conversations.push(Arc::clone(conversation));
            }
        }
    }

    fn is_outage(&self) -> bool {
        self.conversations.len() >= CONVERSATIONS_MIN
    }

    /// Whether something that left then has left before one of them did: it tells nothing about them.
    fn is_before(&self, left_at: Timestamp) -> bool {
        self.left_at.is_some_and(|latest| left_at < latest)
    }
}

/// Whom a refusal concerns, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) enum Whom {
    /// Everybody is refused, so messages wait.
    Everybody,
    /// A probe was refused, and the gate stays shut: nobody else has said anything at that time.
    Probe,
    /// Nothing yet.
    Unknown,
}

/// A message or batch was refused.
#[derive(Clone, Debug)]
pub(in crate::dispatcher) struct MessageRefusal {
    pub(in crate::dispatcher) fingerprint: Fingerprint,
    /// Those of its conversations that are evidence: not those that were refused in an outage that is over.
    pub(in crate::dispatcher) conversations: Vec<Arc<str>>,
    pub(in crate::dispatcher) correlation_id: Option<String>,
    /// For how long the answer asks not to be asked again.
    pub(in crate::dispatcher) retry_after: Duration,
}

impl Health {
    /// A message was refused, perhaps for everybody's sake.
    pub(in crate::dispatcher) fn refused(
        &mut self,
        step: &mut Step<'_>,
        sent: Sent,
        refusal: &MessageRefusal,
        random: &mut Random,
    ) -> Whom {
        self.patience.learn(step.now.since(sent.left_at));
        self.refusals.add(&refusal.fingerprint, sent.left_at, &refusal.conversations);
        self.end_limits(step, sent);
        let asked_until = step.now.after(refusal.retry_after.min(self.max_pause));
        let is_probe = self.probe_again(step.now, sent, asked_until, random);
        let gate = &mut self.routes.get_mut(RouteId::MESSAGES).gate;
        let was_refused = gate.closed_by() == Some(Cause::Refused);
        if !was_refused && self.refusals.is_outage() {
            let until = spacing::next_probe(gate, step.now, sent.left_at, random).max(asked_until);
            gate.shut(step.now, until, Cause::Refused);
            gate.strike();
            let MessageRefusal { fingerprint, correlation_id, .. } = refusal;
            self.refused_with = Some(Refusals {
                status: fingerprint.status,
                code: fingerprint.code.clone(),
                is_page: fingerprint.is_page,
                correlation_id: correlation_id.as_deref().map(Into::into),
            });
            self.tell_outage(Cause::Refused, || fingerprint.words(correlation_id.as_deref()), step.effects);
        }
        match was_refused || self.refusals.is_outage() {
            true => Whom::Everybody,
            false if is_probe => Whom::Probe,
            false => Whom::Unknown,
        }
    }

    /// A refusal opens no gate: another probe goes later. Whether it was one.
    fn probe_again(&mut self, now: Timestamp, sent: Sent, asked_until: Timestamp, random: &mut Random) -> bool {
        let mut is_probe = false;
        for gate in [&mut self.organization, &mut self.routes.get_mut(sent.route).gate] {
            if gate.is_probe(sent.attempt)
                && let Some(cause) = gate.closed_by()
            {
                let until = spacing::next_probe(gate, now, sent.left_at, random).max(asked_until);
                gate.shut(now, until, cause);
                gate.strike();
                is_probe = true;
            }
        }
        is_probe
    }

    /// A message was accepted, or refused for its own sake. Whether that says that messages are not refused for
    /// everybody's: nothing that left before the last refusal did.
    pub(super) fn end_refusals(&mut self, sent: Sent) -> bool {
        let tells = sent.route == RouteId::MESSAGES && !self.refusals.is_before(sent.left_at);
        if tells {
            self.refusals.end();
        }
        tells
    }

    /// Conversations that were refused since the last success, as many as are known.
    pub(in crate::dispatcher) fn refused_conversations(&self) -> &[Arc<str>] {
        &self.refusals.conversations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Response {
        Response { status, body: bytes::Bytes::copy_from_slice(body.as_bytes()), ..Response::default() }
    }

    #[test]
    fn what_is_about_the_message_itself_has_no_fingerprint() {
        const PAGE: &str = "<!DOCTYPE html><html></html>";
        for status in [301, 302, 303, 307, 308, 403, 404, 405, 407, 415, 501, 505] {
            assert!(Fingerprint::of(&response(status, "{}")).is_some(), "{status}");
            assert!(Fingerprint::of(&response(status, PAGE)).is_some(), "{status} page");
        }
        for status in [400, 402, 406, 409, 410, 412, 413, 414, 418, 422, 423, 428, 431, 451] {
            assert_eq!(Fingerprint::of(&response(status, "{}")), None, "{status}");
            let by_page = Fingerprint::of(&response(status, PAGE)).is_some();
            assert_eq!(by_page, ![413, 414, 431].contains(&status), "{status} page");
        }
    }

    #[test]
    fn a_fingerprint_is_status_code_and_kind_of_content() {
        let of = |status, body| Fingerprint::of(&response(status, body)).expect("a refusal of everybody, perhaps");
        let denied = r#"{ "message": "for c-1", "code": "missing.permissions", "status": 403 }"#;
        assert_eq!(of(403, denied), of(403, r#"{"code":"missing.permissions","contextId":"7"}"#));
        assert_ne!(of(403, denied), of(403, r#"{"code":"not.authorized"}"#));
        assert_ne!(of(403, denied), of(404, denied));
        assert_ne!(of(403, "{}"), of(403, "<html>no</html>"));
        assert_eq!(of(403, "<html>a</html>"), of(403, "<html>b</html>"), "pages name their moment and the address");
        let secret = r#"{ "code": "token eyJ.. is revoked" }"#;
        assert_eq!(of(403, secret).code, None, "what may be anything is not shown");
        assert!(
            of(403, denied).words(Some("id-7")).ends_with("status 403, code missing.permissions, correlation id id-7")
        );
    }

    #[test]
    fn another_fingerprint_or_the_same_conversation_is_no_further_one() {
        let (a, b) = (Fingerprint::of(&response(403, "")), Fingerprint::of(&response(404, "")));
        let (a, b) = (a.expect("one"), b.expect("one"));
        let names: Vec<Arc<str>> = ["1", "2", "3", "4"].map(Arc::from).to_vec();
        let mut run = RefusalRun::default();
        let add = |run: &mut RefusalRun, fingerprint, index: usize| {
            run.add(fingerprint, Timestamp::START, &names[index..=index]);
            run.is_outage()
        };
        assert!(!add(&mut run, &a, 0) && !add(&mut run, &a, 1) && !add(&mut run, &a, 1));
        assert!(!add(&mut run, &b, 2) && !add(&mut run, &b, 1) && add(&mut run, &b, 0));
        run.end();
        assert!(!add(&mut run, &b, 3));
    }
}
