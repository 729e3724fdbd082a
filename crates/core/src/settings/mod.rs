//! Options: raw JSON in, [`Settings`] out. A `Settings` is always valid; every rule on options stands here and nowhere
//! else.

mod address;
mod batch;
mod channel;
mod credentials;
mod headers;
mod rate;
mod reader;
mod redis_url;
pub mod region;
mod route;
mod shared;
mod statuses;
mod store;

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value;

pub use self::batch::{BatchMode, BatchSettings, Cost, FieldPath, Keep};
pub use self::channel::{Channel, TextUnits};
pub use self::credentials::{Credentials, TokenSource};
pub use self::headers::Headers;
use self::rate::RateLimit;
pub use self::rate::{Learn, Rate};
use self::reader::Reader;
pub use self::redis_url::{Login, Node, PASSWORD_VARIABLE, RedisUrl, Topology, USERNAME_VARIABLE};
pub use self::route::{PRESETS, Route};
pub use self::shared::{Shared, WhenUnreachable};
pub use self::statuses::Statuses;
pub use self::store::{Durability, StoreSettings};
use crate::error::Error;
use crate::message::CallLimits;

const DAY_MS: u64 = 86_400_000;

/// Valid options of an organization's engine.
///
/// ```
/// use spillway_core::settings::Settings;
///
/// let options = r#"{
///   "organization": "acme", "region": "us-east-1", "credentials": { "accessToken": "token" },
///   "route": "messaging", "store": "memory", "rateLimit": { "requests": 300, "perMs": 60000 }
/// }"#;
/// let settings = Settings::from_json(options).expect("they are valid");
/// assert_eq!(settings.queue.max_messages, 100_000);
///
/// let error = Settings::from_json(r#"{ "organization": 7 }"#).expect_err("a number is no name");
/// assert!(error.to_string().contains("organization"));
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    /// The tenant whose limit is shared.
    pub organization: String,
    /// Base URL of the API, without a trailing slash.
    pub api_url: String,
    /// Base URL of the login host, without a trailing slash.
    pub login_url: String,
    /// Where access tokens come from; never empty.
    pub tokens: Vec<TokenSource>,
    /// Where messages go.
    pub route: Route,
    /// Sent with every message.
    pub headers: Headers,
    /// The quota: all of them hold together.
    pub rates: Vec<Rate>,
    /// The limits over all tokens together, if they are known.
    pub organization_rates: Vec<Rate>,
    /// Where accepted messages live.
    pub store: StoreSettings,
    /// The rates are those of a fleet: each host leases a share of them.
    pub shared: Option<Shared>,
    /// The quota is to be learned; there are no rates then.
    pub learn: Option<Learn>,
    /// Attempts, age, pauses.
    pub retry: RetrySettings,
    /// Whether and how messages travel together.
    pub batch: BatchSettings,
    /// Whether a conversation's messages wait for each other.
    pub ordering: Ordering,
    /// The outbox's limits.
    pub queue: QueueSettings,
    /// The connections' limits.
    pub connections: ConnectionSettings,
    /// How long the id of a settled message is remembered.
    pub dedupe: Duration,
    trail: Vec<(String, String)>,
}

/// What to do with a message that was sent and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguous {
    /// Send it again: at least once.
    Retry,
    /// Give it up: at most once.
    Fail,
}

/// What to do with the messages that wait in a conversation of which the server says that it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedConversation {
    /// Try each, a few at a time.
    Each,
    /// Give them up without asking again.
    Bury,
}

/// Limits of retrying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// Attempts of a message, the first included.
    pub max_attempts: u32,
    /// How long after its first attempt a message may be tried again.
    pub max_age: Duration,
    /// Unknown outcomes.
    pub ambiguous: Ambiguous,
    /// Refusals that are taken for unknown outcomes.
    pub statuses: Statuses,
    /// Conversations that are over.
    pub ended_conversation: EndedConversation,
    /// Longer pauses are told as `long`, and our own backoff stays below it.
    pub max_pause: Duration,
}

