//! Weather of the whole server: outages by time, refusals of everything, failures after acceptance, and routes with
//! limits of their own.
//!
//! The kinds of [`Kind::STOOD`] are part of every run. The others break a rule today; `SPILLWAY_WEATHER=all` turns them
//! on, and who makes the dispatcher stand one moves it to the list.

use serde_json::{Value, json};
use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Effect};
use spillway_core::error::Error;
use spillway_core::outcome::{Reason, Response};
use spillway_core::stats::Snapshot;

use super::draw::Draw;
use super::ends::Came;
use super::scoped;
use super::sim::Sim;
use super::violation::{Checked, hold};

/// From this seed on there is such weather.
pub const FIRST_SEED: u64 = 2 << 32;
/// Traffic of a run with a long outage, which ends ten seconds before.
const LONG_US: u64 = 130_000_000;
/// After so many conversations in a row have been refused in the same way, it is no longer about their messages.
const SEVERAL: usize = 2;
/// Refusals that a gateway gives to everybody.
const SYSTEMIC: [u16; 9] = [301, 302, 308, 403, 404, 405, 407, 415, 511];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Outages of each kind that say so, of API and login host, with failures after acceptance and limited routes.
    Mixed,
    /// For a while everything is refused with one status.
    Systemic,
    /// For a while a page of HTML says 200.
    Page,
    /// One outage for two minutes, with the retry settings that everybody has.
    Long,
    /// Nearly everything that is accepted fails, and what takes no effect is answered.
    Deceptive,
}

impl Kind {
    const STOOD: [Self; 5] = [Self::Mixed, Self::Systemic, Self::Page, Self::Long, Self::Deceptive];
}

#[derive(Clone, Copy, Debug)]
pub struct Weather {
    kind: Kind,
    /// Of a systemic refusal.
    status: u16,
}

impl Weather {
    pub fn of(seed: u64) -> Option<Self> {
        let mut draw = Draw::stream(seed, 4);
        let kind = *draw.pick(&[Kind::Mixed, Kind::Mixed, Kind::Systemic, Kind::Page, Kind::Long, Kind::Deceptive]);
        let status = *draw.pick(&SYSTEMIC);
        (FIRST_SEED..scoped::FIRST_LIMITED_SEED).contains(&seed).then_some(Self { kind, status })
    }

    /// Whether the dispatcher must keep all rules in it today.
    pub fn is_stood(self) -> bool {
        Kind::STOOD.contains(&self.kind) || std::env::var_os("SPILLWAY_WEATHER").is_some()
    }

    /// Brings it about; how long the traffic lasts, and whether the quota is ours.
    pub fn befall(self, seed: u64, traffic_us: u64, options: &mut Value, server: &mut Value) -> (u64, bool) {
        let draw = &mut Draw::stream(seed, 5);
        match self.kind {
            Kind::Mixed => {
                let outages = draw.range(0, 3);
                server["outages"] = (0..outages).map(|_| outage(draw, traffic_us / 1_000)).collect();
                if draw.percent(50) {
                    fail_after_acceptance(draw, server);
                }
                if draw.percent(60) {
                    server["routes"] = json!([route(draw)]);
                }
                (traffic_us, false)
            }
            Kind::Systemic => {
                // Whatever is made of one conversation's end, it is none of everybody's.
                options["retry"]["endedConversation"] = json!(if seed.is_multiple_of(2) { "each" } else { "bury" });
                server["outages"] = json!([{ "kind": "status", "status": self.status, "fromMs": traffic_us / 4_000,
                    "forMs": traffic_us / 2_000 + 1 }]);
                (traffic_us, false)
            }
            Kind::Page => {
                server["outages"] =
                    json!([{ "kind": "html", "fromMs": traffic_us / 4_000, "forMs": traffic_us / 2_000 + 1 }]);
                (traffic_us, false)
            }
            Kind::Deceptive => {
                let fault = *draw.pick(&["status500After", "status502After", "status504After", "cutAfter"]);
                server["faults"] = json!({ fault: 0.9 });
                (traffic_us, false)
            }
            Kind::Long => {
                scoped::calm(options, server);
                options["retry"] = json!({ "ambiguous": options["retry"]["ambiguous"] });
                let mut outage = outage(draw, 0);
                (outage["fromMs"], outage["forMs"]) = (json!(1_000), json!(LONG_US / 1_000 - 10_000));
                server["outages"] = json!([outage]);
                (LONG_US, false)
            }
        }
    }
}

