//! Routes that behave in their own way.

use hyper::Method;
use serde::Deserialize;

use super::fixed::{FixedAnswer, RawHeaders, RawStatus};
use super::pattern::PathPattern;
use super::quota::{LimitName, Quota, RawQuota, quotas};
use super::shape::{Name, Object, OneOrMany};
use super::{ConfigError, quoted};

const ROUTES_MAX: usize = 100;

/// A route with its own limits or its own answer. The first one that fits a request is its route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRule {
    /// `path`.
    pub path: PathPattern,
    /// `method`: default any.
    pub method: Option<String>,
    /// `quota`: those of the route, at most 8, all of which hold besides those of organization and token; default none.
    pub quotas: Vec<Quota>,
    /// `quotaPer`: default `route`.
    pub quota_per: QuotaPer,
    /// `limitKey` and `namespace`: how a 429 names the route's limit; default not at all.
    pub limit: Option<LimitName>,
    /// `status`, `headers`, `body` and `accepted`: for each request that neither the script nor chance decides on.
    pub answer: FixedAnswer,
}

/// What shares a route's quota.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaPer {
    /// All requests of the route.
    Route,
    /// Those of one path: of one conversation, where the path names it.
    Path,
}

impl RouteRule {
    /// Whether a request is of this route.
    pub(crate) fn matches(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|own| own == method) && self.path.matches(path)
    }

    /// Whether what was spent of `other` counts here, too.
    pub(crate) fn has_the_limits_of(&self, other: &Self) -> bool {
        let limits = |rule: &Self| (rule.path.clone(), rule.method.clone(), rule.quotas.clone(), rule.quota_per);
        limits(self) == limits(other)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawRoute {
    path: PathPattern,
    method: Option<String>,
    quota: Option<OneOrMany<RawQuota>>,
    quota_per: Option<Name<QuotaPer>>,
    limit_key: Option<String>,
    namespace: Option<String>,
    status: Option<RawStatus>,
    headers: Option<RawHeaders>,
    body: Option<String>,
    accepted: Option<bool>,
}

impl RawRoute {
    fn validate(self, field: &str) -> Result<RouteRule, ConfigError> {
        let method = self.method.map(|method| read_method(&method, field)).transpose()?;
        if self.accepted.is_some() && self.status.is_none() {
            return Err(ConfigError::new(format!("{field}.accepted"), "given together with a status", "none"));
        }
        let limit = LimitName::read(self.limit_key, self.namespace);
        Ok(RouteRule {
            path: self.path,
            method,
            quotas: quotas(self.quota, &format!("{field}.quota"), limit.as_ref())?,
            quota_per: self.quota_per.map_or(QuotaPer::Route, Name::get),
            limit,
            answer: FixedAnswer::read(self.status, self.headers, self.body, self.accepted, field)?,
        })
    }
}

fn read_method(text: &str, field: &str) -> Result<String, ConfigError> {
    match Method::from_bytes(text.to_ascii_uppercase().as_bytes()) {
        Ok(method) => Ok(method.as_str().to_owned()),
        Err(_) => Err(ConfigError::new(format!("{field}.method"), "an HTTP method", quoted(text))),
    }
}

pub(super) fn routes(list: Vec<Object<RawRoute>>) -> Result<Vec<RouteRule>, ConfigError> {
    if list.len() > ROUTES_MAX {
        return Err(ConfigError::new("routes", &format!("at most {ROUTES_MAX} routes"), list.len()));
    }
    list.into_iter().enumerate().map(|(index, Object(raw))| raw.validate(&format!("routes[{index}]"))).collect()
}
