//! The simulator over real sockets.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a client over real sockets lives on the wall clock")]

mod client;
mod https;
mod outages;

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, ledger, start, until_counted};
use serde_json::json;
use spillway_simulator::{Config, Server};

#[test]
fn answers_on_one_connection() {
    let server = start(&json!({ "quota": { "requests": 2, "perMs": 60_000, "algorithm": "sliding-log" } }));
    let mut client = Client::connect(&server).unwrap();
    for (id, status) in [("a", 200), ("b", 200), ("c", 429)] {
        client.message("c-1", id);
        let answer = client.answer();
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.head.contains("x-ratelimit-limit: 2\r\n"), "{answer:?}");
        assert_eq!(answer.head.contains("retry-after: 60\r\n"), status == 429);
        if status == 200 {
            assert_eq!(answer.body, json!({ "id": id, "conversationId": "c-1" }));
        }
    }
    let ledger = ledger(&server);
    assert_eq!(ledger["statuses"], json!({ "200": 2, "429": 1 }));
    assert_eq!(ledger["ids"], json!({ "a": 1, "b": 1 }));
    assert_eq!((&ledger["connectionsOpened"], &ledger["mostInWindow"]), (&json!(1), &json!(3)));
}

#[test]
fn oauth() {
    let server = start(&json!({ "credentials": { "clientId": "id", "clientSecret": "s" } }));
    let mut client = Client::connect(&server).unwrap();
    let bearer_for = |life_ms: u64| {
        server.set(&json!({ "tokenLifeMs": life_ms }).to_string()).unwrap();
        let mut client = Client::connect(&server).unwrap();
        client.send("POST", "/oauth/token", "authorization: Basic aWQ6cw==\r\n", "grant_type=client_credentials");
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        format!("authorization: Bearer {}\r\n", answer.body["access_token"].as_str().unwrap())
    };
    let mut status = |bearer: &str| {
        client.send("GET", "/api/v2/users/me", bearer, "");
        client.answer().status
    };
    let long = bearer_for(3_600_000);
    let short = bearer_for(50);
    let other = bearer_for(3_600_000);
    // Each lives for as long as it was minted for.
    thread::sleep(Duration::from_millis(60));
    assert_eq!([&long, &short, &other, &long].map(|bearer| status(bearer)), [200, 401, 200, 200]);
}

#[test]
fn cuts_and_garbage() {
    let server = start(&json!({ "script": [
        { "request": 1, "fault": "cutBefore" },
        { "request": 2, "fault": "cutAfter" },
        { "request": 3, "fault": "garbage" },
    ] }));
    let ended = |id| {
        let mut client = Client::connect(&server).unwrap();
        client.message("c", id);
        client.rest()
    };
    assert_eq!(ended("before"), (Vec::new(), true));
    assert_eq!(ended("after"), (Vec::new(), false));
    let (garbage, _) = ended("garbage");
    assert!(!garbage.is_empty() && !garbage.starts_with(b"HTTP"), "{garbage:?}");
    let mut client = Client::connect(&server).unwrap();
    client.message("c", "after");
    assert_eq!(client.answer().status, 200);

    let ledger = ledger(&server);
    assert_eq!(ledger["ids"], json!({ "after": 2, "garbage": 1 }));
    assert_eq!(ledger["cutIds"], json!({ "after": 1, "garbage": 1 }));
    let counts = ["arrivals", "accepted", "duplicates", "cutsBefore", "cutsAfter", "connectionsOpened"];
    assert_eq!(counts.map(|name| ledger[name].as_u64().unwrap()), [3, 3, 1, 1, 1, 4]);
}

