//! Panics, made on purpose: who hears of one, what is kept, and what is lost.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects by unwrapping it, and panics on purpose"
)]

use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::{Value, json};

use super::panics::caught;
use super::registry::{Registration, join};
use super::*;
use crate::dispatcher::Notice;
use crate::message::{Call, Message, Parts, Payload, Settle};
use crate::outcome::Reason;
use crate::token::TokenId;

const PATIENCE: Duration = Duration::from_secs(60);
const LATER: Duration = Duration::from_secs(3_600);

/// Gives what it hears to a test that waits; panics at the first thing that it hears, if it is to.
struct Ear {
    heard: Mutex<Sender<Completion>>,
    panics: Mutex<bool>,
}

impl Sink for Ear {
    fn complete(&self, completions: Vec<Completion>, _: &Clock) {
        assert!(!std::mem::take(&mut *lock(&self.panics)), "as the test wants it");
        completions.into_iter().for_each(|completion| drop(lock(&self.heard).send(completion)));
    }
}

fn ear(panics: bool) -> (Arc<Ear>, Receiver<Completion>) {
    let (heard, told) = channel();
    (Arc::new(Ear { heard: Mutex::new(heard), panics: Mutex::new(panics) }), told)
}

fn settings(organization: &str, more: Value) -> Settings {
    let mut options = json!({
        "organization": organization, "apiUrl": "http://127.0.0.1:1", "loginUrl": "http://127.0.0.1:1",
        "credentials": { "accessToken": "token" }, "route": "messaging", "store": "memory",
        "rateLimit": { "requests": 1_000, "perMs": 1_000 },
    });
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Settings::from_json(&options.to_string()).unwrap()
}

fn message(clock: &Clock, handle: u32, number: u64, later: bool) -> Submission {
    let (id, conversation) = (format!("m{number}"), format!("c{}", number % 7));
    let parts = Parts { id: &id, id_given: true, conversation: &conversation, body: "{}", ..Parts::default() };
    Submission {
        ticket: Ticket { handle, number },
        settle: Settle::OnOutcome,
        payload: Payload::Message(Message::new(parts).unwrap()),
        priority: 0,
        expires_at: None,
        not_before: later.then(|| clock.now().after(LATER)),
    }
}

fn call(clock: &Clock, handle: u32, number: u64) -> Submission {
    let payload = Payload::Call(Box::new(Call {
        method: "POST".into(),
        path: "/x".into(),
        headers: Vec::new(),
        body: None,
        timeout: None,
        response_bytes_max: 1_000,
        raw: false,
        idempotent: Default::default(),
        limits: Default::default(),
    }));
    Submission { payload, ..message(clock, handle, number, false) }
}

/// An engine that is driven by hand, with one session, of the handle 1, and a token.
async fn by_hand(settings: Settings) -> (Engine, Receiver<Completion>) {
    let (_, inbox) = unbounded_channel();
    let settings = Arc::new(settings);
    let client = Client::new(Arc::clone(&settings)).unwrap();
    let mut engine = Engine::new(settings, client, Clock::start(), inbox, Arc::default(), None);
    let (ear, told) = ear(false);
    engine.command(Command::Join(1, ear));
    turn(&mut engine);
    let token = engine.client.token(TokenId::FIRST).await;
    engine.token_answered(TokenId::FIRST, token);
    (engine, told)
}

fn turn(engine: &mut Engine) {
    engine.dispatcher.poll(engine.clock.now(), &mut engine.effects);
    engine.perform();
}

fn defect() -> Command {
    Command::Defect(Box::new(|_| panic!("as the test wants it")))
}

/// What the session hears of the panic, and what before it.
fn survived(engine: &mut Engine, told: &Receiver<Completion>) -> (u64, Vec<u64>, Vec<Completion>) {
    assert!(caught(|| engine.command(defect())).is_err());
    assert!(engine.survive());
    for session in engine.sessions.values_mut() {
        session.sink.complete(std::mem::take(&mut session.completions), &engine.clock);
    }
    let mut before: Vec<Completion> = told.try_iter().collect();
    let Some(Completion::Survived(seen, mut tickets)) = before.pop() else { panic!("{before:?}") };
    tickets.sort_unstable();
    (seen, tickets, before)
}

