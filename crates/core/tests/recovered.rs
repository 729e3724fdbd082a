//! What an earlier run left: messages that wait cold until their turn is near.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use bench::Bench;
use serde_json::json;
use spillway_core::dispatcher::{Effect, Event, Notice};
use spillway_core::error::{Error, Trouble};
use spillway_core::store::{Opening, Row, Salvage, Waiting};

fn waiting(seq: u64, id: &str) -> Row {
    let (id, conversation) = (id.into(), "c".into());
    Row::Waiting(Waiting { seq, id, conversation, priority: 0, bytes: 2, expires_at: None })
}

#[test]
fn who_waits_for_a_message_that_cannot_be_read_is_told() {
    let mut bench = Bench::new(json!({ "store": "file:any.db" }));
    bench.handle(Event::Found(vec![waiting(1, "a")]));
    bench.handle(Event::Opened(Box::new(Opening { last_seq: 1, ..Opening::default() })));
    let (ticket, effects) = bench.submit("a", "c", |_| {});
    assert!(effects.is_empty(), "it follows the message that is there: {effects:?}");

    let Some(Effect::Load(wanted)) = bench.poll().into_iter().find(|effect| matches!(effect, Effect::Load(_))) else {
        panic!("its turn is near, so it is loaded")
    };
    let unreadable = wanted.into_iter().map(|(slot, seq)| (slot, seq, None)).collect();
    let effects = bench.handle(Event::Loaded(unreadable));
    let told = |effect: &Effect| matches!(effect, Effect::Failed(to, Error::Store { .. }) if to.number == ticket);
    assert!(effects.iter().any(told), "{effects:?}");
    assert_eq!(bench.dispatcher.unsettled(), 0);
}

#[test]
fn a_file_that_is_replaced_while_it_is_open_is_told_by_the_end_of_the_outage_and_in_numbers() {
    let mut bench = Bench::new(json!({ "store": "file:any.db" }));
    bench.handle(Event::Opened(Box::default()));
    let problem = "the store any.db is damaged".to_owned();
    bench.handle(Event::StoreTrouble(Error::Store { trouble: Trouble::Corrupt, problem }));
    let salvage = Salvage { set_aside: Some("any.db.corrupt-then".into()), unreadable: 3 };
    let told = bench.handle(Event::StoreHealed(salvage)).into_iter().find_map(|effect| match effect {
        Effect::Notice(Notice::Outage { reason: "store", problem, open: false }) => Some(problem),
        _ => None,
    });
    let text = told.expect("the outage is over");
    assert!(text.contains("set aside at any.db.corrupt-then") && text.contains("3 rows"), "{text}");
    let standing = bench.dispatcher.snapshot(bench.now).store.unwrap();
    assert_eq!((standing.set_aside.as_deref(), standing.unreadable), (Some("any.db.corrupt-then"), 3));
    assert!(standing.problem.is_none());
}
