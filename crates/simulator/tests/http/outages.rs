//! Outages and fixed answers over real sockets.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{Client, ledger, start, until_counted};

/// Far above what any wait of a test takes.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn refuses_for_as_long_as_it_lasts() {
    let server = start(&json!({ "outages": [{ "kind": "refused", "forMs": 50 }] }));
    assert_eq!(Client::connect(&server).err().unwrap().kind(), ErrorKind::ConnectionRefused);
    // Nobody tells it: the port opens by itself, and closes again when that is set.
    let begin = Instant::now();
    let mut client = loop {
        match Client::connect(&server) {
            Ok(client) => break client,
            Err(_) => assert!(begin.elapsed() < PATIENCE, "the port stays closed"),
        }
        std::thread::yield_now();
    };
    client.message("c", "a");
    assert_eq!(client.answer().status, 200);
    server.set(&json!({ "outages": [{ "kind": "refused" }] }).to_string()).unwrap();
    assert_eq!(client.rest().0, b"");
    assert_eq!(Client::connect(&server).err().unwrap().kind(), ErrorKind::ConnectionRefused);
    server.set(&json!({ "outages": [] }).to_string()).unwrap();
    assert!(Client::connect(&server).is_ok());
}

#[test]
fn resets_what_is_sent() {
    let server = start(&json!({ "outages": [{ "kind": "reset", "paths": ["/api/**"] }] }));
    let mut client = Client::connect(&server).unwrap();
    client.message("c", "a");
    assert_eq!(client.rest(), (Vec::new(), true));
    let mut client = Client::connect(&server).unwrap();
    client.send("POST", "/v2/conversations/messages", "authorization: Bearer x\r\n", "[]");
    assert_eq!(client.answer().status, 200);
    let ledger = ledger(&server);
    assert_eq!(
        (&ledger["cutsBefore"], &ledger["accepted"], &ledger["outageRequests"]),
        (&json!(1), &json!(1), &json!(1))
    );
}

#[test]
fn a_page_of_html_has_its_type_and_a_header_of_its_own() {
    let server = start(&json!({
        "outages": [{ "kind": "html", "status": 502, "headers": { "Retry-After": "3" }, "target": "both" }],
    }));
    let mut client = Client::connect(&server).unwrap();
    for path in ["/api/v2/users/me", "/oauth/token"] {
        client.send("POST", path, "", "");
        let answer = client.answer();
        assert_eq!(answer.status, 502, "{path}");
        assert_eq!(answer.head.matches("content-type: ").count(), 1, "{answer:?}");
        assert!(answer.head.contains("content-type: text/html\r\n"), "{answer:?}");
        assert!(answer.head.contains("retry-after: 3\r\n"), "{answer:?}");
    }
}

#[test]
fn hangs_until_the_client_gives_up() {
    let server = start(&json!({ "outages": [{ "kind": "hang" }] }));
    let mut client = Client::connect(&server).unwrap();
    client.message("c", "a");
    until_counted(&server, "arrivals", 1);
    client.give_up();
    server.set(r#"{"outages":null}"#).unwrap();
    let mut client = Client::connect(&server).unwrap();
    client.message("c", "a");
    assert_eq!(client.answer().status, 200);
    let ledger = ledger(&server);
    assert_eq!((&ledger["ids"], &ledger["statuses"]), (&json!({ "a": 1 }), &json!({ "200": 1 })));
}

#[test]
fn a_route_of_its_own() {
    let server = start(&json!({
        "answerStyle": "genesys",
        "routes": [
            { "path": "/api/v2/taskmanagement/**", "limitKey": "k", "quota": { "requests": 1, "perMs": 60_000 } },
            { "path": "/api/v2/gone", "status": 404, "headers": { "x-own": "1" }, "body": "{}" },
        ],
    }));
    let mut client = Client::connect(&server).unwrap();
    let mut get = |path: &str| {
        client.send("GET", path, "authorization: Bearer x\r\n", "");
        client.answer()
    };
    assert_eq!(get("/api/v2/taskmanagement/workitems").status, 200);
    let refused = get("/api/v2/taskmanagement/worktypes");
    assert_eq!((refused.status, &refused.body["limit"]["key"]), (429, &json!("k")));
    assert!(refused.head.contains("retry-after: ") && !refused.head.contains("ratelimit"), "{refused:?}");
    let gone = get("/api/v2/gone");
    assert_eq!((gone.status, &gone.body), (404, &json!({})));
    assert!(gone.head.contains("x-own: 1\r\n"), "{gone:?}");
    assert_eq!(get("/api/v2/users/me").status, 200);
}
