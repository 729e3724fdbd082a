//! The ledger as it is handed out.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a simulator has seen since its start. Times are milliseconds since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Report {
    /// API requests that the server counted, refused ones included; not those cut before.
    pub arrivals: u64,
    /// Those that were accepted, their answer cut or not.
    pub accepted: u64,
    /// Those that got 429.
    pub refused: u64,
    /// How often each status was answered; an answer that was cut or garbage has none.
    pub statuses: BTreeMap<u16, u64>,
    /// The most arrivals, refused or not, in any rolling `window_ms`.
    pub most_in_window: u64,
    /// The window of the first quota; 1000 without one. A new length starts a new count.
    pub window_ms: f64,
    /// The arrivals of each OAuth client, by its id, and the most of them in any rolling window of the first
    /// `tokenQuota`; empty without one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub clients: BTreeMap<String, ClientReport>,
    /// The most API requests between sending and answer at once.
    pub max_in_flight: u64,
    /// The same within one conversation.
    pub max_in_flight_per_conversation: u64,
    /// Acceptances of a message id beyond its first.
    pub duplicates: u64,
    /// Message ids that were accepted; counted up to 5,000,000.
    pub unique_ids: u64,
    /// Accepted messages whose `seq` isn't above that of another message accepted before in their conversation.
    pub order_violations: u64,
    /// TCP connections accepted.
    pub connections_opened: u64,
    /// The most of them open at once.
    pub connections_open_max: u64,
    /// Token requests.
    pub token_requests: u64,
    /// Tokens issued.
    pub tokens_issued: u64,
    /// API requests cut before they counted.
    pub cuts_before: u64,
    /// Accepted API requests whose answer was cut.
    pub cuts_after: u64,
    /// Accepted API requests that were answered with an error.
    pub accepted_then_failed: u64,
    /// Requests, for tokens too, that met an outage.
    pub outage_requests: u64,
    /// When the first API request arrived.
    pub first_arrival_ms: Option<f64>,
    /// When the last one was accepted.
    pub last_accepted_ms: Option<f64>,
    /// How often each message id was accepted; only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<BTreeMap<String, u32>>,
    /// How often each message id was accepted with the answer cut or garbage; only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_ids: Option<BTreeMap<String, u32>>,
    /// How often each message id was accepted, and answered with an error; only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_ids: Option<BTreeMap<String, u32>>,
}

/// What has arrived with the tokens of an OAuth client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ClientReport {
    /// API requests, refused ones included.
    pub arrivals: u64,
    /// The most of them in any rolling window.
    pub most_in_window: u64,
}
