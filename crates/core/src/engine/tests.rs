//! Turns of an engine that is driven by hand: what would be a race on the engine's thread comes in one order here.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use serde_json::json;

use super::*;

/// Keeps what it hears.
#[derive(Default)]
struct Ear(Mutex<Vec<Completion>>);

impl Sink for Ear {
    fn complete(&self, completions: Vec<Completion>, _: &Clock) {
        lock(&self.0).extend(completions);
    }
}

fn settings(organization: &str, store: &str) -> Settings {
    let options = json!({
        "organization": organization, "apiUrl": "http://127.0.0.1:1", "credentials": { "accessToken": "token" },
        "route": "messaging", "store": store, "rateLimit": { "requests": 1, "perMs": 1_000 },
    });
    Settings::from_json(&options.to_string()).unwrap()
}

/// An engine with one session, of the handle 1.
async fn engine(settings: Settings) -> (Engine, Arc<Ear>) {
    let (_, inbox) = unbounded_channel();
    let settings = Arc::new(settings);
    let client = Client::new(Arc::clone(&settings)).unwrap();
    let mut engine = Engine::new(settings, client, Clock::start(), inbox, Arc::default(), None);
    assert!(engine.open_store().await.is_ok());
    let ear = Arc::new(Ear::default());
    engine.command(Command::Join(1, Arc::clone(&ear) as Arc<dyn Sink>));
    (engine, ear)
}

fn turn(engine: &mut Engine) {
    engine.dispatcher.poll(engine.clock.now(), &mut engine.effects);
    engine.perform();
}

#[tokio::test]
async fn who_closes_last_is_told_although_another_comes_in() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("outbox.db").display());
    let (mut engine, ear) = engine(settings("closing", &store)).await;
    // The registry counts two, of which one is the session that closes; the other's command is still on its way.
    let _places = [(); 2].map(|()| registry::join(settings("closing", "memory"), Arc::new(Ear::default())).unwrap());
    let ticket = Ticket { handle: 1, number: 7 };
    engine.command(Command::Close(ticket, Duration::from_secs(60)));
    turn(&mut engine);
    assert!(matches!(lock(&ear.0)[..], [Completion::Closed(7, 0)]));
    assert!(!engine.retire_if_unused(), "somebody is coming");
}

#[tokio::test]
async fn a_drain_that_is_canceled_is_forgotten() {
    let (mut engine, ear) = engine(settings("draining", "memory")).await;
    let later = engine.clock.now().after(Duration::from_secs(60));
    let ticket = |number| Ticket { handle: 1, number };
    let message = crate::message::Message::new(crate::message::Parts {
        id: "m",
        conversation: "c",
        body: "{}",
        ..Default::default()
    });
    engine.command(Command::Submit(vec![Submission {
        ticket: ticket(1),
        settle: crate::message::Settle::OnOutcome,
        payload: crate::message::Payload::Message(message.unwrap()),
        priority: 0,
        expires_at: None,
        not_before: Some(later),
    }]));
    engine.command(Command::Drain(ticket(2), Some(Duration::from_secs(1))));
    turn(&mut engine);
    assert_eq!(engine.drains.len(), 1);
    engine.command(Command::Cancel(ticket(2)));
    turn(&mut engine);
    // Its deadline would wake the engine, and for ever once it is past.
    assert!(engine.drains.is_empty());
    assert!(lock(&ear.0).is_empty());
}

fn message(number: u64) -> Submission {
    let id = number.to_string();
    let parts = crate::message::Parts { id: &id, conversation: &id, body: "{}", ..Default::default() };
    Submission {
        ticket: Ticket { handle: 1, number },
        settle: crate::message::Settle::OnOutcome,
        payload: crate::message::Payload::Message(crate::message::Message::new(parts).unwrap()),
        priority: 0,
        expires_at: None,
        not_before: None,
    }
}

#[tokio::test]
async fn however_much_is_submitted_at_once_others_have_their_turns_in_between() {
    let (mut engine, _) = engine(settings("turns", "memory")).await;
    engine.turn = Turn::default();
    let queued = |engine: &Engine| engine.dispatcher.snapshot(engine.clock.now()).depth.messages;
    engine.command(Command::Submit((1..=2_000).map(message).collect()));
    let mut turns = vec![queued(&engine)];
    while !engine.submissions.as_slice().is_empty() {
        assert!(engine.turn.is_over(), "what is left waits for the next turn");
        engine.turn.begin();
        let before = queued(&engine);
        engine.take_in().await;
        turns.push(queued(&engine) - before);
    }
    assert_eq!(turns, [[128; 15].as_slice(), &[80]].concat());
}

#[tokio::test]
async fn many_explanations_are_given_over_several_turns() {
    let (commands, inbox) = unbounded_channel();
    let (mut engine, ear) = engine(settings("explaining", "memory")).await;
    engine.inbox = inbox;
    for number in 0..20 {
        commands.send(Command::Explain(Ticket { handle: 1, number }, "m".into())).unwrap();
    }
    let mut turns = Vec::new();
    while turns.iter().sum::<usize>() < 20 {
        engine.turn = Turn::default();
        let before = lock(&ear.0).len();
        engine.take_in().await;
        engine.finish_turn();
        turns.push(lock(&ear.0).len() - before);
    }
    assert_eq!(turns, [2; 10]);
}
