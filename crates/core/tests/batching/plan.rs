//! What a run is made of.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use spillway_core::settings::Settings;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    None,
    Array,
    ArrayOrdered,
    Merge,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub mode: Mode,
    pub conversations: u64,
    pub messages: u64,
    /// Submissions are spread over so long.
    pub span_ms: u64,
    pub max_messages: u64,
    pub max_bytes: u64,
    pub linger_ms: u64,
    pub max_text_length: u64,
    pub requests_per_second: u64,
    pub connections: u64,
    pub latency_ms: u64,
    pub ordered: bool,
    pub cost_message: bool,
    /// The sender is to find out what a batch costs.
    pub learn_cost: bool,
    pub ambiguous_fails: bool,
    /// Filler of each message, at most.
    pub filler: u64,
    pub server: Faults,
    /// Messages in a hundred.
    pub poison: u64,
    pub aborted: u64,
    pub expiring: u64,
    pub odd_fields: u64,
}

/// In a hundred requests, unless it says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    pub max_bytes: Option<usize>,
    pub lists: bool,
    pub unsent: u64,
    pub cut_before: u64,
    pub cut_after: u64,
    pub truncated: u64,
    pub unavailable: u64,
    pub too_many: u64,
    pub bad_list: u64,
    /// In a hundred messages of a list.
    pub item_unavailable: u64,
    pub item_too_many: u64,
}

impl Plan {
    /// No faults, and a quota that doesn't hinder.
    pub fn calm(mode: Mode) -> Self {
        Self {
            seed: 1,
            mode,
            conversations: 10,
            messages: 100,
            span_ms: 0,
            max_messages: if mode == Mode::Merge { 1_000 } else { 10 },
            max_bytes: 256_000,
            linger_ms: 500,
            max_text_length: 2_000,
            requests_per_second: 100_000,
            connections: 64,
            latency_ms: 20,
            ordered: true,
            cost_message: false,
            learn_cost: false,
            ambiguous_fails: false,
            filler: 20,
            server: Faults::default(),
            poison: 0,
            aborted: 0,
            expiring: 0,
            odd_fields: 0,
        }
    }

    pub fn is_array(&self) -> bool {
        matches!(self.mode, Mode::Array | Mode::ArrayOrdered)
    }

    pub fn settings(&self) -> Arc<Settings> {
        let route = if self.is_array() {
            json!({ "path": "/v2/conversations/messages", "array": true })
        } else {
            json!({ "path": "/x/{conversationId}", "textField": "text", "maxTextLength": self.max_text_length })
        };
        let mode = match self.mode {
            Mode::None => "none",
            Mode::Array | Mode::ArrayOrdered => "array",
            Mode::Merge => "merge",
        };
        let options = json!({
            "organization": "o", "apiUrl": "http://a", "credentials": { "accessToken": "t" }, "store": "memory",
            "route": route,
            "rateLimit": { "requests": self.requests_per_second, "perMs": 1_000 },
            "batch": {
                "mode": mode, "maxMessages": self.max_messages, "maxBytes": self.max_bytes, "lingerMs": self.linger_ms,
                "arrayOrdered": self.mode == Mode::ArrayOrdered,
                "cost": match (self.learn_cost, self.cost_message) {
                    (true, _) => "learn",
                    (false, true) => "message",
                    (false, false) => "request",
                },
            },
            "retry": {
                "maxAttempts": 1_000, "maxAgeMs": 2_592_000_000_u64,
                "ambiguous": if self.ambiguous_fails { "fail" } else { "retry" },
            },
            "ordering": if self.ordered { "conversation" } else { "none" },
            "connections": { "max": self.connections },
        });
        Arc::new(Settings::from_json(&options.to_string()).unwrap())
    }
}

fn faults() -> impl Strategy<Value = Faults> {
    let percent = |max: u64| prop_oneof![2 => Just(0), 1 => 0..max];
    let requests = (percent(30), percent(30), percent(30), percent(20), percent(40), percent(30));
    let lists = (any::<bool>(), percent(40), percent(40), percent(30));
    (proptest::option::of(200..4_000_usize), requests, lists).prop_map(|(max_bytes, requests, lists)| Faults {
        max_bytes,
        lists: lists.0,
        unsent: requests.0,
        cut_before: requests.1,
        cut_after: requests.2,
        truncated: requests.3,
        unavailable: requests.4,
        too_many: requests.5,
        bad_list: lists.1,
        item_unavailable: lists.2,
        item_too_many: lists.3,
    })
}

/// Any mode with any mishap.
pub fn any_plan() -> impl Strategy<Value = Plan> {
    let mode = prop_oneof![
        1 => Just(Mode::None), 3 => Just(Mode::Array), 3 => Just(Mode::ArrayOrdered), 3 => Just(Mode::Merge)
    ];
    let traffic = (1..12_u64, 1..80_u64, prop_oneof![Just(0_u64), 1..3_000_u64], 1..300_u64);
    let batch = (1..25_u64, 1_024..6_000_u64, 0..400_u64, 20..600_u64);
    let limits = (3..2_000_u64, 1..9_u64, 0..300_u64);
    let flags = (proptest::bool::weighted(0.8), any::<bool>(), proptest::bool::weighted(0.2));
    let percent = |max: u64| prop_oneof![2 => Just(0), 1 => 0..max];
    let messages = (percent(25), percent(25), percent(25), percent(30));
    (any::<u64>(), mode, traffic, batch, limits, flags, faults(), messages).prop_map(
        |(seed, mode, traffic, batch, limits, flags, server, messages)| Plan {
            seed,
            mode,
            conversations: traffic.0,
            messages: traffic.1,
            span_ms: traffic.2,
            filler: traffic.3,
            max_messages: batch.0,
            max_bytes: batch.1,
            linger_ms: batch.2,
            max_text_length: batch.3,
            requests_per_second: limits.0,
            connections: limits.1,
            latency_ms: limits.2,
            ordered: flags.0,
            cost_message: flags.1,
            learn_cost: false,
            ambiguous_fails: flags.2,
            server,
            poison: messages.0,
            aborted: messages.1,
            expiring: messages.2,
            odd_fields: messages.3,
        },
    )
}
