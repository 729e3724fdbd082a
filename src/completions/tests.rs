use serde_json::Value;
use spillway_core::clock::Timestamp;
use spillway_core::engine::sink::LettersPage;
use spillway_core::message::Payload;
use spillway_core::outcome::{DeadLetter, Receipt, Response};

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
