//! What a seed decides before the run starts: the options of the sender, the server, and the shape of the traffic.

use serde_json::{Value, json};
use spillway_core::settings::Settings;
use spillway_simulator::Config;

use super::draw::Draw;
use super::scoped::{self, Scoped};
use super::weather::Weather;

/// The longest way to the server and back; requests time out later, so that each arrives before its end, if at all.
const LATENCY_MS_MAX: u64 = 200;

pub struct Plan {
    pub settings: Settings,
    pub server: Config,
    /// The server has our quota, and nobody else spends it: then a 429 is our fault.
    pub quota_is_ours: bool,
    pub actions: u64,
    /// Traffic and faults end here; after it the server is well.
    pub traffic_us: u64,
    /// The run is given up here, as by a crash.
    pub stop_us: Option<u64>,
    pub conversations: u64,
    /// How likely it is that a message has an id of its caller's, and that this is an older one.
    pub ids_percent: u64,
    pub repeats_percent: u64,
    /// How likely spells of refused connections, wrong credentials and broken token requests are.
    pub spells: u64,
    /// Timers fire up to so much late.
    pub late_us: u64,
    /// What one route answers, while everything else is well.
    pub scoped: Option<Scoped>,
    /// What befalls the whole server, or a route's limit.
    pub weather: Option<Weather>,
    pub words: String,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw::stream(seed, 1);
        let rates = rates(&mut draw);
        let longest_ms = rates.iter().map(|(_, per_ms)| *per_ms).max().unwrap_or(1);
        let mut options = options(&mut draw, &rates);
        let (mut server, mut quota_is_ours) = server(&mut draw, &rates, &options);
        let mut traffic_us = 1_000 * draw.range(200, (4 * longest_ms).clamp(1_000, 30_000));
        let scoped = Scoped::of(seed);
        if scoped.is_some() {
            scoped::calm(&mut options, &mut server);
            (traffic_us, quota_is_ours) = (scoped::TRAFFIC_US, true);
        }
        let weather = Weather::of(seed);
        if let Some(weather) = weather {
            (traffic_us, quota_is_ours) = weather.befall(seed, traffic_us, &mut options, &mut server);
        }
        let words = format!("options {options}\nserver  {server}\nscoped  {scoped:?}\nweather {weather:?}");
        Self {
            settings: Settings::from_json(&options.to_string()).expect("drawn options are valid"),
            server: Config::from_json(&server.to_string()).expect("a drawn server is valid"),
            quota_is_ours,
            actions: draw.scale(10, 400),
            traffic_us,
            stop_us: draw.percent(15).then(|| draw.range(0, 2 * traffic_us)),
            conversations: draw.scale(1, 40),
            ids_percent: *draw.pick(&[0, 50, 100]),
            repeats_percent: *draw.pick(&[0, 10, 50]),
            spells: draw.range(0, 3) * u64::from(scoped.is_none() && weather.is_none()),
            late_us: *draw.pick(&[0, 0, 50, 2_000]),
            scoped,
            weather,
            words,
        }
    }
}

fn rates(draw: &mut Draw) -> Vec<(u64, u64)> {
    let mut rates = vec![(draw.scale(1, 1_000), draw.scale(100, 60_000))];
    if draw.percent(30) {
        let (requests, per_ms) = rates[0];
        rates.push((draw.scale(requests, 1_000), draw.scale(per_ms, 60_000)));
    }
    rates
}

fn options(draw: &mut Draw, rates: &[(u64, u64)]) -> Value {
    let small_queue = draw.percent(40);
    let rate = |draw: &mut Draw, (requests, per_ms): (u64, u64)| match draw.percent(20) {
        true => json!({ "requests": requests, "perMs": per_ms, "burst": draw.range(1, requests) }),
        false => json!({ "requests": requests, "perMs": per_ms }),
    };
    json!({
        "organization": "simulated",
        "apiUrl": "http://127.0.0.1:1",
        "credentials": { "clientId": "id", "clientSecret": "right" },
        "route": "messaging",
        "store": "memory",
        "rateLimit": rates.iter().map(|one| rate(draw, *one)).collect::<Vec<_>>(),
        "retry": {
            "maxAttempts": draw.scale(1, 20),
            "maxAgeMs": draw.pick(&[1_000, 30_000, 600_000]),
            "ambiguous": draw.pick(&["retry", "fail"]),
            "maxPauseMs": draw.scale(1_000, 180_000),
        },
        "ordering": draw.pick(&["conversation", "conversation", "conversation", "none"]),
        "queue": {
            "maxMessages": if small_queue { draw.scale(1, 60) } else { 100_000 },
            "maxBytes": if small_queue { draw.scale(1_024, 16_384) } else { 268_435_456 },
            "whenFull": draw.pick(&["wait", "reject"]),
        },
        "connections": { "max": draw.scale(1, 64), "requestTimeoutMs": draw.range(LATENCY_MS_MAX + 50, 5_000) },
        "dedupeMs": draw.pick(&[0, 1_000, 86_400_000]),
    })
}

fn server(draw: &mut Draw, rates: &[(u64, u64)], options: &Value) -> (Value, bool) {
    let lower = draw.percent(30);
    let others = draw.percent(15);
    let quota = |draw: &mut Draw, (requests, per_ms): (u64, u64)| {
        let requests = if lower { draw.range(requests.div_ceil(4), requests) } else { requests };
        let algorithm = draw.pick(&["fixed-window", "sliding-log", "token-bucket"]);
        json!({ "requests": requests, "perMs": per_ms, "algorithm": algorithm })
    };
    let latency = draw.scale(1, LATENCY_MS_MAX + 1) - 1;
    let mut server = json!({
        "quota": rates.iter().map(|one| quota(draw, *one)).collect::<Vec<_>>(),
        "headers": draw.pick(&["x", "inin", "ietf", "ietf-legacy", "none"]),
        "resetFormat": draw.pick(&["seconds", "unix"]),
        "retryAfter": draw.pick(&["right", "zero", "date", "past", "absurd", "negative", "garbage", "missing"]),
        "retryAfterText": draw.percent(50),
        "latencyMs": { "min": draw.range(0, latency), "max": latency },
        "credentials": { "clientId": "id", "clientSecret": "right" },
        "tokenLifeMs": if draw.percent(40) { draw.scale(2_000, 60_000) } else { 86_400_000 },
        "faults": faults(draw, options),
    });
    if draw.percent(15) {
        server["tokenThrottle"] = json!({ "requests": draw.range(1, 3), "perMs": draw.scale(1_000, 10_000) });
    }
    if others {
        let (requests, per_ms) = rates[0];
        // At most half of it: the rest is what we live on.
        server["others"] =
            json!({ "requests": requests.min(200).div_ceil(2), "perMs": per_ms, "burst": draw.range(1, 5) });
        if requests == 1 {
            server["others"]["perMs"] = json!(2 * per_ms);
        }
    }
    (server, !lower && !others)
}

fn faults(draw: &mut Draw, options: &Value) -> Value {
    let mut faults = json!({});
    if draw.percent(40) {
        return faults;
    }
    let heavy = draw.percent(20);
    for name in
        ["cutBefore", "cutAfter", "garbage", "status500", "status502", "status503", "status504", "status408", "slow"]
    {
        if draw.percent(35) {
            faults[name] = json!(draw.range(1, if heavy { 5 } else { 2 }) as f64 / 100.0);
        }
    }
    let timeout_ms = options["connections"]["requestTimeoutMs"].as_u64().unwrap_or(1_000);
    faults["slowMs"] = json!(draw.range(100, 2 * timeout_ms));
    faults
}
