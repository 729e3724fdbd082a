//! The configuration as it is written; `validate` gives another type.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use serde_json::Value;

use super::choice::{Algorithm, ArrayAnswer, Fault, HeaderFamily, ResetFormat, RetryAfter, TokenFault};
use super::number::{Real, Whole};
use super::shape::{LatencyMs, Object, OneOrMany, Range};
use super::{Config, ConfigError, Credentials, FaultRates, Others, Quota, Scripted, Span, Tls};

/// A day in milliseconds, the longest window.
type PerMs = Whole<1, 86_400_000>;
type Requests = Whole<1, 1_000_000>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Raw {
    port: Option<Whole<0, 65_535>>,
    host: Option<String>,
    seed: Option<Whole<0, 9_007_199_254_740_991>>,
    quota: Option<OneOrMany<RawQuota>>,
    token_quota: Option<OneOrMany<RawQuota>>,
    headers: Option<HeaderFamily>,
    reset_format: Option<ResetFormat>,
    retry_after: Option<RetryAfter>,
    retry_after_text: Option<bool>,
    latency_ms: Option<Range>,
    arrival_ms: Option<Range>,
    faults: Option<Object<RawFaults>>,
    script: Option<Vec<Object<RawScripted>>>,
    refuse: Option<bool>,
    token_life_ms: Option<Whole<1, 172_800_000>>,
    credentials: Option<Object<RawCredentials>>,
    auth_required: Option<bool>,
    token_throttle: Option<Object<RawThrottle>>,
    token_fault: Option<TokenFault>,
    max_body_bytes: Option<Whole<1, 67_108_864>>,
    poison_text: Option<String>,
    array_answer: Option<ArrayAnswer>,
    others: Option<Object<RawOthers>>,
    tls: Option<Object<RawTls>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawQuota {
    requests: Requests,
    per_ms: PerMs,
    algorithm: Option<Algorithm>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawThrottle {
    requests: Requests,
    per_ms: PerMs,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawOthers {
    requests: Requests,
    per_ms: PerMs,
    burst: Option<Whole<1, 100_000>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawFaults {
    cut_before: Option<Real<1>>,
    cut_after: Option<Real<1>>,
    status500: Option<Real<1>>,
    status502: Option<Real<1>>,
    status503: Option<Real<1>>,
    status504: Option<Real<1>>,
    status408: Option<Real<1>>,
    garbage: Option<Real<1>>,
    slow: Option<Real<1>>,
    slow_ms: Option<LatencyMs>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawScripted {
    request: Whole<1, 9_007_199_254_740_991>,
    fault: Option<Fault>,
    status: Option<Whole<200, 599>>,
    body: Option<String>,
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
        let retry_after = self.retry_after.unwrap_or(RetryAfter::Right);
        let (faults, slow_us) = self.faults.map_or_else(RawFaults::default, |Object(raw)| raw).validate()?;
        Ok(Config {
            port: self.port.map_or(0, |port| port.0 as u16),
            host: host(self.host.as_deref())?,
            seed: self.seed.map_or(1, |seed| seed.0),
            quotas: quotas(self.quota, "quota")?,
            token_quotas: quotas(self.token_quota, "tokenQuota")?,
            headers: self.headers.unwrap_or(HeaderFamily::X),
            reset_format: self.reset_format.unwrap_or(ResetFormat::Seconds),
            retry_after,
            retry_after_text: self.retry_after_text.unwrap_or(retry_after == RetryAfter::Right),
            latency: self.latency_ms.map_or(Ok(Span::default()), |range| span(range, "latencyMs"))?,
            arrival: self.arrival_ms.map(|range| span(range, "arrivalMs")).transpose()?,
            faults,
            slow_us,
            script: script(self.script.unwrap_or_default())?,
            refuse: self.refuse.unwrap_or(false),
            token_life_us: self.token_life_ms.map_or(86_400_000, |ms| ms.0) * 1_000,
            credentials: self
                .credentials
                .map(|Object(raw)| Credentials { id: raw.client_id, secret: raw.client_secret }),
            auth_required: self.auth_required.unwrap_or(true),
            token_throttle: self
                .token_throttle
                .map(|Object(raw)| quota(raw.requests, raw.per_ms, Some(Algorithm::FixedWindow))),
            token_fault: self.token_fault,
            max_body_bytes: self.max_body_bytes.map_or(512_000, |bytes| bytes.0 as usize),
            poison_text: self.poison_text.filter(|text| !text.is_empty()),
            array_answer: self.array_answer.unwrap_or(ArrayAnswer::Status),
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

impl RawFaults {
    fn validate(self) -> Result<(FaultRates, u64), ConfigError> {
        let rates = [
            (Fault::CutBefore, self.cut_before),
            (Fault::CutAfter, self.cut_after),
            (Fault::Status500, self.status500),
            (Fault::Status502, self.status502),
            (Fault::Status503, self.status503),
            (Fault::Status504, self.status504),
            (Fault::Status408, self.status408),
            (Fault::Garbage, self.garbage),
            (Fault::Slow, self.slow),
        ];
        let rates: Vec<_> = rates.iter().filter_map(|(fault, rate)| Some((*fault, (*rate)?.0))).collect();
        let sum: f64 = rates.iter().map(|(_, rate)| rate).sum();
        if sum > 1.0 + 1e-9 {
            return Err(ConfigError::new("faults", "probabilities with a sum of at most 1", sum));
        }
        let rates = rates.into_iter().filter(|(_, rate)| *rate > 0.0).collect();
        Ok((rates, self.slow_ms.map_or(30_000_000, Real::ms_to_us)))
    }
}

fn host(text: Option<&str>) -> Result<IpAddr, ConfigError> {
    match text {
        None | Some("localhost") => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Some(text) => text.parse().map_err(|_| ConfigError::new("host", "an IP address or 'localhost'", quoted(text))),
    }
}

fn quota(requests: Requests, per_ms: PerMs, algorithm: Option<Algorithm>) -> Quota {
    Quota { requests: requests.0, per_us: per_ms.0 * 1_000, algorithm: algorithm.unwrap_or(Algorithm::FixedWindow) }
}

fn quotas(raw: Option<OneOrMany<RawQuota>>, field: &str) -> Result<Vec<Quota>, ConfigError> {
    let list = raw.map_or_else(Vec::new, |many| many.0);
    if list.len() > 8 {
        return Err(ConfigError::new(field, "at most 8 quotas", list.len()));
    }
    Ok(list.into_iter().map(|raw| quota(raw.requests, raw.per_ms, raw.algorithm)).collect())
}

fn span(range: Range, field: &str) -> Result<Span, ConfigError> {
    if range.min.0 > range.max.0 {
        return Err(ConfigError::new(field, "a range with min ≤ max", format!("{} > {}", range.min.0, range.max.0)));
    }
    Ok(Span { min_us: range.min.ms_to_us(), max_us: range.max.ms_to_us() })
}

fn script(list: Vec<Object<RawScripted>>) -> Result<BTreeMap<u64, Scripted>, ConfigError> {
    let mut script = BTreeMap::new();
    for (index, Object(line)) in list.into_iter().enumerate() {
        let scripted =
            Scripted { fault: line.fault, status: line.status.map(|status| status.0 as u16), body: line.body };
        if scripted == Scripted::default() {
            let field = format!("script[{index}]");
            return Err(ConfigError::new(field, "a line with a fault, a status or a body", "none of them"));
        }
        if script.insert(line.request.0, scripted).is_some() {
            let field = format!("script[{index}].request");
            return Err(ConfigError::new(field, "a number that no other line has", line.request.0));
        }
    }
    Ok(script)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
