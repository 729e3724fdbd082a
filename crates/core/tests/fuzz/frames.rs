//! Frames as they cross from JavaScript. Compiled into the addon's `frame`, which is private. An input is a frame.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use spillway_core::clock::Clock;
use spillway_core::engine::sink::{Completion, Sink};
use spillway_core::handle::Handle;
use spillway_core::message::{Payload, Submission};
use spillway_core::random::Random;
use spillway_core::settings::Settings;

use super::{HEAD_BYTES, read};
use crate::harness::{Target, Verdict};
use crate::mutation::damaged;

const COUNT_BYTES: usize = 4;

struct Nobody;

impl Sink for Nobody {
    fn complete(&self, _: Vec<Completion>, _: &Clock) {}
}

/// A handle to read frames with; nothing is submitted to it.
fn handle() -> Handle {
    let settings = r#"{
        "organization": "frames", "apiUrl": "http://127.0.0.1:1", "credentials": { "accessToken": "token" },
        "route": "messaging", "store": "memory", "rateLimit": { "requests": 1, "perMs": 1000 }
    }"#;
    Handle::open(Settings::from_json(settings).unwrap(), Arc::new(Nobody)).unwrap()
}

/// All texts of a frame that was read, in the order in which they cross.
fn texts(submissions: &[Submission]) -> String {
    let texts = submissions.iter().flat_map(|submission| {
        let Payload::Message(message) = &submission.payload else { panic!("{submission:?}") };
        let id = if message.id_given() { message.id() } else { "" };
        let [params, headers, traceparent] =
            [message.params_json(), message.headers_json(), message.traceparent()].map(Option::unwrap_or_default);
        [id, message.conversation(), params, headers, traceparent, message.body()].map(str::to_owned)
    });
    texts.collect()
}

/// A frame that is read gives each of its texts to one message, once and in order; a part of it is none.
fn check(frame: &[u8], handle: &Handle) -> Verdict {
    let mut random = Random::from_seed(7);
    let Ok(submissions) = read(frame, handle, &mut random) else { return Ok(()) };
    let head = frame.first_chunk::<COUNT_BYTES>().copied().map_or(0, u32::from_le_bytes) as usize;
    prop_assert_eq!(submissions.len(), head);
    let read_texts = texts(&submissions);
    prop_assert_eq!(read_texts.as_bytes(), &frame[COUNT_BYTES + head * HEAD_BYTES..]);
    for end in [0, COUNT_BYTES - 1, frame.len() / 2, frame.len() - 1] {
        prop_assert!(read(&frame[..end], handle, &mut random).is_err(), "{end} bytes are a frame");
    }
    let longer = [frame, b"x"].concat();
    prop_assert!(read(&longer, handle, &mut random).is_err(), "bytes behind the texts");
    Ok(())
}

/// What `lib/frame.js` writes of a message: ticket, times, priority, flags, and the six texts.
#[derive(Clone, Debug)]
struct Written {
    ticket: f64,
    times: [f64; 2],
    priority: i32,
    flags: u32,
    texts: [String; 6],
}

fn frame_of(messages: &[Written]) -> Vec<u8> {
    let mut frame = u32::try_from(messages.len()).unwrap().to_le_bytes().to_vec();
    for Written { ticket, times, priority, flags, texts } in messages {
        [*ticket, times[0], times[1]].iter().for_each(|number| frame.extend(number.to_le_bytes()));
        frame.extend(priority.to_le_bytes());
        frame.extend(flags.to_le_bytes());
        let units = texts.iter().map(|text| u32::try_from(text.encode_utf16().count()).unwrap());
        units.for_each(|units| frame.extend(units.to_le_bytes()));
    }
    messages.iter().flat_map(|message| &message.texts).for_each(|text| frame.extend(text.as_bytes()));
    frame
}

fn written() -> impl Strategy<Value = Written> {
    let time = || prop_oneof![3 => Just(-1.0), 2 => 0.0..1e13, 1 => any::<f64>()];
    let id = prop_oneof![Just(String::new()), "[a-z0-9-]{1,12}", "\\PC{1,6}"];
    let params = select(&["", r#"{"to":"+49"}"#, r#"{"to":"ü😀"}"#][..]).prop_map(str::to_owned);
    let headers = select(&["", r#"{"genesys-app":"x"}"#, r#"{"x":"ü"}"#][..]).prop_map(str::to_owned);
    let traceparent =
        select(&["", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"][..]).prop_map(str::to_owned);
    let body = any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap());
    let texts = (id, "[a-zü😀]{1,8}", params, headers, traceparent, body);
    let numbers = (0_u32..u32::MAX, time(), time(), -128_i32..=127, 0_u32..2);
    (numbers, texts).prop_map(|((ticket, expires, not_before, priority, flags), texts)| {
        let (id, conversation, params, headers, traceparent, body) = texts;
        let texts = [id, conversation, params, headers, traceparent, body];
        Written { ticket: f64::from(ticket), times: [expires, not_before], priority, flags, texts }
    })
}

#[test]
fn frames() {
    let handle = handle();
    let inputs = damaged(vec(written(), 0..8).prop_map(|messages| frame_of(&messages)));
    Target { name: "frames", cases: 200, check: |frame: &[u8]| check(frame, &handle) }.run(&inputs);
}

#[test]
fn every_frame_that_is_written_is_read() {
    let handle = handle();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&vec(written(), 0..20), |messages| {
        let submissions = read(&frame_of(&messages), &handle, &mut Random::from_seed(7))
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        for (submission, written) in submissions.iter().zip(&messages) {
            prop_assert_eq!(submission.ticket.number as f64, written.ticket);
            prop_assert_eq!(i32::from(submission.priority), written.priority);
            prop_assert_eq!(submission.expires_at.is_some(), written.times[0] >= 0.0);
            prop_assert_eq!(submission.not_before.is_some(), written.times[1] >= 0.0);
        }
        prop_assert_eq!(submissions.len(), messages.len());
        prop_assert_eq!(
            texts(&submissions),
            messages.iter().flat_map(|message| message.texts.clone()).collect::<String>()
        );
        Ok(())
    });
    result.unwrap();
}
