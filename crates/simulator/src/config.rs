//! The simulator's configuration: JSON in, a checked value out.

mod choice;
mod error;
mod fault;
mod fixed;
mod number;
mod outage;
mod pattern;
mod quota;
mod raw;
mod route;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde_json::{Map, Value};

pub use choice::{Algorithm, AnswerStyle, ArrayAnswer, Fault, HeaderFamily, ResetFormat, RetryAfter, TokenFault};
pub use error::ConfigError;
pub use fixed::{FixedAnswer, Scripted};
pub use outage::{Outage, OutageKind, Target};
pub use pattern::PathPattern;
pub use quota::{LimitName, Quota};
pub use route::{QuotaPer, RouteRule};

/// A configuration that has been checked. Made by [`Config::from_json`]; `Config::default()` is that of `{}`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// `port`: 0 (default) to 65535; 0 lets the system choose.
    pub port: u16,
    /// `host`: the address to listen at; default `127.0.0.1`.
    pub host: IpAddr,
    /// `seed` of every random choice; 0 to 2⁵³−1, default 1.
    pub seed: u64,
    /// `quota`: the organization's, at most 8, all of which hold; default none.
    pub quotas: Vec<Quota>,
    /// `tokenQuota`: those of each access token, at most 8; default none.
    pub token_quotas: Vec<Quota>,
    /// `headers`: default `x`; with `answerStyle: 'genesys'` none.
    pub headers: HeaderFamily,
    /// `resetFormat`: default `seconds`.
    pub reset_format: ResetFormat,
    /// `retryAfter`: default `right`.
    pub retry_after: RetryAfter,
    /// `retryAfterText`: whether the text of a 429 tells the seconds too; default true only with `retryAfter: 'right'`.
    pub retry_after_text: bool,
    /// `latencyMs`: from sending to answer, 0 (default) to 600,000 ms.
    pub latency: Span,
    /// `arrivalMs`: from sending to the moment when the server counts the request, never more than the latency;
    /// by default uniform within the latency.
    pub arrival: Option<Span>,
    /// `faults`: the probability of each fault, at most one fault a request; default none.
    pub faults: FaultRates,
    /// `faults.slowMs`: how much later a slow answer comes, in microseconds; 0 to 10 minutes, default 30 s.
    pub slow_us: u64,
    /// `script`: what happens to the n-th API request since the start, n from 1; goes before `faults`.
    pub script: BTreeMap<u64, Scripted>,
    /// `routes`: those that behave in their own way, at most 100; default none.
    pub routes: Vec<RouteRule>,
    /// `outages`: at most 100; of several at once the first one counts; default none.
    pub outages: Vec<Outage>,
    /// `refuse`: whether the port is closed, so that connects are refused; default false.
    pub refuse: bool,
    /// `tokenLifeMs`: how long an access token is accepted, in microseconds; 1 ms to 48 h, default 24 h.
    pub token_life_us: u64,
    /// `credentials`: the only client that gets tokens, and only those tokens are accepted; by default every client
    /// gets one, and tokens that the simulator didn't issue are accepted too.
    pub credentials: Option<Credentials>,
    /// `clients`: the only clients that get tokens, and whose tokens are accepted, besides that of `credentials`; at
    /// most
    /// 100. Default none.
    pub clients: Vec<Credentials>,
    /// `authRequired`: whether an API request without a valid token gets 401; default true.
    pub auth_required: bool,
    /// `tokenThrottle`: how many tokens may be minted; default no limit.
    pub token_throttle: Option<Quota>,
    /// `tokenFault`: default none.
    pub token_fault: Option<TokenFault>,
    /// `maxBodyBytes`: a longer body gets 413; 1 to 67,108,864, default 512,000.
    pub max_body_bytes: usize,
    /// `poisonText`: a message whose JSON contains it gets 400; default none.
    pub poison_text: Option<String>,
    /// `arrayAnswer`: default `status`.
    pub array_answer: ArrayAnswer,
    /// `others`: foreign requests on the organization's quota; default none.
    pub others: Option<Others>,
    /// `tls`: serve HTTPS; default plain HTTP.
    pub tls: Option<Tls>,
    /// What all of the above was read from; [`Config::merge`] lays changes over it.
    json: Value,
}

/// A range of durations in microseconds, drawn from uniformly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub min_us: u64,
    /// The longest, never below the shortest.
    pub max_us: u64,
}

/// Each fault with its probability, above 0 and at most 1; the sum is at most 1.
pub type FaultRates = Vec<(Fault, f64)>;

/// An OAuth client.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `clientId`.
    pub id: String,
    /// `clientSecret`.
    pub secret: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Foreign requests that spend the same quota: `burst` at once, evenly spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Others {
    /// `requests`: 1 to 1,000,000.
    pub requests: u64,
    /// `perMs` in microseconds; 1 ms to a day.
    pub per_us: u64,
    /// `burst`: 1 (default) to 100,000.
    pub burst: u64,
}

/// A certificate chain and its key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// `cert`: the chain, leaf first.
    pub cert: String,
    /// `key`.
    pub key: String,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Settings that hold from start to close.
const FIXED_AT_START: [&str; 4] = ["port", "host", "seed", "tls"];

impl Config {
    /// Reads and checks a configuration. All fields are optional, `null` is as good as absent, unknown ones are
    /// refused.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Self::from_value(parse(text)?)
    }

    /// Lays a partial configuration over this one, field by field and object by object; `null` gives a field its
    /// default back, a list replaces the list before. Port, host, seed and tls can't change.
    pub fn merge(&self, text: &str) -> Result<Self, ConfigError> {
        let patch = parse(text)?;
        for field in FIXED_AT_START {
            if patch.get(field).is_some_and(|value| value != self.json.get(field).unwrap_or(&Value::Null)) {
                return Err(ConfigError::new(field, "set at the start, not while the simulator runs", "a new value"));
            }
        }
        let mut json = self.json.clone();
        lay_over(&mut json, patch);
        Self::from_value(json)
    }

    fn from_value(json: Value) -> Result<Self, ConfigError> {
        let raw: raw::Raw =
            serde_path_to_error::deserialize(&json).map_err(|error| ConfigError::from_serde(&error, &json))?;
        raw.validate(json)
    }
}

impl Default for Config {
    #[expect(clippy::expect_used, reason = "a test proves it, and there is no other way to make one")]
    fn default() -> Self {
        Self::from_value(Value::Object(Map::new())).expect("an empty configuration is valid")
    }
}

fn parse(text: &str) -> Result<Value, ConfigError> {
    let value: Value = serde_json::from_str(text).map_err(|error| ConfigError::new("", "JSON", error))?;
    if value.is_object() { Ok(value) } else { Err(ConfigError::new("", "an object", value)) }
}

/// RFC 7396, JSON merge patch.
fn lay_over(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(&key);
            } else {
                lay_over(target.entry(key).or_insert(Value::Null), value);
            }
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
