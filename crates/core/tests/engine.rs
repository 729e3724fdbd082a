//! The engine's thread: what outlives an engine that fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use spillway_core::clock::Clock;
use spillway_core::engine::sink::{Completion, Sink};
use spillway_core::handle::Handle;
use spillway_core::settings::Settings;

const PATIENCE: Duration = Duration::from_secs(20);

/// Passes on what it hears; if it is fragile, everything that it hears makes it panic.
struct Ear {
    heard: Mutex<Sender<Completion>>,
    fragile: bool,
}

impl Sink for Ear {
    fn complete(&self, completions: Vec<Completion>, _: &Clock) {
        assert!(!self.fragile, "a panic on the engine's thread, for a test");
        for completion in completions {
            let _ = self.heard.lock().unwrap().send(completion);
        }
    }
}

#[test]
fn an_engine_that_fails_again_and_again_tells_its_senders_and_makes_way_for_another() {
    let settings = || {
        let options = json!({
            "organization": "fragile", "apiUrl": "http://127.0.0.1:1", "credentials": { "accessToken": "token" },
            "route": "messaging", "store": "memory", "rateLimit": { "requests": 1, "perMs": 1_000 },
        });
        Settings::from_json(&options.to_string()).unwrap()
    };
    let open = |fragile: bool| {
        let (heard, hears) = channel();
        let ear = Ear { heard: Mutex::new(heard), fragile };
        (Handle::open(settings(), Arc::new(ear)).unwrap(), hears)
    };
    let (fragile, _told) = open(true);
    let (other, others) = open(false);
    fragile.ready(1);
    let mut survived = 0;
    while !matches!(others.recv_timeout(PATIENCE).unwrap(), Completion::Broken) {
        survived += 1;
    }
    // Three panics a minute are survived. All may be over before this one has heard of the first.
    assert!(survived <= 3, "{survived}");
    // Nobody hears it any more, and nobody waits for it.
    other.ready(2);

    let (next, hears) = open(false);
    next.ready(3);
    assert!(matches!(hears.recv_timeout(PATIENCE).unwrap(), Completion::Ready(3, _)));
}
