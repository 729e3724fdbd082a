//! Completions as rows of a JSON array, which V8 parses faster than N-API builds objects.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Value, json};
use spillway_core::clock::{Clock, Timestamp};
use spillway_core::dispatcher::{Explanation, Hold, Notice, Whereabouts};
use spillway_core::engine::sink::{Completion, Happening};
use spillway_core::message::Cargo;
use spillway_core::outcome::{DeadLetter, DeliveryFailure};

use crate::errors::{body_by_type_data, body_data, error_data, headers_data};
use crate::json::{write, write_text};
use crate::receipt::{ReceiptRow, write_fields};
use crate::stats::quota_data;

/// A guess that is wrong costs a little memory for a moment, or one more allocation.
const ROW_BYTES_LIKELY: usize = 256;

/// Whoever has written as much leaves the rest for the next text: V8's longest string is near to 512 MiB, one answer's row
/// up to 384 MiB, and nothing that is too long for a string could be taken.
const TEXT_BYTES: usize = 262_144;

/// One row for each completion, behind a comma; one for all that are accepted one after another. What is left is what a
/// text has no room for.
pub(crate) fn rows<'a>(completions: &'a [Completion], clock: &Clock) -> (Vec<u8>, &'a [Completion]) {
    let mut text = Vec::with_capacity(completions.len() * ROW_BYTES_LIKELY);
    let mut left = completions;
    let is_accepted = |one: &Completion| matches!(one, Completion::Accepted { duplicate: false, .. });
    for alike in completions.chunk_by(|one, next| is_accepted(one) && is_accepted(next)) {
        if text.len() >= TEXT_BYTES {
            break;
        }
        left = &left[alike.len()..];
        text.push(b',');
        match &alike[0] {
            Completion::Accepted { duplicate: false, .. } => write_accepted(&mut text, alike),
            Completion::Delivered(ticket, receipt) => write_fields(&mut text, *ticket, receipt),
            other => write(&mut text, &row(other, clock)),
        }
    }
    (text, left)
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

fn row(completion: &Completion, clock: &Clock) -> Value {
    match completion {
        Completion::Accepted { ticket, id, .. } => json!([ticket, "duplicate", id]),
        // Written above, without a tree.
        Completion::Delivered(..) => Value::Null,
        Completion::Answered(ticket, answer) => {
            let response = &answer.response;
            let mut data = json!({ "status": response.status, "headers": headers_data(response) });
            if answer.raw {
                data["base64"] = BASE64.encode(&response.body).into();
            } else {
                data["body"] = body_by_type_data(response);
            }
            json!([ticket, "ok", data])
        }
        Completion::Failed(ticket, error) => json!([ticket, "err", error_data(error)]),
        Completion::Done(ticket) => json!([ticket, "ok", null]),
        Completion::Closed(ticket, undelivered) => json!([ticket, "ok", { "undelivered": undelivered }]),
        Completion::Ready(ticket, recovered) => json!([ticket, "ok", { "recovered": recovered }]),
        Completion::Explained(ticket, id, explanation) => {
            json!([ticket, "ok", explanation_data(id, explanation, clock)])
        }
        Completion::Letters(ticket, page) => {
            let letters: Vec<Value> = page.letters.iter().map(|(_, letter)| letter_data(letter, clock)).collect();
            let next = page.letters.last().filter(|_| page.more).map(|(number, _)| number);
            json!([ticket, "ok", { "letters": letters, "next": next, "until": page.until }])
        }
        Completion::TokenWanted(number) => json!([0, "token", number]),
        Completion::Broken => json!([0, "broken"]),
        Completion::Event(happening) => json!([0, "event", happening.name(), event_data(happening, clock)]),
    }
}

fn failure_fields(conversation: &str, failure: &DeliveryFailure, at: Timestamp, clock: &Clock) -> Value {
    json!({
        "id": failure.id,
        "conversationId": conversation,
        "reason": failure.reason.word(),
        "status": failure.response.as_ref().map(|response| response.status),
        "response": failure.response.as_ref().map(body_data),
        "attempts": failure.attempts,
        "ambiguous": failure.ambiguous,
        "atMs": clock.epoch_ms(at),
        "message": failure.to_string(),
    })
}

fn letter_data(letter: &DeadLetter, clock: &Clock) -> Value {
    let Cargo::Message(message) = &letter.cargo else { return Value::Null };
    let mut data = failure_fields(message.conversation(), &letter.failure, letter.at, clock);
    data["body"] = serde_json::from_str(message.body()).unwrap_or(Value::Null);
    data
}

fn event_data(happening: &Happening, clock: &Clock) -> Value {
    match happening {
        Happening::Delivered(receipt) => json!(ReceiptRow::from(receipt)),
        Happening::DeadLetter(conversation, failure, at) => failure_fields(conversation, failure, *at, clock),
        Happening::Request(end) => json!({
            "method": end.method,
            "path": end.path,
            "messages": end.messages,
            "messageId": end.message_id,
            "startedAtMs": clock.epoch_ms(end.started_at),
            "tookMs": end.took.as_secs_f64() * 1_000.0,
            "status": end.status,
            "correlationId": end.correlation_id,
            "problem": end.problem,
        }),
        Happening::Notice(Notice::Throttled { reason, until, pause, long }) => json!({
            "reason": reason, "untilMs": clock.epoch_ms(*until), "pauseMs": pause.as_secs_f64() * 1_000.0, "long": long,
        }),
        Happening::Notice(Notice::Resumed { paused }) => json!({ "pausedMs": paused.as_secs_f64() * 1_000.0 }),
        Happening::Notice(Notice::Outage { reason, problem, open }) => {
            json!({ "reason": reason, "message": problem, "open": open })
        }
        Happening::Notice(Notice::Quota { quota, since }) => quota_data(quota, *since, clock),
        Happening::Notice(Notice::Empty) => Value::Null,
    }
}

fn explanation_data(id: &str, explanation: &Explanation, clock: &Clock) -> Value {
    let reasons: Vec<Value> = explanation.holds.iter().map(|(hold, until)| hold_data(*hold, *until, clock)).collect();
    let expected_in_ms =
        explanation.expected_at.map(|at| clock.epoch_ms(at).saturating_sub(clock.epoch_ms(clock.now())));
    json!({
        "id": id,
        "conversationId": explanation.conversation,
        "state": match explanation.whereabouts {
            Whereabouts::WaitingRoom => "waiting-room",
            Whereabouts::Queued => "queued",
            Whereabouts::InFlight => "in-flight",
            Whereabouts::DeadLetter => "dead-letter",
        },
        "reasons": reasons,
        "ahead": explanation.ahead,
        "expectedInMs": expected_in_ms,
        "attempts": explanation.attempts,
    })
}

fn hold_data(hold: Hold, until: Option<Timestamp>, clock: &Clock) -> Value {
    let (kind, detail) = match hold {
        Hold::Lane(1) => ("lane", "1 message of its conversation goes first".to_owned()),
        Hold::Lane(count) => ("lane", format!("{count} messages of its conversation go first")),
        Hold::Budget => ("budget", "the quota's requests are spent".to_owned()),
        Hold::Pause => ("pause", "the organisation pauses after a 429".to_owned()),
        Hold::Retry => ("retry", "its last attempt failed".to_owned()),
        Hold::NotBefore => ("notBefore", "it is not to be sent before its notBefore".to_owned()),
        Hold::Company => ("batch", "others may come to share its request".to_owned()),
        Hold::Auth => ("auth", "there is no valid access token".to_owned()),
        Hold::Outage => ("outage", "the server does not answer as it should".to_owned()),
        Hold::Connections => ("connections", "as many requests are on the wire as connections.max allows".to_owned()),
        Hold::Capacity => ("capacity", "the outbox is full".to_owned()),
        Hold::Store => ("store", "the store has not written it yet".to_owned()),
    };
    let mut data = json!({ "kind": kind, "detail": detail });
    if let Some(until) = until {
        data["untilMs"] = clock.epoch_ms(until).into();
    }
    data
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use spillway_core::outcome::{CallAnswer, Response};

    use super::*;

    fn accepted(ticket: u64, id: &str, duplicate: bool) -> Completion {
        Completion::Accepted { ticket, id: id.into(), duplicate }
    }

    fn written(completions: &[Completion]) -> Value {
        let (text, left) = rows(completions, &Clock::start());
        assert!(left.is_empty());
        parsed(text)
    }

    fn parsed(mut text: Vec<u8>) -> Value {
        text[0] = b'[';
        text.push(b']');
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn large_rows_do_not_come_together() {
        let answered = |ticket| {
            let body = Bytes::from(vec![1; TEXT_BYTES]);
            let response = Response { status: 200, body, truncated: false, headers: Vec::new(), correlation_id: None };
            Completion::Answered(ticket, CallAnswer { response, attempts: 1, raw: false })
        };
        let all = [accepted(1, "a", false), Completion::Done(2), answered(3), answered(4), Completion::Done(5)];
        let (mut left, mut tickets) = (&all[..], Vec::new());
        while !left.is_empty() {
            let (text, rest) = rows(left, &Clock::start());
            left = rest;
            let rows = parsed(text);
            tickets.push(rows.as_array().unwrap().iter().map(|row| row[0].as_u64().unwrap()).collect::<Vec<_>>());
        }
        assert_eq!(tickets, [vec![0, 2, 3], vec![4], vec![5]]);
    }

    #[test]
    fn what_is_accepted_in_a_row_shares_one() {
        assert_eq!(
            written(&[accepted(1, "a\"", false), accepted(9, "b", false)]),
            json!([[0, "accepted", 1, "a\"", 9, "b"]])
        );
        let mixed = [
            accepted(1, "a", false),
            Completion::Done(2),
            accepted(3, "c", false),
            accepted(4, "c", true),
            accepted(5, "c", true),
            accepted(6, "e", false),
            accepted(7, "f", false),
        ];
        let rows = json!([
            [0, "accepted", 1, "a"],
            [2, "ok", null],
            [0, "accepted", 3, "c"],
            [4, "duplicate", "c"],
            [5, "duplicate", "c"],
            [0, "accepted", 6, "e", 7, "f"],
        ]);
        assert_eq!(written(&mixed), rows);
    }
}
