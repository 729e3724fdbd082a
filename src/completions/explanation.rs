//! Why a message waits, in words.

use serde_json::{Value, json};
use spillway_core::clock::{Clock, Timestamp};
use spillway_core::dispatcher::{Explanation, Hold, Whereabouts};
use spillway_core::stats::{ENDED, Pause, PauseScope};

use crate::stats::scope_data;

pub(super) fn explanation_data(id: &str, explanation: &Explanation, clock: &Clock) -> Value {
    let reasons: Vec<Value> = explanation.holds.iter().map(|hold| hold_data(*hold, explanation, clock)).collect();
    let expected_in_ms =
        explanation.expected_at.map(|at| clock.epoch_ms(at).saturating_sub(clock.epoch_ms(clock.now())));
    json!({
        "id": id,
        "conversationId": explanation.conversation,
        "state": match explanation.whereabouts {
            Whereabouts::WaitingRoom => "waiting-room",
            Whereabouts::Queued => "queued",
            Whereabouts::InFlight => "in-flight",
            Whereabouts::DeadLetter => "dead-letter",
        },
        "reasons": reasons,
        "ahead": explanation.ahead,
        "expectedInMs": expected_in_ms,
        "attempts": explanation.attempts,
    })
}

fn hold_data((hold, until): (Hold, Option<Timestamp>), explanation: &Explanation, clock: &Clock) -> Value {
    let Explanation { next_probe, problem, apart, .. } = explanation;
    let caused = |what: &str| problem.as_ref().map_or(what.to_owned(), |problem| format!("{what}: {problem}"));
    let (kind, detail) = match hold {
        Hold::Lane(1) => ("lane", "1 message of its conversation goes first".to_owned()),
        Hold::Lane(count) => ("lane", format!("{count} messages of its conversation go first")),
        Hold::Budget => ("budget", "the quota's requests are spent".to_owned()),
        Hold::Pause => ("pause", "the organization pauses after a 429".to_owned()),
        Hold::RoutePause => ("pause", "the route that messages take pauses after a 429".to_owned()),
        Hold::ConversationPause => ("pause", "its conversation pauses after a 429".to_owned()),
        Hold::Ended => {
            ("pause", "the server says that its conversation is over: its messages are tried one at a time".to_owned())
        }
        Hold::Operator => ("pause", "an operator paused the organization: sender.resume() ends it".to_owned()),
        Hold::Retry => ("retry", "its last attempt failed".to_owned()),
        Hold::Refusal(status) => {
            let status = status.map(|status| format!(" with status {status}")).unwrap_or_default();
            ("retry", format!("the server refused it{status}, perhaps not for its own sake: it is tried again"))
        }
        Hold::NotBefore => ("notBefore", "it is scheduled for later (notBefore)".to_owned()),
        Hold::BatchMates => ("batch", "it waits for its batch to fill".to_owned()),
        Hold::Apart => {
            let field = apart.as_deref().unwrap_or("a field");
            ("batch", format!("nothing has merged so far: messages differ in {field}"))
        }
        Hold::Auth => ("auth", caused("there is no valid access token")),
        Hold::Outage => ("outage", caused("the server is failing: the circuit breaker is open")),
        Hold::Refused => ("outage", caused("the server refuses all messages in the same way")),
        Hold::Connections => ("connections", "connections.max requests are under way".to_owned()),
        Hold::Capacity => ("capacity", "the outbox is full".to_owned()),
        Hold::Store => ("store", "the store has not written it yet".to_owned()),
    };
    let mut data = json!({ "kind": kind, "detail": detail });
    if let Some(until) = until {
        data["untilMs"] = clock.epoch_ms(until).into();
    }
    // A conversation may wait for a limit and be over at the same time.
    let of_hold = |Pause { scope, closure, .. }: &Pause| match scope {
        PauseScope::Organization | PauseScope::Unknown => hold == Hold::Pause,
        // Another token may carry it.
        PauseScope::Token(_) => false,
        PauseScope::Route(_) => hold == Hold::RoutePause,
        PauseScope::Conversation(_) if closure.reason == ENDED => hold == Hold::Ended,
        PauseScope::Conversation(_) => hold == Hold::ConversationPause,
    };
    if let Some(Pause { scope, limit, closure }) = explanation.pauses.iter().find(|pause| of_hold(pause)) {
        if let (Value::Object(data), Value::Object(scope)) = (&mut data, scope_data(scope, limit.as_deref())) {
            data.extend(scope);
        }
        if let Some(next_probe) = closure.next_probe {
            data["nextProbeMs"] = clock.epoch_ms(next_probe).into();
        }
    }
    let is_probed = matches!(hold, Hold::Pause | Hold::Outage | Hold::Refused | Hold::Auth);
    if let Some(next_probe) = next_probe.filter(|_| is_probed) {
        data["nextProbeMs"] = clock.epoch_ms(next_probe).into();
    }
    data
}
