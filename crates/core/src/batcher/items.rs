//! An answer with a status for each message of an array: which is whose.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::json;

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
    let text = json::text_of(body);
    let list = list_of(json::raw(&text)?)?;
    let known: HashSet<&str> = ids.iter().copied().collect();
    let items: Vec<ItemEntry<'_>> = list.into_iter().map(|value| ItemEntry::of(value, &known)).collect();
    if items.iter().all(|item| item.status.is_none()) {
        return None;
    }
    if items.iter().all(|item| item.id.is_none()) {
        let by_position =
            if items.len() == ids.len() { items.iter().map(ItemEntry::item).collect() } else { vec![None; ids.len()] };
        return Some(by_position);
    }
    let mut by_id: HashMap<&str, Option<&ItemEntry<'_>>> = HashMap::new();
    for item in &items {
        let Some(id) = item.id.as_deref() else { continue };
        by_id
            .entry(id)
            .and_modify(|earlier| {
                if earlier.is_some_and(|earlier| earlier.status != item.status) {
                    *earlier = None;
                }
            })
            .or_insert(Some(item));
    }
    Some(ids.iter().map(|id| by_id.get(id).copied().flatten().and_then(ItemEntry::item)).collect())
}

/// An entry of the list: a status, if it has one, and the id, if it is one that was sent.
struct ItemEntry<'a> {
    id: Option<String>,
    status: Option<u16>,
    value: &'a RawValue,
}

impl<'a> ItemEntry<'a> {
    fn of(value: &'a RawValue, known: &HashSet<&str>) -> Self {
        let statuses = json::fields(value, STATUSES).unwrap_or_default();
        let ids = json::fields(value, IDS).unwrap_or_default();
        Self {
            id: ids.into_iter().flatten().filter_map(json::string).find(|id| known.contains(&**id)),
            status: statuses.into_iter().flatten().find_map(status_of),
            value,
        }
    }

    fn item(&self) -> Option<Item> {
        Some(Item { status: self.status?, body: Bytes::copy_from_slice(self.value.get().as_bytes()) })
    }
}

fn list_of(answer: &RawValue) -> Option<Vec<&RawValue>> {
    json::values(answer).or_else(|| json::fields(answer, LISTS)?.into_iter().flatten().find_map(json::values))
}

/// A number, or the text of one.
fn status_of(value: &RawValue) -> Option<u16> {
    let number = value.get().parse().ok().or_else(|| json::string(value)?.parse().ok())?;
    (100..=599).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]
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
            ("\u{feff}[{\"status\":200},{\"status\":503}]", Some(vec![200, 503])),
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

    #[test]
    fn what_a_tree_cannot_hold_hides_no_status() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for hostile in [r#""cut in \ud83d""#, "1e400", &deep, r#"{"\udc00":1}"#] {
            let list =
                format!(r#"[{{"id":"b","text":{hostile},"status":400}},{{"id":"a","status":200,"x":{hostile}}}]"#);
            for body in [list.clone(), format!(r#"{{"echo":{hostile},"results":{list}}}"#), format!("\u{feff}{list}")] {
                assert_eq!(statuses(&body, &["a", "b"]), Some(vec![200, 400]), "{body:.80}");
            }
        }
        let cut = [&br#"[{"id":"a","status":400,"text":""#[..], b"\xff\"}]"].concat();
        assert_eq!(read_items(&cut, &["a"]).unwrap()[0].as_ref().map(|item| item.status), Some(400));
    }

    #[test]
    fn an_item_is_told_as_it_came() {
        let part = r#"{"status":400,"n":12345678901234567890123,"m":-0,"a":1e400,"text":"\ud83d"}"#;
        let items = read_items(format!("[ {part} ]").as_bytes(), &["a"]).unwrap();
        assert_eq!(items[0].as_ref().map(|item| &item.body[..]), Some(part.as_bytes()));
    }

    #[test]
    fn a_long_list_is_read_in_time() {
        let ids: Vec<String> = (0..5_000).map(|number| format!("message-{number}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let entry = r#"{"id":"nobody","messageId":"nobody","requestId":"nobody","status":200}"#;
        let body = format!("[{}]", vec![entry; 100_000].join(","));
        // Each entry looked for among all ids took a thousand million comparisons.
        assert_eq!(read_items(body.as_bytes(), &ids).unwrap().len(), 5_000);
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