/// Somewhere in the first so many milliseconds.
fn outage(draw: &mut Draw, within_ms: u64) -> Value {
    let from_ms = draw.range(0, within_ms);
    let mut outage = match draw.range(0, 4) {
        0 => json!({ "kind": "refused" }),
        1 => json!({ "kind": "reset" }),
        2 => json!({ "kind": "status", "status": draw.pick(&[500, 502, 503, 504]) }),
        3 => json!({ "kind": "html", "status": draw.pick(&[502, 503, 504]) }),
        _ => json!({ "kind": "hang" }),
    };
    (outage["fromMs"], outage["forMs"]) = (json!(from_ms), json!(draw.scale(1, within_ms.max(2) / 2)));
    if outage["kind"] != "refused" {
        outage["target"] = json!(draw.pick(&["api", "api", "login", "both"]));
    }
    // A 503 promises that nothing was processed: whoever accepts before it breaks the table of the design, not we.
    let may_accept = outage["kind"] == "hang" || outage["status"].as_u64().is_some_and(|status| status != 503);
    if may_accept {
        outage["accepted"] = json!(draw.percent(50));
    }
    outage
}

fn fail_after_acceptance(draw: &mut Draw, server: &mut Value) {
    let mut faults = server["faults"].as_object().cloned().unwrap_or_default();
    for name in ["status500After", "status502After", "status504After", "status408After"] {
        if draw.percent(50) {
            faults.insert(name.to_owned(), json!(draw.range(1, 3) as f64 / 100.0));
        }
    }
    server["faults"] = Value::Object(faults);
}

fn route(draw: &mut Draw) -> Value {
    let path = *draw.pick(&["/api/v2/users/me", "/api/v2/messaging/**", "/**"]);
    let mut route = json!({ "path": path, "quotaPer": draw.pick(&["route", "path"]),
        "quota": { "requests": draw.range(1, 3), "perMs": draw.scale(500, 10_000) } });
    if draw.percent(80) {
        route["limitKey"] = json!("requests.per.route");
    }
    route
}

impl Sim {
    /// What came of an attempt. Notes refusals that are not about the message.
    pub(super) fn met(&mut self, attempt: AttemptId, response: &Response) -> Came {
        let is_page = response.headers.iter().any(|(name, _)| name == "content-type");
        let came = if is_page && response.status < 300 { Came::Unclear } else { Came::of(response.status) };
        match came {
            Came::Accepted => self.refused_in_a_row.clear(),
            Came::Refused if SYSTEMIC.contains(&response.status) => {
                self.refused_in_a_row.extend(self.oracle.conversation_of(attempt).map(str::to_owned));
            }
            _ => {}
        }
        came
    }

    /// What was never sent is given up in an outage alone.
    pub(super) fn check_given_up(&mut self, effect: &Effect) -> Checked {
        let Effect::Failed(_, Error::Delivery(failure)) = effect else { return Ok(()) };
        if failure.reason != Reason::Exhausted || failure.attempts > 0 {
            return Ok(());
        }
        self.tally.count("given up unsent");
        let is_outage = !self.dispatcher.snapshot(Timestamp::from_micros(self.now_us)).outages.is_empty();
        hold(is_outage && failure.id.is_none(), "1 given up", || format!("{failure:?} without an outage"))
    }

    /// A call that has a single attempt doesn't wait for the next probe of an outage.
    pub(super) fn check_held(&self, snapshot: &Snapshot) -> Checked {
        let now = Timestamp::from_micros(self.now_us);
        let whole = snapshot.outages.iter().find(|outage| outage.route.is_none() && outage.closure.reason == "breaker");
        if whole.is_none_or(|outage| outage.closure.next_probe.is_none_or(|at| at <= now)) {
            return Ok(());
        }
        let mut waiting = self.oracle.ready(self.now_us).map(|(_, model)| model);
        let held = waiting.find(|model| model.attempts_max == Some(1));
        hold(held.is_none(), "5 given up", || format!("{held:?} waits for the end of {whole:?}"))
    }

    pub(super) fn check_weather(&mut self, effect: &Effect) -> Checked {
        let Some(weather) = self.plan.weather else { return Ok(()) };
        let Effect::Buried { failure, .. } = effect else { return Ok(()) };
        let row = self.refused_in_a_row.len();
        let is_refusal = failure.reason == Reason::Rejected && self.now_us < self.plan.traffic_us;
        hold(!is_refusal || weather.kind != Kind::Systemic || row <= SEVERAL, "1 systemic", || {
            format!("{row} conversations were refused in a row, and {failure:?} is dead for it")
        })?;
        hold(weather.kind != Kind::Long || failure.reason != Reason::Exhausted, "1 outage", || {
            format!("an outage of two minutes has killed {failure:?}")
        })
    }
}
