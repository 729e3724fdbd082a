//! One run: the kind and length of the outage, and what a seed decides about sender, server and traffic.

use serde_json::{Value, json};
use spillway_core::settings::Ambiguous;

use super::draw::Draw;

/// Steady traffic before the outage.
const BEFORE_US: u64 = 30_000_000;
/// An outage is up to so much shorter than its length says: its end meets every moment between two probes alike.
const LESS_US: u64 = 10_000_000;
/// What the server asks for where it asks for anything.
pub const RETRY_AFTER_SECONDS: u64 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Refused,
    Dns,
    Tls,
    Reset,
    CutAfter,
    Status(u16),
    RetryAfter,
    Page(u16),
}

impl Kind {
    pub fn words(self) -> String {
        match self {
            Self::Refused => "connections refused".to_owned(),
            Self::Dns => "DNS".to_owned(),
            Self::Tls => "TLS".to_owned(),
            Self::Reset => "connections reset".to_owned(),
            Self::CutAfter => "cut after acceptance".to_owned(),
            Self::Status(403) => "403 for everybody".to_owned(),
            Self::Status(status) => status.to_string(),
            Self::RetryAfter => format!("503, Retry-After: {RETRY_AFTER_SECONDS}"),
            Self::Page(status) => format!("a page of HTML, {status}"),
        }
    }

    /// Whether no request gets as far as the server: the problem, and how long it takes at most to see it.
    pub fn in_front(self) -> Option<(&'static str, u64)> {
        match self {
            Self::Refused => Some(("connection refused", 1_000)),
            Self::Dns => Some(("no address", 2_000_000)),
            Self::Tls => Some(("certificate expired", 200_000)),
            _ => None,
        }
    }

    /// Whether a message that leaves in the outage may have been processed, as far as anybody knows.
    pub fn leaves_unknown(self) -> bool {
        matches!(self, Self::Reset | Self::CutAfter | Self::Status(502 | 504) | Self::Page(200))
    }

    /// Patches of the server at the beginning and the end. `accepts`: what it fails has taken effect.
    pub fn patches(self, accepts: bool) -> (Value, Value) {
        let outage = |outage: Value| (json!({ "outages": [outage] }), json!({ "outages": null }));
        match self {
            Self::Refused | Self::Dns | Self::Tls => outage(json!({ "kind": "refused" })),
            Self::Reset => outage(json!({ "kind": "reset" })),
            Self::CutAfter => (json!({ "faults": { "cutAfter": 1 } }), json!({ "faults": null })),
            Self::Status(status) => {
                // What refuses before it processes accepts nothing.
                let accepted = accepts && !matches!(status, 403 | 503);
                outage(json!({ "kind": "status", "status": status, "accepted": accepted }))
            }
            Self::RetryAfter => {
                let headers = json!({ "retry-after": RETRY_AFTER_SECONDS.to_string() });
                outage(json!({ "kind": "status", "status": 503, "headers": headers }))
            }
            Self::Page(status) => outage(json!({ "kind": "html", "status": status })),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Minute,
    TenMinutes,
    Hour,
}

impl Length {
    pub const ALL: [Self; 3] = [Self::Minute, Self::TenMinutes, Self::Hour];

    pub fn minutes(self) -> u64 {
        match self {
            Self::Minute => 1,
            Self::TenMinutes => 10,
            Self::Hour => 60,
        }
    }
}

/// Spread evenly over few seeds already, by the golden ratio.
fn less_us(length: Length, seed: u64) -> u64 {
    let turn = seed * 618 + length.minutes() * 97;
    LESS_US / 1_000 * (turn % 1_000)
}

#[derive(Clone, Debug)]
pub struct Case {
    pub kind: Kind,
    pub ambiguous: Ambiguous,
    pub begins_us: u64,
    pub ends_us: u64,
    /// The budget.
    pub requests: u64,
    pub per_ms: u64,
    /// Between messages, on average.
    pub gap_us: u64,
    pub conversations: u64,
    pub latency_ms: (u64, u64),
    pub accepts: bool,
}

impl Case {
    pub fn of(kind: Kind, ambiguous: Ambiguous, length: Length, seed: u64) -> Self {
        let mut draw = Draw::stream(seed, 6);
        let (requests, per_ms) =
            *draw.pick(&[(60, 60_000), (300, 60_000), (300, 60_000), (1_000, 60_000), (50, 1_000)]);
        let share = draw.range(50, 90);
        let begins_us = BEFORE_US + draw.range(0, LESS_US);
        let low = draw.scale(5, 50);
        Self {
            kind,
            ambiguous,
            begins_us,
            ends_us: begins_us + length.minutes() * 60_000_000 - less_us(length, seed),
            requests,
            per_ms,
            gap_us: per_ms * 1_000 * 100 / (requests * share),
            conversations: draw.range(4, 200),
            latency_ms: (low, low + draw.scale(1, 100)),
            accepts: draw.percent(50),
        }
    }

    /// Whether nothing but a message finds the end: what is safe to repeat is answered all the time. With `'fail'` each
    /// of these messages may be lost, so they are few, and the end is found late.
    pub fn is_deceptive(&self) -> bool {
        self.kind == Kind::CutAfter && self.ambiguous == Ambiguous::Fail
    }

    /// Requests that leave within this time at the full rate.
    pub fn paced(&self, span_us: u64) -> f64 {
        self.requests as f64 * span_us as f64 / (self.per_ms * 1_000) as f64
    }

    pub fn words(&self) -> String {
        let Self { requests, per_ms, gap_us, conversations, latency_ms: (min, max), .. } = self;
        let lasts_ms = (self.ends_us - self.begins_us) / 1_000;
        format!(
            "{requests} per {per_ms} ms, a message per {gap_us} µs, {conversations} conversations, {min}-{max} ms, {lasts_ms} ms"
        )
    }

    pub fn options(&self) -> Value {
        let ambiguous = if self.ambiguous == Ambiguous::Fail { "fail" } else { "retry" };
        json!({
            "organization": "recovery",
            "apiUrl": "http://127.0.0.1:1",
            "credentials": { "accessToken": "token" },
            "route": "messaging",
            "store": "memory",
            "rateLimit": { "requests": self.requests, "perMs": self.per_ms },
            "retry": { "ambiguous": ambiguous },
        })
    }

    pub fn server(&self) -> Value {
        let (min, max) = self.latency_ms;
        json!({ "latencyMs": { "min": min, "max": max } })
    }
}