impl RetrySettings {
    /// The same, as far as a call sets no bounds of its own.
    #[must_use]
    pub fn bounded_by(self, limits: &CallLimits) -> Self {
        Self {
            max_attempts: limits.max_attempts.map_or(self.max_attempts, NonZeroU32::get),
            max_age: limits.max_age.unwrap_or(self.max_age),
            ..self
        }
    }
}

/// Whether a conversation's messages wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// Message n+1 isn't on the wire before n is settled.
    Conversation,
    /// They don't wait.
    None,
}

/// What happens to a message that finds the outbox full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Its promise waits for room.
    Wait,
    /// It is refused.
    Reject,
}

/// The outbox's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// Messages.
    pub max_messages: usize,
    /// Bytes of serialized bodies.
    pub max_bytes: usize,
    /// What happens beyond.
    pub when_full: WhenFull,
}

/// The connections' limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Requests in flight, and so connections to the API host.
    pub max: usize,
    /// For TCP and TLS.
    pub connect_timeout: Duration,
    /// From looking for a connection to the last byte of the answer.
    pub request_timeout: Duration,
}

impl Settings {
    /// Reads and checks options in JSON, as JavaScript hands them over.
    ///
    /// # Errors
    /// [`Error::Config`] for the first thing that is wrong.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Error::config("options", format!("must be JSON: line {}", error.line())))?;
        let root = Reader::root(&value)?;
        let organization = root
            .text("organization", 256)?
            .ok_or_else(|| root.refuse("organization", "a string: the key of the shared budget"))?
            .to_owned();
        let (api_url, login_url) = address::read(&root)?;
        let route = route(&root)?;
        let limit = rate::read(&root)?;
        let shared = shared::read(&root, &limit)?;
        let RateLimit { rates, learn } = limit;
        let mut settings = Self {
            organization,
            api_url,
            login_url,
            tokens: credentials::read(&root)?,
            organization_rates: rate::read_organization(&root)?,
            batch: batch::read(&root, &route)?,
            route,
            headers: headers::read(&root)?,
            store: store::read(&root)?,
            rates,
            shared,
            learn,
            retry: retry(&root)?,
            ordering: root.choice("ordering", &[("conversation", Ordering::Conversation), ("none", Ordering::None)])?,
            queue: queue(&root)?,
            connections: connections(&root)?,
            dedupe: Duration::from_millis(root.integer("dedupeMs", 0..=7 * DAY_MS, DAY_MS)?),
            trail: Vec::new(),
        };
        settings.trail = root.finish()?.take();
        Ok(settings)
    }

    /// Whether any of its connections is encrypted.
    pub fn uses_tls(&self) -> bool {
        [&self.api_url, &self.login_url].iter().any(|url| !url.starts_with("http:"))
    }

    /// How many requests may be under way for each connection. With a store, others than the one that it carries wait
    /// for the disk to know of their departure, and then for it: so it is never the connections that wait. After a
    /// crash all of them may have been sent, and so they are fewer where none is sent again. `waits_for_disk`:
    /// connections are free all the same.
    pub fn attempts_per_connection(&self, waits_for_disk: bool) -> usize {
        match self.retry.ambiguous {
            _ if !self.store.is_durable() => 1,
            Ambiguous::Retry if waits_for_disk => 8,
            Ambiguous::Retry => 4,
            Ambiguous::Fail => 2,
        }
    }

    /// The first option in which `other` differs: its name, the value here and the value there. Secrets are not shown.
    pub fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        if self.tokens != other.tokens {
            let hidden = |which: &str| format!("{which} credentials");
            return Some(("credentials".to_owned(), hidden("other"), hidden("its own")));
        }
        if self.headers != other.headers {
            return Some(("headers".to_owned(), "other headers".to_owned(), "its own headers".to_owned()));
        }
        if let (Some(own), Some(theirs)) = (&self.shared, &other.shared)
            && own.url.login != theirs.url.login
            && own.url.is_same_place(&theirs.url)
        {
            return Some(("budget".to_owned(), "another login".to_owned(), "its own login".to_owned()));
        }
        let value = |settings: &Self, name: &str| {
            settings.trail.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
        };
        let names = self.trail.iter().chain(&other.trail).map(|(name, _)| name);
        names.into_iter().find_map(|name| {
            let (own, theirs) = (value(self, name), value(other, name));
            let show = |value: Option<&String>| value.map_or_else(|| "not set".to_owned(), |text| format!("{text:?}"));
            (own != theirs).then(|| (name.clone(), show(own.as_ref()), show(theirs.as_ref())))
        })
    }
}

