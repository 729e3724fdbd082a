//! What an organization's limits say about requests: `GET /api/v2/organizations/limits/namespaces/platform.api`.
//!
//! `{"entities":[{"key":"client.credentials.token.rate.per.minute","namespace":"platform.api","value":300},…]}`.
//! Everything here is untrusted: what can't be read is no evidence.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::json;

/// Where they are asked for.
pub const LIMITS_PATH: &str = "/api/v2/organizations/limits/namespaces/platform.api";
/// The limits of a token that client credentials got, the closest first; the others are other kinds of tokens' then.
const CLIENT_KEYS: [&str; 2] = ["client.credentials.token", "token"];
/// And of one that was given, which is a user's.
const USER_KEYS: [&str; 2] = ["org.app.user", "token"];
/// The limit that holds besides.
const ORGANIZATION_KEY: &str = "org.requests";
const WINDOWS: [(&str, u64); 4] = [("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400)];
/// The most entities whose limits are read.
const ENTITIES_MAX: usize = 1_000;

/// The requests that a window allows.
pub type RequestLimit = (NonZeroU32, Duration);

/// Whose token it is that requests carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Client credentials got it.
    Client,
    /// The caller gave it.
    User,
}

/// The limits that hold for our requests, one of each window, the shortest first; none of a body that isn't theirs.
pub fn read_limits(body: &[u8], grant: Grant) -> Vec<RequestLimit> {
    let text = json::text_of(body);
    let entities = json::raw(&text).and_then(|answer| json::fields(answer, ["entities"])).and_then(|[list]| list);
    let entities = entities.and_then(json::values).unwrap_or_default();
    let values: HashMap<String, NonZeroU32> =
        entities.into_iter().take(ENTITIES_MAX).rev().filter_map(limit_of).collect();
    let value = |key: &str| values.get(key).copied();
    let least = |(word, seconds): (&str, u64)| {
        let of = |prefix: &&str| value(&format!("{prefix}.rate.per.{word}"));
        let keys = match grant {
            Grant::Client => CLIENT_KEYS,
            Grant::User => USER_KEYS,
        };
        let token = keys.iter().find_map(of);
        let least = token.into_iter().chain(of(&ORGANIZATION_KEY)).min()?;
        Some((least, Duration::from_secs(seconds)))
    };
    WINDOWS.into_iter().filter_map(least).collect()
}

/// An entity's key and value; none of what is not a limit.
fn limit_of(entity: &RawValue) -> Option<(String, NonZeroU32)> {
    let [key, value] = json::fields(entity, ["key", "value"])?;
    Some((json::string(key?)?, value?.get().parse().ok()?))
}

/// The window of a limit, by its key: `token.rate.per.minute`.
pub(super) fn window_of(key: &str) -> Option<Duration> {
    let (_, word) = key.rsplit_once(".rate.per.")?;
    WINDOWS.into_iter().find(|(own, _)| *own == word).map(|(_, seconds)| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(entities: &[(&str, &str)]) -> Vec<(u32, u64)> {
        read_for(Grant::Client, entities)
    }

    fn read_for(grant: Grant, entities: &[(&str, &str)]) -> Vec<(u32, u64)> {
        let entity =
            |(key, value): &(&str, &str)| format!(r#"{{"key":"{key}","namespace":"platform.api","value":{value}}}"#);
        let list: Vec<String> = entities.iter().map(entity).collect();
        let body = format!(r#"{{"entities":[{}]}}"#, list.join(","));
        read_limits(body.as_bytes(), grant).into_iter().map(|(requests, per)| (requests.get(), per.as_secs())).collect()
    }

    #[test]
    fn the_least_of_each_window_holds() {
        let all = [
            ("request.bytes.max", "512000"),
            ("token.rate.per.minute", "180"),
            ("client.credentials.token.rate.per.minute", "300"),
            ("org.app.user.rate.per.minute", "3000"),
            ("ui.token.rate.per.minute", "100"),
            ("org.requests.rate.per.second", "20"),
        ];
        assert_eq!(read(&all), [(20, 1), (300, 60)], "the token's own key goes before the general one");
        assert_eq!(read(&all[..2]), [(180, 60)]);
        assert_eq!(read(&[("org.requests.rate.per.minute", "600"), ("token.rate.per.minute", "700")]), [(600, 60)]);
        assert_eq!(read(&[("token.rate.per.day", "50000")]), [(50_000, 86_400)]);
        let marked = "\u{feff}{\"entities\":[{\"key\":\"token.rate.per.day\",\"value\":7}]}";
        assert_eq!(read_limits(marked.as_bytes(), Grant::Client).len(), 1, "a byte order mark");
    }

    #[test]
    fn a_users_token_has_the_users_limit() {
        let all = [
            ("client.credentials.token.rate.per.minute", "300"),
            ("token.rate.per.minute", "280"),
            ("org.app.user.rate.per.minute", "3000"),
        ];
        assert_eq!((read_for(Grant::User, &all), read_for(Grant::Client, &all)), (vec![(3_000, 60)], vec![(300, 60)]));
        assert_eq!(read_for(Grant::User, &all[..2]), [(280, 60)]);
        // The user's limit is none of ours; and where a key is absent, nothing is believed.
        assert_eq!(read_for(Grant::Client, &all[2..]), []);
        assert_eq!(read_for(Grant::User, &all[..1]), []);
    }

    #[test]
    fn what_cannot_be_a_limit_is_none() {
        for value in ["0", "-1", "1.5", "4294967296", "1e3", "null", "\"300\"", "{}"] {
            assert_eq!(read(&[("token.rate.per.minute", value)]), [], "{value}");
        }
        for body in ["", "[]", "{}", "null", r#"{"entities":7}"#, r#"{"entities":[7,null,[],"x"]}"#, "<html>"] {
            assert_eq!(read_limits(body.as_bytes(), Grant::Client), [], "{body}");
        }
    }

    #[test]
    fn what_a_tree_cannot_hold_hides_no_limit() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for hostile in [r#""\ud83d""#, "1e400", &deep, r#"{"\udc00":1}"#] {
            let body = format!(
                r#"{{"x":{hostile},"entities":[{hostile},{{"key":"token.rate.per.minute","y":{hostile},"value":300}}]}}"#
            );
            assert_eq!(read_limits(body.as_bytes(), Grant::Client).len(), 1, "{body:.80}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_do_no_harm(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(read_limits(&body, Grant::Client).len() <= WINDOWS.len());
        }
    }
}
