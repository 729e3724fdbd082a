//! Every option, wrong in type and in range: the error names the field, the value, and what is allowed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

mod bench;

use bench::options;
use serde_json::{Value, json};
use spillway_core::error::Error;
use spillway_core::settings::Settings;

fn refusal(patch: Value) -> (String, String) {
    match Settings::from_json(&options(patch.clone()).to_string()) {
        Err(Error::Config { field, problem }) => (field, problem),
        other => panic!("{patch}: {other:?}"),
    }
}

/// `a.b` with `value` as a patch of the options.
fn patch(field: &str, value: &Value) -> Value {
    match field.split_once('.') {
        None => json!({ field: value }),
        Some((section, key)) if section == "rateLimit" => {
            let mut rate = json!({ "requests": 1, "perMs": 1 });
            rate[key] = value.clone();
            json!({ section: rate })
        }
        Some((section, key)) => json!({ section: { key: value } }),
    }
}

fn client(id: &str) -> Value {
    json!({ "clientId": id, "clientSecret": "x" })
}

#[test]
fn several_clients_have_names() {
    let credentials = json!([client("a"), { "clientId": "b", "clientSecret": "x", "name": "survey" }, client("c")]);
    let limit = json!({ "requests": 500, "perMs": 60_000 });
    let patch = json!({ "credentials": credentials, "organizationLimit": limit });
    let settings = Settings::from_json(&options(patch.clone()).to_string()).unwrap();
    let names: Vec<&str> = settings.tokens.iter().map(|token| &*token.name).collect();
    assert_eq!((names, settings.organization_rates.len()), (vec!["1", "survey", "3"], 1));
    let mut other = patch;
    other["credentials"][0]["clientSecret"] = "y".into();
    let other = Settings::from_json(&options(other).to_string()).unwrap();
    assert_eq!(settings.difference(&other).unwrap().0, "credentials");
    assert_eq!(settings.tokens[0].fingerprint(), other.tokens[0].fingerprint(), "it is the same client");
}

#[test]
fn numbers() {
    for (field, low, high) in [
        ("rateLimit.requests", 1_u64, 1_000_000_u64),
        ("rateLimit.perMs", 1, 86_400_000),
        ("retry.maxAttempts", 1, 1_000),
        ("retry.maxAgeMs", 0, 30 * 86_400_000),
        ("retry.maxPauseMs", 1_000, 86_400_000),
        ("queue.maxMessages", 1, 10_000_000),
        ("queue.maxBytes", 1_024, 68_719_476_736),
        ("connections.max", 1, 1_024),
        ("connections.connectTimeoutMs", 10, 120_000),
        ("connections.requestTimeoutMs", 10, 600_000),
        ("dedupeMs", 0, 7 * 86_400_000),
        ("batch.maxMessages", 1, 10_000),
        ("batch.maxBytes", 1_024, 16_777_216),
        ("batch.lingerMs", 0, 60_000),
    ] {
        for value in [json!(low), json!(high)] {
            let text = options(patch(field, &value)).to_string();
            assert!(Settings::from_json(&text).is_ok(), "{field} = {value}: {:?}", Settings::from_json(&text));
        }
        let below = low.checked_sub(1).map_or(json!(-1), |below| json!(below));
        let wrong = [below, json!(high + 1), json!("5"), json!(1.5), json!(true), json!([1]), json!({ "$js": "NaN" })];
        for value in wrong {
            let (named, problem) = refusal(patch(field, &value));
            let shown = shown(&value);
            assert_eq!(named, field, "{value}");
            assert_eq!(problem, format!("must be an integer from {low} to {high}, got {shown}"));
        }
    }
}

/// How a value stands in an error: as it was written, but for what may hold a text or a secret.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "NaN".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        other => other.to_string(),
    }
}

#[test]
fn words() {
    for (field, allowed) in [
        ("ordering", "\"conversation\" or \"none\""),
        ("retry.ambiguous", "\"retry\" or \"fail\""),
        ("retry.endedConversation", "\"each\" or \"bury\""),
        ("queue.whenFull", "\"wait\" or \"reject\""),
        ("batch.mode", "\"none\" or \"array\" or \"merge\""),
    ] {
        for value in [json!("other"), json!(""), json!(1), json!(false), json!([])] {
            let expected = (field.to_owned(), format!("must be {allowed}, got {}", shown(&value)));
            assert_eq!(refusal(patch(field, &value)), expected);
        }
    }
}

