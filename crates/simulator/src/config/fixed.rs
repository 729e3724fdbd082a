//! Answers that are laid down beforehand: by a line of the script, a route, or an outage.

use std::collections::BTreeMap;

use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use serde::Deserialize;

use super::choice::Fault;
use super::number::Whole;
use super::shape::{Name, Object};
use super::{ConfigError, quoted};

const HEADERS_MAX: usize = 1_000;

/// `headers` as it is written.
pub(super) type RawHeaders = BTreeMap<String, Option<String>>;
/// `status` as it is written.
pub(super) type RawStatus = Whole<200, 599>;

/// What is answered instead of the usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FixedAnswer {
    /// `status`, 200 to 599.
    pub status: Option<u16>,
    /// `headers`, names in lower case: sent besides the usual ones, or in place of those of the same name.
    pub headers: Vec<(String, String)>,
    /// `body`: sent instead of the usual one.
    pub body: Option<String>,
    /// `accepted`: whether the request takes effect, although it is answered so; by default with a status below 300.
    pub accepted: Option<bool>,
}

impl FixedAnswer {
    pub(super) fn read(
        status: Option<RawStatus>,
        headers: Option<RawHeaders>,
        body: Option<String>,
        accepted: Option<bool>,
        field: &str,
    ) -> Result<Self, ConfigError> {
        let headers = read_headers(headers.unwrap_or_default(), field)?;
        Ok(Self { status: status.map(|status| status.0 as u16), headers, body, accepted })
    }

    /// The status, if the request is answered with it whatever it is, and takes no effect.
    pub(crate) fn status_in_front(&self) -> Option<u16> {
        self.status.filter(|status| !self.accepted.unwrap_or(*status < 300))
    }
}

fn read_headers(raw: RawHeaders, field: &str) -> Result<Vec<(String, String)>, ConfigError> {
    if raw.len() > HEADERS_MAX {
        return Err(ConfigError::new(format!("{field}.headers"), &format!("at most {HEADERS_MAX} headers"), raw.len()));
    }
    let mut headers = Vec::with_capacity(raw.len());
    for (name, value) in raw {
        let Some(value) = value else { continue };
        let field = || format!("{field}.headers.{name}");
        let known = HeaderName::from_bytes(name.as_bytes());
        let known = known.map_err(|_| ConfigError::new(field(), "a header's name", quoted(&name)))?;
        if [CONTENT_LENGTH, TRANSFER_ENCODING].contains(&known) {
            return Err(ConfigError::new(field(), "left to the simulator", quoted(&value)));
        }
        HeaderValue::from_str(&value)
            .map_err(|_| ConfigError::new(field(), "a text without control characters", quoted(&value)))?;
        headers.push((known.as_str().to_owned(), value));
    }
    Ok(headers)
}

/// What happens to one request; at least one field is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scripted {
    /// `fault`: as if chance had chosen it.
    pub fault: Option<Fault>,
    /// `status`, `headers`, `body`, `accepted`.
    pub answer: FixedAnswer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawScripted {
    request: Whole<1, 9_007_199_254_740_991>,
    fault: Option<Name<Fault>>,
    status: Option<RawStatus>,
    headers: Option<RawHeaders>,
    body: Option<String>,
    accepted: Option<bool>,
}

pub(super) fn script(list: Vec<Object<RawScripted>>) -> Result<BTreeMap<u64, Scripted>, ConfigError> {
    let mut script = BTreeMap::new();
    for (index, Object(line)) in list.into_iter().enumerate() {
        let field = format!("script[{index}]");
        if line.accepted.is_some() && line.status.is_none() {
            let field = format!("{field}.accepted");
            return Err(ConfigError::new(field, "given together with a status", "none"));
        }
        let answer = FixedAnswer::read(line.status, line.headers, line.body, line.accepted, &field)?;
        let scripted = Scripted { fault: line.fault.map(Name::get), answer };
        if scripted == Scripted::default() {
            let allowed = "a line with a fault, a status, headers or a body";
            return Err(ConfigError::new(field, allowed, "none of them"));
        }
        if script.insert(line.request.0, scripted).is_some() {
            let field = format!("{field}.request");
            return Err(ConfigError::new(field, "a number that no other line has", line.request.0));
        }
    }
    Ok(script)
}
