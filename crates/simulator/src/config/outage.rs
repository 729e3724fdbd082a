//! Outages by time.

use serde::Deserialize;

use super::ConfigError;
use super::fixed::{FixedAnswer, RawHeaders, RawStatus};
use super::number::Whole;
use super::pattern::PathPattern;
use super::shape::{Name, Object};

const OUTAGES_MAX: usize = 100;
/// A week in milliseconds.
const SPAN_MS_MAX: u64 = 604_800_000;

/// A time in which the server can't be reached, or something else answers in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// `kind`.
    pub kind: OutageKind,
    /// `fromMs` in microseconds after the list was set; 0 (default) to a week.
    pub from_us: u64,
    /// `forMs`, at most a week: where it ends, in microseconds after the list was set; default when the list changes.
    pub until_us: Option<u64>,
    /// `target`: default `api`; `both` where connections fail.
    pub target: Target,
    /// `paths`: it meets those only; default all.
    pub paths: Vec<PathPattern>,
    /// `status`, `headers` and `body` of `status` and `html`; `accepted` of these and of `hang`.
    pub answer: FixedAnswer,
}

/// How an outage shows.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum OutageKind {
    /// The port is closed: connects are refused.
    Refused,
    /// The connection of each request is reset.
    Reset,
    /// Every TLS handshake fails.
    Tls,
    /// A status with an error as the API words it; 503 by default.
    Status,
    /// A page of HTML: of a load balancer, or with status 200, the default, one that tells of maintenance.
    Html,
    /// No answer comes.
    Hang,
}

/// Which requests an outage meets.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Those to the API.
    Api,
    /// Those for tokens.
    Login,
    /// All.
    Both,
}

impl OutageKind {
    /// Whether it meets connections, before any request.
    pub(crate) fn is_of_the_port(self) -> bool {
        matches!(self, Self::Refused | Self::Tls)
    }

    fn has_an_answer(self) -> bool {
        matches!(self, Self::Status | Self::Html)
    }
}

impl Outage {
    /// Whether it lasts this many microseconds after the list was set.
    pub(crate) fn is_on(&self, since_us: u64) -> bool {
        self.from_us <= since_us && self.until_us.is_none_or(|until_us| since_us < until_us)
    }

    /// Whether it meets a request for a token, or one to this path of the API.
    pub(crate) fn meets(&self, path: Option<&str>) -> bool {
        let target = if path.is_some() { Target::Api } else { Target::Login };
        let on_path = path.is_none_or(|path| self.paths.is_empty() || self.paths.iter().any(|own| own.matches(path)));
        (self.target == Target::Both || self.target == target) && on_path
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawOutage {
    kind: Name<OutageKind>,
    from_ms: Option<Whole<0, SPAN_MS_MAX>>,
    for_ms: Option<Whole<1, SPAN_MS_MAX>>,
    target: Option<Name<Target>>,
    paths: Option<Vec<PathPattern>>,
    status: Option<RawStatus>,
    headers: Option<RawHeaders>,
    body: Option<String>,
    accepted: Option<bool>,
}

impl RawOutage {
    fn validate(self, field: &str, is_https: bool) -> Result<Outage, ConfigError> {
        let kind = self.kind.get();
        if kind == OutageKind::Tls && !is_https {
            return Err(ConfigError::new(format!("{field}.kind"), "another kind, since tls is not set", "\"tls\""));
        }
        let given = [
            ("status", self.status.is_some(), kind.has_an_answer()),
            ("headers", self.headers.is_some(), kind.has_an_answer()),
            ("body", self.body.is_some(), kind.has_an_answer()),
            ("accepted", self.accepted.is_some(), kind.has_an_answer() || kind == OutageKind::Hang),
            ("target", self.target.is_some(), !kind.is_of_the_port()),
            ("paths", self.paths.is_some(), !kind.is_of_the_port()),
        ];
        if let Some((name, ..)) = given.iter().find(|(_, is_given, is_allowed)| *is_given && !is_allowed) {
            return Err(ConfigError::new(format!("{field}.{name}"), "absent with this kind", "a value"));
        }
        let usual = match kind {
            OutageKind::Status => Some(503),
            OutageKind::Html => Some(200),
            _ => None,
        };
        let mut answer = FixedAnswer::read(self.status, self.headers, self.body, self.accepted, field)?;
        answer.status = answer.status.or(usual);
        answer.accepted = Some(answer.accepted.unwrap_or(false));
        let target = if kind.is_of_the_port() { Target::Both } else { Target::Api };
        let from_us = self.from_ms.map_or(0, |from| from.0 * 1_000);
        Ok(Outage {
            kind,
            from_us,
            until_us: self.for_ms.map(|span| from_us + span.0 * 1_000),
            target: self.target.map_or(target, Name::get),
            paths: self.paths.unwrap_or_default(),
            answer,
        })
    }
}

pub(super) fn outages(list: Vec<Object<RawOutage>>, is_https: bool) -> Result<Vec<Outage>, ConfigError> {
    if list.len() > OUTAGES_MAX {
        return Err(ConfigError::new("outages", &format!("at most {OUTAGES_MAX} outages"), list.len()));
    }
    let one = |(index, Object(raw)): (usize, Object<RawOutage>)| raw.validate(&format!("outages[{index}]"), is_https);
    list.into_iter().enumerate().map(one).collect()
}
