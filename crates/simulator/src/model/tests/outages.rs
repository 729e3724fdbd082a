//! Outages by time.

use super::*;

const GRANT: &str = "grant_type=client_credentials&client_id=a&client_secret=b";

fn token_request() -> Request<'static> {
    Request { method: "POST", path: "/oauth/token", body: GRANT.as_bytes(), ..Request::default() }
}

/// One from 10 to 30 ms.
fn with(outage: &Value) -> Model {
    let mut outage = outage.clone();
    (outage["fromMs"], outage["forMs"]) = (json!(10), json!(20));
    model(&json!({ "outages": [outage] }))
}

#[test]
fn each_kind_from_its_first_to_its_last_moment() {
    let day_us = 86_400_000_000;
    // What an API request meets: status, cut, whether it waits; then whether the API's own error is told.
    let cases = [
        (json!({ "kind": "reset" }), (0, Cut::Before, false), Value::Null),
        (json!({ "kind": "refused" }), (0, Cut::Before, false), Value::Null),
        (json!({ "kind": "status" }), (503, Cut::None, false), json!("service.unavailable")),
        (json!({ "kind": "status", "status": 502 }), (502, Cut::None, false), json!("bad.gateway")),
        (json!({ "kind": "html" }), (200, Cut::None, false), Value::Null),
        (json!({ "kind": "html", "status": 504 }), (504, Cut::None, false), Value::Null),
        (json!({ "kind": "hang" }), (503, Cut::None, true), json!("service.unavailable")),
    ];
    for (outage, expected, code) in cases {
        let mut model = with(&outage);
        let mut at = |now_us| model.arrive(now_us, &post(PATH, r#"{"id":"a"}"#));
        assert_eq!(at(9_999).status, 200, "{outage}");
        for now_us in [10_000, 29_999] {
            let reply = at(now_us);
            assert_eq!((reply.status, reply.cut, reply.delay_us > day_us), expected, "{outage}");
            let told = serde_json::from_str::<Value>(&reply.body).unwrap_or_default();
            assert_eq!(told["code"], code, "{outage}");
            let is_page = reply.body.starts_with("<html>");
            assert_eq!((is_page, header(&reply, "content-type").is_some()), (outage["kind"] == "html", is_page));
        }
        assert_eq!(at(30_000).status, 200, "{outage}");
        let report = model.ledger(true);
        assert_eq!((report.accepted, report.outage_requests), (2, 2), "{outage}");
    }
}

#[test]
fn an_answer_of_its_own_and_what_takes_effect() {
    let outage =
        json!({ "kind": "html", "status": 502, "headers": { "retry-after": "5" }, "body": "<p>", "accepted": true });
    let mut model = with(&outage);
    let reply = model.arrive(10_000, &post(PATH, r#"{"id":"a"}"#));
    assert_eq!((reply.status, &*reply.body, header(&reply, "retry-after")), (502, "<p>", Some("5")));
    let report = model.ledger(true);
    assert_eq!((report.accepted, report.accepted_then_failed, report.statuses[&502]), (1, 1, 1));
    assert_eq!(report.failed_ids.unwrap()["a"], 1);

    let mut model = with(&json!({ "kind": "hang", "accepted": true }));
    model.arrive(10_000, &post(PATH, r#"{"id":"a"}"#));
    let report = model.ledger(true);
    assert_eq!((report.cut_ids.unwrap()["a"], report.statuses.len()), (1, 0));
}

#[test]
fn whom_it_meets() {
    let cases = [
        (json!({}), [503, 503, 200]),
        (json!({ "target": "api" }), [503, 503, 200]),
        (json!({ "target": "login" }), [200, 200, 503]),
        (json!({ "target": "both" }), [503, 503, 503]),
        (json!({ "paths": ["/v2/**"] }), [200, 503, 200]),
        (json!({ "paths": ["/x", "/api/v2/messaging/conversations/c-1/*"] }), [503, 200, 200]),
    ];
    for (fields, expected) in cases {
        let mut outage = fields.clone();
        outage["kind"] = json!("status");
        let mut model = with(&outage);
        let api = [PATH, "/v2/conversations/messages"].map(|path| model.arrive(10_000, &post(path, "[]")).status);
        let login = model.oauth(10_000, &token_request()).status;
        assert_eq!([api[0], api[1], login], expected, "{fields}");
    }
}

#[test]
fn the_login_host_in_each_kind() {
    let cases =
        [("reset", 0, Cut::Before), ("status", 503, Cut::None), ("html", 200, Cut::None), ("hang", 503, Cut::None)];
    for (kind, status, cut) in cases {
        let mut model = with(&json!({ "kind": kind, "target": "login" }));
        let reply = model.oauth(10_000, &token_request());
        assert_eq!((reply.status, reply.cut, reply.delay_us > 0), (status, cut, kind == "hang"), "{kind}");
        assert_eq!(header(&reply, "content-type"), (kind == "html").then_some("text/html"));
        assert_eq!(model.oauth(30_000, &token_request()).status, 200);
        let report = model.ledger(false);
        assert_eq!((report.token_requests, report.tokens_issued, report.outage_requests), (2, 1, 1), "{kind}");
    }
}

#[test]
fn the_port() {
    let mut model = model(&json!({
        "tls": { "cert": "", "key": "" },
        "outages": [{ "kind": "refused", "fromMs": 10, "forMs": 10 }, { "kind": "tls", "fromMs": 15, "forMs": 15 },
            { "kind": "status", "fromMs": 1, "forMs": 1 }],
    }));
    let mut states = Vec::new();
    let mut at_us = Some(0);
    while let Some(now_us) = at_us {
        states.push((now_us, model.port(now_us)));
        at_us = model.next_port_change_us(now_us);
    }
    let expected = [
        (0, Port::Open),
        (10_000, Port::Refused),
        (15_000, Port::Refused),
        (20_000, Port::BadTls),
        (30_000, Port::Open),
    ];
    assert_eq!(states, expected);
    let refusing = model.config().merge(r#"{"refuse":true}"#).unwrap();
    assert_eq!((model.port_with(0, &refusing), model.port(0)), (Port::Refused, Port::Open));
    model.set(0, refusing);
    assert_eq!(model.port(0), Port::Refused);
}

#[test]
fn times_count_from_the_change_that_set_them() {
    let mut model = with(&json!({ "kind": "status" }));
    let set = |model: &mut Model, now_us, json: &str| {
        let config = model.config().merge(json).unwrap();
        model.set(now_us, config);
    };
    // Another setting moves nothing.
    set(&mut model, 5_000, r#"{"headers":"none"}"#);
    assert_eq!(model.arrive(10_000, &post(PATH, "{}")).status, 503);
    set(&mut model, 100_000, r#"{"outages":[{"kind":"status","status":504,"fromMs":10}]}"#);
    let statuses = [109_999, 110_000, 999_999_999_999].map(|at_us| model.arrive(at_us, &post(PATH, "{}")).status);
    assert_eq!(statuses, [200, 504, 504]);
    set(&mut model, 999_999_999_999, r#"{"outages":null}"#);
    assert_eq!(model.arrive(999_999_999_999, &post(PATH, "{}")).status, 200);
}