#[tokio::test]
async fn what_waits_goes_on_with_its_promises_and_a_call_on_the_wire_does_not() {
    let queue = json!({ "queue": { "maxMessages": 40, "whenFull": "wait" }, "connections": { "max": 4 } });
    let (mut engine, told) = by_hand(settings("taken-over", queue)).await;
    let clock = engine.clock;
    let mut submissions = vec![call(&clock, 1, 1)];
    submissions.extend((2..=50).map(|number| message(&clock, 1, number, number > 30)));
    submissions.push(call(&clock, 1, 51));
    engine.command(Command::Submit(submissions));
    engine.command(Command::Submit(vec![Submission {
        ticket: Ticket { handle: 1, number: 52 },
        ..message(&clock, 1, 7, false)
    }]));
    engine.command(Command::Drain(Ticket { handle: 1, number: 53 }, None));
    turn(&mut engine);
    let unsettled = engine.dispatcher.unsettled();
    assert_eq!((engine.in_flight.len(), unsettled), (4, 51), "the duplicate is none of its own");
    let (seen, tickets, _) = survived(&mut engine, &told);
    // The first call may have reached the server. All others wait as before: messages, the second call, the duplicate,
    // the drain.
    assert_eq!((seen, tickets), (53, (2..=53).collect()));
    assert_eq!(engine.dispatcher.unsettled(), unsettled - 1);
    assert!(engine.in_flight.is_empty() && engine.outgoing.is_empty());
    let snapshot = engine.dispatcher.snapshot(clock.now());
    assert!(snapshot.available <= 996, "what was on the wire is spent");
    let token = engine.client.token(TokenId::FIRST).await;
    engine.token_answered(TokenId::FIRST, token);
    turn(&mut engine);
    assert_eq!(engine.in_flight.len(), 4, "the queue goes on");
}

#[tokio::test]
async fn what_must_not_be_sent_twice_is_a_dead_letter() {
    let once = json!({ "retry": { "ambiguous": "fail" }, "connections": { "max": 2 } });
    let (mut engine, told) = by_hand(settings("at-most-once", once)).await;
    let clock = engine.clock;
    engine.command(Command::Listen(1, Interest::of(["outage"])));
    engine.command(Command::Submit((1..=9).map(|number| message(&clock, 1, number, false)).collect()));
    turn(&mut engine);
    let (_, tickets, before) = survived(&mut engine, &told);
    let failed = before.iter().filter_map(|completion| match completion {
        Completion::Failed(number, Error::Delivery(failure)) => Some((*number, failure.reason)),
        _ => None,
    });
    assert_eq!(failed.collect::<Vec<_>>(), [(1, Reason::Ambiguous), (2, Reason::Ambiguous)]);
    assert_eq!(tickets, (3..=9).collect::<Vec<_>>());
    let outages = before.iter().filter_map(|completion| match completion {
        Completion::Event(Happening::Notice(Notice::Outage { reason, open, .. })) => Some((*reason, *open)),
        _ => None,
    });
    assert_eq!(outages.collect::<Vec<_>>(), [("engine", true), ("engine", false)]);
}

#[tokio::test]
async fn letters_and_remembered_ids_stay() {
    let (mut engine, told) = by_hand(settings("remembering", json!({}))).await;
    let clock = engine.clock;
    let expired = Submission { expires_at: Some(clock.now()), ..message(&clock, 1, 1, true) };
    engine.command(Command::Submit(vec![expired]));
    turn(&mut engine);
    survived(&mut engine, &told);
    engine
        .command(Command::Letters(Ticket { handle: 1, number: 2 }, LettersWanted { after: 0, until: None, limit: 9 }));
    let completions = &engine.sessions[&1].completions;
    assert!(matches!(&completions[..], [Completion::Letters(2, page)] if page.letters.len() == 1));
}

