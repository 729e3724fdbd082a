//! Dead letters as rows: alone in an event, and in pages with their bodies.

use serde::Serialize;
use spillway_core::clock::{Clock, Timestamp};
use spillway_core::engine::sink::LettersPage;
use spillway_core::json::Body;
use spillway_core::message::Payload;
use spillway_core::outcome::{DeadLetter, DeliveryFailure};

use crate::receipt::body_of;

/// A failure in the shape of `DeadLetterEvent`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FailureRow<'a> {
    id: Option<&'a str>,
    conversation_id: &'a str,
    reason: &'static str,
    status: Option<u16>,
    response: Option<Body<'a>>,
    attempts: u32,
    ambiguous: bool,
    at_ms: u64,
    message: String,
}

impl<'a> FailureRow<'a> {
    pub(super) fn of(conversation: &'a str, failure: &'a DeliveryFailure, at: Timestamp, clock: &Clock) -> Self {
        Self {
            id: failure.id.as_deref(),
            conversation_id: conversation,
            reason: failure.reason.word(),
            status: failure.response.as_ref().map(|response| response.status),
            response: failure.response.as_ref().map(body_of),
            attempts: failure.attempts,
            ambiguous: failure.ambiguous,
            at_ms: clock.epoch_ms(at),
            message: failure.to_string(),
        }
    }
}

/// A page of dead letters.
#[derive(Serialize)]
pub(super) struct PageRow<'a> {
    letters: Vec<LetterRow<'a>>,
    next: Option<u64>,
    until: u64,
}

#[derive(Serialize)]
struct LetterRow<'a> {
    #[serde(flatten)]
    failure: FailureRow<'a>,
    body: Body<'a>,
}

impl<'a> PageRow<'a> {
    pub(super) fn of(page: &'a LettersPage, clock: &Clock) -> Self {
        let letters = page.letters.iter().filter_map(|(_, letter)| LetterRow::of(letter, clock)).collect();
        let next = page.letters.last().filter(|_| page.more).map(|(number, _)| *number);
        Self { letters, next, until: page.until }
    }
}

impl<'a> LetterRow<'a> {
    fn of(letter: &'a DeadLetter, clock: &Clock) -> Option<Self> {
        let Payload::Message(message) = &letter.payload else { return None };
        let failure = FailureRow::of(message.conversation(), &letter.failure, letter.at, clock);
        Some(Self { failure, body: Body { bytes: message.body().as_bytes(), truncated: false } })
    }
}