#[test]
fn statuses() {
    for value in [json!([]), json!([300, 404, 409, 423, 503, 599]), json!([404, 404]), json!(null)] {
        let text = options(patch("retry.statuses", &value)).to_string();
        assert!(Settings::from_json(&text).is_ok(), "{value}: {:?}", Settings::from_json(&text));
    }
    for wrong in [json!(200), json!(299), json!(401), json!(429), json!(600), json!("404"), json!(404.5), json!(null)] {
        let (field, problem) = refusal(patch("retry.statuses", &json!([404, wrong])));
        assert_eq!(field, "retry.statuses[1]");
        assert_eq!(problem, format!("must be an integer from 300 to 599 other than 401 and 429, got {wrong}"));
    }
    for wrong in [json!(404), json!("404"), json!({}), json!(vec![404; 301])] {
        let (field, problem) = refusal(patch("retry.statuses", &wrong));
        assert_eq!(field, "retry.statuses");
        assert!(problem.starts_with("must be a list of at most 300"), "{problem}");
    }
    let of = |value| Settings::from_json(&options(patch("retry.statuses", &value)).to_string()).unwrap();
    assert_eq!(of(json!([404, 409])).difference(&of(json!([409, 404, 404]))), None, "a set has no order");
    let (name, own, other) = of(json!([404])).difference(&of(json!([409]))).unwrap();
    assert_eq!((&*name, &*own, &*other), ("retry.statuses", "\"404\"", "\"409\""));
}

#[test]
fn sections_and_unknown_keys() {
    for section in ["retry", "queue", "connections", "batch"] {
        for value in [json!(1), json!("x"), json!([]), json!(true)] {
            let expected = (section.to_owned(), format!("must be an object, got {}", shown(&value)));
            assert_eq!(refusal(json!({ section: value })), expected);
        }
        let (field, problem) = refusal(json!({ section: { "maxx": 1 } }));
        assert_eq!(field, format!("{section}.maxx"));
        assert!(problem.starts_with("is not an option; allowed here: "), "{problem}");
    }
    assert_eq!(refusal(json!({ "rateLimits": 1 })).0, "rateLimits");
}

#[test]
fn the_rest() {
    for (wrong, field, part) in [
        (json!({ "organization": null }), "organization", "got null"),
        (json!({ "organization": "" }), "organization", "got \"\""),
        (json!({ "organization": 5 }), "organization", "got 5"),
        (json!({ "organization": "a\nb" }), "organization", "without control characters"),
        (json!({ "apiUrl": null }), "region", "one of us-east-1"),
        (json!({ "region": "mars-1" }), "region", "got \"mars-1\""),
        (json!({ "apiUrl": "ftp://x" }), "apiUrl", "http or https"),
        (json!({ "apiUrl": "nonsense" }), "apiUrl", "got another string"),
        (json!({ "loginUrl": "http://x/?q" }), "loginUrl", "without credentials, query and fragment"),
        (json!({ "route": "nowhere" }), "route", "got \"nowhere\""),
        (json!({ "route": 7 }), "route", "\"messaging\""),
        (json!({ "route": { "path": "x" } }), "route.path", "a path that begins with one \"/\""),
        (json!({ "route": { "path": "/x", "other": 1 } }), "route.other", "is not an option"),
        (json!({ "store": null }), "store", "must be chosen"),
        (json!({ "store": "disk" }), "store", "got \"disk\""),
        (json!({ "store": "file:" }), "store", "\"file:PATH\""),
        (json!({ "store": "file:outbox.db?durability=none" }), "store", "durability=process-crash"),
        (json!({ "store": "file:o.db?wait=10" }), "store", "file:PATH?wait=10s"),
        (json!({ "store": "file:o.db?wait=-1s" }), "store", "up to 10 minutes"),
        (json!({ "store": "file:o.db?wait=11min" }), "store", "up to 10 minutes"),
        (json!({ "store": "file:o.db?wait=1s&wait=1s" }), "store", "\"?wait=10s\" to wait"),
        (json!({ "store": "file:o.db?durability=process-crash&" }), "store", "\"&\" between"),
        (json!({ "store": "file:directory/" }), "store", "got \"file:directory/\""),
        (json!({ "rateLimit": null }), "rateLimit", "got null"),
        (json!({ "rateLimit": [] }), "rateLimit", "a list of 1 to 8"),
        (json!({ "rateLimit": "learned" }), "rateLimit", "\"learn\", { requests, perMs }"),
        (json!({ "rateLimit": { "learn": false } }), "rateLimit.learn", "must be true"),
        (json!({ "rateLimit": { "learn": true, "x": 1 } }), "rateLimit.x", "is not an option"),
        (json!({ "rateLimit": { "requests": 1 } }), "rateLimit.perMs", "got nothing"),
        (
            json!({ "rateLimit": [{ "requests": 1, "perMs": 1 }, { "requests": 0, "perMs": 1 }] }),
            "rateLimit[1].requests",
            "got 0",
        ),
        (json!({ "rateLimit": { "requests": 5, "perMs": 1, "burst": 6 } }), "rateLimit.burst", "from 1 to 5, got 6"),
        (json!({ "batch": { "mode": "array" } }), "batch.mode", "takes no array"),
        (
            json!({ "batch": { "mode": "merge" }, "route": "messaging-array" }),
            "batch.mode",
            "merging needs a text field",
        ),
        (json!({ "credentials": null }), "credentials", "{ clientId, clientSecret } or { accessToken }"),
        (json!({ "credentials": { "clientId": "x" } }), "credentials.clientSecret", "given with clientId"),
        (json!({ "credentials": { "clientSecret": "x" } }), "credentials.clientId", "given with clientSecret"),
        (json!({ "credentials": [] }), "credentials", "a list of 1 to 50"),
        (json!({ "credentials": vec![client("a"); 51] }), "credentials", "a list of 1 to 50"),
        (
            json!({ "credentials": [client("a"), 7] }),
            "credentials[1]",
            "{ clientId, clientSecret, name? }, got a number",
        ),
        (json!({ "credentials": [{ "clientId": "a" }] }), "credentials[0].clientSecret", "got nothing"),
        (json!({ "credentials": [{ "accessToken": "a" }] }), "credentials[0].accessToken", "left out in a list"),
        (json!({ "credentials": [client("a"), client("a")] }), "credentials[1].clientId", "another one"),
        (
            json!({ "credentials": [client("a"), { "clientId": "b", "clientSecret": "x", "name": "1" }] }),
            "credentials[1].name",
            "another one than those before it",
        ),
        (
            json!({ "credentials": [{ "clientId": "b", "clientSecret": "x", "x": 1 }] }),
            "credentials[0].x",
            "is not an option",
        ),
        (
            json!({ "organizationLimit": { "requests": 1, "perMs": 1 } }),
            "organizationLimit",
            "left out where credentials is not a list",
        ),
        (json!({ "credentials": [client("a")], "organizationLimit": [] }), "organizationLimit", "a list of 1 to 8"),
        (
            json!({ "credentials": [client("a"), client("b")], "budget": "redis://host" }),
            "budget",
            "left out where credentials is a list",
        ),
    ] {
        let (named, problem) = refusal(wrong.clone());
        assert_eq!(named, field, "{wrong}");
        assert!(problem.contains(part), "{wrong}: {problem}");
    }
}

