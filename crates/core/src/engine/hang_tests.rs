//! An engine whose store stops answering for a while: what it says, what it holds back, and how it resumes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]

use super::store_fixture::{Fixture, lines};
use super::*;
use crate::store::{Change, Salvage};

#[tokio::test]
async fn a_hang_is_reported_within_its_time_and_ends_with_the_first_answer() {
    let mut fixture = Fixture::new("hang-accepting").await;
    fixture.submit(1);
    fixture.pass(Duration::from_secs(1));
    assert!(lines(fixture.heard()).is_empty() && fixture.problem().is_none(), "slow is no problem");
    fixture.pass_patience();
    assert_eq!(lines(fixture.heard()), ["outage store true"]);
    let problem = fixture.problem().unwrap();
    assert_eq!(problem.code(), "STORE_FAILED");
    assert!(problem.to_string().contains("hangs"), "{problem}");
    assert!(fixture.is_held_by_store("m1"), "it waits, and explain says for what");
    fixture.submit(2);
    assert!(lines(fixture.heard()).is_empty() && fixture.is_held_by_store("m2"), "a new one waits as well");
    fixture.pass(Duration::from_secs(3_600));
    assert!(lines(fixture.heard()).is_empty(), "it is reported once");

    fixture.answer();
    assert_eq!(lines(fixture.heard()), ["outage store false", "accepted 1", "accepted 2"]);
    assert!(fixture.problem().is_none());
    fixture.submit(3);
    fixture.answer();
    assert_eq!(lines(fixture.heard()), ["accepted 3"]);
}

#[tokio::test]
async fn no_request_leaves_while_the_disk_hangs_and_each_one_does_afterwards() {
    let mut fixture = Fixture::new("hang-sending").await;
    fixture.submit(1);
    fixture.answer();
    assert_eq!(lines(fixture.heard()), ["accepted 1"]);
    fixture.token().await;
    assert!(fixture.engine.in_flight.is_empty(), "its departure is not durable");
    fixture.pass_patience();
    assert_eq!(lines(fixture.heard()), ["outage store true"]);
    assert!(fixture.engine.in_flight.is_empty() && fixture.engine.outgoing.is_empty());
    fixture.answer();
    assert_eq!(lines(fixture.heard()), ["outage store false"]);
    assert_eq!(fixture.engine.in_flight.len(), 1, "it is on its way");
}

#[tokio::test]
async fn a_hang_that_turns_into_a_problem_is_one_outage() {
    let mut fixture = Fixture::new("hang-trouble").await;
    fixture.submit(1);
    fixture.pass_patience();
    let full = Error::Store { kind: crate::error::StoreErrorKind::Full, problem: "the disk is full".to_owned() };
    fixture.events.try_send(StoreEvent::Degraded(full.clone())).unwrap();
    fixture.turn();
    assert_eq!(fixture.problem().unwrap().code(), "STORE_FULL", "what it says itself is closer to the truth");
    let entry_id_of = |change: &Change| match change {
        Change::Insert { entry_id, .. } => Some(*entry_id),
        _ => None,
    };
    let refused = lock(&fixture.disk).changes.iter().filter_map(entry_id_of).collect();
    let refused = StoreEvent::Refused(refused, full);
    fixture.events.try_send(refused).unwrap();
    fixture.pass(Duration::from_secs(60));
    fixture.events.try_send(StoreEvent::Restored(Salvage::default())).unwrap();
    fixture.turn();
    assert_eq!(lines(fixture.heard()), ["outage store true", "failed 1 STORE_FULL", "outage store false"]);
    assert!(fixture.problem().is_none());
}

#[tokio::test]
async fn a_thread_that_has_ended_is_not_called_a_disk_that_hangs() {
    let mut fixture = Fixture::new("hang-ended").await;
    fixture.submit(1);
    fixture.engine.store_event(None);
    fixture.pass_patience();
    assert!(fixture.problem().unwrap().to_string().contains("open the sender again"));
}

#[tokio::test]
async fn an_engine_ends_although_its_disk_hangs() {
    let mut fixture = Fixture::new("hang-closing").await;
    fixture.submit(1);
    fixture.pass_patience();
    let persistence = fixture.engine.persistence.take().unwrap();
    let now = fixture.engine.clock.now();
    // The test would wait forever otherwise.
    persistence.close(Duration::from_millis(1), now).await;
}
