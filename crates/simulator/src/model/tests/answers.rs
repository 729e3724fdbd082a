//! Answers by script and by chance.

use super::*;

#[test]
fn faults_by_script() {
    let fault = |request: u64, fault: &str| json!({ "request": request, "fault": fault });
    let mut model = model(&json!({
        "quota": { "requests": 100, "perMs": 1000 },
        "faults": { "slowMs": 7 },
        "script": [
            fault(1, "cutBefore"), fault(2, "cutAfter"), fault(3, "garbage"), fault(4, "slow"), fault(5, "status503"),
            { "request": 6, "status": 302, "body": "moved" }, { "request": 7, "status": 429 },
            { "request": 8, "status": 202, "body": "{}" },
        ],
    }));
    // (status, cut, delay, accepted so far)
    let expected = [
        (0, Cut::Before, 0, 0),
        (0, Cut::After, 0, 1),
        (0, Cut::Garbage, 0, 2),
        (200, Cut::None, 7_000, 3),
        (503, Cut::None, 0, 3),
        (302, Cut::None, 0, 3),
        (429, Cut::None, 0, 3),
        (202, Cut::None, 0, 4),
        (200, Cut::None, 0, 5),
    ];
    for (index, (status, cut, delay_us, accepted)) in expected.into_iter().enumerate() {
        let reply = model.arrive(index as u64, &post(PATH, &format!(r#"{{"id":"{index}"}}"#)));
        assert_eq!((reply.status, reply.cut, reply.delay_us), (status, cut, delay_us), "request {}", index + 1);
        assert_eq!(model.ledger(false).accepted, accepted, "request {}", index + 1);
        if status == 429 {
            assert_eq!(header(&reply, "retry-after"), Some("1"));
        }
    }
    let report = model.ledger(true);
    assert_eq!((report.arrivals, report.cuts_before, report.cuts_after, report.refused), (8, 1, 1, 1));
    assert_eq!(report.cut_ids.unwrap().into_keys().collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn headers_and_body_in_place_of_the_usual() {
    let mut model = model(&json!({ "script": [
        { "request": 1, "status": 503, "headers": { "Retry-After": "7", "content-type": "text/html" }, "body": "<p>no" },
        { "request": 2, "headers": { "x-own": "1", "inin-correlation-id": "mine" } },
        { "request": 3, "status": 429, "headers": { "retry-after": "30000" } },
    ] }));
    let reply = model.arrive(0, &post(PATH, "{}"));
    assert_eq!((reply.status, &*reply.body), (503, "<p>no"));
    assert_eq!((header(&reply, "retry-after"), header(&reply, "content-type")), (Some("7"), Some("text/html")));
    let reply = model.arrive(0, &post(PATH, r#"{"id":"a"}"#));
    assert_eq!((reply.status, header(&reply, "x-own")), (200, Some("1")));
    let ids: Vec<_> = reply.headers.iter().filter(|(name, _)| name == "inin-correlation-id").collect();
    assert_eq!(ids, [&("inin-correlation-id".into(), "mine".to_owned())]);
    let reply = model.arrive(0, &post(PATH, "{}"));
    assert_eq!((reply.status, header(&reply, "retry-after")), (429, Some("30000")));
    assert_eq!(model.ledger(true).ids.unwrap().into_keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn accepted_although_it_is_answered_otherwise() {
    let mut model = model(&json!({ "script": [
        { "request": 1, "status": 500, "accepted": true },
        { "request": 2, "fault": "status502After" },
        { "request": 3, "status": 200, "accepted": false, "body": "<html>" },
        { "request": 4, "status": 429, "accepted": true },
        { "request": 5, "status": 500, "accepted": true },
    ] }));
    // (status, how often the message was accepted so far)
    let expected = [(500, 1), (502, 2), (200, 2), (429, 3)];
    for (index, (status, accepted)) in expected.into_iter().enumerate() {
        let reply = model.arrive(0, &post(PATH, r#"{"id":"a"}"#));
        assert_eq!((reply.status, reply.accepted), (status, index != 2), "request {}", index + 1);
        assert_eq!(model.ledger(true).ids.unwrap().get("a"), Some(&accepted), "request {}", index + 1);
    }
    // What the server would not take is refused as ever.
    assert_eq!(model.arrive(0, &Request { authorization: None, ..post(PATH, r#"{"id":"b"}"#) }).status, 401);
    let report = model.ledger(true);
    assert_eq!((report.accepted, report.accepted_then_failed, report.duplicates), (3, 3, 2));
    assert_eq!(report.failed_ids.unwrap().into_iter().collect::<Vec<_>>(), [("a".to_owned(), 3)]);
    assert_eq!((report.refused, report.cut_ids.unwrap().len()), (1, 0));
}

#[test]
fn failures_after_acceptance_by_chance() {
    for (name, status) in [("500", 500), ("502", 502), ("503", 503), ("504", 504), ("408", 408)] {
        let mut model = model(&json!({ "faults": { format!("status{name}After"): 1 } }));
        let reply = model.arrive(0, &post(PATH, r#"{"id":"a"}"#));
        assert_eq!((reply.status, &body(&reply)["status"]), (status, &json!(status)));
        let report = model.ledger(true);
        assert_eq!((report.accepted, report.accepted_then_failed), (1, 1), "{name}");
    }
}
