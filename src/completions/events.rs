//! What listeners are told with an event.

use serde_json::{Value, json};
use spillway_core::clock::Clock;
use spillway_core::dispatcher::Notice;
use spillway_core::engine::sink::Happening;
use spillway_core::stats::PauseScope;

use crate::stats::{quota_data, scope_data};

pub(super) fn event_data(happening: &Happening, clock: &Clock) -> Value {
    match happening {
        // These are written as they are.
        Happening::Delivered(_) | Happening::DeadLetter(..) => Value::Null,
        Happening::Request(end) => json!({
            "method": end.method,
            "path": end.path,
            "messages": end.messages,
            "messageId": end.message_id,
            "startedAtMs": clock.epoch_ms(end.started_at),
            "tookMs": end.took.as_secs_f64() * 1_000.0,
            "status": end.status,
            "correlationId": end.correlation_id,
            "problem": end.problem,
        }),
        Happening::Notice(Notice::Throttled { scope, limit, reason, until, pause, long }) => {
            let mut data = scope_data(scope, limit.as_deref());
            data["reason"] = (*reason).into();
            data["untilMs"] = json!(clock.epoch_ms(*until));
            data["pauseMs"] = json!(pause.as_secs_f64() * 1_000.0);
            data["long"] = (*long).into();
            data
        }
        Happening::Notice(Notice::Paused { reason, since, until }) => {
            let mut data = scope_data(&PauseScope::Organization, None);
            data["reason"] = (*reason).into();
            data["untilMs"] = json!(until.map(|until| clock.epoch_ms(until)));
            data["pauseMs"] = json!(until.map(|until| until.since(*since).as_secs_f64() * 1_000.0));
            data["long"] = false.into();
            data
        }
        Happening::Notice(Notice::Resumed { scope, limit, paused }) => {
            let mut data = scope_data(scope, limit.as_deref());
            data["pausedMs"] = json!(paused.as_secs_f64() * 1_000.0);
            data
        }
        Happening::Notice(Notice::Outage { reason, problem, open }) => {
            json!({ "reason": reason, "message": problem, "open": open })
        }
        Happening::Notice(Notice::TokenOutage { token, reason, problem, open }) => {
            json!({ "reason": reason, "message": problem, "open": open, "token": token })
        }
        Happening::Notice(Notice::Quota { quota, since }) => quota_data(quota, *since, clock),
        Happening::Notice(Notice::Empty) => Value::Null,
    }
}
