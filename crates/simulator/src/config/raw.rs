//! The configuration as it is written; `validate` gives another type.

use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use serde_json::Value;

use super::choice::{AnswerStyle, ArrayAnswer, HeaderFamily, ResetFormat, RetryAfter, TokenFault};
use super::fault::RawFaults;
use super::fixed::{RawScripted, script};
use super::number::Whole;
use super::outage::{RawOutage, outages};
use super::quota::{LimitName, PerMs, RawQuota, RawThrottle, Requests, quotas};
use super::route::{RawRoute, routes};
use super::shape::{Name, Object, OneOrMany, Range};
use super::{Config, ConfigError, Credentials, Others, Span, Tls, quoted};

/// OAuth clients at most.
const CLIENTS_MAX: usize = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Raw {
    port: Option<Whole<0, 65_535>>,
    host: Option<String>,
    seed: Option<Whole<0, 9_007_199_254_740_991>>,
    quota: Option<OneOrMany<RawQuota>>,
    token_quota: Option<OneOrMany<RawQuota>>,
    answer_style: Option<Name<AnswerStyle>>,
    headers: Option<Name<HeaderFamily>>,
    reset_format: Option<Name<ResetFormat>>,
    retry_after: Option<Name<RetryAfter>>,
    retry_after_text: Option<bool>,
    latency_ms: Option<Range>,
    arrival_ms: Option<Range>,
    faults: Option<Object<RawFaults>>,
    script: Option<Vec<Object<RawScripted>>>,
    routes: Option<Vec<Object<RawRoute>>>,
    outages: Option<Vec<Object<RawOutage>>>,
    refuse: Option<bool>,
    token_life_ms: Option<Whole<1, 172_800_000>>,
    credentials: Option<Object<RawCredentials>>,
    clients: Option<Vec<Object<RawCredentials>>>,
    auth_required: Option<bool>,
    token_throttle: Option<Object<RawThrottle>>,
    token_fault: Option<Name<TokenFault>>,
    max_body_bytes: Option<Whole<1, 67_108_864>>,
    poison_text: Option<String>,
    array_answer: Option<Name<ArrayAnswer>>,
    others: Option<Object<RawOthers>>,
    tls: Option<Object<RawTls>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawOthers {
    requests: Requests,
    per_ms: PerMs,
    burst: Option<Whole<1, 100_000>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawCredentials {
    client_id: String,
    client_secret: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    cert: String,
    key: String,
}

impl Raw {
    pub(super) fn validate(self, json: Value) -> Result<Config, ConfigError> {
        let style = self.answer_style.map_or(AnswerStyle::Gateway, Name::get);
        let (usual_headers, token_limit) = match style {
            AnswerStyle::Gateway => (HeaderFamily::X, None),
            AnswerStyle::Genesys => (HeaderFamily::None, Some(LimitName::of_a_token())),
        };
        let retry_after = self.retry_after.map_or(RetryAfter::Right, Name::get);
        let (faults, slow_us) = self.faults.map_or_else(RawFaults::default, |Object(raw)| raw).validate()?;
        Ok(Config {
            port: self.port.map_or(0, |port| port.0 as u16),
            host: host(self.host.as_deref())?,
            seed: self.seed.map_or(1, |seed| seed.0),
            quotas: quotas(self.quota, "quota", None)?,
            token_quotas: quotas(self.token_quota, "tokenQuota", token_limit.as_ref())?,
            headers: self.headers.map_or(usual_headers, Name::get),
            reset_format: self.reset_format.map_or(ResetFormat::Seconds, Name::get),
            retry_after,
            retry_after_text: self.retry_after_text.unwrap_or(retry_after == RetryAfter::Right),
            latency: self.latency_ms.map_or(Ok(Span::default()), |range| span(range, "latencyMs"))?,
            arrival: self.arrival_ms.map(|range| span(range, "arrivalMs")).transpose()?,
            faults,
            slow_us,
            script: script(self.script.unwrap_or_default())?,
            routes: routes(self.routes.unwrap_or_default())?,
            outages: outages(self.outages.unwrap_or_default(), self.tls.is_some())?,
            refuse: self.refuse.unwrap_or(false),
            token_life_us: self.token_life_ms.map_or(86_400_000, |ms| ms.0) * 1_000,
            credentials: self.credentials.map(|Object(raw)| raw.into()),
            clients: clients(self.clients.unwrap_or_default())?,
            auth_required: self.auth_required.unwrap_or(true),
            token_throttle: self.token_throttle.map(|Object(raw)| raw.validate()),
            token_fault: self.token_fault.map(Name::get),
            max_body_bytes: self.max_body_bytes.map_or(512_000, |bytes| bytes.0 as usize),
            poison_text: self.poison_text.filter(|text| !text.is_empty()),
            array_answer: self.array_answer.map_or(ArrayAnswer::Status, Name::get),
            others: self.others.map(|Object(raw)| Others {
                requests: raw.requests.0,
                per_us: raw.per_ms.0 * 1_000,
                burst: raw.burst.map_or(1, |burst| burst.0),
            }),
            tls: self.tls.map(|Object(raw)| Tls { cert: raw.cert, key: raw.key }),
            json,
        })
    }
}

impl From<RawCredentials> for Credentials {
    fn from(raw: RawCredentials) -> Self {
        Self { id: raw.client_id, secret: raw.client_secret }
    }
}

fn clients(list: Vec<Object<RawCredentials>>) -> Result<Vec<Credentials>, ConfigError> {
    if list.len() > CLIENTS_MAX {
        return Err(ConfigError::new("clients", "a list of at most 100", list.len()));
    }
    Ok(list.into_iter().map(|Object(raw)| raw.into()).collect())
}

fn host(text: Option<&str>) -> Result<IpAddr, ConfigError> {
    match text {
        None | Some("localhost") => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Some(text) => text.parse().map_err(|_| ConfigError::new("host", "an IP address or 'localhost'", quoted(text))),
    }
}

fn span(range: Range, field: &str) -> Result<Span, ConfigError> {
    if range.min.0 > range.max.0 {
        return Err(ConfigError::new(field, "a range with min ≤ max", format!("{} > {}", range.min.0, range.max.0)));
    }
    Ok(Span { min_us: range.min.ms_to_us(), max_us: range.max.ms_to_us() })
}
