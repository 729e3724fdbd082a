//! What waits longest, what is on the wire, and dead letters by reason.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use bench::{Bench, status};
use serde_json::json;
use spillway_core::dispatcher::{Backlog, BacklogWanted, Event};

const ALL: BacklogWanted = BacklogWanted { conversations: usize::MAX, requests: usize::MAX };

/// Conversations with their first message and how many there are.
fn lanes(backlog: &Backlog) -> Vec<(&str, Option<&str>, usize)> {
    backlog
        .lanes
        .iter()
        .map(|lane| (lane.conversation.as_deref().unwrap_or(""), lane.id.as_deref(), lane.unsettled))
        .collect()
}

#[test]
fn conversations_come_by_how_long_their_first_message_waits_whatever_it_waits_for() {
    let mut bench = Bench::new(json!({ "connections": { "max": 1 } }));
    let start = bench.now;
    bench.send("a-1", "a");
    let sent = bench.leaving();
    assert_eq!(sent.len(), 1);
    bench.wait_ms(10);
    bench.send("b-1", "b");
    bench.send("a-2", "a");
    bench.wait_ms(10);
    bench.send("c-1", "c");

    let backlog = bench.dispatcher.backlog(ALL);
    assert_eq!(lanes(&backlog), [("a", Some("a-1"), 2), ("b", Some("b-1"), 1), ("c", Some("c-1"), 1)]);
    assert_eq!(backlog.oldest, Some(start));
    assert_eq!(backlog.lanes[0].since, Some(start));
    let [request] = &backlog.requests[..] else { panic!("one is on the wire: {:?}", backlog.requests) };
    assert_eq!((request.id.as_deref(), request.conversation.as_deref()), (Some("a-1"), Some("a")));
    assert_eq!((request.messages, request.attempt, request.since), (1, 1, Some(start)));
    assert!(request.route.starts_with("POST /"), "{}", request.route);

    // It fails, and waits for its next attempt: it is the oldest all the same.
    bench.answer(sent[0].0, status(500));
    let backlog = bench.dispatcher.backlog(BacklogWanted { conversations: 1, requests: 0 });
    assert_eq!(lanes(&backlog), [("a", Some("a-1"), 2)]);
    assert_eq!((backlog.oldest, backlog.requests.len()), (Some(start), 0));
}

#[test]
fn of_a_long_backlog_the_heads_of_the_conversations_are_looked_at() {
    let mut bench = Bench::new(json!({}));
    let start = bench.now;
    for number in 0..40_000 {
        bench.send(&format!("m-{number}"), &format!("c-{}", number % 5));
    }
    let backlog = bench.dispatcher.backlog(BacklogWanted { conversations: 3, requests: 0 });
    let expected = [("c-0", Some("m-0"), 8_000), ("c-1", Some("m-1"), 8_000), ("c-2", Some("m-2"), 8_000)];
    assert_eq!((lanes(&backlog), backlog.oldest), (expected.to_vec(), Some(start)));
}

#[test]
fn dead_letters_are_counted_by_reason_as_they_come_and_go() {
    let mut bench = Bench::new(json!({}));
    assert_eq!(bench.dispatcher.backlog(ALL).letters, []);
    bench.send("a", "a");
    bench.send("b", "b");
    bench.serve(2_000, |_| status(400));
    assert_eq!(bench.dispatcher.backlog(ALL).letters, [("rejected", 2)]);
    bench.handle(Event::Drop(bench::of(1_000), "a".into()));
    assert_eq!(bench.dispatcher.backlog(ALL).letters, [("rejected", 1)]);
    bench.handle(Event::Redrive(bench::of(1_001), "b".into()));
    assert_eq!(bench.dispatcher.backlog(ALL).letters, []);
}
