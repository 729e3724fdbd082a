//! Quotas, and the limits that a 429 names.

use serde::Deserialize;

use super::ConfigError;
use super::choice::Algorithm;
use super::number::Whole;
use super::shape::{Name, OneOrMany};

/// A day in milliseconds, the longest window.
pub(super) type PerMs = Whole<1, 86_400_000>;
pub(super) type Requests = Whole<1, 1_000_000>;

const QUOTAS_MAX: usize = 8;
/// Where Genesys keeps the limits of its platform.
const NAMESPACE: &str = "platform.api";

/// A number of requests per window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// `requests`: 1 to 1,000,000.
    pub requests: u64,
    /// `perMs` in microseconds; 1 ms to a day.
    pub per_us: u64,
    /// `algorithm`: default `fixed-window`.
    pub algorithm: Algorithm,
    /// `limitKey` and `namespace`: how a 429 names it; default not at all.
    pub limit: Option<LimitName>,
}

/// How the API calls a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitName {
    /// `limitKey`, as in `client.credentials.token.rate.per.minute`.
    pub key: String,
    /// `namespace`: default `platform.api`.
    pub namespace: String,
}

impl LimitName {
    pub(super) fn read(key: Option<String>, namespace: Option<String>) -> Option<Self> {
        let namespace = namespace.unwrap_or_else(|| NAMESPACE.to_owned());
        key.map(|key| Self { key, namespace })
    }

    /// The limit of a token that client credentials got.
    pub(super) fn of_a_token() -> Self {
        Self { key: "client.credentials.token.rate.per.minute".to_owned(), namespace: NAMESPACE.to_owned() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawQuota {
    requests: Requests,
    per_ms: PerMs,
    algorithm: Option<Name<Algorithm>>,
    limit_key: Option<String>,
    namespace: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawThrottle {
    requests: Requests,
    per_ms: PerMs,
}

impl RawThrottle {
    pub(super) fn validate(self) -> Quota {
        let (requests, per_us) = (self.requests.0, self.per_ms.0 * 1_000);
        Quota { requests, per_us, algorithm: Algorithm::FixedWindow, limit: None }
    }
}

/// `limit`: the name of those that give none.
pub(super) fn quotas(
    raw: Option<OneOrMany<RawQuota>>,
    field: &str,
    limit: Option<&LimitName>,
) -> Result<Vec<Quota>, ConfigError> {
    let list = raw.map_or_else(Vec::new, |many| many.0);
    if list.len() > QUOTAS_MAX {
        return Err(ConfigError::new(field, &format!("at most {QUOTAS_MAX} quotas"), list.len()));
    }
    let one = |raw: RawQuota| Quota {
        requests: raw.requests.0,
        per_us: raw.per_ms.0 * 1_000,
        algorithm: raw.algorithm.map_or(Algorithm::FixedWindow, Name::get),
        limit: LimitName::read(raw.limit_key, raw.namespace).or_else(|| limit.cloned()),
    };
    Ok(list.into_iter().map(one).collect())
}
