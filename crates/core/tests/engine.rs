//! The engine's thread: what outlives an engine that fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use spillway_core::clock::Clock;
use spillway_core::engine::sink::{Completion, Sink};
use spillway_core::handle::Handle;
use spillway_core::settings::Settings;

const PATIENCE: Duration = Duration::from_secs(20);

/// Passes on what it hears; the first thing that it hears breaks it, if it is fragile.
struct Ear {
    heard: Mutex<Sender<Completion>>,
    fragile: AtomicBool,
}

impl Sink for Ear {
    fn complete(&self, completions: Vec<Completion>, _: &Clock) {
        assert!(!self.fragile.swap(false, Ordering::Relaxed), "a panic on the engine's thread, for a test");
        for completion in completions {
            let _ = self.heard.lock().unwrap().send(completion);
        }
    }
}

#[test]
fn an_engine_that_fails_tells_its_senders_and_makes_way_for_another() {
    let settings = || {
        let options = json!({
            "organization": "fragile", "apiUrl": "http://127.0.0.1:1", "credentials": { "accessToken": "token" },
            "route": "messaging", "store": "memory", "rateLimit": { "requests": 1, "perMs": 1_000 },
        });
        Settings::from_json(&options.to_string()).unwrap()
    };
    let open = |fragile: bool| {
        let (heard, hears) = channel();
        let ear = Ear { heard: Mutex::new(heard), fragile: AtomicBool::new(fragile) };
        (Handle::open(settings(), Arc::new(ear)).unwrap(), hears)
    };
    let (fragile, _told) = open(true);
    let (other, others) = open(false);
    fragile.ready(1);
    assert!(matches!(others.recv_timeout(PATIENCE).unwrap(), Completion::Broken));
    // Nobody hears it any more, and nobody waits for it.
    other.ready(2);

    let (next, hears) = open(false);
    next.ready(3);
    assert!(matches!(hears.recv_timeout(PATIENCE).unwrap(), Completion::Ready(3, _)));
}