#[test]
fn a_file_may_be_waited_for() {
    use spillway_core::settings::{Durability, StoreSettings};
    for (query, durability, wait_ms) in [
        ("", Durability::PowerLoss, 0),
        ("?wait=250ms", Durability::PowerLoss, 250),
        ("?wait=10s&durability=process-crash", Durability::ProcessCrash, 10_000),
        ("?durability=power-loss&wait=10min", Durability::PowerLoss, 600_000),
    ] {
        let text = options(json!({ "store": format!("file:/tmp/o.db{query}") })).to_string();
        let StoreSettings::File { lock_wait, durability: found, .. } = Settings::from_json(&text).unwrap().store else {
            panic!("{query} is no file");
        };
        assert_eq!((found, lock_wait.as_millis()), (durability, wait_ms), "{query}");
    }
}

#[test]
fn secrets_are_never_repeated() {
    for wrong in [
        json!({ "credentials": { "clientId": "id", "clientSecret": "hush hush" } }),
        json!({ "credentials": { "clientId": "id", "clientSecret": "hush", "accessToken": "hush" } }),
        json!({ "credentials": { "accessToken": "hush\nhush" } }),
        json!({ "credentials": "hush" }),
        json!({ "credentials": ["hush"] }),
        json!({ "credentials": [{ "clientId": "id", "clientSecret": "hush hush" }] }),
        json!({ "credentials": [{ "clientId": "id", "clientSecret": "hush", "accessToken": "hush" }] }),
        json!({ "credentials": [{ "clientId": "hush", "clientSecret": "x" }, { "clientId": "hush", "clientSecret": "y" }] }),
        json!({ "apiUrl": "http://user:hush@host" }),
    ] {
        let (field, problem) = refusal(wrong.clone());
        assert!(!problem.contains("hush"), "{field} {problem}");
    }
}

