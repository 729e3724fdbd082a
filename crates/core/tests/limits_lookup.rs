//! The organization's limits as a first belief: asked for once, and whatever the answer is, messages leave.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, reason = "a test has no readers but its own")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use spillway_core::budget::Why;
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, TokenEvent};
use spillway_core::evidence::{Evidence, LIMITS_PATH};
use spillway_core::message::{Message, Parts, Payload, Settle, Submission, Ticket};
use spillway_core::outcome::Response;
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_core::settings::Settings;
use spillway_core::shipment::Shipment;
use spillway_core::store::Change;
use spillway_core::token::TokenId;

const LIMITS: &str = r#"{"entities":[{"key":"client.credentials.token.rate.per.minute","namespace":"platform.api","value":120},{"key":"org.requests.rate.per.second","namespace":"platform.api","value":7}]}"#;

fn at_ms(ms: u64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000)
}

struct Fixture {
    dispatcher: Dispatcher,
    effects: Vec<Effect>,
    messages: u64,
}

impl Fixture {
    /// With a token.
    fn new(rate_limit: Value) -> Self {
        Self::stored("memory", rate_limit)
    }

    fn stored(store: &str, rate_limit: Value) -> Self {
        let settings = json!({
            "organization": "limits_lookup", "apiUrl": "http://127.0.0.1:1", "loginUrl": "http://127.0.0.1:1",
            "credentials": { "clientId": "client", "clientSecret": "secret" },
            "route": "messaging", "store": store, "rateLimit": rate_limit, "ordering": "none",
        });
        let settings = Settings::from_json(&settings.to_string()).unwrap();
        let mut dispatcher = Dispatcher::new(Arc::new(settings), Random::from_seed(1), Timestamp::START);
        let mut effects = Vec::new();
        dispatcher.handle(Timestamp::START, Event::Token(TokenId::FIRST, TokenEvent::Granted(None)), &mut effects);
        Self { dispatcher, effects, messages: 0 }
    }

    fn submit(&mut self, count: u64) {
        for _ in 0..count {
            self.messages += 1;
            let name = self.messages.to_string();
            let parts = Parts { id: &name, id_given: true, conversation: &name, body: "{}", ..Parts::default() };
            let message = Message::new(parts).unwrap();
            let submission = Submission {
                ticket: Ticket { handle: 0, number: self.messages },
                settle: Settle::OnOutcome,
                payload: Payload::Message(message),
                priority: 0,
                expires_at: None,
                not_before: None,
            };
            self.dispatcher.handle(Timestamp::START, Event::Submit(submission), &mut self.effects);
        }
    }

    /// What leaves at a moment.
    fn sent(&mut self, now: Timestamp) -> Vec<(AttemptId, Shipment)> {
        self.dispatcher.poll(now, &mut self.effects);
        let sent = std::mem::take(&mut self.effects).into_iter().filter_map(|effect| match effect {
            Effect::Send { attempt, shipment } => Some((attempt, shipment)),
            Effect::Buried { .. } | Effect::Failed(..) => panic!("nothing fails: {effect:?}"),
            _ => None,
        });
        let sent: Vec<_> = sent.collect();
        for (attempt, _) in &sent {
            self.dispatcher.handle(now, Event::Left(*attempt), &mut self.effects);
        }
        sent
    }

    fn answer(&mut self, now: Timestamp, attempt: AttemptId, answer: Answer) {
        self.dispatcher.handle(now, Event::Answered(attempt, answer), &mut self.effects);
    }

    fn windows(&self) -> Vec<(u32, u64, Why)> {
        let all = self.dispatcher.snapshot(at_ms(1)).quota;
        all.iter().map(|one| (one.requests, one.per.as_secs(), one.why)).collect()
    }
}

fn answered(status: u16, headers: &[(&str, &str)], body: &'static str) -> Answer {
    let header = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
    let response = Response { status, body: Bytes::from_static(body.as_bytes()), ..Response::default() };
    Answer::Answered { response, evidence: Evidence::read(header, body.as_bytes(), 0) }
}