fn route(root: &Reader<'_>) -> Result<Route, Error> {
    let names = PRESETS.iter().map(|preset| format!("{:?}", preset.name)).collect::<Vec<_>>().join(", ");
    let rule = format!("one of {names} or {{ path, textField?, array?, maxTextLength? }}");
    match root.value("route") {
        Some(Value::String(name)) => {
            root.note("route", name);
            Route::preset(name).ok_or_else(|| root.refuse("route", rule))
        }
        Some(Value::Object(fields)) if !fields.contains_key("$js") => {
            let object = root.section("route")?;
            let path = object
                .text("path", 1_024)?
                .ok_or_else(|| object.refuse("path", "a path such as \"/x/{conversationId}\""))?;
            let route =
                Route::custom(path, object.text("textField", 128)?).map_err(|rule| object.refuse("path", rule))?;
            let mut route = route.with_array(object.boolean("array", false)?);
            if object.value("maxTextLength").is_some() {
                route = route.with_text_length_max(object.integer_required("maxTextLength", route::TEXT_LENGTHS)?);
            }
            object.finish()?;
            Ok(route)
        }
        _ => Err(root.refuse("route", rule)),
    }
}

fn retry(root: &Reader<'_>) -> Result<RetrySettings, Error> {
    const MAX_ATTEMPTS: u64 = 10;
    const MAX_AGE_MS: u64 = 600_000;
    const MAX_PAUSE_MS: u64 = 180_000;
    let object = root.section("retry")?;
    let settings = RetrySettings {
        max_attempts: u32::try_from(object.integer("maxAttempts", 1..=1_000, MAX_ATTEMPTS)?).unwrap_or(u32::MAX),
        max_age: Duration::from_millis(object.integer("maxAgeMs", 0..=30 * DAY_MS, MAX_AGE_MS)?),
        ambiguous: object.choice("ambiguous", &[("retry", Ambiguous::Retry), ("fail", Ambiguous::Fail)])?,
        statuses: statuses::read(&object, "statuses")?,
        ended_conversation: object
            .choice("endedConversation", &[("each", EndedConversation::Each), ("bury", EndedConversation::Bury)])?,
        max_pause: Duration::from_millis(object.integer("maxPauseMs", 1_000..=DAY_MS, MAX_PAUSE_MS)?),
    };
    object.finish()?;
    Ok(settings)
}

fn queue(root: &Reader<'_>) -> Result<QueueSettings, Error> {
    let object = root.section("queue")?;
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let settings = QueueSettings {
        max_messages: size(object.integer("maxMessages", 1..=10_000_000, 100_000)?),
        max_bytes: size(object.integer("maxBytes", 1_024..=68_719_476_736, 268_435_456)?),
        when_full: object.choice("whenFull", &[("wait", WhenFull::Wait), ("reject", WhenFull::Reject)])?,
    };
    object.finish()?;
    Ok(settings)
}

fn connections(root: &Reader<'_>) -> Result<ConnectionSettings, Error> {
    let object = root.section("connections")?;
    let settings = ConnectionSettings {
        max: usize::try_from(object.integer("max", 1..=1_024, 64)?).unwrap_or(usize::MAX),
        connect_timeout: Duration::from_millis(object.integer("connectTimeoutMs", 10..=120_000, 5_000)?),
        request_timeout: Duration::from_millis(object.integer("requestTimeoutMs", 10..=600_000, 16_000)?),
    };
    object.finish()?;
    Ok(settings)
}
