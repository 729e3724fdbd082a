//! Weather of a single route or conversation: it answers with one failing status for as long as there is traffic,
//! everything else is well. Whatever that does to its own requests, the others must not notice.

use serde_json::{Value, json};
use spillway_core::dispatcher::Effect;
use spillway_core::error::Error;
use spillway_core::outcome::DeliveryFailure;
use spillway_core::stats::{PauseScope, Snapshot};
use spillway_simulator::{Cut, Reply};

use super::draw::Draw;
use super::sim::Sim;
use super::submission_model::SubmissionModel;
use super::violation::{Checked, hold};
use super::weather;

/// From this seed on there is such weather; the seeds before are what they have always been.
pub const FIRST_SEED: u64 = 1 << 32;
/// Whatever a message waits for, it has left after this time if nothing holds it: a second's budget is a thousand
/// requests.
const FLOW_US: u64 = 5_000_000;
pub const TRAFFIC_US: u64 = 20_000_000;

const UNAUTHORIZED: u16 = 401;
/// The conversation's messages, or one route of calls.
const CONVERSATION: &str = "/api/v2/messaging/conversations/c-1/";
const CALLS: [&str; 2] = ["/api/v2/users/me", "/api/v2/conversations/messages/agentless"];

/// From this seed on it is a limit that the route or the conversation has for itself, and that its 429s name.
pub const FIRST_LIMITED_SEED: u64 = 3 << 32;
const TOO_MANY: u16 = 429;
/// `Retry-After` of those; 0 is none.
const WAITS: [u64; 5] = [0, 1, 3, 10, 600];

#[derive(Clone, Copy, Debug)]
pub struct Scoped {
    path: &'static str,
    status: u16,
    wait: u64,
}

impl Scoped {
    pub fn of(seed: u64) -> Option<Self> {
        let mut draw = Draw::stream(seed, 3);
        if seed >= FIRST_LIMITED_SEED {
            let path = *draw.pick(&[CONVERSATION, CALLS[0], CALLS[1]]);
            return Some(Self { path, status: TOO_MANY, wait: *draw.pick(&WAITS) });
        }
        let status = *draw.pick(&[UNAUTHORIZED, 500, 502, 503, 504]);
        let is_conversation = status == UNAUTHORIZED && draw.percent(60);
        let path = if is_conversation { CONVERSATION } else { *draw.pick(&CALLS) };
        (FIRST_SEED..weather::FIRST_SEED).contains(&seed).then_some(Self { path, status, wait: 0 })
    }

    fn is_hit(self, path: &str) -> bool {
        path.starts_with(self.path)
    }

    fn concerns(self, model: &SubmissionModel) -> bool {
        match model.is_call {
            true => self.is_hit(&model.name),
            false => self.path == CONVERSATION && model.conversation == "c-1",
        }
    }

    pub fn change(self, path: &str, reply: Reply) -> Reply {
        if !self.is_hit(path) || reply.cut != Cut::None || reply.status == 429 {
            return reply;
        }
        let (mut headers, mut body) = (Vec::new(), String::new());
        if self.status == TOO_MANY {
            let key = if self.path == CONVERSATION { "messages.per.conversation" } else { "calls.per.minute" };
            body = json!({ "status": TOO_MANY, "limit": { "key": key, "namespace": "own", "value": 1 } }).to_string();
            headers = vec![("retry-after".into(), self.wait.to_string())];
        }
        Reply { status: self.status, headers, body, accepted: false, ..reply }
    }
}

/// Everything else is well: no limit is met, nothing fails, and there is room.
pub fn calm(options: &mut Value, server: &mut Value) {
    options["rateLimit"] = json!({ "requests": 1_000, "perMs": 1_000 });
    options["connections"] = json!({ "max": 64, "requestTimeoutMs": 5_000 });
    options["queue"] = json!({ "maxMessages": 100_000 });
    server["quota"] = json!({ "requests": 1_000, "perMs": 1_000, "algorithm": "sliding-log" });
    server["tokenLifeMs"] = json!(86_400_000);
    for name in ["faults", "others", "tokenThrottle"] {
        server.as_object_mut().expect("an object").remove(name);
    }
}

impl Sim {
    /// Only what the weather is about may end by it.
    pub(super) fn check_scope(&mut self, effect: &Effect) -> Checked {
        let Some(scoped) = self.plan.scoped else {
            let refused = matches!(effect, Effect::Buried { failure, .. } if is_unauthorized(failure));
            return hold(!refused, "5 scope", || format!("a message is dead for the token's fault: {effect:?}"));
        };
        if matches!(effect, Effect::Buried { failure, .. } if is_unauthorized(failure)) {
            self.tally.count("message refused alone");
        }
        let is_own = match effect {
            Effect::Buried { conversation, failure, .. } => {
                let ends_by_itself = matches!(failure.reason.code(), "EXPIRED" | "DELIVERY_ABORTED");
                ends_by_itself || (scoped.path == CONVERSATION && &**conversation == "c-1")
            }
            Effect::Failed(ticket, Error::Auth { .. }) => {
                self.oracle.parcel_of(ticket.number).is_none_or(|model| scoped.concerns(model))
            }
            _ => true,
        };
        hold(is_own, "5 scope", || format!("{scoped:?} has ended something else: {effect:?}"))
    }

    /// Nor may it stop anything else.
    pub(super) fn check_flow(&mut self, snapshot: &Snapshot) -> Checked {
        let Some(scoped) = self.plan.scoped else { return Ok(()) };
        if snapshot.outage.is_none() && !snapshot.outages.is_empty() {
            self.tally.count("route shut alone");
        }
        let is_paused = snapshot.pauses.iter().any(|pause| pause.scope == PauseScope::Organization);
        hold(!is_paused, "4 scope", || format!("{scoped:?} pauses everything: {:?}", snapshot.pauses))?;
        if !snapshot.pauses.is_empty() {
            self.tally.count("limited alone");
        }
        let everybodys = snapshot.outages.iter().find(|outage| outage.route.is_none());
        let is_refusal = |reason| reason == "auth" && scoped.status == UNAUTHORIZED;
        let is_scoped = everybodys.is_none_or(|outage| is_refusal(outage.closure.reason));
        hold(is_scoped, "5 scope", || format!("{scoped:?} is an outage of all: {everybodys:?}"))?;
        if self.now_us > TRAFFIC_US {
            return Ok(());
        }
        let ready = self.oracle.ready(self.now_us).filter(|(_, model)| !scoped.concerns(model));
        let known = &self.ready_since;
        self.ready_since = ready.map(|(seq, _)| (seq, known.get(&seq).copied().unwrap_or(self.now_us))).collect();
        let stuck = self.ready_since.iter().find(|(_, since)| self.now_us - **since > FLOW_US);
        hold(stuck.is_none(), "5 scope", || format!("{scoped:?} holds back number {stuck:?}"))
    }
}

pub fn is_unauthorized(failure: &DeliveryFailure) -> bool {
    failure.response.as_ref().is_some_and(|response| response.status == UNAUTHORIZED)
}