#[test]
fn it_is_asked_first_and_once_and_believed_within_the_bounds() {
    let ceiling = json!({ "requests": 5, "perMs": 1_000 });
    let mut fixture = Fixture::new(json!({ "learn": true, "readLimits": true, "ceiling": ceiling }));
    let asked = fixture.sent(at_ms(0));
    let (attempt, shipment) = asked.first().unwrap();
    assert_eq!((&*shipment.method, shipment.path.as_str(), shipment.messages), ("GET", LIMITS_PATH, 0));
    assert!(shipment.timeout <= Duration::from_secs(2), "messages don't wait for long");
    fixture.submit(20);
    assert_eq!(fixture.sent(at_ms(1)).len(), 0, "its answer is the first one");

    fixture.answer(at_ms(20), *attempt, answered(200, &[], LIMITS));
    assert_eq!(fixture.windows(), [(5, 1, Why::Limits), (120, 60, Why::Limits)]);
    let snapshot = fixture.dispatcher.snapshot(at_ms(20));
    assert_eq!((snapshot.counters.requests, snapshot.depth.in_flight), (1, 0));
    let mut left = 0;
    for ms in 20..900 {
        left += fixture.sent(at_ms(ms)).iter().filter(|(_, shipment)| shipment.messages == 1).count();
    }
    assert_eq!(left, 4, "the question was one of the five");
}