#[test]
fn headers_are_named_when_they_are_wrong_and_never_shown() {
    for (headers, field, part) in [
        (json!([]), "headers", "must be an object of strings, got an array"),
        (json!("hush"), "headers", "must be an object of strings, got another string"),
        (json!({ "$js": "Map" }), "headers", "got Map"),
        (json!({ "hush hush": "" }), "headers", "must have header names as keys"),
        (json!({ "": "hush" }), "headers", "must have header names as keys"),
        (json!({ "x-a": 1 }), "headers.x-a", "must be a string"),
        (json!({ "x-a": "hush\n" }), "headers.x-a", "characters of Latin-1"),
        (json!({ "x-a": "hush\u{100}" }), "headers.x-a", "characters of Latin-1"),
        (json!({ "Authorization": "hush" }), "headers.Authorization", "is set by the sender"),
        (json!({ "IDEMPOTENCY-KEY": "hush" }), "headers.IDEMPOTENCY-KEY", "is set by the sender"),
        (json!({ "x-a": "x".repeat(8_190) }), "headers", "must be at most 8192 bytes"),
    ] {
        let (named, problem) = refusal(json!({ "headers": headers }));
        assert_eq!(named, field, "{problem}");
        assert!(problem.contains(part) && !problem.contains("hush"), "{problem}");
    }
    let taken = Settings::from_json(&options(json!({ "headers": { "Genesys-App": "hush", "x-a": "ä" } })).to_string());
    let settings = taken.unwrap();
    let mut named: Vec<_> = settings.headers.iter().map(|(name, _)| name.as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, ["genesys-app", "x-a"]);
    assert!(!format!("{settings:?}").contains("hush"));
}

#[test]
fn merging_is_bounded_by_the_channel_unless_it_is_said_otherwise() {
    use spillway_core::settings::TextUnits;
    let route = json!({ "path": "/x", "textField": "text", "maxTextLength": 50 });
    for (route, batch, length, units, ignored) in [
        (json!("messaging"), json!({}), 2_000, TextUnits::Utf16, 0),
        (json!("open-inbound"), json!({}), 4_000, TextUnits::Utf16, 2),
        (json!("open-inbound"), json!({ "ignore": [] }), 4_000, TextUnits::Utf16, 0),
        (json!("agentless"), json!({}), 765, TextUnits::Sms, 0),
        (json!("conversation"), json!({}), 765, TextUnits::Sms, 0),
        (json!("social-media"), json!({}), 1_000, TextUnits::Utf16, 0),
        (json!("internal"), json!({}), 2_000, TextUnits::Utf16, 0),
        (json!("conversation"), json!({ "channel": "web" }), 4_000, TextUnits::Utf16, 0),
        (json!("conversation"), json!({ "channel": "facebook" }), 2_000, TextUnits::Utf16, 0),
        (json!("conversation"), json!({ "channel": "instagram" }), 1_000, TextUnits::Utf16, 0),
        (json!("conversation"), json!({ "textUnits": "utf16" }), 335, TextUnits::Utf16, 0),
        (json!("messaging"), json!({ "channel": "sms" }), 765, TextUnits::Sms, 0),
        (json!("messaging"), json!({ "textUnits": "sms" }), 765, TextUnits::Sms, 0),
        (json!("messaging"), json!({ "maxTextLength": 7, "ignore": ["a.b"] }), 7, TextUnits::Utf16, 1),
        (route.clone(), json!({}), 50, TextUnits::Utf16, 0),
        (route, json!({ "maxTextLength": 7, "textUnits": "bytes" }), 7, TextUnits::Bytes, 0),
    ] {
        let mut with_mode = json!({ "mode": "merge" });
        with_mode.as_object_mut().unwrap().extend(batch.as_object().unwrap().clone());
        let patch = json!({ "route": route, "batch": with_mode });
        let batch = Settings::from_json(&options(patch.clone()).to_string()).unwrap().batch;
        assert_eq!((batch.text_length_max, batch.text_units, batch.ignore.len()), (length, units, ignored), "{patch}");
    }
}

#[test]
fn what_may_differ_is_a_list_of_paths_without_the_text() {
    let long = "a".repeat(257);
    for wrong in [
        json!("channel.time"),
        json!([""]),
        json!(["a..b"]),
        json!([".a"]),
        json!([["a"]]),
        json!([7]),
        json!([long]),
        json!({}),
        json!(vec!["a"; 33]),
        json!(["a", "text"]),
    ] {
        let (field, problem) = refusal(json!({ "batch": { "mode": "merge", "ignore": wrong } }));
        assert_eq!(field, "batch.ignore", "{wrong}");
        assert!(problem.starts_with("must be a list "), "{problem}");
    }
    for right in [json!(["__proto__", "a.__proto__.b"]), json!(vec!["a"; 32]), json!(["text.a", "a.0", "x y"])] {
        let patch = json!({ "batch": { "mode": "merge", "ignore": right } });
        assert!(Settings::from_json(&options(patch).to_string()).is_ok(), "{right}");
    }
}
