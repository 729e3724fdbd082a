//! What is told of a file, in the shape in which it is told.

use serde::Serialize;
use serde_json::value::RawValue;

/// Some rows in the order of their numbers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Behind which number the next page begins; none when this is the last.
    pub next: Option<u64>,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was never on the wire.
    Waiting,
    /// It is on the wire; without a running owner it was, and its outcome is unknown.
    Sent,
    /// It came back from the wire, and is tried again.
    Retrying,
    /// It is to be repeated in the batch in which its outcome is unknown.
    Bound,
    /// It is not as it was written.
    Damaged,
}

/// A message of the outbox.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageRow {
    /// Its number: the order of acceptance.
    pub seq: u64,
    /// Where it is.
    pub state: State,
    /// What it is; nothing of one that is damaged.
    #[serde(flatten)]
    pub envelope: Option<Envelope>,
    /// Attempts spent.
    pub attempts: u32,
    /// When the first of them was, in milliseconds since the Unix epoch.
    pub first_attempt_at_ms: Option<i64>,
    /// When the request left that it is on the wire in.
    pub sent_at_ms: Option<i64>,
    /// Some attempt was sent and not answered.
    pub ambiguous: bool,
    /// The number of the first message of its batch.
    pub batch: Option<u64>,
}

/// What a message is, without its texts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Its id.
    pub id: Box<str>,
    /// Its conversation.
    pub conversation_id: Box<str>,
    /// Higher goes first.
    pub priority: i8,
    /// Bytes of its body.
    pub bytes: u32,
    /// When it was accepted, in milliseconds since the Unix epoch.
    pub accepted_at_ms: i64,
    /// When it is given up unless it is on the wire.
    pub expires_at_ms: Option<i64>,
    /// When it may be sent at the earliest.
    pub not_before_ms: Option<i64>,
    /// Its texts, when they are asked for.
    #[serde(flatten)]
    pub content: Option<Content>,
}

/// The texts of a message.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// The body: JSON as it was serialized.
    pub body: Box<RawValue>,
    /// Values for the route's placeholders.
    pub params: Option<Box<RawValue>>,
    /// Headers of its own.
    pub headers: Option<Box<RawValue>>,
    /// W3C `traceparent` of the caller's span.
    pub traceparent: Option<Box<str>>,
}

/// A dead letter.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterRow {
    /// Its number: the order in which letters came to be.
    pub number: u64,
    /// What it was; nothing of one that is damaged.
    #[serde(flatten)]
    pub envelope: Option<Envelope>,
    /// Why it was given up, in a word; `damaged` when it is not as it was written.
    pub reason: &'static str,
    /// Why, as a sentence.
    pub message: Option<String>,
    /// The last answer's status.
    pub status: Option<u16>,
    /// Attempts made.
    pub attempts: u32,
    /// The server may have processed it all the same.
    pub ambiguous: bool,
    /// `ININ-Correlation-Id` of the last answer.
    pub correlation_id: Option<String>,
    /// When it was given up, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The last answer's body, when texts are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Box<RawValue>>,
}

/// What is remembered of a delivered message.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptRow {
    /// Its number: the order of delivery.
    pub number: u64,
    /// The message's id.
    pub id: Box<str>,
    /// Its conversation.
    pub conversation_id: Box<str>,
    /// The answer's status.
    pub status: u16,
    /// Attempts made.
    pub attempts: u32,
    /// Messages in the request that delivered it.
    pub batch_size: u32,
    /// From acceptance to the start of that request, in milliseconds.
    pub queued_ms: i64,
    /// When it was delivered, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// What is known of an id.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Found {
    /// It waits in the outbox.
    Message(MessageRow),
    /// It was given up.
    Letter(LetterRow),
    /// It was delivered.
    Receipt(ReceiptRow),
}
