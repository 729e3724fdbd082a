//! What is believed of the quota, and why: for `stats()`, for events, and for whoever keeps it across restarts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a belief rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The setting `rateLimit`.
    Configured,
    /// The setting `rateLimit.start`, or its default: nothing has been learned yet.
    Start,
    /// The organization's limits, as its API lists them, say so: a first belief.
    Limits,
    /// Headers of the server's answers name it.
    Headers,
    /// No header names it: refusals showed where it ends.
    Refusals,
}

impl Why {
    /// Whether it is believed only until the server's answers say something.
    pub(super) fn is_first_belief(self) -> bool {
        matches!(self, Self::Start | Self::Limits)
    }

    /// The word in stats and events.
    pub fn word(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Start => "start",
            Self::Limits => "limits",
            Self::Headers => "headers",
            Self::Refusals => "refusals",
        }
    }
}

/// One limit that is believed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Believed {
    /// Requests of a window.
    pub requests: u32,
    /// The window.
    pub per: Duration,
    /// Why.
    pub why: Why,
    /// What is left of it for us, when others use the same quota.
    pub share: Option<u32>,
}

/// What has been learned, to be kept. Times are ages: the clocks of two processes have nothing in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Belief {
    /// The limits; they hold together. Empty when nothing has been learned.
    #[serde(rename = "layers")]
    pub policies: Vec<BelievedPolicy>,
}

/// A limit in a [`Belief`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BelievedPolicy {
    /// Requests of a window.
    pub requests: u32,
    /// The window, in milliseconds.
    pub per_ms: u64,
    /// Why.
    pub why: Why,
    /// For how long it has been believed, in milliseconds.
    pub age_ms: u64,
}
