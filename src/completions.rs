//! Completions as rows of a JSON array, which V8 parses faster than N-API builds objects.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use spillway_core::clock::{Clock, Timestamp};
use spillway_core::dispatcher::{Explanation, Hold, Notice, Whereabouts};
use spillway_core::engine::sink::{Completion, Happening, LettersPage};
use spillway_core::error::Error;
use spillway_core::json::Body;
use spillway_core::message::Payload;
use spillway_core::outcome::{CallAnswer, DeadLetter, DeliveryFailure, Redriven};
use spillway_core::stats::{ENDED, Pause, PauseScope};

use crate::errors::{ErrorData, Reading, first_lines, headers_data, headers_with_cookies};
use crate::json::{write, write_text};
use crate::receipt::{ReceiptRow, body_of, write_fields};
use crate::stats::{quota_data, scope_data};

/// A guess that is wrong costs a little memory for a moment, or one more allocation.
const ROW_BYTES_LIKELY: usize = 256;

/// Rows of this size, bodies included, get no more company: JavaScript reads them in one turn of its event loop.
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

/// A failure in the shape of `DeadLetterEvent`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailureRow<'a> {
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
    fn of(conversation: &'a str, failure: &'a DeliveryFailure, at: Timestamp, clock: &Clock) -> Self {
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
struct PageRow<'a> {
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
    fn of(page: &'a LettersPage, clock: &Clock) -> Self {
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

fn event_data(happening: &Happening, clock: &Clock) -> Value {
    match happening {
        // These are written as they are.
        Happening::Delivered(_) | Happening::DeadLetter(..) => Value::Null,
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
        Happening::Notice(Notice::Throttled { scope, limit, reason, until, pause, long }) => {
            let mut data = scope_data(scope, limit.as_deref());
            data["reason"] = (*reason).into();
            data["untilMs"] = json!(clock.epoch_ms(*until));
            data["pauseMs"] = json!(pause.as_secs_f64() * 1_000.0);
            data["long"] = (*long).into();
            data
        }
        Happening::Notice(Notice::Paused { reason, since, until }) => {
            let mut data = scope_data(&PauseScope::Organization, None);
            data["reason"] = (*reason).into();
            data["untilMs"] = json!(until.map(|until| clock.epoch_ms(until)));
            data["pauseMs"] = json!(until.map(|until| until.since(*since).as_secs_f64() * 1_000.0));
            data["long"] = false.into();
            data
        }
        Happening::Notice(Notice::Resumed { scope, limit, paused }) => {
            let mut data = scope_data(scope, limit.as_deref());
            data["pausedMs"] = json!(paused.as_secs_f64() * 1_000.0);
            data
        }
        Happening::Notice(Notice::Outage { reason, problem, open }) => {
            json!({ "reason": reason, "message": problem, "open": open })
        }
        Happening::Notice(Notice::Quota { quota, since }) => quota_data(quota, *since, clock),
        Happening::Notice(Notice::Empty) => Value::Null,
    }
}

fn explanation_data(id: &str, explanation: &Explanation, clock: &Clock) -> Value {
    let reasons: Vec<Value> = explanation.holds.iter().map(|hold| hold_data(*hold, explanation, clock)).collect();
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

fn hold_data((hold, until): (Hold, Option<Timestamp>), explanation: &Explanation, clock: &Clock) -> Value {
    let Explanation { next_probe, problem, apart, .. } = explanation;
    let caused = |what: &str| problem.as_ref().map_or(what.to_owned(), |problem| format!("{what}: {problem}"));
    let (kind, detail) = match hold {
        Hold::Lane(1) => ("lane", "1 message of its conversation goes first".to_owned()),
        Hold::Lane(count) => ("lane", format!("{count} messages of its conversation go first")),
        Hold::Budget => ("budget", "the quota's requests are spent".to_owned()),
        Hold::Pause => ("pause", "the organization pauses after a 429".to_owned()),
        Hold::RoutePause => ("pause", "the route that messages take pauses after a 429".to_owned()),
        Hold::ConversationPause => ("pause", "its conversation pauses after a 429".to_owned()),
        Hold::Ended => {
            ("pause", "the server says that its conversation is over: its messages are tried one at a time".to_owned())
        }
        Hold::Operator => ("pause", "an operator paused the organization: sender.resume() ends it".to_owned()),
        Hold::Retry => ("retry", "its last attempt failed".to_owned()),
        Hold::Refusal(status) => {
            let status = status.map(|status| format!(" with status {status}")).unwrap_or_default();
            ("retry", format!("the server refused it{status}, perhaps not for its own sake: it is tried again"))
        }
        Hold::NotBefore => ("notBefore", "it is scheduled for later (notBefore)".to_owned()),
        Hold::BatchMates => ("batch", "it waits for its batch to fill".to_owned()),
        Hold::Apart => {
            let field = apart.as_deref().unwrap_or("a field");
            ("batch", format!("nothing has merged so far: messages differ in {field}"))
        }
        Hold::Auth => ("auth", caused("there is no valid access token")),
        Hold::Outage => ("outage", caused("the server is failing: the circuit breaker is open")),
        Hold::Refused => ("outage", caused("the server refuses all messages in the same way")),
        Hold::Connections => ("connections", "connections.max requests are under way".to_owned()),
        Hold::Capacity => ("capacity", "the outbox is full".to_owned()),
        Hold::Store => ("store", "the store has not written it yet".to_owned()),
    };
    let mut data = json!({ "kind": kind, "detail": detail });
    if let Some(until) = until {
        data["untilMs"] = clock.epoch_ms(until).into();
    }
    // A conversation may wait for a limit and be over at the same time.
    let of_hold = |Pause { scope, closure, .. }: &Pause| match scope {
        PauseScope::Organization | PauseScope::Unknown => hold == Hold::Pause,
        PauseScope::Route(_) => hold == Hold::RoutePause,
        PauseScope::Conversation(_) if closure.reason == ENDED => hold == Hold::Ended,
        PauseScope::Conversation(_) => hold == Hold::ConversationPause,
    };
    if let Some(Pause { scope, limit, closure }) = explanation.pauses.iter().find(|pause| of_hold(pause)) {
        if let (Value::Object(data), Value::Object(scope)) = (&mut data, scope_data(scope, limit.as_deref())) {
            data.extend(scope);
        }
        if let Some(next_probe) = closure.next_probe {
            data["nextProbeMs"] = clock.epoch_ms(next_probe).into();
        }
    }
    let is_probed = matches!(hold, Hold::Pause | Hold::Outage | Hold::Refused | Hold::Auth);
    if let Some(next_probe) = next_probe.filter(|_| is_probed) {
        data["nextProbeMs"] = clock.epoch_ms(next_probe).into();
    }
    data
}

#[cfg(test)]
mod tests {
    use spillway_core::outcome::{Receipt, Response};

    use super::*;

    fn accepted(ticket: u64, id: &str, duplicate: bool) -> Completion {
        Completion::Accepted { ticket, id: id.into(), duplicate }
    }

    fn written(completions: &[Completion]) -> Value {
        let (rows, left) = rows(completions, &Clock::start());
        assert!(left.is_empty());
        parsed(rows.text)
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
            let response = Response { status: 200, body, ..Response::default() };
            Completion::Answered(ticket, CallAnswer { response, attempts: 1, raw: false })
        };
        let all = [accepted(1, "a", false), Completion::Done(2), answered(3), answered(4), Completion::Done(5)];
        let (mut left, mut tickets) = (&all[..], Vec::new());
        while !left.is_empty() {
            let (rows, rest) = rows(left, &Clock::start());
            left = rest;
            assert!(rows.bodies.iter().all(|(ticket, body)| [3, 4].contains(ticket) && body.len() == TEXT_BYTES));
            let rows = parsed(rows.text);
            tickets.push(rows.as_array().unwrap().iter().map(|row| row[0].as_u64().unwrap()).collect::<Vec<_>>());
        }
        assert_eq!(tickets, [vec![0, 2, 3], vec![4], vec![5]]);
    }

    /// Bodies that no tree of `serde_json` can hold, or holds only as something else.
    const HOSTILE: [&str; 6] =
        [r#"{"text":"\ud83d"}"#, r#"{"n":1e400}"#, "-0", "12345678901234567890123", r#"{"a":1,"a":2}"#, "[]"];

    fn response(status: u16, body: &str) -> Response {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Response { status, body, ..Response::default() }
    }

    fn failure(id: Option<&str>, body: &str) -> DeliveryFailure {
        DeliveryFailure {
            reason: spillway_core::outcome::Reason::Rejected,
            id: id.map(Into::into),
            response: Some(response(400, body)),
            attempts: 1,
            ambiguous: false,
            problem: None,
        }
    }

    fn receipt(body: &str) -> Receipt {
        let parts = spillway_core::message::Parts { id: "m", conversation: "c", ..Default::default() };
        Receipt {
            message: spillway_core::message::Message::new(parts).unwrap(),
            response: response(200, body),
            attempts: 1,
            batch_size: 1,
            queued: std::time::Duration::ZERO,
            duplicate: false,
        }
    }

    /// Everything that tells of a message what its server said.
    fn told_of_messages(body: &str) -> Vec<Completion> {
        let (at, failure) = (Timestamp::START, failure(Some("m"), body));
        let parts = spillway_core::message::Parts { id: "m", conversation: "c", body, ..Default::default() };
        let payload = Payload::Message(spillway_core::message::Message::new(parts).unwrap());
        let letter = DeadLetter { payload, priority: 0, failure: failure.clone(), at };
        vec![
            Completion::Delivered(1, receipt(body)),
            Completion::Event(Happening::Delivered(receipt(body))),
            Completion::Event(Happening::DeadLetter("c".into(), failure.clone(), at)),
            Completion::Failed(2, Error::Delivery(Box::new(failure))),
            Completion::Letters(3, LettersPage { letters: vec![(1, letter)], until: 1, more: false }),
        ]
    }

    #[test]
    fn a_body_stands_in_every_row_as_it_came() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for body in HOSTILE.into_iter().chain([&*deep]) {
            for completion in told_of_messages(body) {
                let (rows, _) = rows(&[completion], &Clock::start());
                let text = String::from_utf8(rows.text).unwrap();
                assert!(text.contains(&format!(":{body}")) || text.contains(&format!(",{body},")), "{text:.200}");
                assert!(rows.bodies.is_empty());
            }
        }
    }

    #[test]
    fn what_is_no_json_is_a_text_in_every_row() {
        for (body, text) in [("<html>", "<html>"), ("{\0}", "{\0}"), (" ", " "), ("[1,]", "[1,]")] {
            let rows = written(&told_of_messages(body));
            let told = [&rows[0][4], &rows[1][3]["body"], &rows[2][3]["response"], &rows[3][2]["response"]];
            assert!(told.iter().all(|told| **told == text), "{rows}");
            assert_eq!(rows[4][2]["letters"][0]["body"], text);
            assert_eq!(rows[4][2]["letters"][0]["response"], text);
        }
    }

    #[test]
    fn the_answer_to_a_request_crosses_as_bytes() {
        for body in ["\u{feff}{}", "[1e400]", "\0"] {
            let mut typed = response(200, body);
            typed.headers.push(("content-type".to_owned(), "Application/Problem+JSON; charset=x".to_owned()));
            let answer = |response: &Response, raw| CallAnswer { response: response.clone(), attempts: 1, raw };
            let cut = Response { truncated: true, ..typed.clone() };
            let all = [
                Completion::Answered(1, answer(&typed, false)),
                Completion::Answered(2, answer(&response(200, body), false)),
                Completion::Answered(3, answer(&cut, false)),
                Completion::Answered(4, answer(&typed, true)),
                Completion::Failed(5, Error::Delivery(Box::new(failure(None, body)))),
            ];
            let (rows, _) = rows(&all, &Clock::start());
            assert!(rows.bodies.iter().map(|(ticket, _)| *ticket).eq(1..=5));
            assert!(rows.bodies.iter().all(|(_, bytes)| bytes == body.as_bytes()));
            let readings: Vec<Value> = parsed(rows.text).as_array().unwrap().iter().map(|row| row[3].clone()).collect();
            assert_eq!(readings, ["json", "text", "text", "bytes", "json"]);
        }
    }

    #[test]
    fn cookies_are_a_list_for_adapters_and_a_text_for_callers() {
        let mut answered = response(200, "x");
        for (name, value) in [("set-cookie", "a=1, b=2; Path=/"), ("vary", "x"), ("set-cookie", "c="), ("vary", "y")] {
            answered.headers.push((name.to_owned(), value.to_owned()));
        }
        let answer = |raw| Completion::Answered(1, CallAnswer { response: answered.clone(), attempts: 1, raw });
        let (rows, _) = rows(&[answer(true), answer(false)], &Clock::start());
        let rows = parsed(rows.text);
        assert_eq!(rows[0][2]["headers"], json!({ "set-cookie": ["a=1, b=2; Path=/", "c="], "vary": "x, y" }));
        assert_eq!(rows[1][2]["headers"], json!({ "set-cookie": "a=1, b=2; Path=/, c=", "vary": "x, y" }));
    }

    #[test]
    fn adapters_get_the_first_line_of_a_repeated_header_too() {
        let mut answered = response(200, "x");
        for (name, value) in
            [("location", "/a"), ("set-cookie", "a=1"), ("location", "/b"), ("set-cookie", "b="), ("etag", "e")]
        {
            answered.headers.push((name.to_owned(), value.to_owned()));
        }
        let answer = |raw| Completion::Answered(1, CallAnswer { response: answered.clone(), attempts: 1, raw });
        let (rows, _) = rows(&[answer(true), answer(false)], &Clock::start());
        let rows = parsed(rows.text);
        assert_eq!(rows[0][2]["firstLines"], json!({ "location": "/a" }));
        assert_eq!(rows[0][2]["headers"]["location"], "/a, /b");
        assert_eq!(rows[1][2].get("firstLines"), None);
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