#[test]
fn an_answer_that_says_nothing_leaves_the_start_and_the_messages_alone() {
    let silent = [
        answered(403, &[], "{}"),
        answered(404, &[], LIMITS),
        answered(401, &[], ""),
        answered(500, &[], "<html>"),
        answered(200, &[], "garbage"),
        answered(200, &[], r#"{"entities":[]}"#),
        answered(200, &[], r#"{"entities":[{"key":"client.credentials.token.rate.per.minute","value":-3}]}"#),
        Answer::Unanswered { problem: "late".into() },
        Answer::Unsent { problem: "refused".into() },
    ];
    for answer in silent {
        let mut fixture = Fixture::new(json!({ "learn": true, "readLimits": true }));
        fixture.submit(3);
        let (attempt, shipment) = fixture.sent(at_ms(0)).swap_remove(0);
        assert_eq!(shipment.path, LIMITS_PATH);
        let words = format!("{answer:?}");
        fixture.answer(at_ms(10), attempt, answer);
        assert_eq!(fixture.windows(), [(300, 60, Why::Start)], "{words}");
        let messages: Vec<_> =
            (10..1_000).flat_map(|ms| fixture.sent(at_ms(ms))).map(|(_, one)| one.messages).collect();
        assert!(!messages.is_empty() && messages.iter().all(|count| *count == 1), "{words}: {messages:?}");
        assert_eq!(fixture.dispatcher.snapshot(at_ms(10)).counters.dead_letters, 0, "{words}");
    }
}

#[test]
fn headers_overrule_it_be_they_its_own() {
    let headers = [("ratelimit-policy", "\"a\";q=50;w=1"), ("ratelimit", "\"a\";r=49;t=1")];
    let mut fixture = Fixture::new(json!({ "learn": true, "readLimits": true }));
    fixture.submit(1);
    let (attempt, _) = fixture.sent(at_ms(0)).swap_remove(0);
    fixture.answer(at_ms(10), attempt, answered(200, &headers, LIMITS));
    assert_eq!(fixture.windows(), [(50, 1, Why::Headers)]);

    let mut fixture = Fixture::new(json!({ "learn": true, "readLimits": true }));
    fixture.submit(1);
    let (attempt, _) = fixture.sent(at_ms(0)).swap_remove(0);
    fixture.answer(at_ms(10), attempt, answered(200, &[], LIMITS));
    let (message, _) = (11..400).find_map(|ms| fixture.sent(at_ms(ms)).pop()).unwrap();
    fixture.answer(at_ms(420), message, answered(200, &headers, "{}"));
    assert_eq!(fixture.windows(), [(50, 1, Why::Headers)]);
}

#[test]
fn a_refusal_overrules_it() {
    let mut fixture = Fixture::new(json!({ "learn": true, "readLimits": true }));
    fixture.submit(20);
    let (attempt, _) = fixture.sent(at_ms(5)).swap_remove(0);
    fixture.answer(at_ms(10), attempt, answered(200, &[], LIMITS));
    let mut on_the_wire: Vec<AttemptId> = Vec::new();
    for ms in 11..500 {
        on_the_wire.extend(fixture.sent(at_ms(ms)).iter().map(|(attempt, _)| *attempt));
    }
    assert_eq!(on_the_wire.len(), 6, "seven in a second, the question among them");
    for (index, attempt) in on_the_wire.into_iter().enumerate() {
        let status = if index < 3 { 200 } else { 429 };
        fixture.answer(at_ms(500 + index as u64), attempt, answered(status, &[], ""));
    }
    assert_eq!(fixture.windows(), [(4, 1, Why::Refusals), (120, 60, Why::Limits)], "four of seven were accepted");
}

#[test]
fn it_may_be_refused_itself() {
    let mut fixture = Fixture::new(json!({ "learn": true, "readLimits": true }));
    fixture.submit(1);
    let (attempt, _) = fixture.sent(at_ms(0)).swap_remove(0);
    fixture.answer(at_ms(10), attempt, answered(429, &[("retry-after", "3")], ""));
    assert_eq!(fixture.sent(at_ms(3_000)).len(), 0, "the organization pauses");
    let probe = fixture.sent(at_ms(3_010));
    assert_eq!(probe.iter().map(|(_, one)| one.messages).collect::<Vec<_>>(), [1]);
}

#[test]
fn it_is_not_asked_unless_wanted_nor_when_more_is_known() {
    for rate_limit in [json!("learn"), json!({ "learn": true }), json!({ "requests": 5, "perMs": 1_000 })] {
        assert_eq!(Fixture::new(rate_limit).sent(at_ms(0)).len(), 0);
    }
    let mut first = Fixture::new(json!({ "learn": true, "readLimits": true }));
    let (attempt, _) = first.sent(at_ms(0)).swap_remove(0);
    first.answer(at_ms(10), attempt, answered(200, &[], LIMITS));
    let carryover = first.dispatcher.carryover(at_ms(20));

    let mut next = Fixture::new(json!({ "learn": true, "readLimits": true }));
    next.dispatcher.inherit(at_ms(30), carryover);
    assert_eq!(next.sent(at_ms(30)).len(), 0);
    assert_eq!(next.windows(), [(7, 1, Why::Limits), (120, 60, Why::Limits)]);
}

#[test]
fn it_is_wanted_by_default_where_a_region_is_given() {
    let region = "\"region\":\"us-east-1\"";
    let urls = "\"apiUrl\":\"http://127.0.0.1:1\",\"loginUrl\":\"http://127.0.0.1:1\"";
    for (address, rate_limit, wanted) in [
        (region, "\"learn\"", true),
        (region, "{\"learn\":true}", true),
        (region, "{\"learn\":true,\"readLimits\":false}", false),
        (urls, "{\"learn\":true}", false),
    ] {
        let text = format!(
            r#"{{"organization":"a",{address},"credentials":{{"accessToken":"t"}},"route":"messaging","store":"memory","rateLimit":{rate_limit}}}"#
        );
        let learn = Settings::from_json(&text).unwrap().learn.unwrap();
        assert_eq!(learn.read_limits, wanted, "{text}");
    }
}

#[test]
fn a_store_knows_of_it_before_it_leaves() {
    let mut fixture = Fixture::stored("file:limits_lookup.db", json!({ "learn": true, "readLimits": true }));
    fixture.dispatcher.handle(at_ms(0), Event::Opened(Box::default()), &mut fixture.effects);
    fixture.dispatcher.poll(at_ms(0), &mut fixture.effects);
    let is_departure =
        |effect: &Effect| matches!(effect, Effect::Store(Change::Depart(flight)) if flight.members.is_empty());
    let kept = fixture.effects.iter().position(is_departure).unwrap();
    let sent = fixture.effects.iter().position(|effect| matches!(effect, Effect::Send { .. })).unwrap();
    assert!(kept < sent);
}