#[test]
fn refuses_and_opens_again_on_the_same_port() {
    let server = start(&json!({}));
    let url = server.url();
    let mut client = Client::connect(&server).unwrap();
    client.message("c", "a");
    assert_eq!(client.answer().status, 200);
    for round in 0..3 {
        server.set(r#"{"refuse":true}"#).unwrap();
        let refused = Client::connect(&server).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "round {round}");
        server.set(r#"{"refuse":false}"#).unwrap();
        let mut client = Client::connect(&server).unwrap();
        client.message("c", &round.to_string());
        assert_eq!(client.answer().status, 200);
    }
    // The idle connection of before has been closed.
    assert_eq!(client.rest().0, b"");
    assert_eq!(server.url(), url);
}

#[test]
fn latency() {
    let server = start(&json!({ "latencyMs": { "min": 80, "max": 120 } }));
    let mut client = Client::connect(&server).unwrap();
    let mut fastest = Duration::MAX;
    for id in 0..5 {
        let started = Instant::now();
        client.message("c", &id.to_string());
        assert_eq!(client.answer().status, 200);
        assert!(started.elapsed() >= Duration::from_millis(80));
        fastest = fastest.min(started.elapsed());
    }
    assert!(fastest < Duration::from_secs(2), "{fastest:?}");
}

#[test]
fn requests_in_flight() {
    // No answer comes before the end of the test.
    let server = start(&json!({ "latencyMs": 600_000, "arrivalMs": 0 }));
    let mut clients: Vec<_> = (0..6).map(|_| Client::connect(&server).unwrap()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.message(&format!("c-{}", index / 2), "x");
    }
    until_counted(&server, "accepted", 6);
    let ledger = ledger(&server);
    let counts = ["maxInFlight", "maxInFlightPerConversation", "connectionsOpenMax"];
    assert_eq!(counts.map(|name| ledger[name].as_u64().unwrap()), [6, 2, 6]);
}

#[test]
fn a_client_that_gives_up_is_no_longer_in_flight() {
    let server = start(&json!({ "script": [{ "request": 1, "fault": "slow" }] }));
    let mut client = Client::connect(&server).unwrap();
    client.message("c", "a");
    until_counted(&server, "accepted", 1);
    client.give_up();
    let mut client = Client::connect(&server).unwrap();
    client.message("c", "b");
    assert_eq!(client.answer().status, 200);
    assert_eq!(ledger(&server)["maxInFlightPerConversation"], 1);
}

#[test]
fn long_bodies() {
    let server = start(&json!({ "maxBodyBytes": 1000 }));
    for length in [1_001, 200_000, 1_000_000] {
        let mut client = Client::connect(&server).unwrap();
        client.send("POST", "/v2/conversations/messages", "authorization: Bearer x\r\n", &" ".repeat(length));
        let answer = client.answer();
        assert_eq!((answer.status, &answer.body["code"]), (413, &json!("request.entity.too.large")));
    }
    // One that never ends is cut off, but answered.
    let mut client = Client::connect(&server).unwrap();
    let answer = client.endless("POST", "/v2/conversations/messages");
    assert_eq!(answer.status, 413);
    assert!(answer.head.contains("connection: close"), "{answer:?}");
    assert_eq!(ledger(&server)["statuses"]["413"], 4);
}

#[test]
fn changes_are_in_force_at_once_and_errors_change_nothing() {
    let server = start(&json!({}));
    let mut client = Client::connect(&server).unwrap();
    let mut status = || {
        client.message("c", "x");
        client.answer().status
    };
    assert_eq!(status(), 200);
    server.set(r#"{"faults":{"status503":1}}"#).unwrap();
    assert_eq!(status(), 503);
    let error = server.set(r#"{"faults":null,"headers":"y"}"#).unwrap_err();
    assert_eq!(error.field, "headers");
    assert_eq!(status(), 503);
    server.set(r#"{"faults":null}"#).unwrap();
    assert_eq!(status(), 200);
}

#[test]
fn closing_ends_connections_and_keeps_the_ledger() {
    let server = start(&json!({ "script": [{ "request": 2, "fault": "slow" }] }));
    let mut idle = Client::connect(&server).unwrap();
    idle.message("c", "a");
    assert_eq!(idle.answer().status, 200);
    let mut busy = Client::connect(&server).unwrap();
    busy.message("c", "b");
    until_counted(&server, "accepted", 2);
    server.close();
    server.close();
    assert_eq!(idle.rest().0, b"");
    assert_eq!(busy.rest().0, b"");
    assert!(Client::connect(&server).is_err());
    assert_eq!(ledger(&server)["ids"], json!({ "a": 1, "b": 1 }));
    server.set("{}").unwrap();
}

#[test]
fn a_port_in_use_is_an_error() {
    // Dropping gives the port back. Another process may take it then, but not each time.
    let given_back = (0..5).any(|_| {
        let server = start(&json!({}));
        let port: u16 = server.url().rsplit(':').next().unwrap().parse().unwrap();
        let again = || Server::start(Config::from_json(&json!({ "port": port }).to_string()).unwrap());
        assert_eq!(again().unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(server);
        again().map_err(|error| assert_eq!(error.kind(), ErrorKind::AddrInUse)).is_ok()
    });
    assert!(given_back);
}
