//! Operations that are too rare to need more than JSON.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use spillway_core::dispatcher::BacklogWanted;
use spillway_core::engine::sink::{GivenToken, Interest, LettersWanted};
use spillway_core::error::Error;
use spillway_core::handle::Handle;
use spillway_core::message::{Call, CallLimits, Payload, Settle, Submission};
use spillway_core::outcome::{LetterFilter, Reason};
use spillway_core::stats::PauseScope;

use crate::frame::span;

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Op {
    Cancel { ticket: u64 },
    Explain { ticket: u64, id: Box<str> },
    DeadLetters { ticket: u64, after: u64, until: Option<u64>, limit: usize },
    Backlog { ticket: u64, conversations: usize, requests: usize },
    Redrive { ticket: u64, id: Box<str> },
    RedriveAll { ticket: u64, reason: Option<String>, status: Option<u16>, since_ms: Option<f64> },
    Drop { ticket: u64, id: Box<str> },
    Pause { ticket: u64, for_ms: Option<f64> },
    Resume { ticket: u64, route: Option<Box<str>>, conversation_id: Option<Box<str>> },
    Drain { ticket: u64, timeout_ms: Option<f64> },
    Close { ticket: u64, timeout_ms: f64 },
    Ready { ticket: u64 },
    Listen { events: Vec<String> },
    Token { id: u64, token: Option<String>, failure: Option<String>, problem: Option<String> },
}

pub(crate) fn call(handle: &Handle, text: &str) -> Result<(), Error> {
    match serde_json::from_str(text).map_err(broken)? {
        Op::Cancel { ticket } => handle.cancel(ticket),
        Op::Explain { ticket, id } => handle.explain(ticket, id),
        Op::DeadLetters { ticket, after, until, limit } => {
            handle.letters(ticket, LettersWanted { after, until, limit });
        }
        Op::Backlog { ticket, conversations, requests } => {
            handle.backlog(ticket, BacklogWanted { conversations, requests });
        }
        Op::Redrive { ticket, id } => handle.redrive(ticket, id),
        Op::RedriveAll { ticket, reason, status, since_ms } => {
            let since = since_ms.map(|ms| handle.clock().at_epoch_ms(ms));
            handle.redrive_all(ticket, LetterFilter { reason: reason_of(reason.as_deref())?, status, since });
        }
        Op::Drop { ticket, id } => handle.drop_letter(ticket, id),
        Op::Pause { ticket, for_ms } => handle.pause(ticket, for_ms.map(span)),
        Op::Resume { ticket, route, conversation_id } => {
            let conversation = conversation_id.map(|id| PauseScope::Conversation(id.into()));
            let scope = route.map(PauseScope::Route).or(conversation).unwrap_or(PauseScope::Organization);
            handle.resume(ticket, scope);
        }
        Op::Drain { ticket, timeout_ms } => handle.drain(ticket, timeout_ms.map(span)),
        Op::Close { ticket, timeout_ms } => handle.close(ticket, span(timeout_ms)),
        Op::Ready { ticket } => handle.ready(ticket),
        Op::Listen { events } => handle.listen(Interest::of(events.iter().map(String::as_str))),
        Op::Token { id, token, failure, problem } => handle.give_token(
            id,
            match (token, failure) {
                (Some(token), _) => GivenToken::of(&token),
                (None, Some(failure)) => GivenToken::Failed(failure),
                (None, None) => {
                    let problem = problem.unwrap_or_else(|| "the accessToken function gave none".to_owned());
                    GivenToken::Refused(problem)
                }
            },
        ),
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    method: Box<str>,
    path: Box<str>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    priority: i8,
    timeout_ms: Option<f64>,
    max_response_bytes: usize,
    #[serde(default)]
    raw: bool,
    expires_in_ms: Option<f64>,
    deadline_ms: Option<f64>,
    idempotent: Option<bool>,
    #[serde(default)]
    retry: Retry,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Retry {
    max_attempts: Option<NonZeroU32>,
    max_age_ms: Option<u64>,
}

pub(crate) fn read_request(handle: &Handle, ticket: u64, head: &str, body: Option<Bytes>) -> Result<Submission, Error> {
    let head: Head = serde_json::from_str(head).map_err(broken)?;
    let ends_in = |ms| handle.clock().now().after(span(ms));
    let call = Call {
        method: head.method,
        path: head.path,
        headers: head.headers.into_iter().collect(),
        body,
        timeout: head.timeout_ms.map(span).filter(|timeout| *timeout > Duration::ZERO),
        response_bytes_max: head.max_response_bytes,
        raw: head.raw,
        idempotent: head.idempotent,
        limits: CallLimits {
            max_attempts: head.retry.max_attempts,
            max_age: head.retry.max_age_ms.map(Duration::from_millis),
            deadline: head.deadline_ms.map(ends_in),
        },
    };
    Ok(Submission {
        ticket: handle.ticket(ticket),
        settle: Settle::OnOutcome,
        payload: Payload::Call(Box::new(call)),
        priority: head.priority,
        expires_at: head.expires_in_ms.map(ends_in),
        not_before: None,
    })
}

/// A dead letter's reason by its word, which JavaScript has checked.
pub(crate) fn reason_of(word: Option<&str>) -> Result<Option<Reason>, Error> {
    let unknown = || Error::message("reason", "is not a reason of a dead letter".to_owned());
    word.map(|word| Reason::of_letter(word).ok_or_else(unknown)).transpose()
}

fn broken(error: serde_json::Error) -> Error {
    Error::message("request", format!("could not be parsed by the native addon: {error}"))
}
