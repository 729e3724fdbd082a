#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod answers;
mod outages;
mod routes;

const BEARER: Option<&str> = Some("Bearer mine");
const PATH: &str = "/api/v2/messaging/conversations/c-1/messages";

fn model(json: &Value) -> Model {
    Model::new(Config::from_json(&json.to_string()).unwrap(), 1)
}

fn post<'a>(path: &'a str, body: &'a str) -> Request<'a> {
    Request { method: "POST", path, authorization: BEARER, idempotency_key: None, body: body.as_bytes() }
}

fn body(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).unwrap()
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
}

#[test]
fn an_accepted_message() {
    let mut model = model(&json!({ "quota": { "requests": 2, "perMs": 1000 } }));
    let reply = model.arrive(300_000, &post(PATH, r#"{"id":"m\"1","text":"hi","seq":1}"#));
    assert_eq!((reply.status, reply.cut, reply.arrived_us, reply.delay_us), (200, Cut::None, 300_000, 0));
    assert_eq!(body(&reply), json!({ "id": "m\"1", "conversationId": "c-1" }));
    assert_eq!(header(&reply, "x-ratelimit-remaining"), Some("1"));
    assert_eq!(header(&reply, "inin-correlation-id").map(str::len), Some(36));
    let ids = model.ledger(true).ids.unwrap();
    assert_eq!(ids.into_iter().collect::<Vec<_>>(), [("m\"1".to_owned(), 1)]);
}

#[test]
fn a_refused_one() {
    let mut model = model(&json!({ "quota": { "requests": 1, "perMs": 60_000 } })).starting_at(784_111_777_000_000);
    assert_eq!(model.arrive(0, &post(PATH, "{}")).status, 200);
    let reply = model.arrive(18_500_000, &post(PATH, "{}"));
    let body = body(&reply);
    assert_eq!(reply.status, 429);
    assert_eq!(header(&reply, "retry-after"), Some("42"));
    assert_eq!(body["message"], "Rate limit exceeded the maximum. Retry the request in [42] seconds");
    assert_eq!((&body["code"], &body["status"]), (&json!("too.many.requests.retry.after"), &json!(429)));
    assert!(body["contextId"].is_string() && body["details"] == json!([]) && body["errors"] == json!([]));

    let date = model.config().merge(r#"{"retryAfter":"date"}"#).unwrap();
    model.set(19_000_000, date);
    let reply = model.arrive(19_000_000, &post(PATH, "{}"));
    assert_eq!(header(&reply, "retry-after"), Some("Sun, 06 Nov 1994 08:50:37 GMT"));
    assert_eq!(serde_json::from_str::<Value>(&reply.body).unwrap()["code"], "too.many.requests");
    let report = model.ledger(false);
    assert_eq!((report.arrivals, report.accepted, report.refused, report.most_in_window), (3, 1, 2, 3));
}

#[test]
fn statuses_by_request() {
    let long = "x".repeat(101);
    let cases = [
        ("POST", PATH, BEARER, "{}", 200),
        ("POST", "/v2/conversations/messages", BEARER, "[{}, {}]", 200),
        ("POST", "/v2/conversations/messages", BEARER, r#"[{"text":"POISON"}]"#, 400),
        ("POST", PATH, BEARER, r#"{"text":"POISON"}"#, 400),
        ("POST", PATH, BEARER, "{", 400),
        ("POST", PATH, BEARER, &*long, 413),
        ("POST", PATH, None, "{}", 401),
        ("POST", PATH, Some("Basic mine"), "{}", 401),
        ("POST", PATH, Some("Bearer simulated-unknown"), "{}", 401),
        ("DELETE", PATH, BEARER, "", 404),
        ("GET", "/api/v2/users/me", BEARER, "", 200),
        ("GET", "/api/v2/organizations/limits/namespaces/platform.api", BEARER, "", 200),
        ("GET", "/", BEARER, "", 404),
    ];
    let mut model = model(&json!({ "poisonText": "POISON", "maxBodyBytes": 100 }));
    for (method, path, authorization, body, status) in cases {
        let request = Request { method, path, authorization, idempotency_key: None, body: body.as_bytes() };
        assert_eq!(model.arrive(0, &request).status, status, "{method} {path} {authorization:?} {body}");
    }
    assert_eq!(model.ledger(false).arrivals, cases.len() as u64);
}

#[test]
fn the_limits_of_the_organization() {
    let mut model = model(&json!({ "quota": { "requests": 100, "perMs": 1000 } }));
    let path = "/api/v2/organizations/limits/namespaces/platform.api";
    let reply = model.arrive(0, &Request { method: "GET", path, authorization: BEARER, ..Request::default() });
    let entity = json!({ "key": "org.requests.rate.per.minute", "namespace": "platform.api", "value": 6000 });
    assert_eq!(body(&reply), json!({ "entities": [entity] }));
}

#[test]
fn an_array_with_a_status_for_each() {
    let mut model = model(&json!({ "poisonText": "BAD", "arrayAnswer": "list" }));
    let sent = r#"[{"id":"a","conversationId":"c"},{"id":"b","text":"BAD"}]"#;
    let reply = model.arrive(0, &post("/v2/conversations/messages", sent));
    assert_eq!(reply.status, 200);
    assert_eq!(body(&reply)[0], json!({ "id": "a", "conversationId": "c", "status": 200 }));
    assert_eq!(body(&reply)[1]["status"], 400);
    let ids = model.ledger(true).ids.unwrap();
    assert_eq!(ids.into_keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn quotas_of_organization_and_token() {
    let mut model = model(&json!({
        "quota": { "requests": 3, "perMs": 1000, "algorithm": "sliding-log" },
        "tokenQuota": { "requests": 2, "perMs": 1000, "algorithm": "sliding-log" },
    }));
    let mut send =
        |now_us, token| model.arrive(now_us, &Request { authorization: Some(token), ..post(PATH, "{}") }).status;
    let (a, b) = ("Bearer a", "Bearer b");
    assert_eq!([send(0, a), send(0, a), send(0, a), send(0, b), send(0, b)], [200, 200, 429, 200, 429]);
    assert_eq!(send(1_000_000, a), 200);
}

#[test]
fn others_spend_the_same_quota() {
    let mut model = model(&json!({
        "quota": { "requests": 10, "perMs": 1000, "algorithm": "sliding-log" },
        "others": { "requests": 4, "perMs": 1000 },
    }));
    // One request a second of ours: four of theirs and it are gone of the ten.
    for second in 1..20 {
        let reply = model.arrive(second * 1_000_000 + 100_000, &post(PATH, "{}"));
        assert_eq!(header(&reply, "x-ratelimit-remaining"), Some("5"), "second {second}");
    }
    assert_eq!(model.ledger(false).arrivals, 19);
}

#[test]
fn travels() {
    let mut jitter = model(&json!({ "latencyMs": { "min": 20, "max": 60 } }));
    for _ in 0..1_000 {
        let Travel { arrival_us, answer_us } = jitter.travel();
        assert!((20_000..=60_000).contains(&(arrival_us + answer_us)));
    }
    let mut fixed = model(&json!({ "latencyMs": 20, "arrivalMs": 5 }));
    assert_eq!(fixed.travel(), Travel { arrival_us: 5_000, answer_us: 15_000 });
    assert_eq!(model(&json!({})).travel(), Travel::default());
}

#[test]
fn flights_by_path_or_body() {
    let mut model = model(&json!({}));
    let by_path = model.open(&post("/conversations/c%201/messages", "{}"));
    let by_body =
        model.open(&post("/v2/conversations/messages", r#"[{"conversationId":"c 1"},{"conversationId":"d"}]"#));
    model.close(by_path);
    model.close(by_body);
    let report = model.ledger(false);
    assert_eq!((report.max_in_flight, report.max_in_flight_per_conversation), (2, 2));
}

fn mint(model: &mut Model, now_us: u64, authorization: Option<&str>, form: &str) -> (u16, Value) {
    let path = "/oauth/token";
    let reply = model
        .oauth(now_us, &Request { method: "POST", path, authorization, idempotency_key: None, body: form.as_bytes() });
    (reply.status, body(&reply))
}

#[test]
fn oauth() {
    let credentials = json!({ "clientId": "id", "clientSecret": "se:cret" });
    let mut model = model(&json!({ "credentials": credentials, "tokenLifeMs": 5000 }));
    let grant = "grant_type=client_credentials";
    // id:se:cret, id:wrong, no:se:cret
    let cases = [
        (Some("Basic aWQ6c2U6Y3JldA=="), grant, 200, Value::Null),
        (Some("Basic aWQ6d3Jvbmc="), grant, 401, json!("invalid_client")),
        (Some("Basic bm86c2U6Y3JldA=="), grant, 400, json!("invalid_client")),
        (Some("Basic !"), grant, 400, json!("invalid_client")),
        (None, grant, 400, json!("invalid_client")),
        (None, "client_id=id&client_secret=se%3Acret&grant_type=client_credentials", 200, Value::Null),
        (Some("Basic aWQ6c2U6Y3JldA=="), "grant_type=password", 400, json!("unsupported_grant_type")),
    ];
    for (authorization, form, status, error) in cases {
        let (got, body) = mint(&mut model, 0, authorization, form);
        assert_eq!((got, &body["error"]), (status, &error), "{authorization:?} {form}");
    }
    let (_, token) = mint(&mut model, 1_000_000, Some("Basic aWQ6c2U6Y3JldA=="), grant);
    assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("bearer"), &json!(5)));
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let mut send =
        |now_us, token| model.arrive(now_us, &Request { authorization: Some(token), ..post(PATH, "{}") }).status;
    assert_eq!([send(5_999_999, &bearer), send(6_000_000, &bearer), send(6_000_000, "Bearer mine")], [200, 401, 401]);
    let report = model.ledger(false);
    assert_eq!((report.token_requests, report.tokens_issued, report.arrivals), (8, 3, 3));
}

#[test]
fn each_client_has_a_window_of_its_own_and_one_that_is_not_known_any_more_nothing() {
    let client = |id: &str| json!({ "clientId": id, "clientSecret": "s" });
    let quota = json!({ "requests": 2, "perMs": 1000 });
    let mut model = model(&json!({ "clients": [client("a"), client("b")], "tokenQuota": quota }));
    let token = |model: &mut Model, id: &str| {
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret=s");
        let (status, body) = mint(model, 0, None, &form);
        (status, format!("Bearer {}", body["access_token"].as_str().unwrap_or_default()))
    };
    let [(_, a), (_, b)] = ["a", "b"].map(|id| token(&mut model, id));
    assert_eq!(token(&mut model, "c").0, 400);
    let ask = |model: &mut Model, now_us: u64, token: &str| {
        model.arrive(now_us, &Request { authorization: Some(token), ..post(PATH, "{}") }).status
    };
    assert_eq!([&a, &a, &a, &b].map(|token| ask(&mut model, 0, token)), [200, 200, 429, 200]);
    let clients = model.ledger(false).clients;
    assert_eq!((clients["a"].arrivals, clients["a"].most_in_window, clients["b"].most_in_window), (3, 3, 1));
    let config = model.config().merge(&json!({ "clients": [client("a")] }).to_string()).unwrap();
    model.set(2_000_000, config);
    assert_eq!([&a, &b].map(|token| ask(&mut model, 2_000_000, token)), [200, 401]);
}

#[test]
fn throttled_minting_and_token_faults() {
    let mut model = model(&json!({ "tokenThrottle": { "requests": 1, "perMs": 10_000 } }));
    let grant = "grant_type=client_credentials&client_id=a&client_secret=b";
    assert_eq!(mint(&mut model, 0, None, grant).0, 200);
    let (status, body) = mint(&mut model, 500_000, None, grant);
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")));
    assert_eq!(body["description"], "rate limit exceeded; retry in 10 seconds");

    let mut with = |json: &str| {
        let config = model.config().merge(json).unwrap();
        model.set(10_000_000, config);
        let request = Request { path: "/oauth/token", body: grant.as_bytes(), ..Request::default() };
        let reply = model.oauth(10_000_000, &request);
        (reply.status, reply.cut, reply.delay_us)
    };
    assert_eq!(with(r#"{"tokenFault":"status500"}"#), (500, Cut::None, 0));
    assert_eq!(with(r#"{"tokenFault":"cut"}"#), (0, Cut::Before, 0));
    assert_eq!(with(r#"{"tokenFault":"slow","tokenThrottle":null}"#), (200, Cut::None, 30_000_000));
}

#[test]
fn a_change_keeps_what_was_spent_unless_the_quota_changes() {
    let mut model = model(&json!({ "quota": { "requests": 1, "perMs": 1000 } }));
    let change = |model: &mut Model, json: &str| {
        let config = model.config().merge(json).unwrap();
        model.set(1, config);
        model.arrive(1, &post(PATH, "{}")).status
    };
    assert_eq!(change(&mut model, "{}"), 200);
    assert_eq!(change(&mut model, r#"{"headers":"none"}"#), 429);
    assert_eq!(change(&mut model, r#"{"quota":{"requests":2}}"#), 200);
}

proptest! {
    #[test]
    fn a_seed_replays_and_the_ledger_adds_up(seed in any::<u64>(), gaps in prop::collection::vec(0_u64..50_000, 1..200)) {
        let config = Config::from_json(r#"{"quota":{"requests":20,"perMs":1000},"others":{"requests":5,"perMs":1000},
            "faults":{"cutBefore":0.1,"cutAfter":0.1,"status503":0.1,"status500After":0.1,"garbage":0.1,"slow":0.1},"latencyMs":{"min":0,"max":9}}"#)
            .unwrap();
        let run = || {
            let mut model = Model::new(config.clone(), seed);
            let mut now_us = 0;
            let replies: Vec<_> = gaps.iter().map(|gap| {
                now_us += gap + model.travel().arrival_us;
                model.arrive(now_us, &post(PATH, "{}"))
            }).collect();
            (replies, model.ledger(true))
        };
        let (replies, report) = run();
        prop_assert_eq!(&run(), &(replies.clone(), report.clone()));
        let count = |cut| replies.iter().filter(|reply| reply.cut == cut).count() as u64;
        prop_assert_eq!(report.cuts_before, count(Cut::Before));
        prop_assert_eq!(report.cuts_after, count(Cut::After));
        prop_assert_eq!(report.arrivals + report.cuts_before, replies.len() as u64);
        prop_assert_eq!(report.statuses.values().sum::<u64>(), count(Cut::None));
        let answered = report.statuses.get(&200).copied().unwrap_or(0);
        let cut = count(Cut::After) + count(Cut::Garbage);
        prop_assert_eq!(report.accepted, answered + cut + report.accepted_then_failed);
        prop_assert_eq!(report.statuses.get(&500).copied().unwrap_or(0), report.accepted_then_failed);
    }
}
