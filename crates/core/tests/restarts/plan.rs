//! What a seed decides before the run starts.

use serde_json::{Value, json};
use spillway_core::settings::Settings;

use crate::draw::Draw;

pub struct Plan {
    pub settings: Settings,
    pub requests: u64,
    pub per_us: u64,
    pub conversations: u64,
    pub actions: u64,
    pub span_us: u64,
    /// Of 100 requests, how many end in each way; the rest is accepted.
    pub lost: u64,
    pub answers_lost: u64,
    pub failed: u64,
    pub throttled: u64,
    /// Messages that wait in memory; the rest waits on disk alone.
    pub window: usize,
    /// Inserts that the disk has at a time while requests are sent.
    pub inserts_max: usize,
    pub words: String,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw::stream(seed, 1);
        let (requests, per_ms) = (draw.scale(5, 500), *draw.pick(&[1_000, 1_000, 5_000]));
        let mode = *draw.pick(&["none", "none", "array", "merge"]);
        let mut options = options(&mut draw, requests, per_ms, mode);
        if seed % 3 == 2 {
            // The ceiling is the server's limit, which it keeps exactly, whatever is learned below it.
            options["rateLimit"] =
                json!({ "learn": true, "start": options["rateLimit"], "ceiling": options["rateLimit"] });
        }
        Self {
            settings: Settings::from_json(&options.to_string()).expect("drawn options are valid"),
            requests,
            per_us: per_ms * 1_000,
            conversations: draw.scale(1, 30),
            actions: draw.scale(20, 300),
            span_us: draw.range(1_000_000, 10_000_000),
            lost: draw.range(0, 10),
            answers_lost: draw.range(0, 10),
            failed: draw.range(0, 10),
            throttled: *draw.pick(&[0, 0, 5]),
            window: *draw.pick(&[0, 3, 20, 8_192]),
            inserts_max: *draw.pick(&[1, 3, 1_024]),
            words: format!("options {options}"),
        }
    }
}

fn options(draw: &mut Draw, requests: u64, per_ms: u64, mode: &str) -> Value {
    let mut options = json!({
        "organization": "restarted",
        "apiUrl": "http://127.0.0.1:1",
        "credentials": { "accessToken": "token" },
        "route": if mode == "array" { "messaging-array" } else { "messaging" },
        "store": "file:restarted.db",
        "rateLimit": { "requests": requests, "perMs": per_ms },
        "retry": {
            "maxAttempts": draw.range(2, 10),
            "ambiguous": draw.pick(&["retry", "retry", "fail"]),
        },
        "queue": { "maxMessages": draw.pick(&[20, 100_000]), "whenFull": draw.pick(&["wait", "reject"]) },
        "connections": { "max": draw.scale(1, 32) },
    });
    if mode != "none" {
        options["batch"] = json!({ "mode": mode, "maxMessages": draw.range(2, 8), "lingerMs": draw.range(0, 200) });
    }
    options
}
