//! Receipts as JSON, written straight into the row: there is one for every message, so none is built as a tree first,
//! and the server's JSON is checked and copied, not parsed and written again.

use serde::Serialize;
use spillway_core::json::Body;
use spillway_core::outcome::{Receipt, Response};

use crate::json::{write, write_text};

/// A receipt in the shape of `index.d.ts`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptRow<'a> {
    id: &'a str,
    conversation_id: &'a str,
    status: u16,
    body: Body<'a>,
    attempts: u32,
    batch_size: u32,
    queued_ms: f64,
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
}

impl<'a> From<&'a Receipt> for ReceiptRow<'a> {
    fn from(receipt: &'a Receipt) -> Self {
        Self {
            id: receipt.message.id(),
            conversation_id: receipt.message.conversation(),
            status: receipt.response.status,
            body: body_of(&receipt.response),
            attempts: receipt.attempts,
            batch_size: receipt.batch_size,
            // Three digits behind the point, which V8 reads faster than the seventeen that seconds times 1,000 may
            // have.
            queued_ms: receipt.queued.as_micros() as f64 / 1_000.0,
            correlation_id: receipt.response.correlation_id.as_deref(),
            duplicate: receipt.duplicate.then_some(true),
        }
    }
}

/// A receipt for the promise of a `send`: ticket, status, and the rest by its order, so that JavaScript parses neither
/// names nor a kind. Whether it is a duplicate is 0 or 1: V8 reads a digit faster than a word.
pub(crate) fn write_fields(text: &mut Vec<u8>, ticket: u64, receipt: &Receipt) {
    let ReceiptRow { id, conversation_id, status, body, attempts, batch_size, queued_ms, correlation_id, duplicate } =
        ReceiptRow::from(receipt);
    write(text, &(ticket, status));
    text.pop();
    for name in [id, conversation_id] {
        text.push(b',');
        write_text(text, name);
    }
    // The rest as an array of its own, whose bracket becomes the comma.
    let comma = text.len();
    write(text, &(body, attempts, batch_size, queued_ms, correlation_id, u8::from(duplicate.is_some())));
    text[comma] = b',';
}

/// The body of an answer, in a row.
pub(crate) fn body_of(response: &Response) -> Body<'_> {
    Body { bytes: &response.body, truncated: response.truncated }
}
