//! Completions as rows of a JSON array, which V8 parses faster than N-API builds objects.

mod backlog;
mod events;
mod explanation;
mod letters;

use bytes::Bytes;
use serde_json::json;
use spillway_core::clock::Clock;
use spillway_core::engine::sink::{Completion, Happening};
use spillway_core::error::Error;
use spillway_core::outcome::{CallAnswer, DeliveryFailure, Redriven};

use self::backlog::backlog_data;
use self::events::event_data;
use self::explanation::explanation_data;
use self::letters::{FailureRow, PageRow};
use crate::errors::{ErrorData, Reading, first_lines, headers_data, headers_with_cookies};
use crate::json::{write, write_text};
use crate::receipt::{ReceiptRow, write_fields};

/// A guess that is wrong costs a little memory for a moment, or one more allocation.
const ROW_BYTES_LIKELY: usize = 256;

/// Rows of this size, bodies included, get no others beside them: JavaScript reads them in one turn of its event loop.
const TEXT_BYTES: usize = 262_144;

/// Rows, each after a comma, and the bodies that cross by themselves, by ticket.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) text: Vec<u8>,
    pub(crate) bodies: Vec<(u64, Bytes)>,
}

impl Rows {
    /// Bytes that JavaScript reads for them.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.bodies.iter().map(|(_, body)| body.len()).sum::<usize>()
    }
}

/// One row for each completion; one for all that are accepted one after another. What is left is what a text has no
/// room for.
pub(crate) fn rows<'a>(completions: &'a [Completion], clock: &Clock) -> (Rows, &'a [Completion]) {
    let mut rows = Rows { text: Vec::with_capacity(completions.len() * ROW_BYTES_LIKELY), bodies: Vec::new() };
    let (mut left, mut body_bytes) = (completions, 0);
    let is_accepted = |one: &Completion| matches!(one, Completion::Accepted { duplicate: false, .. });
    for alike in completions.chunk_by(|one, next| is_accepted(one) && is_accepted(next)) {
        if rows.text.len() + body_bytes >= TEXT_BYTES {
            break;
        }
        left = &left[alike.len()..];
        rows.text.push(b',');
        match &alike[0] {
            Completion::Accepted { duplicate: false, .. } => write_accepted(&mut rows.text, alike),
            Completion::Delivered(ticket, receipt) => write_fields(&mut rows.text, *ticket, receipt),
            other => write_row(&mut rows.text, other, clock),
        }
        if let Some((ticket, body)) = body_apart(&alike[0]) {
            body_bytes += body.len();
            rows.bodies.push((ticket, body));
        }
    }
    (rows, left)
}

/// The body of an answer to a `request()`, be it a success or a failure. It may be long, so it crosses as it came.
fn body_apart(completion: &Completion) -> Option<(u64, Bytes)> {
    match completion {
        Completion::Answered(ticket, answer) => Some((*ticket, answer.response.body.clone())),
        Completion::Failed(ticket, error) => {
            let response = request_failure(error)?.response.as_ref()?;
            Some((*ticket, response.body.clone()))
        }
        _ => None,
    }
}

/// The failure of a `request()`: messages have ids.
fn request_failure(error: &Error) -> Option<&DeliveryFailure> {
    match error {
        Error::Delivery(failure) if failure.id.is_none() => Some(failure),
        _ => None,
    }
}

fn write_accepted(text: &mut Vec<u8>, completions: &[Completion]) {
    text.extend_from_slice(b"[0,\"accepted\"");
    for completion in completions {
        let Completion::Accepted { ticket, id, .. } = completion else { continue };
        text.push(b',');
        write(text, ticket);
        text.push(b',');
        write_text(text, id);
    }
    text.push(b']');
}

/// Written at once: a tree of what a server said might refuse it, or be a hundred times as large.
fn write_row(text: &mut Vec<u8>, completion: &Completion, clock: &Clock) {
    match completion {
        Completion::Accepted { ticket, id, .. } => write(text, &(ticket, "duplicate", id)),
        Completion::Delivered(ticket, receipt) => write_fields(text, *ticket, receipt),
        Completion::Answered(ticket, answer) => write_answer(text, *ticket, answer),
        Completion::Failed(ticket, error) => write_error(text, *ticket, error),
        Completion::Done(ticket) => write(text, &(ticket, "ok", ())),
        Completion::Redriven(ticket, Redriven { redriven, full, unsendable }) => {
            let counts = json!({ "redriven": redriven, "full": full, "unsendable": unsendable });
            write(text, &(ticket, "ok", counts));
        }
        Completion::Closed(ticket, undelivered) => write(text, &(ticket, "ok", json!({ "undelivered": undelivered }))),
        Completion::Ready(ticket, recovered) => write(text, &(ticket, "ok", json!({ "recovered": recovered }))),
        Completion::Explained(ticket, id, explanation) => {
            write(text, &(ticket, "ok", explanation_data(id, explanation, clock)));
        }
        Completion::Letters(ticket, page) => write(text, &(ticket, "ok", PageRow::of(page, clock))),
        Completion::Backlog(ticket, backlog) => write(text, &(ticket, "ok", backlog_data(backlog, clock))),
        Completion::TokenWanted(number) => write(text, &(0, "token", number)),
        Completion::Broken => write(text, &(0, "broken")),
        Completion::Survived(seen, tickets) => write(text, &(0, "survived", seen, tickets)),
        Completion::Event(happening) => write_event(text, happening, clock),
    }
}

fn write_answer(text: &mut Vec<u8>, ticket: u64, answer: &CallAnswer) {
    let response = &answer.response;
    let (headers, reading) = match answer.raw {
        true => (headers_with_cookies(response), Reading::Bytes),
        false => (headers_data(response), Reading::by_type(response)),
    };
    let mut head = json!({ "status": response.status, "statusText": response.status_text, "headers": headers });
    if let Some(lines) = first_lines(response).filter(|_| answer.raw) {
        head["firstLines"] = lines;
    }
    write(text, &(ticket, "answer", head, reading));
}

fn write_error(text: &mut Vec<u8>, ticket: u64, error: &Error) {
    match request_failure(error).and_then(|failure| failure.response.as_ref()) {
        Some(response) => write(text, &(ticket, "err", ErrorData::without_response(error), Reading::of_any(response))),
        None => write(text, &(ticket, "err", ErrorData::of(error))),
    }
}

fn write_event(text: &mut Vec<u8>, happening: &Happening, clock: &Clock) {
    let name = happening.name();
    match happening {
        Happening::Delivered(receipt) => write(text, &(0, "event", name, ReceiptRow::from(receipt))),
        Happening::DeadLetter(conversation, failure, at) => {
            write(text, &(0, "event", name, FailureRow::of(conversation, failure, *at, clock)));
        }
        Happening::Request(_) | Happening::Notice(_) => write(text, &(0, "event", name, event_data(happening, clock))),
    }
}

#[cfg(test)]
mod tests;
