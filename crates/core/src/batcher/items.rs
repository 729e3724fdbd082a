//! An answer with a status for each message of an array: which is whose.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::Value;

/// Where servers put the list when the answer is an object.
const LISTS: [&str; 5] = ["results", "items", "entities", "messages", "responses"];
const STATUSES: [&str; 3] = ["status", "statusCode", "code"];
const IDS: [&str; 3] = ["id", "messageId", "requestId"];

/// What an answer says about one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its status.
    pub status: u16,
    /// Its part of the body.
    pub body: Bytes,
}

/// The items of an answer by the messages' order, one each; none where the answer says nothing certain about a message.
/// `None` when the answer is no list of statuses: then its own status holds for all.
///
/// By id when any id is known, else by position when there are as many items as messages. An id that comes twice with
/// different statuses says nothing certain; ids that nobody sent are passed over.
pub fn read_items(body: &[u8], ids: &[&str]) -> Option<Vec<Option<Item>>> {
    let list = list_of(serde_json::from_slice(body).ok()?)?;
    let items: Vec<(Option<String>, Option<Item>)> =
        list.iter().map(|value| (id_of(value, ids), item_of(value))).collect();
    if items.iter().all(|(_, item)| item.is_none()) {
        return None;
    }
    let known = items.iter().any(|(id, _)| id.as_deref().is_some_and(|id| ids.contains(&id)));
    if !known {
        let by_position = if items.len() == ids.len() {
            items.into_iter().map(|(_, item)| item).collect()
        } else {
            vec![None; ids.len()]
        };
        return Some(by_position);
    }
    let mut by_id: HashMap<&str, Option<Item>> = HashMap::new();
    for (id, item) in &items {
        let Some(id) = id.as_deref() else { continue };
        by_id
            .entry(id)
            .and_modify(|earlier| {
                if earlier.as_ref().map(|item| item.status) != item.as_ref().map(|item| item.status) {
                    *earlier = None;
                }
            })
            .or_insert_with(|| item.clone());
    }
    Some(ids.iter().map(|id| by_id.get(id).cloned().flatten()).collect())
}

fn list_of(answer: Value) -> Option<Vec<Value>> {
    match answer {
        Value::Array(list) => Some(list),
        Value::Object(mut object) => LISTS.iter().find_map(|name| match object.remove(*name) {
            Some(Value::Array(list)) => Some(list),
            _ => None,
        }),
        _ => None,
    }
}

fn item_of(value: &Value) -> Option<Item> {
    let status = STATUSES.iter().find_map(|name| {
        let status = value.get(name)?;
        let number = status.as_u64().or_else(|| status.as_str()?.parse().ok())?;
        u16::try_from(number).ok().filter(|status| (100..=599).contains(status))
    })?;
    Some(Item { status, body: serde_json::to_vec(value).unwrap_or_default().into() })
}

/// The item's id: one that is known before the server's own.
fn id_of(value: &Value, known: &[&str]) -> Option<String> {
    let ids = || IDS.iter().filter_map(|name| value.get(name)?.as_str());
    ids().find(|id| known.contains(id)).or_else(|| ids().next()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn statuses(body: &str, ids: &[&str]) -> Option<Vec<u16>> {
        let items = read_items(body.as_bytes(), ids)?;
        Some(items.into_iter().map(|item| item.map_or(0, |item| item.status)).collect())
    }

    #[test]
    fn every_shape_of_answer() {
        let ids = ["a", "b"];
        for (body, expected) in [
            (r#"[{"id":"b","status":400},{"id":"a","status":200}]"#, Some(vec![200, 400])),
            (
                r#"{"results":[{"messageId":"a","statusCode":"201"},{"messageId":"b","status":429}]}"#,
                Some(vec![201, 429]),
            ),
            (r#"[{"status":200},{"status":503}]"#, Some(vec![200, 503])),
            // Ids of the server's own: by position.
            (r#"[{"id":"x1","status":200},{"id":"x2","status":400}]"#, Some(vec![200, 400])),
            (
                r#"[{"id":"x1","messageId":"b","status":200},{"id":"x2","messageId":"a","status":400}]"#,
                Some(vec![400, 200]),
            ),
            // Too short, too long.
            (r#"[{"id":"a","status":200}]"#, Some(vec![200, 0])),
            (r#"[{"status":200}]"#, Some(vec![0, 0])),
            (r#"[{"status":200},{"status":200},{"status":200}]"#, Some(vec![0, 0])),
            // Unknown and repeated ids.
            (r#"[{"id":"a","status":200},{"id":"z","status":500},{"id":"b","status":200}]"#, Some(vec![200, 200])),
            (r#"[{"id":"a","status":200},{"id":"a","status":500},{"id":"b","status":200}]"#, Some(vec![0, 200])),
            (r#"[{"id":"a","status":200},{"id":"a","status":200},{"id":"b","status":200}]"#, Some(vec![200, 200])),
            // No list of statuses.
            (r#"[{"id":"a"},{"id":"b"}]"#, None),
            (r#"[{"id":"a","status":"sent"},{"id":"b","status":"sent"}]"#, None),
            (r#"{"id":"a","status":200}"#, None),
            (r#"[]"#, None),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(statuses(body, &ids), expected, "{body}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_answers_give_one_entry_a_message(body in "[\\[\\]{}\",:a-c0-9status]{0,80}") {
            if let Some(items) = read_items(body.as_bytes(), &["a", "b", "c"]) {
                prop_assert_eq!(items.len(), 3);
            }
        }
    }
}