fn opened(organization: &str, store: &str, panics: bool) -> (Registration, Receiver<Completion>) {
    let (ear, told) = ear(panics);
    (join(settings(organization, json!({ "store": store })), ear).unwrap(), told)
}

fn next(told: &Receiver<Completion>) -> Completion {
    told.recv_timeout(PATIENCE).unwrap()
}

/// Asks for the message of this number; whether the engine has it.
fn has(place: &Registration, told: &Receiver<Completion>, number: u64) -> bool {
    let ticket = Ticket { handle: place.handle, number: 1_000 + number };
    place.commands.send(Command::Explain(ticket, format!("m{number}").into())).unwrap();
    matches!(next(told), Completion::Explained(..))
}

fn submit(place: &Registration, numbers: std::ops::RangeInclusive<u64>) {
    let messages = numbers.map(|number| message(&place.clock, place.handle, number, true)).collect();
    place.commands.send(Command::Submit(messages)).unwrap();
}

#[test]
fn an_engine_survives_three_panics_a_minute_and_the_others_all() {
    let (place, told) = opened("failing", "memory", false);
    let (other, other_told) = opened("sound", "memory", false);
    submit(&place, 1..=20);
    submit(&other, 1..=20);
    for _ in 0..3 {
        place.commands.send(defect()).unwrap();
        assert!(matches!(next(&told), Completion::Survived(_, tickets) if tickets.len() == 20));
        assert!((1..=20).all(|number| has(&place, &told, number)));
    }
    place.commands.send(defect()).unwrap();
    // Now all twenty are lost, and who waits for them hears it.
    assert!(matches!(next(&told), Completion::Broken));
    assert!((1..=20).all(|number| has(&other, &other_told, number)));
    // The organization gets another engine.
    let (again, again_told) = opened("failing", "memory", false);
    assert!(!has(&again, &again_told, 1));
}

#[test]
fn a_sink_that_panics_loses_what_it_was_told_and_nothing_else() {
    let (place, told) = opened("deaf", "memory", true);
    submit(&place, 1..=5);
    place.commands.send(Command::Explain(Ticket { handle: place.handle, number: 6 }, "m1".into())).unwrap();
    let Completion::Survived(seen, tickets) = next(&told) else { panic!("told of a promise that is lost") };
    assert_eq!((seen, tickets.len()), (6, 5));
    assert!((1..=5).all(|number| has(&place, &told, number)));
}

#[test]
fn what_was_submitted_with_the_message_at_fault_is_taken_in() {
    let (place, told) = opened("halfway", "memory", false);
    let rest: Vec<Submission> = (2..=5).map(|number| message(&place.clock, place.handle, number, true)).collect();
    submit(&place, 1..=1);
    place
        .commands
        .send(Command::Defect(Box::new(move |engine| {
            engine.submissions = rest.into_iter();
            panic!("between two of them");
        })))
        .unwrap();
    assert!(matches!(next(&told), Completion::Survived(1, tickets) if tickets.len() == 5));
    assert!((1..=5).all(|number| has(&place, &told, number)));
}

#[test]
fn a_file_may_be_opened_again_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("outbox.db").display());
    let ready = |place: &Registration, told: &Receiver<Completion>| {
        place.commands.send(Command::Ready(Ticket { handle: place.handle, number: 999 })).unwrap();
        let Completion::Ready(999, recovered) = next(told) else { panic!("it opens") };
        recovered
    };
    let (place, told) = opened("on disk", &store, false);
    assert_eq!(ready(&place, &told), 0);
    submit(&place, 1..=20);
    // Accepted, as the file has them.
    let ticket = Ticket { handle: place.handle, number: 21 };
    let enqueued = Submission { ticket, settle: Settle::OnAcceptance, ..message(&place.clock, place.handle, 21, true) };
    place.commands.send(Command::Submit(vec![enqueued])).unwrap();
    assert!(matches!(next(&told), Completion::Accepted { ticket: 21, .. }));
    place.commands.send(defect()).unwrap();
    assert!(matches!(next(&told), Completion::Broken));
    let (again, again_told) = opened("on disk", &store, false);
    assert_eq!(ready(&again, &again_told), 21);
}
