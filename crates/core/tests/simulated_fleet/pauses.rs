//! Pauses and probes of a fleet: what one host is told by the server holds for all.

use std::time::Duration;

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::Event;
use spillway_core::evidence::{Evidence, NamedLimit};
use spillway_core::lease::Broadcast;
use spillway_core::outcome::Response;
use spillway_core::retry::Answer;

use super::beside::{Fleet, status};

/// Limits of the organization, of a route, and of a conversation.
const LIMITS: [&str; 3] =
    ["client.credentials.token.rate.per.minute", "workitems.per.day", "messages.per.conversation.per.minute"];

/// A limit, for so long.
fn throttled(key: &str, seconds: u64) -> Answer {
    let limit = NamedLimit { key: key.into(), namespace: None, value: None };
    let evidence = Evidence {
        retry_after: Some(Duration::from_secs(seconds)),
        limit: Some(Box::new(limit)),
        ..Evidence::default()
    };
    Answer::Answered { response: Response { status: 429, ..Response::default() }, evidence }
}

/// One host is refused, for three seconds. All have three messages of one conversation.
fn refused(fleet: &mut Fleet, key: &str) -> Timestamp {
    fleet.submit_to(0, "c");
    let [(0, attempt)] = fleet.poll()[..] else { panic!("one request leaves") };
    for host in 0..fleet.hosts.len() {
        for _ in 0..3 {
            fleet.submit_to(host, "c");
        }
    }
    fleet.wire.remove(&(0, attempt));
    fleet.handle(0, Event::Answered(attempt, throttled(key, 3)));
    fleet.poll();
    fleet.now
}

#[test]
fn a_429_at_one_host_stops_all_and_one_probes() {
    LIMITS.into_iter().for_each(stops_all_and_one_probes);
}

fn stops_all_and_one_probes(key: &str) {
    println!("{key}");
    let mut fleet = Fleet::new(4);
    let at = refused(&mut fleet, key);
    let sent = fleet.run_ms(2_990, |_, _| Some(status(200)));
    assert!(sent.is_empty(), "nothing leaves in the pause: {sent:?}");
    // The probe is slow: nobody else sends one, for as long as it has the token.
    let sent = fleet.run_ms(900, |_, _| None);
    assert_eq!(sent.len(), 1, "one request probes: {sent:?}");
    assert!(sent[0].1.since(at) >= Duration::from_secs(3));
    let (host, attempt) = fleet.wire.pop_first().map(|(key, ())| key).unwrap();
    fleet.handle(host, Event::Answered(attempt, status(200)));
    let sent = fleet.run_ms(2_000, |_, _| Some(status(200)));
    assert_eq!(sent.len(), 12, "everything else follows, of every host");
}

#[test]
fn a_probe_that_is_refused_stops_all_again() {
    LIMITS.into_iter().for_each(refused_again);
}

fn refused_again(key: &str) {
    println!("{key}");
    let mut fleet = Fleet::new(3);
    refused(&mut fleet, key);
    let mut answers = 0;
    let sent = fleet.run_ms(5_900, |_, _| {
        answers += 1;
        Some(throttled(key, 3))
    });
    assert_eq!((sent.len(), answers), (1, 1), "three seconds, one probe, and three seconds: {sent:?}");
    let sent = fleet.run_ms(3_000, |_, _| Some(status(200)));
    assert_eq!(sent.len(), 10, "{sent:?}");
}

#[test]
fn a_host_whose_probe_comes_to_nothing_lets_another_one_probe() {
    for key in LIMITS {
        let mut fleet = Fleet::new(2);
        let ticket = fleet.submit_to(0, "c");
        let [(0, attempt)] = fleet.poll()[..] else { panic!("one request leaves") };
        fleet.submit_to(1, "c");
        fleet.wire.remove(&(0, attempt));
        fleet.handle(0, Event::Answered(attempt, throttled(key, 3)));
        let sent = fleet.run_ms(3_100, |_, _| None);
        let [(0, _)] = sent[..] else { panic!("{key}: the first host probes: {sent:?}") };
        // Nobody wants it sent again, and the host has nothing else.
        let ((_, probe), ()) = fleet.wire.pop_first().unwrap();
        fleet.handle(0, Event::Cancel(ticket));
        fleet.handle(0, Event::Answered(probe, Answer::Unanswered { problem: "cut".to_owned() }));
        let sent = fleet.run_ms(3_000, |_, _| Some(status(200)));
        let [(1, _)] = sent[..] else { panic!("{key}: the other one probes, long before the token's time: {sent:?}") };
    }
}

#[test]
fn hosts_that_miss_a_push_hear_of_a_pause_when_they_renew_their_lease() {
    let mut fleet = Fleet::new(2);
    fleet.pushes = false;
    fleet.submit(0);
    let [(0, attempt)] = fleet.poll()[..] else { panic!("one request leaves") };
    fleet.wire.remove(&(0, attempt));
    fleet.handle(0, Event::Answered(attempt, throttled(LIMITS[0], 3)));
    fleet.poll();
    fleet.submit(1);
    let sent = fleet.run_ms(2_900, |_, _| Some(status(200)));
    assert!(sent.is_empty(), "it has no slot, and its first renewal brings the pause: {sent:?}");
    assert_eq!(fleet.run_ms(3_000, |_, _| Some(status(200))).len(), 2);
}

#[test]
fn the_pause_of_a_conversation_that_a_host_does_not_have_is_nothing_to_it() {
    use spillway_core::lease::{Pause, Scope};
    let mut fleet = Fleet::new(2);
    let pause = Pause {
        scope: Scope::Conversation("elsewhere".into()),
        number: 7,
        lasts: Duration::from_secs(60),
        prober: None,
    };
    fleet.handle(1, Event::FleetBroadcast(Broadcast::Paused(pause)));
    fleet.submit(1);
    assert_eq!(fleet.run_ms(100, |_, _| Some(status(200))).len(), 1);
    assert!(fleet.hosts[1].snapshot(fleet.now).pauses.is_empty());
}
