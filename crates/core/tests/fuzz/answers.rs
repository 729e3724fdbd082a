//! Bodies of answers: the items of a batch, the list of limits, and how a body stands in a receipt. An input is a body.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use spillway_core::batcher::read_items;
use spillway_core::evidence::{Grant, read_limits};
use spillway_core::json::{Body, fields, raw, string, text_of, values};

use crate::harness::{Target, Verdict};
use crate::mutation::damaged;

const IDS: [&str; 3] = ["m-1", "m-2", "m-3"];
const MARK: &[u8] = b"\xef\xbb\xbf";
const FIELDS: [&str; 4] = ["status", "id", "results", "a"];

fn check(body: &[u8]) -> Verdict {
    stands_in_a_row(body)?;
    is_read_as_a_tree_has_it(body)?;
    gives_one_item_per_message(body)?;
    for grant in [Grant::Client, Grant::User] {
        let limits = read_limits(body, grant);
        prop_assert!(limits.len() <= 4 && limits.is_sorted_by(|one, next| one.1 < next.1), "{limits:?}");
    }
    Ok(())
}

/// A row holds JSON as it came, and anything else as a text that JavaScript reads back whole.
fn stands_in_a_row(body: &[u8]) -> Verdict {
    let text = text_of(body);
    let written = |truncated| serde_json::to_string(&Body { bytes: body, truncated }).unwrap();
    let (whole, cut) = (written(false), written(true));
    if text.is_empty() {
        prop_assert_eq!((&*whole, &*cut), ("null", "null"));
        return Ok(());
    }
    let is_text = |json: &str| serde_json::from_str::<String>(json).is_ok_and(|read| read == text);
    prop_assert!(is_text(&cut), "{cut}");
    match raw(&text) {
        Some(json) => prop_assert_eq!(&*whole, json.get()),
        None => prop_assert!(is_text(&whole), "{whole}"),
    }
    Ok(())
}

/// Where a tree can hold the text, the scan finds the same in it.
fn is_read_as_a_tree_has_it(body: &[u8]) -> Verdict {
    let text = text_of(body);
    let Ok(tree) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
    let json = raw(&text);
    prop_assert!(json.is_some(), "a tree holds what the scan refuses");
    let json = json.unwrap();
    let read = |part: &serde_json::value::RawValue| serde_json::from_str::<Value>(part.get()).unwrap();
    let list = values(json).map(|parts| parts.into_iter().map(read).collect::<Vec<_>>());
    prop_assert_eq!(list.as_ref(), tree.as_array());
    let found = fields(json, FIELDS).map(|parts| parts.map(|part| part.map(read)));
    let expected = tree.as_object().map(|object| FIELDS.map(|name| object.get(name).cloned()));
    prop_assert_eq!(found, expected);
    let text = string(json);
    prop_assert_eq!(text.as_deref(), tree.as_str());
    Ok(())
}

fn gives_one_item_per_message(body: &[u8]) -> Verdict {
    let items = read_items(body, &IDS);
    let text = text_of(body);
    for item in items.iter().flatten().flatten() {
        prop_assert!((100..=599).contains(&item.status), "{item:?}");
        let part = std::str::from_utf8(&item.body).unwrap();
        prop_assert!(raw(part).is_some() && text.contains(part), "{part}: no part of the answer");
        let statuses = fields(raw(part).unwrap(), ["status", "statusCode", "code"]).unwrap();
        let digits = item.status.to_string();
        prop_assert!(statuses.into_iter().flatten().any(|status| status.get().contains(&digits)), "{part}");
    }
    prop_assert!(items.as_ref().is_none_or(|items| items.len() == IDS.len()));
    prop_assert_eq!(&items, &read_items(&[MARK, text.as_bytes()].concat(), &IDS), "a byte order mark is no part of it");
    if raw(&text).and_then(values).is_some() {
        let wrapped = format!("{{\"results\":{text}}}");
        prop_assert_eq!(&items, &read_items(wrapped.as_bytes(), &IDS), "the list within an object");
    }
    Ok(())
}

/// A value that is JSON, though no tree may hold it.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(
            &[
                "null",
                "true",
                "7",
                "-0",
                "1e400",
                "12345678901234567890123",
                r#""\ud83d""#,
                r#""\u0000""#,
                r#""m-1""#,
                r#""ü😀""#,
                "202",
                r#""429""#,
                "99",
                "600",
                "200.0",
            ][..]
        )
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        (1_usize..200).prop_map(|levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels))),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key = select(&["a", "status", "id", "results", "entities", "\\udc00", "__proto__", "sta\\u0074us"][..]);
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|parts| format!("[{}]", parts.join(","))),
            vec((key, inner), 0..6).prop_map(|parts| object(&parts)),
        ]
    })
}

fn object(parts: &[(impl AsRef<str>, String)]) -> String {
    let parts: Vec<String> = parts.iter().map(|(key, value)| format!("\"{}\":{value}", key.as_ref())).collect();
    format!("{{{}}}", parts.join(", "))
}

fn status() -> impl Strategy<Value = String> {
    prop_oneof![(100_u16..600).prop_map(|status| status.to_string()), json()]
}

/// A list of items, as an answer to a batch has it.
fn items() -> impl Strategy<Value = String> {
    let id = select(&["m-1", "m-2", "m-3", "m-4", ""][..]);
    let names = (select(&["id", "messageId", "requestId", "x"][..]), select(&["status", "statusCode", "code"][..]));
    let item = (names, id, status(), json()).prop_map(|((id_name, status_name), id, status, more)| {
        object(&[(id_name, format!("\"{id}\"")), (status_name, status), ("more", more)])
    });
    let list = vec(item, 0..6).prop_map(|items| format!("[{}]", items.join(","))).boxed();
    let wrapper = select(&["results", "items", "entities", "messages", "responses", "other"][..]);
    prop_oneof![
        list.clone(),
        (wrapper, list, json()).prop_map(|(name, list, more)| object(&[("a", more), (name, list)]))
    ]
}

/// What an organization's limits look like.
fn limits() -> impl Strategy<Value = String> {
    let key = (
        select(&["token", "client.credentials.token", "org.requests", "org.app.user", "other"][..]),
        select(&["second", "minute", "hour", "day", "week"][..]),
    );
    let entity = (key, prop_oneof![(0_u32..1_000).prop_map(|value| value.to_string()), json()]).prop_map(
        |((prefix, window), value)| object(&[("key", format!("\"{prefix}.rate.per.{window}\"")), ("value", value)]),
    );
    vec(entity, 0..8).prop_map(|list| format!("{{\"entities\":[{}]}}", list.join(",")))
}

#[test]
fn answers() {
    let bodies = prop_oneof![json(), items(), limits()].prop_map(String::into_bytes);
    Target { name: "answers", cases: 200, check }.run(&damaged(bodies));
}
