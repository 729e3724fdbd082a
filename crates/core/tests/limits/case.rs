//! One run: the server, what the sender is told about it, and when its quota changes.

use serde_json::{Value, json};

/// The servers' algorithms; seeds go round them.
pub const ALGORITHMS: [&str; 3] = ["fixed-window", "sliding-log", "token-bucket"];
/// And with windows that open with their first request, as Genesys' probably do.
pub const ALL_ALGORITHMS: [&str; 4] = ["fixed-window", "opened-window", "sliding-log", "token-bucket"];

#[derive(Clone, Debug)]
pub struct Case {
    /// The sender's `rateLimit`.
    pub rate_limit: Value,
    /// The model's configuration.
    pub server: Value,
    /// Quota and its length: what is to be reached.
    pub requests: u64,
    pub per_ms: u64,
    /// How long a run takes, and what of its beginning doesn't count.
    pub run_ms: u64,
    pub warm_ms: u64,
    /// What the server becomes, and when; and what its quota is then.
    pub changes: Vec<Change>,
    /// After each change so much isn't counted.
    pub settle_ms: u64,
    /// Only headers with one of these limits come through.
    pub shown: Option<&'static str>,
    /// No header tells when the window ends.
    pub without_reset: bool,
    /// Messages come at this share of the quota's rate; `None`: more wait all the time than a window takes.
    pub load: Option<f64>,
    /// Conversations that send, without an order: with one, a 429 that names nothing concerns everything that is sent.
    pub conversations: u64,
    /// Who sends instead.
    pub crowd: Option<Crowd>,
    /// What has a limit of its own, and always something waiting.
    pub limited: Option<Limited>,
    pub words: String,
}

/// What is sent besides, and meets a limit of its own.
#[derive(Clone, Copy, Debug)]
pub enum Limited {
    /// Calls of one endpoint.
    Endpoint,
    /// Messages of one conversation.
    Conversation,
}

/// Conversations that want more than the quota all the time, and others that come late.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    pub busy: u64,
    /// The busy ones send the next message when the one before has arrived; otherwise a hundred of each wait.
    pub one_by_one: bool,
    /// A new conversation comes so often, on average ...
    pub late_every_ms: u64,
    /// ... and sends so many messages, five seconds apart.
    pub late_messages: u64,
}

#[derive(Clone, Debug)]
pub struct Change {
    pub at_ms: u64,
    pub server: Value,
    pub requests: u64,
}

pub fn quota(requests: u64, per_ms: u64, algorithm: &str) -> Value {
    json!({ "requests": requests, "perMs": per_ms, "algorithm": algorithm })
}

impl Case {
    pub fn new(requests: u64, per_ms: u64, algorithm: &str, latency_ms: (u64, u64)) -> Self {
        let latency = json!({ "min": latency_ms.0, "max": latency_ms.1 });
        Self {
            rate_limit: json!("learn"),
            server: json!({ "quota": quota(requests, per_ms, algorithm), "latencyMs": latency }),
            requests,
            per_ms,
            run_ms: 1_800_000,
            warm_ms: 0,
            changes: Vec::new(),
            settle_ms: 0,
            shown: None,
            without_reset: false,
            load: None,
            conversations: 1,
            crowd: None,
            limited: None,
            words: format!("{requests} per {per_ms} ms, {algorithm}"),
        }
    }

    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.server[key] = json!(value);
        self.words += &format!(", {key} {value}");
        self
    }

    /// Told to begin with so much of the real quota; `None`: with the default.
    pub fn starting(mut self, share: Option<f64>) -> Self {
        if let Some(share) = share {
            let requests = ((self.requests as f64 * share) as u64).max(1);
            self.rate_limit = json!({ "learn": true, "start": { "requests": requests, "perMs": self.per_ms } });
            self.words += &format!(", starting at {requests}");
        }
        self
    }
}
