//! Routes with limits or answers of their own.

use super::*;

const WORKITEMS: &str = "/api/v2/taskmanagement/workitems";

fn get(path: &str) -> Request<'_> {
    Request { method: "GET", path, authorization: BEARER, ..Request::default() }
}

#[test]
fn a_limited_route_leaves_the_others_alone() {
    let mut model = model(&json!({
        "answerStyle": "genesys",
        "tokenQuota": { "requests": 300, "perMs": 60_000 },
        "routes": [{ "path": WORKITEMS, "limitKey": "workitems.per.day", "namespace": "taskmanagement",
            "quota": { "requests": 2, "perMs": 30_000_000 } }],
    }));
    assert_eq!([0, 1].map(|at| model.arrive(at, &get(WORKITEMS)).status), [200, 200]);
    let reply = model.arrive(500_000, &get(&format!("{WORKITEMS}?page=2")));
    assert_eq!((reply.status, header(&reply, "retry-after")), (429, Some("30000")));
    let names: Vec<_> = reply.headers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["retry-after", "inin-correlation-id"]);
    let told = body(&reply);
    assert_eq!(told["limit"], json!({ "key": "workitems.per.day", "namespace": "taskmanagement", "value": 2 }));
    assert_eq!(told["code"], "too.many.requests.retry.after");
    assert_eq!(told["message"], "Rate limit exceeded the maximum. Retry the request in [30000] seconds");
    // A refusal spends nothing of the token's.
    assert_eq!(
        (0..298).map(|_| model.arrive(1_000_000, &post(PATH, "{}")).status).filter(|at| *at == 200).count(),
        298
    );
    let reply = model.arrive(1_000_000, &post(PATH, "{}"));
    let limit = json!({ "key": "client.credentials.token.rate.per.minute", "namespace": "platform.api", "value": 300 });
    assert_eq!((reply.status, &body(&reply)["limit"]), (429, &limit));
}

#[test]
fn a_quota_for_each_path() {
    let mut model = model(&json!({ "routes": [{
        "path": "/api/v2/messaging/conversations/{id}/messages", "method": "post", "quotaPer": "path",
        "quota": { "requests": 1, "perMs": 1000 },
    }] }));
    let paths = ["c-1", "c-2", "c-1"].map(|name| format!("/api/v2/messaging/conversations/{name}/messages"));
    assert_eq!(paths.each_ref().map(|path| model.arrive(0, &post(path, "{}")).status), [200, 200, 429]);
    // Another method is another route.
    assert_eq!(model.arrive(0, &get(&paths[0])).status, 404);
}

#[test]
fn an_answer_of_its_own_unless_script_or_chance_decide() {
    let mut model = model(&json!({
        "script": [{ "request": 3, "status": 418 }],
        "routes": [
            { "path": "/api/v2/messaging/**", "status": 403, "headers": { "content-type": "text/html" }, "body": "<p>" },
            { "path": "/**", "status": 500, "accepted": true },
        ],
    }));
    let reply = model.arrive(0, &post(PATH, r#"{"id":"a"}"#));
    assert_eq!((reply.status, &*reply.body, header(&reply, "content-type")), (403, "<p>", Some("text/html")));
    assert_eq!(model.arrive(0, &post("/v2/conversations/messages", r#"[{"id":"b"}]"#)).status, 500);
    assert_eq!(model.arrive(0, &post(PATH, "{}")).status, 418);
    assert_eq!(model.ledger(true).ids.unwrap().into_keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn limits_that_have_a_name_can_be_read() {
    let mut model = model(&json!({
        "quota": { "requests": 100, "perMs": 1000 },
        "tokenQuota": { "requests": 300, "perMs": 60_000, "limitKey": "token.rate.per.minute" },
        "routes": [{ "path": "/x", "limitKey": "x", "namespace": "other", "quota": { "requests": 5, "perMs": 10 } }],
    }));
    let mut entities = |namespace: &str| {
        let path = format!("/api/v2/organizations/limits/namespaces/{namespace}");
        let entities = body(&model.arrive(0, &get(&path)))["entities"].take();
        entities.as_array().unwrap().iter().map(|one| one["value"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(entities("platform.api"), [6_000, 300]);
    assert_eq!(entities("other"), [5]);
    assert_eq!(entities("messaging"), [0; 0]);
}

#[test]
fn a_429_without_a_quota_names_the_limit_too() {
    let mut model = model(&json!({ "routes": [{ "path": "/**", "status": 429, "limitKey": "k" }] }));
    let reply = model.arrive(0, &post(PATH, "{}"));
    assert_eq!((reply.status, &body(&reply)["limit"]), (429, &json!({ "key": "k", "namespace": "platform.api" })));
    assert_eq!(model.ledger(false).refused, 1);
}

#[test]
fn a_route_whose_quota_stays_keeps_what_was_spent() {
    let route = |path: &str, requests: u64, status: u16| json!({ "path": path, "quota": { "requests": requests, "perMs": 1000 }, "status": status });
    let mut model = model(&json!({ "routes": [route("/**", 1, 200)] }));
    let change = |model: &mut Model, routes: Value| {
        let config = model.config().merge(&json!({ "routes": routes }).to_string()).unwrap();
        model.set(1, config);
        model.arrive(1, &post(PATH, "{}")).status
    };
    assert_eq!(model.arrive(0, &post(PATH, "{}")).status, 200);
    assert_eq!(change(&mut model, json!([route("/**", 1, 202)])), 429);
    assert_eq!(change(&mut model, json!([route("/api/**", 1, 202), route("/**", 1, 200)])), 202);
    assert_eq!(change(&mut model, Value::Null), 200);
}
